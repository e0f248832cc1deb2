//! The receive buffer of a userspace tunnel's UDP socket.
//!
//! The kernel's own WireGuard takes each datagram as it arrives. A process takes it when it is scheduled, and until then
//! it waits in a buffer of 208 KiB, which counts each packet's overhead too: a key frame or a busy moment fills it, and what
//! is dropped then is lost in no network that anyone wants to measure. wireguard-go itself asks for 7 MiB since 2023, and
//! Debian 12 has one from before. So the socket of either gets that much, from outside.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

use nix::sys::socket::{SockType, SockaddrStorage, getsockname, getsockopt, setsockopt, sockopt};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

/// What wireguard-go asks for.
const BYTES: usize = 7 << 20;

/// The pause between two looks: the daemon opens its sockets in a thread once its interface is up, without an event that
/// others could see.
const GLANCE: Duration = Duration::from_millis(2);

/// Waits until the process has a UDP socket for IPv4, and makes the receive buffers of all its UDP sockets as large as it may; the smallest that came of it,
/// in bytes as the kernel counts them, which is twice what is asked for.
///
/// # Errors
/// Where the process has ended, has no such socket in time, or keeps its sockets from us.
pub(super) fn widen(pid: u32, patience: Duration) -> io::Result<usize> {
    let begun = Instant::now();
    loop {
        let sockets = udp_sockets(pid)?;
        // One for IPv6 may be open before the one for IPv4, which the tunnel runs on.
        if sockets.iter().any(is_ipv4) {
            let widened = sockets.iter().map(widen_one);
            return widened
                .collect::<io::Result<Vec<_>>>()
                .map(|bytes| bytes.into_iter().min().unwrap_or(0));
        }
        if begun.elapsed() > patience {
            let why = format!("process {pid} has no UDP socket for IPv4");
            return Err(io::Error::new(io::ErrorKind::TimedOut, why));
        }
        std::thread::sleep(GLANCE);
    }
}

fn udp_sockets(pid: u32) -> io::Result<Vec<OwnedFd>> {
    let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let raw = raw.ok_or_else(|| io::Error::other(format!("{pid} is no process number")))?;
    let process = pidfd_open(raw, PidfdFlags::empty())?;
    let mut found = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
        let entry = entry?;
        // It may have been closed in between.
        let is_socket = fs::read_link(entry.path())
            .is_ok_and(|target| target.to_string_lossy().starts_with("socket:"));
        let number = entry.file_name().to_string_lossy().parse();
        let (true, Ok(number)) = (is_socket, number) else {
            continue;
        };
        let socket = match pidfd_getfd(&process, number, PidfdGetfdFlags::empty()) {
            Ok(socket) => socket,
            Err(rustix::io::Errno::BADF) => continue,
            Err(error) => {
                let why = format!("pidfd_getfd of process {pid}: {error}");
                return Err(io::Error::new(error.kind(), why));
            }
        };
        if is_udp(&socket) {
            found.push(socket);
        }
    }
    Ok(found)
}

fn address(socket: &OwnedFd) -> Option<SockaddrStorage> {
    getsockname(socket.as_raw_fd()).ok()
}

fn is_ipv4(socket: &OwnedFd) -> bool {
    address(socket).is_some_and(|address| address.as_sockaddr_in().is_some())
}

fn is_udp(socket: &OwnedFd) -> bool {
    let ipv6 = address(socket).is_some_and(|address| address.as_sockaddr_in6().is_some());
    (ipv6 || is_ipv4(socket)) && getsockopt(socket, sockopt::SockType) == Ok(SockType::Datagram)
}

fn widen_one(socket: &OwnedFd) -> io::Result<usize> {
    let socket = socket.as_fd();
    if setsockopt(&socket, sockopt::RcvBufForce, &BYTES).is_err() {
        // Without the privilege, up to net.core.rmem_max.
        setsockopt(&socket, sockopt::RcvBuf, &BYTES)?;
    }
    Ok(getsockopt(&socket, sockopt::RcvBuf)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_of_a_process_is_found_and_widened() {
        let own = std::process::id();
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
        let before = getsockopt(&socket, sockopt::RcvBuf).expect("an option");
        let bytes = widen(own, Duration::from_secs(1)).expect("a socket");
        let after = getsockopt(&socket, sockopt::RcvBuf).expect("an option");
        assert!(after >= bytes && after > before, "{before} {after} {bytes}");
    }

    #[test]
    fn a_process_that_is_gone_is_an_error() {
        assert!(widen(i32::MAX.cast_unsigned(), Duration::ZERO).is_err());
    }
}
