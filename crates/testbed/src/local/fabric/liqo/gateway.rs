//! A cluster's gateway, and its node's way to it.

use std::net::SocketAddrV4;

use super::super::draft::{self, Draft, end};
use super::super::inputs::{FabricInputs, Program, WireguardBackend};
use super::super::node;
use super::peering::{MTU_BYTES, Peering};
use super::remap;
use crate::Cluster;
use crate::local::topology::{Daemon, Kind, Namespace, Wireguard};

/// The node's table of routes to the other cluster's pods.
const NODE_TABLE: u16 = 1000;

/// The gateway's tables: into the tunnel, and out of it.
const INTO_TUNNEL: u16 = 1001;
const OUT_OF_TUNNEL: u16 = 1002;

/// Who encrypts, for people.
pub(super) fn backend(given: &FabricInputs) -> &'static str {
    match given.backends.wireguard {
        WireguardBackend::Kernel => "kernel WireGuard",
        WireguardBackend::Userspace => "wireguard-go",
    }
}

/// Lines for the node: its end of the overlay, and the policy that sends the other cluster's pods there.
pub(super) fn node_lines(draft: &mut Draft, peering: &Peering<'_>) -> Vec<String> {
    let (site, plane) = (peering.site, peering.plane);
    let at = plane.addresses(site);
    let overlay = plane.overlay;
    let mut lines = if plane.on_bridge {
        // The overlay's packets come from the node's address, not the bridge's.
        vec![format!(
            "route add {}/32 dev {} src {}",
            at.gateway_underlay,
            node::BRIDGE,
            at.node_underlay
        )]
    } else {
        draft.link(
            end(site.gateway, plane.gateway_interface),
            end(site.node, "liqo.host"),
        );
        vec![
            "link set liqo.host up gso_max_segs 1".to_owned(),
            format!("addr add {}/30 dev liqo.host", at.node_underlay),
        ]
    };
    let there = peering.other.pods_abroad;
    lines.extend([
        plane.overlay_line(at.node_underlay, at.gateway_underlay),
        format!("link set {overlay} mtu {MTU_BYTES} up"),
        format!("addr add {}/32 dev {overlay}", at.node_overlay),
        format!(
            "route add {}/32 dev {overlay} scope link",
            at.gateway_overlay
        ),
        format!(
            "route add {there} via {} dev {overlay} table {NODE_TABLE}",
            at.gateway_overlay
        ),
        format!("rule add to {there} lookup {NODE_TABLE} pref 100"),
    ]);
    draft.capture(format!("overlay-{}", site.letter), end(site.node, overlay));
    lines
}

/// The namespace of a cluster's gateway.
pub(super) fn namespace(draft: &mut Draft, peering: &Peering<'_>) -> Namespace {
    let (site, plane, given) = (peering.site, peering.plane, peering.given);
    let at = plane.addresses(site);
    let (overlay, tunnel) = (plane.overlay, plane.tunnel(site));
    let mut gateway = draft::namespace(site.gateway, Kind::Gateway, site.cluster);
    gateway.ip = if plane.on_bridge {
        node::eth0(site, at.gateway_underlay)
    } else {
        let interface = plane.gateway_interface;
        vec![
            format!("link set {interface} up gso_max_segs 1"),
            format!("addr add {}/30 dev {interface}", at.gateway_underlay),
            format!("route add default via {} dev {interface}", at.node_underlay),
        ]
    };
    gateway.ip.extend([
        plane.overlay_line(at.gateway_underlay, at.node_underlay),
        format!("link set {overlay} mtu {MTU_BYTES} up"),
        format!("addr add {}/32 dev {overlay}", at.gateway_overlay),
        format!("route add {}/32 dev {overlay} scope link", at.node_overlay),
    ]);
    match given.backends.wireguard {
        WireguardBackend::Kernel => {
            gateway.ip.push(format!("link add {tunnel} type wireguard"));
        }
        WireguardBackend::Userspace => draft.topology.daemons.push(Daemon {
            role: format!("wireguard-{}", site.letter),
            namespace: site.gateway.to_owned(),
            cluster: Some(site.cluster),
            program: given.program(Program::WireguardGo),
            args: vec!["-f".to_owned(), tunnel.clone()],
            env: vec![("LOG_LEVEL".to_owned(), "error".to_owned())],
            makes: vec![end(site.gateway, tunnel.clone())],
            ..Daemon::default()
        }),
    }
    gateway
        .ip
        .push(format!("link set {tunnel} mtu {MTU_BYTES} up"));
    let via = match plane.tunnel_addresses(site) {
        Some((here, there)) => {
            gateway.ip.push(format!("addr add {here}/30 dev {tunnel}"));
            format!("via {there} ")
        }
        None => String::new(),
    };
    gateway.wireguard = vec![wireguard(peering, tunnel.clone())];
    // What its pods sent was translated before it is routed: the other cluster's own addresses.
    let there = peering.other.pods;
    gateway.routes = vec![
        format!("route add {there} {via}dev {tunnel} table {INTO_TUNNEL}"),
        format!("rule add iif {overlay} to {there} lookup {INTO_TUNNEL} pref 100"),
    ];
    // One route for each address of a pod, as Liqo keeps them: a pod that is missing here is out of reach.
    let addresses = peering.pods.iter().flat_map(|pod| [pod.address, pod.moved]);
    gateway.routes.extend(addresses.map(|address| {
        format!(
            "route add {address}/32 via {} dev {overlay} table {OUT_OF_TUNNEL}",
            at.node_overlay
        )
    }));
    gateway.routes.push(format!(
        "rule add iif {tunnel} lookup {OUT_OF_TUNNEL} pref 101"
    ));
    gateway.nft = remap::ruleset(peering);
    draft.capture(format!("tunnel-{}", site.letter), end(site.gateway, tunnel));
    draft.capture(
        format!("gateway-{}", site.letter),
        end(site.gateway, plane.gateway_interface),
    );
    gateway
}

/// B waits where its NodePort leads, A dials.
fn wireguard(peering: &Peering<'_>, interface: String) -> Wireguard {
    let (keys, plane) = (&peering.given.keys, peering.plane);
    let (own, peer) = match peering.site.cluster {
        Cluster::A => (&keys.a, &keys.b),
        Cluster::B => (&keys.b, &keys.a),
    };
    let dials = peering.site.cluster == Cluster::A;
    let endpoint = SocketAddrV4::new(peering.other.node_address, plane.node_port);
    Wireguard {
        interface,
        private_key: own.private().to_owned(),
        listen_port: (!dials).then_some(plane.port),
        peer_public_key: peer.public().to_owned(),
        endpoint: dials.then_some(endpoint),
        keepalive_s: Some(plane.keepalive_s),
    }
}
