//! What a control plane has, as its ops port tells it and `xr-lisp show` prints it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State as Extract;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::state::State;
use crate::eid::Eid;

/// Services that are told at once.
const MOST: usize = 10_000;

/// A snapshot of the control plane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct View {
    pub(super) epoch: String,
    pub(super) clusters: Vec<ClusterView>,
    pub(super) services: Vec<ServiceView>,
    pub(super) mappings: Vec<MappingView>,
    pub(super) held: BTreeMap<String, usize>,
    pub(super) events: BTreeMap<String, u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ClusterView {
    pub(super) name: String,
    pub(super) site_id: u64,
    /// Whether the cluster is there; none while no agent of it was heard.
    pub(super) is_there: Option<bool>,
    pub(super) agent: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ServiceView {
    pub(super) name: String,
    pub(super) address: Eid,
    pub(super) clusters: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MappingView {
    pub(super) eid: Eid,
    /// Address, priority and weight of each locator, as ITRs are told.
    pub(super) locators: Vec<(std::net::IpAddr, u8, u8)>,
    pub(super) registrations: Vec<String>,
    pub(super) subscribers: usize,
}

/// `GET /lisp` of the ops port.
pub(super) fn routes(state: Arc<State>) -> Router {
    Router::new().route("/lisp", get(view)).with_state(state)
}

async fn view(Extract(state): Extract<Arc<State>>) -> Result<Json<View>, StatusCode> {
    // The directory may wait for the disk.
    let view = tokio::task::spawn_blocking(move || snapshot(&state)).await;
    view.map(Json).map_err(|_| StatusCode::SERVICE_UNAVAILABLE)
}

fn snapshot(state: &State) -> View {
    let mut clusters: BTreeMap<String, ClusterView> = state
        .sites
        .iter()
        .map(|(name, site_id)| {
            let view = ClusterView {
                name: name.clone(),
                site_id: *site_id,
                is_there: None,
                agent: None,
            };
            (name.clone(), view)
        })
        .collect();
    for (name, is_there, agent) in state.clusters.lock().iter() {
        if let Some(view) = clusters.get_mut(name) {
            view.is_there = Some(is_there);
            view.agent = Some(agent.to_owned());
        }
    }
    let services = {
        let directory = state.directory.lock();
        let services = directory.book().services().iter().take(MOST);
        let view = services.map(|(name, service)| ServiceView {
            name: name.to_string(),
            address: service.eid,
            clusters: service.clusters.iter().cloned().collect(),
        });
        view.collect()
    };
    let server = state.server.lock();
    let registrations = server.registrations().take(MOST);
    let mappings = registrations.map(|(eid, entry)| {
        let locators = server.mapping(&eid).map(|record| &record.locators);
        MappingView {
            eid,
            locators: locators
                .into_iter()
                .flatten()
                .map(|locator| (locator.address, locator.priority, locator.weight))
                .collect(),
            registrations: entry.keys().map(ToString::to_string).collect(),
            subscribers: server.subscribers(&eid).len(),
        }
    });
    View {
        epoch: state.epoch.clone(),
        clusters: clusters.into_values().collect(),
        services,
        mappings: mappings.collect(),
        held: server
            .sizes()
            .into_iter()
            .map(|(name, size)| (name.to_owned(), size))
            .collect(),
        events: server
            .counts()
            .iter()
            .map(|(name, count)| ((*name).to_owned(), *count))
            .collect(),
    }
}
