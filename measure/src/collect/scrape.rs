//! Pulls one service's trace, and asks its clock.
//!
//! The pace is the ring's: a page is asked for every [`PACE`], and at once again while pages are full. A service's ring of
//! tens of thousands of crossings takes minutes to fill at the two crossings that a frame makes in it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use service::{Shutdown, clock};
use timeline::clock_exchange::{Estimate, Exchange, Filter, Heard, ServerTimes};
use timeline::{TracePage, UnixMicros};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{self, MissedTickBehavior};

use super::server::Shared;

/// From one pull to the next.
pub const PACE: Duration = Duration::from_millis(250);

/// Crossings asked for at a time: what a service answers at most.
const PAGE: usize = 2_000;

/// Exchanges with a clock of which the best counts: half a minute of them.
const WINDOW: usize = 32;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// One service that is pulled.
#[derive(Debug)]
pub struct Scraper {
    puller: Arc<Mutex<Puller>>,
    stop: Shutdown,
    task: JoinHandle<()>,
}

/// What a service is asked.
#[derive(Clone, Debug)]
pub struct Target {
    /// What it is called in metrics and events.
    pub name: String,
    /// Its ops port: `HOST:PORT`.
    pub ops: String,
    /// Whether it may be on another host, so that its clock must be asked.
    pub ask_clock: bool,
}

impl Scraper {
    /// Pulls until it is stopped.
    pub(super) fn start(target: Target, shared: Arc<Shared>) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .timeout(PATIENCE)
            .build()
            .context("cannot make an HTTP client")?;
        let puller = Arc::new(Mutex::new(Puller {
            target,
            http,
            shared,
            boot: None,
            next: 0,
            clock: Filter::new(WINDOW),
            answers: None,
            overwritten: 0,
        }));
        let stop = Shutdown::new();
        let task = tokio::spawn(run(Arc::clone(&puller), stop.clone()));
        Ok(Self { puller, stop, task })
    }

    /// Pulls what there is now, to the end.
    pub async fn catch_up(&self) -> anyhow::Result<()> {
        self.puller.lock().await.pull().await
    }

    /// Crossings that were gone before they were pulled.
    pub async fn overwritten(&self) -> u64 {
        self.puller.lock().await.overwritten
    }

    /// Stops pulling.
    pub async fn stop(self) {
        self.stop.begin();
        // It has no result, and a panic of it has been printed already.
        let _ = self.task.await;
    }
}

async fn run(shared: Arc<Mutex<Puller>>, stop: Shutdown) {
    let mut ticks = time::interval(PACE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut turn = 0_u32;
    loop {
        tokio::select! {
            () = stop.fired() => return,
            _ = ticks.tick() => {}
        }
        let mut puller = shared.lock().await;
        // Often at first, so that the first frames have an estimate of some use; then once a second.
        if puller.target.ask_clock && (turn < 16 || turn.is_multiple_of(4)) {
            puller.ask_clock().await;
        }
        turn = turn.wrapping_add(1);
        let result = puller.pull().await;
        puller.tell(result.as_ref().err());
    }
}

#[derive(Debug)]
struct Puller {
    target: Target,
    http: reqwest::Client,
    shared: Arc<Shared>,
    boot: Option<u64>,
    next: u64,
    clock: Filter,
    /// Whether the last pull was answered; none before the first.
    answers: Option<bool>,
    overwritten: u64,
}

impl Puller {
    async fn pull(&mut self) -> anyhow::Result<()> {
        loop {
            let page = self.page().await;
            self.shared.metrics.pulled(
                &self.target.name,
                page.as_ref().ok().map(|page| page.overwritten),
            );
            let page = page?;
            if self
                .boot
                .replace(page.boot)
                .is_some_and(|boot| boot != page.boot)
            {
                self.shared.event(
                    "service restarted",
                    &self.target.name,
                    "its trace begins again",
                );
                self.next = 0;
                continue;
            }
            if page.overwritten > 0 {
                self.overwritten += page.overwritten;
                let detail = format!(
                    "{} crossings were gone before they were pulled",
                    page.overwritten
                );
                self.shared
                    .event("trace overwritten", &self.target.name, &detail);
            }
            self.next = page.next;
            let full = page.crossings.len() >= PAGE;
            self.shared.page(&page, self.estimate());
            if !full {
                return Ok(());
            }
        }
    }

    async fn page(&self) -> anyhow::Result<TracePage> {
        let url = format!(
            "http://{}/trace?after={}&limit={PAGE}",
            self.target.ops, self.next
        );
        let answer = self
            .http
            .get(&url)
            .send()
            .await
            .and_then(reqwest::Response::error_for_status);
        let page =
            answer.with_context(|| format!("{} does not answer at {url}", self.target.name))?;
        page.json()
            .await
            .with_context(|| format!("{url} is no trace"))
    }

    fn estimate(&self) -> Option<Estimate> {
        if self.target.ask_clock {
            self.clock.best(clock::now())
        } else {
            None
        }
    }

    async fn ask_clock(&mut self) {
        let url = format!("http://{}/clock", self.target.ops);
        let sent = clock::now();
        let Ok(answer) = self.http.get(&url).send().await else {
            return;
        };
        let answered = clock::now();
        let Ok(server) = answer.json::<ServerTimes>().await else {
            return;
        };
        self.heard(
            Exchange {
                sent,
                server,
                answered,
            },
            answered,
        );
    }

    fn heard(&mut self, exchange: Exchange, at: UnixMicros) {
        let Some(estimate) = exchange.estimate() else {
            return;
        };
        let heard = self.clock.push(at, estimate);
        if let Heard::Stepped { by_us } = heard {
            self.shared.event(
                "clock step",
                &self.target.name,
                &format!("its offset to ours changed by {by_us} us"),
            );
        }
        if let Some(best) = self.clock.best(at) {
            self.shared
                .metrics
                .clock(&self.target.name, best, heard != Heard::Steady);
        }
    }

    /// Says once when the service begins or ceases to answer.
    fn tell(&mut self, error: Option<&anyhow::Error>) {
        if self.answers.replace(error.is_none()) == Some(error.is_none()) {
            return;
        }
        match error {
            None => tracing::debug!(
                service = self.target.name,
                ops = self.target.ops,
                "pulling its trace"
            ),
            Some(error) => tracing::warn!(
                service = self.target.name,
                "{error:#}; it is asked again and again"
            ),
        }
    }
}
