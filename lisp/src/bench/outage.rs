//! An outage as its parts: from the last answer before it to the first one after it.

use anyhow::bail;
use serde::Serialize;

use super::table::median;

/// The moments of an outage, in nanoseconds on the machine's monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moments {
    /// The fault, or the move, was about to be made.
    pub begun_ns: u64,
    /// The last answer before the outage.
    pub last_ns: u64,
    /// Somebody knew, and was about to act.
    pub detected_ns: u64,
    /// Whoever sends had another way.
    pub mapped_ns: u64,
    /// The first answer after the outage.
    pub first_ns: u64,
    /// Requests between both answers.
    pub lost: u64,
}

/// The lengths of an outage's parts, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parts {
    /// From the last answer until somebody knew; 0 where that was before the answer.
    pub detection_ms: f64,
    /// From there until whoever sends had another way.
    pub mapping_ms: f64,
    /// From there to the first answer.
    pub connection_ms: f64,
}

impl Parts {
    /// The whole outage, in milliseconds.
    pub fn total_ms(&self) -> f64 {
        self.detection_ms + self.mapping_ms + self.connection_ms
    }
}

impl Moments {
    /// The parts of the time from the last answer to the first. What is done before the last answer comes takes nothing of that time: an
    /// answer may still be on its way when somebody knows already.
    ///
    /// # Errors
    ///
    /// The moments do not follow one another, because something else has happened than was measured.
    pub fn parts(&self) -> anyhow::Result<Parts> {
        let done = [
            self.begun_ns,
            self.detected_ns,
            self.mapped_ns,
            self.first_ns,
        ];
        if !done.is_sorted() || self.first_ns < self.last_ns {
            bail!("the moments are not in their order: {self:?}");
        }
        let known_ns = self.detected_ns.max(self.last_ns);
        let mapped_ns = self.mapped_ns.max(self.last_ns);
        let ms = |from: u64, to: u64| (to - from) as f64 / 1e6;
        Ok(Parts {
            detection_ms: ms(self.last_ns, known_ns),
            mapping_ms: ms(known_ns, mapped_ns),
            connection_ms: ms(mapped_ns, self.first_ns),
        })
    }
}

/// Values of repetitions, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub p90: f64,
    pub max: f64,
}

impl Spread {
    /// The quantiles of these values; p90 is the least of them that nine tenths do not exceed.
    pub fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut sorted: Vec<_> = values.collect();
        sorted.sort_by(f64::total_cmp);
        let rank = (sorted.len() * 9).div_ceil(10);
        let at = |index: usize| sorted.get(index).copied().unwrap_or_default();
        Self {
            median: median(&sorted),
            min: at(0),
            p90: at(rank.saturating_sub(1)),
            max: at(sorted.len().saturating_sub(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENTS: Moments = Moments {
        begun_ns: 2_000_000,
        last_ns: 1_000_000,
        detected_ns: 101_500_000,
        mapped_ns: 103_000_000,
        first_ns: 108_000_000,
        lost: 21,
    };

    #[test]
    fn parts_add_up_to_the_whole() {
        let parts = MOMENTS.parts().unwrap();
        let wanted = Parts {
            detection_ms: 100.5,
            mapping_ms: 1.5,
            connection_ms: 5.0,
        };
        assert_eq!(parts, wanted);
        assert!((parts.total_ms() - 107.0).abs() < f64::EPSILON);
    }

    #[test]
    fn what_was_done_before_the_last_answer_takes_no_time_of_the_outage() {
        for (last_ns, [detection_ms, mapping_ms, connection_ms]) in [
            (102_000_000, [0.0, 1.0, 5.0]),
            (104_000_000, [0.0, 0.0, 4.0]),
        ] {
            let moments = Moments { last_ns, ..MOMENTS };
            let wanted = Parts {
                detection_ms,
                mapping_ms,
                connection_ms,
            };
            assert_eq!(moments.parts().unwrap(), wanted);
        }
    }

    #[test]
    fn moments_out_of_order_are_no_outage() {
        for wrong in [
            Moments {
                first_ns: 102_000_000,
                ..MOMENTS
            },
            Moments {
                detected_ns: 1_500_000,
                ..MOMENTS
            },
            Moments {
                detected_ns: 103_500_000,
                ..MOMENTS
            },
            Moments {
                last_ns: 108_500_000,
                ..MOMENTS
            },
        ] {
            assert!(wrong.parts().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_spread_is_of_ranks() {
        let spread = Spread::of((1..=30).rev().map(f64::from));
        let wanted = Spread {
            median: 15.5,
            min: 1.0,
            p90: 27.0,
            max: 30.0,
        };
        assert_eq!(spread, wanted);
        assert_eq!(Spread::of(std::iter::empty()), Spread::default());
    }
}
