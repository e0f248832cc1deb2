//! The guard: makes the namespaces, passes signals on, waits, and hands the terminal back.

use std::io::{self, Read as _};
use std::net::TcpListener;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, getegid, geteuid, getpgrp, getpid, pipe2, tcgetpgrp, tcsetpgrp};

use super::child::{attend, signals};
use super::failure::{EnterError, Settings, Step};
use super::init::{self, Failed, Orders};
use super::isolation::{Isolation, Terminal};
use super::reaper;

/// Makes the namespaces, runs the program again in them, and returns its exit code. The runner inherits `listener`.
pub(super) fn run(terminal: Terminal, listener: Option<TcpListener>) -> Result<u8, EnterError> {
    let old_mask = signals()
        .thread_swap_mask(SigmaskHow::SIG_BLOCK)
        .map_err(io::Error::from)?;
    let done = guarded(terminal, listener, old_mask);
    old_mask.thread_set_mask().map_err(io::Error::from)?;
    done
}

fn guarded(
    terminal: Terminal,
    listener: Option<TcpListener>,
    mask: SigSet,
) -> Result<u8, EnterError> {
    let guard = getpid().as_raw().cast_unsigned();
    let (life, held) = pipe2(OFlag::O_CLOEXEC).map_err(io::Error::from)?;
    let reaper = reaper::start(guard, &life)?;
    let give = terminal == Terminal::Given && tcgetpgrp(io::stdin()) == Ok(getpgrp());
    let attempt = Attempt {
        guard,
        life: &life,
        held: &held,
        mask,
        terminal: give,
        listener: listener.as_ref(),
    };
    let started = attempt.first_that_works();
    // Its end is the runner's: then nobody answers there.
    drop(listener);
    let code = started.map(|init| {
        let code = attend(init, Some(init));
        // Exit codes have eight bits.
        u8::try_from(code & 0xff).unwrap_or(u8::MAX)
    });
    if give {
        // Whoever had it last is gone. Without this, whoever started us would have to take it back.
        let _ = tcsetpgrp(io::stdin(), getpgrp());
    }
    drop(held);
    // Control groups are gone too when the program returns to its caller.
    while waitpid(reaper, None) == Err(Errno::EINTR) {}
    code
}

/// Whether to try with a user namespace, in the order of trying: root needs none, unless it is a container's without the
/// capability.
pub(super) fn user_namespaces() -> impl Iterator<Item = bool> {
    let without = geteuid().is_root().then_some(false);
    without.into_iter().chain([true])
}

/// What every attempt to get the namespaces needs.
struct Attempt<'a> {
    guard: u32,
    /// Ends with the guard.
    life: &'a OwnedFd,
    /// The guard's end of it.
    held: &'a OwnedFd,
    mask: SigSet,
    terminal: bool,
    listener: Option<&'a TcpListener>,
}

impl Attempt<'_> {
    /// Process numbers of its own need a fresh `/proc`, which some containers forbid.
    fn first_that_works(&self) -> Result<Pid, EnterError> {
        let mut last = (Step::Namespaces, Errno::UnknownErrno);
        for user_namespace in user_namespaces() {
            for pid_namespace in [true, false] {
                let isolation = Isolation {
                    user_namespace,
                    pid_namespace,
                    guard: self.guard,
                };
                match self.start(isolation)? {
                    Ok(init) => return Ok(init),
                    Err(failed) => last = failed,
                }
            }
        }
        let (step, source) = last;
        Err(EnterError::Refused {
            step,
            source,
            remedy: Settings::read().remedy(source).to_owned(),
        })
    }

    fn start(&self, isolation: Isolation) -> io::Result<Result<Pid, Failed>> {
        let (answer, report) = pipe2(OFlag::O_CLOEXEC)?;
        let mut flags = libc::CLONE_NEWNS | libc::CLONE_NEWNET;
        if isolation.user_namespace {
            flags |= libc::CLONE_NEWUSER;
        }
        if isolation.pid_namespace {
            flags |= libc::CLONE_NEWPID;
        }
        let ids = (geteuid().as_raw(), getegid().as_raw());
        let init = match fork_into(flags) {
            Err(errno) => return Ok(Err((Step::Namespaces, errno))),
            Ok(None) => init::run(Orders {
                isolation,
                ids,
                guards_end: self.held.as_raw_fd(),
                life: self.life.try_clone()?,
                report,
                mask: self.mask,
                terminal: self.terminal,
                listener: self.listener.map(AsRawFd::as_raw_fd),
            }),
            Ok(Some(init)) => init,
        };
        drop(report);
        let mut said = Vec::new();
        std::fs::File::from(answer).read_to_end(&mut said)?;
        Ok(match init::unpack(&said) {
            None => Ok(init),
            Some(failed) => {
                while waitpid(init, None) == Err(Errno::EINTR) {}
                Err(failed)
            }
        })
    }
}

/// Forks into new namespaces, which leaves the caller's as they are, whereas `unshare` would tie the guard to process
/// numbers whose first process may fail. Returns none in the child.
fn fork_into(namespaces: i32) -> Result<Option<Pid>, Errno> {
    #[expect(unsafe_code, reason = "the C library has no wrapper")]
    // SAFETY: all zeroes is the structure's documented "nothing asked for".
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = u64::from(namespaces.cast_unsigned());
    args.exit_signal = u64::from((Signal::SIGCHLD as i32).cast_unsigned());
    #[expect(unsafe_code, reason = "the C library has no wrapper")]
    // SAFETY: without CLONE_VM this is fork: the child goes on with a copy of everything. The caller has one thread, so
    // no lock is held by another.
    let child = unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of_val(&args)) };
    match Errno::result(child)? {
        0 => Ok(None),
        pid => Ok(Some(Pid::from_raw(
            i32::try_from(pid).expect("process numbers have 32 bits"),
        ))),
    }
}
