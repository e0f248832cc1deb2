//! RTSP connections, from their acceptance to the RTSP server. A connection is handed over once it has sent something
//! that begins like RTSP, so a silent or a foreign crowd costs a socket each, and makes room when room is short.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::server::Server;
use crate::metrics::Dropped;
use service::Shutdown;

/// How long a connection may be silent at first.
const FIRST_BYTES: Duration = Duration::from_secs(10);

/// What begins every request of RTSP 1.0 (RFC 2326 section 6.1), and the answers that a client may send.
const BEGINNINGS: [&[u8]; 12] = [
    b"OPTIONS ",
    b"DESCRIBE ",
    b"SETUP ",
    b"PLAY ",
    b"PAUSE ",
    b"TEARDOWN ",
    b"GET_PARAMETER ",
    b"SET_PARAMETER ",
    b"ANNOUNCE ",
    b"RECORD ",
    b"REDIRECT ",
    b"RTSP/",
];

/// Whether `bytes` can be the beginning of an RTSP message; none if there are too few to say.
fn begins_rtsp(bytes: &[u8]) -> Option<bool> {
    if BEGINNINGS
        .iter()
        .any(|beginning| bytes.starts_with(beginning))
    {
        return Some(true);
    }
    let possible = BEGINNINGS
        .iter()
        .any(|beginning| beginning.starts_with(bytes));
    if possible { None } else { Some(false) }
}

/// Connections that have not said anything yet, oldest first.
#[derive(Debug, Default)]
struct Silent(Mutex<VecDeque<(u64, CancellationToken)>>);

impl Silent {
    fn add(&self, id: u64) -> CancellationToken {
        let evicted = CancellationToken::new();
        self.0.lock().push_back((id, evicted.clone()));
        evicted
    }

    fn remove(&self, id: u64) {
        self.0.lock().retain(|(kept, _)| *kept != id);
    }

    fn evict_oldest(&self) -> bool {
        let oldest = self.0.lock().pop_front();
        oldest.inspect(|(_, evicted)| evicted.cancel()).is_some()
    }
}

/// Accepts connections on `listener` until `shutdown` fires, at most `limit` at a time. When it returns none is on its way
/// to the server any more.
pub async fn run(listener: TcpListener, server: Server, limit: usize, shutdown: Shutdown) {
    let silent = Arc::new(Silent::default());
    let arriving = TaskTracker::new();
    for id in 0_u64.. {
        let accepted = tokio::select! {
            () = shutdown.fired() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let crowded = server.connections() >= limit;
                if crowded {
                    server.metrics().drop_connection(Dropped::crowded);
                    if !silent.evict_oldest() && !server.make_room(Instant::now()) {
                        tracing::warn!(%peer, limit, "RTSP connection refused: all are in use; raise --max-connections");
                        continue;
                    }
                }
                let evicted = silent.add(id);
                let counted = server.count_connection(id);
                let (silent, server, shutdown) =
                    (Arc::clone(&silent), server.clone(), shutdown.clone());
                arriving.spawn(async move {
                    tokio::select! {
                        () = shutdown.fired() => {}
                        () = evicted.cancelled() => {}
                        () = admit(stream, peer, counted, &server) => {}
                    }
                    silent.remove(id);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "an RTSP connection could not be accepted");
                // Out of file descriptors, most likely: the next attempt fails as well until some are closed.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    arriving.close();
    arriving.wait().await;
}

async fn admit(
    mut stream: TcpStream,
    peer: SocketAddr,
    counted: super::server::Counted,
    server: &Server,
) {
    match tokio::time::timeout(FIRST_BYTES, first_bytes(&stream)).await {
        Ok(Ok(true)) => {
            if let Err(error) = server.hand_over(stream, peer, counted) {
                tracing::warn!(%peer, %error, "an RTSP connection could not be handed to the server");
            }
        }
        Ok(Ok(false)) => {
            server.metrics().drop_connection(Dropped::nonsense);
            tracing::debug!(%peer, "a connection to the RTSP port does not speak RTSP");
            let _ = stream
                .write_all(b"RTSP/1.0 400 Bad Request\r\nConnection: close\r\n\r\n")
                .await;
        }
        Ok(Err(error)) => {
            tracing::debug!(%peer, %error, "an RTSP connection ended before it began");
        }
        Err(_) => server.metrics().drop_connection(Dropped::silent),
    }
}

/// Whether what the peer sends first begins like RTSP. Leaves it unread.
async fn first_bytes(stream: &TcpStream) -> std::io::Result<bool> {
    let mut bytes = [0; 16];
    let mut seen = 0;
    loop {
        let length = stream.peek(&mut bytes).await?;
        if length == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(rtsp) = begins_rtsp(&bytes[..length]) {
            return Ok(rtsp);
        }
        if length == seen {
            // A peek leaves the socket readable, so there is nothing to wait on for the rest of a word.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        seen = length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rtsp_is_told_from_the_rest() {
        assert_eq!(begins_rtsp(b"OPTIONS rtsp://x/"), Some(true));
        assert_eq!(begins_rtsp(b"RTSP/1.0 200 OK"), Some(true));
        assert_eq!(begins_rtsp(b"DESC"), None);
        for foreign in [
            &b"GET / HTTP/1.1"[..],
            b"\x16\x03\x01",
            b"\0\0\0\0",
            b"options x",
            b"$\0\0\x04",
        ] {
            assert_eq!(begins_rtsp(foreign), Some(false), "{foreign:?}");
        }
    }
}
