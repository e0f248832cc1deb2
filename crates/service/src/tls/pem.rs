//! Certificates, keys and authorities out of PEM files.

use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::ConfigError;

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
            "Name a readable PEM file, as `openssl` writes it; docs/security.md shows how.",
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
