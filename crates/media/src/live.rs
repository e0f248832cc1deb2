//! Whether a viewer keeps up with its stream: pure, time is an argument.
//!
//! A frame is behind by how much longer it took than the quickest frames did, from its RTP timestamp to the decoder: that needs no
//! clock in common with the sender, and a delay that is always there does not count. A viewer that has too little processor time,
//! or was stopped, gets further and further behind, because nothing in front of a decoder drops anything. So a frame that is more
//! than three frame intervals behind is not decoded, unless what came late together is caught up within three intervals: frames are
//! dropped up to the next key frame that is not behind. Where frames stay behind for a second though none is decoded, the network has
//! become slower, and that is the new measure.

use timeline::RtpTimestamp;

/// Frames may be so many intervals behind.
const INTERVALS: u64 = 3;

/// How long frames are dropped at most before the viewer takes what comes.
const PATIENCE_US: u64 = 1_000_000;

/// How often a key frame is asked for while frames are dropped.
const ASK_US: u64 = 200_000;

/// Clocks part by less, in microseconds a second: without it a sender's slow clock would look like a viewer that falls behind.
const DRIFT_PER_S: u64 = 500;

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
    /// The shortest time between two frames, microseconds; it follows a slower rate by and by.
    interval_us: u64,
    /// From when on every frame has been behind.
    late_since: Option<u64>,
    dropping: Option<Dropping>,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    timestamp: RtpTimestamp,
    /// The timestamp without its wrap, in ticks.
    ticks: i64,
    at_us: u64,
    /// From the timestamp to the decoder, of the quickest frames; its zero is arbitrary.
    quickest_us: i64,
}

#[derive(Clone, Copy, Debug)]
struct Dropping {
    since_us: u64,
    asked_us: u64,
}

impl Live {
    /// Takes the next frame, which stands before the decoder at `now_us` of a clock that never steps.
    pub(crate) fn frame(&mut self, timestamp: RtpTimestamp, is_key: bool, now_us: u64) -> Fate {
        let behind_us = self.behind(timestamp, now_us);
        let limit_us = INTERVALS * self.interval_us;
        let is_behind = self.interval_us > 0 && behind_us > limit_us;
        if let Some(dropping) = &mut self.dropping {
            let waited_us = now_us.saturating_sub(dropping.since_us);
            if is_key && (!is_behind || waited_us >= PATIENCE_US) {
                if let Some(last) = self.last.as_mut().filter(|_| is_behind) {
                    last.quickest_us += behind_us.cast_signed();
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
        });
        Fate::Drop { ask: true }
    }

    /// How far the frame is behind the quickest ones, microseconds.
    fn behind(&mut self, timestamp: RtpTimestamp, now_us: u64) -> u64 {
        let took = |ticks: i64| now_us.cast_signed() - ticks * 100 / 9;
        let Some(last) = self.last else {
            self.last = Some(Last {
                timestamp,
                ticks: 0,
                at_us: now_us,
                quickest_us: took(0),
            });
            return 0;
        };
        let step = timestamp.0.wrapping_sub(last.timestamp.0).cast_signed();
        let ticks = last.ticks + i64::from(step);
        if let Ok(step_us) = u64::try_from(i64::from(step) * 100 / 9)
            && step_us > 0
        {
            self.interval_us = match self.interval_us {
                0 => step_us,
                shortest if step_us < shortest => step_us,
                shortest => shortest + (step_us - shortest) / 16,
            };
        }
        let passed_us = now_us.saturating_sub(last.at_us);
        let drift_us = (passed_us * DRIFT_PER_S / 1_000_000).cast_signed();
        let quickest_us = (last.quickest_us + drift_us).min(took(ticks));
        self.last = Some(Last {
            timestamp,
            ticks,
            // What is too short to drift is kept until it is not.
            at_us: if drift_us > 0 { now_us } else { last.at_us },
            quickest_us,
        });
        (took(ticks) - quickest_us).unsigned_abs()
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
        let mut live = Live::default();
        let (mut free, mut wanted_at) = (0, None);
        (0..frames)
            .map(|frame| {
                let now = arrival(frame).max(free);
                // What is asked for is in the first frame that is made 20 ms later or more.
                let served = wanted_at.is_some_and(|at| frame * INTERVAL_US >= at + 20_000);
                wanted_at = wanted_at.filter(|_| !served);
                let is_key = served || frame % GOP == 0;
                let fate = live.frame(timestamp(frame), is_key, now);
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

    fn dropped(played: &[(u64, Fate)]) -> usize {
        played
            .iter()
            .filter(|(_, fate)| *fate != Fate::Decode)
            .count()
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
        let stopped = 3_000_000..8_000_000;
        let arrival = |frame: u64| {
            let at = frame * INTERVAL_US;
            // The socket had them; the process did not.
            if stopped.contains(&at) {
                stopped.end
            } else {
                at
            }
        };
        let played = play(900, arrival, |_| 2_000);
        let after: Vec<_> = (0..900_u64)
            .zip(&played)
            .filter(|(frame, (_, fate))| {
                arrival(*frame) - frame * INTERVAL_US > 100_000 && *fate == Fate::Decode
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
        assert!((30..130).contains(&lost), "{lost}");
        assert_eq!(dropped(&played[450..]), 0);
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
}
