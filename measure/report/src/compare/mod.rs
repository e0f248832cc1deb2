//! `xrbench compare A B`: whether a later result is worse than an earlier one, scenario by scenario.
//!
//! Scenarios are matched by name and their repetitions by number. A is what was before, B what is after; a positive
//! difference says that B is slower. Two results are of two times, and a machine does not keep its speed: what decides is the
//! change of a scenario beyond that of its floor, which was measured in the same rounds. What is missing is never left out: a
//! repetition that showed nothing lost every frame, and a scenario that only A has makes the two incomparable.

mod bad_input;
pub mod cli;
mod comparison;
mod evidence;
mod notes;
mod options;
mod provenance;
mod read;
mod show;
mod tolerance;
mod view;

use std::path::Path;

use anyhow::Context as _;

use crate::summary::LoadedResult;
use evidence::Evidence;
use notes::notes;
pub(crate) use notes::{builds, settings};
pub(crate) use provenance::{machine_settings, versions};
pub(crate) use read::{open, read, unfinished};
use result::Pipeline;

pub use bad_input::BadInput;
pub use comparison::{Change, Comparison, OwnChangeUs, Repetitions, Side, Verdict};
pub use options::Options;
pub use tolerance::Tolerance;

/// The version of what `xrbench compare --json` prints.
const COMPARISON_VERSION: u32 = 2;

/// Reads both results and compares them.
///
/// # Errors
/// [`BadInput`] where they cannot be compared.
pub fn compare(a: &Path, b: &Path, options: Options) -> anyhow::Result<Comparison> {
    let (from, to) = (read(a, options.partial)?, read(b, options.partial)?);
    let planned = |loaded: &LoadedResult| -> Vec<String> {
        let names = loaded.scenarios.iter();
        names
            .filter(|one| one.info.pipeline != Pipeline::Floor)
            .filter(|one| !options.partial || !one.runs.is_empty())
            .map(|one| one.info.name.clone())
            .collect()
    };
    let (names_a, names_b) = (planned(&from), planned(&to));
    let common = names_a.iter().filter(|name| names_b.contains(name));
    let evidence = common.filter_map(|name| Evidence::of(&from, &to, name, options));
    let scenarios = evidence::changes(evidence.collect());
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
        a: Side::of(a, &from),
        b: Side::of(b, &to),
        tolerance: options.tolerance.to_string(),
        partial: options.partial,
        verdict: if any(Verdict::Regression) {
            Verdict::Regression
        } else if any(Verdict::Incomparable) || !(only_in_a.is_empty() || options.partial) {
            Verdict::Incomparable
        } else if any(Verdict::Inconclusive) {
            Verdict::Inconclusive
        } else if any(Verdict::Better) {
            Verdict::Better
        } else {
            Verdict::Equivalent
        },
        only_in_a,
        only_in_b: only(&names_b, &names_a),
        notes: notes(&from, &to, &scenarios),
        scenarios,
    })
}

/// Writes the page of a comparison to `path`.
pub fn write_page(path: &Path, comparison: &Comparison) -> anyhow::Result<()> {
    let page = show::page(comparison).context("cannot draw the page")?;
    result::write_atomic(path, page.as_bytes())
}

#[cfg(test)]
mod tests;
