//! Which frames' strips are kept.

use timeline::Reading;

/// One frame in `every`, up to `max`; and, up to `max` more, every frame that could not be read.
#[derive(Debug)]
pub struct Selection {
    every: u64,
    read_left: u64,
    unread_left: u64,
    read_seen: u64,
}

impl Selection {
    /// A selection that has kept nothing yet.
    pub fn new(max: u64, every: u64) -> Self {
        Self {
            every: every.max(1),
            read_left: max,
            unread_left: max,
            read_seen: 0,
        }
    }

    /// Whether the next picture's strip is kept.
    pub fn take(&mut self, reading: Reading) -> bool {
        let left = match reading {
            Reading::Unread | Reading::Damaged => &mut self.unread_left,
            Reading::Read { .. } => {
                self.read_seen += 1;
                if !(self.read_seen - 1).is_multiple_of(self.every) {
                    return false;
                }
                &mut self.read_left
            }
        };
        let take = *left > 0;
        *left = left.saturating_sub(1);
        take
    }
}

#[cfg(test)]
mod tests {
    use timeline::{FrameNumber, UnixMicros};

    use super::*;

    const READ: Reading = Reading::Read {
        frame: FrameNumber(1),
        generated: UnixMicros(1),
    };

    #[test]
    fn one_in_k_up_to_the_limit() {
        let mut selection = Selection::new(3, 4);
        let taken: Vec<_> = (0..20).filter(|_| selection.take(READ)).collect();
        assert_eq!(taken, [0, 4, 8]);
    }

    #[test]
    fn unread_frames_are_kept_whatever_the_sample_is_up_to_a_limit_of_their_own() {
        let mut selection = Selection::new(2, 1_000);
        let kept = (0..10).filter(|_| selection.take(Reading::Unread)).count();
        assert_eq!(kept, 2);
        assert!(
            selection.take(READ),
            "unread frames do not use up the sample"
        );
    }

    #[test]
    fn none_is_none() {
        let mut selection = Selection::new(0, 1);
        assert!(!selection.take(READ) && !selection.take(Reading::Unread));
    }
}
