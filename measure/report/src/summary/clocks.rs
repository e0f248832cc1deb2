//! Whether the clocks can be believed that the times are from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Note, NoteKind};
use result::{MAX_SLEW_PPM, RepetitionMeta};

/// Figures that say whether the clocks can be believed.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ClockFigures {
    /// Frames that were decoded before they were generated: their latencies are negative, and none of the others is to be believed.
    pub negative: u64,
    /// The largest certain distance of a service's clock from xrbench's at the start or the end of a repetition, with its sign, where
    /// all should be one clock, microseconds.
    pub off_us: i64,
    /// The largest step of the wall clock in a second, microseconds.
    pub step_us: i64,
    /// The largest rate at which the clocks were slewed against the processor's own in a second, parts in a million.
    pub slew_ppm: f64,
}

impl ClockFigures {
    /// The worst of all repetitions, which have so many negative latencies.
    pub(super) fn of(metas: &[&RepetitionMeta], negative: u64) -> Self {
        let worst = |of: fn(&RepetitionMeta) -> i64| {
            let all = metas.iter().map(|meta| of(meta));
            all.max_by_key(|us| us.unsigned_abs()).unwrap_or(0)
        };
        Self {
            negative,
            off_us: worst(RepetitionMeta::clock_off_us),
            step_us: worst(|meta| meta.clock_step_us),
            slew_ppm: metas
                .iter()
                .map(|meta| meta.clock_slew_ppm)
                .fold(
                    0.0,
                    |worst: f64, ppm| if ppm.abs() > worst.abs() { ppm } else { worst },
                ),
        }
    }
}

/// A smaller step is what two readings of two clocks are apart, microseconds.
const LEAST_STEP_US: u64 = 1_000;

/// No more steps are listed.
const MAX_STEPS: usize = 10;

/// What is to be said of the clocks of a repetition, whose seconds saw these steps.
pub(super) fn of_repetition(meta: &RepetitionMeta, steps_us: &[i64]) -> Vec<String> {
    let mut said = Vec::new();
    let is_step = |us: &i64| us.unsigned_abs() > LEAST_STEP_US;
    let mut steps: Vec<i64> = steps_us.iter().copied().filter(is_step).collect();
    if steps.is_empty() {
        steps.extend(Some(meta.clock_step_us).filter(is_step));
    }
    if !steps.is_empty() {
        let listed = steps.iter().take(MAX_STEPS).map(|us| format!("{us:+} us"));
        let listed: Vec<_> = listed.collect();
        let more = match steps.len().saturating_sub(MAX_STEPS) {
            0 => String::new(),
            more => format!(", and {more} times more"),
        };
        said.push(format!(
            "the wall clock stepped by {}{more}: times across a step are wrong by it, and freezes there may be none",
            listed.join(", ")
        ));
    }
    let off = meta.clock_checks.iter().filter(|check| check.off_us() != 0);
    said.extend(off.map(|check| {
        let way = if check.offset_us > 0 {
            "ahead of"
        } else {
            "behind"
        };
        format!(
            "the clock of {} was {:.3} ± {:.3} ms {way} xrbench's, {}",
            check.source,
            check.offset_us.unsigned_abs() as f64 / 1e3,
            check.uncertainty_us as f64 / 1e3,
            check.when
        )
    }));
    if meta.clock_slew_ppm.abs() > MAX_SLEW_PPM {
        said.push(format!(
            "the clocks were slewed by up to {:.0} ppm: a latency of 100 ms may be wrong by {:.0} us",
            meta.clock_slew_ppm,
            meta.clock_slew_ppm.abs() / 10.0
        ));
    }
    said
}

/// What the times of a scenario give reason to say, of which the smallest latency and the frames out of order are these.
pub(super) fn notes(of: ClockFigures, least_us: i64, out_of_order: u64) -> Vec<Note> {
    let mut said = Vec::new();
    if of.negative > 0 {
        said.push(format!(
            "{} frames were decoded before they were generated, by up to {:.3} ms: the clocks of renderer and client disagree, and \
             no latency of them is to be believed",
            of.negative,
            least_us.unsigned_abs() as f64 / 1e3
        ));
    }
    if out_of_order > 0 {
        said.push(format!(
            "{out_of_order} frames passed a point before the one in front of it: the clocks of two services disagree, and the stages \
             on both sides are wrong"
        ));
    }
    said.into_iter()
        .map(|text| Note::new(NoteKind::Clock, text))
        .collect()
}
