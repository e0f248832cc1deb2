//! The same server behind TLS (feature `tls`), for what leaves the machine and for peers that show a certificate.

use std::io;
use std::sync::Arc;

use axum::Router;
use hyper::http::Extensions;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::server::TlsStream;

use super::serve::{Limits, serve_on};
use super::wire::Wire;
use crate::Shutdown;

/// The certificate that the peer of a request has shown, and that the server's configuration has found good.
#[derive(Clone, Debug)]
pub struct PeerCertificate(pub CertificateDer<'static>);

struct Tls(TlsAcceptor);

impl Wire for Tls {
    type Stream = TlsStream<TcpStream>;

    async fn open(&self, stream: TcpStream) -> io::Result<(Self::Stream, Extensions)> {
        let stream = self.0.accept(stream).await?;
        let mut known = Extensions::new();
        let certificates = stream.get_ref().1.peer_certificates();
        if let Some(certificate) = certificates.and_then(<[_]>::first) {
            known.insert(PeerCertificate(certificate.clone().into_owned()));
        }
        Ok((stream, known))
    }
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
