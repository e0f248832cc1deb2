//! The port that clients post their reports to.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use serde::Serialize;
use service::Secret;
use service::http::Problem;
use timeline::ClientName;

use super::core::Refused;
use super::reporter::Reporter;
use super::reports::{self, MAX_BODY_BYTES};
use super::shared::Shared;

/// The longest value of `XR-Process` that is looked at.
const MAX_PROCESS_BYTES: usize = 128;

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
    /// The sequence number that is wanted next: everything before it is here, or refused.
    next: u64,
    /// Reports that were left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<u64>,
    /// What was wrong with the first of those.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'static str>,
}

async fn take(
    State(shared): State<Arc<Shared>>,
    Path(client): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Answer>, Problem> {
    let reporter = reporter(&headers);
    if !shared.knows(&reporter) {
        return Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "wrong token",
            "this collector takes reports with its own token alone",
            "give the client the collector's token, with --token-file (XR_TOKEN_FILE) or XR_TOKEN",
        ));
    }
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
        return Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "cannot write",
            failure,
            "keep the reports and try again: the collector goes on when its disk has room",
        ));
    }
    if shared.is_full() {
        return Err(Problem::new(
            StatusCode::INSUFFICIENT_STORAGE,
            "the result is full",
            "frames.csv is as long as it may be",
            "start the collector again, with another --out or a larger --max-bytes",
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
    let taken = shared
        .reports(&client, &reporter, &reports)
        .map_err(|why| refusal(&client, why))?;
    match taken.why {
        Some(why) if taken.implausible == reports.len() as u64 => Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "times that cannot be",
            why,
            "set the clock of the client's host, or of the renderer's; these reports are left out for good",
        )),
        why => Ok(Json(Answer {
            next: taken.next,
            refused: why.map(|_| taken.implausible),
            why,
        })),
    }
}

/// Who posts, as the head of the request says.
fn reporter(headers: &HeaderMap) -> Reporter {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let token = text("authorization").and_then(|value| value.strip_prefix("Bearer "));
    let process = text("xr-process").filter(|value| value.len() <= MAX_PROCESS_BYTES);
    Reporter {
        token: token.map(|token| Secret::new(token.trim())),
        process: process.map(Secret::new),
    }
}

fn refusal(client: &ClientName, why: Refused) -> Problem {
    let (status, title, remedy) = match why {
        Refused::ClockAwaited => (
            StatusCode::SERVICE_UNAVAILABLE,
            "clock not known yet",
            "keep the reports and try again in a second",
        ),
        Refused::Taken => (
            StatusCode::CONFLICT,
            "the name is taken",
            "give each client a name of its own (--client-id), or the same token (--token-file) to those that take turns; \
             without a token a name is free ten seconds after its last report",
        ),
        Refused::Crowded => (
            StatusCode::SERVICE_UNAVAILABLE,
            "too many clients",
            "keep the reports and try again, or start another collector",
        ),
        Refused::TooFast => (
            StatusCode::TOO_MANY_REQUESTS,
            "too many reports",
            "keep the reports and try again in a second",
        ),
        Refused::Backlog => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the disk does not keep up",
            "keep the reports and try again in a second",
        ),
    };
    Problem::new(status, title, format!("{client}: {why}"), remedy)
}
