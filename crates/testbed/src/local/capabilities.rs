//! What this kernel and machine can of a lab, found by trying in a namespace that ends with the trial.

use std::fmt::Write as _;
use std::process::Command;

use nix::errno::Errno;

use super::command;
use super::isolate;

/// Something of this machine that a lab can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// Namespaces, as root or in a user namespace.
    Namespaces,
    /// The program `ip` of iproute2.
    Ip,
    /// `nft`, and the kernel's tables behind it.
    Nftables,
    /// `/dev/net/tun` can be opened.
    Tun,
    Wireguard,
    WireguardGo,
    /// The program `wg` of wireguard-tools.
    WireguardTools,
    Geneve,
    Vxlan,
    /// The kernel's network emulator.
    Netem,
    RealTime,
    Tcpdump,
    Tshark,
}

/// A capability as it was found on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub what: Capability,
    pub name: &'static str,
    /// Whether it is there.
    pub there: bool,
    pub found: String,
    /// What its lack costs.
    pub cost: &'static str,
    /// What to do about it.
    pub remedy: String,
}

/// What this machine can.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Everything, in the order of [`Capability`].
    pub all: Vec<Found>,
}

struct Trial {
    what: Capability,
    name: &'static str,
    /// What a shell tries in a network namespace of its own, as root of it.
    script: &'static str,
    cost: &'static str,
    remedy: &'static str,
}

const TRIALS: [Trial; 12] = [
    Trial {
        what: Capability::Ip,
        name: "iproute2",
        script: "ip -Version",
        cost: "no lab is possible",
        remedy: "apt-get install iproute2",
    },
    Trial {
        what: Capability::Nftables,
        name: "nftables",
        script: "nft add table ip trial && nft --version",
        cost: "no lab is possible: Services are nftables rules",
        remedy: "apt-get install nftables; modprobe nf_tables",
    },
    Trial {
        what: Capability::Tun,
        name: "/dev/net/tun",
        script: "if ! [ -e /dev/net/tun ]; then echo not there; false; elif ( : 3<>/dev/net/tun ) 2>/dev/null; then \
                 echo can be opened; else echo this user may not open it; false; fi",
        cost: "there is no fabric `lisp`; without netem no WAN that delays, without the kernel's WireGuard no fabric `liqo`; `single`, \
               and `nodeport` without a WAN, are possible",
        remedy: "modprobe tun; for ordinary users: chmod 0666 /dev/net/tun, as udev does by default",
    },
    Trial {
        what: Capability::Wireguard,
        name: "WireGuard in the kernel",
        script: "ip link add trial type wireguard && echo there",
        cost: "the tunnel is wireguard-go's: more processor time and jitter; results say so",
        remedy: "modprobe wireguard",
    },
    Trial {
        what: Capability::WireguardGo,
        name: "wireguard-go",
        script: "wireguard-go --version",
        cost: "without the kernel's WireGuard there is no fabric `liqo`",
        remedy: "apt-get install wireguard-go",
    },
    Trial {
        what: Capability::WireguardTools,
        name: "wg",
        script: "wg --version",
        cost: "there is no fabric `liqo`",
        remedy: "apt-get install wireguard-tools",
    },
    Trial {
        what: Capability::Geneve,
        name: "Geneve in the kernel",
        script: "ip link add trial type geneve id 1 remote 192.0.2.1 dstport 6091 && echo there",
        cost: "the overlay of Liqo v1.2 is VXLAN on the same port with the same 50 bytes; results say so",
        remedy: "modprobe geneve",
    },
    Trial {
        what: Capability::Vxlan,
        name: "VXLAN in the kernel",
        script: "ip link add trial type vxlan id 1 remote 192.0.2.1 dstport 4879 && echo there",
        cost: "there is no fabric `liqo-v0.10`, and none of `liqo` without Geneve",
        remedy: "modprobe vxlan",
    },
    Trial {
        what: Capability::Netem,
        name: "netem in the kernel",
        script: "ip link set lo up && tc qdisc add dev lo root netem delay 1ms && echo there",
        cost: "the WAN is a process of ours, which records its own lateness in every result",
        remedy: "modprobe sch_netem",
    },
    Trial {
        what: Capability::RealTime,
        name: "real-time scheduling",
        script: "chrt --fifo 10 true && echo allowed",
        cost: "a userspace WAN is late whenever the machine is busy, and late timers mark no second as disturbed",
        remedy: "run as root, or allow it: ulimit -r 20 (limits.conf: rtprio)",
    },
    Trial {
        what: Capability::Tcpdump,
        name: "tcpdump",
        script: "tcpdump --version 2>&1",
        cost: "no captures: `--pcap` and `xrbench calibrate` do not work",
        remedy: "apt-get install tcpdump",
    },
    Trial {
        what: Capability::Tshark,
        name: "tshark",
        script: "tshark --version 2>/dev/null || { echo not there; false; }",
        cost: "none for runs; tests and people read captures with it",
        remedy: "apt-get install tshark",
    },
];

/// What the script prints first: it runs in its namespaces.
const BEGIN: &str = "=begin";

impl Capabilities {
    /// Tries every capability. Nothing is changed on this machine, but a module that the kernel loads by itself may stay.
    pub fn detect() -> Self {
        let mut script =
            format!("export PATH=\"$PATH:/usr/local/sbin:/usr/sbin:/sbin\"\necho '{BEGIN}'\n");
        for (at, trial) in TRIALS.iter().enumerate() {
            // Writing to a String cannot fail.
            let _ = writeln!(
                script,
                "out=$( ( {} ) 2>&1 ); code=$?; echo \"={at} $code $(echo \"$out\" | head -n 1)\"\nip link delete trial 2>/dev/null",
                trial.script
            );
        }
        let mut complaint = String::new();
        for user_namespace in isolate::user_namespaces() {
            let as_root: &[&str] = if user_namespace {
                &["--user", "--map-root-user"]
            } else {
                &[]
            };
            let output = Command::new("unshare")
                .env("LC_ALL", "C")
                .args(as_root)
                .args(["--net", "--mount", "sh", "-c", &script])
                .output();
            let output = match output {
                Ok(output) => output,
                Err(error) => return Self::read("", &format!("cannot run unshare: {error}")),
            };
            let said = String::from_utf8_lossy(&output.stdout);
            if said.contains(BEGIN) {
                return Self::read(&said, "");
            }
            complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        }
        Self::read("", &complaint)
    }

    /// From what the script printed.
    fn read(said: &str, complaint: &str) -> Self {
        let isolated = said.contains(BEGIN);
        // What unshare(1) prints of an error is the C library's text, in no language but this.
        let refused = if complaint.contains("No space left on device") {
            Errno::ENOSPC
        } else {
            Errno::EPERM
        };
        let mut all = vec![Found {
            what: Capability::Namespaces,
            name: "namespaces",
            there: isolated,
            found: if isolated {
                "there".to_owned()
            } else {
                first_line(complaint).replace(
                    "No space left on device",
                    "a limit on namespaces is 0, or reached (ENOSPC)",
                )
            },
            cost: "no lab is possible; runs on this host are",
            remedy: isolate::namespaces_remedy(refused).to_owned(),
        }];
        for (at, trial) in TRIALS.iter().enumerate() {
            let answer = said
                .lines()
                .find_map(|line| line.strip_prefix(&format!("={at} ")))
                .and_then(|answer| answer.split_once(' '));
            let (there, found, remedy) = match answer {
                Some(("0", found)) => (true, found.to_owned(), trial.remedy),
                Some((_, found)) => (false, first_line(found), trial.remedy),
                None => (
                    false,
                    "not tried, for want of namespaces".to_owned(),
                    "that of `namespaces`; then ask again",
                ),
            };
            all.push(Found {
                what: trial.what,
                name: trial.name,
                there,
                found,
                cost: trial.cost,
                remedy: remedy.to_owned(),
            });
        }
        Self { all }
    }

    /// Whether it is there.
    pub fn has(&self, what: Capability) -> bool {
        self.all.iter().any(|one| one.what == what && one.there)
    }

    /// The reason why a capability is not there, with the remedy, in one sentence.
    pub fn lack(&self, what: Capability) -> Option<String> {
        let one = self.all.iter().find(|one| one.what == what && !one.there)?;
        Some(format!(
            "{}: {}; remedy: {}",
            one.name, one.found, one.remedy
        ))
    }
}

fn first_line(text: &str) -> String {
    match text.trim().lines().next() {
        Some(line) if !line.is_empty() => line.to_owned(),
        _ => "not there".to_owned(),
    }
}

/// The file of a program that a lab runs, wherever an ordinary user's `PATH` does not look.
pub fn program(name: &str) -> Option<std::path::PathBuf> {
    command::find(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_tried_is_read_back() {
        let said = "=begin\n=0 0 ip utility, iproute2-6.1.0\n=3 2 Error: Unknown device type.\n";
        let found = Capabilities::read(said, "");
        assert!(found.has(Capability::Namespaces) && found.has(Capability::Ip));
        assert!(!found.has(Capability::Wireguard) && !found.has(Capability::Tun));
        let lack = found.lack(Capability::Wireguard).expect("lacking");
        assert!(
            lack.contains("Unknown device type") && lack.contains("modprobe wireguard"),
            "{lack}"
        );
        assert_eq!(found.lack(Capability::Ip), None);
        let none = Capabilities::read("", "unshare: unshare failed: Operation not permitted");
        assert!(!none.has(Capability::Namespaces) && !none.has(Capability::Ip));
        assert!(none.all[0].found.contains("not permitted"), "{none:?}");
        // Nobody is told to install what may be there.
        let untried = &none.all[1];
        assert!(untried.remedy.contains("`namespaces`"), "{untried:?}");
        let used_up = Capabilities::read("", "unshare: unshare failed: No space left on device");
        let found = &used_up.all[0].found;
        assert!(found.contains("a limit on namespaces"), "{found}");
    }

    #[test]
    fn this_machine_is_tried_and_left_as_it_was() {
        let before = std::fs::read_to_string("/proc/net/dev").expect("interfaces");
        let found = Capabilities::detect();
        assert_eq!(found.all.len(), TRIALS.len() + 1);
        assert!(
            found
                .all
                .iter()
                .all(|one| !one.found.is_empty() && !one.remedy.is_empty()),
            "{found:#?}"
        );
        let names = |text: &str| -> Vec<String> {
            text.lines()
                .filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned()))
                .collect()
        };
        let after = std::fs::read_to_string("/proc/net/dev").expect("interfaces");
        assert_eq!(names(&before), names(&after));
    }
}
