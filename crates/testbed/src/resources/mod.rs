//! What a scenario's processes use of the machine: one process from `/proc`, a group of them from cgroup v2 or v1, the
//! network of a pod from its namespace's counters.
//!
//! Every figure is cumulative, so that a reading that comes late loses nothing.

pub mod cgroup;
pub mod net;
pub(crate) mod proc;

use std::fmt;

pub use proc::{Sample, sample, ticks_hz};

/// Where figures of processor time and memory come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// The unified hierarchy: a pod with everything that it ever started.
    CgroupV2,
    /// The older hierarchies, one or more controllers in each: a pod with everything that it ever started.
    CgroupV1,
    /// `/proc` of one process; what the process starts is not counted, and memory shared with others is counted whole.
    Proc,
}

impl Source {
    /// The word for it in `resources.csv` and `summary.json`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CgroupV2 => "cgroup-v2",
            Self::CgroupV1 => "cgroup-v1",
            Self::Proc => "proc",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
