//! The collector's page, as its readers meet it while frames come in.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use collect::{Collector, Live, MAX_BYTES, Start, Used, files::Paths};
use result::RepetitionFolder;
use service::Shutdown;
use service::ops::{Ops, OpsServer};
use timeline::join::Limits;
use timeline::{FrameNumber, FrameReport, Reading, RtpTimestamp, UnixMicros};

use crate::browser::{Browser, View};
use crate::{DESK, LOOK, keep};

/// Reports of frames that took 7 ms, a line each.
fn reports(from: u64, count: u64) -> String {
    let now = service::clock::now();
    let report = |sequence: u64| {
        let decoded = UnixMicros(now.0 - (from + count - sequence) * 1_000);
        FrameReport {
            sequence,
            rtp_timestamp: RtpTimestamp(u32::try_from(3000 * sequence).expect("few")),
            reading: Reading::Read {
                frame: FrameNumber(u32::try_from(sequence).expect("few")),
                generated: UnixMicros(decoded.0 - 7_000),
            },
            received: Some(UnixMicros(decoded.0 - 1_000)),
            decoded,
            shown: decoded,
        }
    };
    let lines = (from..from + count).map(|sequence| serde_json::to_string(&report(sequence)));
    lines
        .collect::<Result<Vec<_>, _>>()
        .expect("JSON")
        .join("\n")
}

/// A busy machine draws a page within seconds.
const PATIENCE: Duration = Duration::from_mins(1);

/// A collector that writes into `dir`, and the port of its page.
async fn start(dir: &Path, shutdown: &Shutdown) -> (Collector, OpsServer) {
    let repetition = RepetitionFolder::new(dir);
    repetition.create().expect("a folder");
    let live = Arc::<Live>::default();
    let start = Start {
        listen: ([127, 0, 0, 1], 0).into(),
        origin: "--listen".into(),
        tls: None,
        paths: Paths::of(&repetition),
        limits: Limits {
            patience: Duration::ZERO,
            ..Limits::default()
        },
        one_clock: true,
        measure_all: true,
        token: None,
        reported: [].into(),
        max_bytes: MAX_BYTES,
        live: Arc::clone(&live),
        on_event: Box::new(|_, _, _| {}),
        stop: Shutdown::new(),
    };
    let mut ops = Ops::new("test");
    let collector = Collector::start(start, &mut ops.registry).expect("a collector");
    ops.more = live.routes(shutdown.clone());
    live.begin("s1-single", "3/48 s1-single repetition 2".to_owned());
    live.used(vec![Used {
        role: "client".to_owned(),
        cpu_percent: 12.34,
        memory_bytes: Some(40 << 20),
    }]);
    let until = shutdown.clone();
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                () = until.fired() => return,
                _ = ticks.tick() => live.end_second(service::clock::now()),
            }
        }
    });
    let ops = ops.bind(([127, 0, 0, 1], 0).into(), shutdown).await;
    (collector, ops.expect("a port"))
}

#[test]
fn a_collection_is_seen_as_it_goes() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let shutdown = Shutdown::new();
    let (collector, ops) = runtime.block_on(start(dir.path(), &shutdown));
    let (page, address) = (format!("http://{}/", ops.local_addr()), collector.address());
    let mut sent = 0;
    let mut send = || {
        let body = reports(sent, 20);
        sent += 20;
        runtime.block_on(async {
            let url = format!("http://{address}/frames/phone");
            let answer = reqwest::Client::new()
                .post(url)
                .body(body)
                .send()
                .await
                .expect("an answer");
            assert!(answer.status().is_success(), "{answer:?}");
        });
    };
    send();

    let mut browser = Browser::start();
    browser.look(DESK);
    browser.open_url(&page);
    let begun = Instant::now();
    // The page shows each second when it is told of it; one look at all of it, since the next second may be empty.
    let looked = "(id => [id('p50'), id('lost'), id('outcomes'), id('now'), id('scenarios'), id('used')].map(e => e.textContent).concat(
        document.querySelectorAll('#chart path').length, seconds.length))(id => document.getElementById(id))";
    let expected = |seen: &serde_json::Value| {
        let text = |place: usize| seen[place].as_str().unwrap_or_default();
        let shows = text(0) == "7.00" && text(1) == "0.00 %" && text(2).starts_with("shown");
        let of_run = text(3).starts_with("3/48") && text(4).starts_with("s1-single7.007.00");
        shows && of_run && text(5) == "client12.340.0" && seen[6] == 2
    };
    let mut second = serde_json::Value::Null;
    loop {
        let seen = browser.evaluate(looked);
        if expected(&seen) {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{seen}");
        if seen[7] != second {
            second = seen[7].clone();
            send();
        }
    }
    let state = browser.evaluate("document.getElementById('state').className");
    assert_eq!(state, "", "connected");
    for (name, view) in [
        ("live-light.png", DESK),
        ("live-dark.png", View { dark: true, ..DESK }),
        (
            "live-phone.png",
            View {
                width: 390,
                height: 844,
                scale: 2.0,
                ..DESK
            },
        ),
    ] {
        browser.look(view);
        let wrong = browser.evaluate(LOOK);
        assert_eq!(wrong, serde_json::json!([]), "{name}");
        let picture = browser.picture();
        assert!(picture.len() > 10_000, "{name}: {} bytes", picture.len());
        keep(name, &picture);
    }
    assert_eq!(browser.complaints, Vec::<String>::new());
    let own = browser.outside().iter().all(|url| url.starts_with(&page));
    assert!(own, "{:?}", browser.outside());

    // The page says that its collector went, and the port closes although the page still listens.
    let begun = Instant::now();
    shutdown.begin();
    runtime.block_on(ops.stop());
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    let begun = Instant::now();
    while browser.evaluate("document.getElementById('state').className") != "bad" {
        assert!(begun.elapsed() < PATIENCE, "it is not told");
        std::thread::sleep(Duration::from_millis(50));
    }
    runtime.block_on(collector.finish()).expect("finished");
}
