//! Who has which address.
//!
//! | | cluster A | cluster B |
//! | --- | --- | --- |
//! | pods, the node's own share first | 10.1.0.0/16 | 10.2.0.0/16; A's if they overlap |
//! | pods as the other cluster sees them if they overlap | 10.11.0.0/16 | 10.12.0.0/16 |
//! | services | 10.81.0.0/16 | 10.82.0.0/16 |
//! | Liqo's internal network | 10.91.0.0/16 | 10.92.0.0/16 |
//! | node, on the WAN | 192.168.100.1/30 | 192.168.100.2/30 |
//!
//! With LISP the streamer's service has 10.112.0.10 of a pool for all clusters, 10.112.0.0/16, and the control plane 192.168.101.2/30.
//! The cluster of a second streamer has 10.3.0.0/16 for pods and 192.168.102.2/30 for its node.
//!
//! In a pod network .1 is the node's bridge, .10 and up are the pods in the plan's order, .110 and up the same pods after they have
//! moved, .250 is Liqo's gateway.

use std::fmt;
use std::net::Ipv4Addr;

use crate::Cluster;

/// How many pods a lab has addresses for.
pub(super) const MAX_PODS: usize = 100;

/// The pool of services that have one address in all clusters.
pub(super) const POOL: Prefix = Prefix::new([10, 112, 0, 0], 16);

/// The network of the control plane: .1 is its router, .2 itself.
pub(super) const CONTROL: Prefix = Prefix::new([192, 168, 101, 0], 30);

/// The network between node B and the cluster of a second streamer: .1 is node B, .2 that cluster's node.
pub(super) const STANDBY: Prefix = Prefix::new([192, 168, 102, 0], 30);

/// The address of the control plane.
pub(super) fn control_plane() -> Ipv4Addr {
    CONTROL.at(2)
}

/// The streamer's place among the services of a network.
pub(super) const STREAMER_SERVICE: u32 = 10;

/// The prefix length of the WAN's network.
pub(super) const WAN_PREFIX: u8 = 30;

/// The first pod's place in its network, and on the management network.
const FIRST_POD: u32 = 10;

/// An IPv4 network: an address and a prefix length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prefix {
    base: Ipv4Addr,
    length: u8,
}

impl Prefix {
    pub(super) const fn new(base: [u8; 4], length: u8) -> Self {
        let [a, b, c, d] = base;
        Self {
            base: Ipv4Addr::new(a, b, c, d),
            length,
        }
    }

    /// The address at this place of the network.
    pub(super) fn at(self, place: u32) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.base) + place)
    }

    /// The first /24 of the network: what a cluster gives to its first node.
    pub(super) const fn first_24(self) -> Self {
        Self {
            base: self.base,
            length: 24,
        }
    }

    /// The prefix length in bits.
    pub(super) const fn length(self) -> u8 {
        self.length
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.length)
    }
}

/// A cluster's names and networks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site {
    pub(super) cluster: Cluster,
    /// `a` or `b`, at the end of names.
    pub(super) letter: char,
    /// The namespace of the node.
    pub(super) node: &'static str,
    /// The namespace of Liqo's gateway.
    pub(super) gateway: &'static str,
    /// All pods of the cluster, as they see themselves.
    pub(super) pods: Prefix,
    /// All pods of the cluster, as the other cluster sees them.
    pub(super) pods_abroad: Prefix,
    pub(super) services: Prefix,
    /// Liqo's network between nodes and gateways.
    pub(super) internal: Prefix,
    /// The node's address on the WAN, which is its only one beside the bridge's.
    pub(super) node_address: Ipv4Addr,
}

impl Site {
    pub(super) fn new(cluster: Cluster, overlapping: bool) -> Self {
        let (letter, node, gateway, number) = match cluster {
            Cluster::A => ('a', "node-a", "gateway-a", 1),
            Cluster::B => ('b', "node-b", "gateway-b", 2),
        };
        let pods = if overlapping { 1 } else { number };
        let abroad = if overlapping { 10 + number } else { number };
        Self {
            cluster,
            letter,
            node,
            gateway,
            pods: Prefix::new([10, pods, 0, 0], 16),
            pods_abroad: Prefix::new([10, abroad, 0, 0], 16),
            services: Prefix::new([10, 80 + number, 0, 0], 16),
            internal: Prefix::new([10, 90 + number, 0, 0], 16),
            node_address: Ipv4Addr::new(192, 168, 100, number),
        }
    }

    /// The cluster of a second streamer, which has no WAN of its own: it is behind node B's end of it, and counted to cluster B.
    pub(super) fn standby() -> Self {
        Self {
            cluster: Cluster::B,
            letter: 'c',
            node: "node-c",
            gateway: "gateway-c",
            pods: Prefix::new([10, 3, 0, 0], 16),
            pods_abroad: Prefix::new([10, 3, 0, 0], 16),
            services: Prefix::new([10, 83, 0, 0], 16),
            internal: Prefix::new([10, 93, 0, 0], 16),
            node_address: STANDBY.at(2),
        }
    }

    /// The node's end of the pods' bridge: the pods' way out.
    pub(super) fn bridge_address(&self) -> Ipv4Addr {
        self.pods.at(1)
    }

    /// The pod at this place of the cluster, as the cluster sees it.
    pub(super) fn pod_address(&self, place: usize) -> Ipv4Addr {
        self.pods.at(pod(place))
    }

    /// The address of that pod after it has moved.
    pub(super) fn moved_pod_address(&self, place: usize) -> Ipv4Addr {
        self.pods.at(pod(place + MAX_PODS))
    }

    /// The address of a pod as the other cluster sees it.
    pub(super) fn pod_address_abroad(&self, place: usize) -> Ipv4Addr {
        self.pods_abroad.at(pod(place))
    }

    /// The address of the streamer's service.
    pub(super) fn streamer_service(&self) -> Ipv4Addr {
        self.services.at(STREAMER_SERVICE)
    }

    /// The service in front of Liqo's gateway.
    pub(super) fn gateway_service(&self) -> Ipv4Addr {
        self.services.at(20)
    }

    /// Liqo's gateway, where it is a pod.
    pub(super) fn gateway_pod(&self) -> Ipv4Addr {
        self.pods.at(250)
    }
}

/// A pod's address on the management network, by its place among all pods.
pub(super) fn management(place: usize) -> Ipv4Addr {
    Prefix::new([172, 31, 255, 0], 24).at(pod(place))
}

fn pod(place: usize) -> u32 {
    FIRST_POD + u32::try_from(place).expect("a plan has at most MAX_PODS pods")
}
