//! What a viewer is told of a stream before it comes, and where.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use crate::feeding::{Feed, RTP, Request, packet};
use crate::server::{Streamer, answer};
use crate::speaking::Rtsp;
use crate::viewing::{Received, Viewer};

/// Slices choose among picture parameter sets by number: the SDP has each.
#[test]
fn every_parameter_set_is_told() {
    let streamer = Streamer::start(&[]);
    let sps = [0x67, 0x42, 0xc0, 0x1f, 0xda, 0x02, 0x80, 0xbf, 0xe5];
    let (first, second) = ([0x68, 0xce, 0x3c, 0x80], [0x68, 0x5b, 0x3c, 0x80]);
    let mut feed = Request::begin(streamer.http, "room", Some(RTP), None);
    for (sequence, payload) in (0..).zip([&sps[..], &first, &second, &[0x65, 0x88, 1]]) {
        feed.send(&packet(sequence, 0, sequence == 3, payload))
            .unwrap();
    }
    streamer.wait_frames("room", 1);
    let mut sdp = String::new();
    streamer.wait("the name can be viewed", |streamer| {
        let mut viewer = Rtsp::connect(streamer.rtsp);
        viewer.tell("DESCRIBE", "room", &[]);
        let (status, body) = answer(&mut viewer.stream);
        sdp = body;
        status == 200
    });
    let sets = sdp.split("sprop-parameter-sets=").nth(1).unwrap();
    let sets = sets.split([';', '\r', '\n']).next().unwrap();
    assert_eq!(sets, "Z0LAH9oCgL/l,aM48gA==,aFs8gA==", "{sdp}");
    assert_eq!(feed.end().0, 200);
}

/// A streamer at `[::]` takes feeds and viewers of both families.
#[test]
fn both_families_are_served() {
    let streamer = Streamer::start_everywhere();
    let here: [IpAddr; 2] = [Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()];
    for (name, host) in ["six", "four"].into_iter().zip(here) {
        let feed = Feed::start(
            SocketAddr::new(host, streamer.http.port()),
            name,
            (640, 360),
            30,
            1000,
        );
        streamer.wait_frames(name, 1);
        for host in here {
            let rtsp = SocketAddr::new(host, streamer.rtsp.port());
            for transport in ["udp", "tcp"] {
                Viewer::start(&format!("rtsp://{rtsp}/{name}"), transport)
                    .wait("a key frame", |packet| packet.key);
            }
        }
        assert_eq!(feed.stop().0, 200);
    }
}

/// Two recordings joined: the clock of the second is an hour ahead, which the demultiplexer makes up for.
#[test]
fn a_clock_that_jumps_does_not_show() {
    let streamer = Streamer::start(&[]);
    let recording = |offset: &str, seconds: usize| {
        let output = Command::new("ffmpeg")
            .args([
                "-v",
                "error",
                "-f",
                "lavfi",
                "-i",
                "testsrc=size=320x240:rate=25",
                "-t",
                &seconds.to_string(),
            ])
            .args(["-c:v", "libx264", "-tune", "zerolatency", "-g", "10"])
            .args(["-output_ts_offset", offset, "-f", "mpegts", "-"])
            .output()
            .unwrap();
        (output.stdout, 25 * seconds)
    };
    // The first is long enough for a viewer to come before it is over.
    let recordings = [recording("0", 10), recording("3600", 2), recording("0", 2)];
    let mut feed = Request::begin(streamer.http, "room", Some("video/mp2t"), None);
    let mut viewer = None;
    for (recording, frames) in recordings {
        for piece in recording.chunks(recording.len() / frames + 1) {
            feed.send(piece).unwrap();
            // Twice as fast as it was made.
            std::thread::sleep(Duration::from_millis(20));
            if viewer.is_none() && streamer.state("room") == "live" {
                viewer = Some(Viewer::start(&streamer.url("room"), "tcp"));
            }
        }
    }
    assert_eq!(feed.end().0, 200);
    let viewer = viewer.expect("it was live");
    streamer.wait("the last of its packets", |_| {
        let received = viewer.received();
        let is_last = |packet: &Received| packet.at.elapsed() > Duration::from_secs(1);
        received.len() > 100 && received.last().is_some_and(is_last)
    });
    let times: Vec<_> = viewer
        .received()
        .iter()
        .map(|packet| packet.timestamp)
        .collect();
    let steps: Vec<_> = times
        .windows(2)
        .map(|pair| pair[1].wrapping_sub(pair[0]).cast_signed())
        .collect();
    assert!(
        steps.iter().all(|step| step.abs() < 90_000),
        "{:?}",
        steps
            .iter()
            .filter(|step| step.abs() >= 90_000)
            .collect::<Vec<_>>()
    );
}
