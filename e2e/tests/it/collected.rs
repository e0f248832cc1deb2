//! The collector by itself: what it writes is a result like any other.

use e2e::{Sandbox, binary, run, until};
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
    let sandbox = Sandbox::new();
    let out = sandbox.path("collected");
    std::fs::write(sandbox.path("secret"), "beside it").expect("written");
    let args = ["--listen", "127.0.0.1:0", "--out", &text(&out)];
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
    collector.terminate().await;
}

/// Two clients post, the collector is ended and started again in its folder, and its result can be reported.
#[tokio::test(flavor = "multi_thread")]
async fn two_clients_and_two_starts_can_be_reported() {
    let sandbox = Sandbox::new();
    let out = text(&sandbox.path("collected"));
    for _ in 0..2 {
        let collector = sandbox
            .start(
                "collector",
                "xr-collector",
                &["--listen", "127.0.0.1:0", "--one-clock", "--out", &out],
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
