//! A topology as text: what `xrbench lab --print` shows, and what a reviewer reads. It never holds a private key.

use std::fmt::Write as _;

use super::topology::{Kind, Namespace, Topology, Wireguard};

/// Every link, daemon, address, route and rule, in the order in which they are made.
pub fn text(topology: &Topology) -> String {
    let mut text = String::from("links\n");
    for link in &topology.links {
        line(
            &mut text,
            format_args!(
                "  {} in {} -- {} in {}",
                link.one.interface, link.one.namespace, link.other.interface, link.other.namespace
            ),
        );
    }
    if !topology.daemons.is_empty() {
        text.push_str("\nprocesses of the fabric\n");
    }
    for daemon in &topology.daemons {
        line(
            &mut text,
            format_args!(
                "  {} in {}: {} {}",
                daemon.role,
                daemon.namespace,
                daemon.program.display(),
                quoted(&daemon.args)
            ),
        );
        for end in &daemon.makes {
            line(
                &mut text,
                format_args!("    makes {} in {}", end.interface, end.namespace),
            );
        }
        for file in &daemon.files {
            line(&mut text, format_args!("    reads {{files}}/{}", file.name));
            let shown = if file.is_secret {
                "a secret"
            } else {
                &file.text
            };
            for one in shown.lines() {
                line(&mut text, format_args!("      {one}"));
            }
        }
    }
    for namespace in &topology.namespaces {
        whole(&mut text, namespace);
    }
    text
}

/// As a shell takes them.
fn quoted(args: &[String]) -> String {
    let args = args.iter().map(String::as_str);
    shlex::try_join(args).expect("no argument has a NUL in it")
}

fn whole(text: &mut String, namespace: &Namespace) {
    let kind = match namespace.kind {
        Kind::Node => "node",
        Kind::Pod => "pod",
        Kind::Gateway => "gateway",
        Kind::Wan => "WAN",
        Kind::Control => "control plane",
    };
    line(
        text,
        format_args!(
            "\n{} ({kind} of cluster {:?})",
            namespace.name, namespace.cluster
        ),
    );
    if let Some(address) = namespace.management {
        line(text, format_args!("  management {address} dev mgmt0"));
    }
    for (key, value) in &namespace.sysctls {
        line(text, format_args!("  sysctl {key}={value}"));
    }
    for one in &namespace.ip {
        line(text, format_args!("  ip {one}"));
    }
    for one in &namespace.wireguard {
        line(text, format_args!("  {}", wireguard(one)));
    }
    for one in &namespace.routes {
        line(text, format_args!("  ip {one}"));
    }
    for one in &namespace.tc {
        line(text, format_args!("  tc {one}"));
    }
    for one in namespace.nft.lines() {
        line(text, format_args!("  nft {}", one.replace('\t', "    ")));
    }
}

/// As `wg` would be told, without the private key.
fn wireguard(one: &Wireguard) -> String {
    let mut text = format!("wg set {}", one.interface);
    if let Some(port) = one.listen_port {
        let _ = write!(text, " listen-port {port}");
    }
    let _ = write!(text, " peer {} allowed-ips 0.0.0.0/0", one.peer_public_key);
    if let Some(endpoint) = one.endpoint {
        let _ = write!(text, " endpoint {endpoint}");
    }
    if let Some(seconds) = one.keepalive_s {
        let _ = write!(text, " persistent-keepalive {seconds}");
    }
    text
}

fn line(text: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{what}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cluster;
    use crate::local::topology::{Daemon, DaemonFile, End, Link};

    #[test]
    fn everything_is_there_but_the_private_key() {
        let end = |namespace: &str, interface: &str| End {
            namespace: namespace.into(),
            interface: interface.into(),
        };
        let file = |name: &str, text: &str, is_secret| DaemonFile {
            name: name.into(),
            text: text.into(),
            is_secret,
        };
        let topology = Topology {
            namespaces: vec![Namespace {
                name: "gateway-a".into(),
                kind: Kind::Gateway,
                cluster: Cluster::A,
                management: Some([172, 31, 255, 9].into()),
                addresses: Vec::new(),
                sysctls: vec![("net.ipv4.ip_forward".into(), "1".into())],
                ip: vec!["link set eth0 up".into()],
                wireguard: vec![Wireguard {
                    interface: "liqo-tunnel-a".into(),
                    private_key: "c2VjcmV0".into(),
                    listen_port: Some(51840),
                    peer_public_key: "cHVibGlj".into(),
                    endpoint: None,
                    keepalive_s: Some(25),
                }],
                routes: vec!["route add 10.2.0.0/16 dev liqo-tunnel-a".into()],
                nft: "table ip x {\n}\n".into(),
                tc: vec!["qdisc add dev wan0 root netem".into()],
            }],
            links: vec![Link {
                one: end("gateway-a", "eth0"),
                other: end("node-a", "veth-gateway"),
            }],
            daemons: vec![Daemon {
                role: "wireguard-a".into(),
                namespace: "gateway-a".into(),
                cluster: Some(Cluster::A),
                program: "wireguard-go".into(),
                args: vec!["-f".into(), "liqo-tunnel-a".into()],
                files: vec![
                    file("a.toml", "name = \"a\"", false),
                    file("a.key", "c2VjcmV0", true),
                ],
                makes: vec![end("gateway-a", "liqo-tunnel-a")],
                ..Daemon::default()
            }],
        };
        let text = text(&topology);
        for part in [
            "eth0 in gateway-a -- veth-gateway in node-a",
            "wireguard-a in gateway-a: wireguard-go -f liqo-tunnel-a",
            "makes liqo-tunnel-a in gateway-a",
            "reads {files}/a.toml\n      name = \"a\"",
            "reads {files}/a.key\n      a secret",
            "gateway-a (gateway of cluster A)",
            "management 172.31.255.9 dev mgmt0",
            "sysctl net.ipv4.ip_forward=1",
            "ip link set eth0 up",
            "wg set liqo-tunnel-a listen-port 51840 peer cHVibGlj allowed-ips 0.0.0.0/0 persistent-keepalive 25",
            "ip route add 10.2.0.0/16 dev liqo-tunnel-a",
            "tc qdisc add dev wan0 root netem",
            "nft table ip x {",
        ] {
            assert!(text.contains(part), "no {part:?} in\n{text}");
        }
        assert!(!text.contains("c2VjcmV0"), "{text}");
    }
}
