//! Control groups for a lab: a group for each cluster and one for each pod in it, where the machine lets us, so that what a
//! cluster uses can be counted and limited.
//!
//! ```text
//! xrbench-<pid>/  cluster-a/<pod>  cluster-b/<pod>  fabric/<role>
//! ```
//!
//! The same folders are made in the unified hierarchy, or in each older one that has a controller of interest. Where there
//! is none, everything here still works, counts nothing, and says why.

mod hierarchy;
mod make;
mod remove;
#[cfg(test)]
mod tests;

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::local::topology::Cluster;
use crate::resources::Source;
use crate::resources::cgroup::{GroupSample, read_v1, read_v2};

pub use remove::remove;

/// The name of the tree of a run whose outermost process has this number.
pub fn name(pid: u32) -> String {
    format!("xrbench-{pid}")
}

/// Which control groups serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// The older hierarchies.
    V1,
    /// The unified hierarchy.
    V2,
}

/// Whose use of the machine a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// A cluster's.
    Cluster(Cluster),
    /// The fabric's: gateways, tunnels, the WAN.
    Fabric,
}

impl Part {
    /// All of them.
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

    const fn folder(self) -> &'static str {
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
    /// Memory in bytes.
    pub memory_bytes: u64,
}

impl Limits {
    /// A cluster of the paper: 2 processors and 4 GB.
    pub const PAPER: Self = Self {
        cpu_millis: 2_000,
        memory_bytes: 4 << 30,
    };
}

/// The period over which the processor limit holds, in microseconds: the kernel's own default.
const PERIOD_US: u64 = 100_000;

/// Something that was asked for and could not be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The controller, or the limit.
    pub what: String,
    /// Why.
    pub why: String,
}

impl Missing {
    fn new(what: &str, why: impl Into<String>) -> Self {
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

/// The groups of one lab. Dropping it ends what still runs in them and removes them.
#[derive(Debug)]
pub struct Tree {
    version: Option<Version>,
    places: Vec<make::Place>,
    missing: Vec<Missing>,
    limits: Option<Limits>,
    limited: Vec<&'static str>,
}

impl Tree {
    /// Makes the tree of this [`name`], with the limits for each cluster if any. What cannot be had is in
    /// [`Tree::missing`].
    pub fn create(name: &str, limits: Option<Limits>) -> Self {
        let (version, places, missing) = make::make(&hierarchy::find(), name);
        let mut tree = Self {
            version,
            places,
            missing,
            limits,
            limited: Vec::new(),
        };
        if let Some(limits) = limits {
            tree.limit(limits);
        }
        tree
    }

    /// Which control groups serve; none where none do.
    pub fn version(&self) -> Option<Version> {
        self.version
    }

    /// The controllers that were had.
    pub fn controllers(&self) -> Vec<String> {
        let all = self.places.iter().flat_map(|place| &place.controllers);
        all.cloned().collect()
    }

    /// Controllers and limits that were not.
    pub fn missing(&self) -> &[Missing] {
        &self.missing
    }

    /// The limits that were asked for.
    pub fn limits(&self) -> Option<Limits> {
        self.limits
    }

    /// Which of the limits hold: `cpu`, `memory`.
    pub fn limited(&self) -> &[&'static str] {
        &self.limited
    }

    /// The group of a pod, or of a process of the fabric. Where no groups can be had it counts nothing.
    pub fn group(&self, part: Part, name: &str) -> Group {
        let folder: String = name
            .chars()
            .map(|one| {
                if one.is_ascii_alphanumeric() || one == '-' {
                    one
                } else {
                    '-'
                }
            })
            .collect();
        let dirs = self.places.iter().filter_map(|place| {
            let dir = place.below(self.is_unified(), part.folder(), Some(&folder));
            let dir = dir.inspect_err(|error| {
                tracing::warn!(
                    "no control group for {name} in {}: {error}",
                    place.root.display()
                );
            });
            Some(Dir {
                controllers: place.controllers.clone(),
                path: dir.ok()?,
            })
        });
        Group {
            part,
            version: self.version,
            dirs: dirs.collect(),
        }
    }

    fn is_unified(&self) -> bool {
        self.version == Some(Version::V2)
    }

    fn limit(&mut self, limits: Limits) {
        for what in ["cpu", "memory"] {
            let had = self.places.iter().any(|place| place.has(what));
            let set = self
                .places
                .iter()
                .filter(|place| place.has(what))
                .try_for_each(|place| {
                    for part in [Cluster::A, Cluster::B].map(Part::Cluster) {
                        let dir = place.below(self.is_unified(), part.folder(), None)?;
                        for (file, value) in limit_files(self.is_unified(), what, limits) {
                            write(&dir.join(file), &value)?;
                        }
                    }
                    io::Result::Ok(())
                });
            match set {
                Ok(()) if had => self.limited.push(what),
                Ok(()) => {}
                Err(error) => self
                    .missing
                    .push(Missing::new(&format!("{what} limit"), error.to_string())),
            }
        }
    }
}

impl make::Place {
    fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|one| one == controller)
    }
}

/// The files that set a limit, and what is written into each.
fn limit_files(unified: bool, what: &str, limits: Limits) -> Vec<(&'static str, String)> {
    let quota = u64::from(limits.cpu_millis) * PERIOD_US / 1_000;
    match (unified, what) {
        (true, "cpu") => vec![("cpu.max", format!("{quota} {PERIOD_US}"))],
        (true, _) => vec![("memory.max", limits.memory_bytes.to_string())],
        (false, "cpu") => vec![
            ("cpu.cfs_period_us", PERIOD_US.to_string()),
            ("cpu.cfs_quota_us", quota.to_string()),
        ],
        (false, _) => vec![("memory.limit_in_bytes", limits.memory_bytes.to_string())],
    }
}

/// The group of one pod: whose it is, and its folder in each hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    part: Part,
    version: Option<Version>,
    dirs: Vec<Dir>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Dir {
    controllers: Vec<String>,
    path: PathBuf,
}

impl Group {
    /// A group that counts nothing, for a process that only belongs somewhere.
    pub fn nowhere(part: Part) -> Self {
        Self {
            part,
            version: None,
            dirs: Vec::new(),
        }
    }

    /// Whose use of the machine it is.
    pub fn part(&self) -> Part {
        self.part
    }

    /// Where the figures of a process in this group come from. It is not in it if it could not be put there.
    pub fn source_of(&self, pid: u32) -> Source {
        match self.version {
            Some(Version::V2) if self.holds(pid) => Source::CgroupV2,
            Some(Version::V1) if self.holds(pid) => Source::CgroupV1,
            _ => Source::Proc,
        }
    }

    /// Whether the process is in all of its folders.
    fn holds(&self, pid: u32) -> bool {
        let listed = |dir: &Dir| {
            let pids = std::fs::read_to_string(dir.path.join("cgroup.procs")).unwrap_or_default();
            pids.lines().any(|line| line.parse() == Ok(pid))
        };
        !self.dirs.is_empty() && self.dirs.iter().all(listed)
    }

    /// What its processes have used. The throttling is that of the cluster, which is what the limit is for.
    pub fn sample(&self) -> GroupSample {
        let dir = |controller: &str| {
            let dir = self.dirs.iter().find(|dir| {
                self.version == Some(Version::V2)
                    || dir.controllers.iter().any(|one| one == controller)
            });
            dir.map(|dir| &*dir.path)
        };
        let limited = dir("cpu").and_then(Path::parent);
        match self.version {
            Some(Version::V2) => dir("cpu")
                .zip(limited)
                .map(|(group, limited)| read_v2(group, limited))
                .unwrap_or_default(),
            Some(Version::V1) => read_v1(dir("cpuacct"), dir("memory"), limited),
            None => GroupSample::default(),
        }
    }

    /// Puts a running process into it, with all of its threads.
    pub fn add(&self, pid: u32) -> io::Result<()> {
        self.dirs
            .iter()
            .try_for_each(|dir| write(&dir.path.join("cgroup.procs"), &pid.to_string()))
    }

    /// Opens it for a process that is about to be started.
    pub(crate) fn door(&self) -> Door {
        let open = |dir: &Dir| {
            OpenOptions::new()
                .write(true)
                .open(dir.path.join("cgroup.procs"))
        };
        Door(self.dirs.iter().filter_map(|dir| open(dir).ok()).collect())
    }
}

/// The way into a group, open.
pub(crate) struct Door(Vec<File>);

impl Door {
    /// Puts the calling process into the group. It makes system calls and allocates nothing, as a hook between fork and
    /// exec must. What fails is seen later: the process is then not listed in the group, and [`Source::Proc`] is said.
    pub(crate) fn enter(&self) {
        for mut file in &self.0 {
            let _ = file.write(b"0");
        }
    }
}

/// Writes one value into a file of a group, in one call, as the kernel wants it.
fn write(path: &Path, value: &str) -> io::Result<()> {
    let name =
        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let mut file = OpenOptions::new().write(true).open(path).map_err(name)?;
    file.write_all(value.as_bytes()).map_err(name)
}
