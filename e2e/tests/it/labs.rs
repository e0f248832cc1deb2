//! Runs in labs of network namespaces: every fabric carries the video, and the WAN carries what it should.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use e2e::{Finished, Sandbox, binary, free_address, run, until};
use serde_json::Value;

use crate::run::{assert_valid, json};
use crate::tools::text;

/// A run of a handful of short repetitions, on a machine that is busy with other tests.
const RUN_PATIENCE: Duration = Duration::from_mins(4);

/// What every scenario here has: small pictures, so that two cores carry every process of a lab.
const DEFAULTS: &str = "schema = 1\nname = \"labs\"\nrest = \"100ms\"\n[defaults]\nsource = \"test\"\nsize = \"640x360\"\nfps = 30\n\
    bitrate = \"1M\"\nwarmup = \"500ms\"\nduration = \"3s\"\nocr = { max_frames = 0 }\n";

pub(crate) async fn measure(sandbox: &Sandbox, scenarios: &str, more: &[&str]) -> Finished {
    let file = sandbox.path("labs.toml");
    std::fs::write(&file, format!("{DEFAULTS}{scenarios}")).expect("written");
    let (file, out) = (text(&file), text(&sandbox.path("out")));
    let mut args = vec!["run", &file, "--out", &out];
    args.extend(more);
    run(binary("xrbench"), &args, RUN_PATIENCE).await
}

pub(crate) fn summary(sandbox: &Sandbox) -> Value {
    json(&sandbox.path("out/summary.json"))
}

pub(crate) fn scenario<'a>(summary: &'a Value, name: &str) -> &'a Value {
    let all = summary["scenarios"].as_array().expect("a list");
    all.iter()
        .find(|scenario| scenario["name"] == name)
        .unwrap_or_else(|| panic!("no scenario {name}"))
}

pub(crate) fn events(sandbox: &Sandbox, name: &str) -> String {
    text_of(&sandbox.path(&format!("out/{name}/run-1/events.csv")))
}

fn text_of(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Frames of the measured time that came to the client and that it let go, because it or the machine stood still.
pub(crate) fn behind(sandbox: &Sandbox, name: &str) -> u64 {
    let meta = json(&sandbox.path(&format!("out/{name}/run-1/meta.json")));
    // Left out where there are none.
    meta["client_behind"].as_u64().unwrap_or(0)
}

/// Frames that a stall of the machine may cost a repetition beside those: a third of a second, which is what other tests beside it do.
const STALL: u64 = 10;

/// Every frame that the renderer made was shown, but for those of a stall, and every one that was shown could be read.
#[track_caller]
fn assert_nothing_lost(sandbox: &Sandbox, one: &Value) {
    let frames = &one["frames"];
    let count = |key: &str| {
        frames[key]
            .as_u64()
            .unwrap_or_else(|| panic!("{key}: {one}"))
    };
    assert_eq!(count("unread"), 0, "nothing was lost on the way: {one}");
    let behind = behind(sandbox, one["name"].as_str().expect("a name"));
    let (shown, made) = (count("shown"), count("generated"));
    assert!(made > STALL && shown + behind + STALL >= made, "{one}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fabric_carries_the_video_and_says_what_served_it() {
    let sandbox = Sandbox::new();
    let mut file = String::new();
    let fabrics = [
        ("single", "single", "udp"),
        ("nodeport", "nodeport-cluster", "tcp"),
        ("nodeport-local", "nodeport-local", "tcp"),
        ("liqo", "liqo-v1.2", "udp"),
        ("liqo-v0.10", "liqo-v0.10", "udp"),
        ("lisp", "lisp", "udp"),
    ];
    for (fabric, _, transport) in fabrics {
        let name = fabric.replace('.', "");
        file += &format!(
            "[[scenario]]\nname = \"{name}\"\nfabric = \"{fabric}\"\ntransport = \"{transport}\"\n"
        );
        if fabric != "single" {
            file += "wan = { preset = \"local\" }\n";
        }
    }
    file += "[[scenario]]\nname = \"translated\"\nfabric = \"liqo\"\noverlapping = true\nwan = { preset = \"local\" }\n";
    measure(&sandbox, &file, &[]).await.well();
    let summary = summary(&sandbox);
    assert_valid(&summary);
    for (fabric, name, transport) in fabrics {
        let one = scenario(&summary, &fabric.replace('.', ""));
        assert_eq!(one["fabric"]["name"], name, "{one}");
        assert_eq!(one["transport"], transport, "{one}");
        assert!(
            one["fabric"]["backend"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{one}"
        );
        assert_nothing_lost(&sandbox, one);
        let mtu = match fabric {
            "liqo" | "liqo-v0.10" => 1340,
            "lisp" => 1464,
            _ => 1500,
        };
        assert_eq!(one["fabric"]["mtu"], mtu, "{one}");
        let crossings = if fabric == "single" { 0 } else { 2 };
        assert_eq!(one["fabric"]["wan_crossings"], crossings, "{one}");
        assert_eq!(one["wan"].is_null(), fabric == "single", "{one}");
        assert!(one["cpu_percent"]["a"]["p50"].as_f64() > Some(0.0), "{one}");
        assert!(
            one["memory_percent"]["mean"]["p50"].as_f64() > Some(0.0),
            "{one}"
        );
    }
    let translated = scenario(&summary, "translated");
    assert_nothing_lost(&sandbox, translated);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_in_a_lab_is_watched_from_outside() {
    let sandbox = Sandbox::shared();
    let address = free_address();
    let open = format!("--open={address}");
    let file = "[[scenario]]\nname = \"near\"\nfabric = \"single\"\ntransport = \"udp\"\n";
    let watch = async {
        let get = async |path: &str| reqwest::get(format!("http://{address}{path}")).await.ok();
        let page = until("the page", RUN_PATIENCE, async || get("/").await).await;
        let page = page.text().await.expect("the page");
        let events = get("/seconds").await.expect("the events");
        // They end with the run.
        (page, events.text().await.expect("the events to their end"))
    };
    let args = [open.as_str()];
    let (ended, (page, events)) = tokio::join!(measure(&sandbox, file, &args), watch);
    assert!(
        ended.stderr.contains(&format!("http://{address}/")),
        "{}",
        ended.stderr
    );
    ended.well();
    assert!(page.contains("<h2>Scenarios</h2>"), "{page}");
    let told: Vec<Value> = events
        .lines()
        .filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok())
        .collect();
    let last = told.last().expect("an event");
    let how = last["run"]["ended"].as_str().unwrap_or_default();
    assert!(how.contains("result is in"), "{last}");
    let near = &last["run"]["scenarios"][0];
    assert_eq!(near["scenario"], "near", "{last}");
    let shown = near["frames"]["shown"].as_u64();
    // With the warm-up there are more than in the result; the last of them may be told of no more.
    let measured = scenario(&summary(&sandbox), "near")["frames"]["shown"].as_u64();
    let half = measured.map(|measured| measured / 2);
    assert!(shown > Some(0) && shown >= half, "of {measured:?}: {last}");
    let used = |one: &Value| one["used"].to_string().contains("\"client\"");
    assert!(told.iter().any(used), "{events}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rtp_on_udp_through_a_masquerading_nodeport_runs_over_tcp_and_says_so() {
    let sandbox = Sandbox::shared();
    let file = "[[scenario]]\nname = \"np\"\nfabric = \"nodeport\"\ntransport = \"udp\"\nduration = \"1s\"\n";
    let table = measure(&sandbox, file, &[]).await.well();
    let summary = summary(&sandbox);
    let one = scenario(&summary, "np");
    assert_eq!(one["transport"], "tcp", "{one}");
    let notes = one["notes"].to_string();
    assert!(notes.contains("TCP") && notes.contains("UDP"), "{notes}");
    assert!(table.contains("TCP was taken"), "{table}");
}

/// The reference runs where ours runs: its player gets the stream through the fabric, and its stamps are read.
#[tokio::test(flavor = "multi_thread")]
async fn an_unmodified_ffmpeg_plays_through_a_lab() {
    let sandbox = Sandbox::shared();
    let file = "[[scenario]]\nname = \"ffmpeg\"\npipeline = \"reference-tuned\"\nfabric = \"nodeport-local\"\n\
        transport = \"tcp\"\nduration = \"2s\"\nwan = { preset = \"local\" }\n";
    measure(&sandbox, file, &[]).await.well();
    let summary = summary(&sandbox);
    assert_valid(&summary);
    let one = scenario(&summary, "ffmpeg");
    assert_eq!(one["fabric"]["name"], "nodeport-local", "{one}");
    assert_eq!(one["fabric"]["wan_crossings"], 2, "{one}");
    let count = |key: &str| one["frames"][key].as_u64().unwrap_or(0);
    // It does not say how many it made.
    assert!(count("shown") >= STALL, "{one}");
    assert!(one["latency_us"]["p50"].as_f64() > Some(0.0), "{one}");
    assert!(
        one["cpu_percent"]["b"]["p50"].as_f64() > Some(0.0),
        "the streamer is in cluster B: {one}"
    );
    for role in ["streamer", "renderer", "client"] {
        assert!(
            events(&sandbox, "ffmpeg").contains(&format!(",exited,{role},")),
            "{role}"
        );
    }
}

/// What tshark makes of a capture, one field of each packet a line; of a field that comes several times, the first.
pub(crate) fn fields(pcap: &Path, filter: &str, field: &str) -> Vec<String> {
    let output = Command::new("tshark")
        // A drawn source port may be one that a protocol is registered for.
        .args(["-o", "udp.try_heuristic_first:TRUE"])
        .args(["-r", &text(pcap), "-Y", filter, "-T", "fields", "-e", field])
        .args(["-E", "occurrence=f"])
        // The streamer's ports are no well-known ones here.
        .args(["-d", "tcp.port==8554,rtsp", "-d", "tcp.port==30554,rtsp"])
        .output()
        .expect("tshark runs; `make deps` installs it");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(ToOwned::to_owned)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wan_carries_wireguard_for_liqo_and_rtsp_for_nodeport() {
    let sandbox = Sandbox::shared();
    let file = "[[scenario]]\nname = \"s2\"\nfabric = \"liqo\"\ntransport = \"udp\"\nduration = \"5s\"\nwan = { preset = \"local\" }\n\
        [[scenario]]\nname = \"s3\"\nfabric = \"nodeport\"\ntransport = \"tcp\"\nduration = \"2s\"\nwan = { preset = \"local\" }\n";
    measure(&sandbox, file, &["--pcap", "wan-a"]).await.well();
    let pcap = |name: &str| sandbox.path(&format!("out/{name}/run-1/wan-a.pcap"));

    let all = fields(&pcap("s2"), "", "ip.len");
    let wireguard = fields(&pcap("s2"), "wg", "ip.len");
    assert!(all.len() > 300, "{} packets", all.len());
    assert_eq!(
        wireguard.len(),
        all.len(),
        "everything on the WAN is WireGuard"
    );
    let longest = wireguard
        .iter()
        .filter_map(|size| size.parse::<u32>().ok())
        .max();
    // The feed's TCP segments fill the tunnel's MTU of 1340; WireGuard adds 60.
    assert_eq!(longest, Some(1340 + 60), "a TCP segment in a tunnel");
    // RTP of 1150 bytes and 28 of UDP and IP, padded to 16: the video on its way to the client.
    let rtp = (1178_u32.next_multiple_of(16) + 60).to_string();
    let count = wireguard.iter().filter(|size| **size == rtp).count();
    assert!(
        count > 100,
        "{count} RTP packets of {rtp} bytes in a tunnel"
    );

    let rtsp = fields(
        &pcap("s3"),
        "rtsp.method == \"PLAY\" || rtsp.status == 200",
        "frame.number",
    );
    assert!(!rtsp.is_empty(), "RTSP can be read on the WAN");
    assert!(fields(&pcap("s3"), "wg", "frame.number").is_empty());
    let strangers = fields(
        &pcap("s3"),
        "!(tcp.port in {30554, 30080} || tcp.port in {30000..32767})",
        "frame.number",
    );
    assert!(
        strangers.is_empty(),
        "{} packets of neither feed nor RTSP",
        strangers.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_stopped_goes_on() {
    let sandbox = Sandbox::shared();
    let file = "[[scenario]]\nname = \"s\"\nfabric = \"single\"\nduration = \"2s\"\nruns = 3\n";
    let path = sandbox.path("labs.toml");
    std::fs::write(&path, format!("{DEFAULTS}{file}")).expect("written");
    let (path, out) = (text(&path), text(&sandbox.path("out")));
    let mut stopped = tokio::process::Command::new(binary("xrbench"))
        .args(["run", &path, "--out", &out])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("started");
    let first = sandbox.path("out/s/run-1/meta.json");
    until("the first repetition", RUN_PATIENCE, async || {
        let meta = std::fs::read_to_string(&first).ok()?;
        meta.contains("\"complete\": true").then_some(())
    })
    .await;
    let pid = stopped.id().expect("it runs");
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(pid.cast_signed()),
        nix::sys::signal::Signal::SIGTERM,
    )
    .expect("signalled");
    let status = tokio::time::timeout(RUN_PATIENCE, stopped.wait())
        .await
        .expect("it ends")
        .expect("waited");
    assert_eq!(status.code(), Some(130), "{status}");
    assert_eq!(json(&sandbox.path("out/run.json"))["state"], "interrupted");
    let before = text_of(&sandbox.path("out/s/run-1/frames.csv"));

    run(
        binary("xrbench"),
        &["run", &path, "--out", &out, "--resume"],
        RUN_PATIENCE,
    )
    .await
    .well();
    assert_eq!(
        text_of(&sandbox.path("out/s/run-1/frames.csv")),
        before,
        "what was complete stays"
    );
    assert_eq!(scenario(&summary(&sandbox), "s")["runs"]["completed"], 3);
    let again = run(
        binary("xrbench"),
        &["run", &path, "--out", &out, "--resume"],
        RUN_PATIENCE,
    )
    .await;
    again.refused(64, &["--resume", "has been measured"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_lab_can_be_is_refused_with_the_remedy() {
    let sandbox = Sandbox::shared();
    for (scenarios, words) in [
        (
            "fabric = \"liqo\"\nwan = { preset = \"frankfurt-genf\" }",
            ["frankfurt-geneva", "preset"],
        ),
        (
            "fabric = \"liqo\"\nwan = { rate = \"900k\" }",
            ["rate", "bitrate"],
        ),
        (
            "fabric = \"liqo\"\nwan = { a_to_c = { delay = \"1ms\" } }",
            ["a_to_c", "a_to_b"],
        ),
        (
            "fabric = \"liqo\"\ntransport = \"udp\"\nrenderer = { rtp_mtu = 1400 }",
            ["1400", "1312"],
        ),
        (
            "fabric = \"lisp\"\ntransport = \"udp\"\nrenderer = { rtp_mtu = 1437 }",
            ["1437", "1436"],
        ),
    ] {
        let file = format!("[[scenario]]\nname = \"s\"\n{scenarios}\n");
        let finished = measure(&sandbox, &file, &[]).await;
        assert_eq!(finished.code, Some(64), "{finished}");
        for word in words {
            assert!(
                finished.stderr.contains(word),
                "no word of {word}: {finished}"
            );
        }
        let _ = std::fs::remove_dir_all(sandbox.path("out"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lab_can_be_printed_and_entered() {
    let file = crate::run::root().join("scenarios/quick.toml");
    let printed = run(
        binary("xrbench"),
        &[
            "lab",
            &text(&file),
            "--scenario",
            "s2-liqo-local",
            "--print",
        ],
        RUN_PATIENCE,
    )
    .await
    .well();
    for word in ["node-a", "gateway-b", "liqo", "51840", "1340", "wan-a"] {
        assert!(printed.contains(word), "no word of {word}:\n{printed}");
    }
    assert!(
        !printed.to_lowercase().contains("private"),
        "keys stay secret:\n{printed}"
    );
    let entered = run(
        binary("xrbench"),
        &[
            "lab",
            &text(&file),
            "--scenario",
            "s2-liqo-local",
            "--in",
            "client",
            "--",
            "ip",
            "-brief",
            "address",
        ],
        RUN_PATIENCE,
    )
    .await
    .well();
    assert!(
        entered.contains("eth0") && entered.contains("10.1."),
        "{entered}"
    );
    let nowhere = run(
        binary("xrbench"),
        &["lab", &text(&file), "--in", "gateway-c", "--", "true"],
        RUN_PATIENCE,
    )
    .await;
    nowhere.refused(64, &["--in", "client"]);
}
