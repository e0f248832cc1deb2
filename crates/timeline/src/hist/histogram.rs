//! An HdrHistogram of latencies in microseconds, and the figures that every table has.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// The longest latency that is told from a longer one: one minute.
pub const MAX_US: u64 = 60_000_000;

/// Three significant digits: 25.0 ms is told from 25.1 ms.
pub(super) const DIGITS: u8 = 3;

/// No histogram holds more samples; past it, sums could overflow.
pub(super) const MAX_COUNT: u64 = 1 << 53;

/// A histogram of latencies from 0 to [`MAX_US`], to three significant digits. It takes 140 kB.
#[derive(Clone, Debug, PartialEq)]
pub struct LatencyHistogram {
    pub(super) counts: Histogram<u64>,
    pub(super) clamped: u64,
}

/// The figures that every table has, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Figures {
    /// The number of samples.
    pub count: u64,
    /// The smallest sample.
    pub min: u64,
    /// Half of the samples are at most this.
    pub p50: u64,
    /// 90 in 100 are at most this.
    pub p90: u64,
    /// 95 in 100 are at most this.
    pub p95: u64,
    /// 99 in 100 are at most this.
    pub p99: u64,
    /// The largest sample.
    pub max: u64,
    /// The mean of the samples.
    pub mean: f64,
    /// The standard deviation of the samples about their mean.
    pub stddev: f64,
}

/// Too many samples for one histogram, which only a forged file can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {MAX_COUNT} samples")]
pub struct TooMany;

impl Default for LatencyHistogram {
    fn default() -> Self {
        Self::new()
    }
}

impl LatencyHistogram {
    /// An empty histogram.
    ///
    /// # Panics
    /// Never: the bounds are constants that the histogram accepts.
    pub fn new() -> Self {
        let counts = Histogram::new_with_bounds(1, MAX_US, DIGITS)
            .expect("the bounds are constants that it accepts");
        Self { counts, clamped: 0 }
    }

    /// Adds a sample, in microseconds. One below 0, where clocks disagree, counts as 0, and one above [`MAX_US`] as that;
    /// [`LatencyHistogram::clamped`] says how many did.
    pub fn record(&mut self, latency_us: i64) {
        let clamped = u64::try_from(latency_us).unwrap_or(0).min(MAX_US);
        self.clamped += u64::from(clamped.cast_signed() != latency_us);
        self.counts.saturating_record(clamped);
    }

    /// Adds every sample of another.
    ///
    /// # Panics
    /// Never: all of these histograms have the same bounds.
    pub fn merge(&mut self, other: &Self) -> Result<(), TooMany> {
        let count = self
            .count()
            .checked_add(other.count())
            .filter(|count| *count <= MAX_COUNT);
        count.ok_or(TooMany)?;
        self.clamped = self.clamped.saturating_add(other.clamped);
        self.counts
            .add(&other.counts)
            .expect("both have the same bounds");
        Ok(())
    }

    /// How many samples it holds.
    pub fn count(&self) -> u64 {
        self.counts.len()
    }

    /// How many of them lay outside of 0 to [`MAX_US`]. A log does not keep it.
    pub const fn clamped(&self) -> u64 {
        self.clamped
    }

    /// The value, in microseconds, that the fraction `quantile` (0 to 1) of the samples does not exceed; none when empty.
    pub fn quantile_us(&self, quantile: f64) -> Option<u64> {
        // The value stands for its bucket, whose upper end may lie above the largest sample possible.
        (self.count() > 0).then(|| {
            self.counts
                .value_at_quantile(quantile.clamp(0.0, 1.0))
                .min(MAX_US)
        })
    }

    /// Count, extremes, mean and percentiles; none of an empty histogram.
    pub fn figures(&self) -> Option<Figures> {
        Some(Figures {
            count: self.count(),
            min: self.quantile_us(0.0)?,
            p50: self.quantile_us(0.50)?,
            p90: self.quantile_us(0.90)?,
            p95: self.quantile_us(0.95)?,
            p99: self.quantile_us(0.99)?,
            max: self.quantile_us(1.0)?,
            mean: self.counts.mean(),
            stddev: self.counts.stdev(),
        })
    }

    /// Each value that occurs and how often, ascending: for drawing.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> {
        self.counts
            .iter_recorded()
            .map(|step| (step.value_iterated_to(), step.count_at_value()))
    }

    /// Forgets every sample, keeping the memory.
    pub fn clear(&mut self) {
        self.counts.reset();
        self.clamped = 0;
    }
}
