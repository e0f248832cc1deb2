//! The accounting files of a control group, of both versions. Parsers are total: what is not there is none.

use std::fs;
use std::path::Path;

use super::ticks_hz;

/// Cumulative figures of a group of processes at one instant, those that have ended included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupSample {
    pub cpu: Option<Cpu>,
    pub memory: Option<Memory>,
    /// What its processor limit held back; none where the kernel does not count it.
    pub throttled: Option<Throttled>,
}

/// Processor time of a group, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cpu {
    /// Processor time in all.
    pub usage_us: u64,
    /// Processor time in user mode.
    pub user_us: u64,
    /// Processor time in the kernel.
    pub system_us: u64,
}

/// Memory of a group, in bytes. A page is charged to the group that touched it first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// All that is charged: pages of programs, of files, and of the kernel.
    pub current_bytes: u64,
    /// Pages that no file is behind.
    pub anon_bytes: u64,
    pub file_bytes: u64,
    /// Pages of files that the kernel would give up first.
    pub inactive_file_bytes: u64,
}

impl Memory {
    /// What a kubelet reports as memory in use: everything but pages of files that nobody has read for some time.
    pub const fn working_set_bytes(&self) -> u64 {
        self.current_bytes.saturating_sub(self.inactive_file_bytes)
    }
}

/// What a processor limit held back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Throttled {
    /// Periods in which the group came to its limit.
    pub periods: u64,
    /// For how long its processors were held back, in microseconds, those of each core added.
    pub us: u64,
}

/// Reads a group of the unified hierarchy; `limited` is the group that has the processor limit, which may be above it.
pub fn read_v2(group: &Path, limited: &Path) -> GroupSample {
    let text = |name| fs::read_to_string(group.join(name)).ok();
    GroupSample {
        cpu: text("cpu.stat").and_then(|stat| cpu_v2(&stat)),
        memory: text("memory.current")
            .zip(text("memory.stat"))
            .and_then(|(current, stat)| memory_v2(&current, &stat)),
        throttled: fs::read_to_string(limited.join("cpu.stat"))
            .ok()
            .and_then(|stat| throttled_v2(&stat)),
    }
}

/// Reads a group of the older hierarchies: its folder in each, and in that of `cpu` the group that has the limit.
pub fn read_v1(
    cpuacct: Option<&Path>,
    memory: Option<&Path>,
    limited: Option<&Path>,
) -> GroupSample {
    let text = |dir: Option<&Path>, name| fs::read_to_string(dir?.join(name)).ok();
    GroupSample {
        cpu: text(cpuacct, "cpuacct.usage")
            .zip(text(cpuacct, "cpuacct.stat"))
            .and_then(|(usage, stat)| cpu_v1(&usage, &stat, ticks_hz())),
        memory: text(memory, "memory.usage_in_bytes")
            .zip(text(memory, "memory.stat"))
            .and_then(|(usage, stat)| memory_v1(&usage, &stat)),
        throttled: text(limited, "cpu.stat").and_then(|stat| throttled_v1(&stat)),
    }
}

pub(crate) fn cpu_v2(stat: &str) -> Option<Cpu> {
    Some(Cpu {
        usage_us: value(stat, "usage_usec")?,
        user_us: value(stat, "user_usec")?,
        system_us: value(stat, "system_usec")?,
    })
}

pub(crate) fn memory_v2(current: &str, stat: &str) -> Option<Memory> {
    Some(Memory {
        current_bytes: current.trim().parse().ok()?,
        anon_bytes: value(stat, "anon")?,
        file_bytes: value(stat, "file")?,
        inactive_file_bytes: value(stat, "inactive_file")?,
    })
}

/// Without the `cpu` controller the file has no such lines.
pub(crate) fn throttled_v2(stat: &str) -> Option<Throttled> {
    Some(Throttled {
        periods: value(stat, "nr_throttled")?,
        us: value(stat, "throttled_usec")?,
    })
}

pub(crate) fn cpu_v1(usage: &str, stat: &str, ticks_hz: u64) -> Option<Cpu> {
    let us = |ticks: u64| ticks.saturating_mul(1_000_000) / ticks_hz.max(1);
    Some(Cpu {
        // Nanoseconds.
        usage_us: usage.trim().parse::<u64>().ok()? / 1_000,
        user_us: us(value(stat, "user")?),
        system_us: us(value(stat, "system")?),
    })
}

/// The figures that begin with `total_` are those of the group and the groups in it, as everywhere in the other version.
pub(crate) fn memory_v1(usage: &str, stat: &str) -> Option<Memory> {
    Some(Memory {
        current_bytes: usage.trim().parse().ok()?,
        anon_bytes: value(stat, "total_rss")?,
        file_bytes: value(stat, "total_cache")?,
        inactive_file_bytes: value(stat, "total_inactive_file")?,
    })
}

pub(crate) fn throttled_v1(stat: &str) -> Option<Throttled> {
    Some(Throttled {
        periods: value(stat, "nr_throttled")?,
        // Nanoseconds, unlike its namesake.
        us: value(stat, "throttled_time")? / 1_000,
    })
}

/// The number behind a name at the beginning of a line.
fn value(stat: &str, name: &str) -> Option<u64> {
    stat.lines().find_map(|line| {
        let (found, value) = line.split_once(' ')?;
        (found == name).then(|| value.trim().parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CPU_V2: &str = "usage_usec 4512345\nuser_usec 3000000\nsystem_usec 1512345\nnice_usec 0\ncore_sched.force_idle_usec 0\n\
        nr_periods 100\nnr_throttled 17\nthrottled_usec 812345\nnr_bursts 0\nburst_usec 0\n";
    const MEMORY_V2: &str = "anon 67108864\nfile 4194304\nkernel 393216\nkernel_stack 16384\npagetables 172032\n\
        shmem 0\nfile_mapped 1310720\ninactive_anon 67100000\nactive_anon 4096\ninactive_file 3145728\n\
        active_file 1048576\nunevictable 0\nslab_reclaimable 131072\n";
    const MEMORY_V1: &str = "cache 0\nrss 0\nrss_huge 0\nshmem 0\nmapped_file 0\ninactive_file 0\n\
        hierarchical_memory_limit 4294967296\ntotal_cache 8192000\ntotal_rss 67108864\ntotal_rss_huge 0\n\
        total_inactive_anon 67000000\ntotal_active_anon 108864\ntotal_inactive_file 6144000\ntotal_active_file 2048000\n";

    #[test]
    fn the_unified_hierarchy_is_read() {
        let cpu = cpu_v2(CPU_V2).expect("such a text");
        assert_eq!(
            (cpu.usage_us, cpu.user_us, cpu.system_us),
            (4_512_345, 3_000_000, 1_512_345)
        );
        assert_eq!(
            throttled_v2(CPU_V2),
            Some(Throttled {
                periods: 17,
                us: 812_345
            })
        );
        let memory = memory_v2("71696384\n", MEMORY_V2).expect("such a text");
        assert_eq!(memory.anon_bytes, 64 << 20);
        assert_eq!(memory.file_bytes, 4 << 20);
        assert_eq!(memory.working_set_bytes(), 71_696_384 - (3 << 20));
        // A group without the controller has usage and nothing of limits.
        let bare = "usage_usec 7\nuser_usec 4\nsystem_usec 3\nnice_usec 0\n";
        assert!(cpu_v2(bare).is_some() && throttled_v2(bare).is_none());
    }

    #[test]
    fn the_older_hierarchies_are_read_in_the_same_units() {
        let cpu = cpu_v1("4512345678\n", "user 300\nsystem 151\n", 100).expect("such a text");
        assert_eq!(
            (cpu.usage_us, cpu.user_us, cpu.system_us),
            (4_512_345, 3_000_000, 1_510_000)
        );
        let stat = "nr_periods 100\nnr_throttled 17\nthrottled_time 812345678\nnr_bursts 0\nburst_time 0\n";
        assert_eq!(
            throttled_v1(stat),
            Some(Throttled {
                periods: 17,
                us: 812_345
            })
        );
        let memory = memory_v1("75300864\n", MEMORY_V1).expect("such a text");
        assert_eq!(
            (memory.anon_bytes, memory.file_bytes),
            (64 << 20, 8_192_000)
        );
        assert_eq!(memory.working_set_bytes(), 75_300_864 - 6_144_000);
    }

    #[test]
    fn anything_else_is_nothing() {
        for text in [
            "",
            "usage_usec",
            "usage_usec x\n",
            "nr_throttled -1\n",
            "\0\n \n",
        ] {
            assert_eq!(cpu_v2(text), None);
            assert_eq!(memory_v2(text, text), None);
            assert_eq!(throttled_v2(text), None);
            assert_eq!(cpu_v1(text, text, 0), None);
            assert_eq!(memory_v1(text, text), None);
            assert_eq!(throttled_v1(text), None);
        }
        let nowhere = Path::new("/nowhere");
        assert_eq!(read_v2(nowhere, nowhere), GroupSample::default());
        assert_eq!(read_v1(None, Some(nowhere), None), GroupSample::default());
    }
}
