//! The one convention for a quantile of values that were kept: the smallest of them that so many do not exceed (nearest rank).
//! Histograms and weighted drawings follow it too.

/// The value that `thousandths` of `ascending` values do not exceed: 500 is the median, 1000 the largest. None of none.
pub fn quantile<T: Copy>(ascending: &[T], thousandths: usize) -> Option<T> {
    let rank = (ascending.len() * thousandths).div_ceil(1_000).max(1);
    ascending.get(rank - 1).copied()
}

/// The same of values that weigh unlike, ascending, each with its weight. None of none.
pub fn weighted_quantile(ascending: &[(f64, f64)], thousandths: usize) -> Option<f64> {
    let all: f64 = ascending.iter().map(|(_, weight)| weight).sum();
    // What is left of a sum of fractions must not make the next value of this one.
    let wanted = all * thousandths as f64 / 1e3 - all * 1e-9;
    let mut passed = 0.0;
    let found = ascending.iter().find(|(_, weight)| {
        passed += weight;
        passed >= wanted
    });
    found.or_else(|| ascending.last()).map(|(value, _)| *value)
}

#[cfg(test)]
mod tests {
    use timeline::hist::LatencyHistogram;

    use super::*;

    #[test]
    fn it_is_a_value_that_was_seen() {
        let twenty: Vec<i64> = (1..=20).collect();
        let of = |thousandths| quantile(&twenty, thousandths);
        assert_eq!(
            [0, 50, 51, 500, 501, 990, 1_000]
                .map(of)
                .map(Option::unwrap),
            [1, 1, 2, 10, 11, 20, 20]
        );
        assert_eq!(quantile(&[7], 500), Some(7));
        assert_eq!(quantile::<u8>(&[], 500), None);
    }

    #[test]
    fn a_histogram_says_the_same() {
        let mut histogram = LatencyHistogram::new();
        let values: Vec<i64> = (0..101).map(|n| n * n % 997).collect();
        for value in &values {
            histogram.record(*value);
        }
        let mut ascending = values;
        ascending.sort_unstable();
        for thousandths in (0..=1_000).step_by(25) {
            let exact = quantile(&ascending, thousandths).expect("values");
            let told = histogram
                .quantile_us(thousandths as f64 / 1e3)
                .expect("values");
            assert_eq!(
                told.cast_signed(),
                exact,
                "{thousandths}: below 2048 a histogram is exact"
            );
        }
    }
}
