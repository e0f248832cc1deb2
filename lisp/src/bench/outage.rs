//! An outage as its parts: from the last answer before it to the first one after it.

use anyhow::bail;
use serde::Serialize;

use super::table::median;

/// When what happened, in nanoseconds on the machine's monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moments {
    /// The fault, or the move, was about to be made.
    pub begun_ns: u64,
    /// The last answer before.
    pub last_ns: u64,
    /// Somebody knew, and was about to act.
    pub detected_ns: u64,
    /// Whoever sends had another way.
    pub mapped_ns: u64,
    /// The first answer after.
    pub first_ns: u64,
    /// Requests between both answers.
    pub lost: u64,
}

/// How long each part of an outage took, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parts {
    /// From the last answer until somebody knew.
    pub detection_ms: f64,
    /// From there until whoever sends had another way.
    pub mapping_ms: f64,
    /// From there to the first answer.
    pub connection_ms: f64,
}

impl Parts {
    /// All of it.
    pub fn total_ms(&self) -> f64 {
        self.detection_ms + self.mapping_ms + self.connection_ms
    }
}

impl Moments {
    /// The parts; an error where the moments do not follow one another, because something else has happened than was measured.
    pub fn parts(&self) -> anyhow::Result<Parts> {
        let in_order = [
            self.last_ns,
            self.detected_ns,
            self.mapped_ns,
            self.first_ns,
        ];
        if !in_order.is_sorted() || self.detected_ns < self.begun_ns {
            bail!("the moments are not in their order: {self:?}");
        }
        let ms = |from: u64, to: u64| (to - from) as f64 / 1e6;
        Ok(Parts {
            detection_ms: ms(self.last_ns, self.detected_ns),
            mapping_ms: ms(self.detected_ns, self.mapped_ns),
            connection_ms: ms(self.mapped_ns, self.first_ns),
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
    /// Of these values; p90 is the least of them that nine tenths do not exceed.
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
