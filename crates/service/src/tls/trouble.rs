//! What it means that a handshake failed, and what to do about it.

use std::error::Error;
use std::io;

use rustls::{AlertDescription, CertificateError};

/// The cause of a failed connection in a line, with a remedy if TLS is the cause.
pub fn trouble(error: &(dyn Error + 'static)) -> String {
    let mut cause = Some(error);
    let mut last = error;
    while let Some(error) = cause {
        if let Some(tls) = of_tls(error) {
            return told(tls);
        }
        last = error;
        cause = error.source();
    }
    last.to_string()
}

/// The error of TLS that `error` is or wraps: I/O errors keep theirs where `source` does not lead.
fn of_tls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    if let Some(tls) = error.downcast_ref() {
        return Some(tls);
    }
    let inner = error.downcast_ref::<io::Error>()?.get_ref()?;
    of_tls(inner)
}

fn told(error: &rustls::Error) -> String {
    let remedy = match error {
        rustls::Error::InvalidMessage(_) => {
            return "the server does not speak TLS at this port; write http:// for it, or start it with --tls-cert and --tls-key"
                .to_owned();
        }
        rustls::Error::InvalidCertificate(wrong) => match wrong {
            // The signature is bad where the authority was made anew under its old name.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "no authority that is believed has signed the server's certificate; name the file of the one that has with --tls-ca (XR_TLS_CA)"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "use a name of the certificate in the address, or give the server one whose subjectAltName has this name"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "renew the server's certificate, or set this host's clock; the server reads renewed files by itself"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "set this host's clock, or that of the host where the certificate was made"
            }
            CertificateError::Other(_) => {
                "if it was made by `openssl req -x509`, make it again with -addext basicConstraints=critical,CA:FALSE"
            }
            _ => "give the server another certificate; docs/security.md shows how one is made",
        },
        rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
            "the server speaks no HTTP/1.1 at this port"
        }
        _ => return format!("no TLS handshake: {error}"),
    };
    format!("{error}; {remedy}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_found_below_others() {
        let tls = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let inner = io::Error::new(io::ErrorKind::InvalidData, tls);
        let outer = io::Error::other(anyhow::Error::new(inner).context("connecting"));
        assert!(trouble(&outer).contains("--tls-ca"), "{}", trouble(&outer));
        let other = io::Error::other(io::Error::from(io::ErrorKind::ConnectionRefused));
        assert_eq!(trouble(&other), "connection refused");
    }
}
