//! Runs with another RTSP server in xr-streamer's place: the same stamp, the same client, the same figures.

use std::time::Duration;

use e2e::{Sandbox, binary, run};
use serde_json::Value;

use crate::run::{assert_valid, json, root};
use crate::tools::text;

/// A run of a handful of short repetitions, on a machine that is busy with other tests.
const RUN_PATIENCE: Duration = Duration::from_mins(4);

/// Small pictures, so that two cores carry everything.
const DEFAULTS: &str = "schema = 1\nname = \"servers\"\nrest = \"100ms\"\n[defaults]\nsource = \"test\"\nsize = \"640x360\"\n\
    fps = 30\nbitrate = \"1M\"\nwarmup = \"1s\"\nduration = \"6s\"\nocr = { max_frames = 40 }\n";

/// Debian's Python, which has Debian's modules.
const PYTHON: &str = "/usr/bin/python3";

fn peer() -> String {
    text(&root().join("e2e/tests/it/peers/rtsp_server.py"))
}

async fn measure(sandbox: &Sandbox, scenarios: &str) -> e2e::Finished {
    let file = sandbox.path("servers.toml");
    std::fs::write(&file, format!("{DEFAULTS}{scenarios}")).expect("written");
    let (file, out) = (text(&file), text(&sandbox.path("out")));
    let args = ["run", &file, "--out", &out];
    run(binary("xrbench"), &args, RUN_PATIENCE).await
}

fn scenario<'a>(summary: &'a Value, name: &str) -> &'a Value {
    let all = summary["scenarios"].as_array().expect("a list");
    all.iter()
        .find(|scenario| scenario["name"] == name)
        .unwrap_or_else(|| panic!("no scenario {name}"))
}

/// Frames that are enough to compare, of the 180 that a scenario has here: a server that is busy at its start loses the first,
/// and on a machine that stands still for a second another one loses a group of pictures.
const ENOUGH: u64 = 45;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_record_is_measured_under_the_same_stamp() {
    let sandbox = Sandbox::shared();
    let server = format!(
        "server = {{ command = \"{PYTHON} '{}' {{rtsp}}\", feed = \"rtsp://{{rtsp}}/in\" }}\n",
        peer()
    );
    let scenarios = format!(
        "[[scenario]]\nname = \"ours\"\n\
         [[scenario]]\nname = \"record\"\n{server}\
         [[scenario]]\nname = \"record-in-pods\"\nfabric = \"single\"\ntransport = \"tcp\"\n{server}"
    );
    let table = measure(&sandbox, &scenarios).await.well();
    assert!(table.contains("another server"), "{table}");
    let summary = json(&sandbox.path("out/summary.json"));
    assert_valid(&summary);
    for name in ["record", "record-in-pods"] {
        let one = scenario(&summary, name);
        assert!(
            one["server"]
                .as_str()
                .is_some_and(|text| text.contains(PYTHON)),
            "{one}"
        );
        assert!(one["frames"]["shown"].as_u64() >= Some(ENOUGH), "{one}");
        assert!(one["latency_us"]["p50"].as_u64() > Some(0), "{one}");
        // Tesseract and the blocks read the same, whatever the server did to the packets.
        assert!(one["ocr"]["compared"].as_u64() >= Some(10), "{one}");
        assert_eq!(one["ocr"]["disagree"], 0, "{one}");
        // What we made ourselves is known, what the other did is not.
        assert_eq!(one["points"]["complete"], 0, "{one}");
        for stage in ["encode", "decode"] {
            let count = one["stages_us"][stage]["count"].as_u64();
            assert!(count >= Some(ENOUGH), "{stage}: {one}");
        }
        for stage in ["feed", "relay", "deliver"] {
            assert!(one["stages_us"][stage].is_null(), "{stage}: {one}");
        }
        assert!(one["carried_us"]["count"].as_u64() >= Some(ENOUGH), "{one}");
        assert!(one["codec_share"].is_null(), "{one}");
    }
    assert!(scenario(&summary, "ours")["server"].is_null());
    let differences = summary["differences"].as_array().expect("a list");
    let compared = differences
        .iter()
        .find(|one| one["a"] == "ours" && one["b"] == "record")
        .unwrap_or_else(|| panic!("ours is compared with the other: {differences:#?}"));
    assert_eq!(compared["differs"], serde_json::json!(["server"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_speaks_our_ingest_keeps_the_keys() {
    let sandbox = Sandbox::shared();
    let scenarios = format!(
        "[[scenario]]\nname = \"foreign\"\nserver = {{ command = \"'{}' --http {{http}} --rtsp {{rtsp}} --ops 127.0.0.1:0\", \
         feed = \"http://{{http}}/feeds/xr\" }}\n",
        text(&binary("xr-streamer"))
    );
    measure(&sandbox, &scenarios).await.well();
    let summary = json(&sandbox.path("out/summary.json"));
    let one = scenario(&summary, "foreign");
    assert!(one["frames"]["shown"].as_u64() >= Some(ENOUGH), "{one}");
    assert_eq!(one["ocr"]["disagree"], 0, "{one}");
    assert!(
        one["stages_us"]["decode"]["count"].as_u64() >= Some(ENOUGH),
        "{one}"
    );
    assert!(one["stages_us"]["relay"].is_null(), "{one}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_listen_is_named_with_its_log() {
    let sandbox = Sandbox::shared();
    let scenarios = "[[scenario]]\nname = \"gone\"\nserver = { command = \"sh -c 'echo no such camera >&2; exit 3'\" }\n";
    let finished = measure(&sandbox, scenarios).await;
    let said = finished.to_string();
    for part in ["gone repetition 1 failed", "exit 3", "no such camera"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}
