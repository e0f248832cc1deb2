//! How the API says no.

use std::sync::Arc;

use axum::http::StatusCode;
use service::http::{Problem, visible};

use super::directory::NotAllocated;
use super::state::State;
use super::store::StoreError;
use crate::services::{NoAddress, NoName, ServiceName};

/// Characters of a name that are told.
const MOST_TOLD: usize = 64;

pub(super) fn visible_name(name: &str) -> String {
    visible(name, MOST_TOLD)
}

/// Does what waits for the disk where that holds up nobody else.
pub(super) async fn blocking<T: Send + 'static>(
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

pub(super) fn bad(status: StatusCode, detail: String) -> Problem {
    Problem::new(
        status,
        "wrong request",
        detail,
        "docs/lisp.md has the fields of each request",
    )
}

pub(super) fn bad_name(error: &NoName) -> Problem {
    bad(StatusCode::BAD_REQUEST, error.to_string())
}

pub(super) fn not_stored(error: &StoreError) -> Problem {
    tracing::error!("cannot write the store: {error}");
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "cannot write",
        error.to_string(),
        "make room on the disk of the store, and try again: nothing was changed",
    )
}

/// Says why a service has no address, counts it, and logs it.
pub(super) fn not_allocated(
    state: &Arc<State>,
    service: &ServiceName,
    error: &NotAllocated,
) -> Problem {
    let why = match error {
        NotAllocated::Store(error) => return not_stored(error),
        NotAllocated::NoAddress(why) => why,
    };
    let (status, label, remedy) = match why {
        NoAddress::NoPool(_) => (
            StatusCode::NOT_FOUND,
            "api_no_pool",
            "name a [[pool]] of the control plane's file",
        ),
        NoAddress::Exhausted(_) | NoAddress::Full(_) => (
            StatusCode::INSUFFICIENT_STORAGE,
            "api_exhausted",
            "release services that are gone, wait for the grace of released ones, or add a [[pool]]",
        ),
        NoAddress::Blocked(..) => (
            StatusCode::CONFLICT,
            "api_blocked_address",
            "give the service another name, or keep it out of this cluster",
        ),
        NoAddress::Wanted(_) | NoAddress::HasOther(_) => (
            StatusCode::CONFLICT,
            "api_other_address",
            "leave the address to the control plane, or add a [[reservation]]",
        ),
    };
    state.with_server(|server, _| server.count(label));
    tracing::warn!(%service, "no address: {why}");
    Problem::new(status, "no address", format!("{service}: {why}"), remedy)
}
