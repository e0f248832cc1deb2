//! A scenario file as it is read: every key and its default.

use std::collections::BTreeMap;

use result::ContentMeta;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use settings::{
    Bitrate, ClientSettings, FeedTransport, FrameRate, Pipeline, Presentation, RendererSettings,
    Role, SourceSpec, Span, StreamerSettings, Transport, VideoSettings, VideoSize,
};

use super::network::{Fabric, Fault, Service, WanKeys};
use super::ranges;
use super::server::Server;

/// The version of the format that this program reads.
pub const SCHEMA: u32 = 1;

/// A whole scenario file, with the defaults applied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// The version of the format: [`SCHEMA`].
    pub schema: u32,
    /// The name of what is run, in `run.json` and in titles.
    pub name: String,
    /// One sentence for people.
    #[serde(default)]
    pub description: String,
    /// The order of repetitions is drawn from it.
    #[serde(default = "first_seed")]
    pub seed: u64,
    /// Rest between two repetitions, so that one does not disturb the next.
    #[serde(default = "default_rest")]
    pub rest: Span,
    /// When a second counts as disturbed.
    #[serde(default)]
    pub disturbed: Disturbed,
    /// How the report shows the scenarios.
    #[serde(default)]
    pub presentation: Option<Presentation>,
    /// Keys for every scenario: gone once they are merged into each.
    #[serde(default, skip_serializing)]
    pub defaults: IgnoredAny,
    #[serde(default)]
    pub scenario: Vec<Scenario>,
}

impl File {
    /// A file of these scenarios.
    pub fn new(name: &str, description: &str, scenario: Vec<Scenario>) -> Self {
        Self {
            schema: SCHEMA,
            name: name.to_owned(),
            description: description.to_owned(),
            seed: first_seed(),
            rest: default_rest(),
            disturbed: Disturbed::default(),
            presentation: None,
            defaults: IgnoredAny,
            scenario,
        }
    }
}

const fn first_seed() -> u64 {
    1
}

const fn default_rest() -> Span {
    Span::millis(500)
}

/// When a second of a run is marked as disturbed: by what the machine did, never by the latency that was measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Disturbed {
    /// More of the machine's processor time than this was stolen by its hypervisor, in percent.
    #[serde(deserialize_with = "ranges::not_negative")]
    pub steal_percent: f64,
    /// A timer of ours, due every 5 ms at real-time priority where the machine lets us, was later than this, in ms.
    #[serde(deserialize_with = "ranges::not_negative")]
    pub late_ms: f64,
    /// Processes that are not part of the run used more of the machine's processor time than this, in percent.
    #[serde(deserialize_with = "ranges::not_negative")]
    pub foreign_percent: f64,
}

impl Disturbed {
    /// No second is disturbed, but for a clock that was set.
    pub const NEVER: Self = Self {
        steal_percent: f64::INFINITY,
        late_ms: f64::INFINITY,
        foreign_percent: f64::INFINITY,
    };
}

impl Default for Disturbed {
    fn default() -> Self {
        Self {
            steal_percent: 2.0,
            late_ms: 10.0,
            foreign_percent: 5.0,
        }
    }
}

/// One thing to measure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scenario {
    /// The name: letters, digits, `-` and `_`. Its folder has the same.
    pub name: String,
    /// The pipeline that runs.
    pub pipeline: Pipeline,
    /// The number of the paper's scenario that this one repeats.
    #[serde(deserialize_with = "ranges::paper")]
    pub paper: Option<u8>,
    /// Where pictures come from: `file:PATH`, `test`, or `gst:LAUNCH LINE`.
    pub source: SourceSpec,
    /// The size of the pictures.
    pub size: VideoSize,
    /// Frames a second, scheduled by the renderer.
    pub fps: FrameRate,
    /// The encoder's target in bits a second.
    pub bitrate: Bitrate,
    pub transport: Transport,
    /// How the video travels from the renderer to the streamer.
    pub feed: FeedTransport,
    /// What connects the pods; `host` for processes of this host.
    pub fabric: Fabric,
    /// What stands in front of the streamer's pod.
    pub service: Service,
    /// Both clusters use the same pod addresses, and Liqo translates them.
    pub overlapping: bool,
    /// A second streamer of the same service stands by in a third cluster; only `lisp` has such services.
    pub standby: bool,
    /// The WAN between the clusters; absent for one that does nothing.
    pub wan: Option<WanKeys>,
    /// What is done on purpose in every repetition.
    pub fault: Vec<Fault>,
    /// Whether each cluster gets the paper's 2 vCPU and 4 GiB at most, where this machine's cgroups allow it.
    pub limits: bool,
    /// Measured from the first frame on, and left out of every figure.
    pub warmup: Span,
    /// The measured time of each repetition.
    pub duration: Span,
    /// Repetitions, each with new processes.
    #[serde(deserialize_with = "ranges::runs")]
    pub runs: u32,
    /// How long the first frame may take before the repetition has failed.
    pub first_frame: Span,
    /// The codec alone, alternated with this scenario; absent for none.
    pub floor: Option<Floor>,
    pub renderer: RendererSettings,
    pub streamer: StreamerSettings,
    /// Another RTSP server in the streamer's place; absent for xr-streamer.
    pub server: Option<Server>,
    pub client: ClientSettings,
    /// Clients that play at the same time; more than one only on clusters.
    #[serde(deserialize_with = "ranges::clients")]
    pub clients: u32,
    /// The strips that are kept for OCR.
    pub ocr: Ocr,
    /// The stretch of the film that a repetition shows. No key: it is drawn for each round.
    #[serde(skip)]
    pub content: Option<ContentMeta>,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            name: String::new(),
            pipeline: Pipeline::Ours,
            paper: None,
            source: SourceSpec::Test,
            size: VideoSize::HD,
            fps: FrameRate::SIXTY,
            bitrate: Bitrate::SIX_MEGABITS,
            transport: Transport::Udp,
            feed: FeedTransport::Http,
            fabric: Fabric::Host,
            service: Service::ClusterIp,
            overlapping: false,
            standby: false,
            wan: None,
            fault: Vec::new(),
            limits: false,
            warmup: Span::seconds(2),
            duration: Span::seconds(30),
            runs: 1,
            first_frame: Span::seconds(20),
            floor: None,
            renderer: RendererSettings::default(),
            streamer: StreamerSettings::default(),
            server: None,
            client: ClientSettings::default(),
            clients: 1,
            ocr: Ocr::default(),
            content: None,
        }
    }
}

impl Scenario {
    /// The options of the video.
    pub fn video(&self) -> VideoSettings {
        VideoSettings {
            source: self.source.clone(),
            size: self.size,
            fps: self.fps,
            bitrate: self.bitrate,
            source_start: self.content.map_or(0, |of| of.start),
        }
    }

    /// Frames of one repetition, warm-up included.
    pub fn frames(&self) -> f64 {
        (self.warmup.as_secs_f64() + self.duration.as_secs_f64()) * self.fps.as_f64()
    }

    /// The busy-waits at the stamps of each program that has one, microseconds.
    pub fn hold_us(&self) -> BTreeMap<Role, u32> {
        let all = [
            (Role::Renderer, self.renderer.hold_us),
            (Role::Client, self.client.hold_us),
        ];
        all.into_iter().filter(|(_, us)| *us > 0).collect()
    }

    /// The one-way delay that the WAN is given from cluster B to cluster A, microseconds; none without a WAN.
    pub fn delay_us(&self) -> Option<u64> {
        let wan = self.wan.as_ref()?.wan().ok()?;
        u64::try_from(wan.b_to_a.delay.as_micros()).ok()
    }
}

/// The codec alone, in one process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Floor {
    /// Repetitions of the floor, one in each round; absent for as many as the scenario has, 0 for none.
    #[serde(deserialize_with = "ranges::floor_runs")]
    pub runs: Option<u32>,
    /// The measured time of each repetition; absent for the scenario's.
    pub duration: Option<Span>,
}

/// The strips that are kept for OCR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ocr {
    /// Shown frames whose strips are kept, in each repetition, spread over its whole time; 0 for none.
    pub max_frames: u32,
}

impl Default for Ocr {
    fn default() -> Self {
        Self { max_frames: 300 }
    }
}
