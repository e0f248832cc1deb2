//! How another host's clock runs beside ours, by the exchanges of the last time: an offset that grows at a steady rate, and how wrong
//! that can be. Pure arithmetic; no exchange is trusted further than its round trip allows.

use std::collections::VecDeque;

use crate::UnixMicros;
use crate::clock_exchange::Estimate;

/// The most by which two clocks may drift apart, in parts in a billion: the kernel slews by at most 500 ppm (adjtimex(2)), and a quartz is
/// wrong by less than 100 ppm.
const MOST_DRIFT_PPB: i128 = 600_000;

/// How far the drift itself may have moved while the window lasts, in parts in a billion (RFC 5905 section 11.1, PHI).
const WANDER_PPB: u128 = 15_000;

const BILLION: i128 = 1_000_000_000;

/// A line by which times of another clock become times of ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Correction {
    /// The other clock minus ours, in microseconds, at the instant `at`.
    pub offset_us: i64,
    /// The instant of the offset, on our clock.
    pub at: UnixMicros,
    /// The growth of the offset in parts in a billion: nanoseconds a second.
    pub drift_ppb: i64,
}

impl Correction {
    /// An offset that stays as it is.
    pub const fn fixed(offset_us: i64) -> Self {
        Self {
            offset_us,
            at: UnixMicros(0),
            drift_ppb: 0,
        }
    }

    /// A time that was read from the other clock, on ours.
    pub fn on_our_clock(self, theirs: UnixMicros) -> UnixMicros {
        let near = i128::from(theirs.0) - i128::from(self.offset_us);
        let since = near - i128::from(self.at.0);
        let ours = near - (since * i128::from(self.drift_ppb)).div_euclid(BILLION);
        UnixMicros(u64::try_from(ours.max(0)).unwrap_or(u64::MAX))
    }
}

/// What is known of another clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The line that puts its times right.
    pub correction: Correction,
    /// How wrong the offset may be at its instant, either way, in microseconds.
    pub uncertainty_us: u64,
}

impl From<Estimate> for Known {
    /// What a single exchange tells: nothing of a drift.
    fn from(estimate: Estimate) -> Self {
        Self {
            correction: Correction::fixed(estimate.offset_us),
            uncertainty_us: estimate.uncertainty_us,
        }
    }
}

impl Known {
    /// What to go by where the two clocks may well be one: no offset, unless there certainly is one, or a drift. Two readings of
    /// one host's clock stay what they are, and the uncertainty grows by the offset that is left out.
    #[must_use]
    pub const fn or_none(self) -> Self {
        let offset_us = self.correction.offset_us.unsigned_abs();
        if self.correction.drift_ppb != 0 || offset_us > self.uncertainty_us {
            return self;
        }
        Self {
            correction: Correction::fixed(0),
            uncertainty_us: self.uncertainty_us.saturating_add(offset_us),
        }
    }
}

/// What an exchange did to the [`ClockFilter`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a step of a clock marks the run"]
pub enum Heard {
    /// The exchange agrees with the earlier ones, or with the latest of them: a rate may change.
    Steady,
    /// The exchange contradicts the one before: a clock was set. What was known is forgotten.
    Stepped {
        /// By how much the offset changed, in microseconds.
        by_us: i64,
    },
}

/// The last exchanges with a clock. Each says for certain between what two offsets the truth was at its time; the lines that pass
/// between all of them, no steeper than a clock drifts, are what is known. Short round trips bound them most: those met no queue.
#[derive(Clone, Debug)]
pub struct ClockFilter {
    capacity: usize,
    /// With the time on our clock at which each ended.
    window: VecDeque<(UnixMicros, Estimate)>,
}

/// An exchange as a gate for the line: when it was, and the least and the greatest offset, in microseconds.
#[derive(Clone, Copy)]
struct Gate {
    at: i128,
    least: i128,
    most: i128,
}

impl ClockFilter {
    /// A filter over the last `capacity` exchanges (at least one).
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            window: VecDeque::new(),
        }
    }

    /// Takes the estimate of an exchange that ended at `at` on our clock.
    pub fn push(&mut self, at: UnixMicros, estimate: Estimate) -> Heard {
        let before = self.known(at);
        self.window.push_back((at, estimate));
        let mut contradicted = false;
        while self.drifts(at).is_none() && self.window.len() > 1 {
            self.window.pop_front();
            contradicted = true;
        }
        if self.window.len() > self.capacity {
            self.window.pop_front();
        }
        match before {
            Some(before) if contradicted && self.window.len() == 1 => Heard::Stepped {
                by_us: estimate
                    .offset_us
                    .saturating_sub(before.correction.offset_us),
            },
            _ => Heard::Steady,
        }
    }

    /// How many exchanges are in the window.
    pub fn len(&self) -> usize {
        self.window.len()
    }

    /// Whether no exchange is kept.
    pub fn is_empty(&self) -> bool {
        self.window.is_empty()
    }

    /// What is known at `now` on our clock; none before the first exchange.
    pub fn known(&self, now: UnixMicros) -> Option<Known> {
        let (_, newest) = *self.window.back()?;
        let Some((slowest, fastest)) = self.drifts(now) else {
            // Only where our own clock was set back since.
            return Some(newest.into());
        };
        let (mut least, mut most) = (i128::MIN, i128::MAX);
        for gate in self.gates(now) {
            let since = i128::from(now.0) - gate.at;
            let grown = [slowest * since, fastest * since];
            let [lower, upper] = [grown[0].min(grown[1]), grown[0].max(grown[1])];
            least = least.max(gate.least + lower.div_euclid(BILLION));
            most = most.min(gate.most + upper.div_euclid(BILLION) + 1);
        }
        let may_be_none = slowest <= 0 && fastest >= 0;
        let drift = if may_be_none {
            0
        } else {
            (slowest + fastest).div_euclid(2)
        };
        let narrow =
            |of: i128| i64::try_from(of).unwrap_or(if of < 0 { i64::MIN } else { i64::MAX });
        Some(Known {
            correction: Correction {
                offset_us: narrow((least + most).div_euclid(2)),
                at: now,
                drift_ppb: narrow(drift),
            },
            uncertainty_us: u64::try_from((most - least + 1).max(0) / 2).unwrap_or(u64::MAX),
        })
    }

    /// The slowest and the fastest drift of a line through every gate, in parts in a billion; none where there is no such line.
    fn drifts(&self, now: UnixMicros) -> Option<(i128, i128)> {
        let gates: Vec<_> = self.gates(now).collect();
        let (mut slowest, mut fastest) = (-MOST_DRIFT_PPB, MOST_DRIFT_PPB);
        for (place, early) in gates.iter().enumerate() {
            for late in &gates[place + 1..] {
                let span = late.at - early.at;
                if span <= 0 {
                    if late.least > early.most || late.most < early.least {
                        return None;
                    }
                    continue;
                }
                let steep = |rise: i128| (rise * BILLION).div_euclid(span);
                slowest = slowest.max(steep(late.least - early.most));
                fastest = fastest.min(steep(late.most - early.least) + 1);
            }
        }
        (slowest <= fastest).then_some((slowest, fastest))
    }

    /// The exchanges as gates, which are wider by what an offset may have drifted meanwhile, and with their age, as far as a drift may have
    /// moved.
    fn gates(&self, now: UnixMicros) -> impl Iterator<Item = Gate> {
        self.window.iter().map(move |&(at, estimate)| {
            let age = u128::from(now.0.abs_diff(at.0));
            // The other clock was read up to a round trip earlier.
            let early = 2 * u128::from(estimate.uncertainty_us) * MOST_DRIFT_PPB.unsigned_abs();
            let moved = (age * WANDER_PPB + early).div_ceil(BILLION.unsigned_abs());
            let half = i128::from(estimate.uncertainty_us) + moved.cast_signed();
            Gate {
                at: i128::from(at.0),
                least: i128::from(estimate.offset_us) - half,
                most: i128::from(estimate.offset_us) + half,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock_exchange::{Exchange, ServerTimes};

    const START_US: u64 = 1_763_000_000_000_000;

    /// A clock that is `offset_us` ahead at the start and gains `drift_ppb`, in microseconds.
    fn theirs(ours_us: u64, offset_us: i64, drift_ppb: i64) -> u64 {
        let since = i128::from(ours_us) - i128::from(START_US);
        let gained = (since * i128::from(drift_ppb)).div_euclid(BILLION);
        let read = i128::from(ours_us) + i128::from(offset_us) + gained;
        u64::try_from(read).unwrap()
    }

    /// An exchange with such a clock that begins `start_us` after the start.
    fn play(start_us: u64, offset_us: i64, drift_ppb: i64, out_us: u64, back_us: u64) -> Exchange {
        let sent = START_US + start_us;
        let met = UnixMicros(theirs(sent + out_us, offset_us, drift_ppb));
        Exchange {
            sent: UnixMicros(sent),
            server: ServerTimes {
                received_us: met,
                transmitted_us: met,
            },
            answered: UnixMicros(sent + out_us + back_us),
        }
    }

    proptest! {
        /// The truth lies within what is said, whatever the drift and however delays are split, now and shortly before and after; and no
        /// step is seen where there is none.
        #[test]
        fn the_truth_lies_within(
            offset in -100_000_000_i64..100_000_000,
            drift in -590_000_i64..590_000,
            delays in prop::collection::vec((0_u64..20_000, 0_u64..20_000), 1..80),
        ) {
            let mut filter = ClockFilter::new(32);
            for (second, (out, back)) in (0_u64..).zip(delays) {
                let exchange = play(second * 1_000_000, offset, drift, out, back);
                let newest = exchange.estimate().unwrap();
                prop_assert_eq!(filter.push(exchange.answered, newest), Heard::Steady);
                let known = filter.known(exchange.answered).unwrap();
                prop_assert!(known.uncertainty_us <= newest.uncertainty_us + newest.uncertainty_us / 500 + 2);
                for (away_us, more_us) in [(0_i64, 2), (-250_000, 250), (250_000, 250)] {
                    let ours = exchange.answered.0.strict_add_signed(away_us);
                    let read = UnixMicros(theirs(ours, offset, drift));
                    let error = known.correction.on_our_clock(read).0.abs_diff(ours);
                    prop_assert!(error <= known.uncertainty_us + more_us, "{error} us off: {known:?}");
                }
            }
            prop_assert!(filter.len() <= 32);
        }

        /// Any four numbers are answered, and what is said of a clock can be applied.
        #[test]
        fn nonsense_is_no_panic(t: [u64; 4], ahead: i64, sure: u64, theirs: u64) {
            let mut filter = ClockFilter::new(0);
            let forged = Estimate { offset_us: ahead, uncertainty_us: sure };
            for at in [t[0], t[1], t[2]] {
                let _ = filter.push(UnixMicros(at), forged);
                let opposite = Estimate { offset_us: ahead.wrapping_neg(), uncertainty_us: at };
                let _ = filter.push(UnixMicros(t[3]), opposite);
                let known = filter.known(UnixMicros(theirs)).unwrap();
                let _ = known.or_none().correction.on_our_clock(UnixMicros(at));
            }
        }
    }

    /// With a round trip of 0.2 ms the drift is found, and what is said at the end of a second is as sure as an exchange is.
    #[test]
    fn a_drift_is_found() {
        for drift_ppb in [0, 10_000, 100_000, -100_000, 500_000] {
            let mut filter = ClockFilter::new(32);
            for second in 0..40_u64 {
                let jitter = second * 7 % 5 * 20;
                let exchange = play(second * 1_000_000, 5_000_000, drift_ppb, 100 + jitter, 100);
                let heard = filter.push(exchange.answered, exchange.estimate().unwrap());
                assert_eq!(heard, Heard::Steady);
            }
            let now = START_US + 40_000_000;
            let known = filter.known(UnixMicros(now)).unwrap();
            let is_certain = drift_ppb.unsigned_abs() >= 100_000;
            assert_eq!(known.correction.drift_ppb != 0, is_certain, "{known:?}");
            let wrong_ppb = known.correction.drift_ppb.abs_diff(drift_ppb);
            assert!(wrong_ppb <= 15_000, "{known:?}");
            assert!(known.uncertainty_us < 200, "{known:?}");
            let read = UnixMicros(theirs(now, 5_000_000, drift_ppb));
            assert!(known.correction.on_our_clock(read).0.abs_diff(now) <= known.uncertainty_us);
        }
    }

    #[test]
    fn a_step_is_seen_and_the_past_forgotten() {
        let mut filter = ClockFilter::new(8);
        for second in 0..5 {
            let exchange = play(second * 1_000_000, 0, 0, 100, 100);
            let heard = filter.push(exchange.answered, exchange.estimate().unwrap());
            assert_eq!(heard, Heard::Steady);
        }
        let exchange = play(6_000_000, 50_000, 0, 100, 100);
        let heard = filter.push(exchange.answered, exchange.estimate().unwrap());
        let Heard::Stepped { by_us } = heard else {
            panic!("50 ms are seen with a round trip of 0.2 ms");
        };
        assert!((by_us - 50_000).abs() <= 1, "{by_us}");
        assert_eq!(filter.len(), 1);
        let known = filter.known(exchange.answered).unwrap();
        assert!((known.correction.offset_us - 50_000).abs() <= 1);
    }

    /// A clock whose discipline begins to slew is no clock that was set: what contradicts the new rate is forgotten.
    #[test]
    fn another_rate_is_no_step() {
        let mut filter = ClockFilter::new(32);
        for second in 0..20 {
            let exchange = play(second * 1_000_000, 0, 0, 50, 50);
            let heard = filter.push(exchange.answered, exchange.estimate().unwrap());
            assert_eq!(heard, Heard::Steady);
        }
        // Ahead by nothing at 20 s, and gaining since.
        for second in 20..40_u64 {
            let exchange = play(second * 1_000_000, -6_000, 300_000, 50, 50);
            let heard = filter.push(exchange.answered, exchange.estimate().unwrap());
            assert_eq!(heard, Heard::Steady, "at {second} s");
            let known = filter.known(exchange.answered).unwrap();
            let read = UnixMicros(theirs(exchange.answered.0, -6_000, 300_000));
            let error = known
                .correction
                .on_our_clock(read)
                .0
                .abs_diff(exchange.answered.0);
            assert!(
                error <= known.uncertainty_us,
                "{error} at {second} s: {known:?}"
            );
        }
        let drift_ppb = filter
            .known(UnixMicros(START_US + 40_000_000))
            .unwrap()
            .correction
            .drift_ppb;
        assert!(drift_ppb.abs_diff(300_000) < 20_000, "{drift_ppb}");
    }

    #[test]
    fn their_time_becomes_ours() {
        assert_eq!(
            Correction::fixed(250).on_our_clock(UnixMicros(1_000)),
            UnixMicros(750)
        );
        let gains = Correction {
            offset_us: 250,
            at: UnixMicros(1_000_000),
            drift_ppb: 100_000,
        };
        // Two seconds later the offset has grown by 200 us.
        assert_eq!(
            gains.on_our_clock(UnixMicros(3_000_450)),
            UnixMicros(3_000_000)
        );
    }

    /// What is left out of the offset is in the uncertainty, so that the truth still lies within.
    #[test]
    fn an_offset_that_may_be_none_is_none() {
        let known = |offset_us, uncertainty_us| {
            Known::from(Estimate {
                offset_us,
                uncertainty_us,
            })
        };
        assert_eq!(known(-40, 60).or_none(), known(0, 100));
        assert_eq!(known(500_000, 60).or_none(), known(500_000, 60));
    }
}
