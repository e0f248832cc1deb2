//! The forwarding table: which locator a packet goes to, by the packet's destination and flow.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use prefix_trie::joint::JointPrefixMap;

/// The priority that says: never use this locator for unicast (RFC 9301, 5.4).
pub const NEVER: u8 = 255;

/// One way to an EID prefix: the address of a tunnel router, with what says how often it is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Locator {
    /// The address of the tunnel router.
    pub address: IpAddr,
    /// Lower is better; [`NEVER`] is never used.
    pub priority: u8,
    /// The share among locators of one priority.
    pub weight: u8,
    /// Whether there is a route to the locator, as far as anyone knows.
    pub is_up: bool,
}

/// What is done with the packets for a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Path {
    /// They go through the tunnel, to one of the locators.
    Tunnel(Choice),
    /// They go nowhere.
    Drop,
    /// They are no business of the tunnel: a negative mapping says that the prefix is reached without one.
    Natively,
}

/// The locators that are in use, drawn from a set by priority.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Each locator with the sum of weights up to and with its own.
    locators: Vec<(u64, IpAddr)>,
}

impl Choice {
    /// The locators of the best priority that are up.
    pub fn new(locators: &[Locator]) -> Self {
        // RFC 9300, 5.3 and RFC 9301, 5.4: a priority of 255 "MUST NOT be used for unicast forwarding", and nothing is sent to
        // a locator whose R-bit is 0.
        let usable = || {
            let up = locators.iter().filter(|locator| locator.is_up);
            up.filter(|locator| locator.priority != NEVER)
        };
        let best = usable().map(|locator| locator.priority).min();
        let chosen = || usable().filter(|locator| Some(locator.priority) == best);
        // Weights that are all zero leave the split to us: even shares.
        let is_even = chosen().all(|locator| locator.weight == 0);
        let mut total = 0;
        let mut drawn = Vec::new();
        for locator in chosen().filter(|locator| is_even || locator.weight > 0) {
            total += if is_even {
                1
            } else {
                u64::from(locator.weight)
            };
            drawn.push((total, locator.address));
        }
        Self { locators: drawn }
    }

    /// The locator of a flow; none when no locator can be used.
    pub fn of(&self, flow: u32) -> Option<IpAddr> {
        let &(total, last) = self.locators.last()?;
        if let [_] = self.locators.as_slice() {
            return Some(last);
        }
        // The high bits of the product are an even share of the total, without a division.
        let point = (u64::from(flow) * total) >> 32;
        let chosen = self.locators.iter().find(|(up_to, _)| point < *up_to);
        Some(chosen.map_or(last, |&(_, address)| address))
    }

    /// The addresses that packets may go to.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.locators.iter().map(|&(_, address)| address)
    }
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

    /// How many mappings there are.
    pub fn len(&self) -> usize {
        self.paths.len()
    }

    /// Whether there is no mapping.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }
}
