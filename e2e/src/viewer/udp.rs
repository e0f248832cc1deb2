//! The two datagram sockets of a viewer.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Socket, Type};
use tokio::net::UdpSocket;

use super::shared::Shared;

/// Room for a second of any feed here, so that what is missing was lost by others.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;

/// Longer than any datagram of a feed.
const DATAGRAM_BYTES: usize = 2048;

/// Sockets on an even port and the one above it (RFC 3550 section 11).
#[derive(Debug)]
pub(super) struct Pair {
    rtp: UdpSocket,
    /// Bound, so that reports have somewhere to go; read by nobody.
    rtcp: UdpSocket,
    port: u16,
}

impl Pair {
    pub(super) fn bind() -> io::Result<Self> {
        // Each try takes another port, so one of a few has a free neighbour.
        for _ in 0..64 {
            let rtp = bind(0)?;
            let port = rtp.local_addr()?.port();
            if port % 2 == 0
                && let Ok(rtcp) = bind(port + 1)
            {
                return Ok(Self { rtp, rtcp, port });
            }
        }
        Err(io::Error::other("no two neighbouring ports are free"))
    }

    pub(super) const fn ports(&self) -> (u16, u16) {
        (self.port, self.port + 1)
    }

    pub(super) async fn run(self, shared: Arc<Shared>) {
        let mut buffer = [0; DATAGRAM_BYTES];
        let _rtcp = self.rtcp;
        while self.rtp.readable().await.is_ok() {
            while let Ok(length) = self.rtp.try_recv(&mut buffer) {
                shared.packet(&buffer[..length]);
            }
        }
    }
}

fn bind(port: u16) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    // Root may go beyond the system's limit; for others the limit must do.
    if setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER_BYTES).is_err() {
        socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
    UdpSocket::from_std(socket.into())
}
