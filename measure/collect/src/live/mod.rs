//! A page that shows a collection as it goes, for whoever has no Grafana: latency, frames and stages, second by second.
//!
//! `GET /` is the page, one file that loads nothing else; `GET /seconds` are server-sent events: first the seconds that are kept,
//! then each new one.

mod seconds;

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::routing::get;
use futures::stream::{self, Stream, StreamExt as _};
use parking_lot::Mutex;
use service::Shutdown;
use timeline::UnixMicros;
use timeline::frames_csv::FrameRow;
use tokio::sync::broadcast;

use self::seconds::Seconds;

const PAGE: &str = include_str!("page.html");

/// Seconds that a browser may be behind before it is told everything anew.
const BEHIND: usize = 16;

/// What the page is told.
#[derive(Debug)]
pub struct Live {
    seconds: Mutex<Seconds>,
    news: broadcast::Sender<Arc<str>>,
}

impl Live {
    pub(super) fn new() -> Self {
        Self {
            seconds: Mutex::default(),
            news: broadcast::Sender::new(BEHIND),
        }
    }

    /// Takes a frame whose way is known.
    pub(super) fn row(&self, row: &FrameRow) {
        self.seconds.lock().row(row);
    }

    /// Ends a second.
    pub(super) fn end_second(&self, now: UnixMicros) {
        let second = self.seconds.lock().end(now);
        // Nobody need be looking.
        let _ = self.news.send(second.into());
    }

    /// The page's routes, which end with `shutdown`.
    pub fn routes(self: &Arc<Self>, shutdown: Shutdown) -> Router {
        let page = async || {
            let head = [
                (header::CONTENT_TYPE, "text/html; charset=utf-8"),
                // Nothing but what is in the page itself, and its own events.
                (
                    header::CONTENT_SECURITY_POLICY,
                    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'",
                ),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            ];
            (head, PAGE).into_response()
        };
        Router::new()
            .route("/", get(page))
            .route("/seconds", get(events))
            .with_state((Arc::clone(self), shutdown))
    }

    /// The seconds that are kept, and a receiver of those to come.
    fn all(&self) -> (Arc<str>, broadcast::Receiver<Arc<str>>) {
        // Under the lock, so that no second is in both or in neither.
        let seconds = self.seconds.lock();
        (seconds.all().into(), self.news.subscribe())
    }
}

async fn events(
    State((live, shutdown)): State<(Arc<Live>, Shutdown)>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let told = stream::unfold(
        (live, None),
        async |(live, receiver): (Arc<Live>, Option<broadcast::Receiver<Arc<str>>>)| {
            let Some(mut receiver) = receiver else {
                let (all, receiver) = live.all();
                return Some((("all", all), (live, Some(receiver))));
            };
            match receiver.recv().await {
                Ok(second) => Some((("second", second), (live, Some(receiver)))),
                Err(broadcast::error::RecvError::Lagged(_)) => {
                    let (all, receiver) = live.all();
                    Some((("all", all), (live, Some(receiver))))
                }
                Err(broadcast::error::RecvError::Closed) => None,
            }
        },
    );
    let events = told.map(|(kind, text)| Ok(Event::default().event(kind).data(&*text)));
    let until = async move { shutdown.fired().await };
    Sse::new(events.take_until(Box::pin(until))).keep_alive(KeepAlive::default())
}
