//! The reaper: waits until the guard is gone, and removes the lab's control groups.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::PathBuf;

use nix::unistd::{ForkResult, Pid, dup2_stderr, dup2_stdin, dup2_stdout, fork, setsid};

use super::child::{await_end, close_all_but, exit_now};
use crate::cgroup;

/// Forks the reaper process. It acts when no process holds the other end of `life` any more.
///
/// The caller has one thread.
pub(super) fn start(guard: u32, life: &OwnedFd) -> io::Result<Pid> {
    // What no reaper has lived to remove.
    cgroup::left_over();
    // Before the lab exists: the rule tells where it will be.
    let folders = cgroup::folders(&cgroup::name(guard));
    #[expect(unsafe_code, reason = "the one way to get a process from a process")]
    // SAFETY: the caller has one thread, so no lock can be held by another across the fork.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            let done = reap(life, &folders);
            exit_now(i32::from(done.is_err()))
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
    close_all_but(&[life.as_raw_fd()]);
    // Nothing is ever written: this returns when the last writer, the guard, is gone.
    await_end(life)?;
    cgroup::remove(folders).map(drop)
}
