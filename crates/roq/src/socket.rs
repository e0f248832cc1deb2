//! The UDP socket below an endpoint.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use quinn::{Endpoint, EndpointConfig, ServerConfig, default_runtime};
use socket2::{Domain, Protocol, Socket, Type};

/// The receive buffer that is asked of the system: some seconds of video. With the 208 KiB that Linux gives by itself, 140 ms
/// without a turn of the processor cost a stream of 6 Mbit/s its packets.
const RECEIVE_BYTES: usize = 2_621_440;

/// An endpoint at `address`, which takes connections if it has a configuration for them. Within a tokio runtime.
pub(crate) fn endpoint(address: SocketAddr, server: Option<ServerConfig>) -> io::Result<Endpoint> {
    let runtime = default_runtime().ok_or(io::ErrorKind::Unsupported)?;
    Endpoint::new(EndpointConfig::default(), server, bind(address)?, runtime)
}

fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    // A system that gives less serves as well; `net.core.rmem_max` says how much it gives.
    let _ = socket.set_recv_buffer_size(RECEIVE_BYTES);
    socket.bind(&address.into())?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_has_more_room_than_the_system_gives_by_itself() {
        let plain = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
        let ours = Socket::from(bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap());
        let most = std::fs::read_to_string("/proc/sys/net/core/rmem_max").unwrap();
        // Linux doubles what is asked for.
        let most = 2 * most.trim().parse::<usize>().unwrap().min(RECEIVE_BYTES);
        assert_eq!(ours.recv_buffer_size().unwrap(), most);
        assert!(ours.recv_buffer_size().unwrap() >= plain.recv_buffer_size().unwrap());
    }
}
