//! Where the programs of a repetition listen, and where they find one another.

use std::collections::BTreeMap;

use anyhow::Context as _;
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
            ops: Role::ALL.map(|role| (role, any())).into(),
            udp_ports: None,
        }
    }
}

/// Where the programs of a repetition find one another.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// The streamer's port for feeds.
    pub http: String,
    /// The streamer's port for viewers.
    pub rtsp: String,
    pub collector: String,
}

impl Addresses {
    /// Words in the place of ports that the programs draw when they start, for `--dry-run`.
    pub fn unknown() -> Self {
        let port = |what: &str| format!("127.0.0.1:<{what} port>");
        Self {
            http: port("http"),
            rtsp: port("rtsp"),
            collector: port("collector"),
        }
    }

    /// The URL that the renderer sends to.
    pub fn feed(&self) -> String {
        format!("http://{}/feeds/{FEED}", self.http)
    }

    /// The URL that the client plays.
    pub fn stream(&self) -> String {
        format!("rtsp://{}/{FEED}", self.rtsp)
    }

    /// The URL to which the renderer pushes in this scenario.
    pub fn feed_of(&self, scenario: &Scenario) -> String {
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
