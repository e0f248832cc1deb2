//! Where control groups can be on this machine: the one rule by which a lab's are made and, by a process that has not seen
//! them made, found again.
//!
//! A lab's groups are folders of its [`name`] in this process's own group, or in one above it, of the unified hierarchy and
//! of each older one that has a controller of [`CONTROLLERS_V1`].

use std::fs;
use std::path::{Path, PathBuf};

use super::model::Version;

/// The controllers that a lab asks of the unified hierarchy.
pub const CONTROLLERS_V2: [&str; 2] = ["cpu", "memory"];

/// The controllers that a lab asks of the older hierarchies: there, `cpu` limits and `cpuacct` counts.
pub const CONTROLLERS_V1: [&str; 3] = ["cpu", "cpuacct", "memory"];

/// The name of a lab's folder in each hierarchy, after the process number of its guard.
pub fn name(guard: u32) -> String {
    format!("xrbench-{guard}")
}

/// The process number in a [`name`]; none of another folder.
pub(super) fn guard(name: &str) -> Option<u32> {
    let number = name.strip_prefix("xrbench-")?;
    number
        .parse()
        .ok()
        .filter(|guard| self::name(*guard) == name)
}

/// The folders that the control groups of this name can be: those of this process and those above it, there or not.
pub fn folders(name: &str) -> Vec<PathBuf> {
    folders_in(&find(), name)
}

pub(super) fn folders_in(hierarchies: &[Hierarchy], name: &str) -> Vec<PathBuf> {
    let parents = hierarchies.iter().flat_map(Hierarchy::candidates);
    parents.map(|parent| parent.join(name)).collect()
}

/// The version whose groups a lab gets here, where that one has every controller of interest; none elsewhere.
pub fn serving() -> Option<Version> {
    let found = find();
    let older = |controller: &&str| found.iter().any(|one| one.controllers.contains(controller));
    match unified(&found) {
        Some(unified) => unified
            .candidates()
            .any(|group| {
                let text = fs::read_to_string(group.join("cgroup.controllers")).unwrap_or_default();
                let has = |wanted: &&str| text.split_whitespace().any(|one| one == *wanted);
                CONTROLLERS_V2.iter().all(has)
            })
            .then_some(Version::V2),
        None => CONTROLLERS_V1.iter().all(older).then_some(Version::V1),
    }
}

/// The unified hierarchy, where no older one has the controllers: each is in one hierarchy only.
pub(super) fn unified(hierarchies: &[Hierarchy]) -> Option<&Hierarchy> {
    let mut older = hierarchies.iter().flat_map(|one| &one.controllers);
    let counts = |controller: &&str| matches!(*controller, "cpuacct" | "memory");
    if older.any(counts) {
        return None;
    }
    hierarchies.iter().find(|one| one.is_unified())
}

/// A hierarchy that is mounted here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hierarchy {
    /// Those of [`CONTROLLERS_V1`] that an older hierarchy has; none for the unified one, which names its own in a file of
    /// each group.
    pub(super) controllers: Vec<&'static str>,
    /// Where it is mounted.
    pub(crate) mount: PathBuf,
    /// The group of this process in the hierarchy.
    pub(crate) own: PathBuf,
}

impl Hierarchy {
    /// Whether it is the unified one.
    pub(super) fn is_unified(&self) -> bool {
        self.controllers.is_empty()
    }

    /// Groups that a new one may be put into, the nearest first: what this process may use is then a limit for it too.
    pub(crate) fn candidates(&self) -> impl Iterator<Item = &Path> {
        self.own
            .ancestors()
            .take_while(|path| path.starts_with(&self.mount))
    }
}

/// The hierarchies that this process can reach.
pub(super) fn find() -> Vec<Hierarchy> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    reachable(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"))
}

/// The hierarchies of proc(5)'s `mountinfo` and `cgroup` that are there to be read.
pub(super) fn reachable(mountinfo: &str, membership: &str) -> Vec<Hierarchy> {
    let mut found = parse(mountinfo, membership);
    // Something may be mounted over it, as a new /sys is.
    found.retain(|one| one.mount.join("cgroup.procs").exists());
    for one in &mut found {
        if !one.own.join("cgroup.procs").exists() {
            one.own.clone_from(&one.mount);
        }
    }
    found
}

/// The hierarchies of these texts, whether they are there to be read or not.
pub(crate) fn parse(mountinfo: &str, membership: &str) -> Vec<Hierarchy> {
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
    // A root of nothing would leave a path absolute, and the group outside of the mount.
    let root = fields.next().filter(|root| root.starts_with('/'))?;
    let (root, point) = (unescaped(root), unescaped(fields.next()?));
    let mut kind = kind.split(' ');
    let controllers: Vec<&'static str> = match kind.next()? {
        "cgroup2" => Vec::new(),
        "cgroup" => {
            let options: Vec<&str> = kind.nth(1)?.split(',').collect();
            let of_interest = CONTROLLERS_V1.iter().copied();
            let controllers: Vec<_> = of_interest.filter(|one| options.contains(one)).collect();
            if controllers.is_empty() {
                return None;
            }
            controllers
        }
        _ => return None,
    };
    let mount = PathBuf::from(point);
    // The path is seen from the hierarchy's root; the mount may begin below it, as in a container.
    let below = membership.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (of, path) = (fields.next()?, fields.next()?);
        let this = match controllers.first() {
            None => of.is_empty(),
            Some(first) => of.split(',').any(|of| of == *first),
        };
        // A group outside of what this process may see: its way there leads out of the mount.
        if !this || path.split('/').any(|part| part == "..") {
            return None;
        }
        let below = Path::new(path).strip_prefix(&root).ok()?;
        Some(below.to_owned())
    });
    Some(Hierarchy {
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
    let mut text = String::with_capacity(field.len());
    let mut rest = field;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        let (code, character) = match rest.get(at..at + 4) {
            Some("\\040") => (4, ' '),
            Some("\\011") => (4, '\t'),
            Some("\\012") => (4, '\n'),
            Some("\\134") => (4, '\\'),
            _ => (1, '\\'),
        };
        text.push(character);
        rest = &rest[at + code..];
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(found: &[Hierarchy]) -> Vec<(bool, String, String)> {
        let text = |path: &Path| path.display().to_string();
        found
            .iter()
            .map(|one| (one.is_unified(), text(&one.mount), text(&one.own)))
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
    fn older_hierarchies_are_told_apart_by_their_controllers_and_others_are_left_out() {
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
        for broken in [
            "",
            "-",
            "1 2 3 / - cgroup",
            "1 0 0:30 / /x rw - tmpfs x rw",
            "1 0 0:30  /x rw - cgroup2 none rw",
        ] {
            assert!(parse(broken, "0::/a\n").is_empty(), "{broken:?}");
        }
        let odd = "1 0 0:30 / /a\\040b\\134040\\ rw - cgroup2 none rw";
        assert_eq!(parse(odd, "0::/")[0].mount, Path::new("/a b\\040\\"));
    }

    #[test]
    fn what_is_found_here_is_there() {
        for one in find() {
            assert!(one.own.join("cgroup.procs").exists(), "{one:?}");
            assert!(one.candidates().last() == Some(&one.mount), "{one:?}");
        }
    }
}
