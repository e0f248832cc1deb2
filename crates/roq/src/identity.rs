//! Who a server is: its certificate chain and key, given as files or made by itself; and the pin by which a client knows a
//! certificate that nobody vouches for.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// How long a certificate of one's own is valid.
const VALIDITY: Duration = Duration::from_hours(24 * 365);

/// How far a client's clock may be behind.
const SKEW: Duration = Duration::from_hours(1);

/// A certificate chain with the key of its first certificate.
#[derive(Debug)]
pub struct Identity {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

/// The reason why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file cannot be read, or holds nothing of the kind.
    #[error(
        "{what} in {path}: {error}; a PEM file is expected, as `openssl req -x509` or an ACME client writes it"
    )]
    File {
        what: &'static str,
        path: String,
        error: pem::Error,
    },
    /// A chain without a certificate.
    #[error(
        "{0} holds no certificate; a PEM file with `BEGIN CERTIFICATE` is expected, the server's own first"
    )]
    NoCertificate(String),
    /// The files cannot be written.
    #[error("{path}: {error}")]
    Write { path: String, error: std::io::Error },
    /// No certificate could be made.
    #[error("a self-signed certificate cannot be made: {0}")]
    SelfSigned(#[from] rcgen::Error),
}

impl Identity {
    /// A certificate of one's own, good from `now` on for a year. Clients know it by its [`Identity::pin`] alone.
    pub fn self_signed(now: SystemTime) -> Result<Self, IdentityError> {
        Self::valid(now - SKEW, now + VALIDITY)
    }

    /// A certificate of one's own that is good from `begin` to `end`.
    pub fn valid(begin: SystemTime, end: SystemTime) -> Result<Self, IdentityError> {
        let key = rcgen::KeyPair::generate()?;
        let mut params = rcgen::CertificateParams::new(["xrbench".to_owned()])?;
        (params.not_before, params.not_after) = (begin.into(), end.into());
        let certificate = params.self_signed(&key)?;
        Ok(Self {
            chain: vec![certificate.der().clone()],
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        })
    }

    /// The chain of `certificate` and the key of `key`, both PEM.
    pub fn from_files(certificate: &Path, key: &Path) -> Result<Self, IdentityError> {
        let fails = |what, path: &Path| {
            let path = path.display().to_string();
            move |error| IdentityError::File { what, path, error }
        };
        let chain = certificates(certificate)?;
        if chain.is_empty() {
            return Err(IdentityError::NoCertificate(
                certificate.display().to_string(),
            ));
        }
        let key = PrivateKeyDer::from_pem_file(key).map_err(fails("the private key", key))?;
        Ok(Self { chain, key })
    }

    /// Writes what [`Identity::from_files`] reads; the key for nobody but its owner.
    pub fn write(&self, certificate: &Path, key: &Path) -> Result<(), IdentityError> {
        let chain: Vec<_> = self
            .chain
            .iter()
            .map(|one| pem("CERTIFICATE", one))
            .collect();
        write(certificate, 0o644, &chain.concat())?;
        write(key, 0o600, &pem("PRIVATE KEY", self.key.secret_der()))
    }

    /// What clients know the certificate by.
    pub fn pin(&self) -> Pin {
        Pin::of(&self.chain[0])
    }
}

/// The certificates of a PEM file.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let fails = |error| IdentityError::File {
        what: "the certificates",
        path: path.display().to_string(),
        error,
    };
    let all = CertificateDer::pem_file_iter(path).map_err(fails)?;
    all.collect::<Result<_, _>>().map_err(fails)
}

fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine as _;

    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines = text.as_bytes().chunks(64).map(String::from_utf8_lossy);
    let lines: String = lines.map(|line| format!("{line}\n")).collect();
    format!("-----BEGIN {label}-----\n{lines}-----END {label}-----\n")
}

fn write(path: &Path, mode: u32, text: &str) -> Result<(), IdentityError> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;

    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(mode);
    options
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| IdentityError::Write {
            path: path.display().to_string(),
            error,
        })
}

/// The SHA-256 of a certificate, by which a client knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin([u8; 32]);

/// Text that is no pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected the SHA-256 of a certificate, 64 hexadecimal digits, colons allowed: what xr-streamer prints as quic_pin"
)]
pub struct BadPin;

impl Pin {
    /// The pin of a certificate.
    pub fn of(certificate: &CertificateDer<'_>) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, certificate);
        let mut pin = [0; 32];
        pin.copy_from_slice(digest.as_ref());
        Self(pin)
    }
}

impl FromStr for Pin {
    type Err = BadPin;

    fn from_str(text: &str) -> Result<Self, BadPin> {
        let digits: Vec<u8> = text
            .chars()
            .filter(|character| *character != ':')
            .map(|character| {
                character
                    .to_digit(16)
                    .and_then(|digit| u8::try_from(digit).ok())
            })
            .collect::<Option<_>>()
            .ok_or(BadPin)?;
        let bytes: Vec<u8> = digits
            .chunks_exact(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect();
        if digits.len() != 64 {
            return Err(BadPin);
        }
        bytes.try_into().map(Self).map_err(|_| BadPin)
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_read_as_it_is_written() {
        let identity = Identity::self_signed(SystemTime::UNIX_EPOCH + VALIDITY).unwrap();
        let pin = identity.pin();
        assert_eq!(pin.to_string().parse(), Ok(pin));
        let colons: Vec<_> = pin.0.iter().map(|byte| format!("{byte:02X}")).collect();
        assert_eq!(colons.join(":").parse(), Ok(pin));
        for wrong in ["", "ab", &"0".repeat(63), &"g".repeat(64), &"0".repeat(66)] {
            assert_eq!(wrong.parse::<Pin>(), Err(BadPin), "{wrong}");
        }
    }

    #[test]
    fn an_identity_survives_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (
            folder.path().join("cert.pem"),
            folder.path().join("key.pem"),
        );
        let identity = Identity::self_signed(SystemTime::UNIX_EPOCH + VALIDITY).unwrap();
        identity.write(&certificate, &key).unwrap();
        let read = Identity::from_files(&certificate, &key).unwrap();
        assert_eq!(read.pin(), identity.pin());
        assert_eq!(read.key, identity.key);

        let why = Identity::from_files(&key, &key).unwrap_err().to_string();
        assert!(why.contains("holds no certificate"), "{why}");
        let why = Identity::from_files(&certificate, &certificate).unwrap_err();
        assert!(why.to_string().contains("the private key in"), "{why}");
        let why = Identity::from_files(Path::new("/absent"), &key).unwrap_err();
        assert!(why.to_string().contains("/absent"), "{why}");
    }
}
