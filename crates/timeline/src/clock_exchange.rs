//! How far another host's clock is from ours, from pairs of times that each side read (RFC 5905 section 8): pure
//! arithmetic, the request is the caller's.
//!
//! ```text
//! ours    sent (t1) ------\                      /------> answered (t4)
//! theirs                   \-> received (t2) transmitted (t3)
//! ```

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::UnixMicros;

/// What a service answers at `/clock` on its ops port: the two times that it read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerTimes {
    /// When the request had been read.
    pub received_us: UnixMicros,
    /// When the answer was written.
    pub transmitted_us: UnixMicros,
}

/// One complete exchange of times between two clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Our clock, just before the request was sent (t1).
    pub sent: UnixMicros,
    /// The server's times of receiving and answering (t2 and t3).
    pub server: ServerTimes,
    /// Our clock, just after the answer came (t4).
    pub answered: UnixMicros,
}

/// What one exchange tells: their clock minus ours lies within `offset_us` ± `uncertainty_us`, however the delay was
/// split between the two directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// The server's clock minus this clock, in microseconds.
    pub offset_us: i64,
    /// Half of the round trip, plus one microsecond because clocks are read in whole ones.
    pub uncertainty_us: u64,
}

impl Exchange {
    /// The offset that the exchange shows; none when a clock was set during the exchange, so that the round trip came out
    /// negative.
    pub fn estimate(&self) -> Option<Estimate> {
        let [t1, t2, t3, t4] = [
            self.sent,
            self.server.received_us,
            self.server.transmitted_us,
            self.answered,
        ]
        .map(|at| i128::from(at.0));
        let round_trip = (t4 - t1) - (t3 - t2);
        // Four readings, each up to one microsecond early, can make an instant round trip look like minus one.
        if round_trip < -1 || t3 < t2 || t4 < t1 {
            return None;
        }
        Some(Estimate {
            offset_us: i64::try_from(((t2 - t1) + (t3 - t4)).div_euclid(2)).ok()?,
            uncertainty_us: u64::try_from(round_trip.max(0).midpoint(1) + 1).ok()?,
        })
    }
}

impl Estimate {
    /// Whether both can be right about a clock that did not move between them.
    pub const fn agrees_with(&self, other: &Self) -> bool {
        let apart = self.offset_us.abs_diff(other.offset_us);
        apart <= self.uncertainty_us.saturating_add(other.uncertainty_us)
    }

    /// The estimate to go by where the two clocks may well be one: no offset, unless there certainly is one. Two readings of
    /// one host's clock stay what they are, and the uncertainty grows by the offset that is left out.
    #[must_use]
    pub const fn or_none(self) -> Self {
        let offset = self.offset_us.unsigned_abs();
        if offset > self.uncertainty_us {
            return self;
        }
        Self {
            offset_us: 0,
            uncertainty_us: self.uncertainty_us.saturating_add(offset),
        }
    }
}

/// A time read from a clock that is `offset_us` ahead of ours, on ours.
pub const fn on_our_clock(theirs: UnixMicros, offset_us: i64) -> UnixMicros {
    UnixMicros(theirs.0.saturating_add_signed(offset_us.saturating_neg()))
}

/// How fast two clocks may drift apart, in parts in a million (RFC 5905 section 11.1, PHI).
const DRIFT_PPM: u64 = 15;

/// The estimates of the last exchanges, of which the one with the shortest round trip counts: it met no queue.
#[derive(Clone, Debug)]
pub struct Filter {
    capacity: usize,
    /// With the time on our clock at which each was made.
    window: VecDeque<(UnixMicros, Estimate)>,
}

/// What an estimate did to the [`Filter`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a step of a clock marks the run"]
pub enum Heard {
    /// The estimate agrees with the earlier ones.
    Steady,
    /// The estimate contradicts the earlier ones: a clock was set. What was known is forgotten.
    Stepped {
        /// By how much the offset changed, in microseconds.
        by_us: i64,
    },
}

impl Filter {
    /// A filter over the last `capacity` exchanges (at least one).
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            window: VecDeque::new(),
        }
    }

    /// Takes the estimate of an exchange that ended at `at` on our clock.
    pub fn push(&mut self, at: UnixMicros, estimate: Estimate) -> Heard {
        let stepped = match self.best(at) {
            Some(best) if !best.agrees_with(&estimate) => {
                self.window.clear();
                Heard::Stepped {
                    by_us: estimate.offset_us.saturating_sub(best.offset_us),
                }
            }
            _ => Heard::Steady,
        };
        if self.window.len() == self.capacity {
            self.window.pop_front();
        }
        self.window.push_back((at, estimate));
        stepped
    }

    /// How many exchanges are in the window.
    pub fn len(&self) -> usize {
        self.window.len()
    }

    /// Whether no estimate is kept.
    pub fn is_empty(&self) -> bool {
        self.window.is_empty()
    }

    /// The best of the window at `now` on our clock. The uncertainty of each has grown with its age, by the drift.
    pub fn best(&self, now: UnixMicros) -> Option<Estimate> {
        let aged = self.window.iter().map(|&(at, estimate)| {
            // Rounded up; a microsecond times 15 fits for half a million years.
            let drift_us = now
                .0
                .abs_diff(at.0)
                .saturating_mul(DRIFT_PPM)
                .div_ceil(1_000_000);
            Estimate {
                uncertainty_us: estimate.uncertainty_us.saturating_add(drift_us),
                ..estimate
            }
        });
        aged.min_by_key(|estimate| estimate.uncertainty_us)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Plays an exchange in nanoseconds, with clocks that are read in whole microseconds.
    fn play(start_ns: u64, offset_ns: i64, out_ns: u64, hold_ns: u64, back_ns: u64) -> Exchange {
        let ours = |ns: u64| UnixMicros(ns / 1_000);
        let theirs = |ns: u64| UnixMicros(ns.saturating_add_signed(offset_ns) / 1_000);
        let received = start_ns + out_ns;
        let transmitted = received + hold_ns;
        Exchange {
            sent: ours(start_ns),
            server: ServerTimes {
                received_us: theirs(received),
                transmitted_us: theirs(transmitted),
            },
            answered: ours(transmitted + back_ns),
        }
    }

    const START_NS: u64 = 1_763_000_000_000_000_123;

    prop_compose! {
        fn any_exchange()(
            start in 0..2_000_u64,
            offset in -100_000_000_000_000..100_000_000_000_000_i64,
            out in prop_oneof![0..3_000_u64, 0..2_000_000_000_u64],
            hold in 0..5_000_000_u64,
            back in prop_oneof![0..3_000_u64, 0..2_000_000_000_u64],
        ) -> (i64, u64, Exchange) {
            (offset, out + back, play(START_NS + start, offset, out, hold, back))
        }
    }

    proptest! {
        /// However the delay is split, the truth lies within the uncertainty, which is no larger than it must be.
        #[test]
        fn the_truth_lies_within((offset_ns, delay_ns, exchange) in any_exchange()) {
            let estimate = exchange.estimate().unwrap();
            let error_ns = (i128::from(estimate.offset_us) * 1_000 - i128::from(offset_ns)).unsigned_abs();
            let uncertainty_ns = u128::from(estimate.uncertainty_us) * 1_000;
            prop_assert!(error_ns <= uncertainty_ns, "{error_ns} ns off, said {uncertainty_ns}: {exchange:?}");
            prop_assert!(uncertainty_ns <= u128::from(delay_ns) / 2 + 3_000);
        }

        /// Any four numbers are answered, and what is said of a clock can be applied.
        #[test]
        fn nonsense_is_no_panic(t: [u64; 4], theirs: u64) {
            let exchange = Exchange {
                sent: UnixMicros(t[0]),
                server: ServerTimes { received_us: UnixMicros(t[1]), transmitted_us: UnixMicros(t[2]) },
                answered: UnixMicros(t[3]),
            };
            if let Some(estimate) = exchange.estimate() {
                on_our_clock(UnixMicros(theirs), estimate.or_none().offset_us);
                let mut filter = Filter::new(0);
                let _ = filter.push(UnixMicros(t[3]), estimate);
                let _ = filter.push(UnixMicros(t[0]), estimate);
                prop_assert!(filter.best(UnixMicros(theirs)).is_some());
            }
        }

        /// A filter is never worse than its newest estimate, never wrong, and sees no step where there is none.
        #[test]
        fn the_filter_keeps_the_best(
            offset in -1_000_000_000_i64..1_000_000_000,
            delays in prop::collection::vec((0_u64..50_000_000, 0_u64..50_000_000), 1..30),
        ) {
            let mut filter = Filter::new(8);
            for (second, (out, back)) in (0_u64..).zip(delays) {
                let start_ns = START_NS + second * 1_000_000_000;
                let exchange = play(start_ns, offset, out, 20_000, back);
                let newest = exchange.estimate().unwrap();
                prop_assert_eq!(filter.push(exchange.answered, newest), Heard::Steady);
                let best = filter.best(exchange.answered).unwrap();
                prop_assert!(best.uncertainty_us <= newest.uncertainty_us);
                prop_assert!((best.offset_us * 1_000).abs_diff(offset) <= best.uncertainty_us * 1_000);
            }
        }
    }

    #[test]
    fn a_step_is_seen_and_the_past_forgotten() {
        let mut filter = Filter::new(8);
        for second in 0..5 {
            let exchange = play(START_NS + second * 1_000_000_000, 0, 100_000, 0, 100_000);
            assert_eq!(
                filter.push(exchange.answered, exchange.estimate().unwrap()),
                Heard::Steady
            );
        }
        let exchange = play(START_NS + 6_000_000_000, 50_000_000, 100_000, 0, 100_000);
        let Heard::Stepped { by_us } = filter.push(exchange.answered, exchange.estimate().unwrap())
        else {
            panic!("50 ms are seen with a round trip of 0.2 ms");
        };
        assert!((by_us - 50_000).abs() <= 1, "{by_us}");
        assert!((filter.best(exchange.answered).unwrap().offset_us - 50_000).abs() <= 1);
    }

    #[test]
    fn an_old_estimate_gives_way_to_a_newer_one_when_the_drift_outgrows_it() {
        let mut filter = Filter::new(8);
        let sharp = Estimate {
            offset_us: 0,
            uncertainty_us: 10,
        };
        let blunt = Estimate {
            offset_us: 5,
            uncertainty_us: 100,
        };
        let start = UnixMicros(START_NS / 1_000);
        let _ = filter.push(start, sharp);
        let _ = filter.push(start, blunt);
        assert_eq!(filter.best(start).unwrap(), sharp);
        let later = UnixMicros(start.0 + 10_000_000);
        let _ = filter.push(later, blunt);
        assert_eq!(filter.best(later).unwrap().uncertainty_us, 100);
    }

    #[test]
    fn their_time_becomes_ours() {
        assert_eq!(on_our_clock(UnixMicros(1_000), 250), UnixMicros(750));
    }

    /// What is left out of the offset is in the uncertainty, so that the truth still lies within.
    #[test]
    fn an_offset_that_may_be_none_is_none() {
        let estimate = |offset_us, uncertainty_us| Estimate {
            offset_us,
            uncertainty_us,
        };
        assert_eq!(estimate(-40, 60).or_none(), estimate(0, 100));
        assert_eq!(estimate(500_000, 60).or_none(), estimate(500_000, 60));
    }
}
