//! The API of agents: addresses for services, and heartbeats of clusters.
//!
//! | request | what it does |
//! | --- | --- |
//! | `POST /v1/services` | gives a service its address in a cluster, the same each time |
//! | `PUT /v1/services/{namespace}/{name}?cluster=C` | a cluster has the service at this address, and runs it at these locators, or not |
//! | `DELETE /v1/services/{namespace}/{name}?cluster=C` | a cluster gives a service back |
//! | `GET /v1/services` | every service, its address, and where it runs |
//! | `GET /v1/pools` | prefixes that addresses are given from |
//! | `POST /v1/conflicts` | a cluster has an address in use for something else: no service is given it there |
//! | `POST /v1/clusters/{name}/heartbeat` | a cluster is there, with its load |

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, State as Extract};
use axum::http::StatusCode;
use axum::routing::{get, post, put};
use axum::{Extension, Json, Router, middleware};
use serde::Deserialize;
use service::clock;
use service::http::Problem;

use super::allocated::{Allocated, Heard, Listed, Of, PoolView};
use super::clusters::Beat;
use super::refusals::{bad, bad_name, blocking, not_allocated, not_stored};
use super::running;
use super::speaker::{Speaker, identify};
use super::state::State;
use super::store::StoreError;
use crate::server::ClusterState;
use crate::services::{ServiceName, check_label};
use crate::told::{ServedWhat, monotonic_ns};

/// The longest body of a request.
const MAX_BODY_BYTES: usize = 16 * 1024;

/// The routes of the API's port.
pub(super) fn routes(state: Arc<State>) -> Router {
    Router::new()
        .route("/v1/services", post(allocate).get(list))
        .route(
            "/v1/services/{namespace}/{name}",
            put(running::put).delete(release),
        )
        .route("/v1/pools", get(pools))
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
        .layer(middleware::from_fn_with_state(Arc::clone(&state), identify))
        .with_state(state)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Allocate {
    cluster: String,
    namespace: String,
    name: String,
    /// The pool that the address comes from; the first one where none is named.
    pool: Option<String>,
    /// An address that the service asks for itself.
    address: Option<IpAddr>,
    #[serde(default)]
    dry_run: bool,
}

async fn allocate(
    Extract(state): Extract<Arc<State>>,
    Extension(speaker): Extension<Speaker>,
    body: Result<Json<Allocate>, JsonRejection>,
) -> Result<Json<Allocated>, Problem> {
    let Json(body) = body.map_err(|error| bad(error.status(), error.body_text()))?;
    let service =
        ServiceName::new(&body.namespace, &body.name).map_err(|error| bad_name(&error))?;
    let site = speaker.site(&state, &body.cluster)?;
    let begun_ns = monotonic_ns();
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
    .map_err(|error| not_allocated(&state, &service, &error))?;
    state.say_served(begun_ns, ServedWhat::Address, &service);
    Ok(Json(Allocated::new(service, &eid)))
}

async fn release(
    Extract(state): Extract<Arc<State>>,
    Extension(speaker): Extension<Speaker>,
    Path((namespace, name)): Path<(String, String)>,
    query: Result<Query<Of>, QueryRejection>,
) -> Result<StatusCode, Problem> {
    let Query(Of { cluster }) = query.map_err(|error| bad(error.status(), error.body_text()))?;
    let service = ServiceName::new(&namespace, &name).map_err(|error| bad_name(&error))?;
    let site = speaker.site(&state, &cluster)?;
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
    .map_err(|error: StoreError| not_stored(&error))?;
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
    Extension(speaker): Extension<Speaker>,
    body: Result<Json<Conflict>, JsonRejection>,
) -> Result<StatusCode, Problem> {
    let Json(Conflict { cluster, address }) =
        body.map_err(|error| bad(error.status(), error.body_text()))?;
    let site = speaker.site(&state, &cluster)?;
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
        .map_err(|error: StoreError| not_stored(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn list(Extract(state): Extract<Arc<State>>) -> Result<Json<Vec<Listed>>, Problem> {
    blocking(move || {
        let directory = state.directory.lock();
        let server = state.server.lock();
        let services = directory.book().services().iter();
        let listed = services.map(|(name, service)| {
            let sites = server.sites_of(&service.eid);
            let all = state.sites.iter();
            let registered = all.filter(|(_, site)| sites.contains(site));
            Listed {
                allocated: Allocated::new(name.clone(), &service.eid),
                clusters: service.clusters.iter().cloned().collect(),
                registered: registered.map(|(name, _)| name.clone()).collect(),
            }
        });
        Json(listed.collect())
    })
    .await
}

async fn pools(Extract(state): Extract<Arc<State>>) -> Result<Json<Vec<PoolView>>, Problem> {
    blocking(move || {
        let directory = state.directory.lock();
        let pools = directory.book().pools().iter();
        let views = pools.map(|pool| PoolView {
            name: pool.name.clone(),
            prefix: pool.eid,
        });
        Json(views.collect())
    })
    .await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Heartbeat {
    /// The agent that speaks for the cluster: one at a time.
    agent: String,
    /// The next one comes within this time, in milliseconds.
    interval_ms: u64,
    load: Option<f64>,
    rtt_us: Option<u64>,
}

async fn heartbeat(
    Extract(state): Extract<Arc<State>>,
    Extension(speaker): Extension<Speaker>,
    Path(cluster): Path<String>,
    body: Result<Json<Heartbeat>, JsonRejection>,
) -> Result<Json<Heard>, Problem> {
    let Json(body) = body.map_err(|error| bad(error.status(), error.body_text()))?;
    let site = speaker.site(&state, &cluster)?;
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
            state.with_server(|server, _| server.count("api_second_agent"));
            tracing::warn!(
                cluster,
                by = taken.by,
                second = body.agent,
                "two agents with one cluster name"
            );
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
