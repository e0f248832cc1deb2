//! `meta.json`: one repetition, what connected its clusters, and which processes took part.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use settings::Pipeline;
use timeline::UnixMicros;

use super::clock::{ClockCheck, ClockMeta};
use super::unreported::Unreported;

/// The contents of `meta.json`: one repetition. Written when it begins, and again at its end.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RepetitionMeta {
    /// [`RUN_VERSION`](crate::RUN_VERSION) of the writer.
    pub schema_version: u32,
    /// The name of the scenario.
    pub scenario: String,
    /// The number of the repetition, from 1.
    pub run: u32,
    /// The pipeline that the repetition measures.
    pub pipeline: Pipeline,
    /// Picture width in pixels.
    pub width: u32,
    /// Picture height in pixels.
    pub height: u32,
    /// Frames a second that the renderer schedules.
    pub fps: f64,
    /// The encoder's target in bits a second.
    pub bitrate_bps: u64,
    /// How RTP travels: `udp`, `tcp`, or `none` for a floor.
    pub transport: String,
    /// The reason why the transport is not what the scenario asked for; absent where it is.
    #[serde(default)]
    pub transport_why: Option<String>,
    /// What connects the clusters; absent for processes on this host.
    #[serde(default)]
    pub fabric: Option<FabricMeta>,
    /// The WAN between them; absent where there is none.
    #[serde(default)]
    pub wan: Option<WanMeta>,
    /// The command of the server in xr-streamer's place, as the scenario has it; absent for xr-streamer.
    #[serde(default)]
    pub server: Option<String>,
    /// How what the clusters use was counted and limited; absent for processes on this host.
    #[serde(default)]
    pub resources: Option<ResourcesMeta>,
    /// The floor scenario that it is compared with.
    pub floor: Option<String>,
    /// The stretch of the film that the repetition shows; absent for a source that is no film, and of earlier versions.
    #[serde(default)]
    pub content: Option<ContentMeta>,
    /// When the first process was started.
    pub started_us: UnixMicros,
    /// When the client's process was started: first-frame time counts from here.
    pub client_started_us: Option<UnixMicros>,
    /// When the first picture was shown.
    pub first_frame_us: Option<UnixMicros>,
    /// Where measuring began: the warm-up is over. Frames generated before do not count.
    pub measured_from_us: Option<UnixMicros>,
    /// The end of the measured time. Frames generated at or after do not count.
    pub measured_to_us: Option<UnixMicros>,
    /// ffmpeg could not keep its own pace: the figures are of a machine that was too slow for it.
    pub overloaded: bool,
    /// The reason for the overload, with the lowest speed that ffmpeg reported.
    pub overloaded_why: Option<String>,
    /// The largest step of the wall clock against the monotonic one that a second of this repetition saw, microseconds.
    pub clock_step_us: i64,
    /// The largest rate at which the clocks were slewed against the processor's own in a second of this repetition, parts in a
    /// million. `CLOCK_MONOTONIC` is slewed with the wall clock, so that neither shows it.
    #[serde(default)]
    pub clock_slew_ppm: f64,
    /// Services' clocks against xrbench's, at the start and the end, where all should be one.
    #[serde(default)]
    pub clock_checks: Vec<ClockCheck>,
    /// The clocks that times were read from, by source: a service whose trace was pulled, or a client that reported.
    #[serde(default)]
    pub clocks: BTreeMap<String, ClockMeta>,
    /// By how much a latency may be wrong for those of these clocks that are known, in microseconds: 0 where they are one.
    #[serde(default)]
    pub clock_uncertainty_us: u64,
    /// Frames were taken as they came, by clients that came and went: each counts from its first frame to its last.
    #[serde(default)]
    pub collected: bool,
    /// What was done on purpose and had no effect, in sentences.
    #[serde(default)]
    pub without_effect: Vec<String>,
    /// Crossings that a service's ring had overwritten before they were read: those stages are unknown.
    pub trace_overwritten: u64,
    /// Reports of frames of the measured time that the client made and could not send, as gaps in their numbers tell. Absent in results of
    /// earlier versions.
    #[serde(default)]
    pub reports_skipped: u64,
    /// Reports of frames of the measured time whose times cannot be, so that the collector left them out: a clock was set meanwhile.
    /// Absent in results of earlier versions.
    #[serde(default)]
    pub reports_implausible: u64,
    /// Both of each client that has any, by its name. Absent in results of earlier versions.
    #[serde(default)]
    pub clients_unreported: BTreeMap<String, Unreported>,
    /// Frames that came to the client from the beginning of the measured time on, and that it did not decode because it was behind the
    /// stream; of all clients together. Absent in results of earlier versions.
    #[serde(default)]
    pub client_behind: u64,
    /// The same of each client that was asked and answered, by its name. Absent in results of earlier versions.
    #[serde(default)]
    pub clients_behind: BTreeMap<String, u64>,
    /// Pictures of each round of the film that the renderer could not read, or more. Absent in results of earlier versions.
    #[serde(default)]
    pub source_unread: u64,
    /// Every process, in the order of starting.
    pub processes: Vec<ProcessInfo>,
    /// Whether the repetition was completed; what was written stands in any case.
    pub complete: bool,
    /// What went wrong, where something did.
    pub error: Option<String>,
}

/// The stretch of a film that every repetition of a round shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ContentMeta {
    /// The picture of the film that frame 0 shows: drawn for each round.
    pub start: u64,
    /// The time of that picture in the film, microseconds.
    pub start_us: u64,
    /// Pictures of the film; after its last one comes its first one.
    pub pictures: Option<u64>,
}

/// What connects the clusters of a repetition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FabricMeta {
    /// One of `single`, `nodeport-cluster`, `nodeport-local`, `liqo-v1.2`, `liqo-v0.10`, `lisp`, or, on clusters, `liqo`.
    pub name: String,
    /// What served it, for people; nothing is decided by this text.
    pub backend: String,
    /// The tunnel between the clusters; null where there is none.
    #[serde(default)]
    pub tunnel: Option<TunnelBackend>,
    /// The overlay within a cluster; null where there is none.
    #[serde(default)]
    pub overlay: Option<OverlayBackend>,
    /// What stands in front of the streamer: `clusterip`, `headless`, `nodeport`.
    pub service: String,
    /// The largest IP packet that crosses it whole, in bytes; null where nobody knows it.
    #[cfg_attr(feature = "schema", schemars(range(min = 576)))]
    pub mtu: Option<u32>,
    /// How often a frame crosses the WAN on its way from the renderer to the client.
    pub wan_crossings: u32,
    /// IP packets that were larger than a link, by namespace of the lab, from its making to its end; those without are not
    /// in it.
    #[serde(default)]
    pub too_big: BTreeMap<String, TooBig>,
}

/// The tunnel between the clusters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum TunnelBackend {
    /// WireGuard of the kernel.
    KernelWireguard,
    /// `wireguard-go`, a process for each gateway.
    WireguardGo,
    /// LISP by `xr-lisp`, a process for each cluster.
    XrLisp,
}

/// The overlay within a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum OverlayBackend {
    /// Geneve, as the fabric has it.
    Geneve,
    /// VXLAN, as the fabric has it.
    Vxlan,
    /// VXLAN where the fabric has Geneve, and the kernel has none.
    VxlanForGeneve,
}

/// The device or process between the clusters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, strum::Display, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum WanBackend {
    /// A pair of devices, for a WAN that does nothing.
    #[default]
    Veth,
    /// The kernel's queueing discipline.
    Netem,
    /// A link of xrbench's own.
    Userspace,
}

/// IP packets that were larger than a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TooBig {
    /// Packets that were cut into fragments.
    pub fragmented: u64,
    /// Packets that might not be cut, and were dropped; their senders were told.
    pub dropped: u64,
}

/// The WAN of a repetition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WanMeta {
    /// The preset that it was made from; `custom` for none.
    pub preset: String,
    /// The device or process that packets pass.
    pub backend: WanBackend,
    /// What it does to a packet, in words.
    pub description: String,
    /// How late the userspace link handed a packet on, at p50, in microseconds; null for netem, which does not say.
    pub late_p50_us: Option<u64>,
    /// The 99th percentile of the lateness, in microseconds.
    pub late_p99_us: Option<u64>,
}

/// How what the clusters of a repetition use was counted and limited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ResourcesMeta {
    /// The controllers of control groups that were had: `cpu`, `cpuacct`, `memory`.
    pub controllers: Vec<String>,
    /// Controllers and limits that were not, each with its cause.
    pub missing: Vec<String>,
    /// The limits that each cluster has: `cpu`, `memory`. Empty for none.
    pub limited: Vec<String>,
    /// Whether it was asked of kubelets, and no control group read here.
    #[serde(default)]
    pub kubelets: bool,
    /// Nodes that were measured whole, by their role in `resources.csv`.
    #[serde(default)]
    pub nodes: BTreeMap<String, NodeMeta>,
}

/// A node of a cluster, and what it has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NodeMeta {
    /// The node's name in its cluster.
    pub name: String,
    /// The cluster: `a` or `b`.
    pub cluster: String,
    /// Processors, in thousandths of one.
    pub cpu_millis: u64,
    /// Memory in bytes.
    pub memory_bytes: u64,
}

impl RepetitionMeta {
    /// Writes down what clients could not report in the measured time.
    pub fn set_unreported<N: ToString>(
        &mut self,
        clients: impl IntoIterator<Item = (N, Unreported)>,
    ) {
        let clients = clients.into_iter().filter(|(_, of)| of.all() > 0);
        self.clients_unreported = clients.map(|(name, of)| (name.to_string(), of)).collect();
        let mut all = Unreported::default();
        for of in self.clients_unreported.values() {
            all.add(*of);
        }
        (self.reports_skipped, self.reports_implausible) = (all.skipped, all.implausible);
    }

    /// The largest certain distance of a service's clock from xrbench's, with its sign, microseconds; 0 where none is worth a word.
    pub fn clock_off_us(&self) -> i64 {
        let off = self.clock_checks.iter().map(ClockCheck::off_us);
        off.max_by_key(|us| us.unsigned_abs()).unwrap_or(0)
    }

    /// Seconds over which frames were measured; 0 before the repetition's end.
    pub fn measured_seconds(&self) -> f64 {
        match (self.measured_from_us, self.measured_to_us) {
            (Some(from), Some(to)) => (to.micros_since(from).max(0)) as f64 / 1e6,
            _ => 0.0,
        }
    }

    /// Frames that the schedule has in the measured time: rate x measured seconds.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "rate and time are positive, and their product is far below 2^53"
    )]
    pub fn scheduled_frames(&self) -> u64 {
        (self.fps * self.measured_seconds()).round().max(0.0) as u64
    }
}

/// A process that took part in a repetition.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProcessInfo {
    /// The role, which is also the log file's name: `streamer`, `renderer`, `client`, `floor`.
    pub role: String,
    /// The command line, program first.
    pub command: Vec<String>,
    /// When it was started.
    pub started_us: UnixMicros,
    /// How it ended: `exit 0`, `signal 15`, or nothing while it runs.
    pub ended: Option<String>,
}
