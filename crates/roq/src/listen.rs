//! A server's UDP port: who may connect, how many, and who must prove first that its address is its own.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use quinn::{Connection, ConnectionError, Endpoint, Incoming};

use crate::codes::Code;
use crate::counters::Arrivals;
use crate::identity::Identity;
use crate::peer::Peer;
use crate::socket;
use crate::transport::{self, Tuning};

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(3);

/// With so many handshakes under way, whoever comes next must show that it gets what is sent to its address.
const UNPROVEN: usize = 16;

/// The most handshakes under way at a time.
const HANDSHAKES_MAX: usize = 128;

/// How many may be connected.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time, handshakes included.
    pub connections: usize,
    /// Connections at a time of one peer: an address of IPv4, or a /64 of IPv6.
    pub per_peer: usize,
}

/// The reason why no port listens.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The certificate and the key do not go together, or are of no use.
    #[error("the certificate and its key: {0}")]
    Tls(#[from] rustls::Error),
    /// The port cannot be had.
    #[error(transparent)]
    Port(#[from] std::io::Error),
}

/// A port that listens. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Listener {
    endpoint: Endpoint,
    limits: Limits,
    counters: Arrivals,
    present: Arc<Mutex<Present>>,
}

#[derive(Debug, Default)]
struct Present {
    connections: usize,
    handshakes: usize,
    by_peer: HashMap<Peer, usize>,
}

impl Present {
    /// Decides on a peer, and counts it in if it is welcome.
    fn judge(&mut self, limits: Limits, peer: Peer, proven: bool) -> Verdict {
        if !proven && self.handshakes >= UNPROVEN {
            return Verdict::Prove;
        }
        if self.connections >= limits.connections || self.handshakes >= HANDSHAKES_MAX {
            return Verdict::Full;
        }
        let of_peer = self.by_peer.entry(peer).or_default();
        if *of_peer >= limits.per_peer {
            return Verdict::PeerFull;
        }
        *of_peer += 1;
        self.connections += 1;
        self.handshakes += 1;
        Verdict::Welcome
    }
}

/// The place of a connection among those that may be. Dropping it gives it back.
#[derive(Debug)]
pub struct Place {
    peer: Peer,
    present: Arc<Mutex<Present>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut present = self.present.lock();
        present.connections -= 1;
        if let Some(count) = present.by_peer.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                present.by_peer.remove(&self.peer);
            }
        }
    }
}

/// A peer whose handshake is under way.
#[derive(Debug)]
pub struct Arrival {
    incoming: Incoming,
    place: Place,
    shaking: Shaking,
    counters: Arrivals,
}

/// One of the handshakes under way.
#[derive(Debug)]
struct Shaking(Arc<Mutex<Present>>);

impl Drop for Shaking {
    fn drop(&mut self) {
        self.0.lock().handshakes -= 1;
    }
}

/// What is done with a peer that wants to connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Welcome,
    Prove,
    PeerFull,
    Full,
}

impl Listener {
    /// Listens at `address` as `identity`. Within a tokio runtime.
    pub fn bind(
        address: SocketAddr,
        identity: &Identity,
        tuning: Tuning,
        limits: Limits,
        key_log: bool,
        counters: Arrivals,
    ) -> Result<Self, ListenError> {
        let config = transport::server(identity, tuning, key_log)?;
        Ok(Self {
            endpoint: socket::endpoint(address, Some(config))?,
            limits,
            counters,
            present: Arc::default(),
        })
    }

    /// The address with the port that it got.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.endpoint.local_addr()
    }

    /// Connections that there are, handshakes included.
    pub fn connections(&self) -> usize {
        self.present.lock().connections
    }

    /// The next peer that may connect; none once the listener is closed.
    pub async fn next(&self) -> Option<Arrival> {
        loop {
            let incoming = self.endpoint.accept().await?;
            let peer = incoming.remote_address();
            let (who, proven) = (Peer::of(peer.ip()), incoming.remote_address_validated());
            let verdict = self.present.lock().judge(self.limits, who, proven);
            match verdict {
                Verdict::Welcome => {
                    return Some(Arrival {
                        incoming,
                        place: Place {
                            peer: who,
                            present: Arc::clone(&self.present),
                        },
                        shaking: Shaking(Arc::clone(&self.present)),
                        counters: self.counters.clone(),
                    });
                }
                Verdict::Prove => {
                    self.counters.retried.inc();
                    if let Err(error) = incoming.retry() {
                        error.into_incoming().ignore();
                    }
                }
                Verdict::PeerFull => {
                    self.counters.peer_full.inc();
                    let limit = self.limits.per_peer;
                    tracing::warn!(%peer, limit, "QUIC connection refused: its address, or the /64 of its IPv6 address, has as many as it may have");
                    incoming.refuse();
                }
                Verdict::Full => {
                    self.counters.full.inc();
                    let limit = self.limits.connections;
                    tracing::warn!(%peer, limit, "QUIC connection refused: all are in use");
                    incoming.refuse();
                }
            }
        }
    }

    /// Ends every connection, and waits until each peer has been told or has not answered.
    pub async fn close(&self) {
        self.endpoint
            .close(Code::NoError.into(), b"the server stops");
        self.endpoint.wait_idle().await;
    }
}

impl Arrival {
    /// Where the peer is.
    pub fn peer(&self) -> SocketAddr {
        self.incoming.remote_address()
    }

    /// Completes the handshake; the reason why it could not be completed has been counted.
    pub async fn finish(self) -> Result<(Connection, Place), String> {
        let Self {
            incoming,
            place,
            shaking,
            counters,
        } = self;
        let handshake = async { incoming.accept()?.await };
        let connected = tokio::time::timeout(HANDSHAKE, handshake).await;
        drop(shaking);
        match connected {
            Ok(Ok(connection)) => Ok((connection, place)),
            Ok(Err(error)) => {
                counters.failed.inc();
                Err(explain(&error))
            }
            Err(_) => {
                counters.failed.inc();
                Err(format!("no handshake within {} s", HANDSHAKE.as_secs()))
            }
        }
    }
}

/// No protocol in common, as TLS numbers it.
const NO_APPLICATION_PROTOCOL: u64 = 0x100 + 120;

/// Whether the peer has ended a connection because it had nothing more to say.
pub fn is_good_end(error: &ConnectionError) -> bool {
    let good = u64::from(Code::NoError.number());
    matches!(error, ConnectionError::ApplicationClosed(close) if close.error_code.into_inner() == good)
}

/// Whether this side has ended a connection.
pub const fn is_own_end(error: &ConnectionError) -> bool {
    matches!(error, ConnectionError::LocallyClosed)
}

/// The end of a connection in words.
pub fn explain(error: &ConnectionError) -> String {
    let versions = || {
        let versions = crate::codes::ALPN.map(String::from_utf8_lossy);
        versions.join(", ")
    };
    match error {
        ConnectionError::ApplicationClosed(close) => {
            let code = close.error_code.into_inner();
            let code =
                Code::of(code).map_or_else(|| format!("code {code}"), |code| code.to_string());
            match String::from_utf8_lossy(&close.reason) {
                reason if reason.is_empty() => format!("the peer ended the connection ({code})"),
                reason => format!("the peer ended the connection ({code}): {reason}"),
            }
        }
        ConnectionError::TransportError(error)
            if u64::from(error.code) == NO_APPLICATION_PROTOCOL =>
        {
            format!(
                "the peer speaks no version of RTP over QUIC that is spoken here ({})",
                versions()
            )
        }
        ConnectionError::ConnectionClosed(close)
            if u64::from(close.error_code) == NO_APPLICATION_PROTOCOL =>
        {
            format!(
                "the server speaks no version of RTP over QUIC that is spoken here ({})",
                versions()
            )
        }
        ConnectionError::TransportError(error) if !error.reason.is_empty() => error.reason.clone(),
        ConnectionError::TimedOut => "the peer does not answer".to_owned(),
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever has a /64 has more addresses than anybody could count.
    #[test]
    fn other_addresses_of_a_peer_are_the_same_peer() {
        let limits = Limits {
            connections: 8,
            per_peer: 2,
        };
        let mut present = Present::default();
        let mut judge = |address: &str| {
            let peer = Peer::of(address.parse().expect("an address"));
            present.judge(limits, peer, true)
        };
        assert_eq!(judge("2001:db8:1:2::1"), Verdict::Welcome);
        assert_eq!(judge("2001:db8:1:2::2"), Verdict::Welcome);
        assert_eq!(judge("2001:db8:1:2::3"), Verdict::PeerFull);
        assert_eq!(judge("2001:db8:1:3::1"), Verdict::Welcome);
        for host in 1..=3 {
            assert_eq!(judge(&format!("::ffff:192.0.2.{host}")), Verdict::Welcome);
        }
    }
}
