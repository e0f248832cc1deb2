//! The ops port of a process:
//!
//! | route | answer |
//! | --- | --- |
//! | `/live` | 200 while the process can answer at all |
//! | `/ready` | 200, or 503 and the reason |
//! | `/metrics` | every metric, as Prometheus or OpenMetrics text |
//! | `/trace?after=N&limit=M&name=S` | a page of crossings as JSON ([`TracePage`](timeline::TracePage)), of one stream |
//! | `/clock` | the times at which the request came and the answer went ([`ServerTimes`]) |

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use serde::Deserialize;
use timeline::clock_exchange::ServerTimes;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::args::OPS_ORIGIN;
use crate::exposition::{self, Form};
use crate::http::{self, Limits, Problem};
use crate::process::Process;
use crate::trace::{MAX_PAGE, TraceRing, Traces};
use crate::{Readiness, Shutdown, StartError, clock, logs};

/// What an ops port serves, while it is being put together.
#[derive(Debug)]
pub struct Ops {
    /// Register the program's metrics here. Build and process metrics are in it already.
    pub registry: Registry,
    /// The ring that `/trace` serves; without one, and without [`Ops::traces`], it answers 404.
    pub trace: Option<TraceRing>,
    /// The rings that `/trace` serves by name, of a program that many streams pass.
    pub traces: Option<Traces>,
    /// The state that `/ready` tells; keep a clone to set it.
    pub ready: Readiness,
    /// Routes of the program's own, beside those that every ops port has.
    pub more: Router,
    limits: Limits,
}

impl Ops {
    /// The ops port of `program`, which is not ready yet.
    pub fn new(program: &'static str) -> Self {
        let mut registry = Registry::default();
        registry.register(
            "xr_build",
            "The program and its version",
            Info::new(vec![
                ("program", program),
                ("version", env!("CARGO_PKG_VERSION")),
            ]),
        );
        registry.register_collector(Box::new(Process::new()));
        registry.register(
            "xr_log_lines_dropped",
            "Log lines that nobody read from stderr in time, or that one place in the source logged too often",
            logs::dropped(),
        );
        let limits = Limits {
            urgent: &["/live", "/ready"],
            ..Limits::default()
        };
        limits.counters.register(&mut registry, "ops");
        Self {
            registry,
            trace: None,
            traces: None,
            ready: Readiness::new(),
            more: Router::new(),
            limits,
        }
    }

    /// Binds `address`, which came from `--ops`, and serves from now on, also while the program drains: until the
    /// [`OpsServer`] is stopped or dropped. Once `shutdown` has fired, `/ready` says so.
    ///
    /// The port has a thread and a runtime of its own: it answers also while every other thread of the program is busy.
    pub async fn bind(
        self,
        address: SocketAddr,
        shutdown: &Shutdown,
    ) -> Result<OpsServer, StartError> {
        let listener = http::listen(address, OPS_ORIGIN)?;
        let local = listener
            .local_addr()
            .map_err(|source| StartError::from_listen(address, OPS_ORIGIN, source))?;
        let routes = routes(Shared {
            registry: self.registry,
            trace: self.trace,
            traces: self.traces,
            ready: self.ready,
            shutdown: shutdown.clone(),
        })
        .merge(self.more);
        let failed = |source| StartError::from_listen(address, OPS_ORIGIN, source);
        let listener = listener.into_std().map_err(failed)?;
        let stop = shutdown.later();
        let (running, runs) = oneshot::channel();
        let (ended, end) = oneshot::channel();
        let (limits, stopped) = (self.limits, stop.clone());
        std::thread::Builder::new()
            .name("ops".into())
            .spawn(move || serve(listener, routes, limits, stopped, running, ended))
            .map_err(failed)?;
        let runs = runs.await;
        runs.unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into()))
            .map_err(failed)?;
        Ok(OpsServer { local, stop, end })
    }
}

/// A serving ops port. Keep it until the end of the program: dropping it closes the port.
#[derive(Debug)]
#[must_use = "dropping it closes the port"]
pub struct OpsServer {
    local: SocketAddr,
    stop: Shutdown,
    end: oneshot::Receiver<()>,
}

impl OpsServer {
    /// Where it listens: the port that was taken when port 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Closes the port, after the answers in flight.
    pub async fn stop(mut self) {
        self.stop.begin();
        // It has no result, and a panic of it has been printed already.
        let _ = (&mut self.end).await;
    }
}

impl Drop for OpsServer {
    fn drop(&mut self) {
        self.stop.begin();
    }
}

/// Serves on the thread that calls, and says first whether it can.
fn serve(
    listener: std::net::TcpListener,
    routes: Router,
    limits: Limits,
    stop: Shutdown,
    running: oneshot::Sender<io::Result<()>>,
    ended: oneshot::Sender<()>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            // Whoever asked is told, or has gone.
            let _ = running.send(Err(error));
            return;
        }
    };
    runtime.block_on(async {
        let listener = TcpListener::from_std(listener);
        match listener {
            Ok(listener) => {
                let _ = running.send(Ok(()));
                http::serve(listener, routes, limits, stop).await;
            }
            Err(error) => {
                let _ = running.send(Err(error));
            }
        }
    });
    drop(ended);
}

struct Shared {
    registry: Registry,
    trace: Option<TraceRing>,
    traces: Option<Traces>,
    ready: Readiness,
    shutdown: Shutdown,
}

fn routes(shared: Shared) -> Router {
    Router::new()
        .route("/live", get(async || "live\n"))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .route("/trace", get(trace))
        .route("/clock", get(exchange))
        .fallback(unknown)
        .with_state(Arc::new(shared))
}

async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    let reason = if shared.shutdown.has_fired() {
        Some("stopping".to_owned())
    } else {
        shared.ready.reason()
    };
    match reason {
        None => "ready\n".into_response(),
        Some(reason) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("not ready: {reason}\n"),
        )
            .into_response(),
    }
}

async fn metrics(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok());
    let form = Form::wanted(accept);
    let mut text = String::new();
    match encode(&mut text, &shared.registry) {
        Ok(()) => {
            let head = [
                (header::CONTENT_TYPE, form.content_type()),
                (header::VARY, "accept"),
            ];
            (head, exposition::write(form, &text)).into_response()
        }
        Err(error) => Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "metrics cannot be written",
            error.to_string(),
            "this is a fault of the program: report it",
        )
        .into_response(),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TraceQuery {
    #[serde(default)]
    after: u64,
    #[serde(default = "max_page")]
    limit: usize,
    name: Option<String>,
}

const fn max_page() -> usize {
    MAX_PAGE
}

async fn trace(
    State(shared): State<Arc<Shared>>,
    query: Result<Query<TraceQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(query) = query.map_err(|error| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "wrong query",
            error.body_text(),
            format!("ask /trace?after=N&limit=M with N the `next` of the last page, 0 at first, and M at most {MAX_PAGE}; name=S asks for one stream"),
        )
    })?;
    let TraceQuery { after, limit, name } = query;
    let page = match (&shared.trace, &shared.traces) {
        // What one stream passes has its crossings, whatever it is called elsewhere.
        (Some(ring), _) => ring.page(after, limit),
        (None, Some(traces)) => traces.page(name.as_deref(), after, limit),
        (None, None) => {
            return Err(Problem::new(
                StatusCode::NOT_FOUND,
                "no trace",
                "this program sees no frames pass",
                "ask the renderer, the streamer or the client",
            ));
        }
    };
    Ok(Json(page).into_response())
}

async fn exchange() -> Json<ServerTimes> {
    let received_us = clock::now();
    Json(ServerTimes {
        received_us,
        transmitted_us: clock::now(),
    })
}

async fn unknown(uri: Uri) -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "no such route",
        format!("the ops port has no {}", uri.path()),
        "ask one of /live, /ready, /metrics, /trace, /clock",
    )
}
