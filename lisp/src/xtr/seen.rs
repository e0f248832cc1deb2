//! The control plane of a tunnel router at `/metrics`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

/// The figures of a control plane that others see.
#[derive(Debug, Default)]
struct Seen {
    counts: BTreeMap<&'static str, u64>,
    round_trips: BTreeMap<IpAddr, Duration>,
}

/// The metrics of a control plane, at `/metrics`.
#[derive(Clone, Debug, Default)]
pub(crate) struct ControlMetrics(Arc<Mutex<Seen>>);

impl ControlMetrics {
    /// Sets the figures to what the control plane has done by now.
    pub(crate) fn set(
        &self,
        counts: &BTreeMap<&'static str, u64>,
        round_trips: impl Iterator<Item = (IpAddr, Duration)>,
    ) {
        let mut seen = self.0.lock();
        seen.counts.clone_from(counts);
        seen.round_trips = round_trips.collect();
    }
}

impl Collector for ControlMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let seen = self.0.lock();
        let help = "What the control plane of the tunnel router did, and what it ignored";
        let name = "xr_lisp_xtr_control";
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (what, count) in &seen.counts {
            let labels = [("what", *what)];
            ConstCounter::new(*count).encode(family.encode_family(&labels)?)?;
        }
        let (name, help) = ("xr_lisp_xtr_round_trip", "Of the last probe of a locator");
        let unit = Some(&Unit::Seconds);
        let mut family = encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
        for (locator, took) in &seen.round_trips {
            let labels = [("locator", locator.to_string())];
            ConstGauge::new(took.as_secs_f64()).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
