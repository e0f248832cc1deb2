//! What this program does inside.

use std::io::{Read as _, Write as _};
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::ExitCode;

use testbed::local::isolate::{Isolation, MANAGEMENT_ADDRESS};
use testbed::local::lab::Lab;
use testbed::local::topology::{Daemon, DaemonFile, Stage};
use testbed::netns::Netns;
use testbed::{Exit, Spec, Testbed};

use crate::small::{echo, end, options, pods, pods_and_a_maker, said, tunnel, up};

pub(crate) const ACTS: [&str; 6] = [
    "reach",
    "tunnel",
    "capture",
    "refusals",
    "netns-path",
    "services",
];

pub(crate) fn play(act: &str, isolation: Isolation) -> ExitCode {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let dir = dir.path();
    runtime.block_on(async {
        match act {
            "reach" => reach(dir).await,
            "tunnel" => through_the_tunnel(dir).await,
            "capture" => capture(dir).await,
            "refusals" => refusals(dir).await,
            "netns-path" => netns_path(dir).await,
            "services" => services(dir).await,
            "stay" => stay(dir, isolation).await,
            "code" => return ExitCode::from(7),
            "signals" => crate::signals::count().await,
            "die" => nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL).expect("raised"),
            other => panic!("no act {other:?}"),
        }
        ExitCode::SUCCESS
    })
}

async fn reach(dir: &Path) {
    let lab = up(&pods(), dir).await;
    let (one, two) = (netns(&lab, "one"), netns(&lab, "two"));
    let seen = echo(one, two, Ipv4Addr::new(10, 1, 0, 3)).expect("over the bridge");
    assert_eq!(seen.ip(), Ipv4Addr::new(10, 1, 0, 2), "nobody translated");
    let runner = Netns::current("runner").expect("ours");
    let managed = lab.management("two").expect("it has one");
    let seen = echo(&runner, two, managed).expect("over the management link");
    assert_eq!(seen.ip(), MANAGEMENT_ADDRESS);
    let names = said(one, "ip -o link | awk -F'[:@ ]+' '{print $2}'");
    assert_eq!(
        names.split_whitespace().collect::<Vec<_>>(),
        ["lo", "eth0", "mgmt0"],
        "and nothing else"
    );
    let node = netns(&lab, "node-a");
    assert!(said(node, "nft list ruleset").contains("hook forward"));
    assert!(said(node, "tc qdisc show dev cni0").contains("tbf"));
    assert_eq!(said(node, "cat /proc/sys/net/ipv4/ip_forward"), "1\n");
    // A supervised process is in its pod, and only there.
    let place = lab.pod("one").expect("there");
    let testbed = Testbed::new(place, || timeline::UnixMicros(0), |_| {});
    let script = "readlink /proc/self/ns/net >&2; exec sleep 1000";
    let spec = Spec {
        args: vec!["-c".to_owned(), script.to_owned()],
        ready_when: Some("net:[".to_owned()),
        ..Spec::new("sh", "/bin/sh", dir.join("sh.log"))
    };
    let process = testbed.start(spec).expect("started");
    process
        .ready(std::time::Duration::from_secs(10))
        .await
        .expect("it says where it is");
    let inode = one.inode().expect("an inode");
    assert_eq!(process.log_tail(), format!("net:[{inode}]"));
    process.kill().await;
    lab.down().await.expect("down");
    // The same runner may have one lab after another.
    let again = up(&pods(), dir).await;
    again.down().await.expect("down");
    let left = said(&runner, "ip -o link show type veth");
    assert_eq!(left, "", "no link is left");
}

async fn through_the_tunnel(dir: &Path) {
    let tun = std::fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/net/tun");
    if tun.is_err() {
        // Closed to this user: then the lab says who could not do what.
        let error = Lab::up(&tunnel(), options(dir))
            .await
            .expect_err("no tunnel without the device");
        let error = error.to_string();
        assert!(
            error.starts_with("wireguard-") && error.contains("Failed to create TUN"),
            "{error}"
        );
        return;
    }
    let mut lab = up(&tunnel(), dir).await;
    let far = Ipv4Addr::new(169, 254, 18, 2);
    let check = |lab: &Lab| {
        let seen = echo(netns(lab, "left"), netns(lab, "right"), far).expect("through the tunnel");
        assert_eq!(seen.ip(), Ipv4Addr::new(169, 254, 18, 1));
    };
    check(&lab);
    let before = lab.daemons();
    assert!(before.iter().all(|one| one.pid.is_some()), "{before:?}");
    for role in ["wireguard-left", "wireguard-right"] {
        let exit = lab.daemon_kill(role).await.expect("known");
        assert_eq!(exit, Exit::Signal(9));
        assert!(lab.daemons().iter().any(|one| one.pid.is_none()));
        lab.daemon_restart(role)
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        check(&lab);
    }
    // Restarted while it runs, and the rule that counts holds the new interface.
    lab.daemon_restart("wireguard-left").await.expect("again");
    check(&lab);
    let rules = said(netns(&lab, "left"), "nft list ruleset");
    assert!(
        rules.contains("oif \"wg-left\"") && !rules.contains("packets 0 "),
        "{rules}"
    );
    let after = lab.daemons();
    assert!(
        before.iter().zip(&after).all(|(a, b)| a.pid != b.pid),
        "{after:?}"
    );
    for pid in after.iter().filter_map(|one| one.pid) {
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).expect("it runs");
        assert!(line.contains("wireguard-go"), "{line}");
    }
    let error = lab.daemon_kill("wireguard-x").await.expect_err("unknown");
    assert!(error.to_string().contains("wireguard-left"), "{error}");
    lab.down().await.expect("down");
}

async fn capture(dir: &Path) {
    let lab = up(&pods(), dir).await;
    let path = dir.join("one.pcap");
    let capture = lab
        .capture("two", "eth0", &path, Some("udp and src host 10.1.0.2"))
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    let (one, two) = (netns(&lab, "one"), netns(&lab, "two"));
    echo(one, two, Ipv4Addr::new(10, 1, 0, 3)).expect("over the bridge");
    let captured = capture.end().await.expect("whole");
    assert!(
        captured.packets >= 1 && captured.dropped == 0,
        "{captured:?}"
    );
    let read = said(one, &format!("tcpdump -n -r {}", path.display()));
    assert_eq!(read.lines().count() as u64, captured.packets, "{read}");
    assert!(read.contains("10.1.0.2."), "{read}");
    let error = lab
        .capture("two", "eth7", &path, None)
        .await
        .expect_err("no such interface");
    assert!(error.to_string().contains("eth7"), "{error}");
    lab.down().await.expect("down");
}

async fn refusals(dir: &Path) {
    let refused = async |change: &dyn Fn(&mut testbed::local::topology::Topology)| {
        let mut topology = pods();
        change(&mut topology);
        let error = Lab::up(&topology, options(dir))
            .await
            .expect_err("it is wrong");
        error.to_string()
    };
    let is = |error: String, words: &[&str]| {
        for word in words {
            assert!(error.contains(word), "{word:?} is not in: {error}");
        }
    };
    let line = refused(&|lab| lab.namespaces[1].ip.push("link set dev eth9 up".into())).await;
    is(
        line,
        &["namespace one", "line 3", "`link set dev eth9 up`", "eth9"],
    );
    let route = refused(&|lab| {
        lab.namespaces[2]
            .routes
            .push("route add 10.5.0.0/16 via 10.7.0.1".into());
    })
    .await;
    is(route, &["namespace two", "line 2", "via 10.7.0.1`", "rror"]);
    let sysctl = refused(&|lab| {
        lab.namespaces[0]
            .sysctls
            .push(("net.ipv4.none".into(), "1".into()));
    })
    .await;
    is(sysctl, &["namespace node-a", "net.ipv4.none = 1"]);
    let rules =
        refused(&|lab| lab.namespaces[0].nft = "table ip x {\n  chain c { nonsense; }\n}\n".into())
            .await;
    is(rules, &["namespace node-a", "nft", "2:", "nonsense"]);
    let queue = refused(&|lab| {
        lab.namespaces[0]
            .tc
            .push("qdisc add dev cni9 root pfifo".into());
    })
    .await;
    is(queue, &["namespace node-a", "tc refuses line 2", "cni9"]);
    let ends = refused(&|lab| lab.links[0].one.namespace = "three".into()).await;
    is(ends, &["no namespace \"three\"", "node-a, one, two"]);
    let daemon = |program: &str, script: &str| Daemon {
        role: "maker".into(),
        namespace: "one".into(),
        program: program.into(),
        args: vec!["-c".into(), script.into()],
        makes: vec![end("one", "made0")],
        ..Daemon::default()
    };
    let dies = refused(&|lab| {
        lab.daemons
            .push(daemon("sh", "echo no tun here >&2; exit 3"));
    })
    .await;
    is(
        dies,
        &["maker ended (exit 3)", "made0", "one", "no tun here"],
    );
    let missing = refused(&|lab| lab.daemons.push(daemon("xr-none", ""))).await;
    is(missing, &["maker: xr-none is not there"]);
    let mut topology = pods();
    topology.daemons.push(daemon("sh", "exec sleep 1000"));
    let mut hasty = options(dir);
    hasty.patience = std::time::Duration::from_millis(100);
    let late = Lab::up(&topology, hasty)
        .await
        .expect_err("it makes nothing");
    is(late.to_string(), &["maker took more than 0.1 s", "made0"]);
}

async fn netns_path(dir: &Path) {
    let lab = up(&pods_and_a_maker(), dir).await;
    assert!(said(netns(&lab, "two"), "ip link show dev made0").contains("UP"));
    lab.down().await.expect("down");
}

/// Services start once addresses are there, one after the other, and read their files; a task has ended when the lab is up.
async fn services(dir: &Path) {
    const READY: &str = "echo '{\"event\":\"ready\"}'";
    let service = |role: &str, stage, script: &str| Daemon {
        role: role.into(),
        namespace: "one".into(),
        stage,
        program: "sh".into(),
        args: vec!["-c".into(), script.into(), "sh".into(), "{files}".into()],
        files: vec![DaemonFile {
            name: "word".into(),
            text: "swordfish".into(),
            is_secret: true,
        }],
        ..Daemon::default()
    };
    let first = format!(
        "set -e; ip -o addr show dev eth0 | grep -q 10.1.0.2; [ $(cat $1/word) = swordfish ]; \
         sleep 0.2; echo there >$1/first; {READY}; exec sleep 1000"
    );
    let second = format!("set -e; cat $1/first >&2; echo $1 >&2; {READY}; sleep 0.1");
    let mut topology = pods();
    topology.daemons = vec![
        service("first", Stage::Service, &first),
        service("second", Stage::Task, &second),
    ];
    let mut lab = up(&topology, dir).await;
    let second = lab.daemon("second").expect("there");
    assert_eq!(second.exit(), Some(Exit::Code(0)), "{}", second.log_tail());
    let told = second.log_tail();
    // The ready line comes by another pipe: before or behind what is said on standard error.
    let lines = told.lines().filter(|line| !line.contains("ready"));
    let [there, files] = lines.collect::<Vec<_>>()[..] else {
        panic!("{told}")
    };
    assert_eq!(there, "there");
    let mode = std::fs::metadata(files).expect("the folder").permissions();
    assert_eq!(mode.mode() & 0o777, 0o700);
    lab.daemon_restart("first").await.expect("again");
    let pid = lab.daemons()[0].pid.expect("it runs");
    lab.down().await.expect("down");
    assert!(!Path::new(files).exists(), "secrets are gone");
    assert!(!Path::new(&format!("/proc/{pid}")).exists(), "so is it");

    for (stage, script, words) in [
        (
            Stage::Service,
            "echo no address >&2; exit 3".to_owned(),
            ["first ended (exit 3)", "no address"],
        ),
        (
            Stage::Task,
            format!("{READY}; echo no mapping >&2; exit 4"),
            ["first ended (exit 4)", "no mapping"],
        ),
    ] {
        let mut topology = pods();
        topology.daemons = vec![service("first", stage, &script)];
        let error = Lab::up(&topology, options(dir))
            .await
            .expect_err("it fails");
        for word in words {
            assert!(error.to_string().contains(word), "{error}");
        }
    }
}

/// Comes up, says where, and stays until its standard input ends.
async fn stay(dir: &Path, isolation: Isolation) {
    let topology = pods_and_a_maker();
    let lab = up(&topology, dir).await;
    let inodes: Vec<String> = topology
        .namespaces
        .iter()
        .map(|one| netns(&lab, &one.name).clone())
        .chain([Netns::current("runner").expect("ours")])
        .map(|netns| netns.inode().expect("an inode").to_string())
        .collect();
    let mut out = std::io::stdout().lock();
    writeln!(out, "user {}", isolation.user_namespace).expect("written");
    writeln!(out, "pids {}", isolation.pid_namespace).expect("written");
    writeln!(out, "guard {}", isolation.guard).expect("written");
    writeln!(out, "namespaces {}", inodes.join(" ")).expect("written");
    writeln!(out, "up").expect("written");
    drop(out);
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()))
        .await
        .expect("joined")
        .expect("read");
    lab.down().await.expect("down");
}

fn netns<'a>(lab: &'a Lab, name: &str) -> &'a Netns {
    lab.namespace(name).expect("it is there")
}
