//! The uploader against a collector that comes late, fails, and forgets.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use timeline::{Reading, RtpTimestamp, UnixMicros};

use super::*;

#[derive(Clone, Default)]
struct Collector {
    seen: Arc<Mutex<Vec<u64>>>,
    failures: Arc<Mutex<u32>>,
    /// What it answers in place of what it should.
    says: Option<(StatusCode, &'static str)>,
    heads: Arc<Mutex<Vec<HeaderMap>>>,
}

async fn take(
    State(collector): State<Collector>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: String,
) -> Response {
    assert_eq!(id, "test");
    collector.heads.lock().unwrap().push(headers);
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
    if let Some(says) = collector.says {
        return says.into_response();
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

/// A port of which connections are refused until its socket listens, and which nobody else draws.
fn hold_port() -> (tokio::net::TcpSocket, std::net::SocketAddr) {
    let held = tokio::net::TcpSocket::new_v4().unwrap();
    held.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = held.local_addr().unwrap();
    (held, address)
}

#[tokio::test]
async fn a_collector_that_comes_late_and_fails_twice_gets_everything_in_order() {
    let (held, address) = hold_port();
    let fates = Fates::default();
    let (uploader, posts) = Uploader::start(
        &format!("http://{address}/"),
        None,
        "test",
        None,
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
    tokio::spawn(serve(held.listen(64).unwrap(), collector.clone()));
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
    let (_held, address) = hold_port();
    let fates = Fates::default();
    let stopping = Shutdown::new();
    stopping.begin();
    let (uploader, posts) = Uploader::start(
        &format!("http://{address}"),
        None,
        "test",
        None,
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

/// Posts so many reports to a collector that says the same to all, and returns what was kept and what was dropped.
async fn posted(reports: u64, status: StatusCode, text: &'static str) -> (u64, u64, Collector) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let collector = Collector {
        says: Some((status, text)),
        ..Collector::default()
    };
    tokio::spawn(serve(listener, collector.clone()));
    let (fates, token) = (Fates::default(), Secret::new("sesame"));
    let (uploader, posts) = Uploader::start(
        &url,
        None,
        "test",
        Some(&token),
        fates.clone(),
        &Shutdown::new(),
    )
    .unwrap();
    for sequence in 0..reports {
        posts.push(report(sequence));
    }
    drop(posts);
    uploader.finish(Duration::from_secs(20)).await;
    (fates.kept.get(), fates.dropped.get(), collector)
}

/// A number beyond all that was sent lets go of nothing that was not.
#[tokio::test]
async fn an_answer_is_about_what_was_posted() {
    let text = "{\"next\":18446744073709551615}";
    let (kept, dropped, collector) = posted(2_500, StatusCode::OK, text).await;
    assert_eq!((kept, dropped), (2_500, 0));
    assert_eq!(
        *collector.seen.lock().unwrap(),
        (0..2_500).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn what_the_collector_leaves_out_is_counted_as_dropped() {
    let some = "{\"next\":9,\"refused\":3,\"why\":\"no\"}";
    let (kept, dropped, _) = posted(100, StatusCode::OK, some).await;
    assert_eq!(kept + dropped, 100);
    assert!(
        dropped > 0 && dropped % 3 == 0,
        "three of each post: {dropped}"
    );
    let (kept, dropped, _) = posted(100, StatusCode::UNPROCESSABLE_ENTITY, "{}").await;
    assert_eq!((kept, dropped), (0, 100));
}

/// Who posts is told by two headers, the same in every post.
#[tokio::test]
async fn a_post_says_which_process_it_is_of() {
    let (.., collector) = posted(1, StatusCode::OK, "{\"next\":1}").await;
    let heads = collector.heads.lock().unwrap();
    assert!(heads.len() >= 2, "an empty post, and one with a report");
    assert!(
        heads
            .iter()
            .all(|head| head["xr-process"] == heads[0]["xr-process"])
    );
    assert_eq!(heads[0]["xr-process"].len(), 32);
    assert_eq!(heads[0]["authorization"], "Bearer sesame");
}

/// Wherever it is sent, it posts nothing there.
#[tokio::test]
async fn redirects_are_not_followed() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (other, url) = (
        Collector::default(),
        format!("http://{}", listener.local_addr().unwrap()),
    );
    tokio::spawn(serve(listener, other.clone()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let first = format!("http://{}", listener.local_addr().unwrap());
    let elsewhere = axum::response::Redirect::temporary(&format!("{url}/frames/test"));
    let app = Router::new().route("/frames/{id}", post(async || elsewhere));
    tokio::spawn(async { axum::serve(listener, app).await.unwrap() });
    let fates = Fates::default();
    let stopping = Shutdown::new();
    let (uploader, posts) =
        Uploader::start(&first, None, "test", None, fates.clone(), &stopping).unwrap();
    posts.push(report(0));
    drop(posts);
    uploader.finish(Duration::from_millis(500)).await;
    assert_eq!((fates.kept.get(), fates.dropped.get()), (0, 1));
    assert!(other.heads.lock().unwrap().is_empty());
}

/// Posts go over TLS to whom the authority vouches for, with the token, and to nobody else.
#[tokio::test]
async fn reports_go_over_tls_to_a_collector_that_is_believed() {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    use service::http::{Limits, listen, serve_either};
    use service::tls::{CaArgs, TlsArgs};

    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let authority = |name: &str| {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        std::fs::write(file(name), params.self_signed(&key).unwrap().pem()).unwrap();
        Issuer::new(params, key)
    };
    let issuer = authority("ca.crt");
    authority("strangers.crt");
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    std::fs::write(file("tls.crt"), certificate.pem()).unwrap();
    std::fs::write(file("tls.key"), key.serialize_pem()).unwrap();
    let tls = TlsArgs {
        tls_cert: Some(file("tls.crt")),
        tls_key: Some(file("tls.key")),
    };
    let collector = Collector::default();
    let app = Router::new()
        .route("/frames/{id}", post(take))
        .with_state(collector.clone());
    let listener = listen(([127, 0, 0, 1], 0).into(), "--test").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let (config, stop) = (tls.server().unwrap(), Shutdown::new());
    tokio::spawn(serve_either(
        listener,
        config,
        app,
        Limits::default(),
        stop.clone(),
    ));
    for (ca, kept) in [("strangers.crt", 0), ("ca.crt", 5)] {
        let believed = CaArgs {
            tls_ca: Some(file(ca)),
        };
        let believed = believed.client("https").unwrap();
        let (fates, token) = (Fates::default(), Secret::new("sesame"));
        let stopping = Shutdown::new();
        let started = Uploader::start(
            &url,
            believed,
            "test",
            Some(&token),
            fates.clone(),
            &stopping,
        );
        let (uploader, posts) = started.unwrap();
        for sequence in 0..5 {
            posts.push(report(sequence));
        }
        drop(posts);
        let patience = if kept == 0 { 500 } else { 20_000 };
        uploader.finish(Duration::from_millis(patience)).await;
        assert_eq!((fates.kept.get(), fates.dropped.get()), (kept, 5 - kept));
    }
    let heads = collector.heads.lock().unwrap();
    assert!(!heads.is_empty());
    assert!(
        heads
            .iter()
            .all(|head| head["authorization"] == "Bearer sesame")
    );
}
