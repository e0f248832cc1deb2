//! The API of agents: addresses for services, and heartbeats of clusters.
//!
//! | request | what it does |
//! | --- | --- |
//! | `POST /v1/services` | gives a service its address in a cluster, the same each time |
//! | `DELETE /v1/services/{namespace}/{name}?cluster=C` | a cluster gives a service back |
//! | `GET /v1/services` | every service and its address |
//! | `POST /v1/conflicts` | a cluster has an address in use for something else: no service is given it there |
//! | `POST /v1/clusters/{name}/heartbeat` | a cluster is there, with its load |

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State as Extract};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{delete, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use service::clock;
use service::http::Problem;

use super::clusters::Beat;
use super::directory::NotAllocated;
use super::state::State;
use crate::eid::Eid;
use crate::server::ClusterState;
use crate::services::{NoAddress, NoName, ServiceName, check_label};

/// The longest body of a request.
const MAX_BODY_BYTES: usize = 16 * 1024;

/// What the port answers.
pub(super) fn routes(state: Arc<State>) -> Router {
    Router::new()
        .route("/v1/services", post(allocate).get(list))
        .route("/v1/services/{namespace}/{name}", delete(release))
        .route("/v1/conflicts", post(conflict))
        .route("/v1/clusters/{name}/heartbeat", post(heartbeat))
        .fallback(async || {
            Problem::new(
                StatusCode::NOT_FOUND,
                "no such route",
                "this is the API of a LISP control plane",
                "docs/lisp.md has its routes; metrics are on the ops port",
            )
        })
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&state),
            check_token,
        ))
        .with_state(state)
}

async fn check_token(
    Extract(state): Extract<Arc<State>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if let Some(token) = &state.token {
        let given = request
            .headers()
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let given = given.and_then(|value| value.strip_prefix("Bearer "));
        if !given.is_some_and(|given| token.matches(given.trim())) {
            return Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "wrong token",
                "this control plane takes requests with its own token alone",
                "send it as `authorization: Bearer TOKEN`; the control plane has it from --token-file (XR_TOKEN_FILE) or XR_TOKEN",
            ));
        }
    }
    Ok(next.run(request).await)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Allocate {
    cluster: String,
    namespace: String,
    name: String,
    /// The first pool, without.
    pool: Option<String>,
    /// An address that the service asks for itself.
    address: Option<IpAddr>,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Allocated {
    service: ServiceName,
    address: IpAddr,
    instance: u32,
}

impl Allocated {
    fn new(service: ServiceName, eid: &Eid) -> Self {
        Self {
            service,
            address: eid.address(),
            instance: eid.instance().get(),
        }
    }
}

async fn allocate(
    Extract(state): Extract<Arc<State>>,
    body: Result<Json<Allocate>, JsonRejection>,
) -> Result<Json<Allocated>, Problem> {
    let Json(body) = body.map_err(|error| bad(error.status(), error.body_text()))?;
    let service =
        ServiceName::new(&body.namespace, &body.name).map_err(|error| bad_name(&error))?;
    let site = site(&state, &body.cluster)?;
    let (worker, name) = (Arc::clone(&state), service.clone());
    let dry_run = body.dry_run;
    let eid = blocking(move || {
        let mut directory = worker.directory.lock();
        let eid = directory.allocate(
            &name,
            &body.cluster,
            body.pool.as_deref(),
            body.address,
            dry_run,
        )?;
        if !dry_run {
            // Before the lock is given back: a release that comes then finds what it takes away.
            worker.with_server(|server, _| server.allow(eid, site));
        }
        Ok(eid)
    })
    .await?
    .map_err(|error| not_allocated(&service, &error))?;
    Ok(Json(Allocated::new(service, &eid)))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Of {
    cluster: String,
}

async fn release(
    Extract(state): Extract<Arc<State>>,
    Path((namespace, name)): Path<(String, String)>,
    query: Result<Query<Of>, QueryRejection>,
) -> Result<StatusCode, Problem> {
    let Query(Of { cluster }) = query.map_err(|error| bad(error.status(), error.body_text()))?;
    let service = ServiceName::new(&namespace, &name).map_err(|error| bad_name(&error))?;
    let site = site(&state, &cluster)?;
    let (worker, name) = (Arc::clone(&state), service.clone());
    let released = blocking(move || {
        let mut directory = worker.directory.lock();
        let released = directory.release(&name, &cluster, clock::now())?;
        if let Some(eid) = released {
            worker.with_server(|server, now| server.disallow(&eid, site, now));
        }
        Ok(released)
    })
    .await?
    .map_err(|error: super::store::StoreError| not_stored(&error))?;
    // Twice is as good as once: whoever asks wants it to be gone.
    let _ = released;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Conflict {
    cluster: String,
    address: IpAddr,
}

async fn conflict(
    Extract(state): Extract<Arc<State>>,
    body: Result<Json<Conflict>, JsonRejection>,
) -> Result<StatusCode, Problem> {
    let Json(Conflict { cluster, address }) =
        body.map_err(|error| bad(error.status(), error.body_text()))?;
    let site = site(&state, &cluster)?;
    let worker = Arc::clone(&state);
    let blocked = blocking(move || {
        let mut directory = worker.directory.lock();
        if let Some(eid) = directory.block(address, &cluster, clock::now())? {
            worker.with_server(|server, now| server.disallow(&eid, site, now));
            tracing::warn!(cluster, %eid, "in use for something else: no service is given it there");
        }
        Ok(())
    });
    blocked
        .await?
        .map_err(|error: super::store::StoreError| not_stored(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Serialize)]
struct Listed {
    #[serde(flatten)]
    allocated: Allocated,
    clusters: Vec<String>,
}

async fn list(Extract(state): Extract<Arc<State>>) -> Result<Json<Vec<Listed>>, Problem> {
    blocking(move || {
        let directory = state.directory.lock();
        let services = directory.book().services().iter();
        let listed = services.map(|(name, service)| Listed {
            allocated: Allocated::new(name.clone(), &service.eid),
            clusters: service.clusters.iter().cloned().collect(),
        });
        Json(listed.collect())
    })
    .await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Heartbeat {
    /// Who speaks for the cluster: one at a time.
    agent: String,
    /// The next one comes within this time, in milliseconds.
    interval_ms: u64,
    load: Option<f64>,
    rtt_us: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Heard {
    /// Another one after each start of the control plane: then xTRs are to register again.
    epoch: String,
    /// The cluster was lost, or is new: its xTRs are to register again.
    was_lost: bool,
}

async fn heartbeat(
    Extract(state): Extract<Arc<State>>,
    Path(cluster): Path<String>,
    body: Result<Json<Heartbeat>, JsonRejection>,
) -> Result<Json<Heard>, Problem> {
    let Json(body) = body.map_err(|error| bad(error.status(), error.body_text()))?;
    let site = site(&state, &cluster)?;
    check_label(&body.agent, "name of an agent").map_err(|error| bad_name(&error))?;
    let beat = state
        .clusters
        .lock()
        .heard(
            &cluster,
            &body.agent,
            body.interval_ms,
            std::time::Instant::now(),
        )
        .map_err(|taken| {
            Problem::new(
                StatusCode::CONFLICT,
                "the cluster has an agent",
                format!("agent {:?} speaks for cluster {cluster:?}", taken.by),
                "give each cluster a name of its own, or wait until the other agent has gone",
            )
        })?;
    let known = ClusterState {
        load: body.load.filter(|load| load.is_finite()),
        rtt_us: body.rtt_us,
    };
    state.with_server(|server, now| {
        server.set_cluster(&cluster, known, now);
        if beat == Beat::Back {
            server.recall_site(site, now);
        }
    });
    Ok(Json(Heard {
        epoch: state.epoch.clone(),
        was_lost: beat == Beat::Back,
    }))
}

fn site(state: &State, cluster: &str) -> Result<u64, Problem> {
    let site = state.sites.get(cluster).copied();
    site.ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_FOUND,
            "unknown cluster",
            format!("there is no site {:?}", service::http::visible(cluster, 64)),
            "give the cluster a [[site]] with its name in the control plane's file",
        )
    })
}

/// Does what waits for the disk where that holds up nobody else.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|_| {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "stopping",
            "the control plane is stopping",
            "try again in a second",
        )
    })
}

fn bad(status: StatusCode, detail: String) -> Problem {
    Problem::new(
        status,
        "wrong request",
        detail,
        "docs/lisp.md has the fields of each request",
    )
}

fn bad_name(error: &NoName) -> Problem {
    bad(StatusCode::BAD_REQUEST, error.to_string())
}

fn not_stored(error: &super::store::StoreError) -> Problem {
    tracing::error!("cannot write the store: {error}");
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "cannot write",
        error.to_string(),
        "make room on the disk of the store, and try again: nothing was changed",
    )
}

fn not_allocated(service: &ServiceName, error: &NotAllocated) -> Problem {
    let why = match error {
        NotAllocated::Store(error) => return not_stored(error),
        NotAllocated::NoAddress(why) => why,
    };
    let (status, remedy) = match why {
        NoAddress::NoPool(_) => (
            StatusCode::NOT_FOUND,
            "name a [[pool]] of the control plane's file",
        ),
        NoAddress::Exhausted(_) | NoAddress::Full(_) => (
            StatusCode::INSUFFICIENT_STORAGE,
            "release services that are gone, wait for the grace of released ones, or add a [[pool]]",
        ),
        NoAddress::Blocked(..) => (
            StatusCode::CONFLICT,
            "give the service another name, or keep it out of this cluster",
        ),
        NoAddress::Wanted(_) | NoAddress::HasOther(_) => (
            StatusCode::CONFLICT,
            "leave the address to the control plane, or add a [[reservation]]",
        ),
    };
    Problem::new(status, "no address", format!("{service}: {why}"), remedy)
}
