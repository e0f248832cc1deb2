//! kube-proxy's rules, as its nftables mode writes them: the same chains, maps and marks, for services of one endpoint.
//!
//! Left out are the hashes in chain names and what no packet here can reach: load-balancer addresses, firewalls, services
//! without endpoints, and IPv6.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddrV4};

use super::address::Prefix;
use crate::local::plan::TrafficPolicy;

/// A port of a service.
#[derive(Clone, Debug)]
pub(super) struct ServicePort {
    /// Namespace, service, protocol and port, as kube-proxy names chains: `xr/streamer/tcp/rtsp`.
    pub(super) name: String,
    pub(super) protocol: Protocol,
    /// The ClusterIP and the port there.
    pub(super) service: SocketAddrV4,
    /// The node's port, and what it does to sources.
    pub(super) node_port: Option<(u16, TrafficPolicy)>,
    /// The only pod behind it, or what stands for one.
    pub(super) endpoint: SocketAddrV4,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Tcp,
    Udp,
}

impl Protocol {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// The ruleset of one node.
pub(super) struct KubeProxy<'a> {
    /// The cluster's pods: whoever else asks for a ClusterIP is masqueraded. None where kube-proxy is not told which those are
    /// (no `clusterCIDR`): then nobody is.
    pub(super) local: Option<Prefix>,
    /// The network of the cluster's services.
    pub(super) services: Prefix,
    /// The node's primary address, where its NodePorts are.
    pub(super) node: Ipv4Addr,
    pub(super) ports: &'a [ServicePort],
}

impl KubeProxy<'_> {
    /// For `nft -f -`; nothing where there are no services.
    pub(super) fn ruleset(&self) -> String {
        if self.ports.is_empty() {
            return String::new();
        }
        let mut chains = String::new();
        let mut cluster_ips: Vec<String> = Vec::new();
        let mut by_service = Vec::new();
        let mut by_node_port = Vec::new();
        for port in self.ports {
            chains += &self.chains(port);
            let ip = port.service.ip().to_string();
            let protocol = port.protocol.as_str();
            by_service.push(format!(
                "{ip} . {protocol} . {} : goto service-{}",
                port.service.port(),
                port.name
            ));
            if !cluster_ips.contains(&ip) {
                cluster_ips.push(ip);
            }
            if let Some((node_port, _)) = port.node_port {
                by_node_port.push(format!(
                    "{protocol} . {node_port} : goto external-{}",
                    port.name
                ));
            }
        }
        let set = |name: &str, kind: &str, elements: &[String]| {
            let elements = elements.join(",\n\t\t\t");
            let elements = if elements.is_empty() {
                String::new()
            } else {
                format!("\t\telements = {{\n\t\t\t{elements}\n\t\t}}\n")
            };
            format!("\t{name} {{\n\t\ttype {kind}\n{elements}\t}}\n")
        };
        let sets = [
            set("set cluster-ips", "ipv4_addr", &cluster_ips),
            set("set nodeport-ips", "ipv4_addr", &[self.node.to_string()]),
        ];
        // Verdicts name chains: chains first.
        let maps = [
            set(
                "map service-ips",
                "ipv4_addr . inet_proto . inet_service : verdict",
                &by_service,
            ),
            set(
                "map service-nodeports",
                "inet_proto . inet_service : verdict",
                &by_node_port,
            ),
        ];
        let (sets, maps) = (sets.concat(), maps.concat());
        let services = self.services;
        format!(
            "table ip kube-proxy {{
{sets}\tchain mark-for-masquerade {{
\t\tmeta mark set meta mark or 0x4000
\t}}
\tchain masquerading {{
\t\tmeta mark and 0x4000 == 0 return
\t\tmeta mark set meta mark xor 0x4000
\t\tmasquerade fully-random
\t}}
{chains}{maps}\tchain services {{
\t\tip daddr . meta l4proto . th dport vmap @service-ips
\t\tip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports
\t}}
\tchain nat-prerouting {{
\t\ttype nat hook prerouting priority dstnat; policy accept;
\t\tjump services
\t}}
\tchain nat-output {{
\t\ttype nat hook output priority -100; policy accept;
\t\tjump services
\t}}
\tchain nat-postrouting {{
\t\ttype nat hook postrouting priority srcnat; policy accept;
\t\tjump masquerading
\t}}
\tchain cluster-ips-check {{
\t\tip daddr @cluster-ips reject
\t\tip daddr {services} drop
\t}}
\tchain filter-forward {{
\t\ttype filter hook forward priority filter; policy accept;
\t\tct state new jump cluster-ips-check
\t}}
}}
"
        )
    }

    /// What a port has of its own: the way to its endpoint, the balancing, and the entry from outside.
    fn chains(&self, port: &ServicePort) -> String {
        let name = &port.name;
        let (protocol, endpoint) = (port.protocol.as_str(), port.endpoint);
        let (pod, service) = (port.endpoint.ip(), port.service.ip());
        let from_outside = self.local.map_or_else(String::new, |pods| {
            format!(
                "\t\tip daddr {service} {protocol} dport {} ip saddr != {pods} jump mark-for-masquerade\n",
                port.service.port()
            )
        });
        let mut text = format!(
            "\tchain endpoint-{name} {{
\t\tip saddr {pod} jump mark-for-masquerade
\t\tmeta l4proto {protocol} dnat to {endpoint}
\t}}
\tchain service-{name} {{
{from_outside}\t\tnumgen random mod 1 vmap {{ 0 : goto endpoint-{name} }}
\t}}
"
        );
        let external = match port.node_port {
            None => return text,
            Some((_, TrafficPolicy::Cluster)) => {
                format!("\t\tjump mark-for-masquerade\n\t\tgoto service-{name}\n")
            }
            // Pods are sent on as to the ClusterIP, the node's own are masqueraded, everybody else keeps the source.
            Some((_, TrafficPolicy::Local)) => {
                let from_pods = self.local.map_or_else(String::new, |pods| {
                    format!("\t\tip saddr {pods} goto service-{name}\n")
                });
                format!(
                    "{from_pods}\t\tfib saddr type local jump mark-for-masquerade
\t\tfib saddr type local goto service-{name}
\t\tnumgen random mod 1 vmap {{ 0 : goto endpoint-{name} }}
"
                )
            }
        };
        let _ = write!(text, "\tchain external-{name} {{\n{external}\t}}\n");
        text
    }
}
