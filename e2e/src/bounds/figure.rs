//! A figure, its bound, and percentiles of few samples.

use std::time::Duration;

use serde::Serialize;

/// What a figure must not pass.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// At most this.
    AtMost(f64),
    /// At least this.
    AtLeast(f64),
}

/// A measured figure, with its bound if it has one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    what: String,
    /// Absent where it could not be measured, which misses any bound.
    value: Option<f64>,
    unit: &'static str,
    bound: Option<Bound>,
    holds: bool,
}

impl Figure {
    /// A figure that is printed and has no bound.
    pub fn of(what: impl Into<String>, value: impl Into<Option<f64>>, unit: &'static str) -> Self {
        Self {
            what: what.into(),
            value: value.into(),
            unit,
            bound: None,
            holds: true,
        }
    }

    /// This figure with a bound.
    #[must_use]
    pub fn within(mut self, bound: Bound) -> Self {
        self.holds = self.value.is_some_and(|value| match bound {
            Bound::AtMost(limit) => value <= limit,
            Bound::AtLeast(limit) => value >= limit,
        });
        self.bound = Some(bound);
        self
    }

    /// Whether it keeps its bound.
    pub const fn holds(&self) -> bool {
        self.holds
    }

    /// The figure as a line of a table.
    pub(super) fn row(&self) -> [String; 4] {
        let number = |value: f64| format!("{value:.3} {}", self.unit);
        let bound = match self.bound {
            None => String::new(),
            Some(Bound::AtMost(limit)) => format!("<= {}", number(limit)),
            Some(Bound::AtLeast(limit)) => format!(">= {}", number(limit)),
        };
        let verdict = match (self.bound, self.holds) {
            (None, _) => "",
            (Some(_), true) => "holds",
            (Some(_), false) => "MISSED",
        };
        [
            self.what.clone(),
            self.value.map_or_else(|| "none".to_owned(), number),
            bound,
            verdict.to_owned(),
        ]
    }
}

/// The sample below which `percent` of all lie, by nearest rank; nothing without samples.
pub(super) fn percentile(samples: &[Duration], percent: usize) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).map(Duration::as_secs_f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_rank() {
        let samples: Vec<Duration> = (1..=20).rev().map(Duration::from_secs).collect();
        assert_eq!(percentile(&samples, 50), Some(10.0));
        assert_eq!(percentile(&samples, 95), Some(19.0));
        assert_eq!(percentile(&samples, 100), Some(20.0));
        assert_eq!(percentile(&[], 50), None);
    }

    #[test]
    fn what_was_not_measured_misses_its_bound() {
        assert!(Figure::of("a", None, "s").holds());
        assert!(
            !Figure::of("a", None, "s")
                .within(Bound::AtMost(1.0))
                .holds()
        );
        assert!(Figure::of("a", 1.0, "s").within(Bound::AtMost(1.0)).holds());
        assert!(
            !Figure::of("a", 1.0, "s")
                .within(Bound::AtLeast(1.1))
                .holds()
        );
    }
}
