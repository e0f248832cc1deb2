//! What of a lab can be seen from outside.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::Command;

use testbed::cgroup;

/// Everything of the host's network that a lab must not touch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Host(Vec<String>);

impl Host {
    pub(crate) fn now() -> Self {
        let commands: [&[&str]; 6] = [
            &["ip", "-o", "link"],
            &["ip", "-o", "address"],
            &["ip", "route", "show", "table", "all"],
            &["ip", "rule"],
            &["ip", "netns"],
            &["nft", "list", "ruleset"],
        ];
        let said = commands.map(|command| {
            let output = Command::new(command[0])
                .args(&command[1..])
                .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
                .output()
                .unwrap_or_else(|error| panic!("{command:?}: {error}"));
            // An ordinary user may not list rules; the answer must stay the same.
            format!("{command:?}: {:?}", output.stdout)
        });
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mounts");
        Self(said.into_iter().chain([mounts]).collect())
    }
}

/// All processes that this user can see.
pub(crate) fn processes() -> BTreeSet<u32> {
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// Processes that are in any of these network namespaces.
pub(crate) fn inside(processes: &BTreeSet<u32>, namespaces: &BTreeSet<u64>) -> Vec<u32> {
    let is_inside = |pid: &u32| {
        fs::metadata(format!("/proc/{pid}/ns/net"))
            .is_ok_and(|netns| namespaces.contains(&netns.ino()))
    };
    processes.iter().copied().filter(is_inside).collect()
}

/// Directories of a lab's control groups that exist.
pub(crate) fn control_groups(guard: u32) -> Vec<PathBuf> {
    let mut folders = cgroup::folders(&cgroup::name(guard));
    folders.retain(|dir| dir.exists());
    folders
}
