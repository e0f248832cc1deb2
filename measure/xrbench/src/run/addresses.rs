//! Where the programs of a repetition listen, and where they find one another.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use anyhow::Context as _;
use roq::identity::Identity;
use service::Secret;
use settings::Role;
use testbed::Ready;

use crate::scenario::{Scenario, ServerAddresses};

/// The name of the feed in every run.
pub(super) const FEED: &str = "xr";

/// Where each program listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenAddresses {
    /// The streamer's port for feeds.
    pub http: String,
    /// The streamer's port for viewers.
    pub rtsp: String,
    /// The streamer's UDP port for viewers and feeds over QUIC.
    pub quic: String,
    /// What viewers over QUIC know the streamer by; none where it has no such port.
    pub identity: Option<IdentityFiles>,
    /// The ops port of each program.
    pub ops: BTreeMap<Role, String>,
    /// The only UDP ports that the streamer may send from, `LOW-HIGH`; none for any.
    pub udp_ports: Option<String>,
}

impl ListenAddresses {
    /// Addresses on this host's loopback, with ports that the programs draw themselves.
    pub fn drawn() -> Self {
        let any = || "127.0.0.1:0".to_owned();
        Self {
            http: any(),
            rtsp: any(),
            quic: any(),
            identity: None,
            ops: Role::ALL.map(|role| (role, any())).into(),
            udp_ports: None,
        }
    }
}

/// The streamer's certificate and its key as files, the pin by which the others know it, and the token without which nobody feeds
/// it over QUIC. They outlive the streamer, which may be killed on purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub token: PathBuf,
    pub pin: String,
}

impl IdentityFiles {
    /// Words in the place of what a run makes, for `--dry-run`.
    pub fn unknown() -> Self {
        Self {
            certificate: "<certificate>".into(),
            key: "<key>".into(),
            token: "<token>".into(),
            pin: "<pin>".to_owned(),
        }
    }

    /// Makes a certificate, and writes it, its key and `token` into `folder`, which nobody else may read.
    pub fn make(folder: &Path, token: &Secret) -> anyhow::Result<Self> {
        let now = service::clock::now().0;
        let identity = Identity::self_signed(UNIX_EPOCH + Duration::from_micros(now))?;
        let made = Self {
            certificate: folder.join("certificate.pem"),
            key: folder.join("key.pem"),
            token: folder.join("token"),
            pin: identity.pin().to_string(),
        };
        identity.write(&made.certificate, &made.key)?;
        std::fs::write(&made.token, token.expose()).context("writing the token for feeds")?;
        Ok(made)
    }
}

/// Where the programs of a repetition find one another.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// The streamer's port for feeds.
    pub http: String,
    /// The streamer's port for viewers.
    pub rtsp: String,
    /// The streamer's UDP port for viewers over QUIC.
    pub quic: String,
    pub collector: String,
}

impl Addresses {
    /// Words in the place of ports that the programs draw when they start, for `--dry-run`.
    pub fn unknown() -> Self {
        let port = |what: &str| format!("127.0.0.1:<{what} port>");
        Self {
            http: port("http"),
            rtsp: port("rtsp"),
            quic: port("quic"),
            collector: port("collector"),
        }
    }

    /// The URL that the renderer sends to.
    pub fn feed(&self) -> String {
        format!("http://{}/feeds/{FEED}", self.http)
    }

    /// The URL of the feed over QUIC, for whoever sends it and for whoever plays it.
    pub fn quic_stream(&self) -> String {
        format!("roq://{}/{FEED}", self.quic)
    }

    /// The URL that the client plays.
    pub fn stream(&self) -> String {
        format!("rtsp://{}/{FEED}", self.rtsp)
    }

    /// The URL to which the renderer pushes in this scenario.
    pub fn feed_of(&self, scenario: &Scenario) -> String {
        if scenario.feed.is_quic() {
            return self.quic_stream();
        }
        let server = scenario.server.as_ref();
        server.map_or_else(|| self.feed(), |server| server.feed(self.at()))
    }

    /// The URL that the client plays in this scenario.
    pub fn stream_of(&self, scenario: &Scenario) -> String {
        let server = scenario.server.as_ref();
        server.map_or_else(|| self.stream(), |server| server.stream(self.at()))
    }

    fn at(&self) -> ServerAddresses<'_> {
        ServerAddresses {
            rtsp: &self.rtsp,
            http: &self.http,
        }
    }
}

/// An address of a program's ready line.
pub(super) fn announced(ready: &Ready, key: &str, role: Role) -> anyhow::Result<String> {
    ready
        .text(key)
        .map(ToOwned::to_owned)
        .with_context(|| format!("{role}'s ready line has no {key:?}: is it of this version?"))
}
