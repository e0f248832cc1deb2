//! The uploader against a collector that comes late, fails, and forgets.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use timeline::{Reading, RtpTimestamp, UnixMicros};

use super::*;

#[derive(Clone, Default)]
struct Collector {
    seen: Arc<Mutex<Vec<u64>>>,
    failures: Arc<Mutex<u32>>,
}

async fn take(
    State(collector): State<Collector>,
    Path(id): Path<String>,
    body: String,
) -> Response {
    assert_eq!(id, "test");
    {
        let mut failures = collector.failures.lock().unwrap();
        if *failures > 0 {
            *failures -= 1;
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
    }
    let mut seen = collector.seen.lock().unwrap();
    for line in body.lines() {
        seen.push(serde_json::from_str::<FrameReport>(line).unwrap().sequence);
    }
    let next = seen.last().map_or(0, |last| last + 1);
    format!("{{\"next\":{next}}}").into_response()
}

async fn serve(listener: tokio::net::TcpListener, collector: Collector) {
    let app = Router::new()
        .route("/frames/{id}", post(take))
        .with_state(collector);
    axum::serve(listener, app).await.unwrap();
}

fn report(sequence: u64) -> FrameReport {
    FrameReport {
        sequence,
        rtp_timestamp: RtpTimestamp(1),
        reading: Reading::Unread,
        received: None,
        decoded: UnixMicros(2),
        shown: UnixMicros(3),
    }
}

#[tokio::test]
async fn a_collector_that_comes_late_and_fails_twice_gets_everything_in_order() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let fates = Fates::default();
    let (uploader, posts) = Uploader::start(
        &format!("http://{address}/"),
        "test",
        fates.clone(),
        &Shutdown::new(),
    )
    .unwrap();
    for sequence in 0..2_500 {
        posts.push(report(sequence));
    }
    // The first posts are refused: nobody listens.
    tokio::time::timeout(Duration::from_secs(1), std::future::pending::<()>())
        .await
        .unwrap_err();
    let collector = Collector::default();
    *collector.failures.lock().unwrap() = 2;
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    tokio::spawn(serve(listener, collector.clone()));
    drop(posts);
    uploader.finish(Duration::from_secs(20)).await;
    assert_eq!(
        *collector.seen.lock().unwrap(),
        (0..2_500).collect::<Vec<_>>()
    );
    assert_eq!((fates.kept.get(), fates.dropped.get()), (2_500, 0));
}

#[tokio::test]
async fn what_does_not_fit_and_what_is_left_at_the_end_is_counted() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let fates = Fates::default();
    let stopping = Shutdown::new();
    stopping.begin();
    let (uploader, posts) = Uploader::start(
        &format!("http://{address}"),
        "test",
        fates.clone(),
        &stopping,
    )
    .unwrap();
    let given = 2 * QUEUE as u64 + 100;
    for sequence in 0..given {
        posts.push(report(sequence));
    }
    drop(posts);
    uploader.finish(Duration::from_millis(500)).await;
    // The abort drops the task soon after.
    while fates.dropped.get() < given {
        tokio::task::yield_now().await;
    }
    assert_eq!((fates.kept.get(), fates.dropped.get()), (0, given));
}
