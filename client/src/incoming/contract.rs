//! What a session tells its incoming stream, and hears of it.

use roq::connect::Target;
use roq::counters::Received;
use roq::trust::Trust;
use settings::BufferMode;

use crate::user::User;

/// What the incoming streams of a client have in common.
#[derive(Clone, Debug)]
pub struct Settings {
    pub url: String,
    pub latency_ms: u32,
    /// What the jitter buffer does to timestamps.
    pub buffer_mode: BufferMode,
    /// Who the client is to an RTSP server that asks.
    pub user: Option<User>,
    /// Of a stream that comes over QUIC.
    pub quic: Option<QuicSettings>,
}

/// What a stream over QUIC needs beside.
#[derive(Clone, Debug)]
pub struct QuicSettings {
    pub target: Target,
    /// Whom the client believes to be the server.
    pub trust: Trust,
    /// Whether the connection's keys are written to the file that `SSLKEYLOGFILE` names.
    pub key_log: bool,
    pub received: Received,
}

/// The reason why a stream ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// No connection could be made; the pipeline's words do not say why.
    Unreachable(String),
    /// The server has the stream, but does not send it over this transport.
    Refused,
    /// The server asks who the client is, and takes no answer that it has.
    Denied,
    /// The server has the stream, and this client can never play it; the text says why.
    Unplayable(String),
    /// The stream was lost; the text says why.
    Lost(String),
}
