//! The Prometheus form of a latency, alike in every program, so that one dashboard reads them all. The exact
//! distribution is `timeline::hist`; this one is for watching.

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use timeline::UnixMicros;

/// Upper bounds in seconds: fine around one to three frames at 60 a second, where ours lies, and up to the seconds
/// that a player with every default needs.
pub const BUCKETS_SECONDS: [f64; 20] = [
    0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15,
    0.2, 0.3, 0.5, 0.75, 1.0, 2.5,
];

/// A histogram per label set, as [`family`] makes it.
pub type LatencyFamily<S> = Family<S, Histogram, fn() -> Histogram>;

/// An empty histogram of seconds.
pub fn histogram() -> Histogram {
    Histogram::new(BUCKETS_SECONDS)
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
            text.contains("le=\"0.01\"} 0") && text.contains("le=\"0.015\"} 1"),
            "{text}"
        );
    }

    #[test]
    fn bounds_rise() {
        assert!(BUCKETS_SECONDS.is_sorted_by(|a, b| a < b));
    }
}
