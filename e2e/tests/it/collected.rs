//! The collector by itself: what it writes is a result like any other.

use std::collections::HashMap;

use e2e::{Sandbox, binary, free_address, rows, run, until};
use serde_json::Value;
use timeline::{FrameNumber, FrameReport, Reading, RtpTimestamp, UnixMicros};

use crate::tools::{PATIENCE, text};

/// Frames that each client posts.
const FRAMES: u64 = 120;

/// Posts two seconds of frames as `client`, which has each 9 ms after its generation.
async fn post_frames(collector: &str, client: &str) {
    let now = service::clock::now().0;
    let body: String = (0..FRAMES)
        .map(|n| {
            let generated = UnixMicros(now - 2_000_000 + n * 16_667);
            let report = FrameReport {
                sequence: n,
                rtp_timestamp: RtpTimestamp::from_generated(generated),
                reading: Reading::Read {
                    frame: FrameNumber(u32::try_from(n).expect("small")),
                    generated,
                },
                received: None,
                decoded: UnixMicros(generated.0 + 9_000),
                shown: UnixMicros(generated.0 + 9_500),
            };
            serde_json::to_string(&report).expect("JSON") + "\n"
        })
        .collect();
    let post = reqwest::Client::new().post(format!("http://{collector}/frames/{client}"));
    let answer = post.body(body).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let answer: Value = answer.json().await.expect("JSON");
    assert_eq!(answer["next"], FRAMES);
}

/// The folder can be had over the ops port while it grows, from where one has it; nothing beside it can.
#[tokio::test(flavor = "multi_thread")]
async fn the_result_is_served_as_it_grows() {
    let sandbox = Sandbox::shared();
    let out = sandbox.path("collected");
    std::fs::write(sandbox.path("secret"), "beside it").expect("written");
    let beside = sandbox.path("beside");
    std::fs::create_dir(&beside).expect("made");
    std::fs::write(beside.join("strips.pgm"), "of another program").expect("written");
    let (out_text, beside_text) = (text(&out), text(&beside));
    let args = [
        "--listen",
        "127.0.0.1:0",
        "--ops",
        "127.0.0.1:0",
        "--out",
        &out_text,
        "--files",
        &beside_text,
    ];
    let collector = sandbox.start("collector", "xr-collector", &args).await;
    post_frames(&collector.addr("listen").to_string(), "left").await;
    let frames = "collected/run-1/frames.csv";
    until("the frames in the file", PATIENCE, async || {
        let written = std::fs::read_to_string(out.join(frames)).ok()?;
        (written.lines().count() as u64 == FRAMES + 1).then_some(())
    })
    .await;

    let ops = collector.addr("ops");
    let http = reqwest::Client::new();
    let get = |path: &str, from: usize| {
        let url = format!("http://{ops}/result/{path}");
        let request = http.get(url).header("range", format!("bytes={from}-"));
        async move { request.send().await.expect("an answer") }
    };
    let written = std::fs::read(out.join(frames)).expect("read");
    let first = get(frames, 0).await.bytes().await.expect("a body");
    assert_eq!(first, written);
    let rest = get(frames, 100).await;
    assert_eq!(rest.status(), 206);
    assert_eq!(rest.bytes().await.expect("a body"), written[100..]);
    for outside in ["..%2fsecret", "%2e%2e/secret", "nothing"] {
        let answer = get(outside, 0).await;
        assert_eq!(answer.status(), 404, "{outside}");
    }
    for (path, status) in [("strips.pgm", 200), ("..%2fsecret", 404)] {
        let answer = reqwest::get(format!("http://{ops}/files/{path}")).await;
        assert_eq!(answer.expect("an answer").status(), status, "{path}");
    }
    collector.terminate().await;
}

/// Two clients post, the collector is ended and started again in its folder, and its result can be reported.
#[tokio::test(flavor = "multi_thread")]
async fn two_clients_and_two_starts_can_be_reported() {
    let sandbox = Sandbox::shared();
    let out = text(&sandbox.path("collected"));
    for _ in 0..2 {
        let collector = sandbox
            .start(
                "collector",
                "xr-collector",
                &[
                    "--listen",
                    "127.0.0.1:0",
                    "--ops",
                    "127.0.0.1:0",
                    "--one-clock",
                    "--out",
                    &out,
                ],
            )
            .await;
        let listen = collector.addr("listen").to_string();
        for client in ["left", "right"] {
            post_frames(&listen, client).await;
        }
        let ended = collector.terminate().await;
        assert_eq!(ended.exit, testbed::Exit::Code(0), "{ended:?}");
    }
    let summary = run(binary("xrbench"), &["report", &out, "--json"], PATIENCE)
        .await
        .well();
    let summary: Value = serde_json::from_str(&summary).expect("JSON");
    let scenario = &summary["scenarios"][0];
    assert_eq!(scenario["latency_us"]["count"], 4 * FRAMES, "{scenario}");
    assert_eq!(scenario["frames"]["lost"], 0, "{scenario}");
    for client in ["left", "right"] {
        assert_eq!(
            scenario["clients"][client]["shown"],
            2 * FRAMES,
            "{scenario}"
        );
    }
    assert_eq!(summary["clock_uncertainty_us"], 0);
}

/// Beside an ffmpeg a collector tells the clock of the host and nothing else: whoever asks that notes it, although no frame comes.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_is_known_of_which_no_frame_came() {
    let sandbox = Sandbox::shared();
    let (beside, out) = (sandbox.path("beside"), sandbox.path("collected"));
    let beside = text(&beside);
    let ports = ["--listen", "127.0.0.1:0", "--ops", "127.0.0.1:0"];
    let args = ["--out", &beside, "--clock-skew", "5s"];
    let args = [ports, args].concat();
    let beside = sandbox.start("beside", "xr-collector", &args).await;
    let (scrape, out_text) = (format!("renderer={}", beside.addr("ops")), text(&out));
    let args = [ports, ["--out", &out_text, "--scrape", &scrape]].concat();
    let collector = sandbox.start("collector", "xr-collector", &args).await;
    let clock = until("the clock in the file", PATIENCE, async || {
        let meta = std::fs::read(out.join("collected/run-1/meta.json")).ok()?;
        let meta: Value = serde_json::from_slice(&meta).ok()?;
        let clock = meta["clocks"]["renderer"].clone();
        (clock["source"] == "asked").then_some(clock)
    })
    .await;
    let off_us = clock["offset_us"].as_i64().expect("an offset") - 5_000_000;
    let uncertainty_us = clock["uncertainty_us"].as_i64().expect("an uncertainty");
    assert!(off_us.abs() <= uncertainty_us, "{clock}");
    collector.terminate().await;
    beside.terminate().await;
}

/// Frames that each of two clients shows: half a minute, in which the one's clock gains 3 ms.
const HALF_A_MINUTE: u64 = 900;

/// Of two clients of one stream, one has a clock that is 5 s ahead and gains 100 us a second. Its frames are as late as the other's.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_wrong_and_drifts_changes_no_latency() {
    let sandbox = Sandbox::shared();
    let out = sandbox.path("collected");
    let streamer = sandbox.streamer(&[]).await;
    let renderer = sandbox.renderer(&streamer.feed_url("feed"), &[]).await;
    let clients =
        [("right", "0s"), ("wrong", "5s,100ppm")].map(|(name, skew)| (name, skew, free_address()));
    let mut scrape = vec![
        format!("--scrape=renderer={}", renderer.addr("ops")),
        format!("--scrape=streamer={}", streamer.addr("ops")),
    ];
    scrape.extend(clients.map(|(name, _, ops)| format!("--scrape={name}={ops}")));
    let mut args: Vec<_> = scrape.iter().map(String::as_str).collect();
    let out_text = text(&out);
    args.extend([
        "--listen",
        "127.0.0.1:0",
        "--ops",
        "127.0.0.1:0",
        "--out",
        &out_text,
    ]);
    let collector = sandbox.start("collector", "xr-collector", &args).await;
    let to = format!("http://{}", collector.addr("listen"));
    let mut shown = Vec::new();
    for (name, skew, ops) in clients {
        let (skew, ops) = (format!("--clock-skew={skew}"), ops.to_string());
        let args = [
            "--ops",
            &ops,
            "--collector",
            &to,
            "--client-id",
            name,
            &skew,
        ];
        shown.push(sandbox.client(&streamer.rtsp_url("feed"), &args).await);
    }
    let [right, wrong] = shown.as_slice() else {
        unreachable!("two clients were started");
    };
    tokio::join!(
        right.shows(HALF_A_MINUTE, 3 * PATIENCE),
        wrong.shows(HALF_A_MINUTE, 3 * PATIENCE)
    );
    for client in shown {
        client.terminate().await;
    }
    let ended = collector.terminate().await;
    assert_eq!(ended.exit, testbed::Exit::Code(0), "{ended:?}");

    let folder = out.join("collected/run-1");
    let mut latencies = HashMap::<_, [Option<i64>; 2]>::new();
    for row in rows(&folder.join("frames.csv")) {
        let who = row.client.as_ref().map(ToString::to_string);
        let place = usize::from(who.as_deref() == Some("wrong"));
        latencies.entry(row.rtp_timestamp).or_default()[place] = row.latency_us();
    }
    let meta = std::fs::read_to_string(folder.join("meta.json")).expect("written");
    let meta: Value = serde_json::from_str(&meta).expect("JSON");
    let uncertainty_us = meta["clock_uncertainty_us"].as_i64().expect("a number");
    // The first and the last tenth: a drift that is not followed shows in one of them.
    let mut by_time: Vec<_> = latencies.iter().collect();
    by_time.sort_unstable_by_key(|(key, _)| key.0);
    let tenth = by_time.len() / 10;
    for part in [&by_time[..tenth], &by_time[by_time.len() - tenth..]] {
        let mut apart: Vec<_> = part
            .iter()
            .filter_map(|(_, [right, wrong])| Some((*wrong)? - (*right)?))
            .collect();
        apart.sort_unstable();
        assert!(apart.len() > 50, "{} frames of both", apart.len());
        let median = apart[apart.len() / 2].abs();
        assert!(
            median <= 500.min(uncertainty_us),
            "{median} us apart, uncertainty {uncertainty_us}: {meta}"
        );
    }
    let wrong = &meta["clocks"]["wrong"];
    let drift_ppb = wrong["drift_ppb"].as_i64().expect("a number");
    assert!((drift_ppb - 100_000).abs() <= 20_000, "{wrong}");
    assert!(
        wrong["offset_us"].as_i64().expect("a number") > 5_002_000,
        "{wrong}"
    );
    assert_eq!(meta["clocks"]["right"]["offset_us"], 0, "{meta}");
}
