//! The machine that a run was on, as its kernel describes it.

use std::fs;

use serde::{Deserialize, Serialize};

/// The machine that a run was on.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Machine {
    /// The host's name.
    pub host: String,
    /// Operating system, as `/etc/os-release` names it.
    pub os: String,
    /// Kernel release and build.
    pub kernel: String,
    /// The processor's model.
    pub cpu: String,
    /// Processors that this process may use.
    pub cores: u32,
    /// The machine's memory in bytes.
    pub memory_bytes: u64,
    /// The unit of processor time in `/proc`, in ticks a second.
    pub clock_ticks_hz: u64,
    /// The kernel's clock source.
    pub clock_source: String,
    /// The governor of the processor's frequency; empty where the machine shows none.
    pub governor: String,
    /// The load average over one minute when the run began.
    pub load1: f64,
}

impl Machine {
    /// This machine. What its kernel does not say is empty or 0; so is the unit of `/proc`, for whoever reads that to say.
    pub fn here() -> Self {
        let cores = std::thread::available_parallelism()
            .map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(u32::MAX));
        Self {
            host: read("/proc/sys/kernel/hostname"),
            os: os_name(&read("/etc/os-release")).to_owned(),
            kernel: format!(
                "{} {}",
                read("/proc/sys/kernel/osrelease"),
                read("/proc/sys/kernel/version")
            ),
            cpu: cpu_model(&read("/proc/cpuinfo")).to_owned(),
            cores,
            memory_bytes: memory_bytes(&read("/proc/meminfo")),
            clock_ticks_hz: 0,
            clock_source: read("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
            governor: read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            load1: load1(),
        }
    }
}

/// The load average over one minute.
pub fn load1() -> f64 {
    fs::read_to_string("/proc/loadavg")
        .ok()
        .and_then(|text| first_load(&text))
        .unwrap_or(0.0)
}

/// The load average over one minute in the text of `/proc/loadavg`; none where it is no number.
pub fn first_load(loadavg: &str) -> Option<f64> {
    let load: f64 = loadavg.split_whitespace().next()?.parse().ok()?;
    load.is_finite().then_some(load)
}

/// The operating system in the text of `/etc/os-release`; empty where it has no name.
pub fn os_name(os_release: &str) -> &str {
    value(os_release, "PRETTY_NAME=").trim_matches('"')
}

/// The first processor's model in the text of `/proc/cpuinfo`; empty where it has none.
pub fn cpu_model(cpuinfo: &str) -> &str {
    value(cpuinfo, "model name").trim_start_matches([' ', '\t', ':'])
}

/// The machine's memory in bytes in the text of `/proc/meminfo`; 0 where it does not say.
pub fn memory_bytes(meminfo: &str) -> u64 {
    kibibytes(meminfo, "MemTotal:").saturating_mul(1024)
}

/// The file without white space around it; empty where there is none.
pub fn read(path: &str) -> String {
    fs::read_to_string(path)
        .unwrap_or_default()
        .trim()
        .to_owned()
}

fn value<'a>(text: &'a str, key: &str) -> &'a str {
    text.lines()
        .find_map(|line| line.strip_prefix(key))
        .unwrap_or_default()
}

fn kibibytes(text: &str, key: &str) -> u64 {
    value(text, key)
        .split_whitespace()
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_text_is_read_by_its_keys() {
        let meminfo = "MemTotal:       16384000 kB\nMemFree:         1024000 kB\n";
        assert_eq!(kibibytes(meminfo, "MemTotal:"), 16_384_000);
        assert_eq!(kibibytes(meminfo, "MemFree:"), 1_024_000);
        assert_eq!(kibibytes(meminfo, "SwapTotal:"), 0);
        assert_eq!(kibibytes("MemTotal: much kB\n", "MemTotal:"), 0);
        assert_eq!(memory_bytes(meminfo), 16_384_000 * 1024);
        let too_much = format!("MemTotal: {} kB\n", u64::MAX);
        assert_eq!(memory_bytes(&too_much), u64::MAX);
        let release = "NAME=\"Debian\"\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n";
        assert_eq!(os_name(release), "Debian GNU/Linux 12");
        assert_eq!(value(release, "ID="), "");
        assert_eq!(cpu_model("processor\t: 0\nmodel name\t: A: B\n"), "A: B");
    }

    #[test]
    fn the_load_is_the_first_number() {
        assert_eq!(first_load("0.52 0.58 0.59 3/467 12345\n"), Some(0.52));
        assert_eq!(first_load(""), None);
        assert_eq!(first_load("much"), None);
        assert_eq!(first_load("inf 0.58"), None);
    }
}
