//! What a lab is made of, as data: network namespaces, the links between them, and what is set up in each.
//!
//! Nothing here touches the kernel. `Lab` applies a topology, `print` shows it, and the fabrics build one; a test reads it.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use crate::Cluster;

/// The end of the management link in a pod.
pub const MANAGEMENT_INTERFACE: &str = "mgmt0";

/// What a namespace stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A cluster's only node: its pods' bridge, kube-proxy's rules, its end of the WAN.
    Node,
    /// A pod, with `eth0` on its node's bridge.
    Pod,
    /// A gateway of Liqo.
    Gateway,
    /// The way between the nodes, where the kernel delays and loses; it is no cluster's.
    Wan,
    /// The control plane of a fabric, in a place of its own; it is no cluster's.
    Control,
}

/// A network namespace and everything that is set up in it, in the order of the fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// The name within the lab, for example `node-a`, `gateway-b`, `client`.
    pub name: String,
    /// What it stands for.
    pub kind: Kind,
    pub cluster: Cluster,
    /// The address on the management link, on `mgmt0`; none where the runner has nothing to ask.
    pub management: Option<Ipv4Addr>,
    /// The addresses that a pod's `eth0` may have, one at a time, the one from the start first; empty where it keeps its own.
    pub addresses: Vec<Ipv4Addr>,
    /// Kernel parameters, `net.ipv4.ip_forward` and its value.
    pub sysctls: Vec<(String, String)>,
    /// Lines for `ip -batch`: they find the links and the daemons' interfaces there.
    pub ip: Vec<String>,
    /// WireGuard interfaces that exist by now.
    pub wireguard: Vec<Wireguard>,
    /// Lines for `ip -batch` that come after WireGuard's configuration.
    pub routes: Vec<String>,
    /// A ruleset for `nft -f -`; empty for none.
    pub nft: String,
    /// Lines for `tc -batch`.
    pub tc: Vec<String>,
}

/// A pair of virtual Ethernet devices with checksum and segmentation offload as the kernel has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub one: End,
    pub other: End,
}

/// One end of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    pub namespace: String,
    /// The interface's name there.
    pub interface: String,
}

/// The configuration of a WireGuard interface. Keys are base64, as `wg` takes them.
#[derive(Clone, PartialEq, Eq)]
pub struct Wireguard {
    pub interface: String,
    /// The private key: never printed, never on a command line.
    pub private_key: String,
    /// The UDP port that it listens on; none for one that the kernel chooses.
    pub listen_port: Option<u16>,
    /// The other side's public key.
    pub peer_public_key: String,
    /// Where the other side is; none for the side that waits.
    pub endpoint: Option<std::net::SocketAddrV4>,
    /// Seconds between two keep-alives; none for none.
    pub keepalive_s: Option<u16>,
}

/// A process that is part of the fabric: started once the links exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Daemon {
    /// What it is, for example `wireguard-a`, `wan`.
    pub role: String,
    /// The namespace that it runs in.
    pub namespace: String,
    /// The cluster to which the daemon's use of the machine is counted; none for the WAN.
    pub cluster: Option<Cluster>,
    /// When it is started, and what is awaited of it.
    pub stage: Stage,
    pub program: PathBuf,
    /// The arguments. `{netns:NAME}` in one of them becomes the path of that namespace as the process sees it, `{files}` the
    /// folder of [`Daemon::files`].
    pub args: Vec<String>,
    /// Added to its environment.
    pub env: Vec<(String, String)>,
    /// Files that are written for it into a folder which all of the lab's processes share.
    pub files: Vec<DaemonFile>,
    /// Interfaces that it makes.
    pub makes: Vec<End>,
}

/// The time of a daemon's start. In a topology daemons stand in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Before namespaces are set up, which find the interfaces there that it makes.
    #[default]
    Device,
    /// After namespaces are set up, and after the daemons before it are ready: it says so itself, by a ready line.
    Service,
    /// The same, and then it ends by itself, which the lab waits for once everything is started.
    Task,
}

/// A file that a daemon reads.
#[derive(Clone, PartialEq, Eq)]
pub struct DaemonFile {
    pub name: String,
    pub text: String,
    /// Whether it is a secret, which is never printed.
    pub is_secret: bool,
}

impl std::fmt::Debug for DaemonFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = if self.is_secret { "" } else { &self.text };
        f.debug_struct("DaemonFile")
            .field("name", &self.name)
            .field("text", &text)
            .finish_non_exhaustive()
    }
}

/// The topology of a whole lab.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// Namespaces, in the order in which they are set up.
    pub namespaces: Vec<Namespace>,
    pub links: Vec<Link>,
    /// Processes of the fabric, in the order of starting.
    pub daemons: Vec<Daemon>,
}

impl Topology {
    pub fn namespace(&self, name: &str) -> Option<&Namespace> {
        self.namespaces.iter().find(|one| one.name == name)
    }
}

impl std::fmt::Debug for Wireguard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wireguard")
            .field("interface", &self.interface)
            .field("listen_port", &self.listen_port)
            .field("peer_public_key", &self.peer_public_key)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}
