//! `xrbench compare A B`: whether a later result is worse than an earlier one, scenario by scenario.
//!
//! Scenarios are matched by name and their repetitions by number. A is what was before, B what is after; a positive
//! difference says that B is slower. B is a regression where it is slower by more than the tolerance and the interval of the
//! difference lies above zero, where it loses more frames, or where it completed fewer of its planned repetitions. What is
//! missing is never left out: a repetition that showed nothing lost every frame, and a scenario that only A has makes the two
//! incomparable.

pub mod cli;
mod page;
mod table;
mod tolerance;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Serialize;
use timeline::UnixMicros;

use crate::{
    export::junit::{Case, Outcome},
    summary::{self, DifferenceUs, Loaded, LoadedRun, LoadedScenario, NoteKind, differences},
};
use result::{Pipeline, RunFolder, RunState, SCHEMA_VERSION};
use stats::{Estimate, RunFigures, cliffs_delta, p50_change, pairs};

pub use tolerance::Tolerance;

/// Frames may be lost more by this much, in percent of the scheduled, before it counts.
const LOST_TOLERANCE_PERCENT: f64 = 0.5;

/// What cannot be compared; xrbench exits 3.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadInput {
    /// There is no such folder.
    #[error(
        "there is no folder {}: give two folders that `xrbench run --out DIR` wrote, as in `xrbench compare results/before results/after`",
        path.display()
    )]
    NoFolder {
        /// As it was given.
        path: PathBuf,
    },
    /// It holds no result, or one that cannot be read.
    #[error("{} holds no result that can be read: {why}. Give a folder that `xrbench run --out DIR` wrote", path.display())]
    NoResult {
        /// As it was given.
        path: PathBuf,
        /// What was in the way.
        why: String,
    },
    /// Another version wrote it.
    #[error(
        "{} has schema_version {version}, and this xrbench reads {SCHEMA_VERSION}: compare with the xrbench that wrote it, or measure again",
        path.display()
    )]
    Schema {
        /// As it was given.
        path: PathBuf,
        /// What its run.json says.
        version: u64,
    },
    /// It was stopped before its end.
    #[error(
        "{} is a run that was not finished ({state}): finish it with `xrbench run FILE --out {} --resume`, or compare what both have with --partial",
        path.display(), path.display()
    )]
    Unfinished {
        /// As it was given.
        path: PathBuf,
        /// How far it got.
        state: &'static str,
    },
    /// Frames are missing from a file that had them.
    #[error("{} is damaged: {why}. Copy the result again, or measure again", path.display())]
    Damaged {
        /// As it was given.
        path: PathBuf,
        /// Which file, and what is missing.
        why: String,
    },
    /// They share no scenario.
    #[error(
        "no scenario is in both results: {a} has {of_a}, {b} has {of_b}. Scenarios are matched by name: run the same scenario file twice"
    )]
    NothingInCommon {
        /// The first folder.
        a: String,
        /// Its scenarios.
        of_a: String,
        /// The second folder.
        b: String,
        /// Its scenarios.
        of_b: String,
    },
}

/// Two results against each other.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// The same numbers as those of `summary.json`.
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
    fn of(one: &LoadedScenario, options: Options) -> Self {
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
    const fn is_less_than(self, other: Self) -> bool {
        (self.whole as u64) * (other.planned as u64) < (other.whole as u64) * (self.planned as u64)
    }
}

/// What is compared, and how strictly.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// By how much a p50 may rise.
    pub tolerance: Tolerance,
    /// Compare what both have: of unfinished results, what was begun, and nothing of what only A has.
    pub partial: bool,
}

/// Reads both results and compares them.
///
/// # Errors
/// [`BadInput`] where they cannot be compared.
pub fn compare(a: &Path, b: &Path, options: Options) -> anyhow::Result<Comparison> {
    let (from, to) = (read(a, options)?, read(b, options)?);
    let tolerance = options.tolerance;
    let planned = |loaded: &Loaded| -> Vec<String> {
        let names = loaded.scenarios.iter();
        names
            .filter(|one| one.info.pipeline != Pipeline::Floor)
            .filter(|one| !options.partial || !one.runs.is_empty())
            .map(|one| one.info.name.clone())
            .collect()
    };
    let (names_a, names_b) = (planned(&from), planned(&to));
    let scenarios: Vec<Change> = names_a
        .iter()
        .filter(|name| names_b.contains(name))
        .filter_map(|name| Some(change(find(&from, name)?, find(&to, name)?, options)))
        .collect();
    if scenarios.is_empty() {
        let list = |names: &[String]| match names {
            [] => "none".to_owned(),
            names => names.join(", "),
        };
        return Err(BadInput::NothingInCommon {
            a: a.display().to_string(),
            of_a: list(&names_a),
            b: b.display().to_string(),
            of_b: list(&names_b),
        }
        .into());
    }
    let only = |these: &[String], others: &[String]| -> Vec<String> {
        let these = these.iter();
        these
            .filter(|name| !others.contains(name))
            .cloned()
            .collect()
    };
    let any = |verdict| scenarios.iter().any(|one| one.verdict == verdict);
    let only_in_a = only(&names_a, &names_b);
    Ok(Comparison {
        schema_version: SCHEMA_VERSION,
        a: side(a, &from),
        b: side(b, &to),
        tolerance: tolerance.to_string(),
        partial: options.partial,
        verdict: if any(Verdict::Regression) {
            Verdict::Regression
        } else if any(Verdict::Incomparable) || !(only_in_a.is_empty() || options.partial) {
            Verdict::Incomparable
        } else if any(Verdict::Better) {
            Verdict::Better
        } else {
            Verdict::Same
        },
        only_in_a,
        only_in_b: only(&names_b, &names_a),
        notes: notes(&from, &to, &scenarios),
        scenarios,
    })
}

fn read(path: &Path, options: Options) -> anyhow::Result<Loaded> {
    let no_result = |why: String| BadInput::NoResult {
        path: path.to_owned(),
        why,
    };
    if !path.is_dir() {
        return Err(BadInput::NoFolder {
            path: path.to_owned(),
        }
        .into());
    }
    let folder = RunFolder::new(path);
    // The version first: a file of another version need not be readable in any other respect.
    let text = std::fs::read(folder.run_json())
        .map_err(|error| no_result(format!("run.json: {error}")))?;
    let version = serde_json::from_slice::<serde_json::Value>(&text)
        .ok()
        .and_then(|value| value.get("schema_version")?.as_u64())
        .ok_or_else(|| no_result("run.json says no schema_version".into()))?;
    if version != u64::from(SCHEMA_VERSION) {
        return Err(BadInput::Schema {
            path: path.to_owned(),
            version,
        }
        .into());
    }
    let loaded = summary::load(&folder).map_err(|error| no_result(format!("{error:#}")))?;
    let state = match loaded.info.state {
        RunState::Running => Some("it goes on, or its process died"),
        RunState::Interrupted => Some("it was interrupted"),
        RunState::Finished | RunState::Failed => None,
    };
    if let Some(state) = state.filter(|_| !options.partial) {
        return Err(BadInput::Unfinished {
            path: path.to_owned(),
            state,
        }
        .into());
    }
    for one in &loaded.scenarios {
        if let Some(run) = one.runs.iter().find(|run| run.damaged) {
            let notes = run.notes.iter().filter(|note| note.kind == NoteKind::Files);
            let why: Vec<_> = notes.map(|note| note.text.as_str()).collect();
            return Err(BadInput::Damaged {
                path: path.to_owned(),
                why: format!("{}, {}", one.info.name, why.join("; ")),
            }
            .into());
        }
    }
    Ok(loaded)
}

fn find<'a>(loaded: &'a Loaded, name: &str) -> Option<&'a LoadedScenario> {
    loaded.scenarios.iter().find(|one| one.info.name == name)
}

fn side(path: &Path, loaded: &Loaded) -> Side {
    let machine = &loaded.info.machine;
    Side {
        folder: path.display().to_string(),
        name: loaded.info.name.clone(),
        started_us: loaded.info.started_us,
        machine: format!(
            "{} cores, {}, {}",
            machine.cores, machine.cpu, machine.kernel
        ),
    }
}

/// The interval of a p50, and where it comes from.
fn p50(
    a: &LoadedScenario,
    b: &LoadedScenario,
    pairs: &[(&RunFigures, &RunFigures)],
) -> Option<(Estimate, Basis)> {
    let estimate = Estimate::of_figure(pairs, |run| Some(run.p50))?;
    let [(one, other)] = pairs else {
        return Some((estimate, Basis::Repetitions));
    };
    let samples = |of: &LoadedScenario, run: u32| {
        let found = of.runs.iter().find(|one| one.meta.run == run);
        found.map(|one| one.measured.samples.clone())
    };
    let ci = samples(a, one.run)
        .zip(samples(b, other.run))
        .and_then(|(a, b)| p50_change(&a, &b, 1));
    Some((estimate.with_interval(ci), Basis::Seconds))
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    (count > 0.0).then(|| sum / count)
}

/// Lost frames of a repetition, in percent of the scheduled. One that was begun and showed nothing lost all of them.
fn lost_percent(run: &LoadedRun) -> f64 {
    let frames = run.measured.judged();
    if frames.scheduled == 0 {
        return 100.0;
    }
    frames.lost as f64 * 100.0 / frames.scheduled as f64
}

/// What the lost frames of the repetitions that both began say, B minus A.
fn lost(a: &LoadedScenario, b: &LoadedScenario) -> Option<Estimate> {
    let pairs = a.runs.iter().filter_map(|one| {
        let other = b.runs.iter().find(|other| other.meta.run == one.meta.run)?;
        Some(lost_percent(other) - lost_percent(one))
    });
    Estimate::of(&pairs.collect::<Vec<_>>(), 0.0)
}

fn change(a: &LoadedScenario, b: &LoadedScenario, options: Options) -> Change {
    let (of_a, of_b) = (differences::figures(a), differences::figures(b));
    let pairs = pairs(&of_a, &of_b);
    let p50_a_us = mean(pairs.iter().map(|(a, _)| a.p50));
    let of_p50 = p50(a, b, &pairs);
    let [before, after] = [a, b].map(|of| mean(of.runs.iter().map(lost_percent)));
    let [runs_a, runs_b] = [a, b].map(|of| Repetitions::of(of, options));
    let tolerance_us = p50_a_us.map(|p50| options.tolerance.us(p50));
    let (verdict, why) = if of_a.is_empty() {
        (Verdict::Incomparable, "no frame was measured in A".into())
    } else if of_b.is_empty() {
        (Verdict::Regression, "no frame was measured in B".into())
    } else if runs_b.is_less_than(runs_a) {
        (
            Verdict::Regression,
            format!(
                "{} of {} repetitions were completed with frames, of A {} of {}",
                runs_b.whole, runs_b.planned, runs_a.whole, runs_a.planned
            ),
        )
    } else if lost(a, b).is_some_and(loses) {
        (
            Verdict::Regression,
            format!(
                "loses {:.2} % of the frames instead of {:.2} %",
                after.unwrap_or_default(),
                before.unwrap_or_default()
            ),
        )
    } else {
        match of_p50.zip(tolerance_us) {
            None => (
                Verdict::Incomparable,
                "no repetition was measured in both".into(),
            ),
            Some(((estimate, _), tolerance_us)) => verdict(estimate, tolerance_us),
        }
    };
    let meta = |of: &LoadedScenario| of.runs.first().map(|run| run.meta.clone());
    Change {
        name: a.info.name.clone(),
        pairs: u32::try_from(pairs.len()).unwrap_or(u32::MAX),
        runs_a,
        runs_b,
        basis: of_p50.map_or(Basis::Repetitions, |(_, basis)| basis),
        p50_a_us,
        p50_b_us: mean(pairs.iter().map(|(_, b)| b.p50)),
        p50_us: of_p50.map(|(estimate, _)| DifferenceUs::new(estimate, 0)),
        p99_us: Estimate::of_figure(&pairs, |run| run.p99).map(|of| DifferenceUs::new(of, 0)),
        lost_a_percent: before,
        lost_b_percent: after,
        cliffs_delta: cliffs_delta(&pairs),
        tolerance_us,
        verdict,
        why,
        differs: meta(a)
            .zip(meta(b))
            .map_or_else(Vec::new, |(a, b)| differences::settings(&a, &b)),
    }
}

/// More lost frames than chance and the tolerance explain. A single repetition has no interval: frames are not lost by
/// chance there, and the tolerance alone decides.
fn loses(lost: Estimate) -> bool {
    lost.difference > LOST_TOLERANCE_PERCENT && lost.ci.is_none_or(|(low, _)| low > 0.0)
}

fn verdict(of: Estimate, tolerance_us: f64) -> (Verdict, String) {
    let Some((low, high)) = of.ci else {
        let why = "too little for an interval: fewer than two repetitions, and less than 5 s";
        return (Verdict::Same, why.into());
    };
    if low > 0.0 && of.difference > tolerance_us {
        (Verdict::Regression, "slower beyond the tolerance".into())
    } else if low > 0.0 {
        (Verdict::Same, "slower, within the tolerance".into())
    } else if high < 0.0 {
        (Verdict::Better, "faster".into())
    } else {
        (Verdict::Same, "not distinguishable".into())
    }
}

fn notes(a: &Loaded, b: &Loaded, scenarios: &[Change]) -> Vec<String> {
    let mut notes = Vec::new();
    let (of_a, of_b) = (&a.info.machine, &b.info.machine);
    let alike = (&of_a.cpu, of_a.cores, &of_a.kernel) == (&of_b.cpu, of_b.cores, &of_b.kernel);
    if !alike {
        notes.push("the two were measured on different machines or kernels".into());
    }
    for floor in a
        .scenarios
        .iter()
        .filter(|one| one.info.pipeline == Pipeline::Floor)
    {
        let Some(other) = find(b, &floor.info.name) else {
            continue;
        };
        let (of_a, of_b) = (differences::figures(floor), differences::figures(other));
        let moved = Estimate::of_figure(&pairs(&of_a, &of_b), |run| Some(run.p50));
        if let Some(moved) = moved.filter(|moved| moved.is_distinguishable(0.0)) {
            notes.push(format!(
                "the codec alone ({}) moved by {:+.2} ms: the machine or the encoder is not what it was",
                floor.info.name,
                moved.difference / 1e3
            ));
        }
    }
    for (side, of) in [("A", a), ("B", b)] {
        let said = match of.info.state {
            RunState::Finished => continue,
            RunState::Running => "was not finished",
            RunState::Failed => "failed",
            RunState::Interrupted => "was interrupted",
        };
        let why = of
            .info
            .error
            .as_deref()
            .map_or_else(String::new, |why| format!(" ({why})"));
        notes.push(format!(
            "{side} {said}{why}: what it planned and did not measure is missing here"
        ));
    }
    for one in scenarios {
        let (of_a, of_b) = (one.runs_a, one.runs_b);
        if of_a.whole != of_a.planned || of_b.whole != of_b.planned || of_a.planned != of_b.planned
        {
            notes.push(format!(
                "{}: {} of {} repetitions of A and {} of {} of B were completed with frames; its times are of the {} that both \
                 have",
                one.name, of_a.whole, of_a.planned, of_b.whole, of_b.planned, one.pairs
            ));
        }
        if one.basis == Basis::Seconds {
            notes.push(format!(
                "{}: a single repetition; its interval does not know how runs differ from one another",
                one.name
            ));
        }
        if !one.differs.is_empty() {
            notes.push(format!(
                "{}: not like with like, {} differs",
                one.name,
                one.differs.join(" and ")
            ));
        }
    }
    notes.push(
        "two results are of two times: what the machine did in between is in the difference; scenarios of one result are not \
         subject to that"
            .into(),
    );
    notes
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

/// Writes the page of a comparison to `path`.
pub fn write_page(path: &Path, comparison: &Comparison) -> anyhow::Result<()> {
    let page = page::render(comparison).context("cannot draw the page")?;
    result::write_atomic(path, page.as_bytes())
}

#[cfg(test)]
mod tests;
