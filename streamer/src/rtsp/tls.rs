//! RTSP over TLS (RTSPS): TLS ends here, and the RTSP server gets a connection of this process with itself instead.
//!
//! ```text
//!  peer ==TLS== Tls, carry --- near end | far end --- RTSP server
//!                                         twin of it: watched, hung up on
//! ```
//!
//! GStreamer could speak TLS by itself, behind everything that bounds connections here: a handshake without an end, and what
//! its socket holds, would be nobody's to see. Whatever is copied stands in buffers of fixed sizes, so that a viewer that
//! takes nothing stops the copying, and what is unsent grows where the RTSP server writes. What handshakes cost is bounded by
//! the module `handshakes`.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use roq::peer::Peer;
use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;

use super::beginning::{BAD_REQUEST, FIRST_BYTES, begins_rtsp};
use super::connection::Caller;
use super::handshakes::Handshakes;
use super::loopback;
use super::place::Place;
use super::server::Server;
use super::shared::Counted;
use crate::metrics::Dropped;

/// How long a handshake may take, how long its first byte, and how long it may wait until it begins.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// How long a peer may take what is left for it once the RTSP server has let go of its connection.
const FAREWELL: Duration = Duration::from_millis(500);

/// What is copied at a time, in each direction: the most that a record of TLS holds.
const PIECE_BYTES: usize = 16 * 1024;

/// What a peer's socket takes beyond what it can send at once. More would be a backlog that nobody sees.
const UNSENT_BYTES: u32 = 16 * 1024;

/// What the first byte of every handshake says (RFC 8446 section 5.1).
const HANDSHAKE_RECORD: u8 = 22;

/// How TLS is spoken. Clones are the same one.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    handshakes: Arc<Handshakes>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Tls")
    }
}

impl Tls {
    /// TLS with the certificate of `config`, whatever else that is for.
    pub fn new(config: &ServerConfig) -> Self {
        let mut config = config.clone();
        // RTSP 1.0 has no name among protocols (ALPN), and what `config` names is not spoken here.
        config.alpn_protocols.clear();
        Self {
            acceptor: Arc::new(config).into(),
            handshakes: Arc::new(Handshakes::new(Instant::now())),
        }
    }

    /// Takes a connection of `peer` through its handshake and its first words to `server`.
    pub(super) async fn admit(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        counted: Counted,
        server: &Server,
    ) {
        let drop_for = |reason| server.metrics().drop_connection(reason);
        let mut stream = match self.open(stream, peer, server).await {
            Ok(stream) => stream,
            Err(Unopened::Failed(error)) => {
                drop_for(Dropped::handshake);
                tracing::debug!(%peer, %error, "no TLS handshake at the RTSPS port");
                return;
            }
            Err(Unopened::Silent) => return drop_for(Dropped::silent),
            Err(Unopened::Crowded) => {
                drop_for(Dropped::crowded);
                tracing::debug!(%peer, "an RTSPS connection ended: too many handshakes were under way");
                return;
            }
        };
        match timeout(FIRST_BYTES, first_words(&mut stream)).await {
            Ok(Ok((words, true))) => {
                if let Err(error) = hand_over(stream, words, peer, counted, server).await {
                    tracing::warn!(%peer, %error, "an RTSPS connection could not be handed to the server");
                }
            }
            Ok(Ok((_, false))) => {
                drop_for(Dropped::nonsense);
                tracing::debug!(%peer, "a connection to the RTSPS port does not speak RTSP");
                // A courtesy to a peer that may be gone.
                let _ = stream.write_all(BAD_REQUEST).await;
                let _ = stream.shutdown().await;
            }
            Ok(Err(error)) => {
                tracing::debug!(%peer, %error, "an RTSPS connection ended before it began");
            }
            Err(_) => drop_for(Dropped::silent),
        }
    }

    async fn open(
        &self,
        mut stream: TcpStream,
        peer: SocketAddr,
        server: &Server,
    ) -> Result<TlsStream<TcpStream>, Unopened> {
        // Whoever says nothing keeps no handshake waiting.
        timeout(HANDSHAKE, begins(&mut stream)).await??;
        let of = Peer::of(peer.ip());
        let under_way = timeout(HANDSHAKE, self.handshakes.begin(of)).await;
        let _under_way = under_way.map_err(|_| Unopened::Crowded)?;
        server.tune(&stream)?;
        SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT_BYTES)?;
        let mut stream = timeout(HANDSHAKE, self.acceptor.accept(stream)).await??;
        stream.get_mut().1.set_buffer_limit(Some(PIECE_BYTES));
        Ok(stream)
    }
}

/// Why a connection came to no handshake.
#[derive(Debug)]
enum Unopened {
    /// The peer does not speak TLS, or not ours.
    Failed(io::Error),
    /// The peer does not go on.
    Silent,
    /// Others had the handshakes, or the peer's own others did.
    Crowded,
}

impl From<io::Error> for Unopened {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<Elapsed> for Unopened {
    fn from(_: Elapsed) -> Self {
        Self::Silent
    }
}

/// Waits until the peer begins a handshake. One that begins something else is told so.
async fn begins(stream: &mut TcpStream) -> io::Result<()> {
    let mut first = [0];
    match stream.peek(&mut first).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ if first[0] == HANDSHAKE_RECORD => Ok(()),
        _ => {
            stream.write_all(BAD_REQUEST).await?;
            Err(io::Error::other("the peer does not speak TLS"))
        }
    }
}

/// What the peer says first, and whether that begins like RTSP.
async fn first_words(stream: &mut TlsStream<TcpStream>) -> io::Result<(Vec<u8>, bool)> {
    let mut words = Vec::with_capacity(1024);
    loop {
        if stream.read_buf(&mut words).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(rtsp) = begins_rtsp(&words) {
            return Ok((words, rtsp));
        }
    }
}

async fn hand_over(
    stream: TlsStream<TcpStream>,
    words: Vec<u8>,
    peer: SocketAddr,
    counted: Counted,
    server: &Server,
) -> anyhow::Result<()> {
    let (near, far) = loopback::pair()
        .await
        .context("connecting this process with itself")?;
    let place = counted.place();
    let caller = Caller {
        peer,
        is_encrypted: true,
    };
    server.hand_over(far, caller, counted)?;
    tokio::spawn(carry(stream, near, words, caller, place));
    Ok(())
}

/// Copies between a peer and the RTSP server until either is gone: `words`, which the peer has said already, first.
async fn carry(
    mut peer: TlsStream<TcpStream>,
    mut near: TcpStream,
    words: Vec<u8>,
    caller: Caller,
    place: Place,
) {
    let copying = async {
        near.write_all(&words).await?;
        tokio::io::copy_bidirectional_with_sizes(&mut peer, &mut near, PIECE_BYTES, PIECE_BYTES)
            .await
    };
    let released = async {
        place.ended().await;
        tokio::time::sleep(FAREWELL).await;
    };
    tokio::select! {
        copied = copying => if let Err(error) = copied {
            tracing::debug!(peer = %caller.peer, %error, "an RTSPS connection broke off");
        },
        () = released => {}
    }
}
