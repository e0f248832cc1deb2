//! Which control groups there are on this machine, and where among them this process is.

use std::fs;
use std::path::{Path, PathBuf};

/// A hierarchy that is mounted here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hierarchy {
    /// The unified one.
    pub(super) unified: bool,
    /// The controllers of an older one; the unified one names them in a file of each group.
    pub(super) controllers: Vec<String>,
    /// Where it is mounted.
    pub(super) mount: PathBuf,
    /// This process's group in it.
    pub(super) own: PathBuf,
}

impl Hierarchy {
    /// Groups that a new one may be put into, the nearest first: what this process may use is then a limit for it too.
    pub(super) fn candidates(&self) -> impl Iterator<Item = &Path> {
        self.own
            .ancestors()
            .take_while(|path| path.starts_with(&self.mount))
    }
}

/// The hierarchies that this process can reach.
pub(super) fn find() -> Vec<Hierarchy> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let mut found = parse(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"));
    // Something may be mounted over it, as a new /sys is.
    found.retain(|one| one.mount.join("cgroup.procs").exists());
    for one in &mut found {
        if !one.own.join("cgroup.procs").exists() {
            one.own.clone_from(&one.mount);
        }
    }
    found
}

fn parse(mountinfo: &str, membership: &str) -> Vec<Hierarchy> {
    mountinfo
        .lines()
        .filter_map(|line| mounted(line, membership))
        .collect()
}

/// A line of proc(5)'s `mountinfo`: id, parent, device, root, mount point, options, tags until `-`, type, source, options
/// of the file system, which for an older hierarchy are its controllers.
fn mounted(line: &str, membership: &str) -> Option<Hierarchy> {
    let (mount, kind) = line.split_once(" - ")?;
    let mut fields = mount.split(' ').skip(3);
    let (root, point) = (unescaped(fields.next()?), unescaped(fields.next()?));
    let mut kind = kind.split(' ');
    let unified = match kind.next()? {
        "cgroup2" => true,
        "cgroup" => false,
        _ => return None,
    };
    let controllers: Vec<String> = if unified {
        Vec::new()
    } else {
        let options = kind.nth(1)?.split(',');
        options
            .filter(|option| !matches!(*option, "rw" | "ro"))
            .map(ToOwned::to_owned)
            .collect()
    };
    let mount = PathBuf::from(point);
    // The path is seen from the hierarchy's root; the mount may begin below it, as in a container.
    let below = membership.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (of, path) = (fields.next()?, fields.next()?);
        let this = if unified {
            of.is_empty()
        } else {
            controllers
                .iter()
                .any(|one| of.split(',').any(|of| of == one))
        };
        if !this || path.split('/').any(|part| part == "..") {
            return None;
        }
        let below = Path::new(path).strip_prefix(&root).ok()?;
        Some(below.to_owned())
    });
    Some(Hierarchy {
        unified,
        controllers,
        own: mount
            .iter()
            .chain(below.iter().flat_map(|below| below.iter()))
            .collect(),
        mount,
    })
}

/// Spaces and the like are written as three octal digits.
fn unescaped(field: &str) -> String {
    [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ]
    .iter()
    .fold(field.to_owned(), |text, (code, character)| {
        text.replace(code, character)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(found: &[Hierarchy]) -> Vec<(bool, String, String)> {
        let text = |path: &Path| path.display().to_string();
        found
            .iter()
            .map(|one| (one.unified, text(&one.mount), text(&one.own)))
            .collect()
    }

    #[test]
    fn a_machine_of_systemd_has_the_unified_one() {
        let mountinfo = "22 1 0:20 / / rw - ext4 /dev/vda rw\n\
            28 22 0:25 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n";
        let found = parse(
            mountinfo,
            "0::/user.slice/user-1000.slice/session-3.scope\n",
        );
        assert_eq!(
            paths(&found),
            [(
                true,
                "/sys/fs/cgroup".into(),
                "/sys/fs/cgroup/user.slice/user-1000.slice/session-3.scope".into()
            )]
        );
        let candidates: Vec<_> = found[0].candidates().collect();
        assert_eq!(candidates.len(), 4);
        assert_eq!(candidates[3], Path::new("/sys/fs/cgroup"));
    }

    #[test]
    fn older_hierarchies_are_told_apart_by_their_controllers() {
        let mountinfo = "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n\
            35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
            40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd\n\
            41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
        let membership = "9:name=systemd:/\n4:memory:/box/7\n2:cpu,cpuacct:/\n0::/\n";
        let found = parse(mountinfo, membership);
        assert_eq!(found[0].controllers, ["cpu", "cpuacct"]);
        let own: Vec<_> = paths(&found).into_iter().map(|(_, _, own)| own).collect();
        assert_eq!(
            own,
            [
                "/sys/fs/cgroup/cpu,cpuacct",
                "/sys/fs/cgroup/memory/box/7",
                "/sys/fs/cgroup/systemd",
                "/sys/fs/cgroup/unified"
            ]
        );
    }

    #[test]
    fn a_container_sees_the_part_that_it_was_given() {
        let line = "1 0 0:30 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";
        let own = |membership| parse(line, membership)[0].own.display().to_string();
        assert_eq!(own("4:memory:/docker/abc/x\n"), "/sys/fs/cgroup/memory/x");
        assert_eq!(own("4:memory:/docker/other\n"), "/sys/fs/cgroup/memory");
        assert_eq!(own("4:memory:/../..\n"), "/sys/fs/cgroup/memory");
        assert_eq!(own(""), "/sys/fs/cgroup/memory");
        for broken in ["", "-", "1 2 3 / - cgroup", "1 0 0:30 / /x rw - tmpfs x rw"] {
            assert!(parse(broken, "").is_empty(), "{broken:?}");
        }
        let spaced = "1 0 0:30 / /a\\040b rw - cgroup2 none rw";
        assert_eq!(parse(spaced, "0::/")[0].mount, Path::new("/a b"));
    }

    #[test]
    fn what_is_found_here_is_there() {
        for one in find() {
            assert!(one.own.join("cgroup.procs").exists(), "{one:?}");
            assert!(one.candidates().last() == Some(&one.mount), "{one:?}");
        }
    }
}
