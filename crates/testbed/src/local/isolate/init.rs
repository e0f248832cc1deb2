//! The first process of the namespaces: sets them up, starts the runner, reaps, and ends with the guard.
//!
//! It is a fork of the guard and runs no other program, so it may not use what the guard has set up for itself: it closes
//! every descriptor but the standard ones.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt as _;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::mount::{MsFlags, mount};
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{ForkResult, Pid, execve, fork, getpid, setpgid, tcsetpgrp, write};

use super::child::{attend, close, close_all_but, exit_now, has_ended};
use super::failure::Step;
use super::isolation::{Isolation, MARKER};

/// What the guard prepared for its first process.
pub(super) struct Orders {
    /// The namespaces that init was made in.
    pub(super) isolation: Isolation,
    /// The user and group to map to root, where there is a user namespace.
    pub(super) ids: (u32, u32),
    /// Ends when the guard does, once every copy of the guard's end is closed.
    pub(super) life: OwnedFd,
    /// The number of this process's copy of it.
    pub(super) guards_end: RawFd,
    /// The pipe that takes a failure; its end without one says that the runner runs.
    pub(super) report: OwnedFd,
    /// The signal mask that the guard was started with.
    pub(super) mask: SigSet,
    /// The terminal is handed to the runner.
    pub(super) terminal: bool,
    /// The port outside that the runner inherits.
    pub(super) listener: Option<RawFd>,
}

/// A failed step, as it travels to the guard.
pub(super) type Failed = (Step, Errno);

const STEPS: [Step; 4] = [Step::Map, Step::Private, Step::Proc, Step::Start];

/// Packs a failure into bytes.
fn pack((step, errno): Failed) -> [u8; 5] {
    let at = STEPS.iter().position(|one| *one == step).unwrap_or(0);
    let mut bytes = [0; 5];
    bytes[0] = u8::try_from(at).expect("there are four steps");
    bytes[1..].copy_from_slice(&(errno as i32).to_ne_bytes());
    bytes
}

/// Unpacks a failure; none where the report is empty.
pub(super) fn unpack(report: &[u8]) -> Option<Failed> {
    let (at, errno) = report.split_first()?;
    let errno = errno.first_chunk().copied().map_or(0, i32::from_ne_bytes);
    Some((
        STEPS.get(usize::from(*at)).copied().unwrap_or(Step::Start),
        Errno::from_raw(errno),
    ))
}

/// What the first process does until the runner has ended.
pub(super) fn run(orders: Orders) -> ! {
    let code = match start(&orders) {
        Err(failed) => {
            // A guard that cannot be told is gone.
            let _ = write(&orders.report, &pack(failed));
            1
        }
        Ok(runner) => {
            drop(orders);
            close_all_but(&[]);
            attend(runner, None)
        }
    };
    exit_now(code)
}

fn start(orders: &Orders) -> Result<Pid, Failed> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(at(Step::Start))?;
    close(orders.guards_end);
    // The guard may have died before it was tied to us.
    if has_ended(&orders.life) {
        return Err((Step::Start, Errno::EPIPE));
    }
    // Its own group: the terminal's signals are for the guard, or for the runner, which both pass on what is due.
    setpgid(Pid::from_raw(0), Pid::from_raw(0)).map_err(at(Step::Start))?;
    // Whoever loses its parent inside comes here to be reaped, also where process numbers are the host's.
    nix::sys::prctl::set_child_subreaper(true).map_err(at(Step::Start))?;
    if orders.isolation.user_namespace {
        map(orders.ids).map_err(io_at(Step::Map))?;
    }
    mount(
        None::<&str>,
        "/",
        None::<&str>,
        MsFlags::MS_REC | MsFlags::MS_PRIVATE,
        None::<&str>,
    )
    .map_err(at(Step::Private))?;
    if orders.isolation.pid_namespace {
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        mount(Some("proc"), "/proc", Some("proc"), flags, None::<&str>).map_err(at(Step::Proc))?;
    }
    #[expect(unsafe_code, reason = "the one way to get a process from a process")]
    // SAFETY: this process has one thread, as the guard that it was forked from.
    match unsafe { fork() }.map_err(at(Step::Start))? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            let Err(failed) = become_runner(orders);
            let _ = write(&orders.report, &pack(failed));
            exit_now(1)
        }
    }
}

fn at(step: Step) -> impl Fn(Errno) -> Failed {
    move |errno| (step, errno)
}

fn io_at(step: Step) -> impl Fn(io::Error) -> Failed {
    move |error| (step, Errno::from_raw(error.raw_os_error().unwrap_or(0)))
}

/// Makes the caller root in its user namespace.
fn map((user, group): (u32, u32)) -> io::Result<()> {
    // Who may not change groups outside may map its group only after giving this up.
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {user} 1"))?;
    fs::write("/proc/self/gid_map", format!("0 {group} 1"))
}

fn become_runner(orders: &Orders) -> Result<std::convert::Infallible, Failed> {
    let start = at(Step::Start);
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(&start)?;
    let me = getpid();
    setpgid(me, me).map_err(&start)?;
    if orders.terminal {
        // SIGTTOU is still blocked: a background group may give the terminal to itself.
        tcsetpgrp(io::stdin(), me).map_err(&start)?;
    }
    orders.mask.thread_set_mask().map_err(&start)?;
    let text = |text: std::ffi::OsString| {
        CString::new(text.into_vec()).map_err(|_| (Step::Start, Errno::EINVAL))
    };
    let args = std::env::args_os()
        .map(text)
        .collect::<Result<Vec<_>, _>>()?;
    if let Some(listener) = orders.listener {
        #[expect(unsafe_code, reason = "the owner is the guard's")]
        // SAFETY: this process has a copy of the guard's, which nothing here closes before the exec.
        let listener = unsafe { BorrowedFd::borrow_raw(listener) };
        fcntl(listener, FcntlArg::F_SETFD(FdFlag::empty())).map_err(&start)?;
    }
    let pid = me.as_raw().cast_unsigned();
    let marker = orders.isolation.marker(pid, orders.listener);
    let env = std::env::vars_os()
        .filter(|(name, _)| name != MARKER)
        .map(|(mut line, value)| {
            line.push("=");
            line.push(value);
            line
        })
        .chain([format!("{MARKER}={marker}").into()])
        .map(text)
        .collect::<Result<Vec<_>, _>>()?;
    execve(c"/proc/self/exe", &args, &env).map_err(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_arrives_as_it_was_sent() {
        for step in STEPS {
            let failed = (step, Errno::EPERM);
            assert_eq!(unpack(&pack(failed)), Some(failed));
        }
        assert_eq!(unpack(&[]), None, "nothing failed");
    }
}
