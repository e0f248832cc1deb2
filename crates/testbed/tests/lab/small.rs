//! Small topologies, and packets through them.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use testbed::Cluster;
use testbed::local::lab::{Lab, Options};
use testbed::local::topology::{Daemon, End, Kind, Link, Namespace, Topology, Wireguard};
use testbed::netns::Netns;
use testbed::pretend;
use testbed::{Placement, Testbed};
use timeline::UnixMicros;

/// For what takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn namespace(name: &str, kind: Kind, management: u8, ip: &[&str]) -> Namespace {
    Namespace {
        name: name.into(),
        kind,
        cluster: Cluster::A,
        management: Some(Ipv4Addr::new(172, 31, 255, management)),
        addresses: vec![],
        sysctls: vec![("net.ipv4.ip_forward".into(), "1".into())],
        ip: ip.iter().map(|&line| line.to_owned()).collect(),
        wireguard: vec![],
        routes: vec![],
        nft: String::new(),
        tc: vec![],
    }
}

pub(crate) fn end(namespace: &str, interface: &str) -> End {
    End {
        namespace: namespace.into(),
        interface: interface.into(),
    }
}

fn link(one: End, other: End) -> Link {
    Link { one, other }
}

/// Two pods on the bridge of a node, with a rule and a queue in the node.
pub(crate) fn pods() -> Topology {
    let pod = |name: &str, host: u8| {
        let address = format!("address add 10.1.0.{host}/24 dev eth0");
        let mut pod = namespace(name, Kind::Pod, host, &[&address, "link set dev eth0 up"]);
        pod.routes = vec!["route add default via 10.1.0.1".into()];
        pod
    };
    let mut node = namespace(
        "node-a",
        Kind::Node,
        10,
        &[
            "link add name cni0 type bridge",
            "address add 10.1.0.1/24 dev cni0",
            "link set dev cni0 up",
            "link set dev v-one master cni0 up",
            "link set dev v-two master cni0 up",
        ],
    );
    node.nft = "table ip lab { chain c { type filter hook forward priority 0; }; }\n".into();
    node.tc = vec!["qdisc add dev cni0 root tbf rate 1gbit burst 64kb latency 50ms".into()];
    Topology {
        namespaces: vec![node, pod("one", 2), pod("two", 3)],
        links: vec![
            link(end("one", "eth0"), end("node-a", "v-one")),
            link(end("two", "eth0"), end("node-a", "v-two")),
        ],
        daemons: vec![],
    }
}

/// Two pods with a daemon in `one` that makes an interface in `two`.
pub(crate) fn pods_and_a_maker() -> Topology {
    let mut topology = pods();
    let script = r#"nsenter --net="$1" ip link add name made0 type bridge && exec sleep 1000"#;
    topology.daemons.push(Daemon {
        role: "maker".into(),
        namespace: "one".into(),
        program: "sh".into(),
        args: ["-c", script, "sh", "{netns:two}"].map(Into::into).into(),
        env: vec![("PATH".into(), "/usr/sbin:/sbin:/usr/bin:/bin".into())],
        makes: vec![end("two", "made0")],
        ..Daemon::default()
    });
    // Its interface is there when the lines are run.
    topology.namespaces[2]
        .ip
        .push("link set dev made0 up".into());
    topology
}

/// Two gateways whose ends of a tunnel are made by wireguard-go.
pub(crate) fn tunnel() -> Topology {
    let keys = [(); 2].map(|()| key_pair());
    let gateway = |at: usize| {
        let (name, other) = (["left", "right"][at], 1 - at);
        let interface = format!("wg-{name}");
        let mut one = namespace(
            name,
            Kind::Gateway,
            20 + u8::try_from(at).expect("few"),
            &[
                &format!("address add 10.9.0.{}/24 dev eth0", at + 1),
                "link set dev eth0 up",
                &format!("address add 169.254.18.{}/30 dev {interface}", at + 1),
                &format!("link set dev {interface} up mtu 1340"),
            ],
        );
        one.wireguard = vec![Wireguard {
            interface,
            private_key: keys[at].0.clone(),
            listen_port: Some(51840),
            peer_public_key: keys[other].1.clone(),
            endpoint: (at == 0).then(|| "10.9.0.2:51840".parse().expect("an address")),
            keepalive_s: (at == 0).then_some(1),
        }];
        one.nft = format!(
            "table ip lab {{ chain c {{ type filter hook output priority 0; oif wg-{name} counter; }}; }}\n"
        );
        one
    };
    let daemon = |name: &str| Daemon {
        role: format!("wireguard-{name}"),
        namespace: name.into(),
        cluster: Some(Cluster::A),
        program: "wireguard-go".into(),
        args: vec!["--foreground".into(), format!("wg-{name}")],
        makes: vec![end(name, &format!("wg-{name}"))],
        ..Daemon::default()
    };
    Topology {
        namespaces: vec![gateway(1), gateway(0)],
        links: vec![link(end("left", "eth0"), end("right", "eth0"))],
        daemons: vec![daemon("left"), daemon("right")],
    }
}

fn key_pair() -> (String, String) {
    let script = "key=$(wg genkey); echo \"$key\"; echo \"$key\" | wg pubkey";
    let output = Command::new("sh")
        .args(["-c", script])
        .output()
        .expect("wg is there");
    let text = String::from_utf8(output.stdout).expect("base64");
    let (private, public) = text.trim().split_once('\n').expect("two keys");
    (private.into(), public.into())
}

pub(crate) fn options(logs: &Path) -> Options {
    let testbed = Testbed::new(Placement::Host, || UnixMicros(0), |_| {});
    Options::new(testbed, logs)
}

pub(crate) async fn up(topology: &Topology, logs: &Path) -> Lab {
    Lab::up(topology, options(logs))
        .await
        .unwrap_or_else(|error| panic!("{error}"))
}

/// Sends datagrams from one namespace until another one has answered; returns the sender as the answerer saw it.
pub(crate) fn echo(from: &Netns, to: &Netns, address: Ipv4Addr) -> io::Result<SocketAddr> {
    let bind = || UdpSocket::bind("0.0.0.0:0");
    let (asker, answerer) = (from.run(bind)?, to.run(bind)?);
    let port = answerer.local_addr()?.port();
    asker.set_read_timeout(Some(Duration::from_millis(50)))?;
    answerer.set_read_timeout(Some(Duration::from_millis(50)))?;
    let until = Instant::now() + PATIENCE;
    let mut buffer = [0; 64];
    while Instant::now() < until {
        // Refused or unreachable is an answer too: not yet.
        let _ = asker.send_to(b"ping", (address, port));
        if let Ok((n, sender)) = answerer.recv_from(&mut buffer) {
            answerer.send_to(&buffer[..n], sender)?;
            if asker.recv(&mut buffer).is_ok() {
                return Ok(sender);
            }
        }
    }
    Err(io::Error::other(format!("no answer from {address}")))
}

/// What a command prints in a namespace.
pub(crate) fn said(netns: &Netns, script: &str) -> String {
    let mut command = netns.command("sh");
    pretend::apply(&mut command);
    let output = command
        .args(["-c", script])
        .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
        .output()
        .expect("sh runs");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {error}");
    String::from_utf8(output.stdout).expect("text")
}
