//! Tests of: control groups, on this machine's own.

use std::process::Command;

use super::*;

fn own_name(test: &str) -> String {
    name(std::process::id()) + "-" + test
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

/// The unified hierarchy with whatever controller it has to hand down here, which need not be one of interest.
#[test]
fn the_unified_hierarchy_hands_a_controller_down_and_takes_it_back() {
    let hierarchies = hierarchy::find();
    let Some(unified) = hierarchies.iter().find(|one| one.unified) else {
        // Then there is nothing to hand down, and the same call says so.
        let (version, places, missing) = make::make(&[], "x");
        assert_eq!((version, places.len(), missing.len()), (None, 0, 3));
        return;
    };
    let read = |dir: &Path, file: &str| std::fs::read_to_string(dir.join(file)).unwrap_or_default();
    let available = read(&unified.mount, "cgroup.controllers");
    let wanted: Vec<&str> = available.split_whitespace().take(1).collect();
    let before = read(&unified.mount, "cgroup.subtree_control");
    let name = own_name("v2");
    let (version, places, missing) = make::make_v2(unified, &name, &wanted);
    let Some(place) = places.first() else {
        assert!(
            !nix::unistd::geteuid().is_root() || !missing.is_empty(),
            "{missing:?}"
        );
        return;
    };
    assert_eq!(version, Some(Version::V2));
    assert_eq!(missing, []);
    assert_eq!(place.controllers, wanted);
    let dir = place.below(true, "cluster-a", Some("pod")).expect("made");
    assert_eq!(read(&dir, "cgroup.controllers").trim(), wanted.concat());
    let group = Group {
        part: Part::Cluster(Cluster::A),
        version,
        dirs: vec![Dir {
            controllers: place.controllers.clone(),
            path: dir.clone(),
        }],
    };
    let mut child = Command::new("/bin/sh")
        .args(["-c", "while :; do :; done"])
        .spawn()
        .expect("started");
    group.add(child.id()).expect("put in");
    assert_eq!(group.source_of(child.id()), Source::CgroupV2);
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while group.sample().cpu.is_none_or(|cpu| cpu.usage_us < 20_000) {
        assert!(std::time::Instant::now() < until, "{:?}", group.sample());
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    assert_eq!(
        group.sample().throttled,
        None,
        "there is no processor controller here"
    );
    drop(places);
    child.wait().expect("the tree ended it");
    assert!(!dir.exists() && !unified.mount.join(&name).exists());
    assert_eq!(read(&unified.mount, "cgroup.subtree_control"), before);
}

#[test]
fn a_tree_without_hierarchies_counts_nothing_and_says_why() {
    let (version, places, missing) = make::make(&[], "x");
    assert_eq!((version, places.len()), (None, 0));
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

#[test]
fn a_name_that_was_left_behind_gives_way_and_one_in_use_does_not() {
    let name = own_name("again");
    let first = Tree::create(&name, None);
    if first.version().is_none() {
        assert!(!first.missing().is_empty());
        return;
    }
    let group = first.group(Part::Fabric, "idle");
    let mut child = Command::new("sleep").arg("1000").spawn().expect("started");
    group.add(child.id()).expect("put in");
    let second = Tree::create(&name, None);
    assert_eq!(second.controllers(), Vec::<String>::new(), "it is in use");
    assert!(!second.missing().is_empty());
    assert_ne!(
        group.source_of(child.id()),
        Source::Proc,
        "it is still there"
    );
    // As if its owner had been killed: nobody removed the folders, and nothing runs in them.
    std::mem::forget(first);
    child.kill().and_then(|()| child.wait()).expect("ended");
    let third = Tree::create(&name, None);
    assert!(!third.controllers().is_empty(), "{:?}", third.missing());
    std::mem::forget(third);
    let removed = remove(&name).expect("removed");
    assert!(!removed.is_empty() && removed.iter().all(|path| !path.exists()));
    assert_eq!(remove(&name).expect("nothing to do"), Vec::<PathBuf>::new());
}
