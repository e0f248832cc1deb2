//! What is refused, and that refusing it costs nothing else.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::feeding::{Feed, RTP, Request, framed};
use crate::server::{ENDED_WITHIN, PATIENCE, Streamer, answer, get};
use crate::speaking::Rtsp;
use crate::surviving::wait_viewable;
use crate::viewing::Viewer;

const KEY: &[u8] = &[0x65, 0x88, 1];

fn refused(request: Request, body: &[u8], status: u16, words: &str) {
    let mut request = request;
    let _ = request.send(body);
    let (got, text) = request.end();
    assert_eq!(got, status, "{text}");
    let problem: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(text.contains(words), "{text} has no {words}");
    assert!(!problem["remedy"].as_str().unwrap().is_empty());
}

#[test]
fn bodies_that_are_no_feed_are_told_why() {
    let mut streamer = Streamer::start(&["--max-feeds", "4"]);
    let begin = |name: &str, kind: Option<&str>| Request::begin(streamer.http, name, kind, None);
    refused(begin("a", Some("video/webm")), b"x", 415, "video/webm");
    refused(
        begin("a", Some("application/x-rtp-stream; encoding-name=VP8")),
        b"x",
        415,
        "VP8",
    );
    refused(begin("a", None), b"GIF89a and so on", 415, "47 49 46");
    refused(begin("a", Some("video/mp2t")), &[7; 400], 400, "07 07");
    refused(begin("a", Some(RTP)), &[0xff; 4000], 413, "65535 bytes");
    refused(
        begin("a", Some(RTP)),
        &[0, 4, 1, 2, 3, 4],
        400,
        "shorter than",
    );
    refused(
        begin("a", Some(RTP)),
        &[0, 12, 0, 96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        400,
        "version 0",
    );
    let cut = [framed(0, 0, KEY), framed(1, 1500, KEY)[..9].to_vec()].concat();
    refused(
        begin("a", Some(RTP)),
        &cut,
        400,
        "after 1 whole ones: 9 bytes",
    );
    refused(
        begin("a", Some("application/x-rtp-stream; payload=97")),
        &framed(0, 0, KEY),
        400,
        "type 96",
    );
    refused(
        begin("a", Some(RTP)),
        &framed(0, 0, &[0x1d, 1]),
        400,
        "NAL unit type 29",
    );
    refused(begin("..", Some(RTP)), b"", 400, "1 to 64 characters");
    let mut sync_only = vec![0xff_u8; 188 * 60];
    for packet in sync_only.chunks_mut(188) {
        packet[..4].copy_from_slice(&[0x47, 0x1f, 0xff, 0x10]);
    }
    refused(begin("ts", Some("video/mp2t")), &sync_only, 415, "no H.264");
    let live = ["b", "c", "d", "e"].map(|name| {
        if name == "e" {
            streamer.wait(
                "the name of the feed that was cut off makes room",
                |streamer| streamer.state("a").is_empty(),
            );
        }
        let mut request = begin(name, Some(RTP));
        request.send(&framed(0, 0, KEY)).unwrap();
        streamer.wait_frames(name, 1);
        request
    });
    refused(begin("f", Some(RTP)), b"", 503, "--max-feeds");
    for request in live {
        assert_eq!(request.end().0, 200);
    }
    assert!(streamer.is_running());
    assert!(streamer.metric("xr_streamer_refused_feeds_total{reason=\"garbage\"}") >= 4);
}

#[test]
fn a_taken_name_is_refused_unless_the_token_comes() {
    let streamer = Streamer::start(&[]);
    let mut first = Request::begin(streamer.http, "room", Some(RTP), Some("one"));
    first.send(&framed(0, 0, KEY)).unwrap();
    streamer.wait_frames("room", 1);
    refused(
        Request::begin(streamer.http, "room", Some(RTP), Some("two")),
        &framed(0, 0, KEY),
        409,
        "taken",
    );
    refused(
        Request::begin(streamer.http, "room", Some(RTP), None),
        &framed(0, 0, KEY),
        409,
        "taken",
    );
    let mut second = Request::begin(streamer.http, "room", Some(RTP), Some("one"));
    second.send(&framed(0, 0, KEY)).unwrap();
    streamer.wait_frames("room", 2);
    assert_eq!(answer(&mut first.stream).0, 409, "the older one is told");
    assert_eq!(second.end().0, 200);
}

#[test]
fn a_name_is_its_tokens_also_while_nobody_feeds_it() {
    let streamer = Streamer::start(&[]);
    let begin = |token| Request::begin(streamer.http, "room", Some(RTP), token);
    let mut first = begin(Some("one"));
    first.send(&framed(0, 0, KEY)).unwrap();
    streamer.wait_frames("room", 1);
    assert_eq!(first.end().0, 200);
    for thief in [Some("two"), None] {
        refused(begin(thief), &framed(0, 0, KEY), 409, "taken");
    }
    let mut again = begin(Some("one"));
    again.send(&framed(0, 0, KEY)).unwrap();
    assert_eq!(again.end().0, 200);
}

/// A request without a frame is no feed, and one that carries nothing any more keeps no name.
#[test]
fn no_name_is_had_for_nothing() {
    let streamer = Streamer::start(&["--max-feeds", "4", "--stall-ms", "300"]);
    for number in 0..16 {
        let name = format!("empty-{number}");
        let request = Request::begin(streamer.http, &name, Some(RTP), None);
        assert_eq!(request.end().0, 200);
    }
    assert_eq!(get(streamer.http, "/feeds").1, "[]");
    let mut silent = Request::begin(streamer.http, "room", Some(RTP), None);
    silent.send(&framed(0, 0, KEY)).unwrap();
    streamer.wait("the feed stalls although empty packets come", |streamer| {
        silent.send(&[0, 0]).unwrap();
        streamer.state("room") == "stalled"
    });
    let mut next = Request::begin(streamer.http, "room", Some(RTP), None);
    next.send(&framed(1, 1500, KEY)).unwrap();
    streamer.wait_frames("room", 2);
    assert_eq!(next.end().0, 200);
}

/// A token is anybody's to invent: one frame with it does not keep a name from those who need one.
#[test]
fn invented_tokens_keep_nobody_out() {
    let streamer = Streamer::start(&["--max-feeds", "4"]);
    for number in 0..4 {
        let (name, token) = (format!("squat-{number}"), format!("invented-{number}"));
        let mut request = Request::begin(streamer.http, &name, Some(RTP), Some(&token));
        request.send(&framed(0, 0, KEY)).unwrap();
        assert_eq!(request.end().0, 200);
    }
    streamer.wait("one of them has made room", |streamer| {
        get(streamer.http, "/feeds").1.matches("squat-").count() < 4
    });
    let mut honest = Request::begin(streamer.http, "room", Some(RTP), Some("honest"));
    honest.send(&framed(0, 0, KEY)).unwrap();
    streamer.wait_frames("room", 1);
    assert_eq!(honest.end().0, 200);
}

#[test]
fn a_streamer_with_a_token_takes_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "secret\n").unwrap();
    let streamer = Streamer::start(&["--feed-token-file", file.to_str().unwrap()]);
    for wrong in [Some("two"), None] {
        let request = Request::begin(streamer.http, "room", Some(RTP), wrong);
        refused(request, &framed(0, 0, KEY), 401, "--feed-token-file");
    }
    let mut right = Request::begin(streamer.http, "room", Some(RTP), Some("secret"));
    right.send(&framed(0, 0, KEY)).unwrap();
    assert_eq!(right.end().0, 200);
    assert_eq!(get(streamer.http, "/feeds/room/events").0, 401);
}

/// A viewer asks for a key frame before the renderer listens: a stranger who asks for events first does not get it.
#[test]
fn a_stranger_takes_no_wish_that_was_kept() {
    let streamer = Streamer::start(&[]);
    let kind = format!("{RTP}; sprop-parameter-sets=\"Z0LAH9o=,aM48gA==\"");
    let mut feed = Request::begin(streamer.http, "room", Some(&kind), Some("mine"));
    feed.send(&framed(0, 0, KEY)).unwrap();
    wait_viewable(&streamer);
    let mut viewer = Rtsp::connect(streamer.rtsp);
    viewer.play("room", "RTP/AVP/TCP;unicast;interleaved=0-1");
    streamer.wait("a key frame is wanted", |streamer| {
        streamer.metric("xr_streamer_keyframe_requests_total{feed=\"room\"}") >= 1
    });
    let first_line = |token: Option<&str>| {
        let mut stream = TcpStream::connect(streamer.http).unwrap();
        let token = token.map(|token| format!("Authorization: Bearer {token}\r\n"));
        let token = token.unwrap_or_default();
        let head = format!("GET /feeds/room/events HTTP/1.1\r\nHost: x\r\n{token}\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let lines = BufReader::new(stream).lines().map(Result::unwrap);
        let mut said = lines.filter(|line| line.starts_with("event:") || line.starts_with(':'));
        said.next().unwrap()
    };
    assert_eq!(first_line(None), ": xr-streamer");
    assert_eq!(first_line(Some("mine")), "event: keyframe");
}

/// GStreamer's souphttpclientsink sends a request for each piece, none of which is a feed.
#[test]
fn a_part_of_a_feed_is_none() {
    let streamer = Streamer::start(&[]);
    let mut stream = TcpStream::connect(streamer.http).unwrap();
    let head = "PUT /feeds/soup HTTP/1.1\r\nHost: x\r\nContent-Range: bytes 0-399/*\r\nContent-Length: 400\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let _ = stream.write_all(&[0x47; 400]);
    let (status, text) = answer(&mut stream);
    assert_eq!(status, 415, "{text}");
    assert!(
        text.contains("bytes 0-399/*") && text.contains("curlhttpsink"),
        "{text}"
    );
}

/// A demultiplexer would gather it in memory.
#[test]
fn a_picture_of_mpegts_ends() {
    let streamer = Streamer::start(&[]);
    let mut body = vec![0xff_u8; 188 * 40_000];
    for (number, packet) in body.chunks_mut(188).enumerate() {
        let begins = u8::from(number == 0) << 6;
        packet[..4].copy_from_slice(&[0x47, begins | 1, 0, 0x10]);
    }
    let request = Request::begin(streamer.http, "ts", Some("video/mp2t"), None);
    refused(request, &body, 413, "a picture of more than");
}

/// Two seconds of MPEG-TS by this encoder, from a real multiplexer.
fn mpegts(encoder: &[&str]) -> Vec<u8> {
    let input = "-v error -f lavfi -i testsrc=size=320x240:rate=25 -t 2 -c:v";
    let output = Command::new("ffmpeg")
        .args(input.split(' '))
        .args(encoder)
        .args(["-f", "mpegts", "-"])
        .output()
        .unwrap();
    assert!(output.stdout.len() > 10_000);
    output.stdout
}

const H264: &[&str] = &["libx264", "-tune", "zerolatency"];

/// Two pictures in each PES packet would be one frame.
#[test]
fn a_pes_packet_of_mpegts_is_one_picture() {
    let streamer = Streamer::start(&[]);
    let whole = mpegts(H264);
    let mut request = Request::begin(streamer.http, "whole", Some("video/mp2t"), None);
    request.send(&whole).unwrap();
    assert_eq!(request.end().0, 200);
    let mut joined = whole;
    let begins = joined
        .chunks_mut(188)
        .filter(|packet| packet[1] & 0x5f == 0x41 && packet[2] == 0);
    for packet in begins.skip(1).step_by(2) {
        // Where the second of two pictures begins nothing says that one does.
        packet[1] &= !0x40;
    }
    let mut request = Request::begin(streamer.http, "joined", Some("video/mp2t"), None);
    request.send(&joined).unwrap();
    // The body goes on, and the answer waits for none of it.
    let (status, said) = answer(&mut request.stream);
    assert_eq!(status, 415, "{said}");
    assert!(said.contains("several pictures"), "{said}");
}

/// Halves of pictures would be two frames.
#[test]
fn a_part_of_a_picture_of_mpegts_is_refused() {
    let streamer = Streamer::start(&[]);
    let whole = mpegts(H264);
    let is_video = |packet: &[u8]| packet[1] & 0x1f == 1 && packet[2] == 0;
    let packets: Vec<&[u8]> = whole.chunks(188).collect();
    let first = packets.iter().position(|packet| is_video(packet)).unwrap();
    let second = first
        + 1
        + packets[first + 1..]
            .iter()
            .position(|packet| is_video(packet))
            .unwrap();
    assert_eq!(packets[second][1] & 0x40, 0, "the first picture goes on");
    // Its header with its times, again, in front of its second packet.
    let mut header = payload(packets[first]).to_vec();
    header.truncate(9 + usize::from(header[8]));
    // Of no length that is known before.
    header[4..6].fill(0);
    let stuffing = 188 - 4 - 1 - header.len();
    let mut between = vec![0x47, 0x41, 0, 0x30, u8::try_from(stuffing).unwrap(), 0];
    between.resize(5 + stuffing, 0xff);
    between.extend(header);
    let mut split = packets[..second].concat();
    split.extend(between);
    split.extend(packets[second..].concat());
    let mut count = 0;
    for packet in split.chunks_mut(188).filter(|packet| is_video(packet)) {
        packet[3] = (packet[3] & 0xf0) | count;
        count = (count + u8::from(packet[3] & 0x10 != 0)) & 0x0f;
    }
    let mut request = Request::begin(streamer.http, "split", Some("video/mp2t"), None);
    let _ = request.send(&split);
    let (status, said) = answer(&mut request.stream);
    assert_eq!(status, 415, "{said}");
    assert!(said.contains("a part of a picture"), "{said}");
}

/// What a packet of MPEG-TS carries.
fn payload(packet: &[u8]) -> &[u8] {
    let has_adaptation = packet[3] & 0x20 != 0;
    let begins = if has_adaptation {
        5 + usize::from(packet[4])
    } else {
        4
    };
    &packet[begins..]
}

/// What never carried a frame opens no name, however often it comes.
#[test]
fn other_codecs_in_mpegts_are_named_and_keep_no_name() {
    let streamer = Streamer::start(&["--max-feeds", "2"]);
    for (encoder, named) in [("mpeg2video", "video/mpeg"), ("libx265", "video/x-h265")] {
        let body = mpegts(&[encoder]);
        for number in 0..4 {
            let name = format!("{encoder}-{number}");
            let request = Request::begin(streamer.http, &name, Some("video/mp2t"), None);
            refused(request, &body, 415, named);
        }
    }
    assert_eq!(get(streamer.http, "/feeds").1, "[]");
    let mut right = Request::begin(streamer.http, "room", Some("video/mp2t"), None);
    right.send(&mpegts(H264)).unwrap();
    assert_eq!(right.end().0, 200);
}

/// Silent connections on both ports, more than there is room for, keep nobody out; nor does RTSP nonsense.
#[test]
fn a_silent_crowd_and_nonsense_keep_nobody_out() {
    let mut streamer = Streamer::start(&["--max-connections", "64"]);
    let crowd: Vec<_> = (0..200)
        .flat_map(|_| {
            [
                TcpStream::connect(streamer.http).unwrap(),
                TcpStream::connect(streamer.rtsp).unwrap(),
            ]
        })
        .collect();
    let feed = Feed::start(streamer.http, "room", (640, 360), 30, 1000);
    streamer.wait_frames("room", 5);

    let zeros = vec![0; 100_000];
    let nonsense: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\n\r\n",
        &zeros,
        b"OPTIONS\r\n\r\n",
        b"DESCRIBE rtsp://x/../../etc/passwd RTSP/1.0\r\nCSeq: x\r\n\r\n",
        b"PLAY rtsp://x/room RTSP/1.0\r\nCSeq: 1\r\nSession: none\r\nContent-Length: 99999999999\r\n\r\n",
        b"SETUP rtsp://x/room/stream=0 RTSP/1.0\r\nCSeq: 1\r\nTransport: nonsense;;;=\r\n\r\n",
    ];
    for bytes in nonsense {
        let mut stream = TcpStream::connect(streamer.rtsp).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_millis(500)))
            .unwrap();
        let _ = stream.write_all(bytes);
        let _ = stream.read(&mut [0; 1024]);
    }
    let mut long = TcpStream::connect(streamer.rtsp).unwrap();
    let _ = long.write_all(b"OPTIONS rtsp://x/ RTSP/1.0\r\nCSeq: 1\r\n");
    for count in 0..20_000 {
        if long
            .write_all(format!("X-Header-{count}: {}\r\n", "y".repeat(100)).as_bytes())
            .is_err()
        {
            break;
        }
    }

    let nobody = Rtsp::connect(streamer.rtsp).ask("DESCRIBE", "nobody", &[]);
    assert!(nobody.starts_with("RTSP/1.0 404"), "{nobody}");
    Viewer::start(&streamer.url("room"), "tcp").wait("a key frame", |packet| packet.key);
    assert!(streamer.is_running());
    assert_eq!(get(streamer.http, "/feeds").0, 200);
    assert_eq!(feed.stop().0, 200);
    drop(crowd);
}

/// A pipe holds 64 KiB of log, and each refusal is logged.
#[test]
fn a_log_that_nobody_reads_holds_nothing_up() {
    let (unread, log) = std::io::pipe().unwrap();
    let mut streamer = Streamer::start_with_log(&[], log.into());
    for _ in 0..1000 {
        let mut request = Request::begin(streamer.http, "x", Some("video/webm"), None);
        let _ = request.send(b"x");
        assert_eq!(request.end().0, 415);
    }
    let begun = Instant::now();
    assert_eq!(get(streamer.ops, "/live").0, 200);
    assert!(begun.elapsed() < PATIENCE / 2, "{:?}", begun.elapsed());
    let feed = Feed::start(streamer.http, "room", (640, 360), 30, 1000);
    streamer.wait_frames("room", 5);
    Viewer::start(&streamer.url("room"), "tcp").wait("a key frame", |packet| packet.key);
    assert_eq!(feed.stop().0, 200);
    let (took, code) = streamer.terminate();
    assert_eq!(code, Some(0));
    assert!(took < ENDED_WITHIN, "{took:?}");
    drop(unread);
}

#[test]
fn a_taken_port_and_a_wrong_flag_are_told() {
    let streamer = Streamer::start(&[]);
    // So many files that the default of connections fits and the most does not, on whatever machine.
    let try_start = |args: &[&str]| {
        let output = Command::new("prlimit")
            .args(["--nofile=4096:4096", env!("CARGO_BIN_EXE_xr-streamer")])
            .args(args)
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let taken = streamer.http.to_string();
    let (code, text) = try_start(&[
        "--http",
        &taken,
        "--rtsp",
        "127.0.0.1:0",
        "--ops",
        "127.0.0.1:0",
    ]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains(&taken) && text.contains("--http"), "{text}");
    let (code, text) = try_start(&["--max-connections", "1000000"]);
    assert_eq!(code, Some(64), "{text}");
    assert!(
        text.contains("--max-connections") && text.contains("ulimit -n"),
        "{text}"
    );
    let (code, text) = try_start(&["--stall-ms", "1"]);
    assert_eq!(code, Some(64), "{text}");
    assert!(text.contains("--stall-ms"), "{text}");
}
