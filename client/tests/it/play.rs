//! A stream is played over each transport, and every record agrees with every other.

use std::path::Path;

use timeline::frames_csv::{FrameRow, Outcome};
use timeline::{Point, RtpTimestamp};

use crate::client::{Client, PATIENCE, await_rows, rows};
use crate::server::{Options, Server};

/// How long a new session waits for its first packet before the client tries the next transport.
const SILENCE_US: u64 = 1_000_000;

fn plays(server: &Server, transport: &str, expected: &str) {
    let directory = tempfile::tempdir().unwrap();
    let frames = directory.path().join("frames.csv");
    let strips = directory.path().join("strips");
    let client = Client::start(
        &server.url(),
        &[
            "--transport",
            transport,
            "--duration",
            "3s",
            "--frames",
            frames.to_str().unwrap(),
            "--strips",
            strips.to_str().unwrap(),
        ],
    );
    let ended = client.wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    let summary = ended.summary();
    assert_eq!(summary["size"], serde_json::json!([640, 360]));
    let count = |path: &str| {
        summary
            .pointer(path)
            .and_then(serde_json::Value::as_u64)
            .unwrap_or_else(|| panic!("{path}: {summary}"))
    };
    let first_us = count("/first_frame_us");
    assert!(first_us < u64::try_from(PATIENCE.as_micros()).unwrap());
    // A server that sends nothing over UDP for a second, because the machine stands still, is asked for TCP.
    if transport != "auto" || expected == "tcp" || first_us < SILENCE_US {
        assert_eq!(summary["transport"], expected, "{}", ended.stderr);
    }
    let shown = count("/frames/shown");
    assert_eq!(
        (count("/frames/unread"), count("/frames/duplicate")),
        (0, 0),
        "{summary}"
    );
    assert_eq!(count("/latency_us/count"), shown);
    assert!(count("/latency_us/p50") < 500_000, "{summary}");

    let rows = rows(&frames);
    assert_eq!(rows.len() as u64, shown);
    // Of what was sent meanwhile, and not of what a machine would send that is never busy.
    let sent = shown + count("/frames/missing_numbers") - count("/frames/behind");
    assert!(shown * 2 >= sent, "of {sent} frames: {summary}");
    assert_eq!(count("/records/rows_written"), shown);
    for row in &rows {
        assert_eq!(row.outcome, Outcome::Shown);
        let generated = row.at(Point::Generated).unwrap();
        assert_eq!(
            row.rtp_timestamp,
            RtpTimestamp::from_generated(generated),
            "the packets' key is the stamp's"
        );
        let (received, decoded) = (
            row.at(Point::Received).unwrap(),
            row.at(Point::Decoded).unwrap(),
        );
        assert!(
            generated <= received && received <= decoded && decoded <= row.shown.unwrap(),
            "{row:?}"
        );
    }

    check_strips(&strips, &rows);
}

fn check_strips(strips: &Path, rows: &[FrameRow]) {
    let index = std::fs::read_to_string(strips.join("index.csv")).unwrap();
    let index: Vec<Vec<&str>> = index
        .lines()
        .skip(1)
        .map(|line| line.split(',').collect())
        .collect();
    assert_eq!(index.len(), rows.len());
    let images = std::fs::read(strips.join("strips-00000.pgm")).unwrap();
    let header = format!(
        "P5\n{} {}\n255\n",
        stamp::STRIP_WIDTH,
        2 * stamp::STRIP_HEIGHT
    );
    let image_bytes = header.len() + stamp::STRIP_WIDTH * 2 * stamp::STRIP_HEIGHT;
    assert_eq!(images.len(), image_bytes * index.len());
    for (number, (row, (cells, image))) in rows
        .iter()
        .zip(index.iter().zip(images.chunks(image_bytes)))
        .enumerate()
    {
        assert!(image.starts_with(header.as_bytes()));
        // Black digits on white: neither an empty nor a full band, on either line.
        for line in image[header.len()..].chunks(stamp::STRIP_WIDTH * stamp::STRIP_HEIGHT) {
            let dark = line.iter().filter(|pixel| **pixel < 100).count();
            assert!(
                (300..line.len() / 2).contains(&dark),
                "{number}: {dark} dark pixels"
            );
        }
        let decoded = row.at(Point::Decoded).unwrap().to_string();
        let generated = row.at(Point::Generated).unwrap().to_string();
        assert_eq!(
            cells[..3],
            ["strips-00000.pgm", &number.to_string(), &number.to_string()]
        );
        assert_eq!(cells[3], row.rtp_timestamp.to_string());
        assert_eq!(
            cells[4..],
            [
                &row.frame.unwrap().to_string(),
                &generated,
                &decoded,
                "read"
            ]
        );
    }
}

#[test]
fn over_udp_and_tcp() {
    let server = Server::start(Options::default());
    plays(&server, "udp", "udp");
    plays(&server, "tcp", "tcp");
    plays(&server, "auto", "udp");
}

#[test]
fn auto_takes_tcp_from_a_server_that_refuses_udp() {
    let server = Server::start(Options {
        tcp_only: true,
        ..Options::default()
    });
    plays(&server, "auto", "tcp");
}

#[test]
fn players_settings_play_too() {
    let server = Server::start(Options::default());
    for more in [
        [
            "--latency-ms",
            "200",
            "--buffer-mode",
            "auto",
            "--sync",
            "true",
        ],
        [
            "--decoder-threads",
            "2",
            "--decoder-thread-type",
            "frame",
            "--buffer-mode",
            "slave",
        ],
    ] {
        let folder = tempfile::tempdir().unwrap();
        let frames = folder.path().join("frames.csv");
        let mut args = vec!["--frames", frames.to_str().unwrap()];
        args.extend(more);
        let client = Client::start(&server.url(), &args);
        await_rows(&frames, "frames are shown", |rows| rows.len() > 30);
        let summary = client.terminate().summary();
        let p50 = summary
            .pointer("/latency_us/p50")
            .and_then(serde_json::Value::as_u64)
            .unwrap();
        if more.contains(&"--sync") {
            assert!(
                p50 > 150_000,
                "the wait for the presentation time counts: {summary}"
            );
        }
    }
}

#[test]
fn the_ops_port_tells_of_frames() {
    let server = Server::start(Options::default());
    let directory = tempfile::tempdir().unwrap();
    let frames = directory.path().join("frames.csv");
    let strips = directory.path().join("strips");
    let paths = [&frames, &strips].map(|path| path.to_str().unwrap());
    let args = ["--frames", paths[0], "--strips", paths[1]];
    let client = Client::start(&server.url(), &args);
    await_rows(&frames, "frames are shown", |rows| rows.len() > 10);
    let index = client.ask("/strips/index.csv");
    assert!(index.starts_with("HTTP/1.1 200"), "{index}");
    assert!(index.contains("file,image,sequence"), "{index}");
    let outside = client.ask("/strips/../frames.csv");
    assert!(!outside.starts_with("HTTP/1.1 200"), "{outside}");
    assert!(
        client.ask("/ready").starts_with("HTTP/1.1 200"),
        "{}",
        client.ask("/ready")
    );
    let metrics = client.ask("/metrics");
    for family in [
        "xr_client_latency_seconds_bucket",
        "xr_client_frames_total{outcome=\"shown\"}",
        "xr_client_frames_total{outcome=\"missing\"} ",
        "xr_client_packets_total{fate=\"received\"}",
        "xr_client_reconnects_total 0",
        "xr_client_first_frame_seconds",
        "xr_client_key_mismatches_total 0",
        "xr_client_strips_total{fate=\"kept\"} ",
    ] {
        assert!(metrics.contains(family), "{family}: {metrics}");
    }
    let trace = client.ask("/trace?after=0&limit=2000");
    let page: timeline::TracePage =
        serde_json::from_str(trace.split_once("\r\n\r\n").unwrap().1).unwrap();
    let has = |point| {
        page.crossings
            .iter()
            .any(|crossing| crossing.point == point)
    };
    assert!(has(Point::Received) && has(Point::Decoded));
}
