//! What comes out of the tunnel: the inner packet with what the outer header says of its way.

use super::header::{HEADER_BYTES, Header, HeaderError};
use super::packet::{self, Malformed, Packet};
use super::tos;

/// The fields of a received packet's outer IP header that the inner one takes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// DSCP and ECN.
    pub tos: u8,
    /// Time to live, or hop limit.
    pub ttl: u8,
}

/// A reason for which a packet is not decapsulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// The LISP header cannot be used.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The inner packet is not an IP packet.
    #[error(transparent)]
    Inner(#[from] Malformed),
    /// The packet is of another instance than the tunnel router.
    #[error("the packet is of instance {0}")]
    Instance(u32),
    /// The packet met congestion, and its sender understands no mark.
    #[error("congestion was marked on a packet whose sender understands no mark")]
    Congestion,
    /// The packet's time is over.
    #[error("the packet's time to live is over")]
    Expired,
}

/// Takes the LISP header off: the inner packet begins at [`HEADER_BYTES`], with TTL and traffic class as they are behind
/// the tunnel. `datagram` is the payload of the outer UDP packet.
pub fn decapsulate(datagram: &mut [u8], seen: Seen, instance: u32) -> Result<Packet, NotTaken> {
    let header = Header::decode(datagram)?;
    if header.instance() != instance {
        return Err(NotTaken::Instance(header.instance()));
    }
    let inner = &mut datagram[HEADER_BYTES..];
    let mut packet = Packet::parse(inner)?;
    packet.tos = tos::leaving(packet.tos, seen.tos).ok_or(NotTaken::Congestion)?;
    // RFC 9300, 5.3: "if the outer-header [TTL] is less than the inner-header's, the inner's MUST be set to the outer's".
    packet.ttl = packet.ttl.min(seen.ttl);
    if packet.ttl == 0 {
        return Err(NotTaken::Expired);
    }
    packet::set(inner, packet.tos, packet.ttl);
    Ok(packet)
}
