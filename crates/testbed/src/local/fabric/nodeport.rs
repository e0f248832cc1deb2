//! `nodeport`: the clusters share nothing; the streamer's service has ports on cluster B's node, and cluster A's pods dial
//! those with their own node's address, as every packet gets it that leaves a cluster.
//!
//! RTP on UDP goes to the address that the RTSP connection came from, at the port that the viewer named. With policy `Cluster`
//! that address is node B's own: nothing comes back. With `Local` it is node A's, which knows the way on only if the viewer has
//! sent from that port to where RTP comes from. Viewers do, between SETUP and PLAY, to open the path; so it works where the
//! streamer serves from ports that are NodePorts of the same numbers, and nowhere else: from any other port node B answers the
//! viewer itself, and then gives the stream another source port, which node A does not know. RTCP is no such case: the
//! streamer's first sender report comes before the viewer's first report, finds no way on, and later ones share its fate.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::RangeInclusive;

use super::address::Site;
use super::carriers::Carriers;
use super::draft::{self, Draft};
use super::inputs::FabricInputs;
use super::kube_proxy::{KubeProxy, Protocol, ServicePort};
use super::reach::{BuiltFabric, ETHERNET_MTU_BYTES, RtpOverUdp, StreamerReach};
use super::{node, wan_end};
use crate::Cluster;
use crate::local::plan::{LabPlan, TrafficPolicy};

/// The node's port for feeds.
pub const FEED_NODE_PORT: u16 = 30080;

/// The node's port for RTSP.
pub const RTSP_NODE_PORT: u16 = 30554;

/// The node's port for RTP over QUIC. All of a viewer's packets come from and go to this one, so either policy will do.
pub const QUIC_NODE_PORT: u16 = 30555;

/// The node's ports for RTP and RTCP, which the streamer must serve from: two for each stream, four streams.
pub const RTP_NODE_PORTS: RangeInclusive<u16> = 30600..=30607;

pub(super) fn build(plan: &LabPlan, given: &FabricInputs, policy: TrafficPolicy) -> BuiltFabric {
    let [a, b] = [Cluster::A, Cluster::B].map(|cluster| Site::new(cluster, false));
    let mut draft = Draft::default();
    let wan = wan_end::wan(&mut draft, plan, given);
    // B first: by the time that A's pods can send, B listens.
    for site in [&b, &a] {
        let pods = draft::pods(plan, site);
        let names: Vec<&str> = pods.iter().map(|pod| pod.name.as_str()).collect();
        let mut node = node::node(&mut draft, site, &names);
        wan.attach(&mut node, site);
        node.nft = node::masquerade(&[site.pods]);
        if site.cluster == Cluster::B {
            let service = site.streamer_service();
            let streamer = draft::streamer(&pods).address;
            node.nft += &KubeProxy {
                local: Some(site.pods),
                services: site.services,
                node: site.node_address,
                ports: &streamer_ports(plan, service, streamer, Some(policy)),
            }
            .ruleset();
        }
        draft.topology.namespaces.push(node);
        for pod in &pods {
            let pod = node::pod(&mut draft, site, pod);
            draft.topology.namespaces.push(pod);
        }
    }
    let node = b.node_address;
    let (name, word, rtp_over_udp) = match policy {
        TrafficPolicy::Cluster => (
            "nodeport-cluster",
            "Cluster",
            RtpOverUdp::CannotReturn {
                reason: "kube-proxy masquerades what comes to a NodePort with externalTrafficPolicy Cluster: the streamer \
                         sends RTP to its own node, which has nobody to give it to",
            },
        ),
        TrafficPolicy::Local => (
            "nodeport-local",
            "Local",
            RtpOverUdp::WorksFromPorts(RTP_NODE_PORTS),
        ),
    };
    BuiltFabric {
        topology: draft.topology,
        reach: StreamerReach {
            name,
            feed: SocketAddrV4::new(node, FEED_NODE_PORT),
            rtsp: SocketAddrV4::new(node, RTSP_NODE_PORT),
            quic: SocketAddrV4::new(node, QUIC_NODE_PORT),
            rtp_over_udp,
            mtu_bytes: ETHERNET_MTU_BYTES,
            wan_crossings: draft::wan_crossings(plan),
            encapsulations: Vec::new(),
            backend: format!("nftables; WAN {}", wan.carrier.text()),
            carriers: Carriers {
                wan: Some(wan.carrier),
                ..Carriers::default()
            },
            service: format!("NodePort on {node}, externalTrafficPolicy {word}"),
            captures: draft.captures,
        },
    }
}

/// The ports of the streamer's service; with `policy` as NodePorts too, and then with those for RTP.
pub(super) fn streamer_ports(
    plan: &LabPlan,
    service: Ipv4Addr,
    streamer: Ipv4Addr,
    policy: Option<TrafficPolicy>,
) -> Vec<ServicePort> {
    let port = |name: &str, protocol: Protocol, port: u16, node_port: u16| ServicePort {
        name: format!("xr/streamer/{}/{name}", protocol.as_str()),
        protocol,
        service: SocketAddrV4::new(service, port),
        node_port: policy.map(|policy| (node_port, policy)),
        endpoint: SocketAddrV4::new(streamer, port),
    };
    let mut ports = vec![
        port("feed", Protocol::Tcp, plan.feed_port, FEED_NODE_PORT),
        port("rtsp", Protocol::Tcp, plan.rtsp_port, RTSP_NODE_PORT),
        port("quic", Protocol::Udp, plan.quic_port, QUIC_NODE_PORT),
    ];
    if policy.is_some() {
        let rtp = RTP_NODE_PORTS.map(|at| port(&format!("rtp-{at}"), Protocol::Udp, at, at));
        ports.extend(rtp);
    }
    ports
}
