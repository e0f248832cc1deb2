//! A disk that is full: what fits stays readable, and the rest is said.

use std::path::Path;

use e2e::{Finished, Sandbox, binary, rows, run_in};

use crate::tools::{PATIENCE, text};

/// Runs a program with a small file system of its own at `disk`, whose content is copied to `saved` at the end.
async fn on_small_disk(disk: &Path, size: &str, saved: &Path, command: &[&str]) -> Finished {
    std::fs::create_dir_all(disk).expect("a folder");
    let script = r#"mount -t tmpfs -o "size=$SIZE" tmpfs "$DISK" || exit 99
"$@"; code=$?
cp -r "$DISK" "$SAVED" && exit $code"#;
    // Root needs no user namespace, and some hosts give none to others.
    let is_root = nix::unistd::geteuid().is_root();
    let mut args = if is_root {
        vec!["--mount"]
    } else {
        vec!["--mount", "--map-root-user"]
    };
    args.extend(["sh", "-c", script, "sh"]);
    args.extend(command);
    let env = [
        ("SIZE", size),
        ("DISK", &*text(disk)),
        ("SAVED", &*text(saved)),
    ];
    run_in("unshare", &args, &env, PATIENCE * 4).await
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_do_not_fit_are_counted_and_the_others_readable() {
    let sandbox = Sandbox::shared();
    let streamer = sandbox.streamer(&[]).await;
    let _renderer = sandbox.renderer(&streamer.feed_url("feed"), &[]).await;
    let (disk, saved) = (sandbox.path("disk"), sandbox.path("saved"));
    let (client, url, file) = (
        text(&binary("xr-client")),
        streamer.rtsp_url("feed"),
        text(&disk.join("frames.csv")),
    );
    let command = [
        &*client,
        "--url",
        &url,
        "--ops",
        "127.0.0.1:0",
        "--frames",
        &file,
        "--duration",
        "8s",
        "--json",
    ];
    let finished = on_small_disk(&disk, "12k", &saved, &command).await;
    assert_ne!(finished.code, Some(99), "{finished}");
    let said = finished.stderr.to_lowercase();
    for word in ["no space left", "frames.csv"] {
        assert!(said.contains(word), "no {word:?}: {finished}");
    }
    let summary = finished.stdout.lines().last().expect("a summary");
    let summary: serde_json::Value =
        serde_json::from_str(summary).unwrap_or_else(|error| panic!("{error}: {finished}"));
    let shown = summary["frames"]["shown"].as_u64().expect("a count");
    let records = &summary["records"];
    assert!(records["rows_dropped"].as_u64() > Some(0), "{summary}");
    let kept = rows(&saved.join("frames.csv")).len() as u64;
    assert!(kept >= 40, "only {kept} rows fit");
    assert!(kept < shown, "the disk was not full: {kept} of {shown}");
    assert_eq!(
        records["rows_written"], kept,
        "what is said to be written can be read: {summary}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_says_that_the_disk_is_full_and_keeps_what_it_has() {
    let sandbox = Sandbox::shared();
    let (disk, saved) = (sandbox.path("disk"), sandbox.path("saved"));
    let smoke = text(&crate::run::root().join("scenarios/smoke.toml"));
    let (xrbench, out) = (text(&binary("xrbench")), text(&disk.join("out")));
    let finished = on_small_disk(
        &disk,
        "2m",
        &saved,
        &[&xrbench, "run", &smoke, "--out", &out],
    )
    .await;
    finished.refused(1, &["no space left"]);
    let report = run_in(
        binary("xrbench"),
        &["report", &text(&saved.join("out"))],
        &[],
        PATIENCE,
    )
    .await;
    assert!(!report.stderr.contains("panicked"), "{report}");
    assert!(saved.join("out/run.json").exists(), "{finished}");
}
