//! What viewers get.

use std::collections::HashSet;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::feeding::{Feed, RTP, Request, framed, packet};
use crate::server::{ENDED_WITHIN, Streamer, get};
use crate::speaking::Rtsp;
use crate::surviving::{SETS, TCP, wait_viewable};
use crate::viewing::{Viewer, deaf, hear, missed};

/// After how long a viewer that reads nothing is dropped. It is so long that who waits for it can be told from a machine that stands
/// still.
pub(crate) const SLOW_MS: &str = "8000";

/// The longest pause of a viewer that does not wait for another one.
const STANDS_STILL: Duration = Duration::from_secs(5);

/// A feed ends, another of another size takes the name, and viewers on both transports go on without noticing more
/// than a pause: one SSRC, no gap in the sequence numbers, every timestamp as the encoder set it.
#[test]
fn viewers_go_on_when_the_name_comes_back() {
    let streamer = Streamer::start(&[]);
    let first = Feed::start(streamer.http, "room", (640, 360), 30, 1000);
    streamer.wait_frames("room", 5);
    let viewers = ["udp", "tcp"].map(|transport| Viewer::start(&streamer.url("room"), transport));
    for viewer in &viewers {
        viewer.wait("a key frame", |packet| packet.key);
    }
    assert_eq!(streamer.metric("xr_streamer_viewers{transport=\"udp\"}"), 1);
    assert_eq!(streamer.metric("xr_streamer_viewers{transport=\"tcp\"}"), 1);
    let mut sent = first.timestamps.lock().unwrap().clone();
    let kept = Arc::clone(&first.timestamps);
    let (status, body) = first.stop();
    assert_eq!(status, 200, "{body}");
    sent.extend(kept.lock().unwrap().iter());
    streamer.wait("the feed is gone", |streamer| {
        streamer.state("room") == "gone"
    });

    let second = Feed::start(streamer.http, "room", (854, 480), 30, 1000);
    for viewer in &viewers {
        viewer.wait("a key frame of the second feed", |packet| {
            packet.key && !sent.contains(&packet.timestamp)
        });
    }
    sent.extend(second.timestamps.lock().unwrap().iter());
    for viewer in &viewers {
        let received = viewer.received();
        assert!(
            received
                .iter()
                .all(|packet| packet.ssrc == received[0].ssrc)
        );
        assert_eq!(missed(&received), 0, "of {} packets", received.len());
        let now = second.timestamps.lock().unwrap().clone();
        assert!(
            received
                .iter()
                .all(|packet| sent.contains(&packet.timestamp) || now.contains(&packet.timestamp))
        );
    }
    // Few do where viewers take each at once: the second of a session, of which nothing is known yet, and those that come together
    // because the machine stood still.
    streamer.wait("fewer than half of the frames have waited", |streamer| {
        let count =
            |what| streamer.metric(&format!("xr_streamer_{what}_frames_total{{feed=\"room\"}}"));
        count("waited") * 2 < count("relayed")
    });
    let (_, trace) = get(streamer.ops, "/trace?after=0&limit=1000");
    assert!(
        trace.contains("\"ingested\"") && trace.contains("\"relayed\""),
        "{trace}"
    );
}

/// With a key frame only every 20 seconds, a viewer that joins gets one at once, because the streamer asks for it.
#[test]
fn late_joiners_get_a_key_frame() {
    let streamer = Streamer::start(&[]);
    let feed = Feed::start(streamer.http, "room", (640, 360), 600, 1000);
    streamer.wait_frames("room", 5);
    feed.obey(streamer.http, "room");
    let mut waits: Vec<Duration> = (0..20)
        .map(|count| {
            let transport = ["udp", "tcp"][count % 2];
            let begun = Instant::now();
            let viewer = Viewer::start(&streamer.url("room"), transport);
            let first = viewer.wait("a key frame", |packet| packet.key);
            first.at.duration_since(begun)
        })
        .collect();
    waits.sort();
    // From before the connection, on a machine that may be busy: the streamer's part is at most 0.2 s. Without asking, half of them
    // would wait longer.
    assert!(waits[18] < Duration::from_secs(9), "{waits:?}");
}

/// A viewer on TCP that reads nothing is dropped, and nobody else misses a packet for it.
#[test]
fn a_deaf_viewer_disturbs_nobody() {
    let streamer = Streamer::start(&["--slow-ms", SLOW_MS]);
    let feed = Feed::start(streamer.http, "room", (1280, 720), 30, 20_000);
    streamer.wait_frames("room", 5);
    let viewer = Viewer::start(&streamer.url("room"), "tcp");
    viewer.wait("a packet", |_| true);
    let _deaf = deaf(streamer.rtsp, "room");
    streamer.wait("the deaf viewer is dropped", |streamer| {
        streamer.metric("xr_streamer_dropped_connections_total{reason=\"slow\"}") == 1
    });
    let before = viewer.received().len();
    streamer.wait("the other goes on", |_| {
        viewer.received().len() > before + 200
    });
    let received = viewer.received();
    assert_eq!(missed(&received), 0);
    let pauses = received
        .windows(2)
        .map(|pair| pair[1].at.duration_since(pair[0].at));
    let longest = pauses.max().unwrap();
    assert!(
        longest < STANDS_STILL,
        "the other viewer stood still for {longest:?}"
    );
    drop(feed);
}

/// The only viewer on TCP is deaf: viewers on UDP do not wait for it.
#[test]
fn a_lone_deaf_viewer_does_not_stop_the_media() {
    let streamer = Streamer::start(&["--slow-ms", "3000"]);
    let feed = Feed::start(streamer.http, "room", (1280, 720), 30, 20_000);
    streamer.wait_frames("room", 5);
    let _deaf = deaf(streamer.rtsp, "room");
    let viewer = Viewer::start(&streamer.url("room"), "udp");
    viewer.wait("a packet", |_| true);
    // How long the streamer or this test stood still: the longest time from one answer to the next.
    let (mut still, mut asked) = (Duration::ZERO, Instant::now());
    streamer.wait("the deaf viewer is dropped", |streamer| {
        let dropped = streamer.metric("xr_streamer_dropped_connections_total{reason=\"slow\"}");
        still = still.max(asked.elapsed());
        asked = Instant::now();
        dropped == 1
    });
    let received = viewer.received();
    let pauses = received
        .windows(2)
        .map(|pair| pair[1].at.duration_since(pair[0].at));
    let longest = pauses.max().unwrap();
    assert!(
        longest < Duration::from_secs(2) + still,
        "stood still for {longest:?}, of which {still:?} are the machine's"
    );
    // With the deaf one gone nothing waits for it any more, and another on TCP gets frames as they come.
    let metric =
        |what| streamer.metric(&format!("xr_streamer_{what}_frames_total{{feed=\"room\"}}"));
    let more_frames = || {
        let sent = feed.timestamps.lock().unwrap().len() as u64;
        streamer.wait_frames("room", sent + 60);
    };
    let outrun = metric("outrun");
    more_frames();
    let outrun = metric("outrun") - outrun;
    assert!(outrun < 20, "{outrun} of 60 frames waited for nobody");
    let next = Viewer::start(&streamer.url("room"), "tcp");
    streamer.wait("frames over TCP", |_| next.received().len() > 100);
    // Those that come together because the machine stood still wait for one another: then the next two seconds tell.
    streamer.wait("fewer than half of 60 frames wait", |_| {
        let waited = metric("waited");
        more_frames();
        metric("waited") - waited < 30
    });
}

/// A viewer on TCP stood still for some seconds: what it missed comes at once when it reads again, and not each frame
/// only with the next one.
#[test]
fn a_viewer_that_fell_behind_catches_up() {
    /// More than the socket takes, and fewer than are kept, whoever is slow here.
    const FRAMES: u16 = 55;
    const PACKETS: u16 = 72;
    let streamer = Streamer::start(&["--slow-ms", "60000"]);
    let mut feed = Request::begin(streamer.http, "room", Some(&format!("{RTP}{SETS}")), None);
    let payload = [&[0x65, 0x88][..], &[1; 1100]].concat();
    let time = |frame: u16| u32::from(frame) * 3000;
    let mut send = |frame: u16| {
        let packets = (0..PACKETS).flat_map(|part| {
            let sequence = frame * PACKETS + part;
            packet(sequence, time(frame), part + 1 == PACKETS, &payload)
        });
        feed.send(&packets.collect::<Vec<_>>()).unwrap();
    };
    send(0);
    wait_viewable(&streamer);
    let mut viewer = Rtsp::connect(streamer.rtsp);
    viewer.play("room", TCP);
    (1..=FRAMES).for_each(&mut send);
    streamer.wait_frames("room", u64::from(FRAMES) + 1);
    let heard = Arc::new(Mutex::new(HashSet::new()));
    let note = Arc::clone(&heard);
    hear(viewer.stream, move |timestamp| {
        note.lock().unwrap().insert(timestamp);
    });
    let (status, body) = feed.end();
    assert_eq!(status, 200, "{body}");
    streamer.wait("the last frame arrives", |_| {
        heard.lock().unwrap().contains(&time(FRAMES))
    });
    let heard = heard.lock().unwrap();
    assert!((1..=FRAMES).all(|frame| heard.contains(&time(frame))));
    let metric =
        |what| streamer.metric(&format!("xr_streamer_{what}_frames_total{{feed=\"room\"}}"));
    assert!(metric("waited") > 5 && metric("outrun") == 0);
}

/// An unmodified ffmpeg feeds MPEG-TS, and an unmodified ffprobe views it.
#[test]
fn ffmpeg_feeds_and_ffprobe_views() {
    let streamer = Streamer::start(&[]);
    for (name, method) in [("put", "PUT"), ("post", "POST")] {
        let mut ffmpeg = Command::new("ffmpeg")
            .args([
                "-v",
                "error",
                "-re",
                "-f",
                "lavfi",
                "-i",
                "testsrc=size=640x360:rate=25",
                "-t",
                "300",
            ])
            .args([
                "-c:v",
                "libx264",
                "-tune",
                "zerolatency",
                "-g",
                "25",
                "-f",
                "mpegts",
                "-method",
                method,
            ])
            .arg(streamer.feed_url(name))
            .spawn()
            .unwrap();
        streamer.wait_frames(name, 5);
        for transport in ["udp", "tcp"] {
            let output = Command::new("ffprobe")
                .args([
                    "-v",
                    "error",
                    "-rtsp_transport",
                    transport,
                    "-read_intervals",
                    "%+1",
                ])
                .args([
                    "-show_entries",
                    "stream=codec_name,width,height:frame=pict_type",
                    "-of",
                    "csv",
                ])
                .arg(streamer.url(name))
                .output()
                .unwrap();
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(
                text.contains("h264,640,360") && text.contains("frame,I"),
                "{transport}: {text} {errors}"
            );
        }
        ffmpeg.kill().unwrap();
        ffmpeg.wait().unwrap();
        streamer.wait("ffmpeg's end is noticed", |streamer| {
            streamer.state(name) == "gone"
        });
        // Events would tell the next renderer that something of its feed has arrived.
        let (status, said) = get(streamer.http, &format!("/feeds/{name}/events"));
        assert_eq!(status, 404, "{said}");
    }
}

#[test]
fn a_feed_that_stalls_is_noticed_and_may_be_replaced() {
    let streamer = Streamer::start(&["--stall-ms", "300"]);
    let mut silent = Request::begin(streamer.http, "room", Some(RTP), None);
    silent.send(&framed(0, 0, &[0x65, 0x88, 1])).unwrap();
    streamer.wait("it stalls", |streamer| streamer.state("room") == "stalled");
    streamer.wait("metrics tell", |streamer| {
        streamer.metric("xr_streamer_feeds{state=\"stalled\"}") == 1
    });
    let feed = Feed::start(streamer.http, "room", (640, 360), 30, 1000);
    streamer.wait_frames("room", 10);
    let (status, body) = silent.end();
    assert_eq!(status, 409, "{body}");
    assert_eq!(feed.stop().0, 200);
}

#[test]
fn it_drains_with_feeds_and_viewers_on_it() {
    let mut streamer = Streamer::start(&[]);
    let _feed = Feed::start(streamer.http, "room", (640, 360), 30, 1000);
    streamer.wait_frames("room", 5);
    let viewers = ["udp", "tcp"].map(|transport| Viewer::start(&streamer.url("room"), transport));
    for viewer in &viewers {
        viewer.wait("a packet", |_| true);
    }
    assert_eq!(get(streamer.ops, "/ready").0, 200);
    let (took, code) = streamer.terminate();
    assert_eq!(code, Some(0));
    assert!(took < ENDED_WITHIN, "{took:?}");
}
