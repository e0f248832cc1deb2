//! The machine: how quiet its figures can be, and what of a network it can be made into.

use std::path::Path;
use std::time::Duration;

use super::{Check, Lack};
use crate::run::host::{CpuTicks, Second};
use crate::run::machine::{first_line, machine, output, read};
use crate::run::timer;

/// The socket buffers that the services ask for, in bytes.
const BUFFER_BYTES: u64 = 2_621_440;

/// Room for the strips and the frames of a long run.
const FREE_BYTES: u64 = 2 << 30;

pub(super) async fn checks() -> Vec<Check> {
    let mut checks = processors().await;
    checks.extend(buffers());
    checks.push(disk());
    checks.extend(network().await);
    checks
}

async fn processors() -> Vec<Check> {
    let machine = machine();
    let before = CpuTicks::now();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let second = Second::between(before, CpuTicks::now(), 0);
    let real_time = std::thread::spawn(timer::become_real_time)
        .join()
        .unwrap_or(false);
    let governor = if machine.governor.is_empty() {
        "not shown, as in a virtual machine"
    } else {
        &machine.governor
    };
    let fixed = machine.governor.is_empty() || machine.governor == "performance";
    vec![
        Check::wish(
            "processors",
            machine.cores >= 2,
            format!("{} of {}", machine.cores, machine.cpu),
            Lack {
                cost: "renderer, streamer and client wait for each other: latencies are those of a queue",
                remedy: "use a machine with two processors or more, or a smaller --set size and fps",
            },
        ),
        Check::wish(
            "load",
            second.programs_percent < 10.0,
            format!("{:.0} % in use by programs", second.programs_percent),
            Lack {
                cost: "seconds in which others use more than 5 % are marked as disturbed",
                remedy: "end what else runs (`top` shows it) before a run",
            },
        ),
        Check::wish(
            "steal",
            second.steal_percent < 2.0,
            format!("{:.1} % in this second", second.steal_percent),
            Lack {
                cost: "the hypervisor gives this machine's time to others: p99 is theirs",
                remedy: "use dedicated processors, or another hour; such seconds are marked in any case",
            },
        ),
        Check::wish(
            "clock source",
            matches!(
                machine.clock_source.as_str(),
                "tsc" | "kvm-clock" | "arch_sys_counter"
            ),
            or_unknown(&machine.clock_source),
            Lack {
                cost: "each reading of the clock is a slow system call, several a frame",
                remedy: "boot with clocksource=tsc if the processor's is stable",
            },
        ),
        Check::wish(
            "frequency governor",
            fixed,
            governor,
            Lack {
                cost: "the processor slows down between two frames: latencies grow by milliseconds",
                remedy: "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor",
            },
        ),
        Check::wish(
            "real-time priority",
            real_time,
            if real_time { "allowed" } else { "not allowed" },
            Lack {
                cost: "a late timer cannot be told from our own load, so it marks no second as disturbed",
                remedy: "run as root, or allow it: `ulimit -r 10`, rtprio in /etc/security/limits.conf, or CAP_SYS_NICE",
            },
        ),
    ]
}

fn or_unknown(text: &str) -> &str {
    if text.is_empty() { "unknown" } else { text }
}

fn buffers() -> [Check; 2] {
    let lack = Lack {
        cost: "a key frame at a high bit rate may overflow the socket: packets are lost inside this machine",
        remedy: "sudo sysctl -w net.core.rmem_max=2621440 net.core.wmem_max=2621440",
    };
    let check = |name, path: &str| {
        let bytes: u64 = read(path).parse().unwrap_or(0);
        Check::wish(name, bytes >= BUFFER_BYTES, format!("{bytes} bytes"), lack)
    };
    [
        check("net.core.rmem_max", "/proc/sys/net/core/rmem_max"),
        check("net.core.wmem_max", "/proc/sys/net/core/wmem_max"),
    ]
}

fn disk() -> Check {
    let free =
        nix::sys::statvfs::statvfs(".").map_or(0, |fs| fs.blocks_available() * fs.fragment_size());
    Check::wish(
        "disk",
        free >= FREE_BYTES,
        format!("{:.1} GB free here", free as f64 / 1e9),
        Lack {
            cost: "a long run may end for want of room; strips take 45 kB each",
            remedy: "free the disk, or write elsewhere with --out",
        },
    )
}

/// What later testbeds need; nothing of it is needed by a run on this host.
async fn network() -> Vec<Check> {
    let cost = "none for runs on this host; clusters made of network namespaces need it";
    let there = |yes: bool| if yes { "there" } else { "not there" };
    let tool = async |name: &'static str, program: &str, args: &[&str], remedy: &'static str| {
        let version = first_line(Path::new(program), args).await;
        let good = version.is_some();
        Check::wish(
            name,
            good,
            version.unwrap_or_else(|| "not there".into()),
            Lack { cost, remedy },
        )
    };
    let namespaces = output(
        Path::new("unshare"),
        &["--user", "--map-root-user", "--net", "true"],
    )
    .await
    .is_some();
    let tun = Path::new("/dev/net/tun").exists();
    // In a network namespace that ends with the command: no interface of this machine is touched.
    let try_netem = "ip link set lo up && tc qdisc add dev lo root netem delay 1ms";
    let netem = output(
        Path::new("unshare"),
        &["--user", "--map-root-user", "--net", "sh", "-c", try_netem],
    )
    .await
    .is_some();
    let cgroup2 = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    vec![
        Check::wish(
            "user namespaces",
            namespaces,
            there(namespaces),
            Lack {
                cost,
                remedy: "sudo sysctl -w kernel.unprivileged_userns_clone=1 (Debian), or run as root",
            },
        ),
        Check::wish(
            "/dev/net/tun",
            tun,
            there(tun),
            Lack {
                cost,
                remedy: "sudo modprobe tun",
            },
        ),
        tool(
            "nftables",
            "nft",
            &["--version"],
            "apt-get install nftables",
        )
        .await,
        tool(
            "WireGuard tools",
            "wg",
            &["--version"],
            "apt-get install wireguard-tools wireguard-go",
        )
        .await,
        Check::wish(
            "netem",
            netem,
            there(netem),
            Lack {
                cost: "none for runs on this host; a WAN's delay is then made by a program of ours, which is less exact",
                remedy: "sudo modprobe sch_netem; apt-get install iproute2",
            },
        ),
        Check::wish(
            "cgroup",
            cgroup2,
            if cgroup2 {
                "version 2"
            } else {
                "version 1, or none"
            },
            Lack {
                cost: "none: processor time and memory are read for each process from /proc",
                remedy: "boot with systemd.unified_cgroup_hierarchy=1",
            },
        ),
    ]
}
