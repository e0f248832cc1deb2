//! The streamer's HTTP interface:
//!
//! | route | what it does |
//! | --- | --- |
//! | `PUT`, `POST /feeds/{name}` | takes a feed; answers at its end |
//! | `GET /feeds` | lists the names |
//! | `GET /feeds/{name}/events` | server-sent events for the name's renderer: `keyframe` |

use std::convert::Infallible;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use bytes::Bytes;
use service::http::Problem;
use service::{Secret, Shutdown};
use settings::FeedTransport;
use tokio::sync::broadcast;

use super::body::Pieces;
use super::door::Ingest;
use super::intake::Sent;
use super::media_type::{MediaType, TS_PACKET_BYTES, begins_mpegts};
use super::refusal::Refusal;
use super::{body, mpegts, rtp};
use crate::feed::lease::{Sender, State as FeedState};
use crate::feed::name::FeedName;
use crate::feed::parameters::ParameterSets;

/// Between two comments that keep the event stream's connection open.
const EVENTS_PING: Duration = Duration::from_secs(10);

/// The HTTP routes of the ingest.
pub fn router(ingest: Ingest) -> Router {
    Router::new()
        .route("/feeds", get(list))
        .route("/feeds/{name}", put(feed).post(feed))
        .route("/feeds/{name}/events", get(events))
        .fallback(unknown)
        .with_state(ingest)
}

/// One line of `GET /feeds`.
#[derive(Debug, serde::Serialize)]
struct Listed {
    name: String,
    state: &'static str,
    /// Whether viewers over RTSP find the name: its parameter sets have come.
    viewable: bool,
    viewers: usize,
    packets: u64,
    frames: u64,
}

async fn list(State(ingest): State<Ingest>) -> Json<Vec<Listed>> {
    let now = Instant::now();
    let listed = ingest.table.all().into_iter().map(|feed| {
        let (packets, frames) = feed.taken_in();
        Listed {
            name: feed.name().to_string(),
            state: feed.state(now).as_str(),
            viewable: feed.is_viewable(),
            viewers: ingest.viewers.of(feed.name()),
            packets,
            frames,
        }
    });
    Json(listed.collect())
}

async fn feed(
    State(ingest): State<Ingest>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let name = match FeedName::new(&name) {
        Ok(name) => name,
        Err(error) => {
            body::linger(body);
            return say_no(&ingest, &Refusal::Name(error));
        }
    };
    let mut pieces = Pieces::new(body, name.clone(), ingest.shutdown.clone());
    match take(&ingest, &name, &headers, &mut pieces).await {
        Ok(sent) => {
            tracing::info!(feed = %name, packets = sent.packets, "feed ended");
            Json(sent).into_response()
        }
        Err(refusal) => {
            tracing::info!(feed = %name, %refusal, "feed refused or ended");
            // A feed that is ended by the shutdown has been taken in as far as it came.
            if !matches!(refusal, Refusal::Stopping) {
                pieces.linger();
            }
            say_no(&ingest, &refusal)
        }
    }
}

async fn take(
    ingest: &Ingest,
    name: &FeedName,
    headers: &HeaderMap,
    pieces: &mut Pieces,
) -> Result<Sent, Refusal> {
    let declared = headers
        .get(header::CONTENT_TYPE)
        .map(|value| value.to_str().unwrap_or("unreadable"));
    let kind = MediaType::from_header(declared)?;
    if let Some(range) = headers.get(header::CONTENT_RANGE) {
        // RFC 9110 section 14.5: such a PUT must not be taken for a whole.
        let range = range.to_str().unwrap_or("unreadable");
        return Err(Refusal::Part(range.chars().take(100).collect()));
    }
    let sender = sender(headers);
    ingest.admit(&sender)?;
    ingest.check(name, &sender)?;
    match kind {
        MediaType::Rtp { payload_type, sets } => {
            let claim = || ingest.claim(name, sender.clone(), &sets, FeedTransport::Http);
            rtp::take(pieces, payload_type, claim).await
        }
        MediaType::MpegTs | MediaType::Unknown => {
            // A name is not given away for what turns out to be no feed.
            let start = pieces.peek(TS_PACKET_BYTES + 1).await?;
            if begins_mpegts(&start) != Some(true) {
                return Err(not_mpegts(&kind, &start));
            }
            let (ingest, name) = (ingest.clone(), name.clone());
            let claim = move || {
                let sets = ParameterSets::default();
                ingest.claim(&name, sender, &sets, FeedTransport::Http)
            };
            mpegts::take(pieces, claim).await
        }
    }
}

/// Who sends, as the request says.
fn sender(headers: &HeaderMap) -> Sender {
    Sender {
        token: bearer(headers),
        process: process(headers),
    }
}

fn say_no(ingest: &Ingest, refusal: &Refusal) -> Response {
    ingest.count(refusal);
    refusal.problem().into_response()
}

fn not_mpegts(kind: &MediaType, start: &Bytes) -> Refusal {
    let shown: Vec<String> = start
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let shown = if shown.is_empty() {
        "none".to_owned()
    } else {
        shown.join(" ")
    };
    if *kind == MediaType::MpegTs {
        let why = format!(
            "MPEG-TS has the byte 47 every {TS_PACKET_BYTES} bytes; the first bytes are {shown}"
        );
        Refusal::Garbage { packets: 0, why }
    } else {
        Refusal::Unrecognised(shown)
    }
}

/// The value of `XR-Process`, by which a renderer that has no token is told from others when it comes back.
fn process(headers: &HeaderMap) -> Option<Secret> {
    let value = headers.get("xr-process")?.to_str().ok()?;
    (!value.is_empty() && value.len() <= 64).then(|| Secret::new(value))
}

/// The token of `Authorization: Bearer TOKEN`.
fn bearer(headers: &HeaderMap) -> Option<Secret> {
    let (scheme, token) = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| Secret::new(token))
}

async fn events(
    State(ingest): State<Ingest>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    let listener = sender(&headers);
    if let Err(refusal) = ingest.admit(&listener) {
        return say_no(&ingest, &refusal);
    }
    let feed = FeedName::new(&name)
        .ok()
        .and_then(|name| ingest.table.find(&name))
        // A name that is kept for its viewers is fed by nobody: events of it would say that a feed has arrived.
        .filter(|feed| feed.state(Instant::now()) != FeedState::Gone);
    let Some(feed) = feed else {
        return Problem::new(
            StatusCode::NOT_FOUND,
            "no such feed",
            format!("nobody feeds {name}"),
            "Begin the feed (PUT /feeds/NAME), then ask for its events.",
        )
        .into_response();
    };
    let wishes = feed.wishes();
    // What was kept for the renderer is for nobody else.
    let unheard = feed.may_be_of(&listener) && feed.take_unheard();
    let shutdown = ingest.shutdown.clone();
    let stream = futures::stream::unfold(
        (wishes, unheard, true),
        move |(mut wishes, unheard, first)| {
            let shutdown = shutdown.clone();
            async move {
                let event: &'static str = if unheard {
                    KEYFRAME
                } else if first {
                    PING
                } else {
                    next_event(&mut wishes, &shutdown).await?
                };
                let still_first = first && unheard;
                Some((
                    Ok::<_, Infallible>(Bytes::from_static(event.as_bytes())),
                    (wishes, false, still_first),
                ))
            }
        },
    );
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, Body::from_stream(stream)).into_response()
}

const KEYFRAME: &str = "event: keyframe\ndata: {}\n\n";
const PING: &str = ": xr-streamer\n\n";

/// The next event of a renderer's stream; none when the streamer stops, or forgets the name.
async fn next_event(
    wishes: &mut broadcast::Receiver<()>,
    shutdown: &Shutdown,
) -> Option<&'static str> {
    tokio::select! {
        () = shutdown.fired() => None,
        wish = wishes.recv() => match wish {
            // Wishes that were missed are served by one key frame.
            Ok(()) | Err(broadcast::error::RecvError::Lagged(_)) => Some(KEYFRAME),
            Err(broadcast::error::RecvError::Closed) => None,
        },
        () = tokio::time::sleep(EVENTS_PING) => Some(PING),
    }
}

async fn unknown(uri: axum::http::Uri) -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "no such page",
        format!("{} is nothing here", uri.path()),
        "PUT or POST /feeds/NAME takes a feed, GET /feeds lists them, GET /feeds/NAME/events asks for key frames.",
    )
}
