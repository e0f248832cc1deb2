//! The turns of what a server works on: what comes faster than it should waits, in the order in which it came. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// When the next one has its turn (the generic cell rate algorithm of ITU-T I.371).
#[derive(Debug)]
pub struct Pace {
    /// From one turn to the next.
    interval: Duration,
    /// How many turns may be had at once.
    burst: u32,
    due: Instant,
}

impl Pace {
    /// So many turns a second, of which `burst` may be had at once after a rest. Both are at least 1.
    pub fn new(per_second: u32, burst: u32, now: Instant) -> Self {
        Self {
            interval: Duration::from_secs(1) / per_second.max(1),
            burst: burst.max(1),
            due: now,
        }
    }

    /// Takes the turn of one that comes at `now`, and says when it is; none if that is at once.
    pub fn take(&mut self, now: Instant) -> Option<Instant> {
        let turn = self.turn(now);
        self.due = turn + self.interval;
        (turn > now).then_some(turn)
    }

    /// When one that comes at `now` would have its turn, without taking it; none if that is at once.
    pub fn next(&self, now: Instant) -> Option<Instant> {
        let turn = self.turn(now);
        (turn > now).then_some(turn)
    }

    fn turn(&self, now: Instant) -> Instant {
        let rested = self.interval * (self.burst - 1);
        self.due.max(now.checked_sub(rested).unwrap_or(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PER_SECOND: u32 = 2000;
    const BURST: u32 = 200;

    #[test]
    fn a_burst_goes_at_once_and_the_rest_by_the_clock() {
        let begun = Instant::now() + Duration::from_secs(10);
        let mut pace = Pace::new(PER_SECOND, BURST, begun - Duration::from_secs(10));
        for _ in 0..BURST {
            assert_eq!(pace.take(begun), None);
        }
        let mut last = begun;
        for _ in 0..PER_SECOND {
            let next = pace.next(begun);
            let turn = pace.take(begun).expect("it waits");
            assert!(turn > last, "in the order in which they came");
            assert_eq!(next, Some(turn));
            last = turn;
        }
        assert_eq!(last - begun, Duration::from_secs(1));
        let rested = last + Duration::from_secs(5);
        assert_eq!(
            (0..=BURST).filter(|_| pace.take(rested).is_none()).count(),
            BURST as usize
        );
    }
}
