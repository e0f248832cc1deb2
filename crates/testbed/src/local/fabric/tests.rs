//! What every fabric must be, and each of them as text.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::Cluster;
use crate::local::plan::{Liqo, PodPlan, Service, TrafficPolicy};
use crate::local::topology::{Daemon, Kind, Stage};
use crate::wan::link::LinkArgs;
use crate::wan::{Direction, Wan};

fn plan(fabric: Fabric) -> LabPlan {
    let far = match fabric {
        Fabric::Single => Cluster::A,
        Fabric::NodePort(_) | Fabric::Liqo(_) | Fabric::Lisp => Cluster::B,
    };
    let pods = [
        ("renderer", Cluster::A),
        ("streamer", far),
        ("client", Cluster::A),
    ];
    LabPlan {
        fabric,
        service: Service::ClusterIp,
        overlapping: false,
        standby: false,
        pods: pods
            .map(|(name, cluster)| PodPlan {
                name: name.to_owned(),
                cluster,
            })
            .to_vec(),
        feed_port: 8080,
        rtsp_port: 8554,
        quic_port: 8555,
        wan: Wan::default(),
    }
}

fn with_a_standby() -> LabPlan {
    LabPlan {
        standby: true,
        ..plan(Fabric::Lisp)
    }
}

fn given() -> FabricInputs {
    FabricInputs {
        backends: Backends {
            wireguard: WireguardBackend::Userspace,
            overlay: OverlayBackend::Vxlan,
            wan: WanBackend::Userspace,
        },
        keys: Keys {
            a: KeyPair::from_bytes([1; 32]),
            b: KeyPair::from_bytes([2; 32]),
            lisp: LispSecrets {
                a: Shared::from_text("secret of a"),
                b: Shared::from_text("secret of b"),
                c: Shared::from_text("secret of c"),
                token: Shared::from_text("secret of agents"),
            },
        },
        wan_seed: 7,
        programs: BTreeMap::new(),
    }
}

fn kernel() -> FabricInputs {
    FabricInputs {
        backends: Backends {
            wireguard: WireguardBackend::Kernel,
            overlay: OverlayBackend::Geneve,
            wan: WanBackend::Netem,
        },
        ..given()
    }
}

fn remote() -> Wan {
    let direction = Direction {
        delay: Duration::from_millis(6),
        ..Direction::default()
    };
    Wan {
        preset: None,
        a_to_b: direction,
        b_to_a: direction,
    }
}

const FABRICS: [Fabric; 6] = [
    Fabric::Single,
    Fabric::NodePort(TrafficPolicy::Cluster),
    Fabric::NodePort(TrafficPolicy::Local),
    Fabric::Liqo(Liqo::V1_2),
    Fabric::Liqo(Liqo::V0_10),
    Fabric::Lisp,
];

/// Every lab that there is, near enough.
fn all() -> Vec<(LabPlan, BuiltFabric)> {
    let mut all = Vec::new();
    for fabric in FABRICS {
        for service in [Service::ClusterIp, Service::Headless] {
            for wan in [Wan::default(), remote()] {
                for overlapping in [false, true] {
                    for given in [given(), kernel()] {
                        let plan = LabPlan {
                            service,
                            overlapping,
                            wan: wan.clone(),
                            ..plan(fabric)
                        };
                        if let Ok(built) = build(&plan, &given) {
                            all.push((plan, built));
                        }
                    }
                }
            }
        }
    }
    assert_eq!(all.len(), 4 * 8 + 2 * 16, "only Liqo overlaps");
    for given in [given(), kernel()] {
        let built = build(&with_a_standby(), &given).expect("a fabric");
        all.push((with_a_standby(), built));
    }
    all
}

/// The word after `key` in a line of `ip`.
fn after<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    let mut words = line.split(' ');
    words.find(|word| *word == key)?;
    words.next()
}

#[test]
fn addresses_are_unique() {
    for (plan, built) in all() {
        let mut seen = BTreeSet::new();
        for namespace in &built.topology.namespaces {
            let own = namespace
                .ip
                .iter()
                .filter(|line| line.starts_with("addr add"));
            for line in own {
                let address = after(line, "add").expect("an address");
                // With overlapping networks each cluster has its own 10.1.0.0/16; v0.10 has its pair in each cluster.
                let local = plan.overlapping && address.starts_with("10.1.")
                    || address.starts_with("169.254.100.");
                let cluster = local.then_some(namespace.cluster);
                let bare = address.split('/').next().expect("an address").to_owned();
                assert!(seen.insert((bare, cluster)), "{address} twice: {plan:?}");
            }
            if let [first, others @ ..] = &namespace.addresses[..] {
                let line = format!("addr add {first}/32 dev eth0");
                assert!(namespace.ip.contains(&line), "{line}: {plan:?}");
                for other in others {
                    let cluster = plan.overlapping.then_some(namespace.cluster);
                    let is_new = seen.insert((other.to_string(), cluster));
                    assert!(is_new, "{other} twice: {plan:?}");
                }
            }
            if let Some(address) = namespace.management {
                assert!(seen.insert((address.to_string(), None)), "{address} twice");
            }
        }
    }
}

#[test]
fn what_is_named_exists() {
    for (_, built) in all() {
        let topology = &built.topology;
        let known = |name: &str| assert!(topology.namespace(name).is_some(), "{name}");
        let links = topology.links.iter();
        let mut interfaces: BTreeSet<(String, String)> = links
            .flat_map(|link| [&link.one, &link.other])
            .chain(topology.daemons.iter().flat_map(|daemon| &daemon.makes))
            .map(|end| (end.namespace.clone(), end.interface.clone()))
            .collect();
        for namespace in &topology.namespaces {
            for line in namespace.ip.iter().chain(&namespace.routes) {
                if let Some(made) = line.strip_prefix("link add ") {
                    let name = made.split(' ').next().expect("a name").to_owned();
                    assert!(interfaces.insert((namespace.name.clone(), name)), "{line}");
                }
                let device = after(line, "dev").or_else(|| after(line, "set"));
                if let Some(device) = device {
                    let at = (namespace.name.clone(), device.to_owned());
                    assert!(interfaces.contains(&at), "{}: {line}", namespace.name);
                }
            }
        }
        for (namespace, interface) in &interfaces {
            known(namespace);
            assert!(interface.len() <= 15, "{interface}");
        }
        for daemon in &topology.daemons {
            known(&daemon.namespace);
        }
        assert!(
            topology
                .daemons
                .is_sorted_by_key(|daemon| daemon.stage != Stage::Device)
        );
        for (point, end) in &built.reach.captures {
            let at = (end.namespace.clone(), end.interface.clone());
            assert!(interfaces.contains(&at), "capture point {point}: {at:?}");
        }
        for namespace in &topology.namespaces {
            for wireguard in &namespace.wireguard {
                let at = (namespace.name.clone(), wireguard.interface.clone());
                assert!(interfaces.contains(&at), "{at:?}");
            }
        }
    }
}

#[test]
fn private_keys_are_in_the_configuration_and_nowhere_else() {
    let given = given();
    for (plan, built) in all() {
        let debug = format!("{built:?}");
        for pair in [&given.keys.a, &given.keys.b] {
            assert!(!debug.contains(pair.private()), "{plan:?}");
        }
        let printed = crate::local::print::text(&built.topology);
        for text in [&debug, &printed] {
            assert!(!text.contains("secret of"), "{plan:?}: {text}");
        }
        let tunnels = built
            .topology
            .namespaces
            .iter()
            .flat_map(|one| &one.wireguard)
            .count();
        let liqo = matches!(plan.fabric, Fabric::Liqo(_));
        assert_eq!(tunnels, if liqo { 2 } else { 0 });
    }
}

#[test]
fn each_namespace_has_its_place() {
    for (plan, built) in all() {
        for pod in &plan.pods {
            let namespace = built.topology.namespace(&pod.name).expect("a pod");
            assert_eq!(
                (namespace.kind, namespace.cluster),
                (Kind::Pod, pod.cluster)
            );
            assert!(namespace.management.is_some());
        }
        let last = built.topology.namespaces.last().expect("namespaces");
        if matches!(plan.fabric, Fabric::Liqo(_)) {
            assert_eq!(last.name, "gateway-a", "it dials at once");
        }
    }
}

/// What registers is let register first, and what answers requests is there before both.
#[test]
fn lisp_starts_with_its_control_plane_and_asks_for_the_address_before_it_is_registered() {
    let roles = |built: &BuiltFabric| {
        let daemons = built.topology.daemons.iter();
        daemons.map(|one| one.role.clone()).collect::<Vec<_>>()
    };
    let built = build(&plan(Fabric::Lisp), &given()).expect("a fabric");
    assert_eq!(
        roles(&built),
        ["lisp-control", "lisp-agent-b", "xtr-b", "xtr-a"]
    );
    let standby = build(&with_a_standby(), &given()).expect("a fabric");
    assert_eq!(
        roles(&standby),
        [
            "lisp-control",
            "lisp-agent-b",
            "lisp-agent-c",
            "xtr-b",
            "xtr-c",
            "xtr-a"
        ]
    );
    assert_eq!(built.reach.rtsp.to_string(), "10.112.0.10:8554");
    assert_eq!(built.reach.carriers.tunnel, Some(TunnelCarrier::Lisp));
    let headless = LabPlan {
        service: Service::Headless,
        ..plan(Fabric::Lisp)
    };
    let built = build(&headless, &given()).expect("a fabric");
    assert_eq!(built.reach.rtsp.to_string(), "10.2.0.10:8554");
}

#[test]
fn a_wan_that_does_nothing_is_a_pair_of_devices() {
    let quiet = build(&plan(Fabric::Liqo(Liqo::V1_2)), &given()).expect("a fabric");
    assert!(quiet.topology.daemons.iter().all(|one| one.role != "wan"));
    assert_eq!(quiet.reach.carriers.wan, Some(WanCarrier::Veth));
    assert_eq!(
        quiet.reach.backend,
        "wireguard-go; VXLAN in place of Geneve; WAN veth"
    );

    let far = LabPlan {
        wan: remote(),
        ..plan(Fabric::Liqo(Liqo::V1_2))
    };
    let userspace = build(&far, &given()).expect("a fabric");
    let wan = userspace.topology.daemons.first().expect("a daemon");
    assert_eq!(wan.role, "wan");
    let [subcommand, arg] = &wan.args[..] else {
        panic!("{:?}", wan.args)
    };
    assert_eq!(subcommand, "wan-link");
    let link = LinkArgs::parse(arg).expect("what the link reads");
    assert_eq!((&*link.interface, link.a_to_b), ("wan0", far.wan.a_to_b));
    assert_eq!(link.a, Path::new("{netns:node-a}"));
    assert_eq!(link.b, Path::new("{netns:node-b}"));
    // What is printed can be pasted: the link is one word of a shell.
    let printed = crate::local::print::text(&userspace.topology);
    let (_, words) = printed.split_once("wan-link ").expect("its process");
    let words = shlex::split(words.lines().next().unwrap_or_default()).expect("quoted");
    assert_eq!(words, [arg.as_str()]);
    assert_eq!(wan.makes.len(), 2);
    assert!(
        userspace
            .topology
            .links
            .iter()
            .all(|link| link.one.interface != "wan0")
    );

    let netem = build(&far, &kernel()).expect("a fabric");
    assert!(netem.topology.daemons.is_empty());
    let between = netem
        .topology
        .namespace("wan")
        .expect("a way between the nodes");
    for port in ["dev to-a", "dev to-b"] {
        assert!(
            between
                .tc
                .iter()
                .any(|line| line.contains(port) && line.contains("netem")),
            "{:?}",
            between.tc
        );
    }
}

#[test]
fn what_fits_is_what_the_path_carries() {
    for (plan, built) in all() {
        let reach = &built.reach;
        let liqo = matches!(plan.fabric, Fabric::Liqo(_));
        let most = match plan.fabric {
            Fabric::Liqo(_) => 1312,
            Fabric::Lisp => 1464 - 28,
            Fabric::Single | Fabric::NodePort(_) => 1472,
        };
        assert_eq!(reach.max_udp_payload_bytes(), most);
        let has_tunnel = liqo || plan.fabric == Fabric::Lisp;
        assert_eq!(reach.wan_udp_port().is_some(), has_tunnel);
        fits(reach.max_udp_payload_bytes(), reach).expect("the largest fits");
        fits(1150, reach).expect("the renderer's default fits everywhere");
        let error = fits(1400, reach).err().map(|error| error.to_string());
        let expected = liqo.then(|| {
            format!(
                "an RTP packet of 1400 bytes does not pass the fabric {}, whose packets are at most 1340 bytes: RTP packets \
                 of at most 1312 bytes fit",
                reach.name
            )
        });
        assert_eq!(error, expected);
    }
}

#[test]
fn plans_that_cannot_be_are_refused() {
    let refusal = |change: fn(&mut LabPlan), fabric| {
        let mut plan = plan(fabric);
        change(&mut plan);
        build(&plan, &given()).expect_err("refused").to_string()
    };
    let single = Fabric::Single;
    let liqo = Fabric::Liqo(Liqo::V1_2);
    let text = refusal(|plan| plan.pods[1].name = "server".into(), single);
    assert!(text.contains("\"streamer\""), "{text}");
    let text = refusal(|plan| plan.pods[1].cluster = Cluster::B, single);
    assert!(text.contains("\"streamer\" is in cluster B"), "{text}");
    let text = refusal(|plan| plan.pods[1].cluster = Cluster::A, liqo);
    assert!(text.contains("streamer in cluster B"), "{text}");
    let text = refusal(|plan| plan.pods[0].name = "client".into(), liqo);
    assert!(text.contains("two pods are named \"client\""), "{text}");
    for name in ["", "node-a", "Client", "a/b", "elevenbytes", "1st"] {
        let mut plan = plan(single);
        name.clone_into(&mut plan.pods[0].name);
        let error = build(&plan, &given()).expect_err("refused");
        assert_eq!(error, BuildError::PodName(name.to_owned()));
    }
    let text = refusal(
        |plan| plan.overlapping = true,
        Fabric::NodePort(TrafficPolicy::Local),
    );
    assert!(text.contains("only Liqo"), "{text}");
    let text = refusal(|plan| plan.standby = true, liqo);
    assert!(text.contains("only LISP"), "{text}");
    let text = refusal(|plan| plan.feed_port = plan.rtsp_port, liqo);
    assert!(text.contains("8554 for feeds and 8554 for RTSP"), "{text}");
    let text = refusal(
        |plan| plan.pods = vec![plan.pods[0].clone(); address::MAX_PODS + 1],
        liqo,
    );
    assert!(text.contains("101 pods"), "{text}");
}

/// A fabric as text: what it is made of, without what all of them share.
fn text(built: &BuiltFabric) -> String {
    let mut text = format!("{:#?}\n", built.reach);
    for link in &built.topology.links {
        let (one, other) = (&link.one, &link.other);
        let _ = writeln!(
            text,
            "link {}:{} -- {}:{}",
            one.namespace, one.interface, other.namespace, other.interface
        );
    }
    for daemon in &built.topology.daemons {
        let Daemon {
            role,
            namespace,
            program,
            args,
            files,
            ..
        } = daemon;
        let _ = writeln!(
            text,
            "daemon {role} in {namespace}: {} {}",
            program.display(),
            args.join(" ")
        );
        for file in files.iter().filter(|file| !file.is_secret) {
            text += &file.text;
        }
    }
    for namespace in &built.topology.namespaces {
        let _ = writeln!(
            text,
            "\n[{}] {:?} {:?}",
            namespace.name, namespace.kind, namespace.cluster
        );
        if let Some(address) = namespace.management {
            let _ = writeln!(text, "management {address}");
        }
        for (key, value) in &namespace.sysctls {
            let _ = writeln!(text, "sysctl {key} = {value}");
        }
        for line in &namespace.ip {
            let _ = writeln!(text, "ip {line}");
        }
        for wireguard in &namespace.wireguard {
            let _ = writeln!(text, "{wireguard:?}");
        }
        for line in &namespace.routes {
            let _ = writeln!(text, "ip {line}");
        }
        for line in &namespace.tc {
            let _ = writeln!(text, "tc {line}");
        }
        text += &namespace.nft;
    }
    text
}

#[test]
fn the_fabrics_as_text() {
    for fabric in FABRICS {
        let built = build(&plan(fabric), &given()).expect("a fabric");
        insta::assert_snapshot!(built.reach.name, text(&built));
    }
    let overlapping = LabPlan {
        overlapping: true,
        service: Service::Headless,
        wan: remote(),
        ..plan(Fabric::Liqo(Liqo::V1_2))
    };
    let built = build(&overlapping, &kernel()).expect("a fabric");
    insta::assert_snapshot!("liqo-v1.2-overlapping-kernel", text(&built));
    let built = build(&with_a_standby(), &given()).expect("a fabric");
    insta::assert_snapshot!("lisp-standby", text(&built));
}
