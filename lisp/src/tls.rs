//! Certificates, keys and authorities out of PEM files, and how both ends of mutual TLS are set up with them.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ResolvesServerCert, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use service::ConfigError;

/// A certificate chain with the key of its first certificate.
#[derive(Debug)]
pub struct Identity {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
}

/// A PEM file, with the option that names it.
#[derive(Clone, Copy, Debug)]
pub struct PemFile<'a> {
    pub path: &'a Path,
    pub origin: &'static str,
}

impl PemFile<'_> {
    fn wrong(&self, why: &dyn ToString) -> ConfigError {
        ConfigError::new(
            self.origin,
            self.path.display().to_string(),
            why.to_string(),
            "Name a readable PEM file, as `openssl` writes it; docs/lisp.md shows how.",
        )
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
        let all = CertificateDer::pem_file_iter(self.path).map_err(|error| self.wrong(&error))?;
        let all: Result<Vec<_>, pem::Error> = all.collect();
        let all = all.map_err(|error| self.wrong(&error))?;
        if all.is_empty() {
            return Err(self.wrong(&"it holds no certificate"));
        }
        Ok(all)
    }

    /// The authorities of the file.
    pub fn roots(&self) -> Result<Arc<RootCertStore>, ConfigError> {
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates()? {
            roots.add(certificate).map_err(|error| self.wrong(&error))?;
        }
        Ok(Arc::new(roots))
    }
}

impl Identity {
    /// The chain of one file and the key of another.
    pub fn load(certificate: PemFile<'_>, key: PemFile<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            chain: certificate.certificates()?,
            key: PrivateKeyDer::from_pem_file(key.path).map_err(|error| key.wrong(&error))?,
        })
    }
}

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
