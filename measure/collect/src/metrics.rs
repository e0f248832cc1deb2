//! What the collector shows at `/metrics`: the end-to-end latency and its stages, frames by outcome, and how well it hears.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use service::latency::{self, LatencyFamily};
use timeline::Stage;
use timeline::clock_filter::Known;
use timeline::frames_csv::FrameRow;

use super::core::Taken;

/// Crossings that a service can have lost between two pulls.
const MOST_OVERWRITTEN: u64 = 1 << 32;

/// A label that names the outcome of a frame.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OutcomeLabel {
    outcome: &'static str,
}

/// A stage of a frame's way.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct StageLabel {
    stage: &'static str,
}

/// A service whose trace is pulled: as many as `--scrape` names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ServiceLabel {
    service: String,
}

/// What became of a report.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ResultLabel {
    result: &'static str,
}

/// The metrics of the collector. Clones share their values.
#[derive(Clone, Debug)]
pub struct Metrics {
    latency: Histogram,
    stages: LatencyFamily<StageLabel>,
    frames: Family<OutcomeLabel, Counter>,
    reports: Family<ResultLabel, Counter>,
    dropped: Counter,
    waiting: Gauge,
    offset: Family<ServiceLabel, Gauge<f64, std::sync::atomic::AtomicU64>>,
    drift: Family<ServiceLabel, Gauge<f64, std::sync::atomic::AtomicU64>>,
    uncertainty: Family<ServiceLabel, Gauge<f64, std::sync::atomic::AtomicU64>>,
    steps: Family<ServiceLabel, Counter>,
    overwritten: Family<ServiceLabel, Counter>,
    failures: Family<ServiceLabel, Counter>,
}

impl Metrics {
    /// Registers the metrics.
    pub fn register(registry: &mut Registry) -> Self {
        let new = Self {
            latency: latency::histogram(),
            stages: latency::family(),
            frames: Family::default(),
            reports: Family::default(),
            dropped: Counter::default(),
            waiting: Gauge::default(),
            offset: Family::default(),
            drift: Family::default(),
            uncertainty: Family::default(),
            steps: Family::default(),
            overwritten: Family::default(),
            failures: Family::default(),
        };
        let registry = registry.sub_registry_with_prefix("xr_collector");
        let s = Unit::Seconds;
        registry.register_with_unit(
            "latency",
            "Generation to consumption",
            s.clone(),
            new.latency.clone(),
        );
        registry.register_with_unit(
            "stage",
            "A stage of a frame's way",
            s.clone(),
            new.stages.clone(),
        );
        registry.register("frames", "Frames by outcome", new.frames.clone());
        registry.register(
            "reports",
            "Reports of clients: new, repeated, implausible, refused, or skipped by the client",
            new.reports.clone(),
        );
        registry.register(
            "rows_dropped",
            "Rows that were not written, because the disk was full for long",
            new.dropped.clone(),
        );
        registry.register(
            "waiting_frames",
            "Frames that wait for a point of their way",
            new.waiting.clone(),
        );
        registry.register_with_unit(
            "clock_offset",
            "The service's clock minus ours",
            s.clone(),
            new.offset.clone(),
        );
        registry.register_with_unit(
            "clock_uncertainty",
            "How wrong that may be",
            s,
            new.uncertainty.clone(),
        );
        registry.register_with_unit(
            "clock_drift",
            "Seconds that the service's clock gains on ours in a second; 0 where it may be none",
            Unit::Ratios,
            new.drift.clone(),
        );
        registry.register(
            "clock_steps",
            "Times that the service's clock was set",
            new.steps.clone(),
        );
        registry.register(
            "trace_overwritten",
            "Crossings that were gone before they were pulled",
            new.overwritten.clone(),
        );
        registry.register(
            "trace_failures",
            "Pulls of a trace that failed",
            new.failures.clone(),
        );
        new
    }

    /// A frame's way is known.
    pub fn row(&self, row: &FrameRow) {
        self.frames
            .get_or_create(&OutcomeLabel {
                outcome: row.outcome.as_str(),
            })
            .inc();
        let Some(latency_us) = row.latency_us() else {
            return;
        };
        self.latency.observe(latency_us as f64 / 1e6);
        for stage in Stage::ALL {
            if let Some(us) = row.stage_us(stage) {
                self.stages
                    .get_or_create(&StageLabel {
                        stage: stage.as_str(),
                    })
                    .observe(us as f64 / 1e6);
            }
        }
    }

    /// A post was taken.
    pub fn taken(&self, taken: &Taken) {
        for (result, count) in [
            ("new", taken.new),
            ("repeated", taken.repeated),
            ("skipped", taken.skipped),
            ("implausible", taken.implausible),
        ] {
            self.reports
                .get_or_create(&ResultLabel { result })
                .inc_by(count);
        }
    }

    /// A post of so many reports was refused.
    pub fn refused(&self, reports: usize) {
        let label = ResultLabel { result: "refused" };
        self.reports.get_or_create(&label).inc_by(reports as u64);
    }

    /// So many rows were dropped: the disk was full for long.
    pub fn dropped(&self, rows: usize) {
        self.dropped.inc_by(rows as u64);
    }

    /// Sets the number of frames that wait for their points.
    pub fn waiting(&self, frames: usize) {
        self.waiting.set(i64::try_from(frames).unwrap_or(i64::MAX));
    }

    /// A service's clock was asked.
    pub fn clock(&self, service: &str, clock: Known, stepped: bool) {
        let label = ServiceLabel {
            service: service.to_owned(),
        };
        self.offset
            .get_or_create(&label)
            .set(clock.correction.offset_us as f64 / 1e6);
        self.drift
            .get_or_create(&label)
            .set(clock.correction.drift_ppb as f64 / 1e9);
        self.uncertainty
            .get_or_create(&label)
            .set(clock.uncertainty_us as f64 / 1e6);
        self.steps.get_or_create(&label).inc_by(u64::from(stepped));
    }

    /// A service's trace was pulled; `None` where it could not be.
    pub fn pulled(&self, service: &str, overwritten: Option<u64>) {
        let label = ServiceLabel {
            service: service.to_owned(),
        };
        self.overwritten
            .get_or_create(&label)
            // A service that lies makes a counter large, and not smaller.
            .inc_by(overwritten.unwrap_or(0).min(MOST_OVERWRITTEN));
        self.failures
            .get_or_create(&label)
            .inc_by(u64::from(overwritten.is_none()));
    }
}
