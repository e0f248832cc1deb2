//! Values that cannot be, ports that are taken, collectors that are not there.

use std::net::TcpListener;

use e2e::{Sandbox, binary, rows, run, until};

use crate::tools::{PATIENCE, Trio, text};

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_named_with_its_flag() {
    let sandbox = Sandbox::shared();
    let out = text(&sandbox.path("collected"));
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let free = "127.0.0.1:0";
    let feed = [
        "--source",
        "test",
        "--feed",
        "http://127.0.0.1:1/feeds/f",
        "--size",
        "640x360",
        "--fps",
        "30",
        "--bitrate",
        "2M",
    ];
    let cases: [(&str, Vec<&str>, &str); 6] = [
        (
            "xr-streamer",
            vec!["--http", &address, "--rtsp", free, "--ops", free],
            "--http",
        ),
        (
            "xr-streamer",
            vec!["--http", free, "--rtsp", &address, "--ops", free],
            "--rtsp",
        ),
        (
            "xr-streamer",
            vec!["--http", free, "--rtsp", free, "--ops", &address],
            "--ops",
        ),
        (
            "xr-renderer",
            [&feed[..], &["--ops", &address]].concat(),
            "--ops",
        ),
        (
            "xr-client",
            vec!["--url", "rtsp://127.0.0.1:1/f", "--ops", &address],
            "--ops",
        ),
        (
            "xr-collector",
            vec!["--ops", free, "--out", &out, "--listen", &address],
            "--listen",
        ),
    ];
    for (program, args, flag) in cases {
        run(binary(program), &args, PATIENCE)
            .await
            .refused(1, &[&address, flag, "another process"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_keys_and_values_of_a_scenario_name_the_nearest() {
    let sandbox = Sandbox::shared();
    let file = sandbox.path("wrong.toml");
    let cases = [
        (
            "schema = 1\nname = \"x\"\n[[scenario]]\nname = \"a\"\npipelin = \"ours\"\n",
            vec!["pipelin", "pipeline"],
        ),
        (
            "schema = 1\nname = \"x\"\n[[scenario]]\nname = \"a\"\npipeline = \"hours\"\n",
            vec!["hours", "ours"],
        ),
        (
            "schema = 1\nname = \"x\"\n[[scenario]]\nname = \"a\"\npipeline = \"ours\"\nsize = \"320x180\"\n",
            vec!["320x180", "640x360"],
        ),
        (
            "schema = 1\nname = \"x\"\nthis is no toml",
            vec!["wrong.toml", "line"],
        ),
        ("schema = 99\nname = \"x\"\n", vec!["schema", "99"]),
    ];
    for (content, words) in cases {
        std::fs::write(&file, content).expect("a file");
        let finished = run(
            binary("xrbench"),
            &["run", &text(&file), "--out", &text(&sandbox.path("out"))],
            PATIENCE,
        )
        .await;
        finished.refused(64, &words);
    }
    assert!(
        !sandbox.path("out").exists(),
        "nothing is made of a wrong scenario"
    );
    run(binary("xrbench"), &["run", "/nowhere.toml"], PATIENCE)
        .await
        .refused(64, &["/nowhere.toml"]);
    let smoke = text(&crate::run::root().join("scenarios/smoke.toml"));
    run(
        binary("xrbench"),
        &["run", &smoke, "--only", "nosuchscenario"],
        PATIENCE,
    )
    .await
    .refused(64, &["nosuchscenario"]);
    run(
        binary("xrbench"),
        &["run", &smoke, "--set", "defaults.warmpu=1s"],
        PATIENCE,
    )
    .await
    .refused(64, &["warmpu", "warmup"]);
    run(
        binary("xrbench"),
        &["report", &text(&sandbox.path("nothing"))],
        PATIENCE,
    )
    .await
    .refused(1, &["nothing", "xrbench run"]);
}

/// Frames are shown and written to the file all the same; the collector gets them when it comes.
#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_not_there_costs_nothing() {
    let sandbox = Sandbox::shared();
    let file = sandbox.path("frames.csv");
    let address = e2e::free_address().to_string();
    let to = format!("http://{address}");
    let trio = Trio::playing(
        &sandbox,
        &[],
        &["--json", "--frames", &text(&file), "--collector", &to],
    )
    .await;
    trio.client.shows(30, PATIENCE).await;
    let log = std::fs::read_to_string(&trio.client.process().spec().log).expect("a log");
    assert!(
        log.contains(&address) && log.contains("collector"),
        "the log says nothing of it:\n{log}"
    );

    let out = text(&sandbox.path("collected"));
    let collector = sandbox
        .start(
            "collector",
            "xr-collector",
            &["--listen", &address, "--ops", "127.0.0.1:0", "--out", &out],
        )
        .await;
    until("the frames at the collector", PATIENCE, async || {
        let posted = trio
            .client
            .ops()
            .metric("xr_client_posts_total{fate=\"kept\"}")
            .await?;
        (posted >= 40.0).then_some(())
    })
    .await;
    trio.client.terminate().await;
    collector.terminate().await;
    let (own, theirs) = (
        rows(&file),
        rows(&sandbox.path("collected/collected/run-1/frames.csv")),
    );
    assert_eq!(
        own.len(),
        theirs.len(),
        "the collector got what was shown before it came, too"
    );
}
