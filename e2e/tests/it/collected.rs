//! The collector by itself: what it writes is a result like any other.

use e2e::{Sandbox, binary, run};
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
