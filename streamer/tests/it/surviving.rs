//! What a peer without a token may send, and everybody else still gets their frames.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::feeding::{Feed, RTP, Request, packet};
use crate::server::{ENDED_WITHIN, PATIENCE, Streamer};
use crate::speaking::Rtsp;
use crate::viewing::{Viewer, hear};

pub(crate) const UDP: &str = "RTP/AVP;unicast;client_port=40000-40001";
pub(crate) const TCP: &str = "RTP/AVP/TCP;unicast;interleaved=0-1";

/// A content type that carries the parameter sets, so that the name can be viewed at once.
pub(crate) const SETS: &str = "; sprop-parameter-sets=\"Z0LAH9o=,aM48gA==\"";

pub(crate) fn wait_viewable(streamer: &Streamer) {
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
        assert!(took < ENDED_WITHIN, "{took:?}");
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

/// A feed of very many frames a second is read no faster than the allowance, and loses none of them.
#[test]
fn a_flood_of_frames_is_slowed() {
    const FRAMES: u16 = 3000;
    let streamer = Streamer::start(&[]);
    let mut feed = Request::begin(streamer.http, "room", Some(&format!("{RTP}{SETS}")), None);
    let body: Vec<u8> = (0..FRAMES)
        .flat_map(|number| packet(number, u32::from(number) * 1500, true, &[0x65, 0x88, 1]))
        .collect();
    let began = Instant::now();
    feed.send(&body).unwrap();
    let (status, text) = feed.end();
    assert_eq!(status, 200, "{text}");
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(2400), "{took:?}");
    streamer.wait_frames("room", u64::from(FRAMES));
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
    hearing.recv_timeout(PATIENCE).unwrap();
    assert!(streamer.is_running());
}

/// A connection that takes very little before its reader reads.
fn small_socket(streamer: &Streamer) -> TcpStream {
    let socket = Socket::new(Domain::for_address(streamer.rtsp), Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&streamer.rtsp.into()).unwrap();
    socket.into()
}

/// The RTSP server's timer for it may run into a connection's end, so the streamer looks after connections without a session.
#[test]
fn a_connection_ends_after_its_last_session() {
    let mut streamer = Streamer::start(&[]);
    let _feed = Feed::start(streamer.http, "room", (320, 180), 30, 500);
    wait_viewable(&streamer);
    let mut viewer = Rtsp::connect(streamer.rtsp);
    let session = viewer.play("room", UDP);
    viewer.ask("TEARDOWN", "room", &[&session]);
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

/// Names are forgotten although no thread can be started.
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

/// What a connection has begun does not keep its place: it makes room for one that asks.
#[test]
fn half_a_request_holds_no_place() {
    let streamer = Streamer::start(&["--max-connections", "8"]);
    let halves: Vec<_> = (0..8)
        .map(|_| {
            let mut stream = TcpStream::connect(streamer.rtsp).unwrap();
            stream.write_all(b"OPTIONS ").unwrap();
            stream
        })
        .collect();
    streamer.wait("all have come", |streamer| {
        streamer.metric("xr_streamer_rtsp_connections") >= 8
    });
    for _ in 0..16 {
        let answer = Rtsp::connect(streamer.rtsp).ask("OPTIONS", "room", &[]);
        assert!(answer.starts_with("RTSP/1.0 200"), "{answer}");
    }
    drop(halves);
}

/// Where there is no room, whoever has most connections loses one, and the oldest of all stays.
#[test]
fn connections_of_one_host_do_not_push_out_those_of_another() {
    let streamer = Streamer::start(&["--max-connections", "8"]);
    let mut honest = Rtsp::connect(streamer.rtsp);
    let answer = honest.ask("OPTIONS", "room", &[]);
    assert!(answer.starts_with("RTSP/1.0 200"), "{answer}");
    let crowd: Vec<_> = (0..24)
        .map(|_| {
            let mut one = Rtsp::over(connect_from([127, 0, 0, 2], streamer.rtsp));
            let answer = one.ask("OPTIONS", "room", &[]);
            assert!(answer.starts_with("RTSP/1.0 200"), "{answer}");
            one
        })
        .collect();
    let answer = honest.ask("OPTIONS", "room", &[]);
    assert!(answer.starts_with("RTSP/1.0 200"), "{answer}");
    drop(crowd);
}

pub(crate) fn connect_from(host: [u8; 4], to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((host, 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    socket.into()
}

#[test]
fn sessions_are_few_for_a_connection_and_end_with_it() {
    let streamer = Streamer::start(&["--max-viewers", "6"]);
    let _feed = Feed::start(streamer.http, "room", (320, 180), 30, 500);
    wait_viewable(&streamer);
    let mut greedy = Rtsp::connect(streamer.rtsp);
    let answers: Vec<_> = (0..8).map(|_| greedy.setup("room", UDP, &[])).collect();
    let taken = |answer: &&String| answer.starts_with("RTSP/1.0 200");
    assert_eq!(answers.iter().filter(taken).count(), 4, "{answers:?}");
    let mut others: Vec<_> = (0..2).map(|_| Rtsp::connect(streamer.rtsp)).collect();
    for other in &mut others {
        other.play("room", TCP);
    }
    let refused = Rtsp::connect(streamer.rtsp).setup("room", TCP, &[]);
    assert!(refused.starts_with("RTSP/1.0 503"), "{refused}");
    drop(greedy);
    streamer.wait("its places are free", |streamer| {
        let answer = Rtsp::connect(streamer.rtsp).setup("room", TCP, &[]);
        answer.starts_with("RTSP/1.0 200")
    });
}

#[test]
fn one_address_does_not_take_all_sessions() {
    let streamer = Streamer::start(&["--max-viewers-per-peer", "2"]);
    let _feed = Feed::start(streamer.http, "room", (320, 180), 30, 500);
    wait_viewable(&streamer);
    let mut viewers: Vec<_> = (0..2).map(|_| Rtsp::connect(streamer.rtsp)).collect();
    for viewer in &mut viewers {
        viewer.play("room", TCP);
    }
    let third = Rtsp::connect(streamer.rtsp).setup("room", TCP, &[]);
    assert!(third.starts_with("RTSP/1.0 503"), "{third}");
}

/// The RTSP server keeps every header, in sixteen times as much memory, and answers nobody else meanwhile.
#[test]
fn headers_without_end_end_their_connection() {
    let streamer = Streamer::start(&[]);
    let senders: Vec<_> = (0..4)
        .map(|_| {
            let mut stream = TcpStream::connect(streamer.rtsp).unwrap();
            // What the system holds for a peer that has closed is of no interest.
            let limit = Some(Duration::from_secs(5));
            stream.set_write_timeout(limit).unwrap();
            std::thread::spawn(move || {
                let mut sent = 0;
                let _ = stream.write_all(b"OPTIONS rtsp://x/ RTSP/1.0\r\nCSeq: 1\r\n");
                let lines = b"A: b\r\n".repeat(1000);
                while sent < 64 << 20 && stream.write_all(&lines).is_ok() {
                    sent += lines.len();
                }
                sent
            })
        })
        .collect();
    for sender in senders {
        let sent = sender.join().unwrap();
        assert!(sent < 8 << 20, "{sent} bytes were taken");
    }
    let dropped = "xr_streamer_dropped_connections_total{reason=\"endless\"}";
    streamer.wait("all are counted", |streamer| streamer.metric(dropped) == 4);
    let answer = Rtsp::connect(streamer.rtsp).ask("OPTIONS", "room", &[]);
    assert!(answer.starts_with("RTSP/1.0 200"), "{answer}");
}

#[test]
fn packets_go_to_no_port_of_a_service() {
    let streamer = Streamer::start(&[]);
    let _feed = Feed::start(streamer.http, "room", (320, 180), 30, 500);
    wait_viewable(&streamer);
    for transport in [
        "RTP/AVP;unicast;client_port=53-54",
        "RTP/AVP;unicast",
        "RTP/AVP/TCP;unicast;interleaved=300-301",
    ] {
        let answer = Rtsp::connect(streamer.rtsp).setup("room", transport, &[]);
        assert!(answer.starts_with("RTSP/1.0 461"), "{answer}");
    }
}

/// The RTSP server ends the process if a connection gets more channels while it sends on those that it has.
#[test]
fn a_connection_carries_one_stream_only() {
    let streamer = Streamer::start(&[]);
    let _feed = Feed::start(streamer.http, "room", (640, 360), 300, 1000);
    wait_viewable(&streamer);
    let mut viewer = Rtsp::connect(streamer.rtsp);
    let session = viewer.play("room", TCP);
    for transport in [
        TCP,
        "RTP/AVP/TCP;unicast;interleaved=2-3",
        "RTP/AVP/TCP;unicast",
    ] {
        let answer = viewer.setup("room", transport, &[]);
        assert!(answer.starts_with("RTSP/1.0 461"), "{answer}");
    }
    assert!(viewer.setup("room", UDP, &[]).starts_with("RTSP/1.0 200"));
    viewer.ask("TEARDOWN", "room", &[&session]);
    let mut another = Rtsp::connect(streamer.rtsp);
    another.play("room", TCP);
}

/// Answers that nobody reads, on both HTTP ports, do not add up to more than the time for draining.
#[test]
fn it_ends_in_time_although_answers_are_not_read() {
    let mut streamer = Streamer::start(&[]);
    let deaf: Vec<_> = [(streamer.ops, "/metrics"), (streamer.http, "/feeds")]
        .into_iter()
        .flat_map(|(address, path)| [(address, path); 2])
        .map(|(address, path)| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_recv_buffer_size(2304).unwrap();
            socket.set_tcp_mss(536).unwrap();
            socket.connect(&address.into()).unwrap();
            socket.set_nonblocking(true).unwrap();
            let mut stream = TcpStream::from(socket);
            let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").repeat(100);
            while stream.write_all(request.as_bytes()).is_ok() {}
            stream
        })
        .collect();
    let (took, code) = streamer.terminate();
    assert_eq!(code, Some(0));
    assert!(took < ENDED_WITHIN, "{took:?}");
    drop(deaf);
}
