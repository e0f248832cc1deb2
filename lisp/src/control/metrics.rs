//! The control plane at `/metrics`.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::{MetricType, TypedMetric as _};

use super::state::State;

/// Reads the machine at each scrape.
#[derive(Debug)]
pub(super) struct Metrics(pub(super) Arc<State>);

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let (counts, sizes) = {
            let server = self.0.server.lock();
            (server.counts().clone(), server.sizes())
        };
        let help = "What the Map-Server did, and what it refused, by name";
        let mut events =
            encoder.encode_descriptor("xr_lisp_events", help, None, MetricType::Counter)?;
        for (name, count) in counts {
            let labels = [("event", name)];
            ConstCounter::new(count).encode(events.encode_family(&labels)?)?;
        }
        let help = "What the Map-Server holds: EID prefixes, subscriptions, ITRs to solicit, xTRs";
        let mut held =
            encoder.encode_descriptor("xr_lisp_held", help, None, ConstGauge::<i64>::TYPE)?;
        for (name, size) in sizes {
            let labels = [("what", name)];
            let size = i64::try_from(size).unwrap_or(i64::MAX);
            ConstGauge::new(size).encode(held.encode_family(&labels)?)?;
        }
        let help = "Whether a cluster's agent is heard";
        let mut alive =
            encoder.encode_descriptor("xr_lisp_cluster_alive", help, None, MetricType::Gauge)?;
        for (name, is_there, _) in self.0.clusters.lock().iter() {
            let labels = [("cluster", name)];
            ConstGauge::new(i64::from(is_there)).encode(alive.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
