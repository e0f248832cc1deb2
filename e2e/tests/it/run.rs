//! `xrbench run` from the scenario file to the report, and what is left when somebody stops it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use e2e::{Sandbox, binary, run, run_in, until};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use serde_json::Value;
use testbed::Exit;

use crate::browser::Browser;
use crate::tools::{PATIENCE, text};

/// The smoke scenario takes half a minute on a quiet machine.
const RUN_PATIENCE: Duration = Duration::from_mins(4);

/// The workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("e2e lies in the workspace")
        .to_owned()
}

fn smoke() -> String {
    text(&root().join("scenarios/smoke.toml"))
}

pub(crate) fn json(path: &Path) -> Value {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The folders of the repetitions, from what `run.json` says was planned.
fn repetitions(out: &Path) -> Vec<(Value, PathBuf)> {
    let info = json(&out.join("run.json"));
    let scenarios = info["scenarios"].as_array().expect("a list").clone();
    let folders = scenarios.into_iter().flat_map(|scenario| {
        let runs = scenario["runs"].as_u64().expect("a count");
        let name = scenario["name"].as_str().expect("a name").to_owned();
        (1..=runs).map(move |run| {
            (
                scenario.clone(),
                PathBuf::from(&name).join(format!("run-{run}")),
            )
        })
    });
    folders
        .map(|(scenario, folder)| (scenario, out.join(folder)))
        .collect()
}

pub(crate) fn assert_valid(summary: &Value) {
    let schema = json(&root().join("docs/summary.schema.json"));
    let validator = jsonschema::validator_for(&schema).expect("the committed schema is one");
    let wrong: Vec<String> = validator
        .iter_errors(summary)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(
        wrong.is_empty(),
        "summary.json is not what its schema says: {wrong:#?}"
    );
    let mut empty = summary.clone();
    empty
        .as_object_mut()
        .expect("an object")
        .remove("scenarios");
    assert!(!validator.is_valid(&empty), "the schema takes anything");
}

#[tokio::test(flavor = "multi_thread")]
async fn smoke_gives_a_whole_result() {
    let sandbox = Sandbox::new();
    let out = sandbox.path("out");
    let table = smoke_beside_a_proxy(&out).await;
    assert!(
        table.contains("p50") && table.contains("762"),
        "the table shows our figures and the paper's:\n{table}"
    );

    let summary = json(&out.join("summary.json"));
    assert_valid(&summary);
    assert_eq!(json(&out.join("run.json"))["state"], "finished");
    let scenarios = summary["scenarios"].as_array().expect("a list");
    assert!(!scenarios.is_empty());
    let mut with_floor = 0;
    for scenario in scenarios {
        let name = &scenario["name"];
        assert!(
            scenario["frames"]["shown"].as_u64() >= Some(20),
            "{name}: {scenario}"
        );
        assert!(
            scenario["latency_us"]["p50"].as_f64() > Some(0.0),
            "{name}: {scenario}"
        );
        assert!(
            scenario["latency_us"]["p95"].as_f64() >= scenario["latency_us"]["p50"].as_f64(),
            "{name}: {scenario}"
        );
        if scenario["pipeline"] == "ours" {
            assert_eq!(scenario["ocr"]["disagree"], 0, "{name}: {scenario}");
            assert!(
                scenario["ocr"]["frames"].as_u64() > Some(0),
                "{name}: {scenario}"
            );
            with_floor += usize::from(scenario["floor_us"]["p50"].as_f64() > Some(0.0));
            assert!(scenario["first_frame_us"].as_u64() > Some(0), "{scenario}");
        }
    }

    assert!(with_floor > 0, "a scenario stands beside its floor");

    for (scenario, folder) in repetitions(&out) {
        for file in [
            "meta.json",
            "frames.csv",
            "latency.hlog",
            "resources.csv",
            "host.csv",
            "events.csv",
            "logs",
        ] {
            // The reference's frames are known from OCR alone.
            let is_reference = scenario["pipeline"]
                .as_str()
                .is_some_and(|kind| kind.starts_with("reference"));
            let file = if is_reference && ["frames.csv", "latency.hlog"].contains(&file) {
                "ocr.csv"
            } else {
                file
            };
            assert!(
                folder.join(file).exists(),
                "{} lacks {file}",
                folder.display()
            );
        }
        if scenario["pipeline"] != "ours" {
            continue;
        }
        let rows = e2e::rows(&folder.join("frames.csv"));
        let shown: Vec<_> = rows
            .iter()
            .filter(|row| row.outcome == timeline::frames_csv::Outcome::Shown)
            .collect();
        let complete = shown.iter().filter(|row| row.has_every_point()).count();
        assert!(
            (shown.len() - complete) * 1000 <= shown.len(),
            "{complete} of {} have every point",
            shown.len()
        );
        assert!(
            rows.iter().all(|row| row.phase.is_some()),
            "each row has its phase"
        );
    }
    tokio::task::block_in_place(|| report_opens(&out.join("report.html")));

    // The tables again, from the folder alone.
    let again = run(binary("xrbench"), &["report", &text(&out)], PATIENCE)
        .await
        .well();
    assert!(again.contains("p50"), "{again}");
}

/// What the smoke scenario prints where the environment names a proxy, which none of the programs asks, ffmpeg among them.
async fn smoke_beside_a_proxy(out: &Path) -> String {
    let proxy = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    proxy.set_nonblocking(true).expect("a listener");
    let named = format!("http://{}", proxy.local_addr().expect("bound"));
    let mut env = ["http_proxy", "all_proxy", "ALL_PROXY"]
        .map(|name| (name, named.as_str()))
        .to_vec();
    env.extend([("no_proxy", ""), ("NO_PROXY", "")]);
    let (smoke, out) = (smoke(), text(out));
    let args = ["run", &smoke, "--out", &out];
    let finished = run_in(binary("xrbench"), &args, &env, RUN_PATIENCE).await;
    let table = finished.well();
    let asked = proxy.accept().map(drop).map_err(|error| error.kind());
    assert_eq!(asked, Err(std::io::ErrorKind::WouldBlock), "the proxy");
    table
}

/// One page that asks for nothing beyond itself, and no word of complaint on the browser's console.
fn report_opens(page: &Path) {
    let mut browser = Browser::start();
    browser.open(page);
    let picture = browser.picture();
    assert!(picture.len() > 20_000, "{} bytes", picture.len());
    assert_eq!(browser.outside(), Vec::<&str>::new());
    assert_eq!(browser.complaints, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ctrl_c_leaves_can_be_read() {
    let sandbox = Sandbox::shared();
    let out = sandbox.path("out");
    let runner = sandbox.spawn(
        "xrbench",
        binary("xrbench"),
        &["run", &smoke(), "--out", &text(&out)],
    );
    until("measured frames", PATIENCE, async || {
        assert!(runner.exit().is_none(), "{}", runner.log_tail());
        let first = std::fs::read_to_string(out.join("run.json")).ok()?;
        let _: Value = serde_json::from_str(&first).expect("run.json is never half written");
        let files = repetitions(&out)
            .into_iter()
            .map(|(_, folder)| folder.join("frames.csv"));
        let lines =
            files.filter_map(|file| Some(std::fs::read_to_string(file).ok()?.lines().count()));
        (lines.max()? > 60).then_some(())
    })
    .await;
    // Nobody else goes on with it, or begins another, while it runs.
    let smoke = smoke();
    let folder = text(&out);
    let again = ["run", &smoke, "--out", &folder, "--resume"];
    let refused = run(binary("xrbench"), &again, PATIENCE).await;
    refused.refused(64, &["--out", "another process"]);
    let refused = run(binary("xrbench"), &again[..4], PATIENCE).await;
    refused.refused(64, &["--out", "another process"]);
    let exit = runner.interrupt(Duration::from_secs(30)).await;
    assert_eq!(exit, Exit::Code(130), "{}", runner.log_tail());
    assert_eq!(json(&out.join("run.json"))["state"], "interrupted");
    // The measured time ends with what was shown, and not with the last process.
    for (_, folder) in repetitions(&out) {
        let Some(to) = std::fs::read(folder.join("meta.json"))
            .ok()
            .and_then(|bytes| {
                let meta: Value = serde_json::from_slice(&bytes).ok()?;
                (meta["error"] == "interrupted" && meta["pipeline"] == "ours")
                    .then(|| meta["measured_to_us"].as_u64())?
            })
        else {
            continue;
        };
        let shown = e2e::rows(&folder.join("frames.csv")).into_iter();
        let shown = shown.filter(|row| row.outcome == timeline::frames_csv::Outcome::Shown);
        let last = shown
            .filter_map(|row| row.at(timeline::Point::Generated))
            .max();
        assert!(
            last.is_some_and(|last| to <= last.0 + 1),
            "{to} after {last:?}"
        );
    }
    // The tables are there, and so is the word that they are a part of what was planned.
    let report = run(binary("xrbench"), &["report", &text(&out)], PATIENCE).await;
    assert_eq!(report.code, Some(1), "{report}");
    assert!(report.stdout.contains("p50"), "{report}");
    assert!(report.stderr.contains("not whole"), "{report}");
    assert_valid(&json(&out.join("summary.json")));
}

/// Whoever reads the progress of a run may stop reading: the run goes on, and ends.
#[tokio::test]
async fn a_run_waits_for_nobody_who_reads_its_progress() {
    let sandbox = Sandbox::shared();
    let file = sandbox.path("one.toml");
    let scenario = "schema = 1\nname = \"one\"\n[[scenario]]\nname = \"one\"\nsize = \"640x360\"\nbitrate = \"2M\"\n\
                    warmup = \"0s\"\nduration = \"1s\"\nocr.max_frames = 0\n";
    std::fs::write(&file, scenario).expect("written");
    let out = sandbox.path("out");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    fill(&writer);
    let mut xrbench = tokio::process::Command::new(binary("xrbench"))
        .args(["run", &text(&file), "--out", &text(&out)])
        .stdout(std::process::Stdio::null())
        .stderr(writer)
        .kill_on_drop(true)
        .spawn()
        .expect("started");
    let ended = tokio::time::timeout(RUN_PATIENCE, xrbench.wait()).await;
    let status = ended.expect("it ends").expect("awaited");
    assert!(status.success(), "{status}");
    assert!(out.join("summary.json").is_file());
    drop(reader);
}

/// Fills a pipe, so that the next byte would wait for its reader.
fn fill(pipe: &std::io::PipeWriter) {
    let flags = |flags| fcntl(pipe, FcntlArg::F_SETFL(flags)).expect("set");
    flags(OFlag::O_NONBLOCK);
    while nix::unistd::write(pipe, &[b'\n'; 4096]).is_ok() {}
    while nix::unistd::write(pipe, b"\n").is_ok() {}
    flags(OFlag::empty());
}
