//! The bounded memory behind `/trace`: the newest crossings, each with a cursor, so that a reader sees every one once
//! and is told how many it came too late for.

use std::collections::VecDeque;

use crate::{Crossing, TracePage};

/// A ring of crossings. It holds 24 bytes for each, and the oldest makes room for the newest.
#[derive(Debug)]
pub struct Ring {
    boot: u64,
    capacity: usize,
    /// The cursor that follows the newest crossing: how many were ever pushed.
    pushed: u64,
    crossings: VecDeque<Crossing>,
}

impl Ring {
    /// A ring of at most `capacity` crossings (at least one). `boot` tells this ring from that of an earlier process.
    pub fn new(boot: u64, capacity: usize) -> Self {
        let capacity = capacity.max(1);
        Self {
            boot,
            capacity,
            pushed: 0,
            crossings: VecDeque::with_capacity(capacity),
        }
    }

    /// Remembers a crossing, forgetting the oldest when the ring is full.
    pub fn push(&mut self, crossing: Crossing) {
        if self.crossings.len() == self.capacity {
            self.crossings.pop_front();
        }
        self.crossings.push_back(crossing);
        self.pushed += 1;
    }

    /// At most `limit` of the crossings that follow cursor `after`, oldest first.
    ///
    /// A cursor from the future, which only a reader of another process's ring can have, gets an empty page whose `next`
    /// is the end of this ring; the reader sees from `boot` that it must begin again.
    pub fn page(&self, after: u64, limit: usize) -> TracePage {
        let oldest = self.pushed - self.crossings.len() as u64;
        let from = after.clamp(oldest, self.pushed);
        // The difference is at most the length of the ring, so it fits.
        let skip = usize::try_from(from - oldest).unwrap_or(usize::MAX);
        let crossings: Vec<_> = self
            .crossings
            .iter()
            .skip(skip)
            .take(limit)
            .copied()
            .collect();
        TracePage {
            boot: self.boot,
            next: from + crossings.len() as u64,
            overwritten: oldest.saturating_sub(after),
            crossings,
        }
    }

    /// How many crossings were ever pushed.
    pub const fn pushed(&self) -> u64 {
        self.pushed
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Point, RtpTimestamp, UnixMicros};

    fn crossing(n: u64) -> Crossing {
        Crossing {
            rtp_timestamp: RtpTimestamp(7),
            point: Point::Encoded,
            at: UnixMicros(n),
        }
    }

    #[test]
    fn a_cursor_from_another_process_gets_nothing_and_the_right_boot() {
        let mut ring = Ring::new(42, 4);
        ring.push(crossing(0));
        let page = ring.page(1_000, 10);
        assert_eq!((page.boot, page.next, page.overwritten), (42, 1, 0));
        assert!(page.crossings.is_empty());
    }

    proptest! {
        /// However pushes and reads interleave, a reader gets every crossing once, in order, or hears that it is gone.
        #[test]
        fn a_reader_misses_nothing_unsaid(
            capacity in 0_usize..20,
            rounds in prop::collection::vec((0_u64..30, 0_usize..12), 1..40),
        ) {
            let mut ring = Ring::new(1, capacity);
            let (mut pushed, mut cursor, mut expected) = (0, 0, 0);
            for (push, limit) in rounds {
                for _ in 0..push {
                    ring.push(crossing(pushed));
                    pushed += 1;
                }
                let page = ring.page(cursor, limit);
                expected += page.overwritten;
                prop_assert!(page.crossings.len() <= limit);
                for seen in &page.crossings {
                    prop_assert_eq!(seen.at.0, expected);
                    expected += 1;
                }
                prop_assert_eq!(page.next, expected);
                cursor = page.next;
            }
            let rest = ring.page(cursor, usize::MAX);
            prop_assert_eq!(rest.next, pushed);
            prop_assert_eq!(ring.pushed(), pushed);
        }
    }
}
