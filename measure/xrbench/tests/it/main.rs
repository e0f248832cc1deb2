//! xrbench as its users start it: exit codes, errors, and what it prints. Whole runs are in `e2e`.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const SCENARIO: &str = r#"
schema = 1
name = "test"
[[scenario]]
name = "ours"
fps = 30
duration = "2s"
floor = { runs = 2, duration = "1s" }
"#;

fn xrbench(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xrbench"))
        .args(args)
        .current_dir(dir)
        .env_remove("XR_OUT")
        .stdin(Stdio::null())
        .output()
        .expect("xrbench runs")
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn scenario(text: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(dir.path().join("test.toml"), text).expect("written");
    dir
}

/// What the command line or a scenario file has wrong is exit code 64, with the value, where it came from and the remedy.
#[test]
fn bad_configuration_is_64_and_says_what_would_be_right() {
    let missing = SCENARIO.replace("fps = 30", "source = \"file:none.mp4\"");
    let typo = SCENARIO.replace("duration = \"2s\"", "duratoin = \"2s\"");
    for (text, args, parts) in [
        (
            typo.as_str(),
            &["run", "test.toml"][..],
            [
                "scenario ours.duratoin in test.toml",
                "`duration`",
                "docs/scenarios.md",
            ],
        ),
        (
            SCENARIO,
            &["run", "none.toml"],
            ["none.toml", "cannot be read", "scenarios/one-machine.toml"],
        ),
        (
            SCENARIO,
            &["run", "test.toml", "--set", "transport=upd"],
            ["transport in test.toml (changed by --set)", "`udp`", "tcp"],
        ),
        (
            SCENARIO,
            &["run", "test.toml", "--only", "our"],
            ["--only", "`ours`", "our"],
        ),
        (
            SCENARIO,
            &["run", "test.toml", "--bin-dir", "."],
            ["--bin-dir", "xr-renderer", "make build"],
        ),
        (
            SCENARIO,
            &["run", "test.toml", "--nonsense"],
            ["--nonsense", "Usage", "--help"],
        ),
    ] {
        let dir = scenario(text);
        let output = xrbench(dir.path(), args);
        let said = err(&output);
        assert_eq!(output.status.code(), Some(64), "{args:?}: {said}");
        assert!(
            parts.iter().all(|part| said.contains(part)),
            "{args:?}: {said}"
        );
        assert!(!dir.path().join("results").exists(), "nothing is begun");
    }
    let dir = scenario(&missing);
    // A plan is refused as the run would be, and before anybody looks for programs.
    let output = xrbench(dir.path(), &["run", "test.toml", "--dry-run"]);
    assert_eq!(output.status.code(), Some(64), "{}", err(&output));
    assert!(
        err(&output).contains(".source") && err(&output).contains("file:none.mp4"),
        "{}",
        err(&output)
    );
    for name in ["xr-renderer", "xr-streamer", "xr-client"] {
        std::fs::write(dir.path().join(name), "").expect("written");
    }
    let output = xrbench(dir.path(), &["run", "test.toml", "--bin-dir", "."]);
    assert_eq!(output.status.code(), Some(64));
    assert!(
        err(&output).contains("file:none.mp4") && err(&output).contains("make media"),
        "{}",
        err(&output)
    );
}

/// Neither the parser of the command line nor that of a scenario repeats a password.
#[test]
fn no_refusal_repeats_a_password() {
    let source = "gst:rtspsrc location=rtsp://cam user-pw=secret";
    let with_source = SCENARIO.replace("fps = 30", &format!("source = \"{source}\""));
    for (text, args) in [
        (SCENARIO, &["rtsp://me:secret@cam"][..]),
        (SCENARIO, &["run", "test.toml", "rtsp://me:secret@cam"]),
        (SCENARIO, &["run", "test.toml", "--open", "me:secret@h:1"]),
        (
            SCENARIO,
            &[
                "run",
                "test.toml",
                "--dry-run",
                "--set",
                &format!("source={source}"),
            ],
        ),
        (with_source.as_str(), &["run", "test.toml", "--dry-run"]),
    ] {
        let dir = scenario(text);
        let output = xrbench(dir.path(), args);
        let said = err(&output);
        assert_eq!(output.status.code(), Some(64), "{args:?}: {said}");
        assert!(!said.contains("secret"), "{args:?}: {said}");
        assert!(said.contains("***"), "{args:?}: {said}");
    }
}

#[test]
fn an_earlier_result_is_never_overwritten() {
    let dir = scenario(SCENARIO);
    for name in ["xr-renderer", "xr-streamer", "xr-client"] {
        std::fs::write(dir.path().join(name), "").expect("written");
    }
    std::fs::create_dir(dir.path().join("old")).expect("made");
    std::fs::write(dir.path().join("old/run.json"), "{}").expect("written");
    let output = xrbench(
        dir.path(),
        &["run", "test.toml", "--bin-dir", ".", "--out", "old"],
    );
    assert_eq!(output.status.code(), Some(64), "{}", err(&output));
    assert!(
        err(&output).contains("--out") && err(&output).contains("overwritten"),
        "{}",
        err(&output)
    );
    assert_eq!(
        std::fs::read_to_string(dir.path().join("old/run.json")).expect("there"),
        "{}"
    );
    // Nor is a folder of other things taken for one, whatever they are called.
    std::fs::create_dir_all(dir.path().join("other/test/run-1")).expect("made");
    let precious = dir.path().join("other/summary.json");
    std::fs::write(&precious, "precious").expect("written");
    let output = xrbench(
        dir.path(),
        &["run", "test.toml", "--bin-dir", ".", "--out", "other"],
    );
    assert_eq!(output.status.code(), Some(64), "{}", err(&output));
    assert!(
        err(&output).contains("--out") && err(&output).contains("empty"),
        "{}",
        err(&output)
    );
    let kept = std::fs::read_to_string(precious).expect("there");
    assert_eq!(kept, "precious");
}

#[test]
fn a_dry_run_prints_the_plan_and_starts_nothing() {
    let dir = scenario(SCENARIO);
    let output = xrbench(
        dir.path(),
        &["run", "test.toml", "--dry-run", "--json", "--set", "runs=2"],
    );
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let plan: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let order: Vec<&str> = plan["order"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|slot| slot["scenario"].as_str())
        .collect();
    let floor = "floor-1280x720-30";
    assert_eq!(order, [floor, "ours", floor, "ours"]);
    let roles: Vec<&str> = plan["scenarios"][1]["processes"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|process| process["role"].as_str())
        .collect();
    assert_eq!(roles, ["streamer", "renderer", "client"]);
    assert!(
        plan["expected_seconds"]
            .as_f64()
            .is_some_and(|seconds| seconds > 6.0)
    );
    let text = xrbench(dir.path(), &["run", "test.toml", "--dry-run"]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(
        text.contains("--fps=30") && text.contains("rtsp://127.0.0.1:<rtsp port>/xr"),
        "{text}"
    );
    assert!(!dir.path().join("results").exists(), "nothing is written");
}

/// A process that fails is named with the end of its log; the folder stays readable, and the exit code is 1.
#[test]
fn a_process_that_fails_is_named_with_its_log() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = scenario(&SCENARIO.replace("floor = { runs = 2, duration = \"1s\" }", ""));
    for name in ["xr-renderer", "xr-streamer", "xr-client"] {
        let path = dir.path().join(name);
        std::fs::write(&path, "#!/bin/sh\necho 'port 8554 is taken' >&2\nexit 1\n")
            .expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("allowed");
    }
    let output = xrbench(
        dir.path(),
        &[
            "run",
            "test.toml",
            "--bin-dir",
            ".",
            "--out",
            "out",
            "--no-ocr",
        ],
    );
    assert_eq!(output.status.code(), Some(1), "{}", err(&output));
    let said = err(&output);
    assert!(
        said.contains("streamer ended (exit 1)") && said.contains("port 8554 is taken"),
        "{said}"
    );
    let read = |path: &str| -> Value {
        serde_json::from_slice(&std::fs::read(dir.path().join(path)).expect(path)).expect("JSON")
    };
    assert_eq!(read("out/run.json")["state"], "failed");
    let meta = read("out/ours/run-1/meta.json");
    assert_eq!(
        (&meta["complete"], &meta["processes"][0]["role"]),
        (&Value::Bool(false), &Value::from("streamer"))
    );
    assert!(
        meta["error"]
            .as_str()
            .is_some_and(|error| error.contains("port 8554 is taken"))
    );
    let log = std::fs::read_to_string(dir.path().join("out/ours/run-1/logs/streamer.log"))
        .expect("a log");
    assert_eq!(log, "port 8554 is taken\n");
}

/// Exit code 3 is for what cannot be compared, 64 for how it was asked.
#[test]
fn compare_tells_bad_input_from_bad_usage() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let missing = xrbench(dir.path(), &["compare", "before", "after"]);
    assert_eq!(missing.status.code(), Some(3), "{}", err(&missing));
    assert!(
        err(&missing).contains("there is no folder before"),
        "{}",
        err(&missing)
    );
    std::fs::create_dir(dir.path().join("before")).expect("made");
    std::fs::write(
        dir.path().join("before/run.json"),
        r#"{"schema_version":9}"#,
    )
    .expect("written");
    let other = xrbench(dir.path(), &["compare", "before", "before"]);
    assert_eq!(other.status.code(), Some(3), "{}", err(&other));
    assert!(err(&other).contains("schema_version 9"), "{}", err(&other));
    let usage = xrbench(
        dir.path(),
        &["compare", "before", "after", "--tolerance", "5"],
    );
    assert_eq!(usage.status.code(), Some(64), "{}", err(&usage));
    assert!(err(&usage).contains("0.5ms"), "{}", err(&usage));
}

/// A table of frames is of results, and of whole ones.
#[test]
fn frames_tells_bad_input_from_bad_usage() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let missing = xrbench(dir.path(), &["frames", "mine"]);
    assert_eq!(missing.status.code(), Some(3), "{}", err(&missing));
    assert!(missing.stdout.is_empty());
    std::fs::create_dir(dir.path().join("mine")).expect("made");
    let info = result::RunInfo {
        schema_version: result::RUN_VERSION,
        state: result::RunState::Finished,
        ..result::RunInfo::default()
    };
    let run_json = dir.path().join("mine/run.json");
    result::write_json(&run_json, &info).expect("written");
    let header = xrbench(dir.path(), &["frames", "mine"]);
    assert_eq!(header.status.code(), Some(0), "{}", err(&header));
    let header = String::from_utf8_lossy(&header.stdout).into_owned();
    assert!(header.starts_with("result,scenario,kind,"), "{header}");
    let usage = xrbench(dir.path(), &["frames", "mine", "--kind", "theirs"]);
    assert_eq!(usage.status.code(), Some(64), "{}", err(&usage));
    assert!(err(&usage).contains("reference-tuned"), "{}", err(&usage));
}

#[test]
fn completions_are_printed_for_each_shell() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for shell in ["bash", "zsh", "fish"] {
        let output = xrbench(dir.path(), &["completions", shell]);
        assert_eq!(output.status.code(), Some(0));
        assert!(
            String::from_utf8_lossy(&output.stdout).contains("dry-run"),
            "{shell}"
        );
    }
}
