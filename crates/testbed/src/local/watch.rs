//! Waiting until an interface exists that a process makes, and until its WireGuard can be spoken to.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::libc;
use nix::net::if_::if_nametoindex;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket,
};

use crate::netns::Netns;

/// How often the caller's change of mind is looked at; what is waited for ends the wait at once.
const GLANCE_MS: u16 = 20;

/// Between a socket's appearance in its folder and its owner's `listen` lie microseconds, and no event.
const LISTEN_MS: u16 = 1;

/// The folder of the control sockets of userspace WireGuard.
const CONTROL: &str = "/var/run/wireguard";

/// The control socket of a userspace WireGuard interface.
pub(super) fn control_socket(interface: &str) -> PathBuf {
    Path::new(CONTROL).join(format!("{interface}.sock"))
}

/// Blocks until the interface exists in the namespace (true), or `stop` is set (false).
pub(super) fn interface(netns: &Netns, name: &str, stop: &AtomicBool) -> io::Result<bool> {
    netns.run(|| {
        let changes = link_changes()?;
        while if_nametoindex(name).is_err() {
            if stop.load(Ordering::Relaxed) {
                return Ok(false);
            }
            wait(&changes, GLANCE_MS)?;
            // What changed does not matter: the question is asked again.
            let mut message = [0; 8192];
            while recv(changes.as_raw_fd(), &mut message, MsgFlags::empty()).is_ok() {}
        }
        Ok(true)
    })
}

/// The kernel's announcements of new links in the caller's namespace.
fn link_changes() -> io::Result<OwnedFd> {
    let socket = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
        SockProtocol::NetlinkRoute,
    )?;
    let groups = libc::RTMGRP_LINK.cast_unsigned();
    bind(socket.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
    Ok(socket)
}

/// Blocks until somebody listens on the interface's control socket (true), or `stop` is set (false).
///
/// `wg` itself may not be the one to try: it removes a socket on which nobody listens yet.
pub(super) fn control(interface: &str, stop: &AtomicBool) -> io::Result<bool> {
    let changes = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
    changes.add_watch(CONTROL, AddWatchFlags::IN_CREATE)?;
    let path = control_socket(interface);
    loop {
        let patience = match UnixStream::connect(&path) {
            Ok(_) => return Ok(true),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => LISTEN_MS,
            Err(_) => GLANCE_MS,
        };
        if stop.load(Ordering::Relaxed) {
            return Ok(false);
        }
        wait(&changes, patience)?;
        while changes.read_events().is_ok() {}
    }
}

fn wait(fd: &impl std::os::fd::AsFd, at_most_ms: u16) -> io::Result<()> {
    let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    match poll(&mut fds, PollTimeout::from(at_most_ms)) {
        Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
