//! The collector as it runs: the port for reports, the pulls, and the task that writes.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use prometheus_client::registry::Registry;
use serde::Serialize;
use service::http::{self, Limits as HttpLimits, Problem};
use service::{Shutdown, clock};
use timeline::clock_exchange::Estimate;
use timeline::join::{Counts, Limits};
use timeline::{TracePage, UnixMicros};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{self, Instant, MissedTickBehavior};

use super::core::{Core, Progress};
use super::files::Files;
use super::metrics::Metrics;
use super::reports::{self, MAX_BODY_BYTES};
use super::scrape::{Scraper, Target};

/// How often joined frames go to the files.
const WRITE_EVERY: Duration = Duration::from_millis(250);

/// Takes an event: what happened, to whom, and the details.
pub type OnEvent = Box<dyn Fn(&str, &str, &str) + Send + Sync>;

/// What a collector is started with.
pub struct Start {
    /// Where clients post.
    pub listen: SocketAddr,
    /// The flag that the address came from, for messages.
    pub origin: String,
    /// `frames.csv`.
    pub frames: PathBuf,
    /// `latency.hlog`.
    pub log: PathBuf,
    /// How long a frame waits for its points, and how many may.
    pub limits: Limits,
    /// Whether the warm-up is over from the start: nobody calls [`Collector::measure_from`].
    pub measure_all: bool,
    /// Takes what happens.
    pub on_event: OnEvent,
}

/// A running collector.
pub struct Collector {
    shared: Arc<Shared>,
    address: SocketAddr,
    stop: Shutdown,
    server: JoinHandle<()>,
    writer: JoinHandle<()>,
}

pub(super) struct Shared {
    core: Mutex<Core>,
    files: Mutex<Files>,
    pub(super) metrics: Metrics,
    progress: watch::Sender<Progress>,
    failure: watch::Sender<Option<String>>,
    measured_from: Mutex<Option<UnixMicros>>,
    begun: Instant,
    on_event: OnEvent,
}

impl Collector {
    /// Creates the files, binds the port and goes to work; its metrics go into `registry`.
    pub fn start(start: Start, registry: &mut Registry) -> anyhow::Result<Self> {
        let files = Files::create(start.frames, start.log, clock::now())?;
        let listener = http::listen(start.listen, &start.origin)?;
        let address = listener.local_addr()?;
        let limits = HttpLimits {
            connections: 128,
            ..HttpLimits::default()
        };
        limits.counters.register(registry, "reports");
        let shared = Arc::new(Shared {
            core: Mutex::new(Core::new(start.limits)),
            files: Mutex::new(files),
            metrics: Metrics::register(registry),
            progress: watch::Sender::new(Progress::default()),
            failure: watch::Sender::new(None),
            measured_from: Mutex::new(start.measure_all.then_some(UnixMicros(0))),
            begun: Instant::now(),
            on_event: start.on_event,
        });
        let stop = Shutdown::new();
        let server = tokio::spawn(http::serve(
            listener,
            routes(Arc::clone(&shared)),
            limits,
            stop.clone(),
        ));
        let writer = tokio::spawn(write(Arc::clone(&shared), stop.clone()));
        Ok(Self {
            shared,
            address,
            stop,
            server,
            writer,
        })
    }

    /// Where clients post.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Begins to pull a service's trace.
    pub fn scrape(&self, target: Target) -> anyhow::Result<Scraper> {
        Scraper::start(target, Arc::clone(&self.shared))
    }

    /// What has been shown so far; changes can be waited for.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.shared.progress.subscribe()
    }

    /// Why nothing can be written any more; none while all is well. Changes can be waited for.
    pub fn failure(&self) -> watch::Receiver<Option<String>> {
        self.shared.failure.subscribe()
    }

    /// Frames generated from now on count in `latency.hlog`.
    pub fn measure_from(&self, from: UnixMicros) {
        *lock(&self.shared.measured_from) = Some(from);
    }

    /// The uncertainty of a latency in microseconds, from the exchange of clocks.
    pub fn uncertainty_us(&self) -> u64 {
        lock(&self.shared.core).uncertainty_us()
    }

    /// Takes no more reports, gives out every frame that still waits, and writes all of it.
    pub async fn finish(self) -> anyhow::Result<Counts> {
        self.stop.begin();
        // Both end by the signal; a panic of theirs has been printed already.
        let _ = tokio::join!(self.server, self.writer);
        let (rows, counts) = lock(&self.shared.core).finish();
        let from = *lock(&self.shared.measured_from);
        let mut files = lock(&self.shared.files);
        for row in &rows {
            self.shared.metrics.row(row);
        }
        files.write(&rows, from)?;
        files.end_interval(clock::now())?;
        files.flush()?;
        if let Some(failure) = self.shared.failure.borrow().clone() {
            anyhow::bail!(failure);
        }
        Ok(counts)
    }
}

impl std::fmt::Debug for Collector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Collector")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn page(&self, page: &TracePage, clock: Option<Estimate>) {
        lock(&self.core).page(page, clock);
    }

    pub(super) fn event(&self, what: &str, whom: &str, detail: &str) {
        tracing::info!(whom, detail, "{what}");
        (self.on_event)(what, whom, detail);
    }

    /// Writes what is known by now.
    fn write(&self, end_interval: bool) -> anyhow::Result<()> {
        let rows = {
            let mut core = lock(&self.core);
            core.advance(self.begun.elapsed());
            self.metrics.waiting(core.waiting());
            core.take_rows()
        };
        for row in &rows {
            self.metrics.row(row);
        }
        let from = *lock(&self.measured_from);
        let mut files = lock(&self.files);
        files.write(&rows, from)?;
        if end_interval {
            files.end_interval(clock::now())?;
        }
        files.flush()
    }
}

async fn write(shared: Arc<Shared>, stop: Shutdown) {
    let mut ticks = time::interval(WRITE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut turn = 0_u32;
    loop {
        tokio::select! {
            () = stop.fired() => return,
            _ = ticks.tick() => {}
        }
        turn = turn.wrapping_add(1);
        if let Err(error) = shared.write(turn.is_multiple_of(4)) {
            shared.failure.send_replace(Some(format!("{error:#}")));
            return;
        }
    }
}

fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/frames/{client}", post(take))
        .fallback(async || {
            Problem::new(
                StatusCode::NOT_FOUND,
                "no such route",
                "this is a collector of frame reports",
                "POST /frames/CLIENT with one report a line; metrics are on the ops port",
            )
        })
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(shared)
}

/// What a client is told.
#[derive(Debug, Serialize)]
struct Answer {
    /// The sequence number that is wanted next: everything before it is here.
    next: u64,
}

async fn take(
    State(shared): State<Arc<Shared>>,
    Path(client): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Answer>, Problem> {
    let body = body.map_err(|error| {
        let remedy = format!("send at most {MAX_BODY_BYTES} bytes at a time");
        Problem::new(error.status(), "body refused", error.body_text(), remedy)
    })?;
    if !reports::is_client_id(&client) {
        let detail = format!("{client:?} cannot be a client's name");
        let remedy = "use 1 to 64 letters, digits, dots, dashes and underscores";
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "wrong client name",
            detail,
            remedy,
        ));
    }
    if let Some(failure) = shared.failure.borrow().clone() {
        let remedy = "keep the reports and try again: the collector must be started anew";
        return Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "cannot write",
            failure,
            remedy,
        ));
    }
    let reports = reports::parse(&body).map_err(|detail| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "not frame reports",
            detail,
            "send one FrameReport as JSON a line",
        )
    })?;
    let (taken, progress) = {
        let mut core = lock(&shared.core);
        (core.reports(&client, &reports), core.progress())
    };
    shared.metrics.taken(&taken);
    shared.progress.send_replace(progress);
    Ok(Json(Answer { next: taken.next }))
}

/// What is behind each lock is whole after every line of its code, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
