//! What a reader must know before trusting a comparison.

use super::comparison::Change;
use crate::summary::{LoadedResult, differences};
use result::{Pipeline, RunState};
use stats::{Estimate, pairs};

pub(super) fn notes(a: &LoadedResult, b: &LoadedResult, scenarios: &[Change]) -> Vec<String> {
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
        let Some(other) = b.scenario(&floor.info.name) else {
            continue;
        };
        let (of_a, of_b) = (differences::figures(floor), differences::figures(other));
        let moved = Estimate::of_figure(&pairs(&of_a, &of_b), |run| Some(run.p50));
        if let Some(moved) = moved.filter(|moved| moved.is_distinguishable(0.0)) {
            notes.push(format!(
                "the codec alone ({}) moved by {:+.2} ms: the machine or the encoder is not what it was, and no verdict has that",
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
    }
    notes
}
