//! What every program is told of the QUIC server that it connects to: its command line, defined once.

use std::path::PathBuf;

use crate::identity::Pin;
use crate::trust::Trust;

/// Whom a connection over QUIC is made to.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "QUIC")]
pub struct PeerArgs {
    /// SHA-256 of the streamer's certificate, in hexadecimal: `quic_pin` of the line that xr-streamer prints when it is ready.
    #[arg(long, env = "XR_QUIC_PIN", value_name = "SHA256")]
    pub quic_pin: Option<Pin>,

    /// PEM file of the authorities that may vouch for the streamer's certificate and its host's name.
    #[arg(
        long,
        env = "XR_QUIC_CA",
        value_name = "PATH",
        conflicts_with = "quic_pin"
    )]
    pub quic_ca: Option<PathBuf>,

    /// Write the connection's keys to the file that SSLKEYLOGFILE names: whoever has it can read the video, and the token of a
    /// feed.
    #[arg(long, env = "XR_QUIC_KEYLOG")]
    pub quic_keylog: bool,
}

/// Options that leave open whom to believe: where the value came from, what is wrong with it, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{origin} is {value:?}: {why}. {remedy}")]
pub struct WrongTrust {
    /// The flag and variable.
    pub origin: String,
    /// The value as it may be shown.
    pub value: String,
    pub why: String,
    pub remedy: String,
}

impl PeerArgs {
    /// Whom to believe to be the server of `address`, which `origin` gave.
    pub fn trust(&self, origin: &str, address: &str) -> Result<Trust, WrongTrust> {
        match (self.quic_pin, &self.quic_ca) {
            (Some(pin), _) => Ok(Trust::Pinned(pin)),
            (None, Some(path)) => Trust::from_file(path).map_err(|error| WrongTrust {
                origin: "--quic-ca (XR_QUIC_CA)".to_owned(),
                value: path.display().to_string(),
                why: error.to_string(),
                remedy: "Use --quic-pin for a certificate that nobody vouches for.".to_owned(),
            }),
            (None, None) => Err(WrongTrust {
                origin: origin.to_owned(),
                value: address.to_owned(),
                why: "QUIC is encrypted, and nothing says whose certificate to believe".to_owned(),
                remedy: "Give --quic-pin with the quic_pin that xr-streamer prints, or --quic-ca with a PEM file of authorities."
                    .to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_is_believed_or_the_remedy_is_told() {
        let nobody = PeerArgs::default();
        let wrong = nobody.trust("--url (XR_URL)", "roq://h:1/a").unwrap_err();
        let text = wrong.to_string();
        assert!(
            text.starts_with("--url (XR_URL) is \"roq://h:1/a\": ") && text.contains("--quic-pin"),
            "{text}"
        );
        let absent = PeerArgs {
            quic_ca: Some("/absent.pem".into()),
            ..PeerArgs::default()
        };
        let wrong = absent.trust("--url (XR_URL)", "roq://h:1/a").unwrap_err();
        assert_eq!(wrong.origin, "--quic-ca (XR_QUIC_CA)");
        assert_eq!(wrong.value, "/absent.pem");
        let pinned = PeerArgs {
            quic_pin: Some("ab".repeat(32).parse().unwrap()),
            ..PeerArgs::default()
        };
        assert!(pinned.trust("--url (XR_URL)", "").is_ok());
    }
}
