//! The collector over real HTTP.

use std::fs::File;
use std::io::BufReader;
use std::net::SocketAddr;
use std::path::Path;

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use reqwest::StatusCode;
use service::http::Problem;
use service::ops::{Ops, OpsServer};
use service::trace::TraceRing;
use service::{Shutdown, clock};
use timeline::frames_csv::{FrameReader, FrameRow, Outcome, Phase};
use timeline::join::Limits;
use timeline::{ClientName, FrameNumber, FrameReport, Point, Reading, RtpTimestamp, UnixMicros};

use super::scrape::Target;
use super::{Collector, Start};

fn start(dir: &Path, frames: &Path, registry: &mut Registry) -> Collector {
    let start = Start {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        origin: "a test".into(),
        frames: frames.to_owned(),
        log: dir.join("latency.hlog"),
        limits: Limits::default(),
        one_clock: false,
        measure_all: true,
        on_event: Box::new(|_, _, _| {}),
    };
    Collector::start(start, registry).expect("started")
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

#[tokio::test]
async fn a_full_disk_is_told_at_the_start() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let start = Start {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        origin: "a test".into(),
        frames: "/dev/full".into(),
        log: dir.path().join("latency.hlog"),
        limits: Limits::default(),
        one_clock: false,
        measure_all: true,
        on_event: Box::new(|_, _, _| {}),
    };
    let error = Collector::start(start, &mut Registry::default()).expect_err("it is full");
    let text = format!("{error:#}");
    assert!(
        text.contains("No space left") && text.contains("--out"),
        "{text}"
    );
}
