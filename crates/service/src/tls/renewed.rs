//! A server's certificate, read again when its files have changed.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::pem::{Identity, PemFile};
use super::provider;
use crate::ConfigError;

/// How often a handshake looks whether the files have changed.
const LOOK: Duration = Duration::from_secs(1);

/// The certificate of two files. Whoever renews them need not restart the program: handshakes from then on show the new one.
#[derive(Debug)]
pub struct Renewed {
    certificate: NamedFile,
    key: NamedFile,
    look: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct NamedFile {
    path: PathBuf,
    origin: &'static str,
}

#[derive(Debug)]
struct State {
    shown: Arc<CertifiedKey>,
    looked: Instant,
    /// What tells the files from others in their place.
    stamp: Stamp,
}

/// Of both files: the inode, the length, and when it was changed.
type Stamp = [Option<(u64, u64, i64, i64)>; 2];

impl NamedFile {
    fn new(file: PemFile<'_>) -> Self {
        Self {
            path: file.path.to_owned(),
            origin: file.origin,
        }
    }

    fn pem(&self) -> PemFile<'_> {
        PemFile {
            path: &self.path,
            origin: self.origin,
        }
    }
}

impl Renewed {
    /// Reads both files, which must belong to each other.
    pub fn load(certificate: PemFile<'_>, key: PemFile<'_>) -> Result<Self, ConfigError> {
        Self::looking_every(LOOK, certificate, key)
    }

    fn looking_every(
        look: Duration,
        certificate: PemFile<'_>,
        key: PemFile<'_>,
    ) -> Result<Self, ConfigError> {
        // First what they are, then what is in them: a change in between is found at the next look.
        let stamp = stamp(certificate.path, key.path);
        let state = State {
            shown: read(certificate, key)?,
            looked: Instant::now(),
            stamp,
        };
        Ok(Self {
            certificate: NamedFile::new(certificate),
            key: NamedFile::new(key),
            look,
            state: Mutex::new(state),
        })
    }

    /// The certificate to show now. Files that cannot be used, such as those of which one is not written yet, leave the last.
    fn current(&self) -> Arc<CertifiedKey> {
        let mut state = self.state.lock();
        if state.looked.elapsed() >= self.look {
            state.looked = Instant::now();
            let stamp = stamp(&self.certificate.path, &self.key.path);
            if state.stamp != stamp {
                state.stamp = stamp;
                match read(self.certificate.pem(), self.key.pem()) {
                    Ok(renewed) => {
                        state.shown = renewed;
                        tracing::info!("the renewed certificate is shown from now on");
                    }
                    Err(error) => {
                        tracing::warn!("the certificate in use is kept: {error}");
                    }
                }
            }
        }
        Arc::clone(&state.shown)
    }
}

impl ResolvesServerCert for Renewed {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

fn read(certificate: PemFile<'_>, key: PemFile<'_>) -> Result<Arc<CertifiedKey>, ConfigError> {
    let identity = Identity::load(certificate, key)?;
    let certified = CertifiedKey::from_der(identity.chain, identity.key, &provider());
    certified.map(Arc::new).map_err(|error| {
        let path = certificate.path.display().to_string();
        let remedy = format!("Give the certificate that belongs to {}.", key.origin);
        ConfigError::new(certificate.origin, path, error.to_string(), remedy)
    })
}

fn stamp(certificate: &Path, key: &Path) -> Stamp {
    [certificate, key].map(|path| {
        let file = std::fs::metadata(path).ok()?;
        Some((file.ino(), file.len(), file.mtime(), file.mtime_nsec()))
    })
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn write(folder: &Path, name: &str) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(folder.join("tls.crt"), certificate.pem()).unwrap();
        std::fs::write(folder.join("tls.key"), key.serialize_pem()).unwrap();
    }

    fn load(folder: &Path) -> Result<Renewed, ConfigError> {
        let (certificate, key) = (folder.join("tls.crt"), folder.join("tls.key"));
        let file = |path, origin| PemFile { path, origin };
        let (certificate, key) = (file(&certificate, "--tls-cert"), file(&key, "--tls-key"));
        Renewed::looking_every(Duration::ZERO, certificate, key)
    }

    #[test]
    fn renewed_files_are_shown_and_half_written_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "one");
        let renewed = load(folder.path()).unwrap();
        let first = renewed.current();
        assert!(Arc::ptr_eq(&first, &renewed.current()), "nothing changed");

        let old_key = std::fs::read(folder.path().join("tls.key")).unwrap();
        write(folder.path(), "another.example");
        let new_key = std::fs::read(folder.path().join("tls.key")).unwrap();
        std::fs::write(folder.path().join("tls.key"), old_key).unwrap();
        assert!(Arc::ptr_eq(&first, &renewed.current()), "no pair");
        std::fs::remove_file(folder.path().join("tls.key")).unwrap();
        assert!(Arc::ptr_eq(&first, &renewed.current()), "no key");
        std::fs::write(folder.path().join("tls.key"), new_key).unwrap();
        assert_ne!(first.cert, renewed.current().cert);
    }

    #[test]
    fn what_is_no_pair_is_refused_by_the_option() {
        let folder = tempfile::tempdir().unwrap();
        let why = load(folder.path()).unwrap_err().to_string();
        assert!(
            why.contains("--tls-cert") && why.contains("No such file"),
            "{why}"
        );
        write(folder.path(), "one");
        let key = KeyPair::generate().unwrap().serialize_pem();
        std::fs::write(folder.path().join("tls.key"), key).unwrap();
        let why = load(folder.path()).unwrap_err().to_string();
        assert!(why.contains("belongs to --tls-key"), "{why}");
        std::fs::write(folder.path().join("tls.crt"), "").unwrap();
        let why = load(folder.path()).unwrap_err().to_string();
        assert!(why.contains("no certificate"), "{why}");
    }
}
