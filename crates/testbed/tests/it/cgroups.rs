//! Real processes in real control groups; where this machine has none to give, the same from `/proc`.

use std::fs::OpenOptions;
use std::path::Path;
use std::time::{Duration, Instant};

use testbed::Cluster;
use testbed::cgroup::{self, Group, Limits, Part, Tree, Version};
use testbed::resources::{self, Source, net};
use testbed::{Process, Spec};

use super::{HELPER, quiet, shell, until, within};

const A: Part = Part::Cluster(Cluster::A);
const B: Part = Part::Cluster(Cluster::B);

fn tree(test: &str, limits: Option<Limits>) -> Tree {
    Tree::create(
        &format!("{}-{test}", cgroup::name(std::process::id())),
        limits,
    )
}

/// Where the figures of a process in a tree must come from: root gets control groups with every controller, and where
/// there are none, that is a failure. An ordinary user gets what was handed to it, or the figures of `/proc`.
fn promised(tree: &Tree) -> Source {
    // Root of a user namespace is an ordinary user to the files of a control group.
    let map = std::fs::read_to_string("/proc/self/uid_map").expect("a map");
    let is_everyone = map.split_whitespace().eq(["0", "0", "4294967295"]);
    let version = if nix::unistd::geteuid().is_root() && is_everyone {
        assert_eq!(tree.missing(), [], "root gets all of it");
        cgroup::serving()
    } else {
        let all = tree.controllers().len() + tree.missing().len();
        assert!(all >= 2, "each is had, or its lack explained: {tree:?}");
        tree.version()
    };
    assert_eq!(tree.version(), version);
    match version {
        Some(Version::V1) => Source::CgroupV1,
        Some(Version::V2) => Source::CgroupV2,
        None => Source::Proc,
    }
}

fn pid(process: &Process) -> u32 {
    process.pid().expect("it runs")
}

/// Processor time and memory of a process, from where its group says.
fn used(group: &Group, pid: u32) -> (Source, u64, u64) {
    let proc = resources::sample(pid).expect("it runs");
    let source = group.source_of(pid);
    if source == Source::Proc {
        return (source, proc.cpu_us(), proc.rss_bytes);
    }
    let of = group.sample();
    let memory = of.memory.expect("counted");
    (source, of.cpu.expect("counted").usage_us, memory.anon_bytes)
}

/// A process that holds 64 MiB: its one block, which nobody takes off the pipe.
fn holder(dir: &Path, group: Group) -> Spec {
    let pipe = dir.join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("made");
    let args = format!("if=/dev/zero bs=64M count=1 of={}", pipe.display());
    Spec {
        args: args.split(' ').map(ToOwned::to_owned).collect(),
        group: Some(group),
        ..Spec::new("holder", "/bin/dd", dir.join("dd.log"))
    }
}

fn shell_in(group: &Group, dir: &Path, script: &str) -> Spec {
    Spec {
        group: Some(group.clone()),
        ..shell(dir, script)
    }
}

#[tokio::test]
async fn two_pods_are_counted_apart_and_right() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let tree = tree("two", None);
    let (busy, holding) = (tree.group(A, "renderer"), tree.group(B, "streamer"));
    let holder = holder(dir.path(), holding.clone());
    // Open at both ends, so that its writer neither waits for a reader nor ever finds one.
    let pipe = OpenOptions::new()
        .read(true)
        .write(true)
        .open(dir.path().join("pipe"))
        .expect("open");
    let holder = quiet().start(holder).expect("started");
    let spec = shell_in(&busy, dir.path(), "while :; do :; done");
    let started = Instant::now();
    let burner = quiet().start(spec).expect("started");

    let promised = promised(&tree);
    assert_eq!(busy.source_of(pid(&burner)), promised);
    assert_eq!(holding.source_of(pid(&holder)), promised);

    until("64 MiB", || used(&holding, pid(&holder)).2 >= 64 << 20).await;
    let (_, _, bytes) = used(&holding, pid(&holder));
    assert!(
        bytes < 70 << 20,
        "{bytes} bytes of a process that holds 64 MiB"
    );

    until("half a second of work", || {
        used(&busy, pid(&burner)).1 > 500_000
    })
    .await;
    let proc_us = || resources::sample(pid(&burner)).expect("it runs").cpu_us();
    let before_us = proc_us();
    let (source, counted_us, _) = used(&busy, pid(&burner));
    let after_us = proc_us();
    let passed_us = u64::try_from(started.elapsed().as_micros()).expect("short");
    // `/proc` counts in ticks of 10 ms.
    assert!(
        before_us < counted_us + 40_000 && counted_us < after_us + 40_000,
        "{source}: {counted_us} us, /proc: {before_us} to {after_us} us"
    );
    assert!(
        counted_us <= passed_us + 20_000,
        "one thread for {passed_us} us used {counted_us} us"
    );
    let (_, other_us, _) = used(&holding, pid(&holder));
    assert!(
        other_us < counted_us,
        "one works, the other waits: {other_us} us"
    );
    drop((holder, burner, pipe));
}

#[tokio::test]
async fn a_cluster_over_its_limit_is_throttled_and_says_so() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let fifth = Limits {
        cpu_millis: 200,
        memory_bytes: 256 << 20,
    };
    let tree = tree("limit", Some(fifth));
    let group = tree.group(A, "busy");
    let spec = shell_in(&group, dir.path(), "while :; do :; done");
    let process = quiet().start(spec).expect("started");
    if promised(&tree) == Source::Proc {
        // Then nothing is limited, and each limit that does not hold is named.
        assert_eq!(tree.limited(), [""; 0]);
        return;
    }
    assert_eq!(tree.limited(), ["cpu", "memory"], "{:?}", tree.missing());
    let throttled = || group.sample().throttled.unwrap_or_default();
    until("throttling", || throttled().periods >= 2).await;
    let (from, before) = (Instant::now(), group.sample());
    until("more of it", || {
        throttled().periods >= before.throttled.unwrap_or_default().periods + 8
    })
    .await;
    let after = group.sample();
    let passed = from.elapsed().as_secs_f64();
    let used_us = after.cpu.unwrap_or_default().usage_us - before.cpu.unwrap_or_default().usage_us;
    // The window may begin and end in the middle of a period, so that one more period's share is in it.
    let allowed = 0.2 * passed + 0.06;
    assert!(
        used_us as f64 / 1e6 <= allowed,
        "{used_us} us in {passed} s under 0.2 cores"
    );
    assert!(throttled().us > 100_000, "{after:?}");
    let elsewhere = tree.group(B, "idle").sample();
    assert_eq!(
        elsewhere.throttled.unwrap_or_default().periods,
        0,
        "the other cluster is not"
    );
    drop(process);
}

#[tokio::test]
async fn what_runs_in_a_tree_goes_with_it() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let tree = tree("gone", None);
    let group = tree.group(Part::Fabric, "wan");
    let spec = shell_in(
        &group,
        dir.path(),
        "setsid sleep 1000 & echo '{\"event\":\"ready\"}'; exec sleep 1000",
    );
    let process = quiet().start(spec).expect("started");
    within("ready", process.ready(Duration::from_secs(10)))
        .await
        .expect("ready");
    let counted = group.source_of(pid(&process)) != Source::Proc;
    assert_eq!(counted, tree.version().is_some());
    drop(tree);
    if counted {
        within("its end", process.exited()).await;
    }
    assert_eq!(group.sample(), resources::cgroup::GroupSample::default());
    let name = format!("{}-gone", cgroup::name(std::process::id()));
    assert_eq!(
        cgroup::remove(&cgroup::folders(&name)).expect("nothing is left"),
        Vec::<std::path::PathBuf>::new()
    );
}

/// A pod in small: an `eth0` to nowhere, and a socket that nobody reads.
#[tokio::test]
async fn the_network_of_a_pod_is_that_of_its_namespace() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let script = "ip link set lo up && ip link add eth0 type veth peer name far \
        && sysctl -qw net.ipv6.conf.eth0.disable_ipv6=1 net.ipv6.conf.far.disable_ipv6=1 \
        && ip addr add 10.9.0.1/24 dev eth0 && ip link set eth0 up && ip link set far up \
        && ip neigh add 10.9.0.2 lladdr 02:00:00:00:00:02 dev eth0 \
        && echo '{\"event\":\"ready\"}' && exec \"$0\" flood 10.9.0.2:9 \"$1\" \"$2\"";
    let (sent, unread) = (SENT.to_string(), UNREAD.to_string());
    let unshare = ["--net", "--user", "--map-root-user", "/bin/sh", "-c"];
    let args = unshare.into_iter().chain([script, HELPER, &sent, &unread]);
    let spec = Spec {
        args: args.map(ToOwned::to_owned).collect(),
        ..Spec::new("pod", "/usr/bin/unshare", dir.path().join("pod.log"))
    };
    let process = quiet().start(spec).expect("started");
    within("ready", process.ready(Duration::from_secs(10)))
        .await
        .expect("ready");
    let pod = pid(&process);
    assert!(net::is_apart(pod));
    let read = || net::sample(pod).expect("it runs");
    until("the flood", || {
        let seen = read();
        seen.sent.is_some_and(|sent| sent.packets >= SENT) && seen.udp.receive_buffer > 0
    })
    .await;
    let seen = read();
    let sent = seen.sent.expect("eth0 is there");
    // 1000 bytes behind 42 of UDP, IP and Ethernet.
    assert_eq!((sent.packets, sent.bytes), (SENT, SENT * 1042), "{seen:?}");
    assert_eq!(
        seen.received.expect("eth0 is there").packets,
        0,
        "nobody answers"
    );
    assert!(seen.udp.received >= seen.udp.receive_buffer, "{seen:?}");
    assert!(seen.udp.receive_buffer < UNREAD, "some fit: {seen:?}");
}

/// Datagrams that leave by `eth0`.
const SENT: u64 = 50;

/// Datagrams for a socket that takes none.
const UNREAD: u64 = 1_000;
