//! The same server behind TLS (feature `tls`), for what leaves the machine and for peers that show a certificate.

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use hyper::http::Extensions;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::server::TlsStream;

use super::farewell::farewell;
use super::problem::Problem;
use super::serve::{Limits, serve, serve_on};
use super::wire::Wire;
use crate::Shutdown;

/// The certificate that the peer of a request has shown, and that the server's configuration has found good.
#[derive(Clone, Debug)]
pub struct PeerCertificate(pub CertificateDer<'static>);

struct Tls(TlsAcceptor);

impl Wire for Tls {
    const HAS_HANDSHAKE: bool = true;
    type Stream = TlsStream<TcpStream>;

    async fn open(&self, stream: TcpStream) -> io::Result<(Self::Stream, Extensions)> {
        let mut first = [0];
        // A handshake begins with 22, a request with the letters of its method.
        if stream.peek(&mut first).await? == 1 && first[0].is_ascii_alphabetic() {
            farewell(stream, &not_plain()).await;
            return Err(io::Error::other("the peer speaks HTTP without TLS"));
        }
        let stream = self.0.accept(stream).await?;
        let mut known = Extensions::new();
        let certificates = stream.get_ref().1.peer_certificates();
        if let Some(certificate) = certificates.and_then(<[_]>::first) {
            known.insert(PeerCertificate(certificate.clone().into_owned()));
        }
        Ok((stream, known))
    }

    async fn refuse(_: TcpStream, _: &Problem) {
        // A handshake for a few words would cost more than serving them; the closed connection has to do.
    }
}

/// What a peer is told that speaks HTTP without TLS.
fn not_plain() -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        "TLS is spoken here",
        "the request came without TLS, and this port has a certificate",
        "write https:// in place of http://, and name the authority of the certificate; xr-renderer and xr-client have --tls-ca",
    )
}

/// As [`serve`](super::serve()), over TLS. Handlers may extract [`PeerCertificate`] where `config` asks peers for one.
pub async fn serve_tls(
    listener: TcpListener,
    config: Arc<ServerConfig>,
    router: Router,
    limits: Limits,
    shutdown: Shutdown,
) {
    serve_on(listener, Tls(config.into()), router, limits, shutdown).await;
}

/// As [`serve_tls`] where there is a configuration, else as [`serve`](super::serve()).
pub async fn serve_either(
    listener: TcpListener,
    config: Option<Arc<ServerConfig>>,
    router: Router,
    limits: Limits,
    shutdown: Shutdown,
) {
    match config {
        Some(config) => serve_tls(listener, config, router, limits, shutdown).await,
        None => serve(listener, router, limits, shutdown).await,
    }
}
