//! Pulls one service's trace, and asks its clock.
//!
//! The pace is the ring's: a page is asked for every [`PACE`], and at once again while pages are full. A service's ring of
//! tens of thousands of crossings takes minutes to fill at the two crossings that a frame makes in it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use service::{Shutdown, clock};
use timeline::clock_exchange::{Estimate, Exchange, ServerTimes};
use timeline::clock_filter::{ClockFilter, Heard, Known};
use timeline::{TracePage, UnixMicros};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{self, MissedTickBehavior};

/// From one pull to the next.
pub const PACE: Duration = Duration::from_millis(250);

/// Crossings asked for at a time: what a service answers at most.
const PAGE: usize = 2_000;

/// Exchanges with a clock that tell its offset and its drift: half a minute of them.
const WINDOW: usize = 32;

/// Exchanges that are made at once before the first page is asked for, so that its times are put right well.
const FIRST_EXCHANGES: usize = 8;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// The longest answer that is read: [`PAGE`] crossings are some 200 kB.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// Pages that may be asked for in one go: more than the largest ring holds.
const MAX_PAGES: usize = 64;

/// Pages that may be asked for from one pull to the next, for as long as a service likes: thousands of frames a second.
const PAGES_A_PULL: usize = 2;

/// Pages that are asked for at the end, however many there were before.
const LAST_PAGES: usize = 8;

/// Takes what a [`Scraper`] heard.
pub trait Sink: Send + Sync + 'static {
    /// The clock of `source` will be asked.
    fn will_ask(&self, source: &str);
    /// The clock of `source` was asked; `stepped` if it had been set since.
    fn clock(&self, source: &str, clock: Known, stepped: bool);
    /// The trace of `source` was asked for a page; none if it gave none.
    fn page(&self, source: &str, page: Option<&TracePage>);
    /// Something happened to `source`.
    fn event(&self, what: &str, source: &str, detail: &str);
}

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
    /// What it is called in metrics, events and `meta.json`; a client has the name that it posts under.
    pub name: String,
    /// The ops port of the service: `HOST:PORT`.
    pub ops: String,
    /// The stream whose crossings are asked for; none for the service's first.
    pub stream: Option<String>,
    /// Whether it may be on another host, so that its clock must be asked.
    pub ask_clock: bool,
}

impl Scraper {
    /// Pulls until it is stopped.
    pub fn start(target: Target, sink: Arc<dyn Sink>) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .context("cannot make an HTTP client")?;
        if target.ask_clock {
            sink.will_ask(&target.name);
        }
        let puller = Arc::new(Mutex::new(Puller {
            target,
            http,
            sink,
            boot: None,
            next: 0,
            clock: ClockFilter::new(WINDOW),
            answers: None,
            overwritten: 0,
            pages: MAX_PAGES,
        }));
        let stop = Shutdown::new();
        let task = tokio::spawn(run(Arc::clone(&puller), stop.clone()));
        Ok(Self { puller, stop, task })
    }

    /// Pulls what there is now, to the end.
    pub async fn catch_up(&self) -> anyhow::Result<()> {
        let mut puller = self.puller.lock().await;
        puller.pages = puller.pages.max(LAST_PAGES);
        puller.pull().await
    }

    /// Crossings that were gone before they were pulled.
    pub async fn overwritten(&self) -> u64 {
        self.puller.lock().await.overwritten
    }

    /// Stops pulling traces.
    pub async fn stop(self) {
        self.stop.begin();
        // It has no result, and a panic of it has been printed already.
        let _ = self.task.await;
    }
}

async fn run(puller: Arc<Mutex<Puller>>, stop: Shutdown) {
    let mut ticks = time::interval(PACE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut turn = 0_u32;
    loop {
        let work = async {
            ticks.tick().await;
            let mut puller = puller.lock().await;
            // Often at first, so that the first frames have an estimate of some use; then once a second.
            if turn < 16 || turn.is_multiple_of(4) {
                puller.ask_clock().await;
            }
            puller.pages = (puller.pages + PAGES_A_PULL).min(MAX_PAGES);
            let result = puller.pull().await;
            puller.tell(result.as_ref().err());
        };
        // What is heard is passed on without waiting in between, so that nothing is lost or doubled when it is cut off.
        tokio::select! {
            () = stop.fired() => return,
            () = work => {}
        }
        turn = turn.wrapping_add(1);
    }
}

struct Puller {
    target: Target,
    http: reqwest::Client,
    sink: Arc<dyn Sink>,
    boot: Option<u64>,
    next: u64,
    clock: ClockFilter,
    /// Whether the last pull was answered; none before the first.
    answers: Option<bool>,
    overwritten: u64,
    /// Pages that may be asked for by now.
    pages: usize,
}

impl std::fmt::Debug for Puller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Puller")
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

impl Puller {
    async fn pull(&mut self) -> anyhow::Result<()> {
        self.put_clock_right().await?;
        let mut restarted = false;
        while let Some(left) = self.pages.checked_sub(1) {
            self.pages = left;
            let page = self.page().await;
            let page = match page {
                Ok(page) => page,
                Err(error) => {
                    self.sink.page(&self.target.name, None);
                    return Err(error);
                }
            };
            if self
                .boot
                .replace(page.boot)
                .is_some_and(|boot| boot != page.boot)
            {
                self.event("service restarted", "its trace begins again");
                self.next = 0;
                if restarted {
                    // One that says so each time is asked again at the next turn.
                    return Ok(());
                }
                restarted = true;
                continue;
            }
            if page.overwritten > 0 {
                self.overwritten = self.overwritten.saturating_add(page.overwritten);
                let gone = page.overwritten;
                self.event(
                    "trace overwritten",
                    &format!("{gone} crossings were gone before they were pulled"),
                );
            }
            self.next = page.next;
            self.sink.page(&self.target.name, Some(&page));
            if page.crossings.len() < PAGE {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Sees to it that the clock is known before anything is heard that was read from it.
    async fn put_clock_right(&mut self) -> anyhow::Result<()> {
        if !self.target.ask_clock {
            return Ok(());
        }
        while self.clock.len() < FIRST_EXCHANGES {
            let before = self.clock.len();
            self.ask_clock().await;
            if self.clock.len() <= before {
                break;
            }
        }
        let now = clock::now();
        let known = self.clock.known(now).with_context(|| {
            let Target { name, ops, .. } = &self.target;
            format!("{name} does not answer at http://{ops}/clock")
        })?;
        self.sink.clock(&self.target.name, known, false);
        Ok(())
    }

    async fn page(&self) -> anyhow::Result<TracePage> {
        let stream = self.target.stream.as_deref();
        let name = stream.map_or_else(String::new, |name| format!("&name={name}"));
        let url = format!(
            "http://{}/trace?after={}&limit={PAGE}{name}",
            self.target.ops, self.next
        );
        let body = self
            .get(&url)
            .await
            .with_context(|| format!("{} does not answer at {url}", self.target.name))?;
        serde_json::from_slice(&body).with_context(|| format!("{url} is no trace"))
    }

    async fn get(&self, url: &str) -> anyhow::Result<Vec<u8>> {
        let mut answer = self.http.get(url).send().await?;
        let status = answer.status();
        anyhow::ensure!(status.is_success(), "it answers {status}");
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            body.extend_from_slice(&chunk);
            anyhow::ensure!(
                body.len() <= MAX_ANSWER_BYTES,
                "its answer is longer than {MAX_ANSWER_BYTES} bytes"
            );
        }
        Ok(body)
    }

    fn event(&self, what: &str, detail: &str) {
        self.sink.event(what, &self.target.name, detail);
    }

    async fn ask_clock(&mut self) {
        if !self.target.ask_clock {
            return;
        }
        let url = format!("http://{}/clock", self.target.ops);
        let sent = clock::now();
        let Ok(body) = self.get(&url).await else {
            return;
        };
        let answered = clock::now();
        let Ok(server) = serde_json::from_slice::<ServerTimes>(&body) else {
            return;
        };
        let exchange = Exchange {
            sent,
            server,
            answered,
        };
        if let Some(estimate) = exchange.estimate() {
            self.heard(estimate, answered);
        }
    }

    fn heard(&mut self, estimate: Estimate, at: UnixMicros) {
        let heard = self.clock.push(at, estimate);
        if let Heard::Stepped { by_us } = heard {
            self.event(
                "clock step",
                &format!("its offset to ours changed by {by_us} us"),
            );
        }
        if let Some(known) = self.clock.known(at) {
            let stepped = heard != Heard::Steady;
            self.sink.clock(&self.target.name, known, stepped);
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
