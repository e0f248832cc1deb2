//! The Prometheus form of a latency, alike in every program, so that one dashboard reads them all. The exact
//! distribution is `timeline::hist`; this one is for watching.

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use timeline::UnixMicros;

/// The digits of a decade's bounds, each at most a tenth above the one before.
const DIGITS: [&str; 27] = [
    "1", "1.1", "1.2", "1.3", "1.43", "1.57", "1.7", "1.85", "2", "2.2", "2.4", "2.6", "2.85",
    "3.1", "3.4", "3.7", "4", "4.4", "4.8", "5.2", "5.7", "6.2", "6.8", "7.4", "8.1", "8.9", "9.7",
];

/// Upper bounds in seconds, ascending. Between a millisecond and a second, where end-to-end latencies lie, a quantile that
/// Prometheus computes is within a tenth of the latency itself; beyond, bounds are few.
pub fn bounds_seconds() -> Vec<f64> {
    let fine = (-3..0).flat_map(|power| DIGITS.map(|digits| format!("{digits}e{power}")));
    let below = ["1e-4", "2e-4", "5e-4"].map(ToOwned::to_owned);
    let above = ["1", "1.5", "2.5", "5", "10"].map(ToOwned::to_owned);
    let all = below.into_iter().chain(fine).chain(above);
    all.filter_map(|text| text.parse().ok()).collect()
}

/// A histogram per label set, as [`family`] makes it.
pub type LatencyFamily<S> = Family<S, Histogram, fn() -> Histogram>;

/// An empty histogram of seconds.
pub fn histogram() -> Histogram {
    Histogram::new(bounds_seconds())
}

/// A family of such histograms.
pub fn family<S: Clone + std::hash::Hash + Eq>() -> LatencyFamily<S> {
    Family::new_with_constructor(histogram)
}

/// Observes the time from `from` to `to`. A negative one is not observed, and `false` says so: the clocks disagree.
pub fn observe(histogram: &Histogram, from: UnixMicros, to: UnixMicros) -> bool {
    let micros = to.micros_since(from);
    if micros < 0 {
        return false;
    }
    histogram.observe(micros as f64 / 1e6);
    true
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn seconds_stand_in_the_right_bucket() {
        let mut registry = Registry::default();
        let latency = histogram();
        registry.register("xr_test_latency_seconds", "Test", latency.clone());
        assert!(observe(&latency, UnixMicros(1_000), UnixMicros(13_000)));
        assert!(!observe(&latency, UnixMicros(13_000), UnixMicros(1_000)));
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        assert!(text.contains("xr_test_latency_seconds_sum 0.012"), "{text}");
        assert!(
            text.contains("le=\"0.011\"} 0") && text.contains("le=\"0.012\"} 1"),
            "{text}"
        );
    }

    /// As Prometheus' `histogram_quantile` does: linear within the bucket in which the rank lies.
    fn histogram_quantile(share: f64, seconds: &[f64]) -> f64 {
        let bounds = bounds_seconds();
        let rank = share * seconds.len() as f64;
        let up_to = |bound: f64| seconds.iter().filter(|one| **one <= bound).count() as f64;
        let at = bounds.iter().position(|bound| up_to(*bound) >= rank);
        let at = at.expect("no latency is above the last bound");
        let (low, below) = match at {
            0 => (0.0, 0.0),
            _ => (bounds[at - 1], up_to(bounds[at - 1])),
        };
        low + (bounds[at] - low) * (rank - below) / (up_to(bounds[at]) - below)
    }

    proptest::proptest! {
        /// Whatever the latencies are: a few tight ones, or all over the range.
        #[test]
        fn quantiles_of_prometheus_are_within_a_tenth(
            micros in proptest::collection::vec(proptest::prelude::prop_oneof![
                1_001_u64..1_000_000, 4_000_u64..5_000, 16_000_u64..17_000
            ], 1..400),
            share in 0.01_f64..1.0,
        ) {
            let mut exact = timeline::hist::LatencyHistogram::new();
            for us in &micros {
                exact.record(i64::try_from(*us).unwrap());
            }
            let seconds: Vec<f64> = micros.iter().map(|us| *us as f64 / 1e6).collect();
            let told = histogram_quantile(share, &seconds);
            let exact = exact.quantile_us(share).unwrap() as f64 / 1e6;
            proptest::prop_assert!((told / exact - 1.0).abs() <= 0.101, "{told} {exact}");
        }
    }

    #[test]
    fn bounds_rise_and_none_is_left_out() {
        let bounds = bounds_seconds();
        assert_eq!(bounds.len(), 3 + 3 * DIGITS.len() + 5);
        assert!(bounds.is_sorted_by(|a, b| a < b));
        let fine = bounds
            .windows(2)
            .filter(|two| two[0] >= 1e-3 && two[1] <= 1.0);
        assert!(
            fine.clone().all(|two| two[1] / two[0] <= 1.1 + 1e-9),
            "{bounds:?}"
        );
    }
}
