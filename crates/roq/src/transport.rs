//! How quinn is set up: both sides' windows, buffers and times, and the choice of congestion control.

use std::sync::Arc;
use std::time::Duration;

use quinn::congestion::{BbrConfig, ControllerFactory, CubicConfig, NewRenoConfig};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, Connection, IdleTimeout, ServerConfig, TransportConfig, VarInt};
use rustls::crypto::ring as provider;
use rustls::{KeyLog, KeyLogFile, NoKeyLog};
use settings::Congestion;

use crate::codes::ALPN;
use crate::identity::Identity;
use crate::trust::Trust;

/// A peer that is not heard for so long is gone.
const IDLE: VarInt = VarInt::from_u32(3_000);

/// How often a client says that it is there; the answer tells it as much of the server.
pub const KEEP_ALIVE: Duration = Duration::from_millis(250);

/// Datagrams of a connection that wait within quinn for its congestion window: about two frames of 6 Mbit/s at 60 a second.
/// What more there is waits in [`crate::backlog`], where it can be let go as a whole.
const DATAGRAMS_BYTES: usize = 32 * 1024;

/// Streams of a connection that are sent and not acknowledged: half a second of 16 Mbit/s. What more there is waits as well.
const STREAMS_BYTES: u64 = 1 << 20;

/// Streams of a feed that may be open at a time: four seconds of frames at 60 a second.
const FEED_STREAMS: VarInt = VarInt::from_u32(256);

/// A stream may be this long before it is read, in bytes: a frame.
const FRAME_BYTES: VarInt = VarInt::from_u32(4 << 20);

/// All that comes of a feed on streams may be this long before it is read, in bytes.
const FEED_BYTES: VarInt = VarInt::from_u32(16 << 20);

/// Streams that a client may have open to a server, for RTCP.
const SERVER_STREAMS: VarInt = VarInt::from_u32(4);

/// All that a client may send on streams before it is read, in bytes.
const SERVER_BYTES: VarInt = VarInt::from_u32(64 * 1024);

/// Received datagrams that a feeding client keeps. It reads none, but quinn sends none either where none may come.
const STRAY_BYTES: usize = 2 * 1024;

/// Received datagrams that wait to be read: a second of 8 Mbit/s.
const RECEIVED_BYTES: usize = 1 << 20;

/// What a feed is sent with.
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    pub congestion: Congestion,
    /// What may be under way before the first acknowledgement, in bytes. A key frame is to fit.
    pub initial_window_bytes: u32,
}

/// Handshakes that wait to be looked at, and their bytes.
const INCOMING: usize = 64;
const INCOMING_BYTES: u64 = 16 * 1024;

/// How a server is set up.
pub(crate) fn server(
    identity: &Identity,
    tuning: Tuning,
    key_log: bool,
) -> Result<ServerConfig, rustls::Error> {
    let mut tls =
        rustls::ServerConfig::builder_with_provider(Arc::new(provider::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_single_cert(identity.chain.clone(), identity.key.clone_key())?;
    tls.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
    // What comes before the handshake is over can be somebody else's, sent again.
    tls.max_early_data_size = 0;
    tls.key_log = key_logger(key_log);
    let tls = QuicServerConfig::try_from(tls).expect("TLS 1.3 has QUIC's first cipher suite");
    let mut transport = common();
    sends_feed(&mut transport, tuning);
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(1))
        .max_concurrent_uni_streams(SERVER_STREAMS)
        // All streams together may have less, until a feed is taken.
        .stream_receive_window(FRAME_BYTES)
        .receive_window(SERVER_BYTES);
    let mut server = ServerConfig::with_crypto(Arc::new(tls));
    server
        .transport_config(Arc::new(transport))
        .migration(true)
        .max_incoming(INCOMING)
        .incoming_buffer_size(INCOMING_BYTES)
        .incoming_buffer_size_total(INCOMING_BYTES * INCOMING as u64);
    Ok(server)
}

/// Lets a client send as much as a feed needs.
pub(crate) fn open_for_feed(connection: &Connection) {
    connection.set_max_concurrent_uni_streams(FEED_STREAMS);
    connection.set_receive_window(FEED_BYTES);
}

/// How a client is set up that gets a feed.
pub(crate) fn viewer(trust: &Trust, key_log: bool) -> ClientConfig {
    let mut transport = common();
    transport
        .max_concurrent_uni_streams(FEED_STREAMS)
        .stream_receive_window(FRAME_BYTES)
        .receive_window(FEED_BYTES);
    client(transport, trust, key_log)
}

/// How a client is set up that sends a feed, and is told a few words.
pub(crate) fn feeder(trust: &Trust, tuning: Tuning, key_log: bool) -> ClientConfig {
    let mut transport = common();
    sends_feed(&mut transport, tuning);
    transport
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(SERVER_BYTES)
        .receive_window(SERVER_BYTES)
        .datagram_receive_buffer_size(Some(STRAY_BYTES));
    client(transport, trust, key_log)
}

fn client(mut transport: TransportConfig, trust: &Trust, key_log: bool) -> ClientConfig {
    let mut tls =
        rustls::ClientConfig::builder_with_provider(Arc::new(provider::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("the provider has TLS 1.3")
            .dangerous()
            .with_custom_certificate_verifier(trust.verifier())
            .with_no_client_auth();
    tls.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
    tls.enable_early_data = false;
    tls.key_log = key_logger(key_log);
    let tls = QuicClientConfig::try_from(tls).expect("TLS 1.3 has QUIC's first cipher suite");
    transport
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_concurrent_bidi_streams(VarInt::from_u32(0));
    let mut client = ClientConfig::new(Arc::new(tls));
    client.transport_config(Arc::new(transport));
    client
}

fn common() -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        .max_idle_timeout(Some(IdleTimeout::from(IDLE)))
        .datagram_receive_buffer_size(Some(RECEIVED_BYTES));
    transport
}

/// Sets up the side that sends a feed.
fn sends_feed(transport: &mut TransportConfig, tuning: Tuning) {
    transport
        .congestion_controller_factory(factory(tuning))
        .datagram_send_buffer_size(DATAGRAMS_BYTES)
        .send_window(STREAMS_BYTES)
        // Of two frames the older one is needed first.
        .send_fairness(false);
}

fn factory(tuning: Tuning) -> Arc<dyn ControllerFactory + Send + Sync> {
    let window = u64::from(tuning.initial_window_bytes);
    match tuning.congestion {
        Congestion::Cubic => Arc::new(CubicConfig::default().initial_window(window).clone()),
        Congestion::NewReno => Arc::new(NewRenoConfig::default().initial_window(window).clone()),
        Congestion::Bbr => Arc::new(BbrConfig::default().initial_window(window).clone()),
    }
}

/// Where keys are written that let others read a connection: to the file that `SSLKEYLOGFILE` names, and never unless asked.
fn key_logger(wanted: bool) -> Arc<dyn KeyLog> {
    if wanted {
        Arc::new(KeyLogFile::new())
    } else {
        Arc::new(NoKeyLog)
    }
}
