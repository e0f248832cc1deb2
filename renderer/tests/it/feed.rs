//! Feeds that go well, and feeds that do not.

use std::time::{Duration, Instant};

use media::rtp::Packet;

use crate::process::{ENDED_WITHIN, Renderer, eventually};
use crate::server::{Server, hold_port};

/// Design goal: two seconds. Many times that is allowed here, because the machine that runs tests also builds.
const BACK_WITHIN: Duration = Duration::from_secs(12);

const TAKEN: &str = r#"{"status":409,"title":"name taken","detail":"another renderer feeds 'test'","remedy":"choose another name"}"#;

#[test]
fn a_feed_is_whole_frames_and_ends_cleanly_on_sigterm() {
    let server = Server::start();
    let renderer = Renderer::start(&["--source", "test", "--feed", &server.url()]);
    let mut feed = server.accept_feed();
    assert_eq!(feed.line, "PUT /feeds/test HTTP/1.1");
    assert_eq!(feed.header("transfer-encoding"), "chunked");
    let kind = feed.header("content-type");
    assert!(kind.starts_with("application/x-rtp-stream; media=video; clock-rate=90000; encoding-name=H264; payload=96"), "{kind}");
    let process = feed.header("xr-process");
    assert!(process.len() >= 32, "a process is told from others");

    let (first, key) = feed.frame().unwrap();
    assert!(key, "a feed begins with a key frame");
    let mut sequence = Packet::new(&first[0]).unwrap().sequence();
    let mut keys = Vec::new();
    for packet in first.iter().skip(1) {
        sequence = sequence.wrapping_add(1);
        assert_eq!(Packet::new(packet).unwrap().sequence(), sequence);
    }
    for _ in 0..120 {
        let (packets, _) = feed.frame().unwrap();
        let timestamps: Vec<_> = packets
            .iter()
            .map(|packet| Packet::new(packet).unwrap().timestamp())
            .collect();
        assert!(
            timestamps
                .iter()
                .all(|timestamp| *timestamp == timestamps[0])
        );
        keys.push(timestamps[0]);
    }
    assert!(keys.is_sorted_by(|one, other| other.ticks_since(*one) > 0));
    // Counted when it has been sent, which may be after it was received.
    eventually("all are counted", || {
        renderer.metric("xr_renderer_frames_total{outcome=\"sent\"}") >= 121
    });
    assert_eq!(renderer.metric("xr_renderer_feed_connected"), 1);

    let ending = std::thread::spawn(move || renderer.terminate());
    while feed.frame().is_some() {}
    assert!(feed.ended);
    feed.answer("200 OK", "text/plain", "").unwrap();
    let (status, took, said) = ending.join().unwrap();
    assert!(status.success(), "{said}");
    assert!(took < ENDED_WITHIN, "{took:?}");
}

#[test]
fn a_taken_name_is_said_in_the_streamers_words_and_tried_again() {
    let server = Server::start();
    let renderer = Renderer::start(&["--source", "test", "--feed", &server.url()]);
    server
        .accept_feed()
        .answer("409 Conflict", "application/problem+json", TAKEN)
        .unwrap();
    renderer.wait_for_words("name taken: another renderer feeds 'test'; choose another name");
    assert!(
        server.accept_feed().frame().unwrap().1,
        "tried again, from a key frame"
    );
}

#[test]
fn a_feed_is_called_connected_once_it_was_taken() {
    let server = Server::start();
    let renderer = Renderer::start(&["--source", "test", "--feed", &server.url()]);
    for _ in 0..2 {
        let mut feed = server.accept_feed();
        // The other renderer's feed has events.
        server.accept_events().answer_events();
        feed.answer("409 Conflict", "application/problem+json", TAKEN)
            .unwrap();
    }
    renderer.wait_for_words("name taken");
    let (_, _, said) = renderer.terminate();
    assert!(
        said.contains("name taken") && !said.contains("connected"),
        "{said}"
    );

    let server = Server::start();
    let renderer = Renderer::start(&["--source", "test", "--feed", &server.url()]);
    let _feed = server.accept_feed();
    let mut events = server.accept_events();
    events.answer_events();
    renderer.wait_for_words("connected");
}

#[test]
fn a_refusal_for_good_ends_the_renderer() {
    let server = Server::start();
    let renderer = Renderer::start(&["--source", "test", "--feed", &server.url()]);
    let problem =
        r#"{"status":415,"title":"codec","detail":"H264 is not taken","remedy":"send MPEG-2"}"#;
    server
        .accept_feed()
        .answer(
            "415 Unsupported Media Type",
            "application/problem+json",
            problem,
        )
        .unwrap();
    let (status, said) = renderer.wait();
    assert_eq!(status.code(), Some(1));
    assert!(
        said.contains("codec: H264 is not taken; send MPEG-2"),
        "{said}"
    );
}

#[test]
fn a_lost_connection_is_made_again_soon() {
    let server = Server::start();
    let renderer = Renderer::start(&[
        "--source",
        "test",
        "--feed",
        &server.url(),
        "--gop",
        "100000",
    ]);
    for _ in 0..3 {
        let mut feed = server.accept_feed();
        for _ in 0..10 {
            feed.frame().unwrap();
        }
        drop(feed);
        let begin = Instant::now();
        assert!(
            server.accept_feed().frame().unwrap().1,
            "goes on with a key frame"
        );
        assert!(begin.elapsed() < BACK_WITHIN, "{:?}", begin.elapsed());
    }
    assert!(renderer.metric("xr_renderer_feed_connections_total") >= 6);
}

#[test]
fn a_streamer_that_comes_later_gets_the_feed() {
    let (held, url) = hold_port();
    let renderer = Renderer::start(&["--source", "test", "--feed", &url]);
    renderer.wait_for_words("waiting for the streamer");
    held.listen(8).unwrap();
    assert!(held.accept().is_ok());
    let (_, _, said) = renderer.terminate();
    assert_eq!(
        said.matches("Connection refused").count(),
        1,
        "said once: {said}"
    );
}

#[test]
fn a_streamer_that_never_reads_costs_frames_and_no_memory() {
    let server = Server::start();
    let renderer = Renderer::start(&["--source", "test", "--feed", &server.url()]);
    let silent = server.accept();
    eventually("frames are dropped", || {
        renderer.metric("xr_renderer_lost_frames_total{reason=\"queue_full\"}") > 0
    });
    eventually("whole groups are", || {
        renderer.metric("xr_renderer_lost_frames_total{reason=\"awaiting_key_frame\"}") > 5
    });
    assert!(renderer.metric("xr_renderer_key_frame_requests_total{from=\"feed\"}") >= 2);
    assert!(
        server.accept_feed().frame().unwrap().1,
        "the connection is given up, and made again"
    );
    assert!(renderer.metric("process_resident_memory_bytes") < 400_000_000);
    drop(silent);
}

#[test]
fn a_viewer_who_joins_gets_a_key_frame() {
    let server = Server::start();
    let renderer = Renderer::start(&[
        "--source",
        "test",
        "--feed",
        &server.url(),
        "--gop",
        "100000",
    ]);
    let mut feed = server.accept_feed();
    assert!(feed.frame().unwrap().1);
    let mut events = server.accept_events();
    assert_eq!(events.line, "GET /feeds/test/events HTTP/1.1");
    events.answer_events();
    for _ in 0..30 {
        assert!(!feed.frame().unwrap().1);
    }
    events.send("event: keyframe\ndata: {}\n\n");
    // The event and the frames come on connections of their own: some seconds of frames may be before it.
    let came = (0..600).position(|_| feed.frame().unwrap().1);
    assert!(came.is_some(), "no key frame");
    assert!(renderer.metric("xr_renderer_key_frame_requests_total{from=\"streamer\"}") >= 1);
    drop(events);
    assert!(
        server.accept_events().line.ends_with("/events HTTP/1.1"),
        "events are listened to again"
    );
}

/// Whoever started it for a while must not believe that it streamed.
#[test]
fn a_feed_that_nobody_took_is_a_failure() {
    let server = Server::start();
    let url = server.url();
    // Long enough for an answer from a machine that stands still for some seconds.
    let start =
        |url: &str| Renderer::start(&["--source", "test", "--feed", url, "--duration", "6s"]);
    let (_held, nobody) = hold_port();
    let to_nobody = start(&nobody);
    let refusing = std::thread::spawn(move || {
        for _ in 0..1000 {
            let answer = ("409 Conflict", "application/problem+json", TAKEN);
            let mut feed = server.accept_feed();
            // The renderer ends in between.
            let _ = feed.answer(answer.0, answer.1, answer.2);
        }
    });
    let (status, said) = start(&url).wait();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(
        said.contains("never taken") && said.contains("name taken"),
        "{said}"
    );
    drop(refusing);
    let (status, said) = to_nobody.wait();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("Connection refused"), "{said}");
}

/// nginx takes a request in until it ends, before it passes anything on.
#[test]
fn a_feed_that_arrives_nowhere_is_said_and_not_ready() {
    const NOT_FED: &str = r#"{"status":404,"title":"no such feed","detail":"nobody has fed test yet","remedy":"feed it"}"#;
    let server = Server::start();
    let renderer = Renderer::start(&["--source", "test", "--feed", &server.url()]);
    let mut feed = server.accept_feed();
    let taking = std::thread::spawn(move || while feed.frame().is_some() {});
    let mut asked = 0;
    while renderer.ready_status() == 200 {
        let mut events = server.accept_events();
        asked += 1;
        assert!(asked < 20, "nothing is said");
        events
            .answer("404 Not Found", "application/problem+json", NOT_FED)
            .unwrap();
    }
    renderer.wait_for_words("proxy_request_buffering off");
    let mut events = server.accept_events();
    events.answer_events();
    eventually("it arrives at last", || renderer.ready_status() == 200);
    renderer.terminate();
    taking.join().unwrap();
}

#[test]
fn who_limits_the_length_of_a_body_is_said() {
    let server = Server::start();
    let renderer = Renderer::start(&["--source", "test", "--feed", &server.url()]);
    let mut feed = server.accept_feed();
    feed.frame().unwrap();
    feed.answer("413 Payload Too Large", "text/html", "<html>nginx</html>")
        .unwrap();
    let (status, said) = renderer.wait();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("client_max_body_size"), "{said}");
}

#[test]
fn a_source_that_is_slow_is_said_and_one_that_ends_too() {
    let server = Server::start();
    // Six seconds, of which two are enough to say it.
    let source = "gst:videotestsrc is-live=true num-buffers=30 ! video/x-raw,framerate=5/1";
    let renderer = Renderer::start(&["--source", source, "--fps", "25", "--feed", &server.url()]);
    let mut feed = server.accept_feed();
    while feed.frame().is_some() {}
    feed.answer("200 OK", "text/plain", "").unwrap();
    let (status, said) = renderer.wait();
    assert!(status.success(), "{said}");
    assert_eq!(said.matches("the source had no picture for").count(), 1);
    assert!(said.contains("the source has ended"), "{said}");
}
