//! The IP header of an inner packet: read in whole, or not at all.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::checksum;

/// Length of an IPv4 header without options.
pub const IPV4_BYTES: usize = 20;

/// Length of an IPv6 header without extensions.
pub const IPV6_BYTES: usize = 40;

/// Protocol numbers whose first four bytes are two ports: TCP, UDP, SCTP, UDP-Lite.
const WITH_PORTS: [u8; 4] = [6, 17, 132, 136];

/// The header of an IP packet, as far as a tunnel router reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The source address of the packet.
    pub source: IpAddr,
    /// The destination address of the packet.
    pub destination: IpAddr,
    /// DSCP and ECN: the TOS of IPv4, the traffic class of IPv6.
    pub tos: u8,
    /// Time to live, or hop limit.
    pub ttl: u8,
    /// Length of the IP header, in bytes, with options and without IPv6 extensions.
    pub header_bytes: usize,
    /// Length of the packet, in bytes, as its header says; what lies behind is padding.
    pub total_bytes: usize,
    /// Whether routers must not split the packet, as none may for IPv6.
    pub keep_whole: bool,
    /// The first of this packet's bytes in the whole one that it is a fragment of; zero for a packet that is whole.
    pub fragment_offset: usize,
    /// The protocol, or the next header.
    pub protocol: u8,
    /// A hash of addresses, protocol and ports: the same for every packet of a flow.
    pub flow: u32,
}

/// Bytes that are no IP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(&'static str);

impl Packet {
    /// Reads the header of the packet at the start of `bytes`.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        match bytes.first().map(|first| first >> 4) {
            Some(4) => Self::parse_v4(bytes),
            Some(6) => Self::parse_v6(bytes),
            Some(_) => Err(Malformed("neither IPv4 nor IPv6")),
            None => Err(Malformed("no bytes at all")),
        }
    }

    fn parse_v4(bytes: &[u8]) -> Result<Self, Malformed> {
        let head: &[u8; IPV4_BYTES] = bytes
            .first_chunk()
            .ok_or(Malformed("shorter than an IPv4 header"))?;
        let header_bytes = usize::from(head[0] & 0xf) * 4;
        let total_bytes = usize::from(u16::from_be_bytes([head[2], head[3]]));
        if header_bytes < IPV4_BYTES || total_bytes < header_bytes {
            return Err(Malformed("an IPv4 packet shorter than its header"));
        }
        let packet = bytes
            .get(..total_bytes)
            .ok_or(Malformed("an IPv4 packet that was cut off"))?;
        let fragment = u16::from_be_bytes([head[6], head[7]]);
        let (more, offset) = (fragment & 0x2000 != 0, usize::from(fragment & 0x1fff) * 8);
        let (source, destination) = (word(head, 12), word(head, 16));
        let protocol = head[9];
        // The fragments of one packet take one way, and only the first has the ports.
        let ports = if more || offset != 0 {
            0
        } else {
            ports(protocol, &packet[header_bytes..])
        };
        Ok(Self {
            source: Ipv4Addr::from_bits(source).into(),
            destination: Ipv4Addr::from_bits(destination).into(),
            tos: head[1],
            ttl: head[8],
            header_bytes,
            total_bytes,
            keep_whole: fragment & 0x4000 != 0,
            fragment_offset: offset,
            protocol,
            flow: flow(source.into(), destination.into(), protocol, ports),
        })
    }

    fn parse_v6(bytes: &[u8]) -> Result<Self, Malformed> {
        let head: &[u8; IPV6_BYTES] = bytes
            .first_chunk()
            .ok_or(Malformed("shorter than an IPv6 header"))?;
        let total_bytes = IPV6_BYTES + usize::from(u16::from_be_bytes([head[4], head[5]]));
        let packet = bytes
            .get(..total_bytes)
            .ok_or(Malformed("an IPv6 packet that was cut off"))?;
        let (source, destination) = (address(head, 8), address(head, 24));
        let protocol = head[6];
        let ports = ports(protocol, &packet[IPV6_BYTES..]);
        Ok(Self {
            source: Ipv6Addr::from_bits(source).into(),
            destination: Ipv6Addr::from_bits(destination).into(),
            tos: head[0] << 4 | head[1] >> 4,
            ttl: head[7],
            header_bytes: IPV6_BYTES,
            total_bytes,
            keep_whole: true,
            fragment_offset: 0,
            protocol,
            flow: flow(source, destination, protocol, ports),
        })
    }
}

/// Writes traffic class and time to live into the packet at the start of `bytes`, which has been parsed.
///
/// The checksum of an IPv4 header follows the change: one that was wrong stays wrong, and the next router sees that.
pub fn set(bytes: &mut [u8], tos: u8, ttl: u8) {
    match bytes.first_chunk_mut::<IPV4_BYTES>() {
        Some(head) if head[0] >> 4 == 4 => {
            let mut sum = u16::from_be_bytes([head[10], head[11]]);
            for (at, value) in [(1, tos), (8, ttl)] {
                let before = u16::from_be_bytes([head[at & !1], head[at | 1]]);
                head[at] = value;
                let after = u16::from_be_bytes([head[at & !1], head[at | 1]]);
                if before != after {
                    sum = checksum::change(sum, before, after);
                }
            }
            head[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        Some(head) if head[0] >> 4 == 6 => {
            head[0] = 0x60 | tos >> 4;
            head[1] = tos << 4 | head[1] & 0xf;
            head[7] = ttl;
        }
        _ => {}
    }
}

fn word(head: &[u8; IPV4_BYTES], at: usize) -> u32 {
    u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]])
}

fn address(head: &[u8; IPV6_BYTES], at: usize) -> u128 {
    let bytes: &[u8; 16] = head[at..]
        .first_chunk()
        .expect("both addresses lie in the header");
    u128::from_be_bytes(*bytes)
}

fn ports(protocol: u8, payload: &[u8]) -> u32 {
    match payload.first_chunk::<4>() {
        Some(ports) if WITH_PORTS.contains(&protocol) => u32::from_be_bytes(*ports),
        _ => 0,
    }
}

/// Mixes what names a flow, so that one bit of difference changes half of the hash.
#[expect(clippy::cast_possible_truncation, reason = "halves of what is mixed")]
fn flow(source: u128, destination: u128, protocol: u8, ports: u32) -> u32 {
    // The finisher of SplitMix64, which is a bijection: what is added in before differs still behind.
    let mix = |hash: u64, word: u64| {
        let mut x = (hash ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
        x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ x >> 31
    };
    let low = |address: u128| address as u64;
    let high = |address: u128| (address >> 64) as u64;
    let mut hash = mix(u64::from(ports) << 8 | u64::from(protocol), low(source));
    hash = mix(hash, low(destination));
    if high(source) | high(destination) != 0 {
        hash = mix(hash, high(source));
        hash = mix(hash, high(destination));
    }
    (hash >> 32) as u32
}
