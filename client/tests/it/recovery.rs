//! Frames go on after the server was killed, frozen, or merely silent.

use std::path::{Path, PathBuf};

use service::clock;
use timeline::frames_csv::FrameRow;
use timeline::{FrameNumber, Point};

use crate::client::{Client, PATIENCE, await_rows};
use crate::server::{Options, Server};

/// Design goal: two seconds from the start of the new process to its first frame. Many times that is allowed here, because the machine
/// that runs tests also builds; a session that nobody gave up would be kept for half a minute.
const BACK_WITHIN_US: i64 = 15_000_000;

fn frames_in(directory: &Path) -> (PathBuf, Vec<String>) {
    let path = directory.join("frames.csv");
    let args = vec!["--frames".to_owned(), path.display().to_string()];
    (path, args)
}

fn client(server: &Server, transport: &str, frames: &[String]) -> Client {
    let mut args = vec!["--transport", transport];
    args.extend(frames.iter().map(String::as_str));
    Client::start(&server.url(), &args)
}

/// When the first frame was decoded that was made after `at`: what waited in a socket or a queue is not of then.
fn made_after(rows: &[FrameRow], at: timeline::UnixMicros) -> Option<i64> {
    let made = |row: &&FrameRow| row.at(Point::Generated).is_some_and(|made| made > at);
    let first = rows.iter().find(made)?;
    Some(first.at(Point::Decoded)?.micros_since(at))
}

fn survives_kills(transport: &str) {
    let directory = tempfile::tempdir().unwrap();
    let (path, args) = frames_in(directory.path());
    let mut server = Server::start(Options::default());
    let client = client(&server, transport, &args);
    await_rows(&path, "the first frames", |rows| rows.len() > 90);
    for round in 1..=3 {
        server.kill();
        let restarted = clock::now();
        server.kill_and_restart();
        // So many that the next server's first numbers are lower, however late its viewer comes.
        let rows = await_rows(&path, "frames of the new server", |rows| {
            made_after(rows, restarted).is_some()
                && rows.last().and_then(|row| row.frame) > Some(FrameNumber(90))
        });
        let back = made_after(&rows, restarted).unwrap();
        println!(
            "{transport}, kill {round}: a frame {} ms after the new server's start",
            back / 1_000
        );
        assert!(back < BACK_WITHIN_US, "{back} us");
    }
    let ended = client.terminate();
    assert!(ended.status.success(), "{}", ended.stderr);
    let summary = ended.summary();
    assert_eq!(summary["reconnects"], 3, "{summary}\n{}", ended.stderr);
    assert_eq!(summary["frames"]["renderer_restarts"], 3, "{summary}");
}

#[test]
fn a_killed_server_over_udp() {
    survives_kills("udp");
}

#[test]
fn a_killed_server_over_tcp() {
    survives_kills("tcp");
}

#[test]
fn a_server_that_comes_late() {
    let directory = tempfile::tempdir().unwrap();
    let (path, args) = frames_in(directory.path());
    let mut server = Server::start(Options::default());
    server.kill();
    let client = client(&server, "auto", &args);
    assert!(client.ask("/ready").starts_with("HTTP/1.1 503"));
    // It has tried, and not merely been started.
    client.await_reason("Connection refused");
    let started = clock::now();
    server.kill_and_restart();
    let rows = await_rows(&path, "the first frames", |rows| {
        made_after(rows, started).is_some()
    });
    let back = made_after(&rows, started).unwrap();
    assert!(back < BACK_WITHIN_US, "{back} us");
    let ended = client.terminate();
    assert!(
        ended.stderr.contains("trying again until it comes"),
        "{}",
        ended.stderr
    );
}

fn survives_a_frozen_server(transport: &str) {
    let directory = tempfile::tempdir().unwrap();
    let (path, args) = frames_in(directory.path());
    let server = Server::start(Options::default());
    let client = client(&server, transport, &args);
    await_rows(&path, "the first frames", |rows| rows.len() > 20);
    server.freeze();
    // The client must notice by itself that nobody answers: its readiness says so.
    let begun = std::time::Instant::now();
    while client.ask("/ready").starts_with("HTTP/1.1 200") {
        assert!(begun.elapsed() < PATIENCE, "the silence goes unnoticed");
        std::thread::park_timeout(std::time::Duration::from_millis(50));
    }
    println!(
        "{transport}: a frozen server is noticed after {:?}",
        begun.elapsed()
    );
    let thawed = clock::now();
    server.thaw();
    let rows = await_rows(&path, "frames after the thaw", |rows| {
        made_after(rows, thawed).is_some()
    });
    println!(
        "{transport}: a frame {} ms after the thaw",
        made_after(&rows, thawed).unwrap() / 1_000
    );
    let ended = client.terminate();
    assert!(ended.status.success(), "{}", ended.stderr);
}

#[test]
fn a_server_that_falls_silent_over_udp() {
    survives_a_frozen_server("udp");
}

#[test]
fn a_server_that_falls_silent_over_tcp() {
    survives_a_frozen_server("tcp");
}

#[test]
fn a_feed_that_is_gone_for_a_while_keeps_the_session() {
    let directory = tempfile::tempdir().unwrap();
    let (path, args) = frames_in(directory.path());
    let server = Server::start(Options {
        silent: Some((60, 140)),
        ..Options::default()
    });
    let client = client(&server, "udp", &args);
    let rows = await_rows(&path, "frames after the gap", |rows| {
        rows.iter()
            .any(|row| row.frame.is_some_and(|frame| frame.0 > 145))
    });
    assert!(
        rows.iter()
            .any(|row| row.frame.is_some_and(|frame| frame.0 < 60))
    );
    let summary = client.terminate().summary();
    assert_eq!(summary["reconnects"], 0, "{summary}");
    // On a busy machine the client lets go what comes too late to be decoded, and says so.
    let behind = summary["frames"]["behind"].as_u64().unwrap();
    assert_eq!(
        summary["frames"]["missing_numbers"],
        80 + behind,
        "{summary}"
    );
}
