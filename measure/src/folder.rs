//! The folder of a result: where each file is, what `run.json` and `meta.json` say, and how a file is replaced so that a
//! reader never sees half of it.
//!
//! ```text
//! run.json  summary.json  report.html
//! <scenario>/run-<k>/  meta.json  frames.csv  latency.hlog  resources.csv  host.csv  events.csv  ocr.csv
//!                      strips/  logs/
//! ```

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use timeline::UnixMicros;

use crate::calibrate::Calibration;
use crate::scenario::choice::choice;

/// The version of `run.json`, `meta.json` and `summary.json` that this program writes.
pub const SCHEMA_VERSION: u32 = 1;

/// How far a run got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// The run goes on, or its process died without saying so.
    #[default]
    Running,
    /// Everything that was planned has been measured.
    Finished,
    /// Something failed; [`RunInfo::error`] says what. What was measured before it stands.
    Failed,
    /// Somebody pressed Ctrl-C. What was measured before it stands.
    Interrupted,
}

/// `run.json`: what was run, and on what. Written at the start, and again at the end.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RunInfo {
    /// [`SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    /// The scenario file's own name.
    pub name: String,
    /// How far the run got.
    pub state: RunState,
    /// Why it stopped, where it failed.
    pub error: Option<String>,
    /// When the run began.
    pub started_us: UnixMicros,
    /// When it ended; absent while it goes on.
    pub ended_us: Option<UnixMicros>,
    /// The path of the scenario file, as it was given.
    pub scenario_file: String,
    /// The scenario file as it was understood: defaults applied, `--set` applied, every key present.
    pub scenario: serde_json::Value,
    /// What the order of the repetitions was drawn from.
    pub seed: u64,
    /// The repetitions in the order in which they were run.
    pub order: Vec<Slot>,
    /// What is in the folder, in the order of the scenario file, each floor before the first scenario that names it.
    pub scenarios: Vec<ScenarioInfo>,
    /// Versions of every program that took part, by program.
    pub versions: BTreeMap<String, String>,
    /// The machine.
    pub machine: Machine,
    /// The last calibration of this machine before the run; absent where there was none.
    #[serde(default)]
    pub calibration: Option<Calibration>,
    /// The command line of the runner.
    pub command: Vec<String>,
}

/// One repetition of one scenario.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// The scenario's name.
    pub scenario: String,
    /// Which repetition, from 1.
    pub run: u32,
}

/// One scenario of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScenarioInfo {
    /// Its name, which is also its folder's.
    pub name: String,
    /// What it measured.
    pub pipeline: Pipeline,
    /// The floor scenario that it is compared with.
    pub floor: Option<String>,
    /// How many repetitions were planned.
    pub runs: u32,
}

/// The machine that a run was on.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Machine {
    /// Host name.
    pub host: String,
    /// Operating system, as `/etc/os-release` names it.
    pub os: String,
    /// Kernel release and build.
    pub kernel: String,
    /// Processor model.
    pub cpu: String,
    /// Processors that this process may use.
    pub cores: u32,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// The unit of processor time in `/proc`, in ticks a second.
    pub clock_ticks_hz: u64,
    /// The kernel's clock source.
    pub clock_source: String,
    /// The frequency governor; empty where the machine shows none.
    pub governor: String,
    /// The load average over one minute when the run began.
    pub load1: f64,
}

choice!(
    /// What a scenario measures.
    #[derive(Default)]
    Pipeline {
        /// xr-renderer, xr-streamer, xr-client.
        #[default]
        Ours = "ours",
        /// An unmodified ffmpeg renders and another plays, both with their defaults; xr-streamer is between them.
        Reference = "reference",
        /// The same with ffmpeg's settings for low latency.
        ReferenceTuned = "reference-tuned",
        /// The codec alone, in one process.
        Floor = "floor",
    }
);

impl Pipeline {
    /// Whether ffmpeg renders and plays, so that latency is known from OCR alone.
    pub const fn is_reference(self) -> bool {
        matches!(self, Self::Reference | Self::ReferenceTuned)
    }
}

/// `meta.json`: one repetition. Written when it begins, and again at its end.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RunMeta {
    /// [`SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    /// The scenario's name.
    pub scenario: String,
    /// Which repetition, from 1.
    pub run: u32,
    /// What it measures.
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
    /// Why that is not what the scenario asked for; absent where it is.
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
    /// When the first process was started.
    pub started_us: UnixMicros,
    /// When the client's process was started: first-frame time counts from here.
    pub client_started_us: Option<UnixMicros>,
    /// When the first picture was shown.
    pub first_frame_us: Option<UnixMicros>,
    /// Where measuring began: the warm-up is over. Frames generated before do not count.
    pub measured_from_us: Option<UnixMicros>,
    /// Where measuring ended. Frames generated at or after do not count.
    pub measured_to_us: Option<UnixMicros>,
    /// ffmpeg could not keep its own pace: the figures are of a machine that was too slow for it.
    pub overloaded: bool,
    /// Why, with the lowest speed that ffmpeg reported.
    pub overloaded_why: Option<String>,
    /// The largest step of the wall clock against the monotonic one that a second of this repetition saw, microseconds.
    pub clock_step_us: i64,
    /// Crossings that a service's ring had overwritten before they were read: those stages are unknown.
    pub trace_overwritten: u64,
    /// Every process, in the order of starting.
    pub processes: Vec<ProcessInfo>,
    /// Whether the repetition was completed; what was written stands in any case.
    pub complete: bool,
    /// What went wrong, where something did.
    pub error: Option<String>,
}

/// What connects the clusters of a repetition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FabricMeta {
    /// `single`, `nodeport-cluster`, `nodeport-local`, `liqo-v1.2`, `liqo-v0.10`.
    pub name: String,
    /// What served it: `nftables`, `wireguard-go and vxlan`.
    pub backend: String,
    /// What stands in front of the streamer: `clusterip`, `headless`, `nodeport`.
    pub service: String,
    /// The largest IP packet that crosses it whole, in bytes.
    pub mtu: u32,
    /// How often a frame crosses the WAN on its way from the renderer to the client.
    pub wan_crossings: u32,
    /// IP packets that were larger than a link, by namespace of the lab, from its making to its end; those without are not
    /// in it.
    #[serde(default)]
    pub too_big: BTreeMap<String, TooBig>,
}

/// IP packets that were larger than a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TooBig {
    /// Packets that were cut into fragments.
    pub fragmented: u64,
    /// Packets that might not be cut, and were dropped; their senders were told.
    pub dropped: u64,
}

impl From<testbed::local::too_big::TooBig> for TooBig {
    fn from(of: testbed::local::too_big::TooBig) -> Self {
        Self {
            fragmented: of.fragmented,
            dropped: of.dropped,
        }
    }
}

/// The WAN of a repetition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WanMeta {
    /// The preset that it was made from; `custom` for none.
    pub preset: String,
    /// What served it: `netem`, `userspace`, `veth`.
    pub backend: String,
    /// What it does to a packet, in words.
    pub description: String,
    /// How late the userspace link handed a packet on, at p50, in microseconds; absent for netem, which does not say.
    pub late_p50_us: Option<u64>,
    /// The same at p99.
    pub late_p99_us: Option<u64>,
}

/// How what the clusters of a repetition use was counted and limited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourcesMeta {
    /// The controllers of control groups that were had: `cpu`, `cpuacct`, `memory`.
    pub controllers: Vec<String>,
    /// Controllers and limits that were not, each with its cause.
    pub missing: Vec<String>,
    /// The limits that each cluster has: `cpu`, `memory`. Empty for none.
    pub limited: Vec<String>,
}

impl From<&testbed::cgroup::Tree> for ResourcesMeta {
    fn from(tree: &testbed::cgroup::Tree) -> Self {
        Self {
            controllers: tree.controllers(),
            missing: tree.missing().iter().map(ToString::to_string).collect(),
            limited: tree.limited().iter().map(ToString::to_string).collect(),
        }
    }
}

impl RunMeta {
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
pub struct ProcessInfo {
    /// The role, which is also the log file's name: `streamer`, `renderer`, `client`, `floor`.
    pub role: String,
    /// The command line.
    pub command: Vec<String>,
    /// When it was started.
    pub started_us: UnixMicros,
    /// How it ended: `exit 0`, `signal 15`, or nothing while it runs.
    pub ended: Option<String>,
}

/// The folder of a result.
#[derive(Clone, Debug)]
pub struct RunFolder {
    root: PathBuf,
}

impl RunFolder {
    /// A result's folder at `root`, which need not exist.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What was run, and on what: [`RunInfo`].
    pub fn run_json(&self) -> PathBuf {
        self.root.join("run.json")
    }

    /// What the result says.
    pub fn summary_json(&self) -> PathBuf {
        self.root.join("summary.json")
    }

    /// The page that shows it.
    pub fn report_html(&self) -> PathBuf {
        self.root.join("report.html")
    }

    /// The folder of one repetition; `run` counts from 1.
    pub fn repetition(&self, scenario: &str, run: u32) -> RepetitionFolder {
        RepetitionFolder {
            root: self.root.join(scenario).join(format!("run-{run}")),
        }
    }

    /// Reads [`RunInfo`].
    pub fn info(&self) -> anyhow::Result<RunInfo> {
        read_json(&self.run_json())
    }

    /// Every repetition that has begun, by scenario in the order of `run.json`, then by number.
    pub fn repetitions(&self) -> anyhow::Result<Vec<(RunMeta, RepetitionFolder)>> {
        let mut found = Vec::new();
        for scenario in &self.info()?.scenarios {
            for run in 1..=scenario.runs {
                let folder = self.repetition(&scenario.name, run);
                if folder.meta_json().exists() {
                    found.push((folder.meta()?, folder));
                }
            }
        }
        Ok(found)
    }
}

/// The folder of one repetition.
#[derive(Clone, Debug)]
pub struct RepetitionFolder {
    root: PathBuf,
}

impl RepetitionFolder {
    /// A repetition's folder at `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Creates the folder with `strips/` and `logs/`.
    pub fn create(&self) -> anyhow::Result<()> {
        for path in [self.strips(), self.logs()] {
            fs::create_dir_all(&path)
                .with_context(|| format!("cannot create the folder {}", path.display()))?;
        }
        Ok(())
    }

    /// [`RunMeta`].
    pub fn meta_json(&self) -> PathBuf {
        self.root.join("meta.json")
    }

    /// Every frame, every point: `timeline::frames_csv`.
    pub fn frames_csv(&self) -> PathBuf {
        self.root.join("frames.csv")
    }

    /// HdrHistogram interval log of the latency in microseconds.
    pub fn latency_hlog(&self) -> PathBuf {
        self.root.join("latency.hlog")
    }

    /// What each process used, second by second.
    pub fn resources_csv(&self) -> PathBuf {
        self.root.join("resources.csv")
    }

    /// The machine, second by second, and which seconds were disturbed.
    pub fn host_csv(&self) -> PathBuf {
        self.root.join("host.csv")
    }

    /// Starts, ends, reconnects, clock steps, disturbances.
    pub fn events_csv(&self) -> PathBuf {
        self.root.join("events.csv")
    }

    /// What Tesseract read from the strips.
    pub fn ocr_csv(&self) -> PathBuf {
        self.root.join("ocr.csv")
    }

    /// The packets that were captured at a point of the lab.
    pub fn pcap(&self, point: &str) -> PathBuf {
        self.root.join(format!("{point}.pcap"))
    }

    /// The kept strips.
    pub fn strips(&self) -> PathBuf {
        self.root.join("strips")
    }

    /// The processes' logs.
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// The log of one process.
    pub fn log(&self, role: &str) -> PathBuf {
        self.logs().join(format!("{role}.log"))
    }

    /// Reads [`RunMeta`].
    pub fn meta(&self) -> anyhow::Result<RunMeta> {
        read_json(&self.meta_json())
    }
}

/// Reads a JSON file of a result.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text = fs::read(path).with_context(|| {
        format!(
            "cannot read {}: is its folder that of a result of `xrbench run`?",
            path.display()
        )
    })?;
    serde_json::from_slice(&text)
        .with_context(|| format!("{} is not what this version writes", path.display()))
}

/// Replaces a JSON file whole.
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> anyhow::Result<()> {
    let mut text = serde_json::to_vec_pretty(value).context("cannot put the value into JSON")?;
    text.push(b'\n');
    write_atomic(path, &text)
}

/// Replaces a file whole: a reader sees the old content or the new, never a part, and a full disk leaves the old.
pub fn write_atomic(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".part");
    let part = path.with_file_name(name);
    let write = || -> io::Result<()> {
        let mut file = File::create(&part)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&part, path)
    };
    write()
        .inspect_err(|_| drop(fs::remove_file(&part)))
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_found_again() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let folder = RunFolder::new(dir.path());
        let scenario = ScenarioInfo {
            name: "ours".into(),
            pipeline: Pipeline::Ours,
            floor: Some("floor".into()),
            runs: 3,
        };
        write_json(
            &folder.run_json(),
            &RunInfo {
                scenarios: vec![scenario],
                ..RunInfo::default()
            },
        )
        .expect("run.json");
        for run in [2, 1] {
            let at = folder.repetition("ours", run);
            at.create().expect("folders");
            let meta = RunMeta {
                run,
                fps: 60.0,
                measured_from_us: Some(UnixMicros(1_000_000)),
                measured_to_us: Some(UnixMicros(3_500_000)),
                ..RunMeta::default()
            };
            write_json(&at.meta_json(), &meta).expect("meta.json");
        }
        let found = folder.repetitions().expect("repetitions");
        assert_eq!(
            found.iter().map(|(meta, _)| meta.run).collect::<Vec<_>>(),
            [1, 2]
        );
        assert_eq!(found[0].0.scheduled_frames(), 150);
    }

    #[test]
    fn a_failed_write_leaves_the_old_content_and_no_rest() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("meta.json");
        write_atomic(&path, b"old").expect("first write");
        fs::create_dir(dir.path().join("meta.json.part")).expect("something in the way");
        let error = write_atomic(&path, b"new").expect_err("cannot be written");
        assert!(format!("{error:#}").contains("meta.json"), "{error:#}");
        assert_eq!(fs::read(&path).expect("still there"), b"old");
    }
}
