//! How every server here says no: `application/problem+json` (RFC 9457) with a remedy.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

/// Characters of a peer's refusal that are told.
const MAX_TOLD: usize = 400;

/// The beginning of a foreign text, without control characters and marks that change the direction of writing or end a line.
pub fn visible(text: &str, most: usize) -> String {
    let obeyed = |c: &char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().filter(|c| !obeyed(c)).take(most).collect()
}

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

    /// What a peer said in the body of a refusal, fit for a line of a log: its problem, else its text; neither long nor with
    /// anything that a terminal or a reader of lines obeys.
    pub fn told(body: &[u8]) -> String {
        let text = serde_json::from_slice::<Self>(body).map_or_else(
            |_| String::from_utf8_lossy(body).into_owned(),
            |problem| format!("{}: {}; {}", problem.title, problem.detail, problem.remedy),
        );
        visible(&text, MAX_TOLD)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_peer_said_is_one_short_line() {
        let forged = "no\r\n2026-01-01T00:00:00Z ERROR all is lost\u{1b}[2J\u{202e}\u{2028}";
        let problem = Problem::new(StatusCode::CONFLICT, forged, "x".repeat(10_000), forged);
        for body in [problem.to_json(), forged.repeat(1_000)] {
            let told = Problem::told(body.as_bytes());
            assert!(
                told.starts_with("no2026") && told.chars().count() <= MAX_TOLD,
                "{told}"
            );
            assert!(
                !told.contains(['\n', '\r', '\u{1b}', '\u{202e}', '\u{2028}']),
                "{told:?}"
            );
        }
        assert_eq!(Problem::told(&[0xff, b'a']), "\u{fffd}a");
    }
}
