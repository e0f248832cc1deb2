//! Posts frame reports to the collector: in small batches, from a bounded queue that keeps them while the collector is
//! away. What no longer fits is dropped, the newest first, and counted.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use service::backoff::Backoff;
use service::http::{Problem, visible};
use service::tls::trouble;
use service::{Secret, Shutdown};
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

/// The longest answer that is read.
const MAX_ANSWER_BYTES: usize = 64 << 10;

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
    /// Starts sending to `collector` under the name `id`, over `tls` if its address is `https://`, with `token` if there is
    /// one, and logs at once whether the collector answers.
    pub fn start(
        collector: &str,
        tls: Option<Arc<ClientConfig>>,
        id: &str,
        token: Option<&Secret>,
        fates: Fates,
        stopping: &Shutdown,
    ) -> anyhow::Result<(Self, Posts)> {
        let url = format!("{}/frames/{id}", collector.trim_end_matches('/'));
        let url = url
            .parse::<Uri>()
            .context("--collector (XR_COLLECTOR) is no URL with the name behind it")?;
        let (queue, reports) = mpsc::channel(QUEUE);
        let sender = Sender {
            client: client(tls),
            url,
            headers: headers(token)?,
            fates: fates.clone(),
            held: VecDeque::new(),
            told: None,
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
    client: Http,
    url: Uri,
    headers: HeaderMap,
    fates: Fates,
    /// Taken from the queue, and not yet by the collector.
    held: VecDeque<FrameReport>,
    /// What the log has been told last.
    told: Option<Told>,
    backoff: Backoff,
}

type Http = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

fn believe_nobody() -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider has it")
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    Arc::new(config)
}

/// Posts where it was told to, and nowhere that a variable or an answer names.
fn client(tls: Option<Arc<ClientConfig>>) -> Http {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(LIMIT));
    // Without a configuration there is no https:// address, and nobody is believed.
    let tls = tls.unwrap_or_else(believe_nobody);
    let connector = HttpsConnector::from((connector, tls));
    let mut client = Client::builder(TokioExecutor::new());
    client.pool_timer(TokioTimer::new());
    client.build(connector)
}

/// What tells this process from another that posts under the same name, and its token.
fn headers(token: Option<&Secret>) -> anyhow::Result<HeaderMap> {
    let hidden = |text: String| -> anyhow::Result<HeaderValue> {
        let mut value = HeaderValue::try_from(text).context("a token is visible ASCII")?;
        value.set_sensitive(true);
        Ok(value)
    };
    let mut headers = HeaderMap::new();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/x-ndjson"),
    );
    headers.insert("xr-process", hidden(Secret::random()?.expose().to_owned())?);
    if let Some(token) = token {
        headers.insert(AUTHORIZATION, hidden(format!("Bearer {}", token.expose()))?);
    }
    Ok(headers)
}

/// What the collector answers.
#[derive(Debug, Default, Deserialize)]
struct Answer {
    /// Reports of the post that it left out.
    #[serde(default)]
    refused: u64,
    /// What was wrong with the first of those.
    #[serde(default)]
    why: String,
}

/// The collector's answer to a post of reports.
enum Verdict {
    /// The collector has it, but for what it left out.
    Taken(Answer),
    /// The collector will never take it, because of this.
    Refused(String),
    /// The collector did not take it, because of this, and may yet.
    Later(String),
}

/// What the log is told of posts, once until it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Takes,
    LeavesOut,
    Refuses,
    Fails,
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
        let verdict = self.send(body).await;
        self.tell(&verdict);
        // What it answers is about what it was sent: it can let go of nothing else.
        let refused = match verdict {
            Verdict::Later(_) => return false,
            Verdict::Taken(answer) => answer.refused.min(batch as u64),
            Verdict::Refused(_) => batch as u64,
        };
        self.backoff.reset();
        self.held.drain(..batch);
        self.fates.kept.inc_by(batch as u64 - refused);
        self.fates.dropped.inc_by(refused);
        true
    }

    async fn send(&self, body: Vec<u8>) -> Verdict {
        let mut request = Request::new(Full::from(body));
        (*request.method_mut(), *request.uri_mut()) = (Method::POST, self.url.clone());
        request.headers_mut().clone_from(&self.headers);
        let exchange = async {
            let answer = self.client.request(request).await;
            let answer = answer.map_err(|error| trouble(&error))?;
            let status = answer.status();
            let said = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect();
            // What cannot be read of it is not needed: the status says what became of the post.
            let said = said
                .await
                .map(http_body_util::Collected::to_bytes)
                .unwrap_or_default();
            Ok::<_, String>((status, said))
        };
        let (status, said) = match tokio::time::timeout(LIMIT, exchange).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(cause)) => return Verdict::Later(cause),
            Err(_) => {
                let seconds = LIMIT.as_secs();
                return Verdict::Later(format!("it did not answer within {seconds} s"));
            }
        };
        if status.is_success() {
            return Verdict::Taken(serde_json::from_slice(&said).unwrap_or_default());
        }
        let why = format!("{status}: {}", Problem::told(&said));
        match status {
            StatusCode::BAD_REQUEST
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::UNPROCESSABLE_ENTITY => Verdict::Refused(why),
            _ => Verdict::Later(why),
        }
    }

    /// Logs a change: the collector came, went, or does not want what it is sent.
    fn tell(&mut self, verdict: &Verdict) {
        let told = match verdict {
            Verdict::Taken(answer) if answer.refused == 0 => Told::Takes,
            Verdict::Taken(_) => Told::LeavesOut,
            Verdict::Refused(_) => Told::Refuses,
            Verdict::Later(_) => Told::Fails,
        };
        if self.told.replace(told) == Some(told) {
            return;
        }
        let collector = &self.url;
        match verdict {
            Verdict::Taken(answer) if answer.refused == 0 => {
                tracing::info!(%collector, "the collector takes frames");
            }
            Verdict::Taken(answer) => {
                let (refused, why) = (answer.refused, visible(&answer.why, 200));
                tracing::warn!(%collector, refused, %why, "the collector leaves frames out");
            }
            Verdict::Refused(why) => {
                tracing::warn!(%collector, %why, "the collector refuses frames; they are dropped and counted");
            }
            Verdict::Later(cause) => tracing::warn!(
                %collector,
                %cause,
                "the collector of --collector (XR_COLLECTOR) does not take frames; up to {QUEUE} are kept and it is \
                 tried again; start it with: xr-collector --listen ADDR:PORT"
            ),
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
                collector = %self.url,
                "ended before the collector took these frames"
            );
        }
    }
}

#[cfg(test)]
#[path = "upload_tests.rs"]
mod tests;
