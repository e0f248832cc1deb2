//! The fabrics: from what a lab is asked for to what it is made of, and how its pods reach the streamer.
//!
//! Everything here is a function of its arguments: a [`LabPlan`], what the kernel has, keys and a seed. The hops, ports, MTUs
//! and NAT rules are those of the system that a fabric stands for; where it departs from that, the module says so.
//!
//! What all fabrics share:
//! - A pod has a /32 address and sends everything to its node, as with a routing CNI: each packet between two pods of a node
//!   passes the node's IP layer, where kube-proxy's rules are. (A bridging CNI gets this from `br_netfilter`, which not every
//!   kernel has.)
//! - Pods send one packet at a time (`gso_max_segs 1`): no segment of 64 kB crosses a link as one packet, none is seen by a
//!   capture, none is delayed or lost by the WAN as if it were one.
//! - A lab has no IPv6, and its WAN has no ARP: a capture shows the fabric's packets and nothing else.

mod address;
mod draft;
mod error;
mod keys;
mod kube_proxy;
mod liqo;
mod node;
mod nodeport;
mod reach;
mod single;
mod wan_end;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub use error::BuildError;
pub use keys::{KeyPair, Keys};
pub use nodeport::{FEED_NODE_PORT, RTP_NODE_PORTS, RTSP_NODE_PORT};
pub use reach::{
    Reach, RtpOverUdp, TooLarge, fits, max_rtp_packet_bytes, tcp_mss_bytes, wireguard_packet_bytes,
};

use super::plan::{Fabric, LabPlan};
use super::topology::Topology;

/// What does the work in a fabric: the kernel where it can, a program or a near relative elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backends {
    /// Who encrypts.
    pub wireguard: WireguardBackend,
    /// What carries packets within a cluster in Liqo v1.2. Its v0.10 has VXLAN.
    pub overlay: OverlayBackend,
    /// Who delays and loses. A WAN that does nothing is a plain pair of devices whatever this says.
    pub wan: WanBackend,
}

/// Who encrypts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireguardBackend {
    /// The kernel's `wireguard` device.
    Kernel,
    /// `wireguard-go`, a process for each gateway.
    Userspace,
}

/// What carries packets within a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverlayBackend {
    /// As Liqo has it.
    Geneve,
    /// The same UDP port and the same 50 bytes, where the kernel has no Geneve.
    Vxlan,
}

/// Who delays and loses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WanBackend {
    /// The kernel's queueing discipline, on a pair of virtual Ethernet devices.
    Netem,
    /// The process of [`LabPlan::wan_link`] between two TUN devices.
    Userspace,
}

/// What a fabric is made with, beside what is asked for.
#[derive(Clone, Debug)]
pub struct Given {
    /// Who does the work.
    pub backends: Backends,
    /// WireGuard's keys: fresh ones for each lab.
    pub keys: Keys,
    /// Where the userspace WAN's randomness starts.
    pub wan_seed: u64,
    /// The file of `wireguard-go`, for [`WireguardBackend::Userspace`]; a bare name is looked up.
    pub wireguard_go: PathBuf,
}

/// A fabric, ready to be applied.
#[derive(Clone, Debug)]
pub struct Built {
    /// What the lab is made of.
    pub topology: Topology,
    /// How the pods reach the streamer in it.
    pub reach: Reach,
}

/// Builds the fabric that is asked for.
pub fn build(plan: &LabPlan, given: &Given) -> Result<Built, BuildError> {
    error::check(plan)?;
    Ok(match plan.fabric {
        Fabric::Single => single::build(plan),
        Fabric::NodePort(policy) => nodeport::build(plan, given, policy),
        Fabric::Liqo(version) => liqo::build(plan, given, version),
    })
}
