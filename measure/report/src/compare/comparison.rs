//! What a comparison of two results says.

use serde::Serialize;
use timeline::UnixMicros;

use super::options::Options;
use crate::{
    export::junit::{Case, Outcome},
    summary::{DifferenceUs, LoadedScenario},
};

/// Two results against each other.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// The version of this format, which is the only one so far.
    pub schema_version: u32,
    /// What was before.
    pub a: Side,
    /// What is after.
    pub b: Side,
    /// By how much a p50 may rise: `5%`, `0.5ms`.
    pub tolerance: String,
    /// The worst of the scenarios; `better` where none is worse and one is better. `incomparable` also where only A has a
    /// scenario.
    pub verdict: Verdict,
    /// Whether only what both have was asked for.
    pub partial: bool,
    /// Those that are in both.
    pub scenarios: Vec<Change>,
    /// Names that only A has.
    pub only_in_a: Vec<String>,
    /// Names that only B has.
    pub only_in_b: Vec<String>,
    /// What a reader must know before trusting this.
    pub notes: Vec<String>,
}

/// One of the two results.
#[derive(Clone, Debug, Serialize)]
pub struct Side {
    /// The folder, as it was given.
    pub folder: String,
    /// The scenario file's own name.
    pub name: String,
    /// When it was begun.
    pub started_us: UnixMicros,
    /// Processors, processor and kernel.
    pub machine: String,
}

/// How B does against A.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Not told apart, or within the tolerance.
    Same,
    /// Faster, and the interval says so.
    Better,
    /// Slower or less of it, beyond the tolerance, and the interval says so.
    Regression,
    /// Nothing was measured that could be compared.
    Incomparable,
}

/// Where an interval comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// From repetition to repetition.
    Repetitions,
    /// From second to second within a single repetition: what differs from run to run is not in it.
    Seconds,
}

/// One scenario in both results.
#[derive(Clone, Debug, Serialize)]
pub struct Change {
    /// Its name.
    pub name: String,
    /// Repetitions that both measured.
    pub pairs: u32,
    /// Those of A.
    pub runs_a: Repetitions,
    /// Those of B.
    pub runs_b: Repetitions,
    /// Where the interval of the p50 comes from.
    pub basis: Basis,
    /// The mean of the p50 of those of A, microseconds.
    pub p50_a_us: Option<f64>,
    /// The mean of the p50 of those of B, microseconds.
    pub p50_b_us: Option<f64>,
    /// B minus A.
    pub p50_us: Option<DifferenceUs>,
    /// B minus A of the p99; null where repetitions have fewer than 200 samples.
    pub p99_us: Option<DifferenceUs>,
    /// Lost frames of A, percent of the scheduled: the mean of the repetitions that were begun. One that showed nothing lost
    /// all of them.
    pub lost_a_percent: Option<f64>,
    /// The same of B.
    pub lost_b_percent: Option<f64>,
    /// The effect size, -1 to 1: how much more often a frame of B took longer than one of A than the other way round.
    pub cliffs_delta: Option<f64>,
    /// By how much the p50 may rise, microseconds.
    pub tolerance_us: Option<f64>,
    /// How B does.
    pub verdict: Verdict,
    /// In words.
    pub why: String,
    /// What is not alike in the two beside what is compared.
    pub differs: Vec<String>,
}

/// How many repetitions a scenario has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Repetitions {
    /// Planned; with [`Options::partial`], begun.
    pub planned: u32,
    /// Completed, with frames that were shown.
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

    /// Whether a smaller share of them is whole.
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
                Verdict::Same | Verdict::Better => Outcome::Passed,
                Verdict::Regression => Outcome::Failed {
                    kind: "regression",
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
