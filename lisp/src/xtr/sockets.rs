//! The sockets of the tunnel: UDP 4341 to receive, and what sends.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd as _;

use nix::libc;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::ports::DATA_PORT;

use super::mmsg::set_option;

/// Receive and send buffers, in bytes: bursts that come while a thread sleeps.
const BUFFER_BYTES: usize = 7 << 20;

/// The protocol of a socket that takes whole IP packets.
const IPPROTO_RAW: i32 = libc::IPPROTO_RAW;

/// The socket that takes tunnelled packets for one of our locators. With `merges`, the system may hand over several at once;
/// returned is whether it will.
pub(crate) fn receiver(
    locator: IpAddr,
    is_shared: bool,
    merges: bool,
) -> io::Result<(Socket, bool)> {
    let address = SocketAddr::new(locator, DATA_PORT);
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    let fd = socket.as_fd();
    if locator.is_ipv4() {
        set_option(fd, libc::IPPROTO_IP, libc::IP_RECVTOS, 1)?;
        set_option(fd, libc::IPPROTO_IP, libc::IP_RECVTTL, 1)?;
    } else {
        socket.set_only_v6(true)?;
        set_option(fd, libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS, 1)?;
        set_option(fd, libc::IPPROTO_IPV6, libc::IPV6_RECVHOPLIMIT, 1)?;
        // RFC 9300, 5.3: an ETR "MUST accept" packets whose UDP checksum is zero.
        set_option(fd, libc::SOL_UDP, libc::UDP_NO_CHECK6_RX, 1)?;
    }
    let merges = merges && set_option(fd, libc::SOL_UDP, libc::UDP_GRO, 1).is_ok();
    if is_shared {
        socket.set_reuse_port(true)?;
    }
    enlarge(&socket);
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(address))?;
    Ok((socket, merges))
}

/// A socket that takes whole packets, outer headers and all.
pub(crate) fn raw(locator: IpAddr) -> io::Result<Socket> {
    let domain = Domain::for_address(SocketAddr::new(locator, 0));
    let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(IPPROTO_RAW)))?;
    enlarge(&socket);
    Ok(socket)
}

/// A socket that sends from a port of its own, whose outer headers the system makes.
pub(crate) fn sender(locator: IpAddr) -> io::Result<Socket> {
    let address = SocketAddr::new(locator, 0);
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    let fd = socket.as_fd();
    // RFC 9300, 7.1: DF is set, and what a path is said to carry changes nothing: the MTU is a setting.
    if locator.is_ipv4() {
        set_option(
            fd,
            libc::IPPROTO_IP,
            libc::IP_MTU_DISCOVER,
            libc::IP_PMTUDISC_PROBE,
        )?;
    } else {
        set_option(
            fd,
            libc::IPPROTO_IPV6,
            libc::IPV6_MTU_DISCOVER,
            libc::IPV6_PMTUDISC_PROBE,
        )?;
    }
    enlarge(&socket);
    socket.bind(&SockAddr::from(address))?;
    Ok(socket)
}

/// Whether a socket sends several datagrams of one length as one.
pub(crate) fn can_segment(socket: &Socket) -> bool {
    set_option(socket.as_fd(), libc::SOL_UDP, libc::UDP_SEGMENT, 0).is_ok()
}

/// Asks for large buffers, beyond what the system lets everyone have where we may, and is content with less.
fn enlarge(socket: &Socket) {
    let bytes = libc::c_int::try_from(BUFFER_BYTES).expect("seven mebibytes");
    let fd = socket.as_fd();
    for (forced, plain) in [
        (libc::SO_RCVBUFFORCE, libc::SO_RCVBUF),
        (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF),
    ] {
        if set_option(fd, libc::SOL_SOCKET, forced, bytes).is_err() {
            // Smaller buffers drop more, which is counted by the system.
            let _ = set_option(fd, libc::SOL_SOCKET, plain, bytes);
        }
    }
}
