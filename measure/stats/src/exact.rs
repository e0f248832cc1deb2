//! The figures of times that were kept one by one: nothing is rounded to a histogram's buckets, and what clocks that disagree
//! made negative stays negative.

use super::quantile;

/// The figures of a distribution, microseconds: values that were measured, by nearest rank.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exact {
    /// The number of samples.
    pub count: u64,
    /// The smallest sample.
    pub min: i64,
    /// Half of the samples are at most this.
    pub p50: i64,
    /// 90 in 100 are at most this.
    pub p90: i64,
    /// 95 in 100 are at most this.
    pub p95: i64,
    /// 99 in 100 are at most this.
    pub p99: i64,
    /// 999 in 1000 are at most this.
    pub p99_9: i64,
    /// The largest sample.
    pub max: i64,
    /// The mean of the samples.
    pub mean: f64,
    /// The standard deviation of the samples about their mean.
    pub stddev: f64,
}

impl Exact {
    /// Of times in any order; none without one.
    pub fn of(us: impl IntoIterator<Item = i64>) -> Option<Self> {
        let mut us: Vec<i64> = us.into_iter().collect();
        us.sort_unstable();
        let count = us.len() as f64;
        let mean = us.iter().map(|us| *us as f64).sum::<f64>() / count;
        let squares: f64 = us.iter().map(|us| (*us as f64 - mean).powi(2)).sum();
        Some(Self {
            count: us.len() as u64,
            min: *us.first()?,
            p50: quantile(&us, 500)?,
            p90: quantile(&us, 900)?,
            p95: quantile(&us, 950)?,
            p99: quantile(&us, 990)?,
            p99_9: quantile(&us, 999)?,
            max: *us.last()?,
            mean,
            stddev: (squares / count).sqrt(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_of_values_that_were_there() {
        let of = Exact::of((1..=1_000).map(|n| n * 2_123 - 5_000)).expect("samples");
        assert_eq!((of.min, of.p50, of.p99), (-2_877, 1_056_500, 2_096_770));
        assert_eq!((of.p99_9, of.max, of.count), (2_115_877, 2_118_000, 1_000));
        assert_eq!(Exact::of([]), None);
    }
}
