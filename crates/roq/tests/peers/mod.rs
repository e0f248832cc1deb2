//! A server with one feed, viewers of it, and peers that mean no good.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use parking_lot::Mutex;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint};
use roq::answer::{Voice, asked};
use roq::connect::{PlayError, Stream, Target};
use roq::counters::{Arrivals, Received, Sent};
use roq::feed::{Destination, FeedError, Feeding};
use roq::frame::Frame;
use roq::framing::FlowId;
use roq::identity::{Identity, Pin};
use roq::listen::{Arrival, Limits, Listener};
use roq::receive::{Flows, Packet, Then, receive, receive_while};
use roq::send::Sender;
use roq::signal::{Declined, Hidden, Mode, Offer, Playing, Request};
use roq::transport::Tuning;
use roq::trust::Trust;
use settings::Congestion;
use tokio::sync::mpsc;

pub(crate) const DAY: Duration = Duration::from_hours(24);

/// Connections that an address may have.
pub(crate) const PER_PEER: usize = 40;

/// The token without which nobody feeds.
pub(crate) const TOKEN: &str = "swordfish";

/// The numbers of packets of a feed that make the server say something.
pub(crate) const ASKED_FOR: u16 = 7_000;
pub(crate) const LAST: u16 = 8_000;

const TUNING: Tuning = Tuning {
    congestion: Congestion::Cubic,
    initial_window_bytes: 256 * 1024,
};

/// Far beyond what anything awaited here takes on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(40);

#[expect(
    clippy::disallowed_methods,
    reason = "a certificate's time is the wall clock's"
)]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

/// A certificate that an authority vouches for, which is good until `end`.
pub(crate) fn vouched_for(folder: &Path, end: SystemTime) -> Identity {
    let authority = rcgen::CertificateParams::new([]).unwrap();
    let issuer = rcgen::Issuer::new(authority, rcgen::KeyPair::generate().unwrap());
    let mut params = rcgen::CertificateParams::new(["x".to_owned()]).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    (params.not_before, params.not_after) = ((end - 9 * DAY).into(), end.into());
    let own = rcgen::KeyPair::generate().unwrap();
    let certificate = params.signed_by(&own, &issuer).unwrap();
    let (chain, key) = (folder.join("chain.pem"), folder.join("own.pem"));
    std::fs::write(&chain, certificate.pem()).unwrap();
    std::fs::write(&key, own.serialize_pem()).unwrap();
    Identity::from_files(&chain, &key).unwrap()
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) pin: Pin,
    pub(crate) trust: Trust,
    pub(crate) sent: Sent,
    pub(crate) received: Received,
    pub(crate) arrivals: Arrivals,
    pub(crate) reports: mpsc::UnboundedReceiver<Bytes>,
    listener: Listener,
    viewers: Viewers,
}

type Viewers = Arc<Mutex<Vec<Arc<Sender>>>>;

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_as(Identity::self_signed(now()).unwrap()).await
    }

    #[expect(clippy::unused_async, reason = "a port is bound within a runtime")]
    pub(crate) async fn start_as(identity: Identity) -> Self {
        let limits = Limits {
            connections: 64,
            per_peer: PER_PEER,
        };
        let any = (Ipv4Addr::LOCALHOST, 0).into();
        let arrivals = Arrivals::default();
        let listener =
            Listener::bind(any, &identity, TUNING, limits, false, arrivals.clone()).unwrap();
        let (reported, reports) = mpsc::unbounded_channel();
        let server = Self {
            address: listener.local_addr().unwrap(),
            pin: identity.pin(),
            trust: Trust::Pinned(identity.pin()),
            sent: Sent::default(),
            received: Received::default(),
            arrivals,
            reports,
            listener: listener.clone(),
            viewers: Arc::default(),
        };
        let (viewers, sent, received) = (
            server.viewers.clone(),
            server.sent.clone(),
            server.received.clone(),
        );
        tokio::spawn(async move {
            while let Some(arrival) = listener.next().await {
                let serving = serve(
                    arrival,
                    viewers.clone(),
                    sent.clone(),
                    received.clone(),
                    reported.clone(),
                );
                tokio::spawn(serving);
            }
        });
        server
    }

    pub(crate) fn target(&self, by: Mode) -> Target {
        Target {
            host: self.address.ip().to_string(),
            port: self.address.port(),
            name: "room".to_owned(),
            by,
        }
    }

    /// Sends a frame to all viewers. True if one needs a key frame.
    pub(crate) fn push(&self, key: bool, packets: &[Bytes]) -> bool {
        self.push_frame(&frame(key, packets))
    }

    pub(crate) fn push_frame(&self, frame: &Arc<Frame>) -> bool {
        let viewers = self.viewers.lock().clone();
        let now = Instant::now();
        let asking = viewers.iter().filter(|viewer| viewer.push(frame, now));
        asking.count() > 0
    }

    pub(crate) async fn why_not(&self, trust: &Trust) -> String {
        let refused = roq::connect::play(&self.target(Mode::Datagram), trust, false).await;
        refused.expect_err("not to be trusted").to_string()
    }

    /// Where the first viewer is, as its packets tell.
    pub(crate) fn viewer(&self) -> SocketAddr {
        let viewers = self.viewers.lock();
        viewers[0].connection().remote_address()
    }

    pub(crate) fn connections(&self) -> usize {
        self.listener.connections()
    }

    /// Waits until nobody is connected.
    pub(crate) async fn is_empty(&self) {
        let empty = async {
            while self.connections() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(LIMIT, empty).await.expect("all go");
    }
}

async fn serve(
    arrival: Arrival,
    viewers: Viewers,
    sent: Sent,
    received: Received,
    reported: mpsc::UnboundedSender<Bytes>,
) {
    let Ok((connection, _place)) = arrival.finish().await else {
        return;
    };
    let Ok(asked) = asked(&connection).await else {
        return;
    };
    let play = match asked.request.clone() {
        Request::Play(play) => play,
        Request::Feed(offer) => {
            return take_in(&connection, asked.voice(), &offer, &received, reported).await;
        }
    };
    if play.name != "room" {
        return asked.refuse("no feed has this name").await;
    }
    let patience = Duration::from_millis(200);
    let sender = Sender::new(connection.clone(), play.by, patience, sent);
    let sender = Arc::new(sender);
    viewers.lock().push(Arc::clone(&sender));
    let playing = Playing {
        rtp_flow: FlowId::RTP.number(),
        rtcp_flow: FlowId::RTCP.number(),
        ssrc: 1,
        payload_type: 96,
        clock_rate: 90_000,
        encoding: "H264".to_owned(),
        sprop_parameter_sets: String::new(),
        profile_level_id: None,
    };
    if asked.play(playing).await.is_err() {
        return;
    }
    let flows = Flows {
        rtp: None,
        rtcp: FlowId::RTCP,
    };
    let reports = receive(&connection, flows, &received, |packet| {
        if let Packet::Rtcp(packet) = packet {
            let _ = reported.send(packet);
        }
    });
    tokio::join!(reports, sender.run(|| {}));
    viewers.lock().retain(|kept| !Arc::ptr_eq(kept, &sender));
}

/// Takes a feed that comes with the token [`TOKEN`], tells its packets as if they were reports, and asks for a key frame with each that
/// is [`ASKED_FOR`], and declines it after one that is [`LAST`].
async fn take_in(
    connection: &Connection,
    mut voice: Voice,
    offer: &Offer,
    received: &Received,
    fed: mpsc::UnboundedSender<Bytes>,
) {
    if offer.token != Some(Hidden(TOKEN.to_owned())) {
        let why = "another token".to_owned();
        return voice.decline(Declined { status: 401, why }).await;
    }
    if voice.take().await.is_err() {
        return;
    }
    let flows = Flows {
        rtp: Some(FlowId::RTP),
        rtcp: FlowId::RTCP,
    };
    let (asked, mut asks) = mpsc::unbounded_channel();
    let receiving = receive_while(connection, flows, received, |packet| {
        let Packet::Rtp(packet) = packet else {
            return Then::Go;
        };
        let _ = fed.send(packet.clone());
        match u16::from_be_bytes([packet[2], packet[3]]) {
            ASKED_FOR => {
                let _ = asked.send(());
                Then::Wait(Duration::from_millis(1))
            }
            LAST => Then::End,
            _ => Then::Go,
        }
    });
    let asking = async {
        while asks.recv().await.is_some() {
            voice.ask().await.unwrap();
        }
    };
    tokio::select! {
        _ = receiving => {}
        () = asking => {}
    }
    let why = "enough".to_owned();
    voice.decline(Declined { status: 400, why }).await;
}

pub(crate) fn offer(by: Mode, token: &str) -> Offer {
    Offer {
        name: "room".to_owned(),
        by,
        token: Some(Hidden(token.to_owned())),
        process: None,
        payload_type: 96,
        sprop_parameter_sets: None,
    }
}

pub(crate) async fn feed(server: &Server, offer: Offer) -> Result<Feeding, FeedError> {
    let to = Destination {
        host: server.address.ip().to_string(),
        port: server.address.port(),
        trust: server.trust.clone(),
        tuning: TUNING,
        key_log: false,
    };
    roq::feed::offer(&to, offer).await
}

pub(crate) async fn play(server: &Server, mode: Mode) -> Result<Stream, PlayError> {
    roq::connect::play(&server.target(mode), &server.trust, false).await
}

/// A packet whose sequence number is `number`, of `bytes` bytes.
pub(crate) fn rtp(number: u16, bytes: usize) -> Bytes {
    let [high, low] = number.to_be_bytes();
    let mut packet = vec![0; bytes];
    packet[..4].copy_from_slice(&[0x80, 0x60, high, low]);
    packet.into()
}

pub(crate) fn frame(key: bool, packets: &[Bytes]) -> Arc<Frame> {
    Arc::new(Frame::new(key, packets))
}

/// A viewer that reads what comes.
pub(crate) struct Viewer(tokio::sync::Mutex<mpsc::UnboundedReceiver<u16>>);

pub(crate) fn watch(stream: Stream) -> Viewer {
    let (came, comes) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let flows = Flows {
            rtp: FlowId::new(stream.playing().rtp_flow),
            rtcp: FlowId::RTCP,
        };
        let counters = Received::default();
        receive(stream.connection(), flows, &counters, |packet| {
            if let Packet::Rtp(packet) = packet {
                let _ = came.send(u16::from_be_bytes([packet[2], packet[3]]));
            }
        })
        .await
    });
    Viewer(tokio::sync::Mutex::new(comes))
}

impl Viewer {
    /// The next `count` packets.
    pub(crate) async fn packets(&self, count: usize) -> Vec<u16> {
        let mut comes = self.0.lock().await;
        let mut packets = Vec::new();
        while packets.len() < count {
            let next = tokio::time::timeout(LIMIT, comes.recv()).await;
            let next = next.unwrap_or_else(|_| panic!("{} of {count} packets", packets.len()));
            packets.push(next.expect("the stream goes on"));
        }
        let distinct: HashSet<_> = packets.iter().collect();
        assert_eq!(distinct.len(), count, "a packet came twice");
        packets
    }

    /// Waits for one packet.
    pub(crate) async fn packet(&self, number: u16) {
        let mut comes = self.0.lock().await;
        let found = async { while comes.recv().await.expect("the stream goes on") != number {} };
        tokio::time::timeout(LIMIT, found).await.expect("it comes");
    }
}

/// A client that speaks whatever `protocol` is.
pub(crate) async fn raw_connect(
    server: &Server,
    protocol: &[u8],
) -> Result<Connection, ConnectionError> {
    let config = raw_config(protocol);
    let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let connecting = endpoint.connect_with(config, server.address, "x");
    connecting.unwrap().await
}

/// Begins a handshake with whoever is at `address`, and does not go on while the returned value is there.
pub(crate) fn begin(address: SocketAddr) -> (Endpoint, quinn::Connecting) {
    let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let connecting = endpoint.connect_with(raw_config(b"roq-14"), address, "x");
    (endpoint, connecting.unwrap())
}

fn raw_config(protocol: &[u8]) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone(provider)))
        .with_no_client_auth();
    tls.alpn_protocols = vec![protocol.to_vec()];
    ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()))
}

/// Believes everybody.
#[derive(Debug)]
struct Anyone(Arc<rustls::crypto::CryptoProvider>);

impl rustls::client::danger::ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &[rustls::pki_types::CertificateDer<'_>],
        _: &rustls::pki_types::ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Err(rustls::PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &rustls::pki_types::CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
