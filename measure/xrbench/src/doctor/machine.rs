//! The machine: how quiet its figures can be, and what of a network it can be made into.

use std::path::Path;
use std::time::Duration;

use result::machine::read;
use settings::{RendererSettings, Transport};
use strum::VariantArray as _;
use testbed::cgroup::{self, Version};
use testbed::local::capabilities::Capabilities;

use super::check::{Check, Lack, Verdict};
use crate::run::host::{CpuTicks, Second};
use crate::run::machine::machine;
use crate::run::place::lab_plan::{self, LabCapabilities};
use crate::run::timer;
use crate::scenario::{Fabric, Scenario};

/// The largest receive buffer that a program asks for by default, in bytes: xr-client's, and that of each end of QUIC.
const RECEIVE_BUFFER_BYTES: u64 = 2_621_440;

/// The largest send buffer that a program asks for by default, in bytes: that of xr-streamer's `--udp-send-buffer`.
const SEND_BUFFER_BYTES: u64 = 4_194_304;

/// Room for the strips and the frames of a long run.
const FREE_BYTES: u64 = 2 << 30;

pub(super) async fn checks() -> Vec<Check> {
    let mut checks = processors().await;
    checks.extend(buffers());
    checks.push(congestion_control());
    checks.push(disk());
    checks.extend(labs());
    checks
}

/// The largest RTP packet on UDP that each fabric carries whole, beside what the renderer makes by default.
fn what_fits(capabilities: &Capabilities) -> Check {
    let [own, lisp] = ["xrbench", "xr-lisp"].map(Path::new);
    let capabilities = LabCapabilities::of(capabilities, own, lisp, 0);
    let default = RendererSettings::default().rtp_mtu;
    let (mut told, mut all_fit) = (Vec::new(), true);
    for fabric in Fabric::VARIANTS.iter().filter(|fabric| fabric.is_lab()) {
        let scenario = Scenario {
            fabric: *fabric,
            transport: Transport::Tcp,
            ..Scenario::default()
        };
        let planned = lab_plan::plan(&scenario, &capabilities, 0);
        match planned {
            Ok(planned) => {
                let most = u32::from(planned.built.reach.max_udp_payload_bytes());
                all_fit &= default <= most;
                told.push(format!("{fabric} {most}"));
            }
            Err(error) => told.push(format!("{fabric}: {error:#}")),
        }
    }
    Check::wish(
        "RTP packets that fit",
        all_fit,
        format!("{default} bytes by default; at most {}", told.join(", ")),
        Lack {
            cost: "RTP on UDP that is larger is cut up or lost on the way",
            remedy: "set renderer.rtp_mtu (--rtp-mtu) to what the fabric carries",
        },
    )
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
    [
        ("net.core.rmem_max", RECEIVE_BUFFER_BYTES),
        ("net.core.wmem_max", SEND_BUFFER_BYTES),
    ]
    .map(|(name, least)| {
        let found = read(&format!("/proc/sys/{}", name.replace('.', "/")));
        buffer(name, found.parse().unwrap_or(0), least)
    })
}

/// One limit of the kernel's. The remedy is for this limit alone, so that no other is lowered by it.
fn buffer(name: &'static str, bytes: u64, least: u64) -> Check {
    let lack = Lack {
        cost: "a key frame at a high bit rate may overflow the socket: packets are lost inside this machine",
        remedy: "",
    };
    let mut check = Check::wish(name, bytes >= least, format!("{bytes} bytes"), lack);
    if check.verdict != Verdict::Good {
        check.remedy = format!("sudo sysctl -w {name}={least}");
    }
    check
}

fn congestion_control() -> Check {
    let found = read("/proc/sys/net/ipv4/tcp_congestion_control");
    Check::wish(
        "TCP congestion control",
        !found.starts_with("bbr"),
        or_unknown(&found),
        Lack {
            cost: "it paces what it sends: on the host, the feed and RTP over TCP take longer than they need; labs use reno",
            remedy: "sudo sysctl -w net.ipv4.tcp_congestion_control=cubic",
        },
    )
}

fn disk() -> Check {
    disk_at(Path::new("."))
}

fn disk_at(folder: &Path) -> Check {
    // A file without a name, which is gone at once.
    if let Err(error) = tempfile::tempfile_in(folder) {
        return Check::wish(
            "disk",
            false,
            format!("this folder cannot be written into: {error}"),
            Lack {
                cost: "a run whose result would go here ends at once",
                remedy: "change into a folder of your own, or write elsewhere with --out",
            },
        );
    }
    let free = nix::sys::statvfs::statvfs(folder)
        .map_or(0, |fs| fs.blocks_available() * fs.fragment_size());
    Check::wish(
        "disk",
        free >= FREE_BYTES,
        format!("{:.1} GB free here", free as f64 / 1e9),
        Lack {
            cost: "a long run may end for want of room; strips take 33 kB each",
            remedy: "free the disk, or write elsewhere with --out",
        },
    )
}

/// What labs of two clusters need; nothing of it is needed by a run on this host.
fn labs() -> Vec<Check> {
    let capabilities = Capabilities::detect();
    let fits = what_fits(&capabilities);
    let mut checks: Vec<Check> = capabilities
        .all
        .into_iter()
        .map(|one| Check {
            name: one.name,
            verdict: if one.there {
                Verdict::Good
            } else {
                Verdict::Lacking
            },
            cost: if one.there { "" } else { one.cost },
            remedy: if one.there { String::new() } else { one.remedy },
            found: one.found,
        })
        .collect();
    let serving = cgroup::serving();
    checks.push(Check::wish(
        "control groups",
        serving.is_some(),
        match serving {
            Some(Version::V2) => {
                format!("version 2, with {}", cgroup::CONTROLLERS_V2.join(" and "))
            }
            Some(Version::V1) => {
                format!("version 1, with {}", cgroup::CONTROLLERS_V1.join(", "))
            }
            None => "none that are of use".to_owned(),
        },
        Lack {
            cost: "processor time and memory of a lab's clusters are read for each process from /proc, and `limits` do nothing",
            remedy: "mount cgroup2 on /sys/fs/cgroup, as systemd does",
        },
    ));
    checks.push(fits);
    checks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_cannot_be_written_is_no_good_disk() {
        // Not even root makes a file there.
        let check = disk_at(Path::new("/proc"));
        assert_eq!(check.verdict, Verdict::Lacking);
        assert!(check.found.contains("cannot be written"), "{check:?}");
    }

    #[test]
    fn the_remedy_of_a_buffer_raises_that_one_to_what_is_asked_for() {
        let small = buffer("net.core.rmem_max", 212_992, RECEIVE_BUFFER_BYTES);
        assert_eq!(small.remedy, "sudo sysctl -w net.core.rmem_max=2621440");
        let good = buffer("net.core.wmem_max", 26_214_400, SEND_BUFFER_BYTES);
        assert_eq!((good.verdict, good.remedy.as_str()), (Verdict::Good, ""));
        // Once it has been followed, nothing is left to follow.
        for check in [
            buffer(
                "net.core.rmem_max",
                RECEIVE_BUFFER_BYTES,
                RECEIVE_BUFFER_BYTES,
            ),
            buffer("net.core.wmem_max", SEND_BUFFER_BYTES, SEND_BUFFER_BYTES),
        ] {
            assert_eq!(check.verdict, Verdict::Good, "{check:?}");
        }
    }
}
