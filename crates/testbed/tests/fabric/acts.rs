//! What this program does inside.

use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use testbed::local::fabric::{RTP_NODE_PORTS, RtpOverUdp};
use testbed::local::plan::{Fabric, LabPlan, Liqo, Service, TrafficPolicy};

use crate::labs::{FEED_PORT, QUIC_PORT, RTSP_PORT, Stage, far, plan, up};
use crate::pcap::{self, largest, of_size};
use crate::talk::{Talk, rtp, stream};

/// A UDP port of the streamer that no service has.
const ANY_PORT: u16 = 40_000;

/// What an overlay adds: IP, UDP, Geneve or VXLAN, Ethernet; in bytes.
const OVERLAY_BYTES: u16 = 50;

/// A renderer's packet, in bytes, and the IP and UDP headers in front of it.
const RTP_BYTES: u16 = 1150;
const HEADER_BYTES: u16 = 28;

/// A lab to talk through.
type Asked = fn() -> LabPlan;

/// Every act, and the lab that it plays in.
pub(crate) const ALL: [(&str, Asked); 11] = [
    ("single", || plan(Fabric::Single)),
    ("single_headless", || headless(plan(Fabric::Single))),
    ("nodeport_cluster", || {
        plan(Fabric::NodePort(TrafficPolicy::Cluster))
    }),
    ("nodeport_local", || {
        plan(Fabric::NodePort(TrafficPolicy::Local))
    }),
    ("nodeport_local_far", || {
        over_the_hills(plan(Fabric::NodePort(TrafficPolicy::Local)))
    }),
    ("liqo_v1_2", || plan(Fabric::Liqo(Liqo::V1_2))),
    ("liqo_v1_2_headless_far", || {
        over_the_hills(headless(plan(Fabric::Liqo(Liqo::V1_2))))
    }),
    ("liqo_v1_2_overlapping", || {
        overlapping(plan(Fabric::Liqo(Liqo::V1_2)))
    }),
    ("liqo_v0_10", || plan(Fabric::Liqo(Liqo::V0_10))),
    ("liqo_v0_10_overlapping_headless", || {
        headless(overlapping(plan(Fabric::Liqo(Liqo::V0_10))))
    }),
    (RESTARTS, || over_the_hills(plan(Fabric::Liqo(Liqo::V1_2)))),
];

/// The act in which the fabric's processes die and come back.
const RESTARTS: &str = "liqo_restarts";

/// One way, over [`over_the_hills`].
const DELAY: Duration = Duration::from_millis(5);

fn headless(plan: LabPlan) -> LabPlan {
    LabPlan {
        service: Service::Headless,
        ..plan
    }
}

fn overlapping(plan: LabPlan) -> LabPlan {
    LabPlan {
        overlapping: true,
        ..plan
    }
}

fn over_the_hills(plan: LabPlan) -> LabPlan {
    LabPlan {
        wan: far(DELAY),
        ..plan
    }
}

pub(crate) fn play(act: &str) {
    let (_, asked) = ALL
        .iter()
        .find(|(name, _)| *name == act)
        .unwrap_or_else(|| panic!("no act {act:?}"));
    let plan = asked();
    let dir = tempfile::tempdir().expect("a temporary folder");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        if act == RESTARTS {
            restarts(&plan, dir.path()).await;
        } else {
            reaches(&plan, dir.path()).await;
        }
    });
}

/// Everything that a fabric promises.
async fn reaches(plan: &LabPlan, dir: &Path) {
    let mut stage = up(plan, dir).await;
    let crosses = plan.fabric != Fabric::Single;
    let point = if crosses { "wan-a" } else { "bridge-a" };
    let capture = capture(&stage, point, dir, "").await;
    let overlay = match plan.fabric {
        Fabric::Liqo(version) => {
            let port = match version {
                Liqo::V1_2 => 6091,
                Liqo::V0_10 => 4879,
            };
            let filter = format!("udp dst port {port}");
            Some(self::capture(&stage, "gateway-b", dir, &filter).await)
        }
        Fabric::Single | Fabric::NodePort(_) | Fabric::Lisp => None,
    };
    tcp(plan, &stage);
    udp(&stage);
    too_big(plan, &stage).await;
    moves(&mut stage).await;
    let end = async |capture: testbed::local::capture::Capture| {
        let path = capture.path().to_owned();
        let captured = capture
            .end()
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(captured.dropped, 0);
        pcap::read(&path)
    };
    let packets = end(capture).await;
    on_the_way(&stage, &packets);
    if let Some(overlay) = overlay {
        let packets = end(overlay).await;
        let most = stage.reach.mtu_bytes + OVERLAY_BYTES;
        assert_eq!(largest(&packets), most, "the overlay's outside");
    }
    stage.lab.down().await.expect("down");
}

async fn capture(
    stage: &Stage,
    point: &str,
    dir: &Path,
    filter: &str,
) -> testbed::local::capture::Capture {
    let end = &stage.reach.captures[point];
    let path = dir.join(format!("{point}.pcap"));
    stage
        .lab
        .capture(&end.namespace, &end.interface, &path, Some(filter))
        .await
        .unwrap_or_else(|error| panic!("{error}"))
}

/// Feeds and RTSP reach the streamer, which sees who the fabric says it is; segments are as large as the path.
fn tcp(plan: &LabPlan, stage: &Stage) {
    let reach = &stage.reach;
    let streamer = stage.netns("streamer");
    let before = Instant::now();
    let feed = stream(stage.netns("renderer"), reach.feed, streamer, FEED_PORT);
    let took = before.elapsed();
    let view = stream(stage.netns("client"), reach.rtsp, streamer, RTSP_PORT);
    if plan.wan.preset.is_none() && plan.wan != testbed::wan::Wan::default() {
        assert!(
            took >= 2 * DELAY,
            "{took:?} over a WAN of {DELAY:?} one way"
        );
    }
    let second: u8 = if plan.overlapping { 11 } else { 1 };
    // The client is cluster A's last pod: after the renderer, and in `single` after the streamer.
    let (renderer, client) = match plan.fabric {
        Fabric::Single => ([10, 1, 0, 10], [10, 1, 0, 12]),
        Fabric::NodePort(TrafficPolicy::Cluster) => ([10, 2, 0, 1], [10, 2, 0, 1]),
        Fabric::NodePort(TrafficPolicy::Local) => ([192, 168, 100, 1], [192, 168, 100, 1]),
        Fabric::Liqo(_) | Fabric::Lisp => ([10, second, 0, 10], [10, second, 0, 11]),
    };
    assert_eq!(feed.peer, IpAddr::from(renderer), "the renderer");
    assert_eq!(view.peer, IpAddr::from(client), "the client");
    // Twelve bytes of each segment are time stamps.
    let most = match plan.fabric {
        Fabric::Single | Fabric::NodePort(_) => 1460 - 12,
        // Nobody clamps: the client learns it from the first packet that is too large, which it may not have sent yet.
        Fabric::Liqo(Liqo::V0_10) => return,
        Fabric::Liqo(Liqo::V1_2) => 1300 - 12,
        Fabric::Lisp => 1424 - 12,
    };
    assert_eq!(view.segment_bytes, most);
}

/// RTP on UDP comes where the fabric says so, and only there; the largest packet that fits passes, one byte more does not.
fn udp(stage: &Stage) {
    let reach = &stage.reach;
    let largest = usize::from(reach.max_udp_payload_bytes());
    let rtp_bytes = usize::from(RTP_BYTES);
    let sizes = [rtp_bytes, largest + 1, largest, rtp_bytes];
    let whole = vec![rtp_bytes, largest, rtp_bytes];
    let (client, streamer) = (stage.netns("client"), stage.netns("streamer"));
    let from = |server_port| rtp(client, reach.rtsp, streamer, RTSP_PORT, server_port, &sizes);
    match &reach.rtp_over_udp {
        RtpOverUdp::Works => assert_eq!(from(ANY_PORT), whole),
        RtpOverUdp::WorksFromPorts(ports) => {
            assert_eq!(from(*ports.start()), whole);
            assert_eq!(from(*ports.end()), whole);
            assert_eq!(from(ANY_PORT), Vec::<usize>::new(), "a port of no service");
        }
        RtpOverUdp::CannotReturn { .. } => {
            for server_port in [ANY_PORT, *RTP_NODE_PORTS.start()] {
                assert_eq!(from(server_port), Vec::<usize>::new(), "{server_port}");
            }
        }
    }
}

/// The one packet of [`udp`] that was too large is counted where it was dropped. Where no link is smaller than the sender's own
/// it never left.
async fn too_big(plan: &LabPlan, stage: &Stage) {
    let found = stage.lab.too_big().await.expect("counted");
    let dropped: u64 = found.values().map(|of| of.dropped).sum();
    let on_the_way = matches!(plan.fabric, Fabric::Liqo(_));
    assert_eq!(dropped > 0, on_the_way, "{found:?}");
    let places: Vec<&str> = found.keys().map(String::as_str).collect();
    assert!(
        found.values().all(|of| of.fragmented == 0),
        "nothing may be cut up: {places:?}"
    );
}

/// A client that gets another address is heard from there on the socket that it has, is answered, and comes home again.
async fn moves(stage: &mut Stage) {
    let talk = Talk::new(stage.netns("client"), stage.netns("streamer"), QUIC_PORT);
    let at = stage.reach.quic;
    let home = talk.question(at, 1);
    let (old, new) = stage.lab.pod_move("client").await.expect("it moves");
    assert_ne!(old, new);
    // What follows the translation of one source address cannot have another's.
    let away = talk.question(at, 2);
    assert_ne!(home, away);
    let back = stage.lab.pod_move("client").await.expect("back");
    assert_eq!(back, (new, old));
    assert_eq!(talk.question(at, 3), home);
    let error = stage.lab.pod_move("node-a").await.expect_err("no pod");
    assert!(error.to_string().contains("client"), "{error}");
}

/// What crossed the WAN, or in `single` the bridge, is what the byte budget says.
fn on_the_way(stage: &Stage, packets: &[pcap::Packet]) {
    let reach = &stage.reach;
    let most = reach.wan_packet_bytes(reach.mtu_bytes);
    assert_eq!(largest(packets), most, "the largest packet");
    if let Some(port) = reach.wan_udp_port() {
        assert_eq!(most, 1400);
        for packet in packets {
            let is_tunnel = packet.protocols.ends_with(":ip:udp:wg");
            let is_its_port = packet.udp_ports.contains(&port);
            assert!(is_tunnel && is_its_port, "not the tunnel's: {packet:?}");
        }
    } else {
        for word in ["tcp", "udp"] {
            let seen = packets.iter().any(|packet| packet.protocols.contains(word));
            assert!(seen, "no {word}");
        }
    }
    if !matches!(reach.rtp_over_udp, RtpOverUdp::CannotReturn { .. }) {
        let size = reach.wan_packet_bytes(RTP_BYTES + HEADER_BYTES);
        assert!(of_size(packets, size) >= 2, "RTP packets of {size} bytes");
    }
}

/// A gateway's tunnel, and the WAN, come back by themselves once they are started again.
///
/// The dialled gateway does too, but only once the other one misses its answers: WireGuard takes fifteen seconds for that.
async fn restarts(plan: &LabPlan, dir: &Path) {
    let mut stage = up(plan, dir).await;
    let check = |stage: &Stage| {
        let (client, streamer) = (stage.netns("client"), stage.netns("streamer"));
        stream(client, stage.reach.rtsp, streamer, RTSP_PORT);
    };
    check(&stage);
    for role in ["wireguard-a", "wan"] {
        stage.lab.daemon_kill(role).await.expect("it runs");
        stage
            .lab
            .daemon_restart(role)
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        check(&stage);
    }
    stage.lab.down().await.expect("down");
}
