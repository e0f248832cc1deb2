//! What the process costs, under Prometheus' standard names, read at each scrape.

use std::fmt;

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::clock;

/// Encodes `process_cpu_seconds_total`, `process_resident_memory_bytes`, `process_open_fds` and their like.
#[derive(Debug)]
pub(crate) struct Process {
    started_seconds: f64,
}

impl Process {
    /// To be made once, early: its making is taken for the start of the process.
    pub(crate) fn new() -> Self {
        Self {
            started_seconds: clock::now().0 as f64 / 1e6,
        }
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut gauge = |name: &str, help: &str, value: Option<f64>| match value {
            Some(value) => put(&mut encoder, name, help, &ConstGauge::new(value)),
            None => Ok(()),
        };
        gauge(
            "process_start_time_seconds",
            "Start of the process since the epoch",
            Some(self.started_seconds),
        )?;
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let bytes = |key| field(&status, key).map(|kib| kib * 1024.0);
        gauge(
            "process_resident_memory_bytes",
            "Resident memory",
            bytes("VmRSS"),
        )?;
        gauge(
            "process_virtual_memory_bytes",
            "Virtual memory",
            bytes("VmSize"),
        )?;
        gauge("process_threads", "Threads", field(&status, "Threads"))?;
        gauge("process_open_fds", "Open file descriptors", open_fds())?;
        let max_fds = getrlimit(Resource::RLIMIT_NOFILE)
            .ok()
            .map(|(soft, _)| soft as f64);
        gauge(
            "process_max_fds",
            "Most file descriptors that may be open",
            max_fds,
        )?;
        if let Some(seconds) = cpu_seconds() {
            put(
                &mut encoder,
                "process_cpu_seconds",
                "CPU time, user and system",
                &ConstCounter::new(seconds),
            )?;
        }
        Ok(())
    }
}

fn put(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    metric: &impl EncodeMetric,
) -> Result<(), fmt::Error> {
    metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
}

/// The number after `key:` in the text of `/proc/self/status`.
pub(crate) fn field(status: &str, key: &str) -> Option<f64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Linux 6.2 and newer have the number as the size of the listing; walking through a thousand of them at each scrape would
/// keep a port busy that is asked often. The listing holds one descriptor of its own, which is not counted.
fn open_fds() -> Option<f64> {
    let size = std::fs::metadata("/proc/self/fd").ok()?.len();
    if size > 0 {
        return Some(size as f64);
    }
    let entries = std::fs::read_dir("/proc/self/fd").ok()?.count();
    Some(entries.saturating_sub(1) as f64)
}

fn cpu_seconds() -> Option<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    let seconds =
        |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Some(seconds(usage.user_time()) + seconds(usage.system_time()))
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    use super::*;

    fn value(text: &str, name: &str) -> f64 {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{name} is missing in {text}"))
            .parse()
            .unwrap()
    }

    #[test]
    fn the_standard_names_carry_plausible_values() {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Process::new()));
        let scrape = || {
            let mut text = String::new();
            encode(&mut text, &registry).unwrap();
            text
        };
        let before = scrape();
        assert!(value(&before, "process_resident_memory_bytes") > 500_000.0);
        assert!(value(&before, "process_threads") >= 1.0);
        assert!(value(&before, "process_start_time_seconds") > 1.7e9);
        assert!(value(&before, "process_open_fds") <= value(&before, "process_max_fds"));
        let cpu = value(&before, "process_cpu_seconds_total");
        let mut sum = 0_u64;
        while cpu_seconds().unwrap() <= cpu {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(value(&scrape(), "process_cpu_seconds_total") > cpu);
    }

    #[test]
    fn open_files_are_counted() {
        // Other tests of this process open and close files too, so only a large step is certain.
        let before = open_fds().unwrap();
        let files: Vec<_> = (0..200)
            .map(|_| std::fs::File::open("/proc/self/status").unwrap())
            .collect();
        assert!(open_fds().unwrap() >= before + 100.0);
        drop(files);
    }

    #[test]
    fn fields_are_found_or_not() {
        assert_eq!(
            field("VmRSS:\t  12 kB\nThreads:\t3\n", "Threads"),
            Some(3.0)
        );
        assert_eq!(field("VmRSS:\t  12 kB\n", "VmRSS"), Some(12.0));
        assert_eq!(field("VmRSSX: 1", "VmRSS"), None);
        assert_eq!(field("VmRSS: many", "VmRSS"), None);
    }
}
