//! How many frames a time was to have. Rate times length is right on average only: the first and the last frame of a window are
//! stamped a little before or after their ticks, and a frame that falls out of the window by that is not lost.

use super::{Disturbances, Window};

/// How much longer than a frame interval, as a part of it, the time between an edge of a window and the nearest frame is until a frame
/// is missing there.
const EDGE: f64 = 0.25;

/// What a stamp may be off its tick by rounding, as a part of a frame interval.
const STAMP: f64 = 0.01;

/// The frames that a renderer with `fps` ticks a second was to stamp in `span`: those that it stamped there, at `times_us`
/// (ascending), those that are missing between them, and those before the first and after the last.
pub(crate) fn scheduled(times_us: &[u64], span: Window, fps: f64) -> u64 {
    let from = times_us.partition_point(|at_us| *at_us < span.from_us);
    let to = times_us.partition_point(|at_us| *at_us < span.to_us);
    let there = times_us.get(from..to).unwrap_or_default();
    let (Some(first), Some(last)) = (there.first(), there.last()) else {
        return whole((span.seconds() * fps).round());
    };
    let intervals = |us: u64| us as f64 / 1e6 * fps;
    // The window's begin belongs to it, and its end does not.
    let before = match intervals(first - span.from_us) {
        empty if empty < 1.0 + EDGE => 0,
        empty => whole((empty + STAMP).floor()),
    };
    let after = match intervals(span.to_us - last) {
        empty if empty < 1.0 + EDGE => 0,
        empty => whole((empty - STAMP).ceil() - 1.0),
    };
    let between = whole(intervals(last - first).round()) + 1;
    let stamped = there.len() as u64;
    before + stamped.max(between) + after
}

/// The ticks between two frames that were stamped then, neither of the two among them.
pub(crate) fn between(from_us: u64, to_us: u64, fps: f64) -> u64 {
    let intervals = to_us.saturating_sub(from_us) as f64 / 1e6 * fps;
    whole(intervals.round() - 1.0)
}

/// As [`scheduled`], of the part of `window` that was not disturbed.
pub(crate) fn scheduled_quiet(
    times_us: &[u64],
    window: Window,
    disturbances: &Disturbances,
    fps: f64,
) -> u64 {
    let mut from_us = window.from_us;
    let mut sum = 0;
    let end = Window {
        from_us: window.to_us,
        to_us: window.to_us,
    };
    for disturbed in disturbances.spans().iter().chain([&end]) {
        let to_us = disturbed.from_us.clamp(from_us, window.to_us);
        if from_us < to_us {
            sum += scheduled(times_us, Window { from_us, to_us }, fps);
        }
        from_us = disturbed.to_us.clamp(from_us, window.to_us);
    }
    sum
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "frames of a window: positive and far below 2^53"
)]
fn whole(frames: f64) -> u64 {
    frames.max(0.0) as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WINDOW: Window = Window {
        from_us: 10_000_000,
        to_us: 14_000_000,
    };

    /// Ticks at 30 a second from half a second before the window to half a second after it; the first at `phase` of an interval.
    fn ticks(phase: f64) -> impl Iterator<Item = u64> {
        (0..150).map(move |n| whole((f64::from(n) + phase) * 1e6 / 30.0) + 9_500_000)
    }

    proptest! {
        /// Stamps that jitter by a tenth of an interval never make a frame more or less than was stamped.
        #[test]
        fn jitter_at_the_edges_is_no_loss(phase in 0.0_f64..1.0, jitter in prop::collection::vec(0_u64..3_300, 150)) {
            let mut times: Vec<_> = ticks(phase).zip(jitter).map(|(at, late)| at + late).collect();
            times.sort_unstable();
            let stamped = times.iter().filter(|at| WINDOW.contains(**at)).count() as u64;
            prop_assert!((119..=121).contains(&stamped));
            prop_assert_eq!(scheduled(&times, WINDOW, 30.0), stamped);
        }

        /// What is missing is scheduled, wherever it is missing.
        #[test]
        fn a_frame_that_was_not_produced_is_scheduled(first in 0_usize..150, count in 2_usize..60, phase in 0.3_f64..0.7) {
            let missing = first..first + count;
            let times: Vec<_> = ticks(phase).enumerate().filter(|(n, _)| !missing.contains(n)).map(|(_, at)| at).collect();
            prop_assert_eq!(scheduled(&times, WINDOW, 30.0), 120);
        }
    }

    #[test]
    fn quiet_times_have_their_own_schedule() {
        let second = |from_us| Window {
            from_us,
            to_us: from_us + 1_000_000,
        };
        let times: Vec<_> = ticks(0.5).collect();
        let of =
            |spans: Vec<Window>| scheduled_quiet(&times, WINDOW, &Disturbances::new(spans), 30.0);
        assert_eq!(of(Vec::new()), 120);
        assert_eq!(of(vec![second(11_000_000)]), 90);
        assert_eq!(of(vec![second(9_500_000), second(13_500_000)]), 90);
        assert_eq!(
            of(vec![Window {
                from_us: 0,
                to_us: u64::MAX
            }]),
            0
        );
        assert_eq!(scheduled(&[], WINDOW, 30.0), 120);
    }
}
