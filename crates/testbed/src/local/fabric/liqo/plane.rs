//! What distinguishes Liqo's two data planes, as figures and names.

use std::net::Ipv4Addr;

use super::super::address::{Prefix, Site};
use super::super::carriers::OverlayCarrier;
use super::super::inputs::OverlayBackend;
use crate::local::plan::Liqo;

/// The pair of devices between node and gateway in v0.10.
const PAIR: Prefix = Prefix::new([169, 254, 100, 0], 30);

/// The tunnel's network in v1.2.
const TUNNEL: Prefix = Prefix::new([169, 254, 18, 0], 30);

/// The figures in which Liqo's data planes differ.
pub(super) struct Plane {
    pub(super) version: Liqo,
    pub(super) name: &'static str,
    /// Whether the gateway is a pod on the bridge.
    pub(super) on_bridge: bool,
    /// The network of the pair of devices that joins it to the node otherwise.
    pub(super) underlay: Option<Prefix>,
    /// The gateway's interface to its node.
    pub(super) gateway_interface: &'static str,
    /// The overlay's interface, on the node and on the gateway.
    pub(super) overlay: &'static str,
    /// The overlay, beside what Liqo has.
    pub(super) overlay_carrier: OverlayCarrier,
    /// The start of the line that makes the overlay's interface: all but its ends.
    overlay_kind: OverlayBackend,
    overlay_id: u32,
    overlay_port: u16,
    /// The tunnel's interface, before the cluster's letter.
    tunnel: &'static str,
    /// The UDP port that the dialled gateway listens on.
    pub(super) port: u16,
    /// The node's port in front of it.
    pub(super) node_port: u16,
    pub(super) keepalive_s: u16,
    /// Whether the gateways clamp TCP's segment size.
    pub(super) clamps_mss: bool,
}

/// Where a cluster's node and gateway meet.
pub(super) struct Addresses {
    /// Outside of the overlay.
    pub(super) node_underlay: Ipv4Addr,
    pub(super) gateway_underlay: Ipv4Addr,
    /// The node's address within the overlay.
    pub(super) node_overlay: Ipv4Addr,
    pub(super) gateway_overlay: Ipv4Addr,
}

impl Plane {
    pub(super) const fn new(version: Liqo, overlay: OverlayBackend) -> Self {
        match version {
            Liqo::V1_2 => Self {
                version,
                name: "liqo-v1.2",
                on_bridge: true,
                underlay: None,
                gateway_interface: "eth0",
                overlay: "liqo.overlay",
                overlay_carrier: match overlay {
                    OverlayBackend::Geneve => OverlayCarrier::Geneve,
                    OverlayBackend::Vxlan => OverlayCarrier::VxlanForGeneve,
                },
                overlay_kind: overlay,
                overlay_id: 1,
                overlay_port: 6091,
                tunnel: "liqo-tunnel",
                port: 51840,
                node_port: 31840,
                keepalive_s: 2,
                clamps_mss: true,
            },
            Liqo::V0_10 => Self {
                version,
                name: "liqo-v0.10",
                on_bridge: false,
                underlay: Some(PAIR),
                gateway_interface: "liqo.gateway",
                overlay: "liqo.vxlan",
                overlay_carrier: OverlayCarrier::Vxlan,
                overlay_kind: OverlayBackend::Vxlan,
                overlay_id: 18952,
                overlay_port: 4879,
                tunnel: "liqo.tunnel",
                port: 5871,
                node_port: 30871,
                keepalive_s: 10,
                clamps_mss: false,
            },
        }
    }

    /// The tunnel's interface in this cluster's gateway.
    pub(super) fn tunnel(&self, site: &Site) -> String {
        format!("{}-{}", self.tunnel, site.letter)
    }

    /// The line that makes one end of the overlay.
    pub(super) fn overlay_line(&self, local: Ipv4Addr, remote: Ipv4Addr) -> String {
        let (name, id, port) = (self.overlay, self.overlay_id, self.overlay_port);
        match self.overlay_kind {
            OverlayBackend::Geneve => {
                format!("link add {name} type geneve id {id} remote {remote} dstport {port}")
            }
            OverlayBackend::Vxlan => format!(
                "link add {name} type vxlan id {id} local {local} remote {remote} dstport {port} nolearning"
            ),
        }
    }

    pub(super) fn addresses(&self, site: &Site) -> Addresses {
        let [_, b, c, d] = site.node_address.octets();
        match self.version {
            Liqo::V1_2 => Addresses {
                node_underlay: site.node_address,
                gateway_underlay: site.gateway_pod(),
                node_overlay: site.internal.at(1),
                gateway_overlay: site.internal.at(2),
            },
            Liqo::V0_10 => Addresses {
                node_underlay: PAIR.at(2),
                gateway_underlay: PAIR.at(1),
                // The node's address with another beginning; the gateway's node would have the next.
                node_overlay: Ipv4Addr::new(240, b, c, d),
                gateway_overlay: Ipv4Addr::new(240, b, c, 100 + d),
            },
        }
    }

    /// The tunnel's address in this cluster's gateway, and in the other's, where it has any.
    pub(super) fn tunnel_addresses(&self, site: &Site) -> Option<(Ipv4Addr, Ipv4Addr)> {
        use crate::Cluster;
        let (server, client) = (TUNNEL.at(1), TUNNEL.at(2));
        match (self.version, site.cluster) {
            (Liqo::V0_10, _) => None,
            (Liqo::V1_2, Cluster::A) => Some((client, server)),
            (Liqo::V1_2, Cluster::B) => Some((server, client)),
        }
    }
}
