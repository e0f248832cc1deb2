//! What a peer without a token may send, and everybody else still gets their frames.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::feeding::{Feed, RTP, Request, packet};
use crate::server::Streamer;
use crate::speaking::Rtsp;
use crate::viewing::{Viewer, hear};

const UDP: &str = "RTP/AVP;unicast;client_port=40000-40001";
const TCP: &str = "RTP/AVP/TCP;unicast;interleaved=0-1";

/// A content type that carries the parameter sets, so that the name can be viewed at once.
const SETS: &str = "; sprop-parameter-sets=\"Z0LAH9o=,aM48gA==\"";

fn wait_viewable(streamer: &Streamer) {
    streamer.wait("the name can be viewed", |streamer| {
        let described = Rtsp::connect(streamer.rtsp).ask("DESCRIBE", "room", &[]);
        described.starts_with("RTSP/1.0 200")
    });
}

fn assert_goes_on(streamer: &mut Streamer, viewer: &Viewer) {
    let before = viewer.received().len();
    streamer.wait("the honest viewer goes on", |_| {
        viewer.received().len() > before + 30
    });
    assert!(streamer.is_running());
}

/// The RTSP server counts a transport on TCP when it ends and not when it took the place of one on UDP.
#[test]
fn a_session_keeps_the_transport_that_it_was_set_up_with() {
    let mut streamer = Streamer::start(&[]);
    let _feed = Feed::start(streamer.http, "room", (640, 360), 30, 1000);
    wait_viewable(&streamer);
    let viewer = Viewer::start(&streamer.url("room"), "tcp");
    viewer.wait("a packet", |_| true);
    for (first, second) in [(UDP, TCP), (UDP, TCP), (TCP, UDP)] {
        let mut rtsp = Rtsp::connect(streamer.rtsp);
        let session = rtsp.play("room", first);
        let again = rtsp.setup("room", second, &[&session]);
        assert!(again.starts_with("RTSP/1.0 455"), "{again}");
        rtsp.tell("TEARDOWN", "room", &[&session]);
        drop(rtsp);
    }
    assert_goes_on(&mut streamer, &viewer);
}

/// The media of a name ends with its last viewer, which takes a few milliseconds.
#[test]
fn who_comes_as_the_last_viewer_leaves_is_served() {
    let streamer = Streamer::start(&[]);
    let _feed = Feed::start(streamer.http, "room", (320, 180), 30, 500);
    wait_viewable(&streamer);
    for transport in [UDP, TCP].repeat(20) {
        let mut next = Rtsp::connect(streamer.rtsp);
        next.ask("OPTIONS", "room", &[]);
        let mut last = Rtsp::connect(streamer.rtsp);
        last.play("room", transport);
        drop(last);
        next.play("room", transport);
    }
}

/// A connection that ends while another tears its session down.
#[test]
fn a_session_may_end_twice_at_once() {
    let mut streamer = Streamer::start(&[]);
    let _feed = Feed::start(streamer.http, "room", (320, 180), 30, 500);
    wait_viewable(&streamer);
    for step in 0..300 {
        let mut other = Rtsp::connect(streamer.rtsp);
        let mut viewer = Rtsp::connect(streamer.rtsp);
        let session = viewer.play("room", UDP);
        // The one is to fall anywhere within the other's work, which takes some milliseconds.
        let apart = Duration::from_micros(50 * (step % 100));
        if step % 2 == 0 {
            other.tell("TEARDOWN", "room", &[&session]);
            std::thread::sleep(apart);
            drop(viewer);
        } else {
            drop(viewer);
            std::thread::sleep(apart);
            other.tell("TEARDOWN", "room", &[&session]);
        }
        other.head();
        assert!(streamer.is_running(), "at step {step}");
    }
}

/// Viewers that go while the streamer ends them: each connection is ended by one thread only.
#[test]
fn it_ends_well_although_its_viewers_go() {
    for round in 0..30 {
        let mut streamer = Streamer::start(&[]);
        let feed = Feed::start(streamer.http, "room", (320, 180), 30, 500);
        wait_viewable(&streamer);
        let viewers: Vec<_> = (0..30)
            .map(|_| {
                let mut viewer = Rtsp::connect(streamer.rtsp);
                viewer.play("room", TCP);
                viewer
            })
            .collect();
        let going = std::thread::spawn(move || {
            for viewer in viewers {
                drop(viewer);
                std::thread::sleep(Duration::from_micros(60));
            }
        });
        let (took, code) = streamer.terminate();
        assert_eq!(code, Some(0), "round {round}");
        assert!(took < Duration::from_secs(3), "{took:?}");
        going.join().unwrap();
        drop(feed);
    }
}

#[test]
fn a_frame_of_countless_packets_is_refused() {
    let mut streamer = Streamer::start(&[]);
    let mut feed = Request::begin(streamer.http, "room", Some(&format!("{RTP}{SETS}")), None);
    feed.send(&packet(0, 0, true, &[0x65, 0x88, 1])).unwrap();
    wait_viewable(&streamer);
    let mut viewer = Rtsp::connect(streamer.rtsp);
    viewer.play("room", TCP);
    let mut body = Vec::new();
    for sequence in 1..=60_000 {
        body.extend(packet(sequence, 1500, sequence == 60_000, &[]));
    }
    let _ = feed.send(&body);
    let (status, text) = feed.end();
    assert_eq!(status, 413, "{text}");
    assert!(text.contains("4096 packets"), "{text}");
    assert!(streamer.is_running());
    assert_eq!(
        streamer.metric("xr_streamer_refused_feeds_total{reason=\"too_long\"}"),
        1
    );
}

/// Frames of many packets wait for a viewer on TCP, and go to it in parts that the RTSP server's stack can hold.
#[test]
fn a_long_backlog_is_brought_in_parts() {
    const PACKETS: u16 = 500;
    let mut streamer = Streamer::start(&["--slow-ms", "60000"]);
    let mut feed = Request::begin(streamer.http, "room", Some(&format!("{RTP}{SETS}")), None);
    let mut frame = 0_u16;
    let mut next = |feed: &mut Request| {
        let mut body = Vec::new();
        for part in 0..PACKETS {
            let sequence = frame.wrapping_mul(PACKETS).wrapping_add(part);
            let payload = [&[0x65, 0x88][..], &[1; 60]].concat();
            let timestamp = u32::from(frame) * 1500;
            body.extend(packet(sequence, timestamp, part + 1 == PACKETS, &payload));
        }
        frame += 1;
        feed.send(&body).unwrap();
        u32::from(frame - 1) * 1500
    };
    next(&mut feed);
    wait_viewable(&streamer);
    let mut viewer = Rtsp::over(small_socket(&streamer));
    viewer.play("room", TCP);
    streamer.wait("a full backlog", |streamer| {
        for _ in 0..16 {
            next(&mut feed);
        }
        streamer.metric("xr_streamer_outrun_frames_total{feed=\"room\"}") > 0
    });
    let last = next(&mut feed);
    let (heard, hearing) = std::sync::mpsc::channel();
    hear(viewer.stream, move |timestamp| {
        if timestamp == last {
            let _ = heard.send(());
        }
    });
    hearing.recv_timeout(Duration::from_secs(20)).unwrap();
    assert!(streamer.is_running());
}

/// A connection that takes very little before its reader reads.
fn small_socket(streamer: &Streamer) -> TcpStream {
    let socket = Socket::new(Domain::for_address(streamer.rtsp), Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&streamer.rtsp.into()).unwrap();
    socket.into()
}

/// A connection that ends while another tears its session down leaves no timer behind, so the streamer looks after
/// connections without a session.
#[test]
fn a_connection_ends_after_its_last_session() {
    let mut streamer = Streamer::start(&[]);
    let _feed = Feed::start(streamer.http, "room", (320, 180), 30, 500);
    wait_viewable(&streamer);
    let mut viewer = Rtsp::connect(streamer.rtsp);
    let session = viewer.play("room", UDP);
    Rtsp::connect(streamer.rtsp).ask("TEARDOWN", "room", &[&session]);
    streamer.wait("the viewer's connection is dropped", |streamer| {
        streamer.metric("xr_streamer_dropped_connections_total{reason=\"idle\"}") == 1
    });
    assert_eq!(viewer.head(), "");
    assert!(streamer.is_running());
}

/// What the RTSP server could do and viewers do not need.
#[test]
fn the_server_serves_viewers_only() {
    let mut streamer = Streamer::start(&[]);
    let _feed = Feed::start(streamer.http, "room", (320, 180), 30, 500);
    wait_viewable(&streamer);
    let mut rtsp = Rtsp::connect(streamer.rtsp);
    for method in ["ANNOUNCE", "RECORD"] {
        let refused = rtsp.ask(method, "room", &[]);
        assert!(refused.starts_with("RTSP/1.0 405"), "{refused}");
    }
    let keys = rtsp.setup("room", UDP, &["KeyMgmt: prot=mikey; data=\"AAAA\""]);
    assert!(keys.starts_with("RTSP/1.0 463"), "{keys}");
    let options = rtsp.ask("OPTIONS", "room", &[]);
    assert!(options.starts_with("RTSP/1.0 200"), "{options}");
    let tunnel = "GET /room HTTP/1.0\r\nx-sessioncookie: abc\r\nAccept: application/x-rtsp-tunnelled\r\n\r\n";
    rtsp.stream.write_all(tunnel.as_bytes()).unwrap();
    let next = rtsp.ask("OPTIONS", "room", &[]);
    assert!(next.starts_with("RTSP/1.0 200"), "no tunnel opens: {next}");
    assert!(streamer.is_running());
}

/// Names are forgotten, and viewers that do not read are dropped, although no thread can be started.
#[test]
fn the_house_is_kept_without_new_threads() {
    let mut streamer = Streamer::start_bound(&["--forget-s", "1"]);
    streamer.forbid_threads();
    let mut feed = Request::begin(streamer.http, "room", Some(RTP), None);
    feed.send(&packet(0, 0, true, &[0x65, 0x88, 1])).unwrap();
    streamer.wait_frames("room", 1);
    assert_eq!(feed.end().0, 200);
    streamer.wait("the name is forgotten", |streamer| {
        streamer.state("room").is_empty()
    });
    assert!(streamer.is_running());
}
