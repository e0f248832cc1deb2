//! Whether a viewer keeps up with its stream: pure, time is an argument.
//!
//! A frame is behind by how much longer it took than the quickest frames did, from its RTP timestamp to the decoder: that needs no
//! clock in common with the sender, and a delay that is always there does not count. A viewer that has too little processor time,
//! or was stopped, gets further and further behind, because nothing in front of a decoder drops anything. So a frame that is more
//! than three frame intervals behind is not decoded, unless what came late together is caught up within three intervals: frames are
//! dropped up to the next key frame that is not behind.
//!
//! Not every delay that grows is the viewer's:
//!
//! - Timestamps follow the sender's wall clock, which may be set. Frames come in the order in which they were made, so that one can
//!   get later only while time passes here: a timestamp that goes back further than reordering takes it is another clock, and so is
//!   one that is a second ahead of the quickest frames. From there on it is measured anew, and who was behind still is.
//! - Where frames are as far behind as before though none is decoded, what is in front of the viewer has become slower, or a clock
//!   was set by little. That is the new measure.

use timeline::RtpTimestamp;

/// Frames may be so many intervals behind.
const INTERVALS: u64 = 3;

/// A clock that was set by less than this may be taken for frames out of order, or for a network that became quicker.
const SET_NS: i64 = 1_000_000_000;

/// How long frames that are not decoded come equally late until that is the new measure; at low rates it is longer.
const SETTLED_US: u64 = 300_000;

/// How long frames are dropped at most before the viewer takes what comes.
const PATIENCE_US: u64 = 1_000_000;

/// How often a key frame is asked for while frames are dropped.
const ASK_US: u64 = 200_000;

/// Frames that the mean interval is of, about.
const MEAN_OF: i64 = 16;

/// No step counts for more intervals than this, once a mean is known: a sender that stood still says nothing of its rate.
const LONGEST_STEP: i64 = 8;

/// Clocks part by less than one in so many: without it a sender's slow clock would look like a viewer that falls behind.
const DRIFT: i64 = 2_000;

/// What becomes of a frame in front of the decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Decode,
    /// It is not decoded; `ask` says that a key frame is to be asked for.
    Drop {
        ask: bool,
    },
}

/// Follows the frames of one stream.
#[derive(Debug, Default)]
pub(crate) struct Live {
    last: Option<Last>,
    /// How far the last frame was behind the quickest ones.
    behind_ns: i64,
    /// The mean time from one frame to the next, microseconds, of the last frames most: a server that gives two frames almost the same
    /// timestamp sends them no faster.
    interval_us: u64,
    /// Steps that the mean is of, up to [`MEAN_OF`].
    steps: i64,
    /// The furthest that a timestamp went back because frames are not sent in the order of their pictures.
    reordered_ns: i64,
    /// From when on every frame has been behind.
    late_since: Option<u64>,
    dropping: Option<Dropping>,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    timestamp: RtpTimestamp,
    at_us: u64,
}

#[derive(Clone, Copy, Debug)]
struct Dropping {
    since_us: u64,
    asked_us: u64,
    level: Level,
}

/// How far frames are behind, within three intervals, and since when.
#[derive(Clone, Copy, Debug)]
struct Level {
    behind_us: u64,
    since_us: u64,
}

impl Live {
    /// Takes the next frame, which stands before the decoder at `now_us` of a clock that never steps.
    pub(crate) fn frame(&mut self, timestamp: RtpTimestamp, is_key: bool, now_us: u64) -> Fate {
        let mut behind_us = self.behind(timestamp, now_us);
        let limit_us = INTERVALS * self.interval_us;
        if self.has_settled(behind_us, limit_us, now_us) {
            (self.behind_ns, behind_us) = (0, 0);
        }
        let is_behind = self.interval_us > 0 && behind_us > limit_us;
        if let Some(dropping) = &mut self.dropping {
            let waited_us = now_us.saturating_sub(dropping.since_us);
            if is_key && (!is_behind || waited_us >= PATIENCE_US) {
                if is_behind {
                    self.behind_ns = 0;
                }
                (self.dropping, self.late_since) = (None, None);
                return Fate::Decode;
            }
            let ask = now_us.saturating_sub(dropping.asked_us) >= ASK_US;
            if ask {
                dropping.asked_us = now_us;
            }
            return Fate::Drop { ask };
        }
        if !is_behind {
            self.late_since = None;
            return Fate::Decode;
        }
        let since_us = *self.late_since.get_or_insert(now_us);
        if now_us.saturating_sub(since_us) < limit_us {
            return Fate::Decode;
        }
        self.dropping = Some(Dropping {
            since_us: now_us,
            asked_us: now_us,
            level: Level {
                behind_us,
                since_us: now_us,
            },
        });
        Fate::Drop { ask: true }
    }

    /// How far the frame is behind the quickest ones, microseconds.
    fn behind(&mut self, timestamp: RtpTimestamp, now_us: u64) -> u64 {
        let at_us = now_us;
        let Some(last) = self.last.replace(Last { timestamp, at_us }) else {
            return 0;
        };
        let ticks = timestamp.0.wrapping_sub(last.timestamp.0).cast_signed();
        let step_ns = i64::from(ticks) * 100_000 / 9;
        let passed_us = now_us.saturating_sub(last.at_us);
        let passed_ns = i64::try_from(passed_us.saturating_mul(1_000)).unwrap_or(i64::MAX);
        let moved_ns = passed_ns.saturating_sub(step_ns);
        let behind_ns = (self.behind_ns - passed_ns / DRIFT).saturating_add(moved_ns);

        let back_ns = -step_ns;
        let is_set = back_ns > self.reordered_ns || behind_ns < -SET_NS;
        if back_ns <= SET_NS {
            self.reordered_ns = self.reordered_ns.max(back_ns);
        }
        if is_set {
            // The frame was made one interval after the last one, or later.
            let interval_ns = i64::try_from(self.interval_us * 1_000).unwrap_or(i64::MAX);
            let gained_ns = interval_ns.saturating_sub(passed_ns).max(0);
            self.behind_ns = self.behind_ns.saturating_sub(gained_ns).max(0);
        } else {
            self.interval(step_ns);
            self.behind_ns = behind_ns.max(0);
        }
        self.behind_ns.unsigned_abs() / 1_000
    }

    /// Takes the time from one timestamp to the next, which is negative where frames are not sent in the order of their pictures.
    fn interval(&mut self, step_ns: i64) {
        let mean_us = i64::try_from(self.interval_us).unwrap_or(i64::MAX);
        let mut step_us = step_ns / 1_000;
        if self.steps == MEAN_OF && mean_us > 0 {
            let longest_us = mean_us.saturating_mul(LONGEST_STEP);
            step_us = step_us.clamp(-longest_us, longest_us);
        }
        self.steps = (self.steps + 1).min(MEAN_OF);
        let moved_us = step_us.saturating_sub(mean_us) / self.steps;
        self.interval_us = mean_us.saturating_add(moved_us).max(0).unsigned_abs();
    }

    /// Whether frames have been as far behind as this one for long enough, though none was decoded.
    fn has_settled(&mut self, behind_us: u64, limit_us: u64, now_us: u64) -> bool {
        let Some(dropping) = &mut self.dropping else {
            return false;
        };
        if behind_us.abs_diff(dropping.level.behind_us) > limit_us {
            dropping.level = Level {
                behind_us,
                since_us: now_us,
            };
        }
        now_us.saturating_sub(dropping.level.since_us) >= SETTLED_US.max(2 * limit_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL_US: u64 = 16_667;
    /// A key frame each second.
    const GOP: u64 = 60;

    fn timestamp(frame: u64) -> RtpTimestamp {
        // Begins shortly before the wrap.
        let ticks = u64::from(u32::MAX) - 40 * 1_500 + frame * 1_500;
        RtpTimestamp(u32::try_from(ticks % (1 << 32)).expect("below the wrap"))
    }

    /// Plays frames that come at `arrival`; the decoder takes `decode_us` for each. Gives each frame's lateness at the decoder and
    /// fate.
    fn play(
        frames: u64,
        arrival: impl Fn(u64) -> u64,
        decode_us: impl Fn(u64) -> u64,
    ) -> Vec<(u64, Fate)> {
        play_set(frames, arrival, decode_us, |_| 0)
    }

    /// The same, while the sender's clock is wrong by `set_us` of the frame's number.
    fn play_set(
        frames: u64,
        arrival: impl Fn(u64) -> u64,
        decode_us: impl Fn(u64) -> u64,
        set_us: impl Fn(u64) -> i64,
    ) -> Vec<(u64, Fate)> {
        let mut live = Live::default();
        let (mut free, mut wanted_at) = (0, None);
        (0..frames)
            .map(|frame| {
                let now = arrival(frame).max(free);
                // What is asked for is in the first frame that is made 20 ms later or more.
                let served = wanted_at.is_some_and(|at| frame * INTERVAL_US >= at + 20_000);
                wanted_at = wanted_at.filter(|_| !served);
                let is_key = served || frame % GOP == 0;
                let fate = live.frame(set(timestamp(frame), set_us(frame)), is_key, now);
                if fate == (Fate::Drop { ask: true }) {
                    wanted_at.get_or_insert(now);
                }
                free = now
                    + if fate == Fate::Decode {
                        decode_us(now)
                    } else {
                        30
                    };
                (now - arrival(frame), fate)
            })
            .collect()
    }

    fn set(timestamp: RtpTimestamp, by_us: i64) -> RtpTimestamp {
        let ticks = (by_us * 9 / 100).rem_euclid(1 << 32);
        let ticks = u32::try_from(ticks).expect("below the wrap");
        RtpTimestamp(timestamp.0.wrapping_add(ticks))
    }

    /// When a frame comes to a viewer that was stopped for five seconds: the socket had it meanwhile, the process did not.
    fn around_a_stop(frame: u64) -> u64 {
        let at = frame * INTERVAL_US;
        let stopped = 3_000_000..8_000_000;
        if stopped.contains(&at) {
            stopped.end
        } else {
            at
        }
    }

    fn dropped(played: &[(u64, Fate)]) -> usize {
        played
            .iter()
            .filter(|(_, fate)| *fate != Fate::Decode)
            .count()
    }

    /// A server that takes its timestamps from when packets came to it: two are almost alike, and the next is twice as far.
    #[test]
    fn timestamps_in_pairs_are_no_faster_stream() {
        let mut live = Live::default();
        for frame in 0..600_u64 {
            let made_us = 40_000 * (frame / 2 * 2) + 400 * (frame % 2);
            let ticks = u32::try_from(made_us * 9 / 100).expect("a minute");
            let fate = live.frame(RtpTimestamp(ticks), frame % 60 == 0, 40_000 * frame);
            assert_eq!(fate, Fate::Decode, "frame {frame}");
        }
    }

    #[test]
    fn a_decoder_that_is_too_slow_stays_near_the_stream() {
        let on_time = |frame| frame * INTERVAL_US;
        let played = play(1_800, on_time, |_| 25_000);
        let worst = played.iter().map(|(late, _)| *late).max().expect("frames");
        // Without it: 1800 x 8.3 ms, fifteen seconds.
        assert!(worst < 150_000, "{worst}");
        let lost = dropped(&played);
        assert!((500..1_300).contains(&lost), "{lost} of 1800");
        let first = played.iter().find(|(_, fate)| *fate != Fate::Decode);
        assert_eq!(first.map(|(_, fate)| *fate), Some(Fate::Drop { ask: true }));
        assert_eq!(dropped(&play(1_800, on_time, |_| 9_000)), 0);
    }

    #[test]
    fn who_was_stopped_is_live_again_at_the_next_key_frame() {
        let played = play(900, around_a_stop, |_| 2_000);
        let after: Vec<_> = (0..900_u64)
            .zip(&played)
            .filter(|(frame, (_, fate))| {
                around_a_stop(*frame) - frame * INTERVAL_US > 100_000 && *fate == Fate::Decode
            })
            .collect();
        assert!(
            after.len() < 40,
            "{} frames of the past were decoded",
            after.len()
        );
        let lost = dropped(&played);
        assert!((200..300).contains(&lost), "{lost}");
        let end = &played[600..];
        assert_eq!(dropped(end), 0, "live again");
    }

    #[test]
    fn what_comes_late_together_and_is_caught_up_is_decoded() {
        // A retransmission holds up a fifth of a second, again and again.
        let arrival = |frame: u64| {
            let (round, place) = (frame / 100, frame % 100);
            (round * 100 + if place < 12 { 12 } else { place }) * INTERVAL_US
        };
        assert_eq!(dropped(&play(1_000, arrival, |_| 2_000)), 0);
    }

    #[test]
    fn a_network_that_became_slower_is_not_the_viewer() {
        let arrival = |frame: u64| frame * INTERVAL_US + if frame < 300 { 0 } else { 180_000 };
        let played = play(1_200, arrival, |_| 2_000);
        let lost = dropped(&played);
        assert!((15..40).contains(&lost), "{lost}");
        assert_eq!(dropped(&played[350..]), 0);
    }

    #[test]
    fn clocks_that_part_and_frames_that_are_missing_are_no_lateness() {
        // Six hours at 200 ppm are four seconds.
        let drifts = |frame: u64| frame * INTERVAL_US + frame * INTERVAL_US / 5_000;
        assert_eq!(dropped(&play(1_300_000, drifts, |_| 2_000)), 0);
        let mut live = Live::default();
        for frame in (0..3_000).filter(|frame| frame % 7 < 3) {
            let at = frame * INTERVAL_US;
            assert_eq!(live.frame(timestamp(frame), false, at), Fate::Decode);
        }
    }

    #[test]
    fn a_clock_that_is_set_drops_nothing() {
        let on_time = |frame| frame * INTERVAL_US;
        // Forwards and back again, as the wall clock of a whole host: three seconds, less than reordering may be, a day.
        for set_us in [3_000_000, 300_000, 86_400_000_000] {
            for sign in [1, -1] {
                let set = |frame| match frame {
                    120..360 => sign * set_us,
                    _ => 0,
                };
                let played = play_set(600, on_time, |_| 2_000, set);
                assert_eq!(dropped(&played), 0, "{set_us} us, {sign}");
            }
        }
    }

    #[test]
    fn who_is_too_slow_is_so_after_a_step_of_the_clock_too() {
        for sign in [1, -1] {
            let set = |frame| sign * 3_000_000 * i64::from(frame % 240 >= 120);
            let played = play_set(1_800, |frame| frame * INTERVAL_US, |_| 25_000, set);
            let worst = played.iter().map(|(late, _)| *late).max().expect("frames");
            assert!(worst < 200_000, "{worst}");
            let lost = dropped(&played);
            assert!((500..1_300).contains(&lost), "{lost} of 1800");
        }
    }

    /// The clock is set while the viewer is stopped: what waited for it is of the past all the same.
    #[test]
    fn a_stall_with_a_burst_and_a_step_in_it_is_dropped() {
        let set = |frame| -3_000_000 * i64::from(frame >= 300);
        let played = play_set(900, around_a_stop, |_| 2_000, set);
        let lost = dropped(&played);
        assert!((200..300).contains(&lost), "{lost}");
        assert_eq!(dropped(&played[600..]), 0, "live again");
    }

    #[test]
    fn frames_out_of_order_are_no_step_of_the_clock() {
        // Each third frame is sent before the two that are shown before it.
        let order = |frame: u64| match frame % 3 {
            0 => frame,
            1 => frame + 1,
            _ => frame - 1,
        };
        let shown = |frame: u64| (order(frame).cast_signed() - frame.cast_signed()) * 16_667;
        let play = |decode_us| play_set(1_800, |frame| frame * INTERVAL_US, |_| decode_us, shown);
        assert_eq!(dropped(&play(2_000)), 0);
        assert!(dropped(&play(25_000)) > 400, "too slow a decoder");
    }

    proptest::proptest! {
        /// A stream that comes on time but for a jitter of an interval, from a sender whose clock is set at any frame by anything.
        #[test]
        fn frames_on_time_are_decoded_whatever_is_set(
            steps in proptest::collection::vec((0_u64..600, -(1_i64 << 34)..1_i64 << 34), 0..8),
            jitter in proptest::collection::vec(0..INTERVAL_US, 50),
        ) {
            // A step back by less could be frames out of order.
            let steps: Vec<_> = steps.into_iter().filter(|(_, by)| *by >= 0 || *by < -1_100_000).collect();
            let set = |frame| steps.iter().filter(|(at, _)| *at <= frame).map(|(_, by)| by).sum();
            let arrival = |frame: u64| frame * INTERVAL_US + jitter[usize::try_from(frame % 50).expect("small")];
            proptest::prop_assert_eq!(dropped(&play_set(600, arrival, |_| 1_000, set)), 0);
        }

        /// Nothing that a sender or a network does ends it.
        #[test]
        fn any_frames_are_taken(frames in proptest::collection::vec((0_u32.., proptest::bool::ANY, 0_u64..), 0..60)) {
            let mut live = Live::default();
            for (timestamp, is_key, now_us) in frames {
                live.frame(RtpTimestamp(timestamp), is_key, now_us);
            }
        }
    }
}
