//! A cluster's node, the bridge of its pods, and the pods.

use super::address::{Prefix, Site};
use super::draft::{Draft, Pod, end, namespace};
use crate::local::topology::{Kind, Namespace};

/// The bridge's name, as CNI plugins name theirs.
pub(super) const BRIDGE: &str = "cni0";

/// The node with its bridge, and a port of it for each of `on_bridge`, which are names of namespaces.
pub(super) fn node(draft: &mut Draft, site: &Site, on_bridge: &[&str]) -> Namespace {
    let mut node = namespace(site.node, Kind::Node, site.cluster);
    let network = site.pods.first_24();
    node.ip = vec![
        format!("link add {BRIDGE} type bridge"),
        format!(
            "addr add {}/{} dev {BRIDGE}",
            site.bridge_address(),
            network.length()
        ),
        format!("link set {BRIDGE} up"),
    ];
    for name in on_bridge {
        let port = format!("veth-{name}");
        node.ip.push(format!("link set {port} master {BRIDGE} up"));
        draft.link(end(name, "eth0"), end(site.node, port));
    }
    draft.capture(format!("bridge-{}", site.letter), end(site.node, BRIDGE));
    node
}

/// Lines that give a namespace on the bridge its `eth0`.
pub(super) fn eth0(site: &Site, address: std::net::Ipv4Addr) -> Vec<String> {
    let gateway = site.bridge_address();
    vec![
        "link set eth0 up gso_max_segs 1".to_owned(),
        format!("addr add {address}/32 dev eth0"),
        format!("route add {gateway}/32 dev eth0 scope link"),
        format!("route add default via {gateway} dev eth0"),
    ]
}

pub(super) fn pod(draft: &mut Draft, site: &Site, pod: &Pod) -> Namespace {
    let mut namespace = namespace(&pod.name, Kind::Pod, site.cluster);
    namespace.management = Some(pod.management);
    namespace.addresses = vec![pod.address, pod.moved];
    namespace.ip = eth0(site, pod.address);
    draft.capture(format!("pod-{}", pod.name), end(&pod.name, "eth0"));
    namespace
}

/// What a CNI plugin does to packets that leave the cluster: they get the node's address. The port stays where it is free, as
/// with the reference plugins; a plugin that draws ports (`--random-fully`) would break RTP on UDP through a NodePort.
pub(super) fn masquerade(inside: &[Prefix]) -> String {
    let inside: Vec<String> = inside.iter().map(ToString::to_string).collect();
    let inside = inside.join(", ");
    format!(
        "table ip cni {{
\tchain postrouting {{
\t\ttype nat hook postrouting priority srcnat; policy accept;
\t\tip saddr {{ {inside} }} oifname \"wan0\" masquerade
\t}}
}}
"
    )
}
