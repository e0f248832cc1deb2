//! The two ways not to come up: a configuration that is wrong, and a machine that is not ready for it.

use std::io;
use std::net::SocketAddr;

use settings::without_secrets;

/// A value of the configuration that cannot be used. A program that returns it exits [`crate::exit::USAGE`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{origin} is {value:?}: {why}. {remedy}")]
#[non_exhaustive]
pub struct ConfigError {
    /// The value as it was given.
    pub value: String,
    /// Where it came from: a flag with its variable, as in `--feed (XR_FEED)`, or a file with its key.
    pub origin: String,
    /// What is wrong with it, without a full stop.
    pub why: String,
    /// What would be right, as a whole sentence.
    pub remedy: String,
}

impl ConfigError {
    /// `origin` is `value`, which is wrong because of `why`; `remedy` says what would be right. Passwords are left out:
    /// what is said here goes into logs.
    pub fn new(
        origin: impl Into<String>,
        value: impl Into<String>,
        why: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            value: without_secrets(&value.into()).into_owned(),
            origin: origin.into(),
            why: without_secrets(&why.into()).into_owned(),
            remedy: remedy.into(),
        }
    }
}

/// The configuration is sound, but the machine does not let the program start. It exits [`crate::exit::START`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Somebody else has the port.
    #[error(
        "cannot listen on {address}, from {origin}: another process has this port. \
         Stop it (`ss -ltnp 'sport = :{}'` names it), or give {origin} another port; port 0 takes a free one",
        address.port()
    )]
    AddressInUse {
        address: SocketAddr,
        /// The flag and variable that it came from.
        origin: String,
    },
    /// No interface of this machine has the address.
    #[error(
        "cannot listen on {address}, from {origin}: this machine has no such address. \
         Give {origin} one that `ip address` lists, 127.0.0.1 for this machine only, or 0.0.0.0 for every interface"
    )]
    AddressMissing {
        address: SocketAddr,
        /// The flag and variable that it came from.
        origin: String,
    },
    /// The port is reserved for root.
    #[error(
        "cannot listen on {address}, from {origin}: this user may not use the port. \
         Give {origin} a port above 1023"
    )]
    Forbidden {
        address: SocketAddr,
        /// The flag and variable that it came from.
        origin: String,
    },
    /// Anything else that the system says.
    #[error("cannot listen on {address}, from {origin}")]
    Listen {
        address: SocketAddr,
        /// The flag and variable that it came from.
        origin: String,
        /// What the system said.
        source: io::Error,
    },
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Random(#[source] getrandom::Error),
}

impl StartError {
    /// Sorts what `bind` or `listen` on `address` said.
    pub fn from_listen(address: SocketAddr, origin: &str, source: io::Error) -> Self {
        let origin = origin.to_owned();
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::AddressInUse { address, origin },
            io::ErrorKind::AddrNotAvailable => Self::AddressMissing { address, origin },
            io::ErrorKind::PermissionDenied => Self::Forbidden { address, origin },
            _ => Self::Listen {
                address,
                origin,
                source,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_error_is_one_clear_paragraph() {
        let error = ConfigError::new(
            "--size (XR_SIZE)",
            "320x180",
            "too small for a stamp",
            "Use at least 640x360.",
        );
        assert_eq!(
            error.to_string(),
            "--size (XR_SIZE) is \"320x180\": too small for a stamp. Use at least 640x360."
        );
    }

    #[test]
    fn a_password_is_not_repeated() {
        let url = "http://me:secret@h/feeds/a";
        let error = ConfigError::new("--feed (XR_FEED)", url, format!("{url} has a user"), "No.");
        let text = error.to_string();
        assert!(!text.contains("secret") && text.contains("***@h"), "{text}");
    }

    #[test]
    fn what_listen_says_is_sorted() {
        let address = SocketAddr::from(([127, 0, 0, 1], 9091));
        let error = |kind| {
            StartError::from_listen(address, "--ops (XR_OPS)", io::Error::from(kind)).to_string()
        };
        for kind in [
            io::ErrorKind::AddrInUse,
            io::ErrorKind::AddrNotAvailable,
            io::ErrorKind::PermissionDenied,
        ] {
            let text = error(kind);
            assert!(
                text.contains("127.0.0.1:9091") && text.contains("--ops (XR_OPS)"),
                "{text}"
            );
        }
        assert!(error(io::ErrorKind::AddrInUse).contains("sport = :9091"));
    }
}
