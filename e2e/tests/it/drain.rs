//! SIGTERM: each program ends within its promise, with exit 0, and what it had recorded is where it belongs.

use e2e::{Ended, Sandbox, Transport, Viewer, binary, rows, until};
use testbed::Exit;

use crate::tools::{Foreign, PATIENCE, Trio, text};

/// By its own clock each program judges whether it kept to the three seconds that are promised, and ends with 1 where it did not. What a
/// busy machine adds to the end of a process is no part of that; a program that does not end at all is killed, which is no code.
fn assert_drained(ended: &Ended) {
    assert_eq!(ended.exit, Exit::Code(0), "{ended:?}");
}

fn summary(ended: &Ended) -> serde_json::Value {
    let line = ended.said.last().expect("a summary after the ready line");
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_hands_over_every_frame() {
    let sandbox = Sandbox::new();
    let (file, strips) = (sandbox.path("frames.csv"), sandbox.path("strips"));
    let collector = sandbox
        .start(
            "collector",
            "xr-collector",
            &[
                "--listen",
                "127.0.0.1:0",
                "--ops",
                "127.0.0.1:0",
                "--out",
                &text(&sandbox.path("collected")),
            ],
        )
        .await;
    let to = format!("http://{}", collector.addr("listen"));
    let play = [
        "--json",
        "--frames",
        &text(&file),
        "--strips",
        &text(&strips),
        "--collector",
        &to,
        "--client-id",
        "drained",
    ];
    let trio = Trio::playing(&sandbox, &[], &play).await;
    trio.client.shows(60, PATIENCE).await;
    let ended = trio.client.terminate().await;
    assert_drained(&ended);

    let said = summary(&ended);
    let shown = said["frames"]["shown"].as_u64().expect("a count");
    let records = &said["records"];
    for none in ["rows_dropped", "post_dropped", "strips_dropped"] {
        assert_eq!(records[none], 0, "{said}");
    }
    for all in ["rows_written", "posted", "strips_kept"] {
        assert_eq!(records[all], shown, "{said}");
    }
    assert_eq!(
        rows(&file).len() as u64,
        shown,
        "every frame shown is in the file"
    );
    let index = std::fs::read_to_string(strips.join("index.csv")).expect("an index");
    assert_eq!(
        index.lines().count() as u64,
        shown + 1,
        "every strip is in the index"
    );

    assert_drained(&collector.terminate().await);
    let collected = rows(&sandbox.path("collected/collected/run-1/frames.csv"));
    assert_eq!(
        collected.len() as u64,
        shown,
        "the collector wrote every frame"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_waits_for_a_stream_ends_well() {
    let sandbox = Sandbox::shared();
    let streamer = sandbox.streamer(&[]).await;
    let waiting = sandbox.client(&streamer.rtsp_url("nobody"), &[]).await;
    let nowhere = sandbox.client("rtsp://127.0.0.1:1/nowhere", &[]).await;
    for client in [waiting, nowhere] {
        assert_drained(&client.terminate().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_streamer_ends_although_it_is_fed_and_watched() {
    let sandbox = Sandbox::shared();
    let trio = Trio::playing(&sandbox, &[], &[]).await;
    let url = trio.streamer.rtsp_url("feed");
    let foreign = Foreign::ffmpeg(&sandbox, &url, "tcp");
    foreign.plays(10).await;
    let _silent = Viewer::play(&url, Transport::Tcp).await.expect("a session");
    assert_drained(&trio.streamer.terminate().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_renderer_ends_its_feed_cleanly() {
    let sandbox = Sandbox::shared();
    let trio = Trio::playing(&sandbox, &[], &[]).await;
    assert_drained(&trio.renderer.terminate().await);
    until("the name without a feed", PATIENCE, async || {
        let url = format!("http://{}/feeds", trio.streamer.addr("http"));
        let feeds: serde_json::Value = reqwest::get(url).await.ok()?.json().await.ok()?;
        (feeds[0]["state"] == "gone").then_some(())
    })
    .await;
    let refused = trio
        .streamer
        .ops()
        .metric("xr_streamer_refused_feeds_total")
        .await
        .unwrap_or(0.0);
    assert!(
        refused < 1.0,
        "a feed that its renderer ends is not cut off: {refused} were"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renderer_without_a_streamer_ends_well() {
    let sandbox = Sandbox::shared();
    let renderer = sandbox.renderer("http://127.0.0.1:1/feeds/feed", &[]).await;
    assert_drained(&renderer.terminate().await);
}

/// Nothing is left running when the one who started it is killed.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_runner_leaves_no_process() {
    let sandbox = Sandbox::shared();
    let root = crate::run::root();
    let (scenario, out) = (
        text(&root.join("scenarios/smoke.toml")),
        text(&sandbox.path("out")),
    );
    let runner = sandbox.spawn(
        "xrbench",
        binary("xrbench"),
        &["run", &scenario, "--out", &out],
    );
    let pid = runner.pid().expect("it runs");
    let children = until("processes of the runner", PATIENCE, async || {
        assert!(runner.exit().is_none(), "{}", runner.log_tail());
        let children = children(pid);
        (children.len() >= 2).then_some(children)
    })
    .await;
    runner.kill().await;
    until("the end of the runner's processes", PATIENCE, async || {
        children.iter().all(|pid| !runs(*pid)).then_some(())
    })
    .await;
}

/// The processes whose parent is `pid`.
fn children(pid: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let lists = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| {
            list.split_whitespace()
                .filter_map(|pid| pid.parse().ok())
                .collect::<Vec<_>>()
        })
        .collect()
}

/// Whether a process is there and has not ended.
fn runs(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        stat.rsplit_once(')')
            .is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
    })
}
