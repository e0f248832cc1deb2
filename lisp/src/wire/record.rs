//! EID-Records and RLOC-Records, which Map-Replies, Map-Registers and Map-Notifies are made of (RFC 9301 section 5.4).

use std::net::IpAddr;
use std::str::FromStr;

use super::address;
use super::bytes::{Reader, count};
use super::malformed::Malformed;
use crate::eid::Eid;

/// The action of an ITR with packets for an EID without locators.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Action {
    /// Keeps the entry, and encapsulates nothing.
    #[default]
    NoAction,
    /// Forwards them as they are: there is no LISP site.
    NativelyForward,
    /// The ITR asks again by a Map-Request.
    SendMapRequest,
    /// The ITR drops the packets.
    Drop,
    /// Drops them, by the policy of the mapping system.
    PolicyDenied,
    /// Drops them, because authentication failed.
    AuthFailure,
    /// An action that is not assigned, 6 or 7; packets are dropped.
    Unassigned(bool),
}

impl Action {
    const fn from_bits(bits: u8) -> Self {
        match bits & 7 {
            0 => Self::NoAction,
            1 => Self::NativelyForward,
            2 => Self::SendMapRequest,
            3 => Self::Drop,
            4 => Self::PolicyDenied,
            5 => Self::AuthFailure,
            other => Self::Unassigned(other == 7),
        }
    }

    const fn bits(self) -> u8 {
        match self {
            Self::NoAction => 0,
            Self::NativelyForward => 1,
            Self::SendMapRequest => 2,
            Self::Drop => 3,
            Self::PolicyDenied => 4,
            Self::AuthFailure => 5,
            Self::Unassigned(false) => 6,
            Self::Unassigned(true) => 7,
        }
    }
}

/// A priority that keeps a locator from being used: "If the priority is 255, the RLOC MUST NOT be used" (RFC 9301 section 5.4).
pub const PRIORITY_UNUSED: u8 = 255;

/// The priority of a locator that is used only when there are no others, because what it leads to is on its way out.
pub const PRIORITY_LAST: u8 = 254;

/// A routing locator: where a site takes tunnelled packets, and how it wants them shared out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Locator {
    pub address: IpAddr,
    /// Lower is used first; [`PRIORITY_UNUSED`] never.
    pub priority: u8,
    /// The share among locators of one priority.
    pub weight: u8,
    pub multicast_priority: u8,
    pub multicast_weight: u8,
    /// The L bit: the locator is the sender's own.
    pub local: bool,
    /// The p bit: the locator that a probe was for.
    pub probed: bool,
    /// The R bit: the sender has a route to it.
    pub reachable: bool,
}

/// A text that is no locator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no locator: expected ADDRESS[@PRIORITY/WEIGHT], such as 10.0.0.11 or 10.0.0.11@1/70"
)]
pub struct NoLocator(String);

impl FromStr for Locator {
    type Err = NoLocator;

    fn from_str(text: &str) -> Result<Self, NoLocator> {
        let read = || {
            let (address, numbers) = text.split_once('@').unwrap_or((text, "1/100"));
            let (priority, weight) = numbers.split_once('/')?;
            let (priority, weight) = (priority.parse().ok()?, weight.parse().ok()?);
            Some(Self::new(address.parse().ok()?, priority, weight))
        };
        read().ok_or_else(|| NoLocator(text.chars().take(64).collect()))
    }
}

impl Locator {
    /// A locator for unicast that is the sender's own and reachable.
    pub const fn new(address: IpAddr, priority: u8, weight: u8) -> Self {
        Self {
            address,
            priority,
            weight,
            multicast_priority: PRIORITY_UNUSED,
            multicast_weight: 0,
            local: true,
            probed: false,
            reachable: true,
        }
    }

    /// Whether packets may be sent to it.
    pub const fn is_usable(&self) -> bool {
        self.priority != PRIORITY_UNUSED && self.reachable
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (priority, weight) = (reader.u8()?, reader.u8()?);
        let (multicast_priority, multicast_weight) = (reader.u8()?, reader.u8()?);
        let flags = reader.u16()?;
        Ok(Self {
            address: address::read_some(reader)?,
            priority,
            weight,
            multicast_priority,
            multicast_weight,
            local: flags & 4 != 0,
            probed: flags & 2 != 0,
            reachable: flags & 1 != 0,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        let flags =
            u16::from(self.local) << 2 | u16::from(self.probed) << 1 | u16::from(self.reachable);
        out.extend([
            self.priority,
            self.weight,
            self.multicast_priority,
            self.multicast_weight,
        ]);
        out.extend(flags.to_be_bytes());
        address::write(out, Some(self.address));
    }
}

/// A TTL that leaves it to the receiver how long to keep a mapping.
pub const TTL_OPEN: u32 = u32::MAX;

/// A mapping as it stands in messages: an EID prefix and its locators.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    /// How long the mapping may be kept, in minutes; 0 removes it, [`TTL_OPEN`] leaves it open.
    pub ttl_minutes: u32,
    pub eid: Eid,
    /// Counts only where there are no locators.
    pub action: Action,
    /// The A bit: an ETR of the site says so itself.
    pub authoritative: bool,
    /// 12 bits; 0 is no version (RFC 9302).
    pub map_version: u16,
    pub locators: Vec<Locator>,
}

impl Record {
    /// A mapping with these locators, in the order that messages have them in.
    pub fn new(eid: Eid, ttl_minutes: u32, mut locators: Vec<Locator>) -> Self {
        // "MUST be sorted in order of ascending IP address where an IPv4 RLOC address is considered numerically 'less than'
        // an IPv6 RLOC address" (RFC 9301 section 5.4): as `IpAddr` compares.
        locators.sort_by_key(|locator| locator.address);
        Self {
            ttl_minutes,
            eid,
            action: Action::NoAction,
            authoritative: false,
            map_version: 0,
            locators,
        }
    }

    /// A record without locators: what to do with packets for the EID.
    pub fn negative(eid: Eid, ttl_minutes: u32, action: Action) -> Self {
        Self {
            action,
            ..Self::new(eid, ttl_minutes, Vec::new())
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let ttl_minutes = reader.u32()?;
        let (locators, mask_length) = (reader.u8()?, reader.u8()?);
        let flags = reader.u16()?;
        let map_version = reader.u16()? & 0x0fff;
        let eid = address::read_prefix(reader, mask_length)?;
        let locators = (0..locators)
            .map(|_| Locator::read(reader))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            ttl_minutes,
            eid,
            action: Action::from_bits((flags >> 13) as u8),
            authoritative: flags & 0x1000 != 0,
            map_version,
            locators,
        })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let flags = u16::from(self.action.bits()) << 13 | u16::from(self.authoritative) << 12;
        out.extend(self.ttl_minutes.to_be_bytes());
        out.extend([count(&self.locators), self.eid.prefix().prefix_len()]);
        out.extend(flags.to_be_bytes());
        out.extend((self.map_version & 0x0fff).to_be_bytes());
        address::write_eid(out, &self.eid);
        for locator in &self.locators {
            locator.write(out);
        }
    }

    /// The bytes that the record takes in a message.
    pub fn wire_bytes(&self) -> usize {
        let address = |address: IpAddr| if address.is_ipv4() { 4 } else { 16 };
        let instance = if self.eid.instance().get() == 0 {
            0
        } else {
            12
        };
        let locators = self
            .locators
            .iter()
            .map(|locator| 8 + address(locator.address));
        12 + instance + address(self.eid.address()) + locators.sum::<usize>()
    }
}

/// Reads a counted list of records, which has one at least.
pub(super) fn read_all(reader: &mut Reader<'_>, records: u8) -> Result<Vec<Record>, Malformed> {
    if records == 0 {
        return Err(Malformed::NoRecord);
    }
    (0..records).map(|_| Record::read(reader)).collect()
}
