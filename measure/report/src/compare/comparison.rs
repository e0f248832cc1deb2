//! What a comparison of two results says.

use std::path::Path;

use serde::Serialize;
use timeline::UnixMicros;

use super::options::Options;
use crate::{
    export::junit::{Case, Outcome},
    summary::{LoadedResult, LoadedScenario, differences::tenth},
};

/// Two results against each other.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// The version of this format.
    pub schema_version: u32,
    /// The earlier result.
    pub a: Side,
    /// The later result.
    pub b: Side,
    /// The largest rise of a p50 beyond its floor's that is no regression: `5%`, `500us`.
    pub tolerance: String,
    /// The worst verdict of the scenarios; `better` where all are equivalent or better, and one is better. `incomparable` also
    /// where only A has a scenario.
    pub verdict: Verdict,
    /// Whether only what both have was asked for.
    pub partial: bool,
    /// The scenarios that both results have.
    pub scenarios: Vec<Change>,
    /// The scenarios that only A has.
    pub only_in_a: Vec<String>,
    /// The scenarios that only B has.
    pub only_in_b: Vec<String>,
    /// Remarks that a reader must know before trusting the comparison.
    pub notes: Vec<String>,
}

/// A result that stands beside others.
#[derive(Clone, Debug, Serialize)]
pub struct Side {
    /// The folder, as it was given.
    pub folder: String,
    /// The scenario file's own name.
    pub name: String,
    /// The beginning of the run.
    pub started_us: UnixMicros,
    /// Processors, processor and kernel.
    pub machine: String,
}

impl Side {
    /// The result in the folder `path`.
    pub(crate) fn of(path: &Path, loaded: &LoadedResult) -> Self {
        let machine = &loaded.info.machine;
        Self {
            folder: path.display().to_string(),
            name: loaded.info.name.clone(),
            started_us: loaded.info.started_us,
            machine: format!(
                "{} cores, {}, {}",
                machine.cores, machine.cpu, machine.kernel
            ),
        }
    }
}

/// The verdict on B against A.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Not worse by more than the tolerance.
    Equivalent,
    /// Faster.
    Better,
    /// Slower or less of it, beyond the tolerance, and chance does not explain it.
    Regression,
    /// Measured, and worse beyond the tolerance or not: what was measured does not tell.
    Inconclusive,
    /// Nothing was measured that could be compared.
    Incomparable,
}

/// The change of a scenario from A to B.
#[derive(Clone, Debug, Serialize)]
pub struct Change {
    /// The name of the scenario.
    pub name: String,
    /// Repetitions that both results measured.
    pub pairs: u32,
    /// The repetitions of A.
    pub runs_a: Repetitions,
    /// The repetitions of B.
    pub runs_b: Repetitions,
    /// The mean of the p50 of those of A, microseconds.
    pub p50_a_us: Option<f64>,
    /// The mean of the p50 of those of B, microseconds.
    pub p50_b_us: Option<f64>,
    /// The change of the p50 as it was measured, microseconds: what the machine did between the two results is in it.
    pub p50_change_us: Option<f64>,
    /// The change of the p99, as that of the p50; null where repetitions have fewer than 200 samples.
    pub p99_change_us: Option<f64>,
    /// The change of the p50 beyond the floor's; null where no round of both results has a floor.
    pub own_us: Option<OwnChangeUs>,
    /// Lost frames of A, percent of the scheduled: the mean of the repetitions that were begun. One that showed nothing lost
    /// all of them.
    pub lost_a_percent: Option<f64>,
    /// Lost frames of B, in percent of the scheduled, as those of A.
    pub lost_b_percent: Option<f64>,
    /// The effect size, -1 to 1: how much more often a frame of B took longer than one of A than the other way round.
    pub cliffs_delta: Option<f64>,
    /// The largest rise of the p50 beyond its floor's that is no regression, microseconds.
    pub tolerance_us: Option<f64>,
    pub verdict: Verdict,
    /// The reason of the verdict, in words.
    pub why: String,
    /// Settings that are not alike in the two results.
    pub differs: Vec<String>,
}

/// The change of a p50 beyond that of its floor: a difference in differences, microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct OwnChangeUs {
    /// Rounds of both results with this scenario and its floor.
    pub rounds: u32,
    /// The change of the floor's p50.
    pub floor: f64,
    /// The change of the p50, minus that of the floor's.
    pub difference: f64,
    /// The 95 % confidence interval, with what the machine's change of speed may explain beside the codec; null with one round.
    pub ci: Option<[f64; 2]>,
}

impl From<stats::Change> for OwnChangeUs {
    fn from(of: stats::Change) -> Self {
        Self {
            rounds: of.rounds,
            floor: tenth(of.floor),
            difference: tenth(of.mean()),
            ci: of.interval().map(|(low, high)| [tenth(low), tenth(high)]),
        }
    }
}

/// The repetitions of a scenario, counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Repetitions {
    /// Planned repetitions; with [`Options::partial`], begun ones.
    pub planned: u32,
    /// Completed repetitions with frames that were shown.
    pub whole: u32,
}

impl Repetitions {
    pub(super) fn of(one: &LoadedScenario, options: Options) -> Self {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Self {
            planned: if options.partial {
                count(one.runs.len())
            } else {
                one.info.runs
            },
            whole: count(one.runs.iter().filter(|run| run.is_whole()).count()),
        }
    }

    /// Whether a smaller share of these repetitions is whole.
    pub(super) const fn is_less_than(self, other: Self) -> bool {
        (self.whole as u64) * (other.planned as u64) < (other.whole as u64) * (self.planned as u64)
    }
}

impl Comparison {
    /// A JUnit case for each scenario of A.
    pub fn cases(&self) -> Vec<Case> {
        let us = |us: Option<f64>| us.map_or_else(|| "-".into(), |us| format!("{us:.0}"));
        let compared = self.scenarios.iter().map(|one| Case {
            name: one.name.clone(),
            seconds: 0.0,
            outcome: match one.verdict {
                Verdict::Equivalent | Verdict::Better => Outcome::Passed,
                Verdict::Regression => Outcome::Failed {
                    kind: "regression",
                    why: one.why.clone(),
                },
                Verdict::Inconclusive => Outcome::Error {
                    kind: "inconclusive",
                    why: one.why.clone(),
                },
                Verdict::Incomparable => Outcome::Error {
                    kind: "incomparable",
                    why: one.why.clone(),
                },
            },
            output: format!(
                "p50 in us: {} before, {} after; {}",
                us(one.p50_a_us),
                us(one.p50_b_us),
                one.why
            ),
        });
        let missing = self.only_in_a.iter().map(|name| Case {
            name: name.clone(),
            seconds: 0.0,
            outcome: if self.partial {
                Outcome::Passed
            } else {
                Outcome::Error {
                    kind: "missing",
                    why: "B has no such scenario".into(),
                }
            },
            output: String::new(),
        });
        compared.chain(missing).collect()
    }
}
