//! The reaper: waits until the guard is gone, and removes the lab's control groups.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{ForkResult, Pid, dup2_stderr, dup2_stdin, dup2_stdout, fork, setsid};

use super::cgroups;

/// Processes that were killed take a moment to leave their control group; longer than this, something holds them.
const PATIENCE: Duration = Duration::from_secs(1);

/// Between two attempts to remove a directory. Version 1 has no event for "empty".
const PAUSE: Duration = Duration::from_millis(5);

/// Forks the reaper. It acts when no process holds the other end of `life` any more.
///
/// The caller has one thread.
pub(super) fn start(guard: u32, life: &OwnedFd) -> io::Result<Pid> {
    let name = cgroups::name(guard);
    let folders: Vec<PathBuf> = cgroups::hierarchies()
        .iter()
        .flat_map(|hierarchy| hierarchy.candidates(&name))
        .collect();
    #[expect(unsafe_code, reason = "the one way to get a process from a process")]
    // SAFETY: the caller has one thread, so no lock can be held by another across the fork.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            let done = reap(life, &folders);
            super::init::exit_now(i32::from(done.is_err()))
        }
    }
}

fn reap(life: &OwnedFd, folders: &[PathBuf]) -> io::Result<()> {
    // Out of reach of the terminal's signals, and of whoever kills the guard's process group.
    setsid()?;
    // A pipe that somebody reads to its end must not stay open for our sake.
    let null = fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    dup2_stderr(&null)?;
    super::init::close_all_but(&[life.as_raw_fd()]);
    // Nothing is ever written: this returns when the last writer, the guard, is gone.
    super::init::await_end(life)?;
    let until = Instant::now() + PATIENCE;
    for folder in folders {
        while folder.exists() && !remove(folder) && Instant::now() < until {
            std::thread::sleep(PAUSE);
        }
    }
    Ok(())
}

/// Removes a control group with those inside it, deepest first; returns whether it is gone.
fn remove(folder: &Path) -> bool {
    let inside = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in inside.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        remove(&entry.path());
    }
    // Who is still in there is a process of the lab.
    let members = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    for pid in members
        .lines()
        .filter_map(|pid| pid.parse().ok())
        .filter(|pid| *pid > 0)
    {
        // It may have gone meanwhile, which is what is wanted.
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
    fs::remove_dir(folder).is_ok()
}
