//! What a lab is asked for.

use crate::Cluster;
use crate::wan::Wan;

/// How the clusters are connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fabric {
    /// A single cluster, without a WAN.
    Single,
    /// kube-proxy's NodePort in front of the streamer, with this `externalTrafficPolicy`.
    NodePort(TrafficPolicy),
    /// Two clusters joined by Liqo's data path.
    Liqo(Liqo),
    /// Two clusters with a LISP tunnel router each, and one address for the streamer's service.
    Lisp,
}

/// `externalTrafficPolicy` of a NodePort service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrafficPolicy {
    /// Any node takes it and masquerades: the pod sees the node's address. RTP on UDP does not find its way back.
    Cluster,
    /// Only a node with an endpoint takes it; the source address stays.
    Local,
}

/// The version of Liqo whose data plane is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liqo {
    /// Geneve on UDP 6091 in the cluster, a gateway pod, WireGuard on UDP 51840.
    V1_2,
    /// VXLAN on UDP 4879 with VNI 18952, a gateway in a namespace of the node, WireGuard on UDP 5871: the paper's.
    V0_10,
}

/// What stands in front of the streamer's pod where a fabric routes pod addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// kube-proxy's ClusterIP rule in the viewer's cluster.
    ClusterIp,
    /// The pod's own address, as a headless service resolves to.
    Headless,
}

/// A pod of the lab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodPlan {
    /// The pod's name, which its namespace and its process have too.
    pub name: String,
    pub cluster: Cluster,
}

/// What a lab is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct LabPlan {
    /// How the clusters are connected.
    pub fabric: Fabric,
    /// What stands in front of the streamer, where the fabric routes pod addresses.
    pub service: Service,
    /// Both clusters use the same pod addresses, and Liqo translates prefix to prefix.
    pub overlapping: bool,
    /// A second streamer stands by in a cluster of its own, and has the same service: the pod `standby`. Only LISP has such a service.
    pub standby: bool,
    /// The pods of the lab. One of them is named `streamer`; `single` puts all of them into cluster A.
    pub pods: Vec<PodPlan>,
    /// The streamer pod's TCP port for feeds.
    pub feed_port: u16,
    /// The streamer pod's TCP port for RTSP.
    pub rtsp_port: u16,
    /// The streamer pod's UDP port for RTP over QUIC.
    pub quic_port: u16,
    /// The WAN between the nodes; `single` has none.
    pub wan: Wan,
}
