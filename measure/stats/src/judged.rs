//! Which frames count, and which of them met a disturbed machine: one rule for figures, and for whoever lists the frames.

use timeline::{
    Point,
    frames_csv::{FrameRow, Phase},
};

use super::{Disturbances, Window};

/// The time by which a frame is placed, microseconds since the Unix epoch: its generation, or, where that is not known, the first time
/// that is.
pub(crate) fn placed(row: &FrameRow) -> Option<u64> {
    let mut known = Point::ALL.into_iter().filter_map(|point| row.at(point));
    known.next().map(|at| at.0)
}

/// Whether a frame is of the measured time `window`, and so in the figures.
pub fn is_measured(row: &FrameRow, window: Window) -> bool {
    match placed(row) {
        Some(time) => window.contains(time) && row.phase != Some(Phase::Warmup),
        None => row.phase == Some(Phase::Measured),
    }
}

/// Whether the machine was disturbed at any moment of a frame's way, as its latency is judged; of a frame without an end, at the time by
/// which it is placed. None where nobody watched the machine.
pub fn is_disturbed(row: &FrameRow, disturbances: Option<&Disturbances>) -> Option<bool> {
    let Some(disturbances) = disturbances else {
        return row.disturbed;
    };
    let from = placed(row);
    let to = row.at(Point::Decoded).map(|at| at.0);
    let met = from.is_some_and(|from_us| disturbances.meets(from_us, to.unwrap_or(from_us)));
    Some(met || row.disturbed == Some(true))
}
