//! What was done on purpose, and what it cost: from `events.csv` and what was seen.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{LoadedRun, LoadedScenario, Note, NoteKind, read::Fault};
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

fn cost(run: &LoadedRun, fault: &Fault) -> FaultAt {
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

/// Frames that are missing between the last sample that was shown before the end of a freeze and the one before its beginning.
fn lost(run: &LoadedRun, freeze: &Freeze) -> u64 {
    let interval_us = 1e6 / run.meta.fps.max(1.0);
    let samples = &run.measured.samples;
    let before = samples.iter().filter(|one| shown_us(one) <= freeze.from_us);
    let after = samples.iter().filter(|one| shown_us(one) >= freeze.to_us);
    let window = run.window.unwrap_or(Window {
        from_us: freeze.from_us,
        to_us: freeze.to_us,
    });
    let from_us = before
        .map(|one| one.generated_us)
        .max()
        .unwrap_or(window.from_us);
    let to_us = after
        .map(|one| one.generated_us)
        .min()
        .unwrap_or(window.to_us);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "frames of a repetition: positive and far below 2^53"
    )]
    let frames = (to_us.saturating_sub(from_us) as f64 / interval_us - 1.0)
        .round()
        .max(0.0) as u64;
    frames
}

/// When a frame was shown, but for what lies between its decoding and that.
const fn shown_us(sample: &Sample) -> u64 {
    sample.generated_us.saturating_add_signed(sample.latency_us)
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
                "run {}: on purpose after {at_s:.2} s: {what} ({who}): {cost}",
                fault.run
            ),
        )
    };
    faults.iter().map(said).collect()
}
