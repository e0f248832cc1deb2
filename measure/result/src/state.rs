//! How a machine is set, and how it fares, at one moment: what may change its latencies without a change of kernel or processor.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use timeline::UnixMicros;

use super::machine::{load1, read};

/// How a machine is set, and how it fares, at one moment. What the kernel does not show is left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MachineState {
    /// The moment.
    pub at_us: UnixMicros,
    /// Settings, which stay until somebody changes them.
    pub settings: BTreeMap<String, String>,
    /// What changes by itself: the boot's identity, load, frequencies, temperatures.
    pub readings: BTreeMap<String, String>,
}

/// Files of one line with a setting.
const SETTINGS: [(&str, &str); 14] = [
    (
        "clock source",
        "/sys/devices/system/clocksource/clocksource0/current_clocksource",
    ),
    (
        "simultaneous multithreading",
        "/sys/devices/system/cpu/smt/control",
    ),
    (
        "turbo off, of Intel",
        "/sys/devices/system/cpu/intel_pstate/no_turbo",
    ),
    ("frequency boost", "/sys/devices/system/cpu/cpufreq/boost"),
    (
        "idle driver",
        "/sys/devices/system/cpu/cpuidle/current_driver",
    ),
    (
        "idle governor",
        "/sys/devices/system/cpu/cpuidle/current_governor",
    ),
    (
        "transparent huge pages",
        "/sys/kernel/mm/transparent_hugepage/enabled",
    ),
    ("hypervisor", "/sys/hypervisor/type"),
    ("model of the machine", "/sys/class/dmi/id/product_name"),
    (
        "congestion control",
        "/proc/sys/net/ipv4/tcp_congestion_control",
    ),
    ("queueing discipline", "/proc/sys/net/core/default_qdisc"),
    ("largest receive buffer", "/proc/sys/net/core/rmem_max"),
    ("largest send buffer", "/proc/sys/net/core/wmem_max"),
    ("processors online", "/sys/devices/system/cpu/online"),
];

impl MachineState {
    /// The state of this machine at `now`.
    pub fn now(now: UnixMicros) -> Self {
        let files = SETTINGS.iter().map(|(name, path)| (*name, read(path)));
        let cpuinfo = read("/proc/cpuinfo");
        let settings = files.chain([
            ("microcode", microcode(&cpuinfo)),
            ("limit of processor time", own_limit()),
            ("frequency governors", of_each("scaling_governor")),
        ]);
        let readings = [
            ("boot", read("/proc/sys/kernel/random/boot_id")),
            ("load over a minute", load1().to_string()),
            ("frequencies in kHz", of_each("scaling_cur_freq")),
            ("temperatures in thousandths of a degree", temperatures()),
            ("memory available in kB", available(&read("/proc/meminfo"))),
        ];
        Self {
            at_us: now,
            settings: shown(settings),
            readings: shown(readings),
        }
    }
}

fn shown<'a>(all: impl IntoIterator<Item = (&'a str, String)>) -> BTreeMap<String, String> {
    let all = all.into_iter().filter(|(_, value)| !value.is_empty());
    all.map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The value of a file of each processor's frequency, each with how many have it.
fn of_each(file: &str) -> String {
    let mut counts = BTreeMap::<String, u32>::new();
    for entry in list("/sys/devices/system/cpu/cpufreq") {
        let value = read(&format!("{entry}/{file}"));
        if !value.is_empty() {
            *counts.entry(value).or_default() += 1;
        }
    }
    let counts = counts
        .iter()
        .map(|(value, count)| format!("{count} of {value}"));
    counts.collect::<Vec<_>>().join(", ")
}

fn temperatures() -> String {
    let zones = list("/sys/class/thermal");
    let zones = zones.iter().map(|zone| read(&format!("{zone}/temp")));
    zones
        .filter(|one| !one.is_empty())
        .collect::<Vec<_>>()
        .join(", ")
}

fn list(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries
        .map(|entry| entry.path().display().to_string())
        .collect();
    paths.sort();
    paths
}

/// How much processor time this process's own control group may have: a quota and a period in microseconds.
fn own_limit() -> String {
    let membership = read("/proc/self/cgroup");
    let unified = membership.lines().find_map(|line| line.strip_prefix("0::"));
    let group = Path::new("/sys/fs/cgroup").join(unified.unwrap_or("/").trim_start_matches('/'));
    read(&group.join("cpu.max").display().to_string())
}

fn microcode(cpuinfo: &str) -> String {
    let line = cpuinfo.lines().find(|line| line.starts_with("microcode"));
    let value = line.and_then(|line| line.split_once(':'));
    value.map_or("", |(_, value)| value.trim()).to_owned()
}

fn available(meminfo: &str) -> String {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_a_boot_and_settings_that_stay() {
        let [first, second] = [1, 2].map(|at| MachineState::now(UnixMicros(at)));
        assert_eq!(first.readings["boot"].len(), 36);
        assert_eq!(first.readings["boot"], second.readings["boot"]);
        assert!(
            first.settings.contains_key("congestion control"),
            "{first:?}"
        );
        assert_eq!(first.settings, second.settings);
        assert!(
            first
                .settings
                .values()
                .chain(first.readings.values())
                .all(|value| !value.is_empty())
        );
    }

    #[test]
    fn lines_are_found_by_their_names() {
        assert_eq!(
            microcode("model name\t: x\nmicrocode\t: 0xa0011d1\n"),
            "0xa0011d1"
        );
        assert_eq!(microcode(""), "");
        assert_eq!(available("MemTotal: 9 kB\nMemAvailable:   7 kB\n"), "7");
    }
}
