//! What an xTR is told before it starts.

use std::net::IpAddr;

use crate::auth::{Key, KeyRing};
use crate::eid::Eid;
use crate::ports::CONTROL_PORT;
use crate::wire::Identity;

/// An xTR's configuration.
#[derive(Clone, Debug)]
pub struct EdgeConfig {
    /// The identity of the xTR; without one it cannot subscribe, nor share an EID prefix with another of its site.
    pub identity: Option<Identity>,
    pub map_server: IpAddr,
    pub map_resolver: IpAddr,
    /// The control port of Map-Server and Map-Resolver.
    pub port: u16,
    /// The key that the xTR signs with.
    pub key: Key,
    /// The keys that the Map-Server may sign with.
    pub keys: KeyRing,
    /// The ITR-RLOCs: where answers and publications reach the xTR.
    pub itr_rlocs: Vec<IpAddr>,
    /// The EID prefixes that the xTR takes packets for, whoever registers them: probes for these are answered.
    pub serves: Vec<Eid>,
    /// Whether to subscribe to what it asks for.
    pub subscribe: bool,
    /// Mappings that are kept.
    pub cache: usize,
    /// Requests that are outstanding at a time.
    pub pending: usize,
}

impl EdgeConfig {
    /// An xTR that registers at, asks and subscribes to one Map-Server, at the standard port.
    pub fn new(
        identity: Identity,
        map_server: IpAddr,
        key: Key,
        keys: KeyRing,
        itr_rlocs: Vec<IpAddr>,
    ) -> Self {
        Self {
            identity: Some(identity),
            map_server,
            map_resolver: map_server,
            port: CONTROL_PORT,
            key,
            keys,
            itr_rlocs,
            serves: Vec::new(),
            subscribe: true,
            cache: 65_536,
            pending: 4_096,
        }
    }
}
