//! What goes into the tunnel: the decision for a packet, and what the outer header takes from the inner one.

use std::net::IpAddr;

use super::packet::Packet;
use super::table::{Path, Table};
use super::tos;
use crate::mapping::choose;

/// The first of the ports that flows are spread over; 14 bits lie above it (RFC 6335, dynamic ports).
const FIRST_PORT: u16 = 0xc000;

/// The fields that the outer header takes from the inner one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outer {
    /// DSCP and ECN.
    pub tos: u8,
    /// Time to live, or hop limit.
    pub ttl: u8,
    /// The source port: the same for every packet of a flow.
    pub source_port: u16,
}

impl Outer {
    /// The outer header of this packet.
    pub fn of(inner: &Packet) -> Self {
        let [_, _, high, low] = inner.flow.to_be_bytes();
        let spread = u16::from_be_bytes([high, low]) & 0x3fff;
        Self {
            tos: tos::entering(inner.tos),
            // RFC 9300, 5.3: "The outer-header 'Time to Live' field [...] SHOULD be copied from the inner-header".
            ttl: inner.ttl,
            // RFC 9300, 12: the source port is "a hash of the 5-tuple", so that what balances by it keeps flows together.
            source_port: FIRST_PORT | spread,
        }
    }
}

/// A reason for which a packet is not encapsulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSent {
    /// No mapping holds the destination.
    NoMapping,
    /// A mapping is there, and no locator of it can be used.
    NoLocator,
    /// A mapping says that such packets are dropped.
    Denied,
    /// A negative mapping says that the destination is reached without a tunnel.
    Native,
    /// The packet's time is over.
    Expired,
}

/// The locator that a packet goes to.
pub fn locator(table: &Table, inner: &Packet) -> Result<IpAddr, NotSent> {
    if inner.ttl == 0 {
        return Err(NotSent::Expired);
    }
    match table.path(inner.destination) {
        Some(Path::Tunnel(locators)) => choose(locators, inner.flow)
            .map(|locator| locator.address)
            .ok_or(NotSent::NoLocator),
        Some(Path::Drop) => Err(NotSent::Denied),
        Some(Path::Natively) => Err(NotSent::Native),
        None => Err(NotSent::NoMapping),
    }
}
