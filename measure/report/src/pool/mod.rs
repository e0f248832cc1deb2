//! `xrbench pool A B C`: what several runs of the same scenarios say together, and where the next one will be.
//!
//! A run's own interval knows what its repetitions did within an hour of one machine. What hours, machines and builds do to a figure is
//! only in the spread between runs: a random-effects model ([`stats::pool`]) gives the mean over runs, how far runs lie apart beyond
//! what their repetitions explain, and a prediction interval, for each scenario, each difference and each ratio.

pub mod cli;
mod figures;
mod show;

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::compare::{BadInput, Side, builds, machine_settings, read, settings, versions};
use crate::summary::LoadedResult;
pub use figures::{PairPool, Pooled, ScenarioPool};

/// The version of what `xrbench pool --json` prints.
const POOL_VERSION: u32 = 1;

/// Several runs together.
#[derive(Clone, Debug, Serialize)]
pub struct Pool {
    /// The version of this format.
    pub schema_version: u32,
    /// The runs, in the order in which they were given.
    pub runs: Vec<Side>,
    /// The scenarios that at least two runs measured.
    pub scenarios: Vec<ScenarioPool>,
    /// Every two scenarios that can be compared within a run, in at least two runs.
    pub differences: Vec<PairPool>,
    /// Remarks that a reader must know before trusting the figures.
    pub notes: Vec<String>,
}

/// Reads the runs and pools them.
///
/// # Errors
/// [`BadInput`] where one cannot be read, or where no scenario is in two of them.
pub fn pool(paths: &[PathBuf], partial: bool) -> anyhow::Result<Pool> {
    let runs: Vec<LoadedResult> = paths
        .iter()
        .map(|path| read(path, partial))
        .collect::<anyhow::Result<_>>()?;
    let scenarios = figures::scenarios(&runs);
    if scenarios.is_empty() {
        let names = |at: usize| {
            let of = runs.get(at).map_or(&[][..], |run| &run.scenarios);
            let names: Vec<_> = of.iter().map(|one| one.info.name.as_str()).collect();
            names.join(", ")
        };
        let path = |at: usize| {
            paths
                .get(at)
                .map_or_else(String::new, |path| path.display().to_string())
        };
        return Err(BadInput::NothingInCommon {
            a: path(0),
            of_a: names(0),
            b: path(1),
            of_b: names(1),
        }
        .into());
    }
    Ok(Pool {
        schema_version: POOL_VERSION,
        runs: paths
            .iter()
            .zip(&runs)
            .map(|(path, run)| Side::of(path, run))
            .collect(),
        differences: figures::pairs(&runs),
        notes: notes(paths, &runs),
        scenarios,
    })
}

/// What the runs do not have alike.
fn notes(paths: &[PathBuf], runs: &[LoadedResult]) -> Vec<String> {
    let mut notes = Vec::new();
    let alone = runs.iter().zip(paths).filter(|(run, _)| {
        let mut measured = run.scenarios.iter().filter(|one| !one.runs.is_empty());
        measured.any(|one| one.runs.len() < 2)
    });
    notes.extend(alone.map(|(_, path)| {
        format!(
            "{} has scenarios of one repetition: of their figures, what repetitions do counts as what runs do",
            path.display()
        )
    }));
    let older = runs.iter().zip(paths);
    notes.extend(
        older.filter_map(|(run, path)| Some(format!("{}: {}", path.display(), run.older()?))),
    );
    if let Some((first, rest)) = runs.split_first() {
        for (path, other) in paths[1..].iter().zip(rest) {
            notes.extend(unlike(&paths[0], first, path, other));
        }
    }
    notes
}

/// What two of the runs do not have alike.
fn unlike(a: &Path, of_a: &LoadedResult, b: &Path, of_b: &LoadedResult) -> Vec<String> {
    let mut said = settings(&of_a.info.scenario, &of_b.info.scenario);
    if of_a.info.digests != of_b.info.digests {
        said.extend(builds(&of_a.info.digests, &of_b.info.digests));
    }
    said.extend(versions(&of_a.info, &of_b.info));
    said.extend(machine_settings(&of_a.info, &of_b.info));
    let machine = |of: &LoadedResult| {
        let machine = &of.info.machine;
        (machine.cpu.clone(), machine.cores, machine.kernel.clone())
    };
    if machine(of_a) != machine(of_b) {
        said.push("different machines or kernels".into());
    }
    let both = format!("{} and {}", a.display(), b.display());
    said.into_iter()
        .map(|text| format!("{both}: {text}"))
        .collect()
}

#[cfg(test)]
mod tests;
