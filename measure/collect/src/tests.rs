//! The collector over real HTTP.

use std::collections::VecDeque;
use std::fs::File;
use std::io::BufReader;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use reqwest::StatusCode;
use result::RepetitionFolder;
use service::http::Problem;
use service::ops::{Ops, OpsServer};
use service::trace::TraceRing;
use service::{Secret, Shutdown, clock};
use timeline::frames_csv::{FrameReader, FrameRow, Outcome, Phase};
use timeline::join::Limits;
use timeline::{ClientName, FrameNumber, FrameReport, Point, Reading, RtpTimestamp, UnixMicros};

use super::files::Paths;
use super::scrape::Target;
use super::{Collector, MAX_BYTES, Start};

fn paths(dir: &Path, frames: &Path) -> Paths {
    Paths {
        frames: frames.to_owned(),
        ..Paths::of(&RepetitionFolder::new(dir))
    }
}

fn settings(dir: &Path, frames: &Path) -> Start {
    Start {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        origin: "a test".into(),
        tls: None,
        paths: paths(dir, frames),
        limits: Limits::default(),
        one_clock: false,
        measure_all: true,
        token: None,
        reported: VecDeque::new(),
        max_bytes: MAX_BYTES,
        live: Arc::default(),
        on_event: Box::new(|_, _, _| {}),
        stop: Shutdown::new(),
    }
}

fn start(dir: &Path, frames: &Path, registry: &mut Registry) -> Collector {
    Collector::start(settings(dir, frames), registry).expect("started")
}

fn report(sequence: u64, generated: UnixMicros) -> FrameReport {
    let decoded = UnixMicros(generated.0 + 9_000);
    FrameReport {
        sequence,
        rtp_timestamp: RtpTimestamp::from_generated(generated),
        reading: Reading::Read {
            frame: FrameNumber(u32::try_from(sequence).expect("small")),
            generated,
        },
        received: Some(UnixMicros(decoded.0 - 1_000)),
        decoded,
        shown: decoded,
    }
}

fn body(reports: &[FrameReport]) -> String {
    reports
        .iter()
        .map(|report| serde_json::to_string(report).expect("JSON") + "\n")
        .collect()
}

async fn post(at: SocketAddr, client: &str, body: impl Into<reqwest::Body>) -> reqwest::Response {
    reqwest::Client::new()
        .post(format!("http://{at}/frames/{client}"))
        .body(body)
        .send()
        .await
        .expect("an answer")
}

/// A service with a trace: an ops port as the real ones have it.
async fn service(ring: &TraceRing) -> OpsServer {
    let mut ops = Ops::new("test");
    ops.trace = Some(ring.clone());
    ops.bind(SocketAddr::from(([127, 0, 0, 1], 0)), &Shutdown::new())
        .await
        .expect("bound")
}

fn rows(frames: &Path) -> Vec<FrameRow> {
    let reader =
        FrameReader::new(BufReader::new(File::open(frames).expect("there"))).expect("a header");
    reader.collect::<Result<_, _>>().expect("rows")
}

#[tokio::test]
async fn reports_and_traces_become_whole_rows_and_metrics() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let frames = dir.path().join("frames.csv");
    let mut registry = Registry::default();
    let collector = start(dir.path(), &frames, &mut registry);
    let (renderer, streamer) = (TraceRing::new(8_192), TraceRing::new(8_192));
    let services = [service(&renderer).await, service(&streamer).await];
    let mut scrapers = Vec::new();
    for (name, ops) in ["renderer", "streamer"].into_iter().zip(&services) {
        let target = Target {
            name: name.into(),
            ops: ops.local_addr().to_string(),
            stream: None,
            ask_clock: true,
        };
        scrapers.push(collector.scrape(target).expect("scraped"));
    }
    // More than one page of each trace, and one frame that nobody shows.
    let begin = clock::now();
    let count = 2_500_u64;
    let generated = |n: u64| UnixMicros(begin.0 + n * 10_000);
    for n in 0..=count {
        let key = RtpTimestamp::from_generated(generated(n));
        renderer.push(key, Point::Generated, generated(n));
        renderer.push(key, Point::Encoded, UnixMicros(generated(n).0 + 4_000));
        streamer.push(key, Point::Ingested, UnixMicros(generated(n).0 + 5_000));
        streamer.push(key, Point::Relayed, UnixMicros(generated(n).0 + 5_100));
    }
    let reports: Vec<_> = (0..count).map(|n| report(n, generated(n))).collect();
    for batch in reports.chunks(1_000) {
        let answer = post(collector.address(), "client-1", body(batch)).await;
        let next = batch.last().expect("not empty").sequence + 1;
        assert_eq!(
            answer.text().await.expect("a body"),
            format!("{{\"next\":{next}}}")
        );
    }
    // A client that lost an answer posts again.
    let again = post(collector.address(), "client-1", body(&reports[1_500..])).await;
    assert_eq!(
        again.text().await.expect("a body"),
        format!("{{\"next\":{count}}}")
    );
    assert_eq!(collector.progress().borrow().shown, count);

    for scraper in scrapers {
        scraper.catch_up().await.expect("pulled");
        scraper.stop().await;
    }
    let (counts, _) = collector.finish().await.expect("finished");
    assert_eq!((counts.foreign, counts.evicted), (0, 0));
    let rows = rows(&frames);
    assert_eq!(
        rows.iter()
            .filter(|row| row.outcome == Outcome::Shown)
            .count() as u64,
        count
    );
    assert_eq!(
        rows.iter()
            .filter(|row| row.outcome == Outcome::Lost)
            .count(),
        1
    );
    assert!(
        rows.iter()
            .filter(|row| row.outcome == Outcome::Shown)
            .all(FrameRow::has_every_point)
    );

    let mut text = String::new();
    encode(&mut text, &registry).expect("metrics");
    for line in [
        "xr_collector_latency_seconds_count 2500".to_owned(),
        "xr_collector_stage_seconds_count{stage=\"encode\"} 2500".to_owned(),
        "xr_collector_frames_total{outcome=\"lost\"} 1".to_owned(),
        format!(
            "xr_collector_reports_total{{result=\"repeated\"}} {}",
            count - 1_500
        ),
        "xr_collector_trace_overwritten_total{service=\"renderer\"} 0".to_owned(),
    ] {
        assert!(text.contains(&line), "{line} is missing in\n{text}");
    }
    assert!(
        text.contains("xr_collector_clock_uncertainty_seconds{service=\"streamer\"} 0.0"),
        "{text}"
    );
}

#[tokio::test]
async fn garbage_is_refused_with_a_remedy_and_nothing_is_lost() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let frames = dir.path().join("frames.csv");
    let collector = start(dir.path(), &frames, &mut Registry::default());
    let good = report(0, clock::now());
    post(collector.address(), "a", body(&[good])).await;
    for (client, body, status) in [
        ("a", b"hello\n".to_vec(), StatusCode::BAD_REQUEST),
        ("a", vec![0xff; 100], StatusCode::BAD_REQUEST),
        ("a%2Fb", Vec::new(), StatusCode::BAD_REQUEST),
        ("a", vec![b' '; 5 << 20], StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        let answer = post(collector.address(), client, body).await;
        assert_eq!(answer.status(), status);
        let problem: Problem = answer.json().await.expect("a problem");
        assert!(!problem.remedy.is_empty(), "{problem:?}");
    }
    collector.finish().await.expect("finished");
    let mut expected = FrameRow::from_report(&good);
    expected.client = ClientName::new("a").ok();
    expected.phase = Some(Phase::Measured);
    assert_eq!(rows(&frames), [expected]);
}

/// A post under a name is its process's, and what it is refused with says why.
#[tokio::test]
async fn a_post_is_refused_with_a_status_and_a_reason() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let frames = dir.path().join("frames.csv");
    let mut registry = Registry::default();
    let collector = start(dir.path(), &frames, &mut registry);
    let url = format!("http://{}/frames/a", collector.address());
    let http = reqwest::Client::new();
    let send = async |process: &str, reports: &[FrameReport]| {
        let post = http.post(&url).header("xr-process", process);
        let answer = post.body(body(reports)).send().await.expect("an answer");
        let status = answer.status();
        (status, answer.text().await.expect("a body"))
    };
    let now = clock::now();
    let absurd = FrameReport {
        decoded: UnixMicros(u64::MAX),
        ..report(1, now)
    };
    assert_eq!(send("one", &[report(0, now)]).await.0, StatusCode::OK);
    let (status, said) = send("two", &[report(1, now)]).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(
        said.contains("another process") && said.contains("--client-id"),
        "{said}"
    );
    let (status, said) = send("one", &[absurd]).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        said.contains("a minute") && said.contains("clock"),
        "{said}"
    );
    let later = UnixMicros(now.0 + 1_000);
    let (status, said) = send("one", &[absurd, report(1, later)]).await;
    assert_eq!(status, StatusCode::OK);
    assert!(
        said.starts_with("{\"next\":2,\"refused\":1,\"why\":\""),
        "{said}"
    );
    collector.finish().await.expect("finished");
    assert_eq!(rows(&frames).len(), 2);
    let mut text = String::new();
    encode(&mut text, &registry).expect("metrics");
    for line in [
        "{result=\"refused\"} 1",
        "{result=\"implausible\"} 2",
        "{result=\"new\"} 2",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
}

#[tokio::test]
async fn a_collector_with_a_token_takes_reports_with_it_alone() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let frames = dir.path().join("frames.csv");
    let start = Start {
        token: Some(Secret::new("sesame")),
        ..settings(dir.path(), &frames)
    };
    let collector = Collector::start(start, &mut Registry::default()).expect("started");
    let url = format!("http://{}/frames/a", collector.address());
    for (token, status) in [
        (None, StatusCode::UNAUTHORIZED),
        (Some("Bearer mustard"), StatusCode::UNAUTHORIZED),
        (Some("Bearer sesame"), StatusCode::OK),
    ] {
        let mut post = reqwest::Client::new().post(&url);
        if let Some(token) = token {
            post = post.header("authorization", token);
        }
        let answer = post.body(body(&[report(0, clock::now())])).send().await;
        assert_eq!(answer.expect("an answer").status(), status, "{token:?}");
    }
    collector.finish().await.expect("finished");
    assert_eq!(rows(&frames).len(), 1);
}

/// What may be written is bounded, and who posts more is told.
#[tokio::test]
async fn a_result_that_is_full_takes_no_more() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let frames = dir.path().join("frames.csv");
    let start = Start {
        max_bytes: 10_000,
        live: Arc::default(),
        limits: Limits {
            patience: std::time::Duration::ZERO,
            ..Limits::default()
        },
        ..settings(dir.path(), &frames)
    };
    let collector = Collector::start(start, &mut Registry::default()).expect("started");
    let now = clock::now();
    let mut refused = None;
    for n in 0..10_000 {
        let at = UnixMicros(now.0 + n * 1_000);
        let answer = post(collector.address(), "a", body(&[report(n, at)])).await;
        if answer.status() != StatusCode::OK {
            refused = Some((
                answer.status(),
                answer.json::<Problem>().await.expect("a problem"),
            ));
            break;
        }
    }
    let (status, problem) = refused.expect("it is full some time");
    assert_eq!(status, StatusCode::INSUFFICIENT_STORAGE);
    assert!(problem.remedy.contains("--max-bytes"), "{problem:?}");
    collector.finish().await.expect("finished");
}

#[tokio::test]
async fn a_full_disk_is_told_at_the_start() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let start = settings(dir.path(), Path::new("/dev/full"));
    let error = Collector::start(start, &mut Registry::default()).expect_err("it is full");
    let text = format!("{error:#}");
    assert!(
        text.contains("No space left") && text.contains("--out"),
        "{text}"
    );
}
