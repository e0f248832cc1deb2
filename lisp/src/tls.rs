//! How both ends of mutual TLS are set up.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::server::{ResolvesServerCert, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
pub use service::tls::{Identity, PemFile};

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// A server that talks to whom these authorities vouch for.
pub fn server_of_clients(
    identity: Identity,
    clients: Arc<RootCertStore>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let verifier = WebPkiClientVerifier::builder_with_provider(clients, provider());
    let verifier = verifier
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))?;
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(identity.chain, identity.key)?;
    Ok(Arc::new(config))
}

/// A server that anybody may talk to, with a certificate that can change.
pub fn server_of_anyone(
    certificate: Arc<dyn ResolvesServerCert>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_no_client_auth()
        .with_cert_resolver(certificate);
    Ok(Arc::new(config))
}

/// A client that believes these authorities, and shows who it is.
pub fn client(
    identity: Identity,
    servers: Arc<RootCertStore>,
) -> Result<ClientConfig, rustls::Error> {
    ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(servers)
        .with_client_auth_cert(identity.chain, identity.key)
}

/// A client that believes these authorities, and shows nothing.
pub fn client_of_nobody(servers: RootCertStore) -> Result<ClientConfig, rustls::Error> {
    let config =
        ClientConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13])?;
    Ok(config.with_root_certificates(servers).with_no_client_auth())
}
