//! The control group of one pod, or of one process of the fabric: what it counts, and the way into it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::model::{Part, Version};
use crate::resources::Source;
use crate::resources::cgroup::{GroupSample, read_v1, read_v2};

/// The group of one pod: whose it is, and its folder in each hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    part: Part,
    version: Option<Version>,
    dirs: Vec<Dir>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dir {
    pub(super) controllers: Vec<String>,
    pub(super) path: PathBuf,
}

impl Group {
    pub(super) fn new(part: Part, version: Option<Version>, dirs: Vec<Dir>) -> Self {
        Self {
            part,
            version,
            dirs,
        }
    }

    /// A group that counts nothing, for a process that only belongs somewhere.
    pub fn nowhere(part: Part) -> Self {
        Self {
            part,
            version: None,
            dirs: Vec::new(),
        }
    }

    /// The part of the lab whose use of the machine the group counts.
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
pub(super) fn write(path: &Path, value: &str) -> io::Result<()> {
    let name =
        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let mut file = OpenOptions::new().write(true).open(path).map_err(name)?;
    file.write_all(value.as_bytes()).map_err(name)
}
