//! A session is of the connection that began it, whoever else knows its id.

use std::io::Write as _;
use std::time::Duration;

use crate::feeding::Feed;
use crate::server::Streamer;
use crate::speaking::Rtsp;
use crate::surviving::{TCP, UDP, wait_viewable};

/// Whoever hears of a session's id can neither use nor end it, nor does it end with that other connection.
#[test]
fn a_session_is_of_its_own_connection() {
    let mut streamer = Streamer::start(&[]);
    let _feed = Feed::start(streamer.http, "room", (640, 360), 300, 1000);
    wait_viewable(&streamer);
    let mut viewer = Rtsp::connect(streamer.rtsp);
    let session = viewer.play("room", TCP);
    for method in [
        "OPTIONS",
        "DESCRIBE",
        "PLAY",
        "PAUSE",
        "GET_PARAMETER",
        "SET_PARAMETER",
        "TEARDOWN",
    ] {
        let mut other = Rtsp::connect(streamer.rtsp);
        let answer = other.ask(method, "room", &[&session]);
        assert!(answer.starts_with("RTSP/1.0 454"), "{method}: {answer}");
    }
    for transport in [TCP, UDP] {
        let mut other = Rtsp::connect(streamer.rtsp);
        let answer = other.setup("room", transport, &[&session]);
        assert!(answer.starts_with("RTSP/1.0 454"), "{answer}");
    }
    let mut other = Rtsp::connect(streamer.rtsp);
    let response = format!("RTSP/1.0 200 OK\r\nCSeq: 1\r\n{session}\r\n\r\n");
    other.stream.write_all(response.as_bytes()).unwrap();
    let answer = other.ask("OPTIONS", "room", &[]);
    assert!(answer.starts_with("RTSP/1.0 200"), "{answer}");
    drop(other);
    streamer.wait("the others are gone", |streamer| {
        streamer.metric("xr_streamer_rtsp_connections") == 1
    });
    for _ in 0..30 {
        viewer.next_ssrc();
    }
    let answer = viewer.ask("TEARDOWN", "room", &[&session]);
    assert!(answer.starts_with("RTSP/1.0 200"), "{answer}");
    assert!(streamer.is_running());
}

/// A connection that ends while another one names its session.
#[test]
fn a_connection_ends_well_while_another_names_its_session() {
    let mut streamer = Streamer::start(&[]);
    let _feed = Feed::start(streamer.http, "room", (320, 180), 30, 500);
    wait_viewable(&streamer);
    for step in 0..300 {
        let mut other = Rtsp::connect(streamer.rtsp);
        let mut viewer = Rtsp::connect(streamer.rtsp);
        let session = viewer.play("room", if step % 4 < 2 { UDP } else { TCP });
        // The one is to fall anywhere within the other's work, which takes some milliseconds.
        let apart = Duration::from_micros(50 * (step % 100));
        let method = if step % 3 == 0 { "PLAY" } else { "TEARDOWN" };
        if step % 2 == 0 {
            other.tell(method, "room", &[&session]);
            std::thread::sleep(apart);
            drop(viewer);
        } else {
            drop(viewer);
            std::thread::sleep(apart);
            other.tell(method, "room", &[&session]);
        }
        let answer = other.head();
        assert!(answer.starts_with("RTSP/1.0 454"), "{answer}");
        assert!(streamer.is_running(), "at step {step}");
    }
}
