//! What the port, the pulls and the writer share: the state, the files, the metrics, and how far it all got.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use service::{Secret, clock};
use timeline::clock_filter::Known;
use timeline::frames_csv::FrameRow;
use timeline::join::{Counts, Limits};
use timeline::{ClientName, FrameReport, RtpTimestamp, TracePage, UnixMicros};
use tokio::sync::watch;
use tokio::time::Instant;

use super::core::{ClocksKnown, Core, MAX_ROWS, Progress, Refused, Taken};
use super::files::{Files, Paths};
use super::live::Live;
use super::metrics::Metrics;
use super::reporter::Reporter;
use super::scrape::Sink;

/// Takes an event: what happened, to whom, and the details.
pub type OnEvent = Box<dyn Fn(&str, &str, &str) + Send + Sync>;

/// Rows that may wait for a full disk.
const MAX_UNWRITTEN: usize = 4 * MAX_ROWS;

/// What a collector works with.
pub(super) struct Shared {
    core: Mutex<Core>,
    files: Mutex<Files>,
    metrics: Metrics,
    live: Arc<Live>,
    progress: watch::Sender<Progress>,
    failure: watch::Sender<Option<String>>,
    measured_from: Mutex<Option<UnixMicros>>,
    begun: Instant,
    on_event: OnEvent,
    token: Option<Secret>,
    /// Rows that the files have not taken yet.
    unwritten: Mutex<Vec<FrameRow>>,
    max_bytes: u64,
    is_full: AtomicBool,
}

/// What is to be written beside the rows that wait no more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Due {
    /// The histogram of the time since the last one.
    pub(super) interval: bool,
    /// The rows that wait.
    pub(super) waiting: bool,
}

/// What is shared is made of.
pub(super) struct Parts {
    pub(super) paths: Paths,
    pub(super) limits: Limits,
    pub(super) one_clock: bool,
    pub(super) measured_from: Option<UnixMicros>,
    pub(super) on_event: OnEvent,
    pub(super) token: Option<Secret>,
    pub(super) reported: VecDeque<(ClientName, RtpTimestamp)>,
    pub(super) max_bytes: u64,
    pub(super) live: Arc<Live>,
}

impl Shared {
    /// Creates the files and registers the metrics.
    pub(super) fn new(parts: Parts, registry: &mut Registry) -> anyhow::Result<Self> {
        let mut core = Core::new(parts.limits, parts.one_clock);
        core.reported_before(parts.reported);
        Ok(Self {
            files: Mutex::new(Files::create(parts.paths, clock::now())?),
            core: Mutex::new(core),
            metrics: Metrics::register(registry),
            live: parts.live,
            progress: watch::Sender::new(Progress::default()),
            failure: watch::Sender::new(None),
            measured_from: Mutex::new(parts.measured_from),
            begun: Instant::now(),
            on_event: parts.on_event,
            token: parts.token,
            unwritten: Mutex::default(),
            max_bytes: parts.max_bytes,
            is_full: AtomicBool::new(false),
        })
    }

    /// Takes what was posted under a client's name.
    pub(super) fn reports(
        &self,
        client: &ClientName,
        reporter: &Reporter,
        reports: &[FrameReport],
    ) -> Result<Taken, Refused> {
        let taken = {
            let mut core = self.core.lock();
            let taken = core.reports(client, reporter, reports, clock::now());
            taken.map(|taken| (taken, core.progress()))
        };
        let (taken, progress) = taken.inspect_err(|_| self.metrics.refused(reports.len()))?;
        self.metrics.taken(&taken);
        self.progress.send_replace(progress);
        Ok(taken)
    }

    /// Whether `reporter` shows the token that every post needs, where one does.
    pub(super) fn knows(&self, reporter: &Reporter) -> bool {
        self.token.is_none() || self.token == reporter.token
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

    /// Writes what is known by now. What a full disk does not take is kept and tried again; until then nothing more is taken
    /// from anybody. Blocks.
    pub(super) fn write(&self, due: Due) {
        let (rows, waiting) = {
            let mut core = self.core.lock();
            core.advance(self.begun.elapsed());
            self.metrics.waiting(core.waiting());
            (core.take_rows(), due.waiting.then(|| core.waiting_rows()))
        };
        match self.put(rows, waiting, due.interval) {
            Ok(()) if self.failed().is_some() => {
                self.failure.send_replace(None);
                tracing::info!("what waited for the disk is written");
            }
            Ok(()) => {}
            Err(error) => {
                let why = format!("{error:#}");
                if self.failed().is_none() {
                    tracing::error!(
                        "{why}; reports are refused until then, and what was taken is kept"
                    );
                }
                self.failure.send_replace(Some(why));
            }
        }
    }

    /// Writes everything that waits. Blocks.
    pub(super) fn finish(&self) -> anyhow::Result<Counts> {
        let (rows, counts) = self.core.lock().finish();
        self.put(rows, Some(Vec::new()), true).with_context(|| {
            let rows = self.unwritten.lock().len();
            format!("{rows} frames that were reported are not in the result")
        })?;
        Ok(counts)
    }

    fn put(
        &self,
        rows: Vec<FrameRow>,
        waiting: Option<Vec<FrameRow>>,
        end_interval: bool,
    ) -> anyhow::Result<()> {
        for row in &rows {
            self.metrics.row(row);
            self.live.row(row);
        }
        let mut unwritten = self.unwritten.lock();
        // While the disk is full, only traces add to them.
        let room = MAX_UNWRITTEN.saturating_sub(unwritten.len());
        self.metrics.dropped(rows.len().saturating_sub(room));
        unwritten.extend(rows.into_iter().take(room));
        let from = *self.measured_from.lock();
        let mut files = self.files.lock();
        // What failed before comes first, so that nothing is begun that cannot be ended.
        files.flush()?;
        files.write(&mut unwritten, from)?;
        if end_interval {
            files.end_interval(clock::now())?;
        }
        files.flush()?;
        if let Some(mut waiting) = waiting {
            files.write_open(&mut waiting, from)?;
        }
        let is_full = files.length() >= self.max_bytes;
        if is_full && !self.is_full.swap(true, Ordering::Relaxed) {
            tracing::error!(
                bytes = self.max_bytes,
                "frames.csv is as long as it may be; no more reports are taken"
            );
        }
        Ok(())
    }

    /// Whether as much was written as may be.
    pub(super) fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Relaxed)
    }
}

impl Sink for Shared {
    fn will_ask(&self, source: &str) {
        self.core.lock().will_ask(source);
    }

    fn clock(&self, source: &str, clock: Known, stepped: bool) {
        self.core.lock().clock(source, clock);
        self.metrics.clock(source, clock, stepped);
    }

    fn page(&self, source: &str, page: Option<&TracePage>) {
        self.metrics
            .pulled(source, page.map(|page| page.overwritten));
        if let Some(page) = page.filter(|_| !self.is_full()) {
            self.core.lock().page(source, page);
        }
    }

    fn event(&self, what: &str, source: &str, detail: &str) {
        tracing::info!(whom = source, detail, "{what}");
        (self.on_event)(what, source, detail);
    }
}
