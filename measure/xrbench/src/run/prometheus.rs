//! A Prometheus beside a run, `xrbench run --prometheus`: an operator's own program, which scrapes what the run starts and is asked through
//! the run's page, also where the run is in a lab. Its data stays in the result.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use parking_lot::Mutex;
use serde_json::json;
use service::{ConfigError, clock};
use testbed::{Placement, Process, Spec, Testbed};

use super::http;

/// Where the page has it.
const PREFIX: &str = "/prometheus";

/// How long it may take to answer that it is ready.
const READY: Duration = Duration::from_secs(20);

/// How long it may take to write what it has in memory.
const GRACE: Duration = Duration::from_secs(10);

/// A question, as forms have it.
const MAX_QUESTION_BYTES: usize = 64 * 1024;

/// From one scrape to the next, and how soon a file of targets is looked at again that nobody was told of.
const CONFIGURATION: &str = "\
global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs:
  - job_name: xrbench
    file_sd_configs: [{files: [targets.json], refresh_interval: 5s}]
";

/// What a Prometheus is told to scrape, and where it is.
#[derive(Debug)]
pub(super) struct Scraping {
    http: reqwest::Client,
    /// Where it listens, once it is ready.
    at: OnceLock<SocketAddr>,
    targets: Mutex<Targets>,
}

impl Default for Scraping {
    fn default() -> Self {
        Self {
            http: http::client(),
            at: OnceLock::new(),
            targets: Mutex::default(),
        }
    }
}

#[derive(Debug, Default)]
struct Targets {
    /// By role.
    now: BTreeMap<String, Target>,
    /// Where Prometheus reads them.
    file: Option<PathBuf>,
}

#[derive(Clone, Debug)]
struct Target {
    ops: SocketAddr,
    scenario: String,
    run: u32,
}

impl Scraping {
    /// The route by which browsers and Grafana ask it.
    pub(super) fn routes(self: &Arc<Self>) -> Router {
        Router::new()
            .route(PREFIX, any(ask))
            .route(&format!("{PREFIX}/{{*path}}"), any(ask))
            .layer(DefaultBodyLimit::max(MAX_QUESTION_BYTES))
            .with_state(Arc::clone(self))
    }

    /// Starts it, with its files in `folder`, and waits until it answers.
    pub(super) async fn start(&self, folder: &Path) -> anyhow::Result<Process> {
        let program = program()?;
        let cannot = || format!("cannot write {}", folder.display());
        fs::create_dir_all(folder).with_context(cannot)?;
        let configuration = folder.join("prometheus.yml");
        fs::write(&configuration, CONFIGURATION).with_context(cannot)?;
        self.targets.lock().file = Some(folder.join("targets.json"));
        self.write()?;
        // Free a moment ago; whoever has taken it meanwhile is named in the log.
        let drawn =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port for Prometheus")?;
        let at = drawn.local_addr()?;
        drop(drawn);
        let args = [
            format!("--config.file={}", configuration.display()),
            format!("--storage.tsdb.path={}", folder.join("data").display()),
            "--storage.tsdb.retention.time=100y".to_owned(),
            format!("--web.listen-address={at}"),
            format!("--web.external-url=http://{at}{PREFIX}"),
            "--log.level=warn".to_owned(),
        ];
        let spec = Spec {
            args: args.to_vec(),
            log_stdout: true,
            ..Spec::new("prometheus", program, folder.join("prometheus.log"))
        };
        let process = Testbed::new(Placement::Host, clock::now, |_| {}).start(spec)?;
        let ready = format!("http://{at}{PREFIX}/-/ready");
        let answers = async {
            while !self.is_ready(&ready).await {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let how = tokio::select! {
            () = answers => None,
            exit = process.exited() => Some(format!("it ended ({exit})")),
            () = tokio::time::sleep(READY) => Some(format!("it does not answer within {} s", READY.as_secs())),
        };
        if let Some(how) = how {
            let tail = process.log_tail();
            anyhow::bail!("--prometheus (XR_PROMETHEUS): {how}; the end of its log:\n{tail}");
        }
        // It is started once.
        let _ = self.at.set(at);
        Ok(process)
    }

    async fn is_ready(&self, url: &str) -> bool {
        let answer = self.http.get(url).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// Has the program in `role` scraped, in this repetition.
    pub(super) fn watch(&self, role: &str, ops: SocketAddr, scenario: &str, run: u32) {
        let target = Target {
            ops,
            scenario: scenario.to_owned(),
            run,
        };
        self.targets.lock().now.insert(role.to_owned(), target);
        self.tell();
    }

    /// Nothing of what was scraped runs any more.
    pub(super) fn forget(&self) {
        self.targets.lock().now.clear();
        self.tell();
    }

    /// A scrape that is missed for a full disk is not worth a measurement.
    fn tell(&self) {
        if let Err(error) = self.write() {
            tracing::warn!("Prometheus does not learn what to scrape: {error:#}");
        }
    }

    fn write(&self) -> anyhow::Result<()> {
        let targets = self.targets.lock();
        let Some(file) = &targets.file else {
            return Ok(());
        };
        let groups: Vec<_> = targets
            .now
            .iter()
            .map(|(role, target)| {
                json!({
                    "targets": [target.ops.to_string()],
                    "labels": {"role": role, "scenario": target.scenario, "run": target.run.to_string()},
                })
            })
            .collect();
        let new = file.with_extension("json.new");
        fs::write(&new, serde_json::to_vec(&groups)?)
            .and_then(|()| fs::rename(&new, file))
            .with_context(|| format!("cannot write {}", file.display()))
    }
}

/// Ends it, when it has written what it has.
pub(super) async fn end(process: Process) {
    process.terminate(GRACE).await;
}

/// Prometheus in the search path.
fn program() -> Result<PathBuf, ConfigError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join("prometheus"))
        .find(|file| file.is_file());
    found.ok_or_else(|| {
        ConfigError::new(
            "--prometheus (XR_PROMETHEUS)",
            "prometheus",
            "there is no such program in the search path",
            "Install it (Debian: apt-get install prometheus), or leave the flag out.",
        )
    })
}

/// Passes a question on, and the answer back.
async fn ask(
    State(scraping): State<Arc<Scraping>>,
    method: Method,
    uri: Uri,
    request: Request,
) -> Response {
    let Some(at) = scraping.at.get() else {
        let why = "this run has no Prometheus, or none yet: xrbench run --prometheus";
        return (StatusCode::SERVICE_UNAVAILABLE, why).into_response();
    };
    let kind = request.headers().get(header::CONTENT_TYPE).cloned();
    let Ok(body) = axum::body::to_bytes(request.into_body(), MAX_QUESTION_BYTES).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let path = uri.path_and_query().map_or(PREFIX, |path| path.as_str());
    let mut question = scraping
        .http
        .request(method, format!("http://{at}{path}"))
        .body(body);
    if let Some(kind) = kind {
        question = question.header(header::CONTENT_TYPE, kind);
    }
    match question.send().await {
        Ok(answer) => passed_on(answer),
        Err(error) => {
            let why = format!("Prometheus does not answer: {error}");
            (StatusCode::BAD_GATEWAY, why).into_response()
        }
    }
}

fn passed_on(answer: reqwest::Response) -> Response {
    let mut headers = HeaderMap::new();
    for name in [
        header::CONTENT_TYPE,
        header::CONTENT_ENCODING,
        header::LOCATION,
    ] {
        if let Some(value) = answer.headers().get(&name) {
            headers.insert(name, value.clone());
        }
    }
    let status = answer.status();
    let body = Body::from_stream(futures::stream::unfold(answer, |mut answer| async {
        let piece: Result<Bytes, _> = answer.chunk().await.transpose()?;
        Some((piece, answer))
    }));
    (status, headers, body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_a_file_that_is_always_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let scraping = Scraping::default();
        scraping.targets.lock().file = Some(folder.path().join("targets.json"));
        let read = || {
            let text = fs::read(folder.path().join("targets.json")).expect("written");
            serde_json::from_slice::<serde_json::Value>(&text).expect("JSON")
        };
        let ops = "10.0.0.1:9092".parse().expect("an address");
        scraping.watch("streamer", ops, "s3", 2);
        assert_eq!(
            read(),
            json!([{"targets": ["10.0.0.1:9092"], "labels": {"role": "streamer", "scenario": "s3", "run": "2"}}])
        );
        scraping.forget();
        assert_eq!(read(), json!([]));
    }
}
