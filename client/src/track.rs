//! Tells shown, duplicate, frozen and missing frames apart, by frame number.

use std::collections::VecDeque;

use timeline::{FrameNumber, Reading, UnixMicros};

/// Pictures kept to recognise a repetition by: more than any decoder or jitter buffer can hold back.
const REMEMBERED: usize = 64;

/// What a picture turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A frame that was not shown before.
    Shown,
    /// A frame that was shown before: a repetition, or a picture that stands still.
    Duplicate,
    /// The stamp could not be read: never a sample.
    Unread,
    /// Packets of the picture never came: never a sample, whatever its stamp says.
    Damaged,
}

/// A follower of frame numbers. Numbers that a renderer skipped or the network lost are missing until they appear.
#[derive(Debug, Default)]
pub struct Tracker {
    recent: VecDeque<(FrameNumber, UnixMicros)>,
    newest: Option<(FrameNumber, UnixMicros)>,
    missing: u64,
    restarts: u64,
}

impl Tracker {
    /// Judges the next picture.
    pub fn judge(&mut self, reading: Reading) -> Verdict {
        let (frame, generated) = match reading {
            Reading::Read { frame, generated } => (frame, generated),
            Reading::Unread => return Verdict::Unread,
            Reading::Damaged => return Verdict::Damaged,
        };
        if self.recent.contains(&(frame, generated)) {
            return Verdict::Duplicate;
        }
        match self.newest {
            None => self.newest = Some((frame, generated)),
            // Whatever its time says: the clock may have been set back.
            Some((number, _)) if frame > number => {
                self.missing += u64::from(frame.0 - number.0) - 1;
                self.newest = Some((frame, generated));
            }
            // A lower number with a later time: another renderer process counts from 0 again. What the old one made and
            // nobody saw is not known from here.
            Some((_, at)) if generated > at => {
                self.restarts += 1;
                self.newest = Some((frame, generated));
            }
            // Out of order: it had been counted as missing.
            Some(_) => self.missing = self.missing.saturating_sub(1),
        }
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back((frame, generated));
        Verdict::Shown
    }

    /// Frame numbers between the first and the newest that were not shown.
    pub fn missing(&self) -> u64 {
        self.missing
    }

    /// How often the numbers began again.
    pub fn restarts(&self) -> u64 {
        self.restarts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(frame: u32, generated: u64) -> Reading {
        Reading::Read {
            frame: FrameNumber(frame),
            generated: UnixMicros(generated),
        }
    }

    #[test]
    fn gaps_are_lost_and_repetitions_are_not_shown_twice() {
        let mut tracker = Tracker::default();
        assert_eq!(tracker.judge(read(5, 100)), Verdict::Shown);
        assert_eq!(tracker.judge(read(6, 110)), Verdict::Shown);
        assert_eq!(tracker.judge(read(6, 110)), Verdict::Duplicate);
        assert_eq!(tracker.judge(Reading::Unread), Verdict::Unread);
        assert_eq!(tracker.judge(read(9, 140)), Verdict::Shown);
        assert_eq!(tracker.missing(), 2);
        assert_eq!(
            tracker.judge(read(5, 100)),
            Verdict::Duplicate,
            "an old picture is not a new one"
        );
    }

    #[test]
    fn a_late_frame_is_no_longer_lost() {
        let mut tracker = Tracker::default();
        for (frame, at) in [(1, 10), (3, 30), (2, 20), (4, 40)] {
            assert_eq!(tracker.judge(read(frame, at)), Verdict::Shown);
        }
        assert_eq!((tracker.missing(), tracker.restarts()), (0, 0));
    }

    #[test]
    fn a_renderer_that_begins_again_is_no_freeze_and_no_loss() {
        let mut tracker = Tracker::default();
        for (frame, at) in [(1_000, 10), (1_001, 20), (0, 500), (1, 510), (3, 530)] {
            assert_eq!(tracker.judge(read(frame, at)), Verdict::Shown);
        }
        assert_eq!((tracker.missing(), tracker.restarts()), (1, 1));
    }

    #[test]
    fn a_clock_that_was_set_back_makes_no_gap() {
        let mut tracker = Tracker::default();
        for (frame, at) in [(1, 3_010), (2, 3_020), (3, 30), (4, 40), (6, 60)] {
            assert_eq!(tracker.judge(read(frame, at)), Verdict::Shown);
        }
        assert_eq!((tracker.missing(), tracker.restarts()), (1, 0));
    }

    #[test]
    fn the_same_number_at_another_time_is_another_frame() {
        let mut tracker = Tracker::default();
        assert_eq!(tracker.judge(read(7, 10)), Verdict::Shown);
        assert_eq!(tracker.judge(read(7, 900)), Verdict::Shown);
        assert_eq!(tracker.restarts(), 1);
    }
}
