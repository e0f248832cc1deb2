//! A client that had no processor time: what it missed is not shown late, one frame after the other, but dropped up to a key frame that
//! it asks for, counted and said.

use std::time::Duration;

use service::clock;
use timeline::Point;
use timeline::frames_csv::FrameRow;

use crate::client::{Client, await_rows, rows};
use crate::server::{Options, Server};

/// How long the client is stopped: much less than the silence after which it opens another session, which is four seconds.
const STOPPED: Duration = Duration::from_secs(2);

/// The latency of a frame that is not of the time before.
const LIVE_US: i64 = 500_000;

fn comes_back_to_the_stream(transport: &str) {
    let server = Server::start(Options {
        heavy: true,
        ..Options::default()
    });
    let directory = tempfile::tempdir().unwrap();
    let frames = directory.path().join("frames.csv");
    let client = Client::start(
        &server.url(),
        &[
            "--transport",
            transport,
            "--frames",
            frames.to_str().unwrap(),
        ],
    );
    await_rows(&frames, "frames are shown", |rows| rows.len() > 60);
    let before = rows(&frames).len();
    client.freeze();
    // The stream goes on meanwhile, and waits in the socket.
    std::thread::park_timeout(STOPPED);
    let thawed = clock::now();
    client.thaw();
    let live = |row: &FrameRow| {
        let generated = row.at(Point::Generated);
        generated.is_some_and(|generated| generated > thawed)
            && row.latency_us().is_some_and(|latency| latency < LIVE_US)
    };
    let rows = await_rows(&frames, "live frames", |rows| {
        rows.iter().filter(|row| live(row)).count() > 60
    });
    let back = rows.iter().find(|row| live(row)).unwrap();
    let back = back.at(Point::Decoded).unwrap().micros_since(thawed);
    let of_the_past = |row: &&FrameRow| {
        let decoded = row.at(Point::Decoded);
        decoded.is_some_and(|decoded| decoded > thawed)
            && row.latency_us().is_some_and(|latency| latency > LIVE_US)
    };
    let late = rows.iter().filter(of_the_past).count();
    // What the server made from the last frame before the stop to the first live one, on this machine, at this hour.
    let number = |row: &FrameRow| row.frame.unwrap().0;
    let missed = number(rows.iter().find(|row| live(row)).unwrap()) - number(&rows[before - 1]);
    let metrics = client.ask("/metrics");
    let metric = |name: &str| {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|value| value.trim().parse::<u64>().ok())
            .unwrap_or_else(|| panic!("{name}: {metrics}"))
    };
    let asked = metric("xr_client_picture_loss_indications_total ");
    let behind = metric("xr_client_frames_total{outcome=\"behind\"} ");
    let ended = client.terminate();
    let summary = ended.summary();
    println!(
        "{transport}: {behind} frames were not decoded, {late} late, live again {} ms after the stop",
        back / 1_000
    );
    assert!(behind > 20, "{summary}");
    // There may be more since it was asked.
    let in_all = summary["frames"]["behind"].as_u64();
    assert!(in_all >= Some(behind), "{behind}: {summary}");
    // Those of the stop would all have come late, each of them a sample.
    assert!(
        late < missed as usize / 2,
        "{late} of {missed} frames of the past were shown: {summary}"
    );
    assert!(asked > 0, "no key frame was asked for: {summary}");
    // The next that nobody asks for is more than twenty seconds away.
    assert!(back < 15_000_000, "{back} us");
    assert_eq!(summary["reconnects"], 0, "{summary}");
    let said = ended.stderr.matches("are not decoded").count();
    assert_eq!(said, 1, "once, and not for each frame: {}", ended.stderr);
}

#[test]
fn who_was_stopped_comes_back_over_udp() {
    comes_back_to_the_stream("udp");
}

#[test]
fn who_was_stopped_comes_back_over_tcp() {
    comes_back_to_the_stream("tcp");
}
