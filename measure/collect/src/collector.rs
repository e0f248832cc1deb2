//! The collector as it runs: its port, its pulls, and the task that writes.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use prometheus_client::registry::Registry;
use rustls::ServerConfig;
use service::http::{self, Limits as HttpLimits};
use service::{Secret, Shutdown};
use timeline::join::{Counts, Limits};
use timeline::{ClientName, RtpTimestamp, UnixMicros};
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{self, MissedTickBehavior};

use super::core::{ClocksKnown, Progress};
use super::files::Paths;
use super::live::Live;
use super::scrape::{Scraper, Target};
use super::server;
use super::shared::{Due, OnEvent, Parts, Shared};

/// How often joined frames go to the files.
const WRITE_EVERY: Duration = Duration::from_millis(250);

/// How long `frames.csv` may grow unless said otherwise, in bytes: a month of frames at 60 a second.
pub const MAX_BYTES: u64 = 16 << 30;

/// What a collector is started with.
pub struct Start {
    /// The address that clients post to.
    pub listen: SocketAddr,
    /// The flag that the address came from, for messages.
    pub origin: String,
    /// What makes the port speak TLS; none for plain HTTP.
    pub tls: Option<Arc<ServerConfig>>,
    /// The files that are written.
    pub paths: Paths,
    /// How long a frame waits for its points, and how many may.
    pub limits: Limits,
    /// Whether services and clients are on this host, so that their clock is ours.
    pub one_clock: bool,
    /// Whether the warm-up is over from the start: nobody calls [`Collector::measure_from`].
    pub measure_all: bool,
    /// The token that every post must show; none where anybody may report.
    pub token: Option<Secret>,
    /// Frames that an earlier collector has written: they are not taken again.
    pub reported: VecDeque<(ClientName, RtpTimestamp)>,
    /// How long `frames.csv` may grow, in bytes.
    pub max_bytes: u64,
    /// The page that is told of every frame.
    pub live: Arc<Live>,
    /// Receiver of the collector's events.
    pub on_event: OnEvent,
    /// Begun by [`Collector::finish`]; a [`Shutdown::later`] of the program's lets its end share the program's deadline.
    pub stop: Shutdown,
}

/// A running collector.
pub struct Collector {
    shared: Arc<Shared>,
    address: SocketAddr,
    stop: Shutdown,
    server: JoinHandle<()>,
    writer: JoinHandle<()>,
}

impl Collector {
    /// Creates the files, binds the port and goes to work; its metrics go into `registry`.
    pub fn start(start: Start, registry: &mut Registry) -> anyhow::Result<Self> {
        let listener = http::listen(start.listen, &start.origin)?;
        let address = listener.local_addr()?;
        let limits = HttpLimits {
            connections: 128,
            ..HttpLimits::default()
        };
        limits.counters.register(registry, "reports");
        let parts = Parts {
            paths: start.paths,
            limits: start.limits,
            one_clock: start.one_clock,
            measured_from: start.measure_all.then_some(UnixMicros(0)),
            on_event: start.on_event,
            token: start.token,
            reported: start.reported,
            max_bytes: start.max_bytes,
            live: start.live,
        };
        let shared = Arc::new(Shared::new(parts, registry)?);
        let stop = start.stop;
        let routes = server::routes(Arc::clone(&shared));
        let serving = http::serve_either(listener, start.tls, routes, limits, stop.clone());
        let server = tokio::spawn(serving);
        let writer = tokio::spawn(write(Arc::clone(&shared), stop.clone()));
        Ok(Self {
            shared,
            address,
            stop,
            server,
            writer,
        })
    }

    /// The address that clients post to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Begins to pull a service's trace.
    pub fn scrape(&self, target: Target) -> anyhow::Result<Scraper> {
        Scraper::start(target, Arc::clone(&self.shared) as _)
    }

    /// What has been shown so far; changes can be waited for.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.shared.progress()
    }

    /// The reason why nothing can be written; none while all is well. Changes can be waited for.
    pub fn failure(&self) -> watch::Receiver<Option<String>> {
        self.shared.failure()
    }

    /// Frames generated from now on count in `latency.hlog`.
    pub fn measure_from(&self, from: UnixMicros) {
        self.shared.measure_from(from);
    }

    /// What is known of every source's clock by now.
    pub fn clocks(&self) -> ClocksKnown {
        self.shared.clocks()
    }

    /// Takes no more reports, gives out every frame that still waits, and writes all of it.
    pub async fn finish(self) -> anyhow::Result<(Counts, ClocksKnown)> {
        self.stop.begin();
        // Both end by the signal; a panic of theirs has been printed already.
        let _ = tokio::join!(self.server, self.writer);
        let shared = Arc::clone(&self.shared);
        let counts = spawn_blocking(move || shared.finish())
            .await
            .context("the last frames were not written")??;
        Ok((counts, self.shared.clocks()))
    }
}

impl std::fmt::Debug for Collector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Collector")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// Writes until the end. Files may block, and the runtime's threads must not.
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
        let due = Due {
            interval: turn.is_multiple_of(4),
            waiting: turn.is_multiple_of(2),
        };
        let shared = Arc::clone(&shared);
        // A panic of it has been printed already, and the next turn tries again.
        let _ = spawn_blocking(move || shared.write(due)).await;
    }
}
