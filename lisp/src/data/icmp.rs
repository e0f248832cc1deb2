//! What is said to the sender of a packet that is too big: type 3 code 4 of ICMP, or type 2 of ICMP for IPv6.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::checksum;
use super::packet::{IPV4_BYTES, IPV6_BYTES, Packet};

const ICMP: u8 = 1;
const ICMP_V6: u8 = 58;
const ICMP_BYTES: usize = 8;

/// The longest IPv4 packet that is made, in bytes (RFC 1812, 4.3.2.3).
const LONGEST_V4: usize = 576;

/// The longest IPv6 packet that is made, in bytes (RFC 4443, 2.4).
const LONGEST_V6: usize = 1280;

/// Hop limit of what is made.
const TTL: u8 = 64;

/// The packet that tells the sender of `packet`, which is at the start of `bytes`, that `mtu` bytes fit.
///
/// None for what must not be answered (RFC 1122, 3.2.2; RFC 4443, 2.4): errors of ICMP, fragments but the first, and senders
/// that are not one host. `from` is the address of the answer, of the packet's own family.
pub fn too_big(bytes: &[u8], packet: &Packet, mtu: u16, from: IpAddr) -> Option<Vec<u8>> {
    let original = bytes.get(..packet.total_bytes)?;
    let payload = original.get(packet.header_bytes..)?;
    if packet.fragment_offset != 0 || is_no_host(packet.source) || packet.destination.is_multicast()
    {
        return None;
    }
    match (from, packet.source) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            // RFC 792's queries are answered about, its errors are not; an empty ICMP message is neither.
            let is_query = matches!(payload.first(), Some(0 | 8..=18));
            (packet.protocol != ICMP || is_query).then(|| v4(original, mtu, from, to))
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            // RFC 4443, 2.1: the types of errors are those below 128.
            let is_query = payload.first().is_some_and(|kind| *kind >= 128);
            (packet.protocol != ICMP_V6 || is_query).then(|| v6(original, mtu, from, to))
        }
        _ => None,
    }
}

fn is_no_host(address: IpAddr) -> bool {
    let is_broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    address.is_unspecified() || address.is_multicast() || address.is_loopback() || is_broadcast
}

fn v4(original: &[u8], mtu: u16, from: Ipv4Addr, to: Ipv4Addr) -> Vec<u8> {
    let quoted = &original[..original.len().min(LONGEST_V4 - IPV4_BYTES - ICMP_BYTES)];
    let total = IPV4_BYTES + ICMP_BYTES + quoted.len();
    let mut answer = vec![0; IPV4_BYTES + ICMP_BYTES];
    answer[0] = 0x45;
    // Precedence 6, as RFC 1812, 4.3.2.5 has it for errors.
    answer[1] = 0xc0;
    answer[2..4].copy_from_slice(&short(total).to_be_bytes());
    answer[8] = TTL;
    answer[9] = ICMP;
    answer[12..16].copy_from_slice(&from.octets());
    answer[16..20].copy_from_slice(&to.octets());
    let sum = checksum::of(&answer[..IPV4_BYTES]);
    answer[10..12].copy_from_slice(&sum.to_be_bytes());
    // Destination unreachable, fragmentation needed and DF set, with the MTU of RFC 1191.
    answer[IPV4_BYTES..IPV4_BYTES + 2].copy_from_slice(&[3, 4]);
    answer[IPV4_BYTES + 6..].copy_from_slice(&mtu.to_be_bytes());
    answer.extend_from_slice(quoted);
    let sum = checksum::of(&answer[IPV4_BYTES..]);
    answer[IPV4_BYTES + 2..IPV4_BYTES + 4].copy_from_slice(&sum.to_be_bytes());
    answer
}

fn v6(original: &[u8], mtu: u16, from: Ipv6Addr, to: Ipv6Addr) -> Vec<u8> {
    let quoted = &original[..original.len().min(LONGEST_V6 - IPV6_BYTES - ICMP_BYTES)];
    let message_bytes = short(ICMP_BYTES + quoted.len());
    let mut answer = vec![0; IPV6_BYTES + ICMP_BYTES];
    answer[0] = 0x60;
    answer[4..6].copy_from_slice(&message_bytes.to_be_bytes());
    answer[6] = ICMP_V6;
    answer[7] = TTL;
    answer[8..24].copy_from_slice(&from.octets());
    answer[24..40].copy_from_slice(&to.octets());
    answer[IPV6_BYTES] = 2;
    answer[IPV6_BYTES + 4..].copy_from_slice(&u32::from(mtu).to_be_bytes());
    answer.extend_from_slice(quoted);
    // The pseudo-header of RFC 8200, 8.1: both addresses, the length, the next header.
    let mut sum = checksum::sum(0, &answer[8..40]);
    sum = checksum::sum(sum, &u32::from(message_bytes).to_be_bytes());
    sum = checksum::sum(sum, &[0, ICMP_V6]);
    let sum = checksum::finish(checksum::sum(sum, &answer[IPV6_BYTES..]));
    answer[IPV6_BYTES + 2..IPV6_BYTES + 4].copy_from_slice(&sum.to_be_bytes());
    answer
}

fn short(length: usize) -> u16 {
    u16::try_from(length).expect("what is quoted is cut to 1280 bytes in all")
}
