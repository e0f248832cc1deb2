//! `single`: one cluster, whose pods talk over its node.

use std::net::SocketAddrV4;

use super::address::Site;
use super::carriers::Carriers;
use super::draft::{self, Draft};
use super::kube_proxy::KubeProxy;
use super::reach::{BuiltFabric, ETHERNET_MTU_BYTES, RtpOverUdp, StreamerReach};
use super::{node, nodeport};
use crate::Cluster;
use crate::local::plan::{LabPlan, Service};

pub(super) fn build(plan: &LabPlan) -> BuiltFabric {
    let site = Site::new(Cluster::A, false);
    let pods = draft::pods(plan, &site);
    let streamer = draft::streamer(&pods).address;
    let mut draft = Draft::default();
    let names: Vec<&str> = pods.iter().map(|pod| pod.name.as_str()).collect();
    let mut node = node::node(&mut draft, &site, &names);
    let (address, service) = match plan.service {
        Service::Headless => (
            streamer,
            format!("headless: the pod's own address, {streamer}"),
        ),
        Service::ClusterIp => {
            let service = site.streamer_service();
            node.nft = KubeProxy {
                local: Some(site.pods),
                services: site.services,
                node: site.node_address,
                ports: &nodeport::streamer_ports(plan, service, streamer, None),
            }
            .ruleset();
            (service, format!("ClusterIP {service}"))
        }
    };
    draft.topology.namespaces.push(node);
    for pod in &pods {
        let pod = node::pod(&mut draft, &site, pod);
        draft.topology.namespaces.push(pod);
    }
    BuiltFabric {
        topology: draft.topology,
        reach: StreamerReach {
            name: "single",
            feed: SocketAddrV4::new(address, plan.feed_port),
            rtsp: SocketAddrV4::new(address, plan.rtsp_port),
            quic: SocketAddrV4::new(address, plan.quic_port),
            rtp_over_udp: RtpOverUdp::Works,
            mtu_bytes: ETHERNET_MTU_BYTES,
            wan_crossings: 0,
            encapsulations: Vec::new(),
            backend: "bridge".to_owned(),
            carriers: Carriers::default(),
            service,
            captures: draft.captures,
        },
    }
}
