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
mod carriers;
mod draft;
mod error;
mod inputs;
mod keys;
mod kube_proxy;
mod liqo;
mod lisp;
mod node;
mod nodeport;
mod reach;
mod single;
mod wan_end;

#[cfg(test)]
mod tests;

pub use carriers::{Carriers, OverlayCarrier, TunnelCarrier, WanCarrier};
pub use error::BuildError;
pub use inputs::{Backends, FabricInputs, OverlayBackend, Program, WanBackend, WireguardBackend};
pub use keys::{KeyPair, Keys, LispSecrets, Shared};
pub use nodeport::{FEED_NODE_PORT, QUIC_NODE_PORT, RTP_NODE_PORTS, RTSP_NODE_PORT};
pub use reach::{BuiltFabric, Encapsulation, RtpOverUdp, StreamerReach, TooLarge, fits};

use super::plan::{Fabric, LabPlan};

/// Builds the fabric that is asked for.
pub fn build(plan: &LabPlan, given: &FabricInputs) -> Result<BuiltFabric, BuildError> {
    error::check(plan)?;
    Ok(match plan.fabric {
        Fabric::Single => single::build(plan),
        Fabric::NodePort(policy) => nodeport::build(plan, given, policy),
        Fabric::Liqo(version) => liqo::build(plan, given, version),
        Fabric::Lisp => lisp::build(plan, given),
    })
}
