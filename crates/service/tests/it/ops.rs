//! The ops port, route by route.

use prometheus_client::metrics::counter::Counter;
use service::ops::{Ops, OpsServer};
use service::trace::TraceRing;
use service::{Shutdown, StartError, clock};
use timeline::clock_exchange::{Exchange, ServerTimes};
use timeline::{Point, RtpTimestamp, TracePage, UnixMicros};

use crate::talk::{connect, exchange, get, loopback, until};

async fn bind(ops: Ops, shutdown: &Shutdown) -> OpsServer {
    ops.bind(loopback(), shutdown).await.expect("a free port")
}

#[tokio::test]
async fn ready_follows_the_process_from_start_to_stop() {
    let shutdown = Shutdown::new();
    let ops = Ops::new("test");
    let ready = ops.ready.clone();
    let server = bind(ops, &shutdown).await;
    let status = async || {
        let (head, body) = get(server.local_addr(), "/ready").await;
        (head.split(' ').nth(1).unwrap().to_owned(), body)
    };
    assert_eq!(
        status().await,
        ("503".into(), "not ready: starting\n".into())
    );
    ready.set_ready();
    assert_eq!(status().await, ("200".into(), "ready\n".into()));
    ready.set_unready("the feed is gone");
    assert_eq!(
        status().await,
        ("503".into(), "not ready: the feed is gone\n".into())
    );
    ready.set_ready();
    shutdown.begin();
    assert_eq!(
        status().await,
        ("503".into(), "not ready: stopping\n".into())
    );
    assert!(
        get(server.local_addr(), "/live")
            .await
            .0
            .starts_with("http/1.1 200"),
        "it lives while it drains"
    );
    let address = server.local_addr();
    server.stop().await;
    assert!(
        tokio::net::TcpStream::connect(address).await.is_err(),
        "a stopped port is closed"
    );
}

#[tokio::test]
async fn metrics_are_in_the_form_that_is_asked_for() {
    let mut ops = Ops::new("xr-test");
    let frames = Counter::<u64>::default();
    ops.registry
        .register("xr_test_frames", "Frames", frames.clone());
    let server = bind(ops, &Shutdown::new()).await;
    frames.inc_by(3);
    let (head, body) = get(server.local_addr(), "/metrics").await;
    assert!(
        head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"),
        "{head}"
    );
    assert!(
        body.lines()
            .any(|line| line == "# TYPE xr_test_frames_total counter"),
        "{body}"
    );
    let request = b"GET /metrics HTTP/1.1\r\nhost: test\r\naccept: application/openmetrics-text\r\nconnection: close\r\n\r\n";
    let answer = exchange(server.local_addr(), request).await;
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
    assert!(
        head.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"),
        "{head}"
    );
    for line in [
        "xr_test_frames_total 3",
        "xr_http_connections{listener=\"ops\"} 1",
        "# TYPE process_cpu_seconds counter",
    ] {
        assert!(
            body.lines().any(|found| found == line),
            "{line} is not in {body}"
        );
    }
    assert!(
        body.contains("xr_build_info{program=\"xr-test\",version=\""),
        "{body}"
    );
    assert!(
        body.contains("process_resident_memory_bytes ") && body.contains("# EOF\n"),
        "{body}"
    );
}

#[tokio::test]
async fn the_trace_is_paged_and_bounded() {
    let mut ops = Ops::new("test");
    let ring = TraceRing::new(10_000);
    ops.trace = Some(ring.clone());
    let server = bind(ops, &Shutdown::new()).await;
    for n in 0..5_000_u32 {
        ring.push(RtpTimestamp(n), Point::Ingested, UnixMicros(u64::from(n)));
    }
    let page = async |query: &str| -> TracePage {
        let (head, body) = get(server.local_addr(), &format!("/trace{query}")).await;
        assert!(
            head.starts_with("http/1.1 200") && head.contains("application/json"),
            "{head}"
        );
        serde_json::from_str(&body).unwrap()
    };
    let first = page("?after=10&limit=3").await;
    assert_eq!(
        first
            .crossings
            .iter()
            .map(|c| c.rtp_timestamp.0)
            .collect::<Vec<_>>(),
        [10, 11, 12]
    );
    assert_eq!((first.next, first.overwritten), (13, 0));
    assert_eq!(page("").await.crossings.len(), 2_000);
    assert_eq!(
        page("?limit=4000000000").await.crossings.len(),
        2_000,
        "the limit is bounded"
    );
    assert_eq!(page("?after=18446744073709551615").await.next, 5_000);
    for wrong in ["?after=-1", "?limit=many", "?before=3"] {
        let (head, body) = get(server.local_addr(), &format!("/trace{wrong}")).await;
        assert!(
            head.starts_with("http/1.1 400") && head.contains("application/problem+json"),
            "{head}"
        );
        assert!(body.contains("remedy"), "{body}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let server = bind(Ops::new("test"), &Shutdown::new()).await;
    for path in ["/trace", "/", "/metrics/", "/feeds"] {
        let (head, body) = get(server.local_addr(), path).await;
        assert!(
            head.starts_with("http/1.1 404") && body.contains("remedy"),
            "{path}: {head} {body}"
        );
    }
}

#[tokio::test]
async fn the_clock_answers_an_exchange_and_keeps_the_connection() {
    let server = bind(Ops::new("test"), &Shutdown::new()).await;
    let mut stream = connect(server.local_addr()).await;
    for _ in 0..20 {
        let sent = clock::now();
        tokio::io::AsyncWriteExt::write_all(
            &mut stream,
            b"GET /clock HTTP/1.1\r\nhost: test\r\n\r\n",
        )
        .await
        .unwrap();
        let answer = until(&mut stream, "}").await;
        let answered = clock::now();
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        let times: ServerTimes = serde_json::from_str(body).unwrap();
        let estimate = Exchange {
            sent,
            server: times,
            answered,
        }
        .estimate()
        .expect("nobody sets the clock");
        assert!(
            estimate.offset_us.unsigned_abs() <= estimate.uncertainty_us,
            "both are one clock: {estimate:?}"
        );
    }
}

#[tokio::test]
async fn a_taken_port_is_told_with_its_flag_and_a_remedy() {
    let server = bind(Ops::new("test"), &Shutdown::new()).await;
    let error = Ops::new("other")
        .bind(server.local_addr(), &Shutdown::new())
        .await
        .unwrap_err();
    assert!(
        matches!(error, StartError::AddressInUse { .. }),
        "{error:?}"
    );
    let text = error.to_string();
    for part in [
        &server.local_addr().to_string(),
        "--ops (XR_OPS)",
        "port 0 takes a free one",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[tokio::test]
async fn the_port_answers_while_the_program_is_busy() {
    use std::io::{Read as _, Write as _};

    let server = Ops::new("test")
        .bind(loopback(), &Shutdown::new())
        .await
        .expect("a free port");
    // Nothing else runs on this runtime's only thread until the answer has come.
    let mut stream = std::net::TcpStream::connect(server.local_addr()).expect("it listens");
    stream
        .set_read_timeout(Some(crate::talk::PATIENCE))
        .expect("a limit");
    stream
        .write_all(b"GET /live HTTP/1.0\r\n\r\n")
        .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.ends_with("live\n"), "{answer}");
}
