//! A TCP connection of this process with itself, for what the RTSP server is to take for a peer's.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// How long it may take until the two ends have each other: no packet leaves the machine.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the near end takes before it is read; the system doubles it for its own book-keeping. Little, so that what a slow
/// viewer does not take stays unsent at the far end, where it is seen.
const NEAR_RECEIVE_BUFFER_BYTES: u32 = 32 * 1024;

/// The near end and the far one.
///
/// A pair of Unix sockets would have neither an address, which the RTSP server asks for, nor the counters of TCP, by which
/// connections are watched.
pub(super) async fn pair() -> io::Result<(TcpStream, TcpStream)> {
    tokio::time::timeout(PATIENCE, connect()).await?
}

async fn connect() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(NEAR_RECEIVE_BUFFER_BYTES)?;
    let near = socket.connect(listener.local_addr()?).await?;
    near.set_nodelay(true)?;
    let address = near.local_addr()?;
    loop {
        let (far, from) = listener.accept().await?;
        // Another process of this machine may have found the port.
        if from == address {
            return Ok((near, far));
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn the_ends_are_each_others() {
        let (mut near, mut far) = pair().await.unwrap();
        assert_eq!(near.peer_addr().unwrap(), far.local_addr().unwrap());
        near.write_all(b"to").await.unwrap();
        far.write_all(b"fro").await.unwrap();
        drop(near.shutdown().await);
        let mut said = String::new();
        far.read_to_string(&mut said).await.unwrap();
        assert_eq!(said, "to");
        drop(far);
        said.clear();
        near.read_to_string(&mut said).await.unwrap();
        assert_eq!(said, "fro");
    }
}
