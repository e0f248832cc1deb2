//! `lisp`: the streamer's service has one address, of a pool that belongs to no cluster; where it runs is a mapping. A packet goes
//! from its pod to the node, which is the cluster's tunnel router, through the tunnel to the other one (UDP 4341), and there to
//! kube-proxy's rule, as a packet for a ClusterIP. Mappings are registered at, and asked of, a control plane in a third place.
//!
//! The streamer is in cluster B; the viewer is outside of it behind a tunnel router of its own, which is cluster A's, so that a frame
//! crosses the same WAN as often as in the other fabrics. No service runs in cluster A.
//!
//! Pods are endpoints too, and registered by the prefix of their cluster: an RTSP server sends RTP from its pod's address and a
//! port that no service lists. Apart from kube-proxy's rule nothing translates addresses.
//!
//! A second streamer may stand by, in a third cluster behind node B's end of the WAN, which registers the same address with a worse
//! priority. Then cluster B's agent watches its streamer, and gives the service back when that is gone.
//!
//! Departures from the original:
//! - The tunnel router is the cluster's only node, not a gateway beside it: one pair of devices less on the way.
//! - kube-proxy is not told which addresses are its cluster's pods, so that it masquerades nobody who comes out of the tunnel.
//! - Node B's IP layer stands for the provider's router in front of the control plane, which is thus over the WAN for cluster A.
//! - Who asks the control plane for the service's address is a process of the lab, once, not an admission webhook.

mod control;
mod underlay;
mod xtr;

use std::net::SocketAddrV4;

use self::underlay::Branch;
use self::xtr::Router;
use super::address::{POOL, STANDBY, STREAMER_SERVICE, Site, management};
use super::carriers::{Carriers, TunnelCarrier};
use super::draft::{self, Draft, Pod, end};
use super::inputs::FabricInputs;
use super::kube_proxy::KubeProxy;
use super::reach::{BuiltFabric, Encapsulation, LISP_MTU_BYTES, RtpOverUdp, StreamerReach};
use super::wan_end::{self, INTERFACE};
use super::{node, nodeport};
use crate::Cluster;
use crate::local::plan::{LabPlan, Service};
use crate::local::topology::Daemon;

/// The pod of a second streamer.
const STANDBY_POD: &str = "standby";

/// Where a second streamer's cluster is.
const STANDBY_BRANCH: Branch = Branch {
    network: STANDBY,
    place: "node-c",
    interface: INTERFACE,
    towards: "to-c",
};

/// A cluster of the network, with its pods.
struct Place {
    site: Site,
    pods: Vec<Pod>,
    /// Who has the service here.
    streamer: Option<SocketAddrV4>,
    /// How it is reached behind node B; none for the two ends of the WAN.
    behind: Option<&'static Branch>,
}

pub(super) fn build(plan: &LabPlan, given: &FabricInputs) -> BuiltFabric {
    let mut draft = Draft::default();
    let wan = wan_end::wan(&mut draft, plan, given);
    let places = places(plan);
    let [a, b] = [&places[0], &places[1]];
    let streamer = draft::streamer(&b.pods).address;
    let service = POOL.at(STREAMER_SERVICE);
    let (address, told) = match plan.service {
        Service::Headless => (
            streamer,
            format!("headless: the pod's own address, {streamer}, which is an endpoint"),
        ),
        Service::ClusterIp => (
            service,
            format!("{service} of the pool {POOL}, ClusterIP where the streamer is"),
        ),
    };
    control::place(&mut draft);
    for place in [b].into_iter().chain(places.get(2)).chain([a]) {
        let names: Vec<&str> = place.pods.iter().map(|pod| pod.name.as_str()).collect();
        let site = &place.site;
        let mut node = node::node(&mut draft, site, &names);
        if let Some(branch) = place.behind {
            node.ip.extend(branch.lines());
        } else {
            wan.attach(&mut node, site);
            let branches = places.iter().filter_map(|place| place.behind);
            for branch in branches.chain([&control::BRANCH]) {
                match site.cluster {
                    Cluster::A => node.ip.push(branch.way_over_the_wan()),
                    Cluster::B => branch.attach(&mut draft, &mut node),
                }
            }
        }
        let ports = place
            .streamer
            .map(|streamer| nodeport::streamer_ports(plan, service, *streamer.ip(), None));
        node.nft = node::masquerade(&[site.pods]);
        node.nft += &xtr::ruleset();
        node.nft += &KubeProxy {
            local: None,
            services: POOL,
            node: site.node_address,
            ports: &ports.unwrap_or_default(),
        }
        .ruleset();
        draft.capture(format!("lisp-{}", site.letter), end(site.node, xtr::DEVICE));
        draft.topology.namespaces.push(node);
        for pod in &place.pods {
            let pod = node::pod(&mut draft, site, pod);
            draft.topology.namespaces.push(pod);
        }
    }
    draft.topology.daemons.extend(daemons(&places, given));
    BuiltFabric {
        topology: draft.topology,
        reach: StreamerReach {
            name: "lisp",
            feed: SocketAddrV4::new(address, plan.feed_port),
            rtsp: SocketAddrV4::new(address, plan.rtsp_port),
            quic: SocketAddrV4::new(address, plan.quic_port),
            rtp_over_udp: RtpOverUdp::Works,
            mtu_bytes: LISP_MTU_BYTES,
            wan_crossings: draft::wan_crossings(plan),
            encapsulations: vec![Encapsulation::Lisp],
            backend: format!("xr-lisp; WAN {}", wan.carrier.text()),
            carriers: Carriers {
                tunnel: Some(TunnelCarrier::Lisp),
                wan: Some(wan.carrier),
                ..Carriers::default()
            },
            service: told,
            captures: draft.captures,
        },
    }
}

/// Clusters A and B, and that of a second streamer.
fn places(plan: &LabPlan) -> Vec<Place> {
    let [a, b] = [Cluster::A, Cluster::B].map(|cluster| Site::new(cluster, false));
    let mut places = Vec::new();
    for site in [a, b] {
        let pods = draft::pods(plan, &site);
        let is_there = site.cluster == Cluster::B;
        let streamer = is_there.then(|| draft::streamer(&pods).address);
        places.push(Place {
            streamer: streamer.map(|address| SocketAddrV4::new(address, plan.rtsp_port)),
            site,
            pods,
            behind: None,
        });
    }
    if plan.standby {
        let site = Site::standby();
        let address = site.pod_address(0);
        places.push(Place {
            pods: vec![Pod {
                name: STANDBY_POD.to_owned(),
                address,
                moved: site.moved_pod_address(0),
                address_abroad: address,
                management: management(plan.pods.len()),
            }],
            streamer: Some(SocketAddrV4::new(address, plan.rtsp_port)),
            site,
            behind: Some(&STANDBY_BRANCH),
        });
    }
    places
}

/// The processes, in the order in which each finds what it needs: what registers is let register first, and what answers requests is
/// there before both.
fn daemons(places: &[Place], given: &FabricInputs) -> Vec<Daemon> {
    let service = POOL.at(STREAMER_SERVICE);
    let sites: Vec<&Site> = places.iter().map(|place| &place.site).collect();
    let serving = places
        .iter()
        .filter_map(|place| Some((&place.site, place.streamer?)));
    let serving: Vec<_> = serving.collect();
    let mut mappings: Vec<String> = sites.iter().map(|site| site.pods.to_string()).collect();
    mappings.push(format!("{service}/32={}", serving.len()));
    let mut daemons = vec![control::daemon(given, &sites, service)];
    for (at, (site, streamer)) in serving.iter().enumerate() {
        // The last one waits for all mappings; who has somebody to stand in for it looks after its streamer.
        let duty = if at + 1 == serving.len() {
            control::Duty::Await(&mappings)
        } else {
            control::Duty::Watch(*streamer)
        };
        daemons.push(control::agent(given, site, service, &duty));
    }
    let viewers = &places[0].site;
    for (at, (site, _)) in serving.iter().enumerate() {
        let router = Router {
            endpoints: vec![site.pods, POOL],
            elsewhere: vec![viewers.pods],
            registers: vec![site.pods.to_string(), format!("{service}/32")],
            priority: u8::try_from(at + 1).unwrap_or(u8::MAX),
        };
        daemons.push(router.daemon(given, site));
    }
    let far = serving.iter().map(|(site, _)| site.pods);
    let router = Router {
        endpoints: vec![viewers.pods],
        elsewhere: far.chain([POOL]).collect(),
        registers: vec![viewers.pods.to_string()],
        priority: 1,
    };
    daemons.push(router.daemon(given, viewers));
    daemons
}
