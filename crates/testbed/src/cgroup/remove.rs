//! Takes control groups away again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::hierarchy;

/// How long processes that were killed may take to be gone.
const PATIENCE: Duration = Duration::from_secs(1);

/// Removes those of these folders that are control groups, and ends what runs in them: for whoever cleans up behind a
/// runner that was killed. Returns the removed ones; fails where one stays.
pub fn remove(folders: &[PathBuf]) -> io::Result<Vec<PathBuf>> {
    let mut removed = Vec::new();
    let mut failed = None;
    for root in folders.iter().filter(|folder| folder.is_dir()) {
        match tree(root) {
            Ok(()) => removed.push(root.clone()),
            Err(error) => {
                failed.get_or_insert_with(|| {
                    io::Error::new(error.kind(), format!("{}: {error}", root.display()))
                });
            }
        }
    }
    failed.map_or(Ok(removed), Err)
}

/// Removes what is left of labs of which nobody lives, wherever this process can find it: a guard and its reaper may both have
/// been killed. What still runs in such a group is left, and so is the group.
pub(crate) fn left_over() {
    for one in hierarchy::find() {
        for parent in one.candidates() {
            left_over_in(parent, is_alive);
        }
    }
}

pub(super) fn left_over_in(parent: &Path, is_alive: impl Fn(u32) -> bool) {
    for group in below(parent) {
        let name = group.file_name().unwrap_or_default().to_string_lossy();
        let guard = hierarchy::guard(&name);
        if guard.is_some_and(|guard| !is_alive(guard)) && !is_in_use(&group) {
            // Somebody else may remove it at the same time, or it is another user's.
            let _ = empty(&group);
        }
    }
}

/// Whether a process has this number.
fn is_alive(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().filter(|pid| *pid > 0);
    pid.is_some_and(|pid| kill(Pid::from_raw(pid), None::<Signal>) != Err(Errno::ESRCH))
}

/// Removes a group and those in it, and ends what runs there.
pub(super) fn tree(root: &Path) -> io::Result<()> {
    let until = Instant::now() + PATIENCE;
    loop {
        end_all(root);
        match empty(root) {
            // The older hierarchies tell nobody when a group has become empty: there is nothing to await.
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy && Instant::now() < until => {
                thread::sleep(Duration::from_millis(2));
            }
            done => return done,
        }
    }
}

/// Removes a group and those in it, the innermost first, if nothing runs there.
pub(super) fn empty(root: &Path) -> io::Result<()> {
    for group in below(root) {
        empty(&group)?;
    }
    match fs::remove_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Whether anything runs in a group or in those in it.
pub(super) fn is_in_use(root: &Path) -> bool {
    let pids = fs::read_to_string(root.join("cgroup.procs")).unwrap_or_default();
    !pids.is_empty() || below(root).iter().any(|group| is_in_use(group))
}

fn end_all(root: &Path) {
    for group in below(root) {
        end_all(&group);
    }
    let pids = fs::read_to_string(root.join("cgroup.procs")).unwrap_or_default();
    let own = Pid::this();
    for pid in pids.lines().filter_map(|pid| pid.parse().ok()) {
        // A process of another pid namespace is listed as 0, and to signal that is to signal ourselves.
        if pid > 0 && Pid::from_raw(pid) != own {
            // It may have ended meanwhile.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

fn below(group: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(group).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}
