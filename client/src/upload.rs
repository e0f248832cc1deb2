//! Posts frame reports to the collector: in small batches, from a bounded queue that keeps them while the collector is
//! away. What no longer fits is dropped, the newest first, and counted.

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::Context as _;
use serde::Deserialize;
use service::Shutdown;
use service::backoff::Backoff;
use timeline::FrameReport;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::metrics::Fates;

/// Reports that may wait for the collector: five minutes at 60 frames a second.
const QUEUE: usize = 20_000;

/// Reports in one request: some 200 kB.
const BATCH: usize = 1_000;

/// How long reports are gathered before they are sent.
const GATHER: Duration = Duration::from_millis(150);

/// How long the collector may take for one request.
const LIMIT: Duration = Duration::from_secs(2);

/// The streaming thread's end of the queue.
#[derive(Clone, Debug)]
pub struct Posts {
    queue: mpsc::Sender<FrameReport>,
    fates: Fates,
}

impl Posts {
    /// Queues a report, or counts it as dropped; never waits.
    pub fn push(&self, report: FrameReport) {
        if self.queue.try_send(report).is_err() {
            self.fates.dropped.inc();
        }
    }
}

/// The task that posts reports to the collector.
#[derive(Debug)]
pub struct Uploader(JoinHandle<()>);

impl Uploader {
    /// Starts sending to `collector` under the name `id`. Whether the collector answers is logged at once.
    pub fn start(
        collector: &str,
        id: &str,
        fates: Fates,
        stopping: &Shutdown,
    ) -> anyhow::Result<(Self, Posts)> {
        let client = reqwest::Client::builder()
            .timeout(LIMIT)
            .tcp_nodelay(true)
            .build()
            .context("cannot make an HTTP client for --collector")?;
        let url = format!("{}/frames/{id}", collector.trim_end_matches('/'));
        let (queue, reports) = mpsc::channel(QUEUE);
        let sender = Sender {
            client,
            url,
            fates: fates.clone(),
            held: VecDeque::new(),
            reachable: None,
            backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(2)),
        };
        let task = tokio::spawn(sender.run(reports, stopping.clone()));
        Ok((Self(task), Posts { queue, fates }))
    }

    /// Waits until the collector has everything, at most `limit`. Every [`Posts`] must be gone.
    pub async fn finish(mut self, limit: Duration) {
        if tokio::time::timeout(limit, &mut self.0).await.is_err() {
            self.0.abort();
            // What it held is counted when it is gone, not when it is told to go.
            let _ = self.0.await;
        }
    }
}

struct Sender {
    client: reqwest::Client,
    url: String,
    fates: Fates,
    /// Taken from the queue, and not yet by the collector.
    held: VecDeque<FrameReport>,
    reachable: Option<bool>,
    backoff: Backoff,
}

/// What the collector answers.
#[derive(Debug, Deserialize)]
struct Answer {
    /// The sequence number that it wants next: it has everything before.
    next: u64,
}

impl Sender {
    async fn run(mut self, mut reports: mpsc::Receiver<FrameReport>, stopping: Shutdown) {
        // An empty post says at once whether the collector is there.
        self.post().await;
        let mut open = true;
        let mut send_at = Instant::now() + GATHER;
        while open || !self.held.is_empty() {
            let room = self.held.len() < QUEUE;
            tokio::select! {
                report = reports.recv(), if open && room => {
                    if let Some(report) = report {
                        self.held.push_back(report);
                    } else {
                        open = false;
                        send_at = Instant::now();
                    }
                }
                () = tokio::time::sleep_until(send_at), if !self.held.is_empty() || !room => {
                    let wait = match self.post().await {
                        true if self.held.len() >= BATCH => Duration::ZERO,
                        true => GATHER,
                        // While stopping there is no time to be polite.
                        false if stopping.has_fired() => Duration::from_millis(100),
                        false => self.backoff.next_delay(),
                    };
                    send_at = Instant::now() + wait;
                }
            }
        }
    }

    /// Posts the oldest batch; true if the collector took it.
    async fn post(&mut self) -> bool {
        let batch = self.held.len().min(BATCH);
        let mut body = Vec::with_capacity(batch * 200);
        for report in self.held.iter().take(batch) {
            serde_json::to_writer(&mut body, report).expect("a report is plain numbers");
            body.push(b'\n');
        }
        let sent = self
            .client
            .post(&self.url)
            .header("content-type", "application/x-ndjson")
            .body(body)
            .send()
            .await;
        let answer = match sent.and_then(reqwest::Response::error_for_status) {
            Ok(answer) => answer,
            Err(error) => {
                self.tell(Err(&error));
                return false;
            }
        };
        let next = answer
            .json::<Answer>()
            .await
            .map_or(0, |answer| answer.next);
        self.tell(Ok(()));
        self.backoff.reset();
        // A collector that began anew may want more than is still here; what it answered 200 to is its own.
        let taken = self
            .held
            .iter()
            .take_while(|report| report.sequence < next)
            .count()
            .max(batch);
        self.held.drain(..taken);
        self.fates.kept.inc_by(taken as u64);
        true
    }

    /// Logs a change: the collector came, or went.
    fn tell(&mut self, outcome: Result<(), &reqwest::Error>) {
        if self.reachable.replace(outcome.is_ok()) == Some(outcome.is_ok()) {
            return;
        }
        match outcome {
            Ok(()) => tracing::info!(collector = self.url, "the collector takes frames"),
            Err(error) => {
                let mut cause: &dyn std::error::Error = error;
                while let Some(source) = cause.source() {
                    cause = source;
                }
                tracing::warn!(
                    collector = self.url,
                    %cause,
                    "the collector of --collector (XR_COLLECTOR) does not take frames; up to {QUEUE} are kept and it is \
                     tried again; start it with: xr-collector --listen ADDR:PORT"
                );
            }
        }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        let left = self.held.len();
        if left > 0 {
            self.fates.dropped.inc_by(left as u64);
            tracing::error!(
                frames = left,
                collector = self.url,
                "ended before the collector took these frames"
            );
        }
    }
}

#[cfg(test)]
#[path = "upload_tests.rs"]
mod tests;
