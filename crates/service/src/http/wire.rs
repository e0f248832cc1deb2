//! What lies between a TCP connection and HTTP: nothing, or TLS.

use std::future::Future;
use std::io;

use hyper::http::Extensions;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::farewell::farewell;
use super::problem::Problem;

/// A way to make a stream of bytes of an accepted connection.
pub(super) trait Wire: Send + Sync + 'static {
    /// Whether opening costs work, so that it waits for its turn as requests do.
    const HAS_HANDSHAKE: bool;

    /// The stream that HTTP is spoken on.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send;

    /// Opens the stream. What is known of the peer by then goes with every request of its.
    fn open(
        &self,
        stream: TcpStream,
    ) -> impl Future<Output = io::Result<(Self::Stream, Extensions)>> + Send;

    /// Closes a connection that there is no room for, and says why where that costs nothing.
    fn refuse(stream: TcpStream, why: &Problem) -> impl Future<Output = ()> + Send;
}

/// The connection as it is.
pub(super) struct Plain;

impl Wire for Plain {
    const HAS_HANDSHAKE: bool = false;
    type Stream = TcpStream;

    async fn open(&self, stream: TcpStream) -> io::Result<(TcpStream, Extensions)> {
        Ok((stream, Extensions::new()))
    }

    async fn refuse(stream: TcpStream, why: &Problem) {
        farewell(stream, why).await;
    }
}
