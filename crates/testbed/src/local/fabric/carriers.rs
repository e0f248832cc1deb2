//! The carriers of a built fabric's packets, as data.

use super::inputs::WireguardBackend;

/// The carrier of each part of a built fabric; none for a part that the fabric does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carriers {
    /// The tunnel between the clusters.
    pub tunnel: Option<TunnelCarrier>,
    /// The overlay within a cluster.
    pub overlay: Option<OverlayCarrier>,
    /// The WAN between the nodes.
    pub wan: Option<WanCarrier>,
}

/// The tunnel between the clusters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TunnelCarrier {
    /// WireGuard, between gateways.
    Wireguard(WireguardBackend),
    /// LISP, between the tunnel routers of `xr-lisp`.
    Lisp,
}

/// The overlay between a cluster's nodes and its gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverlayCarrier {
    /// Geneve, which Liqo v1.2 uses.
    Geneve,
    /// VXLAN, which Liqo v0.10 uses.
    Vxlan,
    /// VXLAN where Liqo has Geneve, on a kernel without Geneve.
    VxlanForGeneve,
}

impl OverlayCarrier {
    /// The carrier's name, for people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Geneve => "Geneve",
            Self::Vxlan => "VXLAN",
            Self::VxlanForGeneve => "VXLAN in place of Geneve",
        }
    }
}

/// The device or process between the nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WanCarrier {
    /// A pair of virtual Ethernet devices, for a WAN that does nothing.
    Veth,
    /// The kernel's queueing discipline, on the ports of a bridge.
    Netem,
    /// A process between two TUN devices.
    Userspace,
}

impl WanCarrier {
    /// The carrier's name, for people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Veth => "veth",
            Self::Netem => "netem",
            Self::Userspace => "userspace",
        }
    }
}
