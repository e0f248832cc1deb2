//! What the guard's processes have in common: each is forked by it, waits for signals, a child or the end of a pipe, and ends
//! without the exit handlers of the program that it was forked from.

use std::fs;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// What the guard and the first process wait for. The others keep their meaning: a guard that is stopped or continued is.
pub(super) fn signals() -> SigSet {
    [
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGQUIT,
        // A run cannot pause, since its services would go on: Ctrl-Z does nothing.
        Signal::SIGTSTP,
        // Handing the terminal over from the background must not stop us.
        Signal::SIGTTOU,
        Signal::SIGCHLD,
    ]
    .into_iter()
    .collect()
}

/// Passes signals on to `child`, reaps `whom` (anyone if none), and returns the child's exit code when it has ended.
pub(super) fn attend(child: Pid, whom: Option<Pid>) -> i32 {
    let signals = signals();
    loop {
        match signals.wait() {
            Ok(Signal::SIGCHLD) => {
                if let Some(code) = reap(child, whom) {
                    return code;
                }
            }
            Ok(Signal::SIGTSTP | Signal::SIGTTOU) | Err(_) => {}
            Ok(signal) => {
                // It may have ended just now.
                let _ = kill(child, signal);
            }
        }
    }
}

fn reap(child: Pid, whom: Option<Pid>) -> Option<i32> {
    loop {
        match waitpid(whom, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) if pid == child => return Some(code),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == child => {
                return Some(128 + signal as i32);
            }
            Ok(WaitStatus::StillAlive) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

/// Waits until the last writer of a pipe is gone.
pub(super) fn await_end(pipe: &OwnedFd) -> io::Result<()> {
    loop {
        let mut fds = [PollFd::new(pipe.as_fd(), PollFlags::empty())];
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) if fds[0].any() == Some(true) => return Ok(()),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Whether the last writer of a pipe is gone.
pub(super) fn has_ended(pipe: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(pipe.as_fd(), PollFlags::empty())];
    poll(&mut fds, PollTimeout::ZERO) == Ok(1)
}

/// Closes every descriptor above the standard ones but these.
pub(super) fn close_all_but(keep: &[RawFd]) {
    let entries = fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .flatten();
    let open: Vec<RawFd> = entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|fd| *fd > 2 && !keep.contains(fd))
        .collect();
    open.into_iter().for_each(close);
}

/// Closes a descriptor whose owner is a copy from before the fork, and is never used or dropped in this process.
pub(super) fn close(fd: RawFd) {
    #[expect(unsafe_code, reason = "the owner is the guard's")]
    // SAFETY: as above. One that listed a directory is closed already, which the kernel answers with an error.
    unsafe {
        libc::close(fd);
    }
}

/// Ends a forked process without the exit handlers of the program that it was forked from.
pub(super) fn exit_now(code: i32) -> ! {
    #[expect(unsafe_code, reason = "libc has it, and nix has not")]
    // SAFETY: ends the process; nothing is used after.
    unsafe {
        libc::_exit(code)
    }
}
