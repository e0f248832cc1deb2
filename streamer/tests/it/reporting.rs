//! RTCP of viewers and of strangers: what of it is believed.

use std::io::{Read as _, Seek as _};

use crate::feeding::Feed;
use crate::server::{PATIENCE, Streamer};
use crate::speaking::Rtsp;
use crate::surviving::wait_viewable;

/// A report with the stream's own SSRC makes the RTSP server say BYE to everybody, and take another SSRC.
#[test]
fn rtcp_of_strangers_is_not_believed() {
    let streamer = Streamer::start(&[]);
    let _feed = Feed::start(streamer.http, "room", (640, 360), 300, 1000);
    wait_viewable(&streamer);
    let [rtp, rtcp] = [0; 2].map(|_| std::net::UdpSocket::bind("127.0.0.1:0").unwrap());
    for socket in [&rtp, &rtcp] {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
    }
    let port = |socket: &std::net::UdpSocket| socket.local_addr().unwrap().port();
    let transport = format!("RTP/AVP;unicast;client_port={}-{}", port(&rtp), port(&rtcp));
    let mut viewer = Rtsp::connect(streamer.rtsp);
    let set_up = viewer.setup("room", &transport, &[]);
    let server = set_up.split("server_port=").nth(1).expect("its ports");
    let server: Vec<u16> = server
        .split([';', '\r', '-'])
        .map_while(|port| port.parse().ok())
        .collect();
    let session = crate::speaking::session(&set_up);
    viewer.ask("PLAY", "room", &[&session]);
    let mut packet = [0; 2000];
    rtp.recv(&mut packet).unwrap();
    let ssrc: [u8; 4] = packet[8..12].try_into().unwrap();
    let report = |ssrc: [u8; 4]| [&[0x80, 201, 0, 1][..], &ssrc].concat();

    let stranger = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = ("127.0.0.1", server[1]);
    let dropped = |reason: &str| {
        streamer.metric(&format!(
            "xr_streamer_rtcp_dropped_total{{reason=\"{reason}\"}}"
        ))
    };
    stranger.send_to(&report(ssrc), to).unwrap();
    streamer.wait("the stranger is counted", |_| dropped("stranger") == 1);
    rtcp.send_to(&report(ssrc), to).unwrap();
    streamer.wait("so is the viewer that claims to be the stream", |_| {
        dropped("own_ssrc") == 1
    });
    rtcp.send_to(b"nonsense", to).unwrap();
    streamer.wait("and nonsense", |_| dropped("malformed") == 1);
    rtcp.send_to(&report([1, 2, 3, 4]), to).unwrap();
    for _ in 0..60 {
        rtp.recv(&mut packet).unwrap();
        assert_eq!(packet[8..12], ssrc, "the stream goes on as it was");
    }
    rtcp.set_nonblocking(true).unwrap();
    while let Ok(length) = rtcp.recv(&mut packet) {
        let has_bye = packet[..length]
            .windows(2)
            .any(|two| two[1] == 203 && two[0] >> 6 == 2);
        assert!(!has_bye, "a BYE came: {:?}", &packet[..length]);
    }
    assert_eq!(
        dropped("stranger") + dropped("own_ssrc") + dropped("malformed"),
        3
    );
}

/// A viewer on TCP reports over its connection and asks for a key frame there. Dropping what it may not say logs no error.
#[test]
fn a_viewer_on_tcp_reports_over_its_connection() {
    let mut log = tempfile::tempfile().unwrap();
    let streamer = Streamer::start_with_log(&[], log.try_clone().unwrap().into());
    let _feed = Feed::start(streamer.http, "room", (640, 360), 300, 1000);
    wait_viewable(&streamer);
    let mut viewer = Rtsp::connect(streamer.rtsp);
    viewer.play("room", "RTP/AVP/TCP;unicast;interleaved=0-1");
    let dropped = |reason: &str| {
        streamer.metric(&format!(
            "xr_streamer_rtcp_dropped_total{{reason=\"{reason}\"}}"
        ))
    };
    let asked = || streamer.metric("xr_streamer_keyframe_requests_total{feed=\"room\"}");
    let before = asked();
    let stream = viewer.next_ssrc();
    let ours = [1, 2, 3, 4];
    let report = [&[0x80, 201, 0, 1][..], &ours].concat();
    // RFC 4585 section 6.3.1.
    let picture_loss = [&[0x81, 206, 0, 2][..], &ours, &stream].concat();
    viewer.report(&[&report[..], &picture_loss].concat());
    streamer.wait("the renderer is asked", |_| asked() > before);
    assert_eq!(dropped("stranger"), 0);
    viewer.report(&[&[0x80, 201, 0, 1][..], &stream].concat());
    streamer.wait("nobody else is the stream", |_| dropped("own_ssrc") == 1);
    viewer.report(b"nonsense");
    streamer.wait("nonsense is dropped", |_| dropped("malformed") == 1);
    assert_eq!(dropped("stranger"), 0);
    drop(viewer);
    let mut streamer = streamer;
    streamer.terminate();
    let mut said = String::new();
    log.rewind().unwrap();
    log.read_to_string(&mut said).unwrap();
    assert!(!said.contains("ERROR"), "{said}");
}
