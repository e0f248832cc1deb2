//! The machine, second by second: what was stolen, what others used, how late a timer was, whether the clock was set; and
//! from these, and from nothing that was measured of a frame, whether the second was disturbed.

use std::fs;
use std::ops::Range;

use crate::scenario::Disturbed;
use result::MAX_SLEW_PPM;

/// Processor time since boot in ticks, from `/proc/stat`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuTicks {
    /// In programs and in the kernel on their behalf. Interrupts are left out: those of our own packets are among them.
    pub programs: u64,
    /// Wanted, but given to others by the hypervisor.
    pub steal: u64,
    /// All of it, idle time too.
    pub total: u64,
}

impl CpuTicks {
    /// Reads `/proc/stat`; zeros where there is no such file.
    pub fn now() -> Self {
        fs::read_to_string("/proc/stat")
            .map(|text| Self::parse(&text))
            .unwrap_or_default()
    }

    /// Reads the text of `/proc/stat`; zeros for what it does not have.
    pub fn parse(stat: &str) -> Self {
        let line = stat
            .lines()
            .find_map(|line| line.strip_prefix("cpu "))
            .unwrap_or_default();
        let ticks: Vec<u64> = line
            .split_whitespace()
            .map_while(|tick| tick.parse().ok())
            .collect();
        let tick = |index: usize| ticks.get(index).copied().unwrap_or(0);
        let sum = |of: Range<usize>| of.map(tick).fold(0, u64::saturating_add);
        // user nice system idle iowait irq softirq steal; guest time after it is in user and nice already.
        Self {
            programs: sum(0..3),
            steal: tick(7),
            total: sum(0..8),
        }
    }
}

/// One second of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Second {
    /// Share of the machine's processor time that the hypervisor gave to others, in percent.
    pub steal_percent: f64,
    /// Share that programs used, ours and others, in percent.
    pub programs_percent: f64,
    /// Share that programs used which are not of this run, in percent.
    pub foreign_percent: f64,
    /// The load average over one minute.
    pub load1: f64,
    /// How late the timer was at worst, in microseconds.
    pub late_us: u64,
    /// By how much the wall clock was set against the monotonic one, in microseconds.
    pub clock_step_us: i64,
    /// How fast both were slewed against the processor's own clock, in parts in a million: a slew moves both alike.
    pub clock_slew_ppm: f64,
}

/// A wall clock that moves by more than this against the monotonic one within a second was set.
pub const CLOCK_STEP_US: i64 = 1_000;

impl Second {
    /// The second between two readings, in which our own processes used `ours` ticks.
    pub fn between(before: CpuTicks, after: CpuTicks, ours: u64) -> Self {
        let total = after.total.saturating_sub(before.total).max(1) as f64;
        let share = |ticks: u64| (ticks as f64 / total * 100.0).min(100.0);
        let programs = after.programs.saturating_sub(before.programs);
        Self {
            steal_percent: share(after.steal.saturating_sub(before.steal)),
            programs_percent: share(programs),
            foreign_percent: share(programs.saturating_sub(ours)),
            ..Self::default()
        }
    }

    /// The reason why the second counts as disturbed; none if it does not. A late timer counts only where the timer has
    /// real-time priority: at ours it would be late because of what is measured.
    pub fn disturbed(&self, rule: &Disturbed, timer_is_real_time: bool) -> Option<&'static str> {
        if self.clock_step_us.abs() > CLOCK_STEP_US || self.clock_slew_ppm.abs() > MAX_SLEW_PPM {
            Some("clock")
        } else if self.steal_percent > rule.steal_percent {
            Some("steal")
        } else if self.foreign_percent > rule.foreign_percent {
            Some("foreign")
        } else if timer_is_real_time && self.late_us as f64 > rule.late_ms * 1e3 {
            Some("late")
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_come_from_the_machine() {
        let before = CpuTicks::parse("cpu  100 0 50 1000 7 3 4 10 0 0\ncpu0 1 2 3\n");
        assert_eq!(
            before,
            CpuTicks {
                programs: 150,
                steal: 10,
                total: 1174
            }
        );
        let after = CpuTicks {
            programs: 250,
            steal: 12,
            total: 1374,
        };
        let second = Second::between(before, after, 80);
        assert!((second.steal_percent - 1.0).abs() < 1e-9);
        assert!((second.programs_percent - 50.0).abs() < 1e-9);
        assert!((second.foreign_percent - 10.0).abs() < 1e-9);
        assert!(
            Second::between(before, before, 10).foreign_percent.abs() < 1e-9,
            "more ours than there was"
        );
        assert_eq!(CpuTicks::parse(""), CpuTicks::default());
        let most = CpuTicks::parse(&format!("cpu  {0} {0} 1 1\n", u64::MAX));
        assert_eq!((most.programs, most.total), (u64::MAX, u64::MAX));
    }

    #[test]
    fn each_rule_marks_and_a_timer_without_priority_does_not() {
        let rule = Disturbed::default();
        let quiet = Second {
            late_us: 9_000,
            steal_percent: 1.0,
            foreign_percent: 4.0,
            ..Second::default()
        };
        assert_eq!(quiet.disturbed(&rule, true), None);
        assert_eq!(
            Second {
                steal_percent: 3.0,
                ..quiet
            }
            .disturbed(&rule, true),
            Some("steal")
        );
        assert_eq!(
            Second {
                foreign_percent: 9.0,
                ..quiet
            }
            .disturbed(&rule, true),
            Some("foreign")
        );
        assert_eq!(
            Second {
                clock_step_us: -5_000,
                ..quiet
            }
            .disturbed(&rule, true),
            Some("clock")
        );
        assert_eq!(
            Second {
                clock_slew_ppm: -900.0,
                ..quiet
            }
            .disturbed(&rule, true),
            Some("clock")
        );
        let late = Second {
            late_us: 30_000,
            ..quiet
        };
        assert_eq!(late.disturbed(&rule, true), Some("late"));
        assert_eq!(late.disturbed(&rule, false), None);
    }
}
