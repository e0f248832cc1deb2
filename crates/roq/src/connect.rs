//! A client's side of a connection: to a server, and to one of its feeds.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use quinn::{ClientConfig, Connection, Endpoint};

use crate::codes::Code;
use crate::framing::{FlowId, datagram};
use crate::listen::explain;
use crate::signal::{self, ANSWER_BYTES_MAX, Answer, Mode, Play, Playing, Request};
use crate::socket;
use crate::transport;
use crate::trust::Trust;

/// How long one address of a server may take for the handshake, and for its answer.
const ANSWER: Duration = Duration::from_millis(1_500);

/// A feed of a server.
#[derive(Clone, Debug)]
pub struct Target {
    pub host: String,
    pub port: u16,
    /// The feed.
    pub name: String,
    pub by: Mode,
}

/// The reason why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The name of the host leads nowhere, or no socket can be had.
    #[error("cannot look up {host}:{port}: {error}")]
    Lookup {
        host: String,
        port: u16,
        error: std::io::Error,
    },
    /// The connection did not come about.
    #[error("cannot connect to {at}: {why}")]
    Connect { at: SocketAddr, why: String },
}

/// The reason why a feed does not come.
#[derive(Debug, thiserror::Error)]
pub enum PlayError {
    /// There is no connection.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The server does not give the feed.
    #[error("the streamer refuses: {0}")]
    Refused(String),
    /// The server does not answer, or not understandably.
    #[error("{0}")]
    Answer(String),
    /// One side cannot do datagrams.
    #[error("the server takes no QUIC datagrams; ask for streams")]
    NoDatagrams,
}

/// A feed that comes. Dropping it ends the connection.
#[derive(Debug)]
pub struct Stream {
    endpoint: Endpoint,
    connection: Connection,
    playing: Playing,
}

impl Stream {
    /// What comes, by which flows.
    pub const fn playing(&self) -> &Playing {
        &self.playing
    }

    pub const fn connection(&self) -> &Connection {
        &self.connection
    }

    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The way for RTCP to the server.
    pub fn reports(&self) -> Reports {
        Reports {
            connection: self.connection.clone(),
            flow: FlowId::new(self.playing.rtcp_flow).unwrap_or(FlowId::RTCP),
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.connection.close(Code::NoError.into(), b"");
    }
}

/// Sends RTCP to the server.
#[derive(Clone, Debug)]
pub struct Reports {
    connection: Connection,
    flow: FlowId,
}

impl Reports {
    /// Sends a compound packet. One that cannot go is lost, as over UDP.
    pub fn send(&self, rtcp: &[u8]) {
        let _ = self.connection.send_datagram(datagram(self.flow, rtcp));
    }
}

/// Asks for a feed, and returns once it comes.
pub async fn play(target: &Target, trust: &Trust, key_log: bool) -> Result<Stream, PlayError> {
    let config = transport::viewer(trust, key_log);
    let (endpoint, connection) = dial(&target.host, target.port, config).await?;
    ask(endpoint, connection, target).await
}

/// Connects to a server, trying each of its addresses.
pub(crate) async fn dial(
    host: &str,
    port: u16,
    config: ClientConfig,
) -> Result<(Endpoint, Connection), DialError> {
    let lookup = |error| DialError::Lookup {
        host: host.to_owned(),
        port,
        error,
    };
    let addresses = tokio::net::lookup_host((host, port));
    let mut failed = None;
    for at in addresses.await.map_err(lookup)? {
        let any: SocketAddr = match at {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let mut endpoint = socket::endpoint(any, None).map_err(lookup)?;
        endpoint.set_default_client_config(config.clone());
        match connect(&endpoint, at, host).await {
            Ok(connection) => return Ok((endpoint, connection)),
            Err(why) => failed = Some(DialError::Connect { at, why }),
        }
    }
    Err(failed.unwrap_or_else(|| lookup(std::io::ErrorKind::NotFound.into())))
}

async fn connect(endpoint: &Endpoint, at: SocketAddr, host: &str) -> Result<Connection, String> {
    let connecting = endpoint
        .connect(at, host)
        .map_err(|error| error.to_string())?;
    match tokio::time::timeout(ANSWER, connecting).await {
        Ok(connected) => connected.map_err(|error| explain(&error)),
        Err(_) => Err(format!("no answer within {} ms", ANSWER.as_millis())),
    }
}

async fn ask(
    endpoint: Endpoint,
    connection: Connection,
    target: &Target,
) -> Result<Stream, PlayError> {
    let request = signal::write(&Request::Play(Play {
        name: target.name.clone(),
        by: target.by,
    }));
    let asked = async {
        let (mut send, mut receive) = connection.open_bi().await.map_err(|e| explain(&e))?;
        send.write_chunk(Bytes::from(request))
            .await
            .map_err(|error| error.to_string())?;
        let _ = send.finish();
        receive
            .read_to_end(ANSWER_BYTES_MAX)
            .await
            .map_err(|error| match connection.close_reason() {
                Some(closed) => explain(&closed),
                None => error.to_string(),
            })
    };
    let answer = tokio::time::timeout(ANSWER, asked)
        .await
        .map_err(|_| "the streamer does not say whether it has the feed".to_owned())
        .flatten()
        .map_err(PlayError::Answer)?;
    let answer = signal::read::<Answer>(&answer)
        .map_err(|error| PlayError::Answer(format!("the streamer's answer: {error}")))?;
    match answer {
        Answer::Refused(why) => Err(PlayError::Refused(why)),
        Answer::Playing(_) if connection.max_datagram_size().is_none() => {
            connection.close(Code::ExpectationUnmet.into(), b"datagrams are needed");
            Err(PlayError::NoDatagrams)
        }
        Answer::Playing(playing) => Ok(Stream {
            endpoint,
            connection,
            playing,
        }),
    }
}
