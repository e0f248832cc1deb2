//! What the port, the pulls and the writer share: the state, the files, the metrics, and how far it all got.

use std::path::PathBuf;

use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use service::clock;
use timeline::clock_exchange::Estimate;
use timeline::frames_csv::FrameRow;
use timeline::join::{Counts, Limits};
use timeline::{ClientName, FrameReport, TracePage, UnixMicros};
use tokio::sync::watch;
use tokio::time::Instant;

use super::core::{ClockAwaited, ClocksKnown, Core, Progress, Taken};
use super::files::Files;
use super::metrics::Metrics;
use super::scrape::Sink;

/// Takes an event: what happened, to whom, and the details.
pub type OnEvent = Box<dyn Fn(&str, &str, &str) + Send + Sync>;

/// What a collector works with.
pub(super) struct Shared {
    core: Mutex<Core>,
    files: Mutex<Files>,
    metrics: Metrics,
    progress: watch::Sender<Progress>,
    failure: watch::Sender<Option<String>>,
    measured_from: Mutex<Option<UnixMicros>>,
    begun: Instant,
    on_event: OnEvent,
}

/// What is shared is made of.
pub(super) struct Parts {
    pub(super) frames: PathBuf,
    pub(super) log: PathBuf,
    pub(super) limits: Limits,
    pub(super) one_clock: bool,
    pub(super) measured_from: Option<UnixMicros>,
    pub(super) on_event: OnEvent,
}

impl Shared {
    /// Creates the files and registers the metrics.
    pub(super) fn new(parts: Parts, registry: &mut Registry) -> anyhow::Result<Self> {
        Ok(Self {
            files: Mutex::new(Files::create(parts.frames, parts.log, clock::now())?),
            core: Mutex::new(Core::new(parts.limits, parts.one_clock)),
            metrics: Metrics::register(registry),
            progress: watch::Sender::new(Progress::default()),
            failure: watch::Sender::new(None),
            measured_from: Mutex::new(parts.measured_from),
            begun: Instant::now(),
            on_event: parts.on_event,
        })
    }

    /// Takes what a client posted.
    pub(super) fn reports(
        &self,
        client: &ClientName,
        reports: &[FrameReport],
    ) -> Result<Taken, ClockAwaited> {
        let (taken, progress) = {
            let mut core = self.core.lock();
            let taken = core.reports(client, reports, clock::now())?;
            (taken, core.progress())
        };
        self.metrics.taken(&taken);
        self.progress.send_replace(progress);
        Ok(taken)
    }

    pub(super) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    pub(super) fn failure(&self) -> watch::Receiver<Option<String>> {
        self.failure.subscribe()
    }

    /// The reason why nothing can be written any more.
    pub(super) fn failed(&self) -> Option<String> {
        self.failure.borrow().clone()
    }

    pub(super) fn measure_from(&self, from: UnixMicros) {
        *self.measured_from.lock() = Some(from);
    }

    pub(super) fn clocks(&self) -> ClocksKnown {
        self.core.lock().clocks()
    }

    /// Writes what is known by now; a failure is kept, and nothing is written after it. Blocks.
    pub(super) fn write(&self, end_interval: bool) -> anyhow::Result<()> {
        let mut rows = {
            let mut core = self.core.lock();
            core.advance(self.begun.elapsed());
            self.metrics.waiting(core.waiting());
            core.take_rows()
        };
        let written = self.put(&mut rows, end_interval);
        if let Err(error) = &written {
            self.failure.send_replace(Some(format!("{error:#}")));
        }
        written
    }

    /// Writes everything that waits. Blocks.
    pub(super) fn finish(&self) -> anyhow::Result<Counts> {
        let (mut rows, counts) = self.core.lock().finish();
        self.put(&mut rows, true)?;
        match self.failed() {
            Some(failure) => anyhow::bail!(failure),
            None => Ok(counts),
        }
    }

    fn put(&self, rows: &mut [FrameRow], end_interval: bool) -> anyhow::Result<()> {
        for row in rows.iter() {
            self.metrics.row(row);
        }
        let from = *self.measured_from.lock();
        let mut files = self.files.lock();
        files.write(rows, from)?;
        if end_interval {
            files.end_interval(clock::now())?;
        }
        files.flush()
    }
}

impl Sink for Shared {
    fn will_ask(&self, source: &str) {
        self.core.lock().will_ask(source);
    }

    fn clock(&self, source: &str, clock: Estimate, stepped: bool) {
        self.core.lock().clock(source, clock);
        self.metrics.clock(source, clock, stepped);
    }

    fn page(&self, source: &str, page: Option<&TracePage>) {
        self.metrics
            .pulled(source, page.map(|page| page.overwritten));
        if let Some(page) = page {
            self.core.lock().page(source, page);
        }
    }

    fn event(&self, what: &str, source: &str, detail: &str) {
        tracing::info!(whom = source, detail, "{what}");
        (self.on_event)(what, source, detail);
    }
}
