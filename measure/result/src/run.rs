//! `run.json`: what was run, and on what machine.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use settings::{Pipeline, Presentation, Role, without_secrets};
use timeline::UnixMicros;

use super::calibration::Calibration;
use super::machine::Machine;
use super::state::MachineState;

/// This program's command line as it is written into a result: without passwords.
pub fn command() -> Vec<String> {
    let words = std::env::args();
    words
        .map(|word| without_secrets(&word).into_owned())
        .collect()
}

/// How far a run got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// The run goes on, or its process died without saying so.
    #[default]
    Running,
    /// Everything that was planned has been measured.
    Finished,
    /// The run failed; `error` in `run.json` says why. What was measured before it stands.
    Failed,
    /// The run was stopped by Ctrl-C. What was measured before it stands.
    Interrupted,
}

/// `run.json`: what was run, and on what. Written at the start, and again at the end.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RunInfo {
    /// [`RUN_VERSION`](crate::RUN_VERSION) of the writer.
    pub schema_version: u32,
    /// The scenario file's own name.
    pub name: String,
    /// How far the run got.
    pub state: RunState,
    /// The error of a run that failed.
    pub error: Option<String>,
    /// When the run began.
    pub started_us: UnixMicros,
    /// The end of the run; absent while the run goes on.
    pub ended_us: Option<UnixMicros>,
    /// The path of the scenario file, as it was given.
    pub scenario_file: String,
    /// The scenario file as it was understood: defaults applied, `--set` applied, every key present.
    pub scenario: serde_json::Value,
    /// How a report shows the scenarios; absent where the file does not say.
    #[serde(default)]
    pub presentation: Option<Presentation>,
    /// What the order of the repetitions was drawn from.
    pub seed: u64,
    /// The repetitions in the order in which they were run.
    pub order: Vec<PlannedRepetition>,
    /// What is in the folder, in the order of the scenario file, each floor before the first scenario that names it.
    pub scenarios: Vec<ScenarioInfo>,
    /// Versions of every program that took part, by program.
    pub versions: BTreeMap<String, String>,
    /// SHA-256 digests of the programs and films that took part, by program or path. Programs of clusters have none here; and
    /// neither have results of earlier versions.
    #[serde(default)]
    pub digests: BTreeMap<String, String>,
    /// The machine that the run was on.
    pub machine: Machine,
    /// The state of the machine at the beginning and at the end of the run, and of each part of one that was gone on with.
    #[serde(default)]
    pub states: Vec<MachineState>,
    /// The last calibration of this machine before the run; absent where there was none.
    #[serde(default)]
    pub calibration: Option<Calibration>,
    /// The command line of the runner.
    pub command: Vec<String>,
}

/// One repetition of one scenario.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PlannedRepetition {
    /// The name of the scenario.
    pub scenario: String,
    /// The number of the repetition, from 1.
    pub run: u32,
}

/// One scenario of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ScenarioInfo {
    /// The name of the scenario, which its folder has too.
    pub name: String,
    /// The pipeline that the scenario measured.
    pub pipeline: Pipeline,
    /// The floor scenario that it is compared with.
    pub floor: Option<String>,
    /// How many repetitions were planned.
    pub runs: u32,
    /// The number of the paper's scenario that it repeats; absent where it repeats none.
    #[serde(default)]
    pub paper: Option<u8>,
    /// The delay that the WAN was given from cluster B to cluster A, microseconds; absent where there is no WAN.
    #[serde(default)]
    pub delay_us: Option<u64>,
    /// The busy-waits at the stamps, by program, microseconds; empty where nothing waits.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hold_us: BTreeMap<Role, u32>,
}
