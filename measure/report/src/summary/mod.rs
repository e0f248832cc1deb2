//! `summary.json`: what a result says, built from its folder. `docs/summary.schema.json` is derived from it.
//!
//! Names say units: `_us` microseconds, `_s` seconds, `_bps` bits a second; shares are from 0 to 1; counts have none.

mod behind;
mod build;
#[cfg(test)]
mod cause_tests;
mod clocks;
pub(crate) mod differences;
mod display;
mod fault;
mod finding;
mod latency;
mod load;
#[cfg(test)]
mod missing_tests;
mod network;
mod note;
mod paper;
mod read;
mod resources;
#[cfg(test)]
mod schema_tests;
mod tick;
mod uncertainty;
mod unreported;
#[cfg(test)]
mod verdict_tests;
#[cfg(test)]
mod version_tests;
mod warnings;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use settings::Compare;
use timeline::UnixMicros;

use result::{Calibration, FabricMeta, Machine, Pipeline, Presentation, RunState, WanMeta};

pub use build::build;
pub use clocks::ClockFigures;
pub use differences::{Difference, DifferenceUs, Setting};
pub(crate) use display::seconds;
pub use display::{DisplayFigures, FreezeAt, Freezes, Goodput, JitterUs};
pub use fault::FaultAt;
pub use finding::{Finding, FindingKind, MAX_LOST_SHARE};
pub use latency::{FloorUs, GapUs, LatencyFigures, LatencyUs, MIN_P99_PICTURES, UndisturbedFloor};
pub use load::{LoadedRepetition, LoadedResult, LoadedScenario, load};
pub(crate) use load::{logged, window};
pub use note::{Note, NoteKind};
pub use paper::{Paper, PaperScenario};
pub(crate) use read::disturbances;
pub use resources::{FabricProcess, HostUdp, Network, Node, Nodes, PerCluster, Resources, Spread};
pub use tick::FromTickUs;
pub use uncertainty::{Part, PartsUs, UncertaintyUs};

/// The version of `summary.json` that this program writes. It rises when a reader of the one before could misread it.
///
/// The files that a summary is made from have a version of their own, [`result::RUN_VERSION`].
pub const SUMMARY_VERSION: u32 = 4;

/// What a result of xrbench says.
///
/// Names say units: `_us` microseconds, `_s` seconds, `_bps` bits a second; shares are from 0 to 1; counts have none. What has
/// a name with `_us` is in microseconds with all of its parts.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// The version of the format of `summary.json`.
    #[schemars(extend("const" = SUMMARY_VERSION))]
    pub schema_version: u32,
    /// The scenario file's own name.
    pub name: String,
    /// The state that the run reached.
    pub state: RunState,
    /// The way in which a report shows the scenarios; null where the scenario file does not say.
    pub presentation: Option<Presentation>,
    /// The beginning of the run, since the Unix epoch.
    pub started_us: UnixMicros,
    /// The end of the run, since the Unix epoch; null while the run goes on.
    pub ended_us: Option<UnixMicros>,
    /// The machine that the run was on.
    pub machine: Machine,
    /// The error of the instrument on this machine; null where nobody calibrated before the run.
    #[serde(default)]
    pub calibration: Option<Instrument>,
    /// Versions of every program that took part.
    pub versions: BTreeMap<String, String>,
    /// The measured scenarios, in the order of the scenario file.
    pub scenarios: Vec<ScenarioSummary>,
    /// The floors: the codec alone, without a network.
    pub floors: Vec<FloorSummary>,
    /// Ours against ffmpeg at the same size and rate.
    pub comparisons: Vec<Comparison>,
    /// The uncertainty between the clocks of generation and consumption: 0 where they are one clock. Smaller differences are
    /// not ranked.
    pub clock_uncertainty_us: u64,
    /// Every two scenarios of ours of the same size, rate and bit rate, against each other.
    pub differences: Vec<Difference>,
    /// The figures of the paper, to stand beside ours.
    pub paper: Paper,
}

/// How wrong the instrument is: the last calibration of the machine before the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Instrument {
    /// The time of the calibration, since the Unix epoch.
    pub at_us: UnixMicros,
    /// Latency over a delay on the wire; 1 for an instrument that adds nothing of its own.
    pub slope: f64,
    /// The slope's standard error.
    #[schemars(range(min = 0))]
    pub slope_error: f64,
    /// The largest residual of a delay, without its sign: the error of a latency's p50, microseconds.
    #[schemars(range(min = 0))]
    pub worst_residual_us: f64,
    /// How far the slope may be from the true one: half of its 90 % interval; 0 in calibrations of earlier versions.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub slope_margin: f64,
    /// How far a residual may be from the true one, as `slope_margin`, microseconds.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub residual_margin_us: f64,
    /// The largest error of a busy-wait that was put between the two clock readings of every frame, with what it is unsure by, microseconds;
    /// null in calibrations of earlier versions.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub hold_error_us: Option<f64>,
    /// Whether all are within their bounds (1 ± 0.01, 300 us), and sure to be.
    #[serde(default)]
    pub holds: bool,
    /// The backend of the WAN that made the delays: `netem`, `userspace`.
    pub wan_backend: String,
    /// Programs of the run that were calibrated in another build; empty too where the calibration, of an earlier version, does not tell.
    #[serde(default)]
    pub other_programs: Vec<String>,
}

impl Instrument {
    /// What a calibration says of a run of programs with these digests.
    fn of(calibration: &Calibration, digests: &BTreeMap<String, String>) -> Self {
        Self {
            at_us: calibration.at_us,
            slope: calibration.fit.slope,
            slope_error: calibration.fit.slope_error,
            worst_residual_us: calibration.fit.worst_residual_us,
            slope_margin: calibration.fit.slope_margin,
            residual_margin_us: calibration.fit.residual_margin_us,
            hold_error_us: calibration.hold_error_us(),
            holds: calibration.is_sound(),
            wan_backend: calibration.wan_backend.clone(),
            other_programs: calibration.other_programs(digests),
        }
    }
}

/// One scenario, its repetitions merged.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ScenarioSummary {
    /// The scenario's name.
    pub name: String,
    /// The pipeline that the scenario measured.
    pub pipeline: Pipeline,
    /// The number of the paper's scenario that it repeats; null where it repeats none.
    #[schemars(range(min = 1))]
    pub paper: Option<u8>,
    /// The size of the picture in pixels; 0 where no repetition was begun.
    pub width: u32,
    /// The size of the picture in pixels; 0 where no repetition was begun.
    pub height: u32,
    /// Scheduled frames a second; 0 where no repetition was begun.
    pub fps: f64,
    /// The encoder's target in bits a second.
    pub bitrate_bps: u64,
    /// The transport of RTP.
    pub transport: String,
    /// The command of the server in xr-streamer's place; null for xr-streamer itself.
    pub server: Option<String>,
    /// The fabric between the clusters; null for processes of one host.
    pub fabric: Option<FabricMeta>,
    /// The WAN between the clusters; null where there was none.
    pub wan: Option<WanMeta>,
    /// Repetitions by what became of them.
    pub runs: Runs,
    /// Measured seconds, all repetitions together.
    pub measured_s: f64,
    /// Frames by what became of them, counted once for each client.
    pub frames: FrameCounts,
    /// Distinct pictures of the source among the shown frames: a looped film shows each again and again. Null for ffmpeg, which
    /// does not number its frames.
    pub pictures: Option<u64>,
    /// Frames of each client, by its name; empty where there is one client.
    #[serde(default)]
    pub clients: BTreeMap<String, FrameCounts>,
    /// The latency of the shown frames; null where there is no sample.
    pub latency_us: Option<LatencyUs>,
    /// How unsure that latency is in all, and of what parts; null where there is no sample.
    pub uncertainty_us: Option<UncertaintyUs>,
    /// The latency from the ticks at which the frames were due: a renderer that is behind stamps a frame late. Null where frames
    /// are not numbered, and where the wall clock was set.
    pub from_tick_us: Option<FromTickUs>,
    /// Figures without the disturbed seconds; null where nobody watched the machine.
    pub undisturbed: Option<Undisturbed>,
    /// The codec alone, alternated with this scenario; null where none was measured.
    pub floor_us: Option<FloorUs>,
    /// The stages of the latency by name; null for ffmpeg, which keeps no trace.
    #[schemars(extend("propertyNames" = stage_names()))]
    pub stages_us: Option<BTreeMap<String, StageUs>>,
    /// The time from encoded to received: feed, relay and deliver in one, also behind a server that keeps no trace; null where unknown.
    pub carried_us: Option<StageUs>,
    /// The codec's part of the latency of the frames with every point, 0 to 1; null where the client waits for each frame's time
    /// (`client.sync`), which is in its stage `decode`.
    #[schemars(range(min = 0, max = 1))]
    pub codec_share: Option<f64>,
    /// Reasons to trust the stages, or not to; null for ffmpeg.
    pub points: Option<Points>,
    /// Images by what Tesseract made of them.
    pub ocr: OcrCounts,
    /// Time from the client's start to its first shown frame, the median of the repetitions; null where unknown.
    pub first_frame_us: Option<u64>,
    /// Times without a new picture; null for ffmpeg, whose strips do not say when they were shown.
    pub freezes: Option<Freezes>,
    /// The evenness of the pictures; null for ffmpeg.
    pub display: Option<DisplayFigures>,
    /// The frames and the bit rate that arrived.
    pub goodput: Option<Goodput>,
    /// What was done on purpose in the measured time, with what it cost, in the order of repetition and time.
    #[serde(default)]
    pub faults: Vec<FaultAt>,
    /// Whether the clocks that the times are from can be believed.
    pub clocks: ClockFigures,
    /// Measured seconds in which the machine was disturbed, all repetitions together; null where nobody watched it.
    #[schemars(range(min = 0))]
    pub disturbed_seconds: Option<f64>,
    /// Whether ffmpeg failed to keep its own pace in at least one repetition.
    pub overloaded: bool,
    /// What the clusters used.
    #[serde(flatten)]
    pub resources: Resources,
    /// What a reader must know before trusting the figures.
    pub notes: Vec<Note>,
}

/// Repetitions by what became of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Runs {
    /// Repetitions that were planned, whether begun or not.
    pub planned: u32,
    /// Repetitions that were begun.
    pub begun: u32,
    /// Repetitions that ran to their end.
    pub completed: u32,
    /// Completed repetitions that showed frames and have every one of them in their file.
    pub whole: u32,
}

/// Frames by what became of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FrameCounts {
    /// Frames of the schedule: those that the renderer stamped, and those that are missing, at its rate, between and beside them.
    pub scheduled: u64,
    /// Distinct frames that were stamped; null for ffmpeg, which does not say.
    pub generated: Option<u64>,
    /// Distinct frames that were shown, those among them whose stamp could not be read.
    pub shown: u64,
    /// Scheduled frames that were not shown, whether or not they were produced.
    pub lost: u64,
    /// Missing frames of which the client's reports never came: neither known to be shown nor to be lost.
    #[serde(default)]
    pub unreported: u64,
    /// Of the shown frames, those whose stamp could not be read: not lost, and no sample.
    pub unread: u64,
    /// Pictures of which packets never came: torn, never a sample, and lost.
    pub damaged: u64,
    /// Pictures of frames that had been shown before.
    pub duplicate: u64,
}

/// Figures without the disturbed seconds.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Undisturbed {
    /// Seconds that were not disturbed.
    pub seconds: f64,
    /// Frames of the undisturbed seconds.
    pub frames: FrameCounts,
    /// The latency of those frames; null where every second was disturbed.
    pub latency_us: Option<LatencyUs>,
}

/// A stage, microseconds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
pub struct StageUs {
    /// Frames with every point; where no frame has every point, those of which both ends are known.
    pub count: u64,
    /// The time that half of the frames do not exceed.
    pub p50: i64,
    /// The time that 90 in 100 frames do not exceed.
    pub p90: i64,
    /// The time that 99 in 100 frames do not exceed.
    pub p99: i64,
    /// The mean: of the frames with every point, the means of the stages sum to that of the latency.
    pub mean: f64,
}

/// Figures that say whether the stages can be trusted.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Points {
    /// Frames with every point.
    pub complete: u64,
    /// The share of those frames among the samples, 0 to 1.
    #[schemars(range(min = 0, max = 1))]
    pub complete_share: f64,
    /// Shown frames that passed a point before the one in front of it: the clocks of two services disagree, and the stages on both
    /// sides are wrong.
    pub out_of_order: u64,
}

/// Images by what Tesseract made of them.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct OcrCounts {
    /// Images given to Tesseract.
    pub frames: u64,
    /// Images that Tesseract could not read, or whose text was not believed.
    pub unread: u64,
    /// Images whose digits were compared with the stamp's blocks.
    pub compared: u64,
    /// Images whose digits and blocks say different things.
    pub disagree: u64,
}

/// A floor as a scenario of its own.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct FloorSummary {
    /// The floor's name.
    pub name: String,
    /// Repetitions by what became of them.
    pub runs: Runs,
    /// Frames by what became of them.
    pub frames: FrameCounts,
    /// Distinct pictures of the source among the frames.
    pub pictures: Option<u64>,
    /// The latency of the shown frames; null where there is no sample.
    pub latency_us: Option<LatencyUs>,
    /// How unsure that latency is in all, and of what parts; null where there is no sample.
    pub uncertainty_us: Option<UncertaintyUs>,
    /// The stages of the codec by name.
    #[schemars(extend("propertyNames" = stage_names()))]
    pub stages_us: BTreeMap<String, StageUs>,
    /// The distance of the floor's p50 from the sum of its encode p50 and decode p50, microseconds.
    pub codec_gap_us: Option<u64>,
    /// What a reader must know before trusting the figures.
    pub notes: Vec<Note>,
}

/// A scenario of ours against ffmpeg at the same size and rate.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    /// The name of our scenario.
    pub ours: String,
    /// The name of ffmpeg's scenario.
    pub reference: String,
    /// ffmpeg's p50 divided by ours.
    pub p50_ratio: f64,
    /// Whether ffmpeg kept its own pace.
    pub sustained: bool,
}

/// The names that a map by stage may have, for its schema.
fn stage_names() -> serde_json::Value {
    json!({ "enum": timeline::Stage::ALL.map(timeline::Stage::as_str) })
}

impl Summary {
    pub fn scenario(&self, name: &str) -> Option<&ScenarioSummary> {
        self.scenarios.iter().find(|scenario| scenario.name == name)
    }

    /// Whether its steps build on one another, so that each is shown against the one before it.
    pub(crate) fn is_ladder(&self) -> bool {
        self.presentation
            .is_some_and(|of| of.compare == Compare::Steps)
    }
}

#[cfg(test)]
pub(crate) mod tests;
