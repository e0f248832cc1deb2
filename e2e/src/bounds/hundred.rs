//! A hundred viewers of one feed over QUIC, and as many over RTSP: what each misses, and what each costs the streamer.

use std::time::{Duration, UNIX_EPOCH};

use roq::identity::Identity;
use roq::trust::Trust;

use super::figure::{Bound, Figure};
use super::viewers::span;
use crate::viewer::quic;
use crate::{Sandbox, Transport, Viewer, until};

const VIEWERS: usize = 100;

/// How long a viewer may wait for its first picture.
const PATIENCE: Duration = Duration::from_secs(10);

/// A feed small enough for a hundred viewers beside the streamer on one machine: 640x360, 30 frames and 1 Mbit a second.
const FEED: [&str; 2] = ["--bitrate", "1M"];

pub(super) async fn measure() -> Vec<Figure> {
    let sandbox = Sandbox::new();
    let now = UNIX_EPOCH + Duration::from_micros(service::clock::now().0);
    let identity = Identity::self_signed(now).expect("a certificate");
    let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| sandbox.path(name));
    identity.write(&certificate, &key).expect("files");
    let (certificate, key) = (certificate.display().to_string(), key.display().to_string());
    let flags = [
        "--quic",
        "127.0.0.1:0",
        "--quic-cert",
        &certificate,
        "--quic-key",
        &key,
        "--max-viewers",
        "256",
        "--max-viewers-per-peer",
        "256",
    ];
    let streamer = sandbox.streamer(&flags).await;
    let _renderer = sandbox.renderer(&streamer.feed_url("feed"), &FEED).await;
    let (url, at) = (streamer.rtsp_url("feed"), streamer.addr("quic"));
    let trust = Trust::Pinned(identity.pin());
    until("the feed", Duration::from_secs(30), async || {
        Viewer::play(&url, Transport::Udp).await.ok()
    })
    .await;
    let (alone, _) = span(&streamer, &[]).await;
    let mut figures = Vec::new();
    for (name, transport) in [
        ("QUIC datagrams", None),
        ("RTSP over UDP", Some(Transport::Udp)),
        ("RTSP over TCP", Some(Transport::Tcp)),
    ] {
        let mut viewers = Vec::new();
        for _ in 0..VIEWERS {
            let viewer = match transport {
                Some(transport) => Viewer::play(&url, transport).await,
                None => quic::play(at, "feed", &trust).await,
            };
            let viewer = viewer.expect("a session");
            let first = viewer.first_picture(PATIENCE).await;
            assert!(first.is_some(), "a viewer over {name} sees nothing");
            viewers.push(viewer);
        }
        let (cpu, seen) = span(&streamer, &viewers).await;
        let loss = seen.iter().map(|seen| seen.loss() * 100.0);
        let what = |of: &str| format!("{VIEWERS} viewers over {name}, {of}");
        let missed = Figure::of(
            what("packets missed by the worst"),
            loss.fold(0.0, f64::max),
            "%",
        );
        figures.push(missed.within(Bound::AtMost(0.1)));
        let each = (cpu - alone) / VIEWERS as f64;
        figures.push(Figure::of(
            what("each costs the streamer"),
            each,
            "% of a core",
        ));
    }
    figures
}
