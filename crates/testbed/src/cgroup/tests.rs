//! Tests of: control groups. The rules run on folders that look like a hierarchy, counting on this machine's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::unistd::{AccessFlags, access, geteuid};
use proptest::prelude::*;
use tempfile::TempDir;

use super::group::Dir;
use super::hierarchy::{Hierarchy, find, folders_in, reachable};
use super::tree::limit_files;
use super::*;
use crate::Cluster;
use crate::resources::Source;
use crate::resources::cgroup::GroupSample;

/// Folders with the files of a control group that the kernel would have made, the outermost first.
struct Fake {
    dir: TempDir,
    own: PathBuf,
}

impl Fake {
    /// A hierarchy in which this process is two groups below the mount.
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let own = dir.path().join("slice/session");
        fs::create_dir_all(&own).expect("made");
        let fake = Self { dir, own };
        for group in fake.groups() {
            fs::write(group.join("cgroup.procs"), "").expect("written");
        }
        fake
    }

    fn groups(&self) -> [PathBuf; 3] {
        [
            self.own.clone(),
            self.dir.path().join("slice"),
            self.dir.path().to_owned(),
        ]
    }

    /// Lets a group hand controllers down.
    fn offers(self, group: &Path, controllers: &str) -> Self {
        fs::write(group.join("cgroup.controllers"), controllers).expect("written");
        fs::write(group.join("cgroup.subtree_control"), "").expect("written");
        self
    }

    fn hierarchy(&self, controllers: &[&'static str]) -> Hierarchy {
        Hierarchy {
            controllers: controllers.to_vec(),
            mount: self.dir.path().to_owned(),
            own: self.own.clone(),
        }
    }
}

fn text(group: &Path, file: &str) -> String {
    fs::read_to_string(group.join(file)).unwrap_or_default()
}

#[test]
fn limits_are_written_as_each_version_wants_them() {
    let limits = Limits {
        cpu_millis: 200,
        ..Limits::PAPER
    };
    assert_eq!(
        limit_files(true, "cpu", limits),
        [("cpu.max", "20000 100000".into())]
    );
    assert_eq!(
        limit_files(false, "cpu", limits),
        [
            ("cpu.cfs_period_us", "100000".into()),
            ("cpu.cfs_quota_us", "20000".into())
        ]
    );
    assert_eq!(
        limit_files(true, "memory", limits),
        [("memory.max", "4294967296".into())]
    );
    assert_eq!(
        limit_files(false, "memory", limits),
        [("memory.limit_in_bytes", "4294967296".into())]
    );
}

#[test]
fn the_nearest_group_that_hands_most_down_is_taken_and_gets_it_back() {
    let fake = Fake::new();
    let [own, slice, mount] = fake.groups();
    let fake = fake
        .offers(&own, "memory")
        .offers(&slice, "cpu memory pids")
        .offers(&mount, "cpu memory pids");
    let (version, places, missing) = make::make(&[fake.hierarchy(&[])], "xrbench-1");
    assert_eq!((version, missing), (Some(Version::V2), vec![]));
    assert_eq!(places[0].root, slice.join("xrbench-1"));
    assert_eq!(places[0].controllers, ["cpu", "memory"]);
    assert_eq!(text(&slice, "cgroup.subtree_control"), "+memory");
    assert_eq!(text(&mount, "cgroup.subtree_control"), "");
    drop(places);
    assert_eq!(text(&slice, "cgroup.subtree_control"), "-cpu -memory");
    assert!(!slice.join("xrbench-1").exists());
}

#[test]
fn a_controller_that_no_group_hands_down_is_named() {
    let fake = Fake::new();
    let [own, ..] = fake.groups();
    let fake = fake.offers(&own, "memory");
    let (version, places, missing) = make::make(&[fake.hierarchy(&[])], "xrbench-1");
    assert_eq!(version, Some(Version::V2));
    assert_eq!(places[0].root, own.join("xrbench-1"));
    assert_eq!(missing.len(), 1);
    assert_eq!(missing[0].what, "cpu");
    assert!(missing[0].why.contains("lacks one of"), "{missing:?}");
}

#[test]
fn older_hierarchies_have_a_group_each_and_one_that_is_not_mounted_is_named() {
    let (both, memory) = (Fake::new(), Fake::new());
    let hierarchies = [
        both.hierarchy(&["cpu", "cpuacct"]),
        memory.hierarchy(&["memory"]),
    ];
    let tree = Tree::create_in(&hierarchies, "xrbench-1", None);
    assert_eq!(tree.version(), Some(Version::V1));
    assert_eq!(tree.controllers(), ["cpu", "cpuacct", "memory"]);
    assert_eq!(tree.missing(), []);
    let group = tree.group(Part::Cluster(Cluster::B), "streamer");
    let pod = "xrbench-1/cluster-b/streamer";
    assert!(both.own.join(pod).is_dir() && memory.own.join(pod).is_dir());
    // The kernel makes this file with the folder.
    for fake in [&both, &memory] {
        fs::write(fake.own.join(pod).join("cgroup.procs"), "").expect("written");
    }
    group.add(4_000_000).expect("put in");
    assert_eq!(group.source_of(4_000_000), Source::CgroupV1);
    assert_eq!(text(&memory.own.join(pod), "cgroup.procs"), "4000000");
    fs::write(both.own.join(pod).join("cgroup.procs"), "").expect("it left");
    assert_eq!(group.source_of(4_000_000), Source::Proc, "only in one");
    drop(tree);

    let tree = Tree::create_in(&hierarchies[..1], "xrbench-2", Some(Limits::PAPER));
    assert_eq!(tree.controllers(), ["cpu", "cpuacct"]);
    let missing: Vec<_> = tree.missing().iter().map(|one| &*one.what).collect();
    assert_eq!(missing, ["memory", "cpu limit"], "no file takes the limit");
    assert_eq!(tree.limited(), [""; 0]);
}

#[test]
fn a_name_that_was_left_behind_gives_way_and_one_in_use_does_not() {
    let fake = Fake::new();
    let left = fake.own.join("xrbench-1");
    fs::create_dir_all(left.join("cluster-a")).expect("made");
    let hierarchies = [fake.hierarchy(&["cpuacct"])];
    let (_, places, _) = make::make(&hierarchies, "xrbench-1");
    assert_eq!(places[0].root, left);
    assert!(!left.join("cluster-a").exists(), "it is a new one");
    std::mem::forget(places);

    fs::create_dir_all(left.join("cluster-a")).expect("made");
    fs::write(left.join("cluster-a/cgroup.procs"), "4000000").expect("written");
    let (version, places, missing) = make::make(&hierarchies, "xrbench-1");
    assert_eq!((version, places.len()), (None, 0));
    assert!(missing[1].why.contains("another run"), "{missing:?}");
    assert!(left.exists(), "it is somebody's");
}

#[test]
fn groups_of_which_nobody_lives_are_removed_by_the_next_lab() {
    let fake = Fake::new();
    let make = |name: &str| {
        let group = fake.own.join(name);
        fs::create_dir_all(group.join("cluster-a/pod")).expect("made");
        group
    };
    let [left, alive, used] = ["xrbench-1", "xrbench-2", "xrbench-3"].map(make);
    let others = ["xrbench-01", "xrbench-1-v2", "xrbench-", "system.slice"].map(make);
    fs::write(used.join("cluster-a/cgroup.procs"), "4000000").expect("written");
    remove::left_over_in(&fake.own, |guard| guard == 2);
    assert!(!left.exists(), "its guard and its reaper were killed");
    assert!(alive.exists(), "its guard lives");
    assert!(used.exists(), "something runs in it");
    assert!(
        others
            .iter()
            .all(|group| group.join("cluster-a/pod").exists())
    );
}

#[test]
fn a_tree_without_hierarchies_counts_nothing_and_says_why() {
    let (version, places, missing) = make::make(&[], "x");
    assert_eq!((version, places.len(), missing.len()), (None, 0, 3));
    assert!(
        missing.iter().all(|one| one.why.contains("not mounted")),
        "{missing:?}"
    );
    let group = Group::nowhere(Part::Fabric);
    let own = std::process::id();
    assert_eq!(group.source_of(own), Source::Proc);
    assert_eq!(group.sample(), GroupSample::default());
    assert!(group.add(own).is_ok(), "there is nowhere to put it");
}

/// What an ordinary user sees on most machines: every group is somebody else's.
#[test]
fn a_hierarchy_of_which_no_group_is_ours_makes_nothing_and_is_named() {
    let fake = Fake::new();
    let groups = fake.groups();
    let fake = fake.offers(&groups[1], "cpu memory");
    // No access, as far as access(2) says: root has it to any file that is there.
    for group in &groups {
        fs::remove_file(group.join("cgroup.procs")).expect("removed");
    }
    let tree = Tree::create_in(&[fake.hierarchy(&[])], "xrbench-1", None);
    assert_eq!((tree.version(), tree.missing().len()), (None, 2));
    let whys: Vec<_> = tree.missing().iter().map(|one| &*one.why).collect();
    assert!(whys.iter().all(|why| why.contains("not ours")), "{whys:?}");
    assert!(groups.iter().all(|group| !group.join("xrbench-1").exists()));
}

/// The unified hierarchy with whatever controller it has to hand down here, which need not be one of interest.
#[test]
fn a_group_of_this_machines_unified_hierarchy_counts() {
    let hierarchies = find();
    let unified = hierarchies.iter().find(|one| one.is_unified());
    let unified = unified.expect("the unified hierarchy is mounted on every Linux since 2016");
    let available = text(&unified.mount, "cgroup.controllers");
    let wanted: Vec<&str> = available.split_whitespace().take(1).collect();
    let before = text(&unified.mount, "cgroup.subtree_control");
    let name = name(std::process::id()) + "-v2";
    let (version, places, missing) = make::make_v2(unified, &name, &wanted);
    let is_ours = |group: &Path| access(&group.join("cgroup.procs"), AccessFlags::W_OK).is_ok();
    if !unified.candidates().any(is_ours) {
        assert!(!geteuid().is_root(), "root may write to its groups");
        assert_eq!(version, None);
        assert!(missing.iter().all(|one| one.why.contains("not ours")));
        return;
    }
    assert_eq!((version, &*missing), (Some(Version::V2), &[][..]));
    let place = places.first().expect("made");
    assert_eq!(place.controllers, wanted);
    let dir = place.below(true, "cluster-a", Some("pod")).expect("made");
    assert_eq!(text(&dir, "cgroup.controllers").trim(), wanted.concat());
    let group = Group::new(
        Part::Cluster(Cluster::A),
        version,
        vec![Dir {
            controllers: place.controllers.clone(),
            path: dir.clone(),
        }],
    );
    let mut child = Command::new("/bin/sh")
        .args(["-c", "while :; do :; done"])
        .spawn()
        .expect("started");
    group.add(child.id()).expect("put in");
    assert_eq!(group.source_of(child.id()), Source::CgroupV2);
    let until = Instant::now() + Duration::from_secs(20);
    while group.sample().cpu.is_none_or(|cpu| cpu.usage_us < 20_000) {
        assert!(Instant::now() < until, "{:?}", group.sample());
        std::thread::yield_now();
    }
    drop(places);
    child.wait().expect("the tree ended it");
    assert!(!dir.exists() && folders(&name).iter().all(|one| !one.exists()));
    assert_eq!(text(&unified.mount, "cgroup.subtree_control"), before);
}

/// A part of a path as the kernel writes it, and as it is.
fn part() -> impl Strategy<Value = (String, String)> {
    prop_oneof![
        4 => "[a-z]{1,6}(\\.[a-z]{1,5})?",
        1 => "[a-z]{0,2} [a-z]{0,2}x",
        1 => "[a-z]{0,2}\\\\[a-z0-9]{0,4}x",
        1 => "[a-z]{0,2}\tx",
    ]
    .prop_map(|real| {
        let written = real
            .replace('\\', "\\134")
            .replace(' ', "\\040")
            .replace('\t', "\\011");
        (written, real)
    })
}

fn path() -> impl Strategy<Value = (String, String)> {
    proptest::collection::vec(part(), 0..3).prop_map(|parts| {
        let join = |of: fn(&(String, String)) -> &String| {
            parts
                .iter()
                .map(|part| format!("/{}", of(part)))
                .collect::<String>()
        };
        (join(|part| &part.0), join(|part| &part.1))
    })
}

#[derive(Clone, Debug)]
struct Mount {
    /// Controllers of the hierarchy; none for the unified one.
    controllers: &'static str,
    point: (String, String),
    /// The group of the hierarchy that is seen at the mount point.
    root: (String, String),
    /// The group of this process, from there.
    below: (String, String),
    /// A group that this process sees only as one beside its own.
    outside: bool,
    /// Whether the kernel's files are in the process's own group.
    own_is_seen: bool,
}

fn mount() -> impl Strategy<Value = Mount> {
    let controllers = &[
        "",
        "cpu",
        "cpu,cpuacct",
        "cpuacct",
        "memory",
        "pids",
        "cpu,pids",
    ];
    (
        proptest::sample::select(controllers),
        path(),
        path(),
        path(),
        any::<(bool, bool)>(),
    )
        .prop_map(
            |(controllers, point, root, below, (outside, own_is_seen))| Mount {
                controllers,
                point,
                root,
                below,
                outside,
                own_is_seen,
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_is_made_is_where_the_reaper_looks(mounts in proptest::collection::vec(mount(), 0..5)) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (mut mountinfo, mut membership) = (String::new(), String::new());
        for (at, mount) in mounts.iter().enumerate() {
            // Its number keeps the mounts apart.
            let base = dir.path().join(at.to_string()).display().to_string();
            let real = format!("{base}{}", mount.point.1);
            let own = format!("{real}{}", mount.below.1);
            fs::create_dir_all(&own).expect("made");
            let mut seen = vec![&real];
            if mount.own_is_seen {
                seen.push(&own);
            }
            for group in seen {
                for file in ["cgroup.procs", "cgroup.subtree_control"] {
                    fs::write(Path::new(group).join(file), "").expect("written");
                }
                fs::write(Path::new(group).join("cgroup.controllers"), "cpu memory").expect("written");
            }
            let (kind, options) = match mount.controllers {
                "" => ("cgroup2", "rw,nsdelegate".to_owned()),
                controllers => ("cgroup", format!("rw,{controllers}")),
            };
            let root = if mount.root.0.is_empty() { "/" } else { &*mount.root.0 };
            mountinfo += &format!("{at} 1 0:{at} {root} {base}{} rw - {kind} {kind} {options}\n", mount.point.0);
            let path = if mount.outside { "/..".to_owned() } else { format!("{}{}", mount.root.1, mount.below.1) };
            membership += &format!("{at}:{}:{}\n", mount.controllers, if path.is_empty() { "/" } else { &*path });
        }
        let hierarchies = reachable(&mountinfo, &membership);
        let tree = Tree::create_in(&hierarchies, "xrbench-7", None);
        tree.group(Part::Fabric, "wan");
        let made = named("xrbench-7", dir.path());
        // As if its owner had been killed: nobody removes what it made.
        std::mem::forget(tree);
        let looked_at = folders_in(&reachable(&mountinfo, &membership), "xrbench-7");
        for folder in &made {
            prop_assert!(looked_at.contains(folder), "{folder:?} is not among {looked_at:?}");
        }
        let wanted = mounts.iter().any(|mount| mount.controllers != "pids");
        prop_assert_eq!(!made.is_empty(), wanted, "{:?}", hierarchies);
        let mut removed = remove(&looked_at).expect("removed");
        removed.sort();
        removed.dedup();
        prop_assert_eq!(removed, made);
    }
}

/// Every folder of this name below another, wherever it is.
fn named(name: &str, below: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(below).expect("a folder").flatten() {
        if entry.file_name() == name {
            found.push(entry.path());
        } else if entry.path().is_dir() {
            found.extend(named(name, &entry.path()));
        }
    }
    found.sort();
    found
}
