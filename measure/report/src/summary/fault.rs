//! What was done on purpose, and what it cost: from `events.csv` and what was seen.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{LoadedRepetition, LoadedScenario, Note, NoteKind, read::Fault};
use stats::{Freeze, Sample, Window};

/// A freeze that begins so much later is of something else, microseconds.
const REACTION_US: u64 = 2_000_000;

/// Something that was done on purpose in a repetition, and what it cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FaultAt {
    /// The number of the repetition, from 1.
    #[schemars(range(min = 1))]
    pub run: u32,
    /// The time of the deed, microseconds from the beginning of measuring.
    pub at_us: u64,
    /// The deed: `outage begins`, `outage ends`, `kill`, `fail`, `drain`, `move`.
    pub what: String,
    /// The program, gateway or cluster that it was done to.
    pub who: String,
    /// The longest freeze that went on at the time or began within two seconds, microseconds; 0 without any. Null where nobody
    /// knows when pictures were shown.
    pub frozen_us: Option<u64>,
    /// Frames that were generated in that freeze and not shown; null as above.
    pub lost: Option<u64>,
}

/// The deeds of every repetition.
pub(super) fn of(one: &LoadedScenario) -> Vec<FaultAt> {
    let runs = one.runs.iter();
    runs.flat_map(|run| run.faults.iter().map(|fault| cost(run, fault)))
        .collect()
}

fn cost(run: &LoadedRepetition, fault: &Fault) -> FaultAt {
    let at_us = fault.at.0;
    let begun_us = run.window.map_or(at_us, |window| window.from_us);
    let display = run.measured.display.as_ref();
    let longest = display.map(|display| {
        let near = display
            .freezes
            .iter()
            .filter(|one| one.to_us > at_us && one.from_us <= at_us.saturating_add(REACTION_US));
        near.max_by_key(|one| one.length_us())
    });
    FaultAt {
        run: run.meta.run,
        at_us: at_us.saturating_sub(begun_us),
        what: fault.what.clone(),
        who: fault.who.clone(),
        frozen_us: longest.map(|freeze| freeze.map_or(0, Freeze::length_us)),
        lost: longest.map(|freeze| freeze.map_or(0, |freeze| lost(run, freeze))),
    }
}

/// Frames that were generated in a freeze and never shown.
fn lost(run: &LoadedRepetition, freeze: &Freeze) -> u64 {
    let samples = run.measured.samples.iter();
    let frames: Vec<_> = samples
        .map(|one| (one.generated_us, shown_us(one)))
        .collect();
    let freeze = Window {
        from_us: freeze.from_us,
        to_us: freeze.to_us,
    };
    let interval_us = 1e6 / run.meta.fps.max(1.0);
    missing(&frames, freeze, run.window.unwrap_or(freeze), interval_us)
}

/// Frames that are missing after the last one that was shown before a freeze, until the first that was generated after it. Those that
/// waited meanwhile come first when it ends, and are not among them. `frames` are generations with the times of showing.
fn missing(frames: &[(u64, u64)], freeze: Window, measured: Window, interval_us: f64) -> u64 {
    let before = frames.iter().filter(|(_, shown)| *shown <= freeze.from_us);
    let from_us = before.map(|(generated, _)| *generated).max();
    let from_us = from_us.unwrap_or(measured.from_us);
    let generated = frames.iter().map(|(generated, _)| *generated);
    let after = generated.clone().filter(|at| *at >= freeze.to_us);
    let to_us = after.min().unwrap_or(measured.to_us);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "frames of a repetition: positive and far below 2^53"
    )]
    let scheduled = (to_us.saturating_sub(from_us) as f64 / interval_us - 1.0)
        .round()
        .max(0.0) as u64;
    // Several clients may have shown one frame.
    let shown: BTreeSet<u64> = generated
        .filter(|at| (from_us + 1..to_us).contains(at))
        .collect();
    scheduled.saturating_sub(shown.len() as u64)
}

/// When a frame was shown, but for what lies between its decoding and that.
const fn shown_us(sample: &Sample) -> u64 {
    sample.generated_us.saturating_add_signed(sample.latency_us)
}

/// What a deed makes of frames that were shown; nothing where it ends no client. A client begins the numbers of its reports anew, so that
/// no gap in them tells of these.
fn unreported(fault: &FaultAt) -> &'static str {
    let is_ended = matches!(fault.what.as_str(), "kill" | "fail");
    if is_ended && fault.who.starts_with("client") {
        "; what the client had shown in its last 150 ms was not reported yet, and counts as lost too"
    } else {
        ""
    }
}

/// Each deed with its cost, in a sentence.
pub(super) fn notes(faults: &[FaultAt]) -> Vec<Note> {
    let said = |fault: &FaultAt| {
        let cost = match (fault.frozen_us, fault.lost) {
            (None, _) => "what it cost is unknown".to_owned(),
            (Some(0), _) => "no freeze near it".to_owned(),
            (Some(us), lost) => format!(
                "no new picture for {:.2} s, and {} frames of that time were lost",
                us as f64 / 1e6,
                lost.unwrap_or(0)
            ),
        };
        let at_s = fault.at_us as f64 / 1e6;
        let (what, who) = (&fault.what, &fault.who);
        Note::new(
            NoteKind::Fault,
            format!(
                "run {}: on purpose after {at_s:.2} s: {what} ({who}): {cost}{}",
                fault.run,
                unreported(fault)
            ),
        )
    };
    faults.iter().map(said).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A link is away from the thirtieth frame's time on for a second; its queue keeps five frames, and hands them on when it is back.
    #[test]
    fn frames_that_waited_in_a_queue_are_not_lost_and_hide_none_that_are() {
        let at = |number: u64| number * 40_000;
        let back_us = at(55) + 2_000;
        let frames: Vec<_> = (0..100)
            .filter(|number| !(35..55).contains(number))
            .map(|number| {
                (
                    at(number),
                    (at(number) + 2_000).max(if number < 30 { 0 } else { back_us }),
                )
            })
            .collect();
        let window = |from_us, to_us| Window { from_us, to_us };
        let freeze = window(at(29) + 2_000, back_us);
        let measured = window(0, at(100));
        assert_eq!(missing(&frames, freeze, measured, 40_000.0), 20);
        // Two clients, and one that never came back.
        let twice = [frames.clone(), frames.clone()].concat();
        assert_eq!(missing(&twice, freeze, measured, 40_000.0), 20);
        let gone = window(at(29) + 2_000, at(100));
        assert_eq!(missing(&frames[..30], gone, measured, 40_000.0), 70);
    }
}
