//! How every server here says no: `application/problem+json` (RFC 9457) with a remedy.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

/// A refusal, as it is sent and as a client reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    pub status: u16,
    /// What kind of problem, the same words each time.
    pub title: String,
    /// What happened here, with the value that caused it.
    pub detail: String,
    /// What to do about it.
    pub remedy: String,
}

impl Problem {
    /// The content type of its JSON.
    pub const CONTENT_TYPE: &'static str = "application/problem+json";

    /// A refusal with `status`.
    pub fn new(
        status: StatusCode,
        title: impl Into<String>,
        detail: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            status: status.as_u16(),
            title: title.into(),
            detail: detail.into(),
            remedy: remedy.into(),
        }
    }

    /// The problem as JSON (RFC 9457). Strings and a number always have one.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (
            status,
            [(header::CONTENT_TYPE, Self::CONTENT_TYPE)],
            self.to_json(),
        )
            .into_response()
    }
}
