//! Control groups of a lab: found by a rule, so that whoever cleans up need not have seen them made.
//!
//! A lab's control groups are directories named [`name`] in the guard's own control group, or in one above it, of the
//! unified hierarchy (version 2) and of the controllers `cpu`, `cpuacct` and `memory` of version 1.

use std::fs;
use std::path::{Path, PathBuf};

/// The controllers of version 1 that a lab may use.
pub const CONTROLLERS_V1: [&str; 3] = ["cpu", "cpuacct", "memory"];

/// The name of a lab's directory in each hierarchy.
pub fn name(guard: u32) -> String {
    format!("xrbench-{guard}")
}

/// A mounted hierarchy, and where a process is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    /// The controllers of version 1; empty for version 2, whose controllers `cgroup.controllers` lists.
    pub controllers: Vec<String>,
    /// Where it is mounted.
    pub mount: PathBuf,
    /// The directory of the process's own control group, below `mount`.
    pub own: PathBuf,
}

impl Hierarchy {
    /// Is it the unified hierarchy?
    pub fn is_v2(&self) -> bool {
        self.controllers.is_empty()
    }

    /// Where a directory of that name may lie: in the process's own control group and in each above it.
    pub fn candidates(&self, name: &str) -> Vec<PathBuf> {
        self.own
            .ancestors()
            .take_while(|dir| dir.starts_with(&self.mount))
            .map(|dir| dir.join(name))
            .collect()
    }
}

/// The hierarchies that a lab may use, as this process sees them.
pub fn hierarchies() -> Vec<Hierarchy> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    parse(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"))
}

/// Reads `/proc/PID/mountinfo` and `/proc/PID/cgroup`.
fn parse(mountinfo: &str, own: &str) -> Vec<Hierarchy> {
    mountinfo
        .lines()
        .filter_map(|line| {
            // proc(5): number parent device root mount-point options [tags] - type source super-options
            let (left, right) = line.split_once(" - ")?;
            let left: Vec<&str> = left.split(' ').collect();
            let right: Vec<&str> = right.split(' ').collect();
            let (root, mount) = (*left.get(3)?, PathBuf::from(*left.get(4)?));
            let controllers: Vec<String> = match *right.first()? {
                "cgroup2" => Vec::new(),
                "cgroup" => right
                    .get(2)?
                    .split(',')
                    .filter(|option| CONTROLLERS_V1.contains(option))
                    .map(str::to_owned)
                    .collect(),
                _ => return None,
            };
            if controllers.is_empty() && right.first() != Some(&"cgroup2") {
                return None;
            }
            let path = own.lines().find_map(|line| own_path(line, &controllers))?;
            // What is mounted may be a part of the hierarchy: paths are told from its root.
            let inner = Path::new(path)
                .strip_prefix(root)
                .unwrap_or_else(|_| Path::new(""));
            Some(Hierarchy {
                controllers,
                own: mount.join(inner),
                mount,
            })
        })
        .collect()
}

/// The path in a line of `/proc/PID/cgroup`, if the line is that of these controllers.
fn own_path<'a>(line: &'a str, controllers: &[String]) -> Option<&'a str> {
    let mut fields = line.splitn(3, ':');
    let (_, listed, path) = (fields.next()?, fields.next()?, fields.next()?);
    let meant = match controllers.first() {
        None => listed.is_empty(),
        Some(first) => listed.split(',').any(|one| one == first),
    };
    meant.then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIXED: &str = "\
24 1 0:5 / /proc rw - proc proc rw
30 29 0:26 / /sys/fs/cgroup/cpu rw,relatime shared:9 - cgroup cgroup rw,cpu
31 29 0:27 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
32 29 0:28 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
33 29 0:29 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";

    #[test]
    fn hierarchies_of_both_versions_are_found() {
        let own = "8:pids:/\n4:memory:/api/8ef0\n1:cpu:/\n0::/\n";
        let found = parse(MIXED, own);
        let short: Vec<_> = found
            .iter()
            .map(|one| (one.controllers.join(","), one.own.display().to_string()))
            .collect();
        let expected = [
            ("cpu", "/sys/fs/cgroup/cpu/"),
            ("memory", "/sys/fs/cgroup/memory/api/8ef0"),
            ("", "/sys/fs/cgroup/unified/"),
        ]
        .map(|(controllers, own)| (controllers.to_owned(), own.to_owned()));
        assert_eq!(short, expected);
        assert!(found[2].is_v2() && !found[1].is_v2());
        let candidates: Vec<_> = found[1]
            .candidates(&name(7))
            .iter()
            .map(|dir| dir.display().to_string())
            .collect();
        assert_eq!(
            candidates,
            [
                "/sys/fs/cgroup/memory/api/8ef0/xrbench-7",
                "/sys/fs/cgroup/memory/api/xrbench-7",
                "/sys/fs/cgroup/memory/xrbench-7",
            ]
        );
    }

    #[test]
    fn a_part_of_a_hierarchy_may_be_mounted() {
        let mountinfo = "33 29 0:29 /user.slice /sys/fs/cgroup rw - cgroup2 cgroup rw,nsdelegate\n";
        let found = parse(mountinfo, "0::/user.slice/session-1.scope\n");
        assert_eq!(
            found[0].own,
            Path::new("/sys/fs/cgroup/session-1.scope"),
            "{found:?}"
        );
        assert_eq!(parse("nonsense\n- - -\n", "0::/\n"), []);
        assert_eq!(parse(MIXED, ""), [], "a process in no control group");
    }
}
