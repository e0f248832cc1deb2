//! The turns of requests: what comes faster than a server should work waits, in the order in which it came. Pure.
//!
//! What tells whether the program lives has no turn to wait for as the first request of its connection, so that no crowd that asks for
//! page after page keeps a supervisor waiting.

use std::time::Duration;

use tokio::time::Instant;

/// Requests a second over all connections: a hundred clients that report ten times a second take half of it.
const PER_SECOND: u32 = 2000;

/// How many of them may come at once.
const BURST: u32 = 200;

/// When the next request has its turn (the generic cell rate algorithm of ITU-T I.371).
#[derive(Debug)]
pub(super) struct Pace {
    due: Instant,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self { due: now }
    }

    /// The turn of a request that comes at `now`; none if that is at once.
    pub(super) fn turn(&mut self, now: Instant) -> Option<Instant> {
        let interval = Duration::from_secs(1) / PER_SECOND;
        let earliest = now.checked_sub(interval * (BURST - 1)).unwrap_or(now);
        let turn = self.due.max(earliest);
        self.due = turn + interval;
        (turn > now).then_some(turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_goes_at_once_and_the_rest_by_the_clock() {
        let begun = Instant::now() + Duration::from_secs(10);
        let mut pace = Pace::new(begun - Duration::from_secs(10));
        for _ in 0..BURST {
            assert_eq!(pace.turn(begun), None);
        }
        let mut last = begun;
        for _ in 0..PER_SECOND {
            let turn = pace.turn(begun).expect("it waits");
            assert!(turn > last, "in the order in which they came");
            last = turn;
        }
        assert_eq!(last - begun, Duration::from_secs(1));
        let rested = last + Duration::from_secs(5);
        assert_eq!(
            (0..=BURST).filter(|_| pace.turn(rested).is_none()).count(),
            BURST as usize
        );
    }
}
