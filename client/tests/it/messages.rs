//! What is wrong is said, with its cause and its remedy.

use crate::client::{Client, await_rows, hold_port, refuse};
use crate::server::{Options, Server};

#[test]
fn a_wrong_command_line_exits_64() {
    for (args, says) in [
        (&["--url", "not a url"][..], "--url (XR_URL)"),
        (
            &["--url", "http://127.0.0.1:8554/demo"],
            "speaks rtsp, rtsps and roq, not http",
        ),
        (
            &["--url", "rtsp://127.0.0.1:8554"],
            "the name of the stream is missing",
        ),
        (
            &["--url", "rtsp://127.0.0.1/x", "--collector", "9094"],
            "--collector (XR_COLLECTOR)",
        ),
        (
            &["--url", "rtsp://127.0.0.1/x", "--sink", "window"],
            "neither DISPLAY nor WAYLAND_DISPLAY",
        ),
        (
            &[
                "--url",
                "rtsp://127.0.0.1/x",
                "--transport",
                "carrier-pigeon",
            ],
            "[possible values: auto, udp, tcp, quic-datagram, quic-stream]",
        ),
        (&[], "--url <URL>"),
    ] {
        let ended = refuse(args);
        assert_eq!(ended.status.code(), Some(64), "{args:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(says), "{args:?}: {}", ended.stderr);
    }
}

#[test]
fn what_cannot_be_written_exits_1() {
    for (args, says) in [
        (
            ["--frames", "/nonexistent/frames.csv"],
            "/nonexistent/frames.csv of --frames",
        ),
        (["--frames", "/dev/full"], "/dev/full of --frames"),
        (
            ["--strips", "/dev/null/strips"],
            "/dev/null/strips of --strips",
        ),
        (
            ["--sink", "record:/nonexistent/shown.mkv"],
            "/nonexistent/shown.mkv",
        ),
    ] {
        let ended = refuse(
            &[
                &["--url", "rtsp://127.0.0.1:1/x", "--ops", "127.0.0.1:0"],
                &args[..],
            ]
            .concat(),
        );
        assert_eq!(ended.status.code(), Some(1), "{args:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(says), "{args:?}: {}", ended.stderr);
    }
}

#[test]
fn a_refused_port_is_waited_for_and_named() {
    let (_held, closed) = hold_port();
    let client = Client::start(&format!("rtsp://{closed}/demo"), &[]);
    client.await_reason("Connection refused");
    let ended = client.terminate();
    assert!(
        ended
            .stderr
            .contains(&format!("cannot connect to {closed}")),
        "{}",
        ended.stderr
    );
    assert!(
        ended.status.success(),
        "a service that is stopped did nothing wrong"
    );
    assert!(
        ended.stderr.contains("trying again until it comes"),
        "{}",
        ended.stderr
    );
}

#[test]
fn nothing_shown_is_a_failure_of_a_measurement() {
    let server = Server::start(Options::default());
    let client = Client::start(
        &server.url().replace("/test", "/nobody"),
        &["--duration", "1s"],
    );
    client.await_reason("ot found");
    let ended = client.terminate();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("nothing was shown"),
        "{}",
        ended.stderr
    );
}

/// Which of the two is played would be chance.
#[test]
fn a_stream_of_two_videos_is_refused_with_its_reason() {
    let server = Server::start_with(Options::default(), &["--twice"]);
    for transport in ["udp", "tcp"] {
        let flags = ["--transport", transport, "--duration", "1s"];
        let client = Client::start(&server.url(), &flags);
        client.await_reason("track 1 (H264, stream=0); track 2 (H264, stream=1)");
        // Another try changes nothing of it.
        for _ in 0..50 {
            let ready = client.ask("/ready");
            assert!(ready.contains("several H.264 videos"), "{ready}");
            std::thread::park_timeout(std::time::Duration::from_millis(50));
        }
        let ended = client.terminate();
        let tries = ended.stderr.matches("trying again until it comes").count();
        assert_eq!(tries, 1, "{}", ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
        for part in [
            "several H.264 videos, and which of the 2 is meant",
            "nothing was shown",
        ] {
            assert!(ended.stderr.contains(part), "{}", ended.stderr);
        }
    }
}

/// Who wants one document, and says where the ops port is, gets nothing else on stdout.
#[test]
fn the_summary_is_the_one_document_on_stdout() {
    let server = Server::start(Options::default());
    let (_held, ops) = hold_port();
    let ops = ops.to_string();
    let url = server.url();
    let flags = ["--url", &url, "--ops", &ops, "--json", "--duration", "1s"];
    let ended = refuse(&flags);
    assert!(ended.status.success(), "{}", ended.stderr);
    assert!(
        ended.summary()["frames"]["shown"].as_u64() > Some(0),
        "{}",
        ended.stdout
    );
}

#[test]
fn an_unreachable_collector_is_said_at_start_and_frames_go_on() {
    let (_held, closed) = hold_port();
    let server = Server::start(Options::default());
    let directory = tempfile::tempdir().unwrap();
    let frames = directory.path().join("frames.csv");
    let collector = format!("http://{closed}");
    let client = Client::start(
        &server.url(),
        &[
            "--collector",
            &collector,
            "--frames",
            frames.to_str().unwrap(),
        ],
    );
    await_rows(&frames, "frames are shown", |rows| rows.len() > 10);
    let ended = client.terminate();
    assert!(
        ended.stderr.contains("does not take frames") && ended.stderr.contains("xr-collector"),
        "{}",
        ended.stderr
    );
    let summary = ended.summary();
    assert_eq!(summary["records"]["posted"], 0);
    assert_eq!(
        summary["records"]["post_dropped"], summary["frames"]["shown"],
        "what was lost is counted: {summary}"
    );
}

/// Right after a crash, and a trap by hand: frame numbers begin anew.
#[test]
fn rows_that_follow_those_of_an_earlier_run_are_said() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("frames.csv");
    let header = timeline::frames_csv::COLUMNS.join(",") + "\n";
    let of = |content: &str| {
        std::fs::write(&file, content).unwrap();
        let flags = ["--frames", file.to_str().unwrap()];
        let ended = Client::start("rtsp://127.0.0.1:9/demo", &flags).terminate();
        ended.stderr.contains("of an earlier run")
    };
    assert!(of(&header));
    assert!(!of(""));
}
