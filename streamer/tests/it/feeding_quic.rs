//! Feeds over QUIC: taken as those over HTTP are, and refused for the same reasons.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use roq::feed::{Destination, FeedError, Feeding};
use roq::framing::{FlowId, stream};
use roq::signal::{Declined, Hidden, Mode, Offer, Told};
use roq::transport::Tuning;
use roq::trust::Trust;
use settings::Congestion;
use tempfile::TempDir;

use crate::server::{Streamer, get};

const TOKEN: &str = "swordfish";

const KEY: &[u8] = &[0x65, 0x88, 1];
const DELTA: &[u8] = &[0x61, 0x9a, 1];
const SPS: &[u8] = &[0x67, 0x42, 0xc0, 0x1f, 0xda];

/// A streamer that takes feeds over QUIC with [`TOKEN`].
struct Server {
    streamer: Streamer,
    _folder: TempDir,
}

impl Server {
    fn start(args: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file: PathBuf = folder.path().join("token");
        std::fs::write(&file, TOKEN).unwrap();
        let mut all = vec!["--quic", "127.0.0.1:0", "--feed-token-file"];
        all.push(file.to_str().unwrap());
        all.extend(args);
        Self {
            streamer: Streamer::start(&all),
            _folder: folder,
        }
    }

    async fn offer(&self, offer: Offer) -> Result<Feeding, FeedError> {
        roq::feed::offer(&destination(&self.streamer), offer).await
    }

    async fn feed(&self, name: &str) -> Feeding {
        self.offer(offer(name, Some(TOKEN))).await.unwrap()
    }

    fn refused(&self, reason: &str) -> u64 {
        let line = format!("xr_streamer_refused_feeds_total{{reason=\"{reason}\"}}");
        self.streamer.metric(&line)
    }
}

fn destination(streamer: &Streamer) -> Destination {
    let said = |key: &str| streamer.ready[key].as_str().unwrap();
    let address: std::net::SocketAddr = said("quic").parse().unwrap();
    Destination {
        host: address.ip().to_string(),
        port: address.port(),
        trust: Trust::Pinned(said("quic_pin").parse().unwrap()),
        tuning: Tuning {
            congestion: Congestion::Bbr,
            initial_window_bytes: 256 * 1024,
        },
        key_log: false,
    }
}

fn offer(name: &str, token: Option<&str>) -> Offer {
    Offer {
        name: name.to_owned(),
        by: Mode::Stream,
        token: token.map(|token| Hidden(token.to_owned())),
        process: None,
        payload_type: 96,
        sprop_parameter_sets: None,
    }
}

fn packet(number: u16, timestamp: u32, marker: bool, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, u8::from(marker) << 7 | 0x60];
    packet.extend(number.to_be_bytes());
    packet.extend(timestamp.to_be_bytes());
    packet.extend([9; 4]);
    packet.extend(payload);
    packet
}

/// Sends packets on a stream of their own.
async fn send(feeding: &Feeding, packets: &[Vec<u8>]) {
    let bytes = stream(FlowId::RTP, packets.iter().map(Vec::as_slice));
    let mut stream = feeding.connection().open_uni().await.unwrap();
    stream.write_chunk(bytes).await.unwrap();
    stream.finish().unwrap();
}

/// A key frame of two packets.
fn key_frame(number: u16, timestamp: u32) -> [Vec<u8>; 2] {
    [
        packet(number, timestamp, false, SPS),
        packet(number.wrapping_add(1), timestamp, true, KEY),
    ]
}

async fn declined(feeding: &mut Feeding) -> Declined {
    loop {
        match feeding.told().await {
            Ok(Told::Declined(declined)) => return declined,
            Ok(_) => {}
            Err(why) => panic!("{why}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_is_put_in_order_and_asked_for_what_is_missing() {
    let server = Server::start(&[]);
    let mut feeding = server.feed("room").await;
    // The second frame is faster than the first.
    send(&feeding, &[packet(2, 1500, true, DELTA)]).await;
    send(&feeding, &key_frame(0, 0)).await;
    server.streamer.wait_frames("room", 2);
    assert_eq!(server.streamer.state("room"), "live");
    let begun = "xr_streamer_begun_feeds_total{transport=\"quic-stream\"}";
    assert_eq!(server.streamer.metric(begun), 1);
    // Number 3 is lost for good.
    send(&feeding, &[packet(4, 4500, true, DELTA)]).await;
    assert_eq!(feeding.told().await, Ok(Told::Keyframe));
    server.streamer.wait_frames("room", 3);
    let missing = "xr_streamer_missing_packets_total{feed=\"room\"}";
    assert_eq!(server.streamer.metric(missing), 1);
    assert_eq!(
        server.streamer.metric("xr_streamer_quic_fed_packets_total"),
        4
    );
    // The same points as of any feed.
    let (_, trace) = get(server.streamer.ops, "/trace?name=room");
    assert!(trace.contains("ingested"), "{trace}");
    feeding.end().await;
    server.streamer.wait("the end of the feed", |streamer| {
        streamer.state("room") == "gone"
    });
    assert_eq!(server.refused("cut"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_is_judged_as_a_request_over_http_is() {
    let server = Server::start(&["--max-feeds", "1"]);
    let holder = server.feed("held").await;
    send(&holder, &key_frame(0, 0)).await;
    server.streamer.wait_frames("held", 1);
    let wrong_type = Offer {
        payload_type: 200,
        ..offer("held", Some(TOKEN))
    };
    for (offer, status, words) in [
        (offer("room", Some("herring")), 401, "another token"),
        (offer("room", None), 401, "no token"),
        (offer("..", Some(TOKEN)), 400, "1 to 64 characters"),
        (offer("room", Some(TOKEN)), 503, "--max-feeds"),
        (wrong_type, 415, "payload=200"),
    ] {
        let refused = server.offer(offer).await;
        let Err(FeedError::Declined(declined)) = refused else {
            panic!("{words}: {refused:?}");
        };
        assert_eq!(declined.status, status, "{}", declined.why);
        assert!(declined.why.contains(words), "{}", declined.why);
        assert!(!declined.why.contains("herring"), "{}", declined.why);
    }
    assert_eq!(server.refused("token"), 2);
    // The same token is the same owner: the older feed is told.
    let mut older = holder;
    let newer = server.feed("held").await;
    send(&newer, &key_frame(0, 90_000)).await;
    let told = declined(&mut older).await;
    assert_eq!(told.status, 409, "{}", told.why);
    server.streamer.wait_frames("held", 2);

    let open = Streamer::start(&["--quic", "127.0.0.1:0"]);
    let refused = roq::feed::offer(&destination(&open), offer("room", Some(TOKEN))).await;
    let Err(FeedError::Declined(declined)) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(declined.status, 403);
    assert!(
        declined.why.contains("--feed-token-file"),
        "{}",
        declined.why
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_feed_ends_it_and_no_other() {
    let server = Server::start(&[]);
    let good = server.feed("good").await;
    send(&good, &key_frame(0, 0)).await;
    server.streamer.wait_frames("good", 1);
    let long = packet(1, 1500, true, &[0x61; 1500]);
    let mut version = packet(1, 1500, true, DELTA);
    version[0] = 0;
    let mut other_type = packet(1, 1500, true, DELTA);
    other_type[1] = 0x80 | 0x61;
    let endless: Vec<Vec<u8>> = (0..4097)
        .map(|number| packet(number, 0, false, DELTA))
        .collect();
    for (number, (packets, status, words)) in [
        (vec![long], 413, "1512 bytes"),
        (vec![version], 400, "version 0"),
        (vec![vec![0x80; 5]], 400, "shorter than"),
        (vec![other_type], 400, "type 97"),
        (endless, 413, "4096 packets"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut bad = server.feed(&format!("bad-{number}")).await;
        send(&bad, &packets).await;
        let told = declined(&mut bad).await;
        assert_eq!(told.status, status, "{words}: {}", told.why);
        assert!(told.why.contains(words), "{}", told.why);
    }
    // What is not even framed is not believed for long.
    let mut bad = server.feed("noise").await;
    for _ in 0..64 {
        let noise = Bytes::from_static(&[0xc0, 1]);
        bad.connection().send_datagram_wait(noise).await.unwrap();
    }
    let ended = bad.told().await;
    assert!(
        !matches!(ended, Ok(Told::Taking(_) | Told::Keyframe)),
        "{ended:?}"
    );
    server
        .streamer
        .wait("all are counted", |_| server.refused("garbage") >= 4);

    // A feed that is gone in the middle of a frame.
    let cut = server.feed("cut").await;
    send(&cut, &key_frame(0, 0)).await;
    server.streamer.wait_frames("cut", 1);
    let mut half = cut.connection().open_uni().await.unwrap();
    half.write_all(&[1, 40, 0x80, 0x60, 0]).await.unwrap();
    drop(cut);
    server
        .streamer
        .wait("its end", |streamer| streamer.state("cut") == "gone");

    send(&good, &[packet(2, 1500, true, DELTA)]).await;
    server.streamer.wait_frames("good", 2);
    assert_eq!(server.streamer.state("good"), "live");
}

/// As over HTTP: five hundred frames at once, then a thousand a second.
#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_is_too_fast_is_slowed_down() {
    let server = Server::start(&[]);
    let feeding = server.feed("room").await;
    let started = Instant::now();
    send(&feeding, &key_frame(0, 0)).await;
    let frames: Vec<_> = (2..3002)
        .map(|number| packet(number, u32::from(number) * 1500, true, DELTA))
        .collect();
    send(&feeding, &frames).await;
    server.streamer.wait_frames("room", 3001);
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(2_400), "{took:?}");
}
