//! `xrbench compare A B`: whether a later result is worse than an earlier one, scenario by scenario.
//!
//! Scenarios are matched by name and their repetitions by number. A is what was before, B what is after; a positive
//! difference says that B is slower. B is a regression where it is slower by more than the tolerance and the interval of the
//! difference lies above zero, where it loses more frames, or where it completed fewer of its planned repetitions. What is
//! missing is never left out: a repetition that showed nothing lost every frame, and a scenario that only A has makes the two
//! incomparable.

mod bad_input;
pub mod cli;
mod comparison;
mod notes;
mod options;
mod read;
mod show;
mod tolerance;
mod view;

use std::path::Path;

use anyhow::Context as _;

use crate::summary::{DifferenceUs, LoadedResult, LoadedRun, LoadedScenario, differences};
use notes::notes;
use read::read;
use result::Pipeline;
use stats::{Estimate, RunFigures, cliffs_delta, p50_change, pairs};

pub use bad_input::BadInput;
pub use comparison::{Basis, Change, Comparison, Repetitions, Side, Verdict};
pub use options::Options;
pub use tolerance::Tolerance;

/// The version of what `xrbench compare --json` prints.
const COMPARISON_VERSION: u32 = 1;

/// Frames may be lost more by this much, in percent of the scheduled, before it counts.
const LOST_TOLERANCE_PERCENT: f64 = 0.5;

/// Reads both results and compares them.
///
/// # Errors
/// [`BadInput`] where they cannot be compared.
pub fn compare(a: &Path, b: &Path, options: Options) -> anyhow::Result<Comparison> {
    let (from, to) = (read(a, options)?, read(b, options)?);
    let tolerance = options.tolerance;
    let planned = |loaded: &LoadedResult| -> Vec<String> {
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
        .filter_map(|name| Some(change(from.scenario(name)?, to.scenario(name)?, options)))
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
        schema_version: COMPARISON_VERSION,
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

fn side(path: &Path, loaded: &LoadedResult) -> Side {
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

/// Writes the page of a comparison to `path`.
pub fn write_page(path: &Path, comparison: &Comparison) -> anyhow::Result<()> {
    let page = show::page(comparison).context("cannot draw the page")?;
    result::write_atomic(path, page.as_bytes())
}

#[cfg(test)]
mod tests;
