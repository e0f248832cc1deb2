//! How far another host's clock is from ours, from pairs of times that each side read (RFC 5905 section 8): pure
//! arithmetic, the request is the caller's.
//!
//! ```text
//! ours    sent (t1) ------\                      /------> answered (t4)
//! theirs                   \-> received (t2) transmitted (t3)
//! ```

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
    }
}
