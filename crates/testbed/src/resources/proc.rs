//! What one process has used, as the kernel counts it in `/proc`.

use std::fs;
use std::io;

/// Cumulative figures of one process at one instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Processor time in user mode, in ticks of [`ticks_hz`], threads that have ended included.
    pub user_ticks: u64,
    /// Processor time in the kernel, in the same ticks.
    pub system_ticks: u64,
    /// Resident memory in bytes.
    pub rss_bytes: u64,
    pub threads: u64,
    /// Times that a living thread gave up its processor to wait.
    pub voluntary_switches: u64,
    /// Times that a living thread was taken off its processor.
    pub involuntary_switches: u64,
}

impl Sample {
    /// Processor time in both modes, in microseconds.
    pub fn cpu_us(&self) -> u64 {
        let ticks = self.user_ticks.saturating_add(self.system_ticks);
        ticks.saturating_mul(1_000_000) / ticks_hz()
    }
}

/// The unit of processor time in `/proc`, in ticks a second.
pub fn ticks_hz() -> u64 {
    use nix::unistd::{SysconfVar, sysconf};
    // 100 is what every Linux of the last decades answers.
    sysconf(SysconfVar::CLK_TCK)
        .ok()
        .flatten()
        .and_then(|hz| u64::try_from(hz).ok())
        .filter(|hz| *hz > 0)
        .unwrap_or(100)
}

/// Reads the figures of a process; an error where it has ended.
pub fn sample(pid: u32) -> io::Result<Sample> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let mut sample =
        parse_stat(&stat).ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat: {stat}")))?;
    sample.rss_bytes = parse_rss(&fs::read_to_string(format!("/proc/{pid}/status"))?);
    // `/proc/<pid>/status` counts the switches of the first thread only.
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let Ok(status) = fs::read_to_string(task?.path().join("status")) else {
            continue;
        };
        sample.voluntary_switches += field(&status, "voluntary_ctxt_switches:");
        sample.involuntary_switches += field(&status, "nonvoluntary_ctxt_switches:");
    }
    Ok(sample)
}

pub(crate) fn parse_stat(stat: &str) -> Option<Sample> {
    // The name in parentheses may hold anything, parentheses too: proc(5) fields are counted from the last one.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |proc5: usize| fields.get(proc5 - 3)?.parse().ok();
    Some(Sample {
        user_ticks: number(14)?,
        system_ticks: number(15)?,
        threads: number(20)?,
        ..Sample::default()
    })
}

pub(crate) fn parse_rss(status: &str) -> u64 {
    field(status, "VmRSS:").saturating_mul(1024)
}

fn field(status: &str, name: &str) -> u64 {
    let value = status.lines().find_map(|line| line.strip_prefix(name));
    value
        .and_then(|value| value.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_behind_any_name() {
        let stat =
            "42 (a) b (c)) S 1 42 42 0 -1 4194560 900 0 0 0 123 45 0 0 20 0 7 0 1000 9999 300 0";
        let sample = parse_stat(stat).expect("parsed");
        assert_eq!(
            (sample.user_ticks, sample.system_ticks, sample.threads),
            (123, 45, 7)
        );
        assert_eq!(parse_stat("42 (short) S 1"), None);
        assert_eq!(parse_rss("Name:\tx\nVmRSS:\t    2048 kB\n"), 2 << 20);
    }

    #[test]
    fn figures_that_no_machine_reaches_are_as_large_as_they_can_be() {
        let sample = Sample {
            user_ticks: u64::MAX,
            system_ticks: 1,
            ..Sample::default()
        };
        assert_eq!(sample.cpu_us(), u64::MAX / ticks_hz());
        assert_eq!(parse_rss(&format!("VmRSS: {} kB\n", u64::MAX)), u64::MAX);
    }

    #[test]
    fn this_process_uses_something() {
        let sample = sample(std::process::id()).expect("this process");
        assert!(
            sample.rss_bytes > 100_000 && sample.threads >= 1,
            "{sample:?}"
        );
        assert!(
            sample.voluntary_switches + sample.involuntary_switches > 0,
            "{sample:?}"
        );
        assert!(super::sample(u32::MAX).is_err(), "no such process");
    }
}
