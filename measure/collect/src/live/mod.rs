//! A page that shows a collection or a run as it goes, for whoever has no Grafana: latency, frames and stages second by second,
//! and in a run its scenarios and what its processes use.
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

pub use self::seconds::Used;

const PAGE: &str = include_str!("page.html");

/// Seconds that a browser may be behind before it is told everything anew.
const BEHIND: usize = 16;

/// What the page is told.
#[derive(Debug)]
pub struct Live {
    seconds: Mutex<Seconds>,
    news: broadcast::Sender<Arc<str>>,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            seconds: Mutex::default(),
            news: broadcast::Sender::new(BEHIND),
        }
    }
}

impl Live {
    /// Takes a frame whose way is known.
    pub fn row(&self, row: &FrameRow) {
        self.seconds.lock().row(row);
    }

    /// Ends a second.
    pub fn end_second(&self, now: UnixMicros) {
        let second = self.seconds.lock().end(now);
        // Nobody need be looking.
        let _ = self.news.send(second.into());
    }

    /// Tells that a repetition of `scenario` begins; `now` is the same in words, with its place in the run.
    pub fn begin(&self, scenario: &str, now: String) {
        self.seconds.lock().begin(scenario, now);
    }

    /// Tells the processor time and memory of the last second.
    pub fn used(&self, used: Vec<Used>) {
        self.seconds.lock().used(used);
    }

    /// Tells how the run ended.
    pub fn end_run(&self, now: UnixMicros, how: String) {
        self.seconds.lock().end_run(how);
        self.end_second(now);
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
        let mut seconds = self.seconds.lock();
        (seconds.all().into(), self.news.subscribe())
    }
}

async fn events(
    State((live, shutdown)): State<(Arc<Live>, Shutdown)>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let told = stream::unfold((live, None), move |(live, receiver)| {
        let shutdown = shutdown.clone();
        async move {
            let Some(receiver) = receiver else {
                let (all, receiver) = live.all();
                return Some((("all", all), (live, Some(receiver))));
            };
            let mut receiver: broadcast::Receiver<Arc<str>> = receiver;
            let news = tokio::select! {
                biased;
                // What was said before the end is still told.
                news = receiver.recv() => news,
                () = shutdown.fired() => return None,
            };
            match news {
                Ok(second) => Some((("second", second), (live, Some(receiver)))),
                Err(broadcast::error::RecvError::Lagged(_)) => {
                    let (all, receiver) = live.all();
                    Some((("all", all), (live, Some(receiver))))
                }
                Err(broadcast::error::RecvError::Closed) => None,
            }
        }
    });
    let events = told.map(|(kind, text)| Ok(Event::default().event(kind).data(&*text)));
    Sse::new(events).keep_alive(KeepAlive::default())
}
