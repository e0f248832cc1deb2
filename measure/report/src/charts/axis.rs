//! Axes: which values they hold, where a value lies on them, and where their labels stand.

/// The rule by which a value becomes a coordinate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scale {
    Linear,
    Log,
    /// A share from 0 to 1 by the logarithm of what is left of it, as HdrHistogram draws percentiles: each further nine
    /// takes as much room as the one before.
    Percentile,
}

/// An axis with its labels.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Axis {
    scale: Scale,
    /// The smallest and the largest value of the axis.
    low: f64,
    high: f64,
    ticks: Vec<f64>,
}

impl Axis {
    /// An even axis with about `count` labels at round values, from `low`, or below, to `high`, or above.
    pub(crate) fn linear(low: f64, high: f64, count: u32) -> Self {
        let span = (high - low).max(1e-6);
        let rough = span / f64::from(count.max(1));
        let size = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 2.5, 5.0, 10.0]
            .into_iter()
            .map(|part| part * size)
            .find(|step| *step >= rough * 0.999)
            .unwrap_or(10.0 * size);
        let from = (low / step).floor() * step;
        let ticks = multiples(from, step, high + step * 0.999);
        Self {
            scale: Scale::Linear,
            low: from,
            high: ticks.last().copied().unwrap_or(high).max(from + step),
            ticks,
        }
    }

    /// An even axis from 0 to `high` exactly, with about `count` labels.
    pub(crate) fn until(high: f64, count: u32) -> Self {
        let mut axis = Self::linear(0.0, high, count);
        axis.high = high.max(1e-6);
        axis.ticks.retain(|tick| *tick <= high * 1.000_1);
        axis
    }

    /// A logarithmic axis: labels at 1, 2 and 5 of each power of ten, or only at the powers where there are many.
    pub(crate) fn log(low: f64, high: f64) -> Self {
        let low = low.max(1e-6);
        let high = high.max(low * 1.5);
        let digits: &[f64] = if high / low > 2_000.0 {
            &[1.0]
        } else {
            &[1.0, 2.0, 5.0]
        };
        let mut ticks = Vec::new();
        let mut power = 10_f64.powf(low.log10().floor());
        while power <= high {
            ticks.extend(digits.iter().map(|digit| digit * power));
            power *= 10.0;
        }
        ticks.retain(|tick| *tick >= low * 0.999 && *tick <= high * 1.001);
        Self {
            scale: Scale::Log,
            low,
            high,
            ticks,
        }
    }

    /// An axis of percentiles from 0 to the last that `count` samples can tell.
    pub(crate) fn percentile(count: u64) -> Self {
        let high = 1.0 - 1.0 / (count.max(10) as f64);
        let mut ticks = vec![0.0, 0.5];
        let mut left = 0.1;
        while left > (1.0 - high) * 0.999 {
            ticks.push(1.0 - left);
            left /= 10.0;
        }
        Self {
            scale: Scale::Percentile,
            low: 0.0,
            high,
            ticks,
        }
    }

    /// An axis without labels that has room for `count` columns.
    pub(crate) fn columns(count: usize) -> Self {
        Self {
            scale: Scale::Linear,
            low: 0.0,
            high: count.max(1) as f64,
            ticks: Vec::new(),
        }
    }

    /// The coordinate of `value`; that of the end for a value outside.
    pub(super) fn at(&self, value: f64) -> f64 {
        let value = value.max(self.low).min(self.high);
        match self.scale {
            Scale::Linear => value,
            Scale::Log => value.log10(),
            // What is behind the last nine is at the end.
            Scale::Percentile => -(1.0 - value).max(1e-9).log10(),
        }
    }

    /// The coordinates of both ends of the axis.
    pub(super) fn ends(&self) -> std::ops::Range<f64> {
        self.at(self.low)..self.at(self.high)
    }

    /// The coordinates of the labels.
    pub(super) fn keys(&self) -> Vec<f64> {
        self.ticks.iter().map(|tick| self.at(*tick)).collect()
    }

    /// The largest value of the axis.
    pub(crate) const fn high(&self) -> f64 {
        self.high
    }

    /// The label at a coordinate.
    pub(super) fn text(&self, place: f64) -> String {
        match self.scale {
            Scale::Linear => number(place),
            Scale::Log => number(10_f64.powf(place)),
            Scale::Percentile => number((1.0 - 10_f64.powf(-place)) * 100.0),
        }
    }
}

fn multiples(from: f64, step: f64, to: f64) -> Vec<f64> {
    let mut found = Vec::new();
    let mut tick = from;
    while tick <= to && found.len() < 100 {
        found.push(tick);
        tick = from + step * found.len() as f64;
    }
    found
}

/// A number on an axis: no more digits than it has.
fn number(value: f64) -> String {
    let rounded = format!("{value:.4}");
    let short = rounded.trim_end_matches('0').trim_end_matches('.');
    if short == "-0" {
        "0".into()
    } else {
        short.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<String> {
        axis.keys().into_iter().map(|key| axis.text(key)).collect()
    }

    #[test]
    fn labels_are_round() {
        assert_eq!(
            labels(&Axis::linear(0.0, 17.3, 5)),
            ["0", "5", "10", "15", "20"]
        );
        assert_eq!(labels(&Axis::linear(6.1, 8.9, 5)), ["6", "7", "8", "9"]);
        assert_eq!(labels(&Axis::until(64.0, 4)), ["0", "20", "40", "60"]);
        assert_eq!(labels(&Axis::log(2.0, 60.0)), ["2", "5", "10", "20", "50"]);
        assert_eq!(labels(&Axis::log(1.0, 6_000.0)), ["1", "10", "100", "1000"]);
        assert_eq!(
            labels(&Axis::percentile(4_800)),
            ["0", "50", "90", "99", "99.9"]
        );
        assert!(labels(&Axis::columns(5)).is_empty());
    }

    #[test]
    fn what_lies_outside_is_at_the_end() {
        let axis = Axis::log(1.0, 100.0);
        assert!((axis.at(1e6) - 2.0).abs() < 1e-9 && axis.at(0.0).abs() < 1e-9);
        let axis = Axis::percentile(1_000);
        assert!((axis.at(1.0) - 3.0).abs() < 1e-6, "{}", axis.at(1.0));
        // Degenerate ranges still are ranges.
        for axis in [
            Axis::linear(5.0, 5.0, 4),
            Axis::until(0.0, 4),
            Axis::log(0.0, 0.0),
            Axis::percentile(0),
        ] {
            assert!(axis.ends().start < axis.ends().end, "{axis:?}");
        }
    }
}
