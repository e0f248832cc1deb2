//! A place of one's own: the calling program runs again inside namespaces that end with it, however it ends.
//!
//! ```text
//! guard        the process that was started; stays outside, passes signals on, waits
//! |- reaper    a session of its own; removes control groups once the guard is gone
//! '- init      first process of the namespaces; dies with the guard (PDEATHSIG), and everything inside dies with it
//!    '- runner the same program with the same arguments, to whom `enter` returns `Entered::Inside`
//! ```
//!
//! The guard owns nothing that could be left over: network devices, mounts and processes belong to the namespaces, and
//! the kernel ends these with their first process. Only control groups are files of the host; the reaper sees to them.

mod child;
mod failure;
mod guard;
mod init;
mod inside;
mod isolation;
mod reaper;

pub use failure::EnterError;
pub use isolation::{
    Entered, Isolation, MANAGEMENT_ADDRESS, MANAGEMENT_BRIDGE, MANAGEMENT_PREFIX, Terminal,
};

use std::io;
use std::net::TcpListener;
use std::os::fd::{FromRawFd as _, OwnedFd};

use isolation::MARKER;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};

/// Whether namespaces are tried with a user namespace, in the order of trying.
pub fn user_namespaces() -> impl Iterator<Item = bool> {
    guard::user_namespaces()
}

/// What lets this user make namespaces here, as far as the kernel's settings and its answer tell.
pub fn namespaces_remedy(refused: Errno) -> &'static str {
    failure::Settings::read().remedy(refused)
}

/// Runs the calling program again in namespaces of its own. To be called at the start of `main`, before any thread.
///
/// The runner is root there, has `lo` and [`MANAGEMENT_BRIDGE`], and no other way to any network than the port that `outside`
/// may open: it is called before the namespaces are made, and a socket stays where it was made.
pub fn enter(
    terminal: Terminal,
    outside: impl FnOnce() -> io::Result<Option<TcpListener>>,
) -> Result<Entered, EnterError> {
    let marker = std::env::var(MARKER).unwrap_or_default();
    if let Some((isolation, listener)) = Isolation::parse(&marker, std::process::id()) {
        let listener = listener.map(|fd| {
            #[expect(
                unsafe_code,
                reason = "a number is all that an exec leaves of a descriptor"
            )]
            // SAFETY: the marker is for this process, and says what init left open for it; nobody has taken it yet.
            unsafe {
                OwnedFd::from_raw_fd(fd)
            }
        });
        if let Some(listener) = &listener {
            // It is for the runner alone.
            fcntl(listener, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).map_err(io::Error::from)?;
        }
        inside::prepare()?;
        return Ok(Entered::Inside(isolation, listener.map(TcpListener::from)));
    }
    let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if threads != 1 {
        return Err(EnterError::Threads { threads });
    }
    let listener = outside().map_err(EnterError::Outside)?;
    guard::run(terminal, listener).map(Entered::Ended)
}
