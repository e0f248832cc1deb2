//! The parsers of the kernel's texts, for fuzz targets: no interface of the crate.

use std::path::PathBuf;

use crate::cgroup;
use crate::resources::cgroup::{
    GroupSample, cpu_v1, cpu_v2, memory_v1, memory_v2, throttled_v1, throttled_v2,
};
use crate::resources::net::{self, POD_INTERFACE, Traffic};
use crate::resources::{Sample, proc};

/// A hierarchy of control groups, as proc(5)'s `mountinfo` and `cgroup` have it.
#[derive(Clone, Debug)]
pub struct Hierarchy {
    /// Where it is mounted.
    pub mount: PathBuf,
    /// The group of this process in the hierarchy.
    pub own: PathBuf,
    /// The process's group and those above it.
    pub candidates: Vec<PathBuf>,
}

/// Reads `mountinfo` and `cgroup` of proc(5).
pub fn hierarchies(mountinfo: &str, membership: &str) -> Vec<Hierarchy> {
    let found = cgroup::parse(mountinfo, membership);
    let shown = found.into_iter().map(|one| Hierarchy {
        candidates: one.candidates().map(Into::into).collect(),
        mount: one.mount,
        own: one.own,
    });
    shown.collect()
}

/// Reads `stat` and `status` of proc(5).
pub fn process(stat: &str, status: &str) -> Option<Sample> {
    let mut sample = proc::parse_stat(stat)?;
    sample.rss_bytes = proc::parse_rss(status);
    Some(sample)
}

/// Reads `net/dev` of proc(5).
pub fn traffic(dev: &str) -> Option<(Traffic, Traffic)> {
    net::interface(dev, POD_INTERFACE)
}

/// Reads a counter of UDP in `net/snmp` of proc(5).
pub fn udp_counter(snmp: &str, name: &str) -> Option<u64> {
    net::counter(snmp, "Udp:", name)
}

/// Reads the accounting files of a control group: those of both versions, one text for a figure, another for the rest.
pub fn groups(figure: &str, stat: &str) -> [GroupSample; 2] {
    [
        GroupSample {
            cpu: cpu_v1(figure, stat, 100),
            memory: memory_v1(figure, stat),
            throttled: throttled_v1(stat),
        },
        GroupSample {
            cpu: cpu_v2(stat),
            memory: memory_v2(figure, stat),
            throttled: throttled_v2(stat),
        },
    ]
}
