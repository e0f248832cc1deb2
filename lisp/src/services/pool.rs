//! A pool of service addresses.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::eid::{Eid, InstanceId};

/// Addresses that services are given, all of one prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    pub name: String,
    pub eid: Eid,
}

impl Pool {
    /// The instance that the addresses are in.
    pub const fn instance(&self) -> InstanceId {
        self.eid.instance()
    }

    /// Whether a service may have this address: it is in the prefix, and neither its first nor its last.
    pub fn has(&self, address: IpAddr) -> bool {
        let (first, last) = self.ends();
        self.eid.prefix().contains(&address) && (first..=last).contains(&number(address))
    }

    /// The free address after `after`, from the beginning again when the end is reached; none where all are taken.
    pub fn next(&self, after: Option<IpAddr>, is_taken: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
        let (first, last) = self.ends();
        let start = after.map_or(first, |after| number(after).saturating_add(1));
        let start = if (first..=last).contains(&start) {
            start
        } else {
            first
        };
        let address = |number: u128| match self.eid.address() {
            IpAddr::V4(_) => IpAddr::V4(u32::try_from(number).unwrap_or(u32::MAX).into()),
            IpAddr::V6(_) => IpAddr::V6(number.into()),
        };
        (start..=last)
            .chain(first..start)
            .map(address)
            .find(|address| !is_taken(*address))
    }

    /// The first and the last address that a service may have.
    fn ends(&self) -> (u128, u128) {
        let prefix = self.eid.prefix();
        let (first, last) = (number(prefix.network()), number(prefix.broadcast()));
        match prefix {
            _ if last - first < 2 => (first, last),
            IpNet::V4(_) => (first + 1, last - 1),
            IpNet::V6(_) => (first + 1, last),
        }
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}
