//! Whom a client believes to be the server.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::{CryptoProvider, ring as provider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme};

use crate::identity::{IdentityError, Pin, certificates};

/// What makes a client believe a server's certificate.
#[derive(Clone, Debug)]
pub enum Trust {
    /// The certificate is this one, under whatever name, and has not expired.
    Pinned(Pin),
    /// One of these vouches for it and for the server's name.
    Roots(Arc<RootCertStore>),
}

/// The reason why there is nobody to trust.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] IdentityError),
    /// A certificate of it cannot vouch.
    #[error("{path} holds a certificate that cannot vouch for others: {error}")]
    Root { path: String, error: rustls::Error },
    /// The file has no certificate.
    #[error(
        "{0} holds no certificate of an authority; a PEM file with `BEGIN CERTIFICATE` is expected"
    )]
    Empty(String),
}

impl Trust {
    /// Trusts the authorities of a PEM file.
    pub fn from_file(path: &Path) -> Result<Self, TrustError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(path)? {
            let path = path.display().to_string();
            let fails = |error| TrustError::Root { path, error };
            roots.add(certificate).map_err(fails)?;
        }
        if roots.is_empty() {
            return Err(TrustError::Empty(path.display().to_string()));
        }
        Ok(Self::Roots(Arc::new(roots)))
    }

    pub(crate) fn verifier(&self) -> Arc<dyn ServerCertVerifier> {
        let provider = Arc::new(provider::default_provider());
        match self {
            Self::Pinned(pin) => Arc::new(Pinned {
                pin: *pin,
                provider,
            }),
            Self::Roots(roots) => {
                WebPkiServerVerifier::builder_with_provider(Arc::clone(roots), provider)
                    .build()
                    .expect("there is a root, and no revocation list")
            }
        }
    }
}

/// Believes one certificate.
#[derive(Debug)]
struct Pinned {
    pin: Pin,
    provider: Arc<CryptoProvider>,
}

/// The server has another certificate.
#[derive(Debug, thiserror::Error)]
#[error(
    "the certificate's SHA-256 is {found}, and {pinned} is pinned; if the server is the right one and has a new certificate, pin that"
)]
struct WrongPin {
    found: Pin,
    pinned: Pin,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let (found, pinned) = (Pin::of(certificate), self.pin);
        if found != pinned {
            let wrong = Arc::new(WrongPin { found, pinned });
            return Err(rustls::Error::Other(OtherError(wrong)));
        }
        // It vouches for itself; what is left to find out is its time.
        let mut itself = RootCertStore::empty();
        itself.add(certificate.clone().into_owned())?;
        let parsed = ParsedCertificate::try_from(certificate)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        match verify_server_cert_signed_by_trust_anchor(&parsed, &itself, &[], now, algorithms) {
            // What an authority signed is not its own issuer; the pin names it all the same, and its time has been looked at.
            Ok(()) | Err(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
                Ok(ServerCertVerified::assertion())
            }
            Err(error) => Err(error),
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
