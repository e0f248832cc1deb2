//! `run.json`: what was run, and on what machine.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use timeline::UnixMicros;

use super::calibration::Calibration;

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

/// What a scenario measures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pipeline {
    /// xr-renderer, xr-streamer, xr-client.
    #[default]
    Ours,
    /// An unmodified ffmpeg renders and another plays, both with their defaults; xr-streamer is between them.
    Reference,
    /// The same with ffmpeg's settings for low latency.
    ReferenceTuned,
    /// The codec alone, in one process.
    Floor,
}

impl Pipeline {
    /// Every pipeline.
    pub const ALL: [Self; 4] = [
        Self::Ours,
        Self::Reference,
        Self::ReferenceTuned,
        Self::Floor,
    ];

    /// The word of scenario files and results.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Reference => "reference",
            Self::ReferenceTuned => "reference-tuned",
            Self::Floor => "floor",
        }
    }

    /// Whether ffmpeg renders and plays, so that latency is known from OCR alone.
    pub const fn is_reference(self) -> bool {
        matches!(self, Self::Reference | Self::ReferenceTuned)
    }
}

impl fmt::Display for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
