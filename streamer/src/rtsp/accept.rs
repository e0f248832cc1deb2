//! RTSP connections, from their acceptance to the RTSP server. A connection is handed over once it has sent something
//! that begins like RTSP, so a silent or a foreign crowd costs a socket each, and makes room when room is short.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::beginning::{BAD_REQUEST, FIRST_BYTES, begins_rtsp};
use super::connection::Caller;
use super::server::Server;
use super::shared::Counted;
use super::tls::Tls;
use crate::metrics::Dropped;
use service::Shutdown;

/// Connections that have not said anything yet, oldest first.
#[derive(Debug, Default)]
struct Silent(Mutex<VecDeque<(u64, CancellationToken)>>);

impl Silent {
    fn add(self: &Arc<Self>, id: u64) -> Silence {
        let evicted = CancellationToken::new();
        self.0.lock().push_back((id, evicted.clone()));
        Silence {
            id,
            evicted,
            of: Arc::clone(self),
        }
    }

    fn evict_oldest(&self) -> bool {
        let oldest = self.0.lock().pop_front();
        oldest.inspect(|(_, evicted)| evicted.cancel()).is_some()
    }
}

/// One that has not said anything, until it is dropped.
struct Silence {
    id: u64,
    evicted: CancellationToken,
    of: Arc<Silent>,
}

impl Drop for Silence {
    fn drop(&mut self) {
        self.of.0.lock().retain(|(kept, _)| *kept != self.id);
    }
}

/// How a port is spoken to.
#[derive(Clone, Debug)]
pub enum Wire {
    /// RTSP as it is.
    Plain,
    /// RTSP over TLS.
    Tls(Tls),
}

/// What arrives at the ports for RTSP, which share one bound.
#[derive(Debug)]
pub struct Arrivals {
    server: Server,
    limit: usize,
    silent: Arc<Silent>,
    numbers: AtomicU64,
}

impl Arrivals {
    /// Connections on their way to `server`, which has at most `limit` at a time.
    pub fn new(server: Server, limit: usize) -> Self {
        Self {
            server,
            limit,
            silent: Arc::default(),
            numbers: AtomicU64::new(0),
        }
    }

    /// Accepts connections on `listener` until `shutdown` fires. When it returns none is on its way to the server any more.
    pub(super) async fn accept(&self, listener: TcpListener, wire: Wire, shutdown: &Shutdown) {
        let arriving = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                () = shutdown.fired() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    if let Some(admission) = self.receive(stream, peer, &wire) {
                        let shutdown = shutdown.clone();
                        arriving.spawn(async move {
                            tokio::select! {
                                () = shutdown.fired() => {}
                                () = admission => {}
                            }
                        });
                    }
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

    /// What is to be done for a new connection, if there is room for it.
    fn receive(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        wire: &Wire,
    ) -> Option<impl Future<Output = ()> + use<>> {
        let (server, limit) = (self.server.clone(), self.limit);
        if server.connections() >= limit {
            server.metrics().drop_connection(Dropped::crowded);
            if !self.silent.evict_oldest() && !server.make_room(Instant::now()) {
                tracing::warn!(%peer, limit, "RTSP connection refused: all are in use; raise --max-connections");
                return None;
            }
        }
        let id = self.numbers.fetch_add(1, Ordering::Relaxed);
        let silence = self.silent.add(id);
        let counted = server.count_connection(id);
        let wire = wire.clone();
        Some(async move {
            tokio::select! {
                () = silence.evicted.cancelled() => {}
                () = admit(&wire, stream, peer, counted, &server) => {}
            }
        })
    }
}

async fn admit(
    wire: &Wire,
    stream: TcpStream,
    peer: SocketAddr,
    counted: Counted,
    server: &Server,
) {
    match wire {
        Wire::Plain => admit_plain(stream, peer, counted, server).await,
        Wire::Tls(tls) => tls.admit(stream, peer, counted, server).await,
    }
}

async fn admit_plain(mut stream: TcpStream, peer: SocketAddr, counted: Counted, server: &Server) {
    match tokio::time::timeout(FIRST_BYTES, first_bytes(&stream)).await {
        Ok(Ok(true)) => {
            let caller = Caller {
                peer,
                is_encrypted: false,
            };
            if let Err(error) = server.hand_over(stream, caller, counted) {
                tracing::warn!(%peer, %error, "an RTSP connection could not be handed to the server");
            }
        }
        Ok(Ok(false)) => {
            server.metrics().drop_connection(Dropped::nonsense);
            tracing::debug!(%peer, "a connection to the RTSP port does not speak RTSP");
            let _ = stream.write_all(BAD_REQUEST).await;
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
