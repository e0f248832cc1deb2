//! The forwarding table: which locator a packet goes to, by the packet's destination and flow.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use prefix_trie::joint::JointPrefixMap;

use crate::wire::Locator;

/// The path of the packets for a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Path {
    /// Packets are encapsulated to one of the locators.
    Tunnel(Vec<Locator>),
    /// Packets are dropped.
    Drop,
    /// Packets are forwarded natively: a negative mapping says that the prefix is reached without a tunnel.
    Natively,
}

/// Every mapping that is known, by prefix. A table is never changed: another one takes its place at once.
#[derive(Clone, Debug, Default)]
pub struct Table {
    paths: JointPrefixMap<IpNet, Arc<Path>>,
}

impl Table {
    /// A table of these mappings; of two for one prefix, the last counts.
    pub fn new(mappings: impl IntoIterator<Item = (IpNet, Path)>) -> Self {
        let mut table = Self::default();
        for (prefix, path) in mappings {
            table.set(prefix, path);
        }
        table
    }

    /// Gives a prefix a path, in the place of the one that it had.
    pub fn set(&mut self, prefix: IpNet, path: Path) {
        self.paths.insert(prefix, Arc::new(path));
    }

    /// The path of the longest prefix that holds the destination.
    pub fn path(&self, destination: IpAddr) -> Option<&Path> {
        let longest = self.paths.get_lpm(&IpNet::from(destination));
        longest.map(|(_, path)| path.as_ref())
    }

    /// The number of mappings.
    pub fn len(&self) -> usize {
        self.paths.len()
    }

    /// Whether there is no mapping.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }
}
