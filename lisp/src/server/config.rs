//! What a Map-Server is told before it starts: the sites, the prefixes that it knows, and its limits.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

use crate::auth::{Key, KeyRing};
use crate::eid::Eid;
use crate::pace::Rate;
use crate::ports::CONTROL_PORT;

/// A site: a cluster, or clients, with xTRs that share a secret.
#[derive(Clone, Debug)]
pub struct Site {
    pub name: String,
    /// The keys that the site's xTRs may sign with.
    pub keys: KeyRing,
    /// The key that signs what is sent to the site's xTRs unasked.
    pub key: Key,
    /// Prefixes that it may register all of, and every part of; beside these, what was allocated to it.
    pub prefixes: Vec<Eid>,
    /// The prefixes in which the site's RLOCs may be; anywhere if empty.
    pub rlocs: Vec<IpNet>,
    /// Nonces of its Map-Registers may go back, as those of peers do that choose them at random. Map-Registers of such a site can
    /// be replayed.
    pub lax_nonces: bool,
    /// The site's xTRs send no identity: what they register is matched to the site by its prefixes.
    pub anonymous: bool,
}

impl Site {
    /// Whether one of the site's xTRs may be at this address.
    pub fn has_rloc(&self, address: IpAddr) -> bool {
        self.rlocs.is_empty() || self.rlocs.iter().any(|net| net.contains(&address))
    }
}

/// The bounds of a Map-Server's state and work.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Map-Requests from one address.
    pub requests_each: Rate,
    /// The rate of Map-Requests in all.
    pub requests_all: Rate,
    /// Sources that are told apart.
    pub sources: usize,
    /// EID prefixes that are registered.
    pub eids: usize,
    /// xTRs that register one EID prefix.
    pub xtrs_per_eid: usize,
    /// Subscriptions in all, and of one xTR.
    pub subscriptions: usize,
    pub subscriptions_each: usize,
    /// ITRs without a subscription that are told of a change, of all EID prefixes.
    pub solicited: usize,
    /// Times larger than its request that an answer may be, which goes to another address than the request came from.
    pub amplification: usize,
    /// How long requests for what nobody has registered are left unanswered after a start with saved state.
    pub starting: Duration,
    /// How long after such a start a subscriber is told that nobody has registered an EID prefix again.
    pub missing: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let rate = |per_second, burst| Rate { per_second, burst };
        Self {
            requests_each: rate(2_000.0, 4_000.0),
            requests_all: rate(20_000.0, 20_000.0),
            sources: 65_536,
            eids: 65_536,
            xtrs_per_eid: 32,
            subscriptions: 262_144,
            subscriptions_each: 32_768,
            solicited: 65_536,
            amplification: 2,
            starting: Duration::from_secs(3),
            missing: Duration::from_secs(30),
        }
    }
}

/// A Map-Server's configuration.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The address that it is reached at; it stands in what it sends unasked.
    pub address: IpAddr,
    /// The port that peers are sent to.
    pub port: u16,
    /// Sites by their Site-ID.
    pub sites: BTreeMap<u64, Site>,
    /// Prefixes of the mapping system beside those of the sites: the pools of service addresses.
    pub prefixes: Vec<Eid>,
    /// Whether ITRs without a subscription are told of changes by solicitations of this Map-Server's own.
    pub solicits: bool,
    pub limits: Limits,
}

impl ServerConfig {
    /// A Map-Server with these sites, at the standard port and with the usual limits.
    pub fn new(address: IpAddr, sites: BTreeMap<u64, Site>) -> Self {
        Self {
            address,
            port: CONTROL_PORT,
            sites,
            prefixes: Vec::new(),
            solicits: true,
            limits: Limits::default(),
        }
    }
}
