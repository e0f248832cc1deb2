//! When a frame is due: an absolute schedule, and a sleep that ends on it.
//!
//! A tick's time is computed from its number, never from the tick before, so that nothing adds up to a drift. A tick that
//! has passed whole before it could be served is skipped; its number stays unused, so that a gap in the numbers counts it.

use rustix::thread::{ClockId, clock_nanosleep_absolute};
use rustix::time::{Timespec, clock_gettime};

use settings::FrameRate;

/// One place in the schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// The number of the tick, from 0.
    pub number: u64,
    /// When it is due, in nanoseconds after tick 0.
    pub due_nanos: u64,
    /// Ticks just before it that had passed before they could be served.
    pub skipped: u64,
}

/// The arithmetic of the schedule: pure, time is an argument.
#[derive(Clone, Debug)]
pub struct Schedule {
    rate: FrameRate,
    next: u64,
}

impl Schedule {
    /// A schedule of `rate` ticks a second.
    pub const fn new(rate: FrameRate) -> Self {
        Self { rate, next: 0 }
    }

    /// The tick to serve next, `elapsed_nanos` nanoseconds after tick 0: the next one, late if need be, unless a later one
    /// is due already.
    pub fn advance(&mut self, elapsed_nanos: u64) -> Tick {
        let number = self.rate.frame_due_at(elapsed_nanos).max(self.next);
        let skipped = number - self.next;
        self.next = number + 1;
        Tick {
            number,
            due_nanos: self.rate.nanos_until(number),
            skipped,
        }
    }
}

/// A schedule on the monotonic clock, for a thread that sleeps until each tick.
#[derive(Debug)]
pub struct Metronome {
    schedule: Schedule,
    origin_nanos: u64,
}

impl Metronome {
    /// Starts now: tick 0 is due at once.
    ///
    /// The calling thread's timer slack is set to the least there is, so that its sleeps end within a few microseconds of
    /// their time instead of 50: call it in the thread that waits.
    pub fn start(rate: FrameRate) -> Self {
        // Without it ticks are served some 50 microseconds late: worse, not wrong.
        let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
        Self {
            schedule: Schedule::new(rate),
            origin_nanos: monotonic_nanos(),
        }
    }

    /// Sleeps until the next tick is due; gives it with how many nanoseconds too late the thread came back.
    pub fn wait(&mut self) -> (Tick, u64) {
        let elapsed = monotonic_nanos().saturating_sub(self.origin_nanos);
        let tick = self.schedule.advance(elapsed);
        let due = self.origin_nanos.saturating_add(tick.due_nanos);
        if elapsed < tick.due_nanos {
            let until = timespec(due);
            while clock_nanosleep_absolute(ClockId::Monotonic, &until)
                == Err(rustix::io::Errno::INTR)
            {}
        }
        (tick, monotonic_nanos().saturating_sub(due))
    }
}

fn monotonic_nanos() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let nanos = i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec);
    u64::try_from(nanos).expect("CLOCK_MONOTONIC counts from the boot, within 584 years")
}

fn timespec(nanos: u64) -> Timespec {
    Timespec {
        tv_sec: (nanos / 1_000_000_000).cast_signed(),
        tv_nsec: (nanos % 1_000_000_000).cast_signed(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rate(fps: u32) -> FrameRate {
        FrameRate::new(fps, 1).unwrap()
    }

    #[test]
    fn a_late_tick_is_served_and_a_passed_one_skipped() {
        let mut schedule = Schedule::new(rate(100));
        let numbers_and_skips = |schedule: &mut Schedule, at_ms: u64| {
            let tick = schedule.advance(at_ms * 1_000_000);
            (tick.number, tick.skipped)
        };
        assert_eq!(numbers_and_skips(&mut schedule, 0), (0, 0));
        assert_eq!(
            numbers_and_skips(&mut schedule, 3),
            (1, 0),
            "early: waits for the next"
        );
        assert_eq!(
            numbers_and_skips(&mut schedule, 29),
            (2, 0),
            "nine milliseconds late"
        );
        assert_eq!(numbers_and_skips(&mut schedule, 29), (3, 0));
        assert_eq!(
            numbers_and_skips(&mut schedule, 61),
            (6, 2),
            "4 and 5 have passed"
        );
    }

    #[test]
    fn a_metronome_keeps_its_pace() {
        let mut metronome = Metronome::start(rate(480));
        let begin = monotonic_nanos();
        let mut last = 0;
        while last < 96 {
            last = metronome.wait().0.number;
        }
        let took = monotonic_nanos() - begin;
        assert!(
            took >= 199_000_000,
            "{took}: 96 ticks at 480 a second are 200 ms, and never less"
        );
    }

    proptest! {
        /// However late the thread is each time, every number is served or counted as skipped, in order, and none early.
        #[test]
        fn no_tick_is_lost_or_repeated(waits in proptest::collection::vec(0_u64..80_000_000, 1..200), fps in 1_u32..480) {
            let mut schedule = Schedule::new(rate(fps));
            let (mut now, mut expected) = (0, 0);
            for wait in waits {
                now += wait;
                let tick = schedule.advance(now);
                prop_assert_eq!(tick.number, expected + tick.skipped);
                prop_assert_eq!(tick.due_nanos, rate(fps).nanos_until(tick.number));
                // Served at its time or after; a tick later than one period would have been skipped.
                now = now.max(tick.due_nanos);
                prop_assert!(now < rate(fps).nanos_until(tick.number + 1));
                expected = tick.number + 1;
            }
        }
    }
}
