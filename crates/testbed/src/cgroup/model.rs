//! The words of control groups: which version serves, whose use is counted, what is limited, what could not be had.

use std::fmt;

use crate::Cluster;

/// The version of the control groups that serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// The older hierarchies, one for each set of controllers.
    V1,
    /// The unified hierarchy of all controllers.
    V2,
}

/// The part of a lab to which a process's use of the machine is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// A cluster's pods and daemons.
    Cluster(Cluster),
    /// The fabric's: gateways, tunnels, the WAN.
    Fabric,
}

impl Part {
    /// Every part.
    pub const ALL: [Self; 3] = [
        Self::Cluster(Cluster::A),
        Self::Cluster(Cluster::B),
        Self::Fabric,
    ];

    /// The word for it in `resources.csv`: `a`, `b`, `fabric`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cluster(Cluster::A) => "a",
            Self::Cluster(Cluster::B) => "b",
            Self::Fabric => "fabric",
        }
    }

    pub(super) const fn folder(self) -> &'static str {
        match self {
            Self::Cluster(Cluster::A) => "cluster-a",
            Self::Cluster(Cluster::B) => "cluster-b",
            Self::Fabric => "fabric",
        }
    }
}

/// What each cluster may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Processors, in thousandths of one.
    pub cpu_millis: u32,
    pub memory_bytes: u64,
}

impl Limits {
    /// A cluster of the paper: 2 processors and 4 GiB.
    pub const PAPER: Self = Self {
        cpu_millis: 2_000,
        memory_bytes: 4 << 30,
    };
}

/// Something that was asked for and could not be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The controller, or the limit.
    pub what: String,
    /// The reason, for people.
    pub why: String,
}

impl Missing {
    pub(super) fn new(what: &str, why: impl Into<String>) -> Self {
        Self {
            what: what.to_owned(),
            why: why.into(),
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}
