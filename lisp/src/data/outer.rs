//! The outer IP and UDP headers as bytes, for a socket that takes whole packets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::checksum;
use super::encap::Outer;
use super::header::HEADER_BYTES;
use super::packet::{IPV4_BYTES, IPV6_BYTES};
use crate::ports::DATA_PORT;

/// Length of a UDP header.
pub const UDP_BYTES: usize = 8;

/// The room that is kept before an inner packet: the longest headers that can come there.
pub const HEADROOM_BYTES: usize = IPV6_BYTES + UDP_BYTES + HEADER_BYTES;

const PROTOCOL_UDP: u8 = 17;

/// The bytes that IP, UDP and LISP add to a packet.
pub const fn overhead_bytes(locator: IpAddr) -> usize {
    let ip = match locator {
        IpAddr::V4(_) => IPV4_BYTES,
        IpAddr::V6(_) => IPV6_BYTES,
    };
    ip + UDP_BYTES + HEADER_BYTES
}

/// Writes the outer headers into the end of `room`, before a LISP header and inner packet of `payload_bytes`. Returns how
/// many bytes were written; none when room, addresses or length do not allow such a packet.
///
/// RFC 9300, 5.3: "The UDP Checksum field SHOULD be transmitted as zero by an ITR for either IPv4 or IPv6 encapsulation."
pub fn write(
    room: &mut [u8],
    from: IpAddr,
    to: IpAddr,
    outer: Outer,
    payload_bytes: usize,
) -> Option<usize> {
    let udp_bytes = u16::try_from(UDP_BYTES + payload_bytes).ok()?;
    let (rest, udp) = room.split_last_chunk_mut::<UDP_BYTES>()?;
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let total = udp_bytes.checked_add(u16::try_from(IPV4_BYTES).ok()?)?;
            let (_, ip) = rest.split_last_chunk_mut()?;
            *ip = ipv4(from, to, outer, total);
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let (_, ip) = rest.split_last_chunk_mut()?;
            *ip = ipv6(from, to, outer, udp_bytes);
        }
        _ => return None,
    }
    udp[..2].copy_from_slice(&outer.source_port.to_be_bytes());
    udp[2..4].copy_from_slice(&DATA_PORT.to_be_bytes());
    udp[4..6].copy_from_slice(&udp_bytes.to_be_bytes());
    udp[6..].fill(0);
    Some(overhead_bytes(to) - HEADER_BYTES)
}

fn ipv4(from: Ipv4Addr, to: Ipv4Addr, outer: Outer, total: u16) -> [u8; IPV4_BYTES] {
    let mut ip = [0; IPV4_BYTES];
    ip[0] = 0x45;
    ip[1] = outer.tos;
    ip[2..4].copy_from_slice(&total.to_be_bytes());
    // RFC 9300, 7.1: "the outer-header DF bit [...] SHOULD be set to 1". Such a packet needs no identification (RFC 6864).
    ip[6] = 0x40;
    ip[8] = outer.ttl;
    ip[9] = PROTOCOL_UDP;
    ip[12..16].copy_from_slice(&from.octets());
    ip[16..].copy_from_slice(&to.octets());
    let sum = checksum::of(&ip);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    ip
}

fn ipv6(from: Ipv6Addr, to: Ipv6Addr, outer: Outer, payload: u16) -> [u8; IPV6_BYTES] {
    let mut ip = [0; IPV6_BYTES];
    ip[0] = 0x60 | outer.tos >> 4;
    ip[1] = outer.tos << 4;
    // The flow label has the same entropy as the source port (RFC 6438).
    ip[2..4].copy_from_slice(&outer.source_port.to_be_bytes());
    ip[4..6].copy_from_slice(&payload.to_be_bytes());
    ip[6] = PROTOCOL_UDP;
    ip[7] = outer.ttl;
    ip[8..24].copy_from_slice(&from.octets());
    ip[24..].copy_from_slice(&to.octets());
    ip
}
