//! A service whose ops port lies to whoever scrapes it: what it makes the scraper ask, read and count is bounded.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use axum::{Json, Router};
use parking_lot::Mutex;
use timeline::clock_filter::Known;
use timeline::{Crossing, Point, RtpTimestamp, TracePage, UnixMicros};

use super::scrape::{Scraper, Sink, Target};

/// How long a service lies in these tests.
const WHILE: Duration = Duration::from_secs(2);

/// The service's lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lie {
    /// Each answer is of another process.
    Boots,
    /// Each page is full of frames that nobody saw.
    Full,
    /// The answer is larger than anything.
    Huge,
    /// The trace is elsewhere.
    Redirect,
    /// More is gone than can be counted.
    Overwritten,
}

#[derive(Clone)]
struct Service {
    lie: Lie,
    asked: Arc<AtomicU64>,
    followed: Arc<AtomicU64>,
}

async fn trace(State(service): State<Service>) -> Response {
    let asked = service.asked.fetch_add(1, Ordering::Relaxed);
    let page = TracePage {
        boot: 7,
        next: asked,
        ..TracePage::default()
    };
    match service.lie {
        Lie::Boots => Json(TracePage {
            boot: asked,
            ..page
        })
        .into_response(),
        Lie::Full => {
            let crossings = (0..2_000).map(|n| Crossing {
                rtp_timestamp: RtpTimestamp(n),
                point: Point::Generated,
                at: UnixMicros(1),
            });
            let crossings = crossings.collect();
            Json(TracePage { crossings, ..page }).into_response()
        }
        Lie::Huge => {
            let piece = || Ok::<_, std::io::Error>(vec![b' '; 1 << 16]);
            let endless = futures::stream::repeat_with(piece);
            Body::from_stream(endless).into_response()
        }
        Lie::Redirect => Redirect::temporary("/elsewhere").into_response(),
        Lie::Overwritten => Json(TracePage {
            overwritten: u64::MAX,
            ..page
        })
        .into_response(),
    }
}

async fn elsewhere(State(service): State<Service>) -> Json<TracePage> {
    service.followed.fetch_add(1, Ordering::Relaxed);
    Json(TracePage::default())
}

/// What came of it.
#[derive(Default)]
struct Heard {
    pages: AtomicU64,
    failures: AtomicU64,
    events: Mutex<Vec<String>>,
}

impl Sink for Heard {
    fn will_ask(&self, _: &str) {}

    fn clock(&self, _: &str, _: Known, _: bool) {}

    fn page(&self, _: &str, page: Option<&TracePage>) {
        let count = if page.is_some() {
            &self.pages
        } else {
            &self.failures
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    fn event(&self, what: &str, _: &str, _: &str) {
        self.events.lock().push(what.to_owned());
    }
}

/// How often such a service was asked, how often its redirect was followed, what was heard, and how much is said to be gone. It is asked
/// for as long as [`WHILE`], and then until it was asked `least` times.
async fn scraped(lie: Lie, least: u64) -> (u64, u64, Arc<Heard>, u64) {
    let service = Service {
        lie,
        asked: Arc::default(),
        followed: Arc::default(),
    };
    let routes = Router::new()
        .route("/trace", get(trace))
        .route("/elsewhere", get(elsewhere))
        .with_state(service.clone());
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = tokio::net::TcpListener::bind(any).await.expect("a port");
    let ops = listener.local_addr().expect("bound").to_string();
    tokio::spawn(async { axum::serve(listener, routes).await });
    let heard = Arc::new(Heard::default());
    let target = Target {
        name: "liar".into(),
        ops,
        stream: None,
        ask_clock: false,
    };
    let scraper = Scraper::start(target, Arc::clone(&heard) as _).expect("started");
    tokio::time::sleep(WHILE).await;
    let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
    while count(&service.asked) < least {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let _ = scraper.catch_up().await;
    let overwritten = scraper.overwritten().await;
    scraper.stop().await;
    (
        count(&service.asked),
        count(&service.followed),
        heard,
        overwritten,
    )
}

#[tokio::test]
async fn a_service_that_lies_is_bounded() {
    let begun = Instant::now();
    let (boots, full, huge, redirect, overwritten) = tokio::join!(
        scraped(Lie::Boots, 2),
        scraped(Lie::Full, 65),
        // What the one before the last led to is counted.
        scraped(Lie::Huge, 2),
        scraped(Lie::Redirect, 2),
        scraped(Lie::Overwritten, 2),
    );
    let turns = 4 * begun.elapsed().as_secs() + 8;
    assert!(
        (1..=2 * turns).contains(&boots.0),
        "asked {} times",
        boots.0
    );
    assert!(!boots.2.events.lock().is_empty(), "it is said");
    // As many as a ring holds at once, then as many as frames can pass.
    let most = 64 + 2 * turns + 8;
    assert!((65..=most).contains(&full.0), "asked {} times", full.0);
    let (pages, failures) = (&huge.2.pages, &huge.2.failures);
    assert_eq!(pages.load(Ordering::Relaxed), 0);
    assert!((1..=turns).contains(&failures.load(Ordering::Relaxed)));
    assert_eq!(
        (redirect.1, redirect.2.pages.load(Ordering::Relaxed)),
        (0, 0)
    );
    assert!((2..=turns).contains(&overwritten.0));
    assert_eq!(overwritten.3, u64::MAX, "the sum is as large as it gets");
}
