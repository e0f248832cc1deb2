//! The WAN between the nodes: a plain pair of devices, a bridge whose ports have netem, or a process between two TUN devices.
//!
//! The delay lies between the nodes' own interfaces whoever makes it, so that captures there show a packet before and after it.

use super::address::{Site, WAN_PREFIX};
use super::carriers::WanCarrier;
use super::draft::{Draft, end, namespace};
use super::inputs::{FabricInputs, Program, WanBackend};
use super::reach::ETHERNET_MTU_BYTES;
use crate::Cluster;
use crate::local::plan::LabPlan;
use crate::local::topology::{Daemon, Kind, Namespace};
use crate::wan::link::{LinkArgs, SUBCOMMAND};
use crate::wan::netem;

/// The WAN's interface in both nodes.
pub(super) const INTERFACE: &str = "wan0";

/// The namespace between the nodes.
const BETWEEN: &str = "wan";

/// The bridge's port towards cluster A.
const TO_A: &str = "to-a";

/// The bridge's port towards cluster B.
const TO_B: &str = "to-b";

/// The WAN of a lab.
pub(super) struct WanLink {
    pub(super) carrier: WanCarrier,
    ethernet: bool,
}

/// Adds what is between the nodes; each of them is then [attached](WanLink::attach).
pub(super) fn wan(draft: &mut Draft, plan: &LabPlan, given: &FabricInputs) -> WanLink {
    let ends = ["node-a", "node-b"].map(|node| end(node, INTERFACE));
    for (point, end) in ["wan-a", "wan-b"].into_iter().zip(&ends) {
        draft.capture(point.to_owned(), end.clone());
    }
    let wan = &plan.wan;
    let idle = wan.does_nothing();
    if !idle && given.backends.wan == WanBackend::Userspace {
        draft
            .topology
            .daemons
            .push(daemon(plan, given, ends.to_vec()));
        return WanLink {
            carrier: WanCarrier::Userspace,
            ethernet: false,
        };
    }
    let [a, b] = ends;
    if idle {
        draft.link(a, b);
    } else {
        draft.link(a, end(BETWEEN, TO_A));
        draft.link(b, end(BETWEEN, TO_B));
        draft.topology.namespaces.push(between(plan));
    }
    WanLink {
        carrier: if idle {
            WanCarrier::Veth
        } else {
            WanCarrier::Netem
        },
        ethernet: true,
    }
}

/// What is between the nodes where the kernel has netem: a bridge, and on each of its ports what happens to packets that leave
/// by it.
fn between(plan: &LabPlan) -> Namespace {
    let mut between = namespace(BETWEEN, Kind::Wan, Cluster::A);
    between.sysctls.clear();
    between.ip.push("link add wan type bridge".to_owned());
    for port in [TO_A, TO_B] {
        between.ip.push(format!(
            "link set {port} master wan mtu {ETHERNET_MTU_BYTES} up"
        ));
    }
    between.ip.push("link set wan up".to_owned());
    between.tc = netem::lines(TO_B, ETHERNET_MTU_BYTES, &plan.wan.a_to_b);
    between
        .tc
        .extend(netem::lines(TO_A, ETHERNET_MTU_BYTES, &plan.wan.b_to_a));
    between
}

fn daemon(plan: &LabPlan, given: &FabricInputs, makes: Vec<crate::local::topology::End>) -> Daemon {
    let args = LinkArgs {
        interface: INTERFACE.to_owned(),
        a: "{netns:node-a}".into(),
        b: "{netns:node-b}".into(),
        mtu: ETHERNET_MTU_BYTES,
        a_to_b: plan.wan.a_to_b,
        b_to_a: plan.wan.b_to_a,
        seed: given.wan_seed,
    };
    Daemon {
        role: "wan".to_owned(),
        namespace: "node-a".to_owned(),
        cluster: None,
        program: given.program(Program::WanLink),
        args: vec![SUBCOMMAND.to_owned(), args.to_arg()],
        makes,
        ..Daemon::default()
    }
}

impl WanLink {
    /// Sets the node's end up.
    pub(super) fn attach(&self, node: &mut Namespace, site: &Site) {
        let other = match site.cluster {
            Cluster::A => Site::new(Cluster::B, false),
            Cluster::B => Site::new(Cluster::A, false),
        };
        if self.ethernet {
            node.ip
                .push(format!("link set {INTERFACE} address {}", mac(site)));
        }
        node.ip.extend([
            format!("link set {INTERFACE} mtu {ETHERNET_MTU_BYTES} up"),
            format!(
                "addr add {}/{WAN_PREFIX} dev {INTERFACE}",
                site.node_address
            ),
        ]);
        if self.ethernet {
            // Neighbours that are known do not ask: ARP is no packet of a WAN.
            node.ip.push(format!(
                "neigh add {} lladdr {} dev {INTERFACE} nud permanent",
                other.node_address,
                mac(&other)
            ));
        }
    }
}

/// A locally administered address for the node's end.
fn mac(site: &Site) -> String {
    let [a, b, c, d] = site.node_address.octets();
    format!("02:00:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
}
