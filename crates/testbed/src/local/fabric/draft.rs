//! A topology in the making.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::address::{Site, management};
use crate::Cluster;
use crate::local::plan::LabPlan;
use crate::local::topology::{End, Kind, Link, Namespace, Topology};

/// A pod with its addresses.
#[derive(Clone, Debug)]
pub(super) struct Pod {
    pub(super) name: String,
    pub(super) address: Ipv4Addr,
    /// The address that the pod has after it has moved.
    pub(super) moved: Ipv4Addr,
    /// The pod's address as the other cluster sees it.
    pub(super) address_abroad: Ipv4Addr,
    pub(super) management: Ipv4Addr,
}

/// A topology in the making, and the places in it where packets can be captured.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) topology: Topology,
    pub(super) captures: BTreeMap<String, End>,
}

impl Draft {
    pub(super) fn link(&mut self, one: End, other: End) {
        self.topology.links.push(Link { one, other });
    }

    /// Names a place where packets can be captured.
    pub(super) fn capture(&mut self, point: String, end: End) {
        self.captures.insert(point, end);
    }
}

/// The plan's pods in this cluster.
pub(super) fn pods(plan: &LabPlan, site: &Site) -> Vec<Pod> {
    let all = plan.pods.iter().enumerate();
    let here = all.filter(|(_, pod)| pod.cluster == site.cluster);
    here.enumerate()
        .map(|(place, (place_of_all, pod))| Pod {
            name: pod.name.clone(),
            address: site.pod_address(place),
            moved: site.moved_pod_address(place),
            address_abroad: site.pod_address_abroad(place),
            management: management(place_of_all),
        })
        .collect()
}

/// The pod that the fabric leads to.
pub(super) fn streamer(pods: &[Pod]) -> &Pod {
    pods.iter()
        .find(|pod| pod.name == "streamer")
        .expect("the plan was checked for a streamer in this cluster")
}

/// How often a frame crosses the WAN: to the streamer, and from it to its viewer.
pub(super) fn wan_crossings(plan: &LabPlan) -> u8 {
    let far = |name: &str| {
        plan.pods
            .iter()
            .any(|pod| pod.name == name && pod.cluster != Cluster::B)
    };
    ["renderer", "client"]
        .map(|name| u8::from(far(name)))
        .iter()
        .sum()
}

pub(super) fn end(namespace: &str, interface: impl Into<String>) -> End {
    End {
        namespace: namespace.to_owned(),
        interface: interface.into(),
    }
}

/// A namespace with nothing in it.
pub(super) fn namespace(name: &str, kind: Kind, cluster: Cluster) -> Namespace {
    let set = |name: &str, value: &str| (format!("net.{name}"), value.to_owned());
    let mut sysctls = vec![
        // Replies may come by another interface than a route back names: tunnels, policy routing.
        set("ipv4.conf.all.rp_filter", "0"),
        set("ipv4.conf.default.rp_filter", "0"),
    ];
    if kind == Kind::Pod {
        // The same on every machine: a kernel whose default is BBR paces what it sends, which adds a millisecond and more to a
        // frame on a long path. Of those that do not, this is the one that no kernel forbids in a namespace.
        sysctls.push(set("ipv4.tcp_congestion_control", "reno"));
    }
    if kind != Kind::Pod {
        sysctls.extend([
            set("ipv4.ip_forward", "1"),
            // Pods of one node are neighbours that must not talk past it.
            set("ipv4.conf.all.send_redirects", "0"),
            set("ipv4.conf.default.send_redirects", "0"),
        ]);
    }
    Namespace {
        name: name.to_owned(),
        kind,
        cluster,
        management: None,
        addresses: Vec::new(),
        sysctls,
        ip: Vec::new(),
        wireguard: Vec::new(),
        routes: Vec::new(),
        nft: String::new(),
        tc: Vec::new(),
    }
}
