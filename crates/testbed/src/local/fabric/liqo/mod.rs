//! `liqo`: pods keep their addresses across clusters. A packet goes from its pod over the node into the overlay, which ends in
//! the cluster's gateway, through WireGuard to the other gateway, and back out the same way. The tunnel is dialled by
//! cluster A, with its node's address as every packet that leaves a cluster, to a NodePort of cluster B.
//!
//! | | v1.2 | v0.10 |
//! | --- | --- | --- |
//! | gateway | a pod on the bridge | a namespace of the node, joined by a pair of devices |
//! | overlay | Geneve, UDP 6091, else VXLAN on that port | VXLAN 18952, UDP 4879, addresses in 240.0.0.0/8 |
//! | tunnel | `liqo-tunnel`, UDP 51840, 169.254.18.1 and .2 | `liqo.tunnel`, UDP 5871, no addresses |
//! | MTU of overlay and tunnel | 1340 | 1340 |
//! | TCP's segment size | clamped at the gateways | left to path MTU discovery |
//!
//! Departures from the original:
//! - Names of tunnels end in the cluster's letter: both are made on one machine, and `wireguard-go` keeps its control sockets
//!   in one folder.
//! - v1.2: the gateways' probes (UDP 12345 each 2 s) are a keep-alive of the same interval.
//! - v0.10: its overlay connects nodes, its gateway hangs off one of them by a pair of devices. A cluster has one node here, so
//!   the overlay runs over that pair: the packet is wrapped once and crosses one pair, as from a node that is not the gateway's
//!   own. The tunnel's socket is in the gateway's namespace, not the node's.
//! - No rule stops the node from masquerading what goes to remote pods: here a node masquerades only what leaves by the WAN.

mod gateway;
mod peering;
mod plane;
mod remap;

use std::net::SocketAddrV4;

use self::peering::{MTU_BYTES, Peering};
use self::plane::Plane;
use super::address::{Prefix, Site};
use super::carriers::{Carriers, TunnelCarrier};
use super::draft::{self, Draft};
use super::inputs::FabricInputs;
use super::kube_proxy::{KubeProxy, Protocol, ServicePort};
use super::reach::{BuiltFabric, Encapsulation, RtpOverUdp, StreamerReach};
use super::wan_end::{self, WanLink};
use super::{node, nodeport};
use crate::Cluster;
use crate::local::plan::{LabPlan, Liqo, Service, TrafficPolicy};

pub(super) fn build(plan: &LabPlan, given: &FabricInputs, version: Liqo) -> BuiltFabric {
    let [a, b] = [Cluster::A, Cluster::B].map(|cluster| Site::new(cluster, plan.overlapping));
    let plane = Plane::new(version, given.backends.overlay);
    let mut draft = Draft::default();
    let wan = wan_end::wan(&mut draft, plan, given);
    let [pods_a, pods_b] = [&a, &b].map(|site| draft::pods(plan, site));
    let streamer = draft::streamer(&pods_b).address_abroad;
    let (address, service, in_front) = match plan.service {
        Service::Headless => (
            streamer,
            format!("headless: the pod's address as cluster A sees it, {streamer}"),
            Vec::new(),
        ),
        Service::ClusterIp => {
            let service = a.streamer_service();
            let ports = nodeport::streamer_ports(plan, service, streamer, None);
            (service, format!("ClusterIP {service} in cluster A"), ports)
        }
    };
    let tunnel = gateway_service(&b, &plane);
    // B first, A's gateway last: it dials at once, and a first handshake that is lost costs five seconds.
    for (site, other, pods, ports) in [(&b, &a, &pods_b, tunnel), (&a, &b, &pods_a, in_front)] {
        let peering = Peering {
            site,
            other,
            pods,
            plane: &plane,
            given,
            overlapping: plan.overlapping,
        };
        cluster(&mut draft, &wan, &peering, &ports);
    }
    let encryption = gateway::backend(given);
    BuiltFabric {
        topology: draft.topology,
        reach: StreamerReach {
            name: plane.name,
            feed: SocketAddrV4::new(address, plan.feed_port),
            rtsp: SocketAddrV4::new(address, plan.rtsp_port),
            quic: SocketAddrV4::new(address, plan.quic_port),
            rtp_over_udp: RtpOverUdp::Works,
            mtu_bytes: MTU_BYTES,
            wan_crossings: draft::wan_crossings(plan),
            encapsulations: vec![Encapsulation::Wireguard {
                udp_port: plane.node_port,
            }],
            backend: format!(
                "{encryption}; {}; WAN {}",
                plane.overlay_carrier.text(),
                wan.carrier.text()
            ),
            carriers: Carriers {
                tunnel: Some(TunnelCarrier::Wireguard(given.backends.wireguard)),
                overlay: Some(plane.overlay_carrier),
                wan: Some(wan.carrier),
            },
            service,
            captures: draft.captures,
        },
    }
}

/// A node, its pods, its gateway.
fn cluster(draft: &mut Draft, wan: &WanLink, peering: &Peering<'_>, ports: &[ServicePort]) {
    let site = peering.site;
    let mut on_bridge: Vec<&str> = peering.pods.iter().map(|pod| pod.name.as_str()).collect();
    if peering.plane.on_bridge {
        on_bridge.push(site.gateway);
    }
    let mut node = node::node(draft, site, &on_bridge);
    wan.attach(&mut node, site);
    node.ip.extend(gateway::node_lines(draft, peering));
    let mut inside: Vec<Prefix> = vec![site.pods];
    inside.extend(peering.plane.underlay);
    node.nft = node::masquerade(&inside);
    node.nft += &KubeProxy {
        local: Some(site.pods),
        services: site.services,
        node: site.node_address,
        ports,
    }
    .ruleset();
    draft.topology.namespaces.push(node);
    for pod in peering.pods {
        let pod = node::pod(draft, site, pod);
        draft.topology.namespaces.push(pod);
    }
    let gateway = gateway::namespace(draft, peering);
    draft.topology.namespaces.push(gateway);
}

/// The service in front of the gateway that is dialled: kube-proxy masquerades what comes to it.
fn gateway_service(site: &Site, plane: &Plane) -> Vec<ServicePort> {
    vec![ServicePort {
        name: "liqo/gateway/udp/wireguard".to_owned(),
        protocol: Protocol::Udp,
        service: SocketAddrV4::new(site.gateway_service(), plane.port),
        node_port: Some((plane.node_port, TrafficPolicy::Cluster)),
        endpoint: SocketAddrV4::new(plane.addresses(site).gateway_underlay, plane.port),
    }]
}
