//! SIGTERM loses nothing: what was shown is in the file, in the strips and at the collector.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::post;
use timeline::FrameReport;

use crate::client::{Client, await_rows, rows};
use crate::server::{Options, Server};

type Seen = Arc<Mutex<Vec<FrameReport>>>;

async fn take(State(seen): State<Seen>, Path(id): Path<String>, body: String) -> String {
    assert_eq!(id, "it");
    let mut seen = seen.lock().unwrap();
    seen.extend(
        body.lines()
            .map(|line| serde_json::from_str::<FrameReport>(line).unwrap()),
    );
    format!(
        "{{\"next\":{}}}",
        seen.last().map_or(0, |last| last.sequence + 1)
    )
}

#[test]
fn sigterm_loses_no_recorded_frame() {
    let seen = Seen::default();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let listener = runtime
        .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
        .unwrap();
    let collector = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new()
        .route("/frames/{id}", post(take))
        .with_state(Arc::clone(&seen));
    runtime.spawn(async move { axum::serve(listener, app).await.unwrap() });

    let server = Server::start(Options::default());
    let directory = tempfile::tempdir().unwrap();
    let frames = directory.path().join("frames.csv");
    let strips = directory.path().join("strips");
    let args = [
        "--frames",
        frames.to_str().unwrap(),
        "--strips",
        strips.to_str().unwrap(),
    ];
    let client = Client::start(
        &server.url(),
        &[&args[..], &["--collector", &collector, "--client-id", "it"]].concat(),
    );
    await_rows(&frames, "frames are shown", |rows| rows.len() > 60);
    let ended = client.terminate();
    assert!(ended.status.success(), "{}", ended.stderr);
    let summary = ended.summary();
    let records = &summary["records"];
    for dropped in ["rows_dropped", "post_dropped", "strips_dropped"] {
        assert_eq!(records[dropped], 0, "{summary}");
    }
    let shown = summary["frames"]["shown"].as_u64().unwrap();

    let rows = rows(&frames);
    assert_eq!(rows.len() as u64, shown);
    let index = std::fs::read_to_string(strips.join("index.csv")).unwrap();
    assert_eq!(index.lines().count() as u64, shown + 1);
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len() as u64, shown);
    for (sequence, (report, row)) in seen.iter().zip(&rows).enumerate() {
        assert_eq!(report.sequence, sequence as u64);
        assert_eq!(report.rtp_timestamp, row.rtp_timestamp);
        assert_eq!(Some(report.shown), row.shown);
    }
}
