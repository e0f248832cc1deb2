//! The port that clients post their reports to.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde::Serialize;
use service::http::Problem;
use timeline::ClientName;

use super::core::ClockAwaited;
use super::reports::{self, MAX_BODY_BYTES};
use super::shared::Shared;

/// What the port answers.
pub(super) fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/frames/{client}", post(take))
        .fallback(async || {
            Problem::new(
                StatusCode::NOT_FOUND,
                "no such route",
                "this is a collector of frame reports",
                "POST /frames/CLIENT with one report a line; metrics are on the ops port",
            )
        })
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(shared)
}

/// What a client is told.
#[derive(Debug, Serialize)]
struct Answer {
    /// The sequence number that is wanted next: everything before it is here.
    next: u64,
}

async fn take(
    State(shared): State<Arc<Shared>>,
    Path(client): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Answer>, Problem> {
    let body = body.map_err(|error| {
        let remedy = format!("send at most {MAX_BODY_BYTES} bytes at a time");
        Problem::new(error.status(), "body refused", error.body_text(), remedy)
    })?;
    let client = ClientName::new(&client).map_err(|error| {
        let detail = format!("{client:?}: {error}");
        let remedy = "post under a name of that kind; xr-client has --client-id";
        Problem::new(StatusCode::BAD_REQUEST, "wrong client name", detail, remedy)
    })?;
    if let Some(failure) = shared.failed() {
        let remedy = "keep the reports and try again: the collector must be started anew";
        return Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "cannot write",
            failure,
            remedy,
        ));
    }
    let reports = reports::parse(&body).map_err(|detail| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "not frame reports",
            detail,
            "send one FrameReport as JSON a line",
        )
    })?;
    let taken = shared.reports(&client, &reports).map_err(|ClockAwaited| {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "clock not known yet",
            format!("the clock of {client} is to be asked, and has not answered yet"),
            "keep the reports and try again in a second",
        )
    })?;
    Ok(Json(Answer { next: taken.next }))
}
