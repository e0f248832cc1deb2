//! Where the services of a cluster run: what its agent registers.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State as Extract};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use service::http::Problem;

use super::allocated::{Allocated, Of};
use super::directory::NotAllocated;
use super::refusals::{bad, bad_name, blocking, not_allocated};
use super::speaker::Speaker;
use super::state::State;
use crate::eid::Eid;
use crate::server::Refused;
use crate::services::ServiceName;
use crate::told::{ServedWhat, monotonic_ns};
use crate::wire::Locator;

/// A service as a cluster has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Here {
    /// The address that the service has in the cluster.
    address: IpAddr,
    /// The locators to which packets of the service are to go; none while it does not run.
    #[serde(default)]
    locators: Vec<LocatorRecord>,
}

/// A locator of a service, as an agent registers it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LocatorRecord {
    address: IpAddr,
    priority: u8,
    weight: u8,
}

enum NotHere {
    Allocated(NotAllocated),
    Registered(Refused),
}

/// `PUT /v1/services/{namespace}/{name}?cluster=C`: the cluster has the service at this address, and it runs there, or does not.
pub(super) async fn put(
    Extract(state): Extract<Arc<State>>,
    Extension(speaker): Extension<Speaker>,
    Path((namespace, name)): Path<(String, String)>,
    query: Result<Query<Of>, QueryRejection>,
    body: Result<Json<Here>, JsonRejection>,
) -> Result<Json<Allocated>, Problem> {
    let Query(Of { cluster }) = query.map_err(|error| bad(error.status(), error.body_text()))?;
    let Json(here) = body.map_err(|error| bad(error.status(), error.body_text()))?;
    let service = ServiceName::new(&namespace, &name).map_err(|error| bad_name(&error))?;
    let site = speaker.site(&state, &cluster)?;
    let begun_ns = monotonic_ns();
    let runs = !here.locators.is_empty();
    let (worker, name) = (Arc::clone(&state), service.clone());
    let set = blocking(move || {
        let mut directory = worker.directory.lock();
        let eid = directory
            .allocate(&name, &cluster, None, Some(here.address), false)
            .map_err(NotHere::Allocated)?;
        // Before the lock is given back: a release that comes then finds what it takes away.
        register(&worker, eid, site, here.locators).map_err(NotHere::Registered)?;
        Ok(eid)
    });
    let eid = set.await?.map_err(|error| match error {
        NotHere::Allocated(error) => not_allocated(&state, &service, &error),
        NotHere::Registered(why) => {
            state.with_server(|server, _| server.count(why.label()));
            Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "not registered",
                format!("{service}: {why}"),
                "give 1 to 8 locators of unicast that lie in `rlocs` of the cluster's [[site]]",
            )
        }
    })?;
    if runs {
        state.say_served(begun_ns, ServedWhat::Registration, &service);
    }
    Ok(Json(Allocated::new(service, &eid)))
}

fn register(
    state: &Arc<State>,
    eid: Eid,
    site: u64,
    locators: Vec<LocatorRecord>,
) -> Result<(), Refused> {
    let locators: Vec<_> = locators
        .into_iter()
        .map(|one| Locator::new(one.address, one.priority, one.weight))
        .collect();
    state.with_server(|server, now| {
        server.allow(eid, site);
        if locators.is_empty() {
            server.withdraw(&eid, site, now);
            Ok(())
        } else {
            server.register_by_agent(eid, site, locators, now)
        }
    })
}
