//! A scenario as the page draws it: its repetitions as one, in its colour.

use crate::{
    charts::Ink,
    summary::{LoadedResult, LoadedScenario},
};
use result::Pipeline;
use stats::Measured;

/// A scenario as the page draws it: its repetitions merged, and its colour.
pub(super) struct MergedScenario<'a> {
    pub scenario: &'a LoadedScenario,
    pub measured: Measured,
    pub ink: Ink,
}

impl MergedScenario<'_> {
    pub(super) fn name(&self) -> &str {
        &self.scenario.info.name
    }

    /// The number of the paper's scenario that it repeats.
    pub(super) fn paper(&self) -> Option<u8> {
        self.scenario.info.paper
    }

    pub(super) fn is(&self, pipeline: Pipeline) -> bool {
        self.scenario.info.pipeline == pipeline
    }

    /// The latency that `share` (0 to 1) of the frames do not exceed, in milliseconds.
    pub(super) fn quantile_ms(&self, share: f64) -> f64 {
        let us = self.measured.all.histogram.quantile_us(share);
        us.unwrap_or(0) as f64 / 1e3
    }
}

/// Scenarios that have samples, in the order of the file; floors and references are among them.
pub(super) fn merged(loaded: &LoadedResult) -> Vec<MergedScenario<'_>> {
    let mut number = 0;
    loaded
        .scenarios
        .iter()
        .map(|scenario| {
            let ink = if scenario.info.pipeline == Pipeline::Floor {
                Ink::Quiet
            } else {
                number += 1;
                let of_paper = scenario.info.paper.map(usize::from);
                Ink::Series(of_paper.unwrap_or(number).saturating_sub(1))
            };
            MergedScenario {
                scenario,
                measured: scenario.merged(),
                ink,
            }
        })
        .filter(|one| one.measured.figures().is_some())
        .collect()
}
