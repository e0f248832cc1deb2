//! The agent at `/metrics`.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

type Labels<const N: usize> = [(&'static str, &'static str); N];

/// The agent's metrics.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    reviews: Family<Labels<2>, Counter>,
    requests: Family<Labels<2>, Counter>,
    heartbeats: Family<Labels<1>, Counter>,
    probes: Family<Labels<1>, Counter>,
    watch_errors: Family<Labels<1>, Counter>,
    noticed: Family<Labels<1>, Histogram, fn() -> Histogram>,
    answered: Family<Labels<1>, Histogram, fn() -> Histogram>,
    pub(crate) services: Gauge,
    pub(crate) endpoints: Gauge,
}

/// From a millisecond to half a minute.
fn times() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 16))
}

impl Metrics {
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            reviews: Family::default(),
            requests: Family::default(),
            heartbeats: Family::default(),
            probes: Family::default(),
            watch_errors: Family::default(),
            noticed: Family::new_with_constructor(times as fn() -> Histogram),
            answered: Family::new_with_constructor(times as fn() -> Histogram),
            services: Gauge::default(),
            endpoints: Gauge::default(),
        };
        registry.register(
            "xr_lisp_agent_reviews",
            "Reviews of Services, by webhook and what became of them",
            metrics.reviews.clone(),
        );
        registry.register(
            "xr_lisp_agent_requests",
            "Requests to the control plane about Services, and how they ended",
            metrics.requests.clone(),
        );
        registry.register(
            "xr_lisp_agent_heartbeats",
            "Heartbeats to the control plane, and how they ended",
            metrics.heartbeats.clone(),
        );
        registry.register(
            "xr_lisp_agent_probes",
            "Probes of pods, answered or not",
            metrics.probes.clone(),
        );
        registry.register(
            "xr_lisp_agent_watch_errors",
            "Errors of watches at the API server, which begin again",
            metrics.watch_errors.clone(),
        );
        registry.register_with_unit(
            "xr_lisp_agent_noticed",
            "From the reason of a request to the control plane to the request",
            Unit::Seconds,
            metrics.noticed.clone(),
        );
        registry.register_with_unit(
            "xr_lisp_agent_answered",
            "From a request to the control plane to its answer",
            Unit::Seconds,
            metrics.answered.clone(),
        );
        registry.register(
            "xr_lisp_agent_services",
            "Services that are known",
            metrics.services.clone(),
        );
        registry.register(
            "xr_lisp_agent_probed_endpoints",
            "Endpoints that count among those that are probed",
            metrics.endpoints.clone(),
        );
        metrics
    }

    pub(crate) fn review(&self, webhook: &'static str, outcome: &'static str) {
        let labels = [("webhook", webhook), ("outcome", outcome)];
        self.reviews.get_or_create(&labels).inc();
    }

    pub(crate) fn request(&self, request: &'static str, outcome: &'static str) {
        let labels = [("request", request), ("outcome", outcome)];
        self.requests.get_or_create(&labels).inc();
    }

    pub(crate) fn heartbeat(&self, outcome: &'static str) {
        self.heartbeats.get_or_create(&[("outcome", outcome)]).inc();
    }

    pub(crate) fn probe(&self, is_answered: bool) {
        let outcome = if is_answered {
            "answered"
        } else {
            "unanswered"
        };
        self.probes.get_or_create(&[("outcome", outcome)]).inc();
    }

    pub(crate) fn watch_error(&self, what: &'static str) {
        self.watch_errors.get_or_create(&[("what", what)]).inc();
    }

    pub(crate) fn done(&self, request: &'static str, noticed_s: f64, answered_s: f64) {
        let labels = [("request", request)];
        self.noticed.get_or_create(&labels).observe(noticed_s);
        self.answered.get_or_create(&labels).observe(answered_s);
    }
}
