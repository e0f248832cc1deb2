//! Packets that do not fit: RFC 9300, 7.1, which keeps no state.

use std::net::IpAddr;

use super::checksum;
use super::outer::overhead_bytes;
use super::packet::{IPV4_BYTES, Packet};

/// The smallest MTU of a link that carries LISP: that which IPv6 asks for, with the headers around it.
pub const MIN_LINK_BYTES: usize = 1280 + 56;

/// The treatment of a packet by its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// The packet goes as it is.
    Whole,
    /// The packet is split before headers are put around each part.
    Split,
    /// The packet is dropped, and its sender is told the MTU.
    TooBig,
}

/// The longest inner packet, in bytes: S = L - H, of a link's MTU and what the headers for this locator take.
pub const fn longest_inner(link_bytes: usize, locator: IpAddr) -> usize {
    link_bytes.saturating_sub(overhead_bytes(locator))
}

/// The treatment of this packet, where at most `longest` bytes fit.
pub fn fit(packet: &Packet, longest: usize) -> Fit {
    if packet.total_bytes <= longest {
        Fit::Whole
    } else if packet.keep_whole || longest < packet.header_bytes + 8 {
        Fit::TooBig
    } else {
        Fit::Split
    }
}

/// Splits an IPv4 packet into as few fragments of (nearly) the same length as fit into `longest` bytes, and calls `each`
/// with each. Nothing comes of a packet that [`fit`] would not split.
///
/// RFC 9300, 7.1: the ITR splits "the original packet into two equal-sized fragments"; what is longer than two, into more.
pub fn split(bytes: &[u8], packet: &Packet, longest: usize, mut each: impl FnMut(&[u8])) {
    let Some(bytes) = bytes.get(..packet.total_bytes) else {
        return;
    };
    if fit(packet, longest) != Fit::Split {
        return;
    }
    let (header, payload) = bytes.split_at(packet.header_bytes);
    let most = (longest - header.len()) / 8 * 8;
    let parts = payload.len().div_ceil(most);
    let part_bytes = payload.len().div_ceil(parts).next_multiple_of(8).min(most);
    let flags = u16::from_be_bytes([header[6], header[7]]);
    let mut fragment = Vec::with_capacity(longest);
    for (index, part) in payload.chunks(part_bytes).enumerate() {
        let at = packet.fragment_offset / 8 + index * part_bytes / 8;
        let is_last = (index + 1) * part_bytes >= payload.len();
        let (Ok(at), Ok(total)) = (u16::try_from(at), u16::try_from(header.len() + part.len()))
        else {
            return;
        };
        if at > 0x1fff {
            return;
        }
        fragment.clear();
        fragment.extend_from_slice(header);
        if index > 0 {
            blank_options(&mut fragment[IPV4_BYTES..]);
        }
        // The last fragment says what the whole packet said: it may have been a fragment itself.
        let more = if is_last { flags & 0x2000 } else { 0x2000 };
        fragment[2..4].copy_from_slice(&total.to_be_bytes());
        fragment[6..8].copy_from_slice(&(flags & 0x8000 | more | at).to_be_bytes());
        fragment[10..12].fill(0);
        let sum = checksum::of(&fragment);
        fragment[10..12].copy_from_slice(&sum.to_be_bytes());
        fragment.extend_from_slice(part);
        each(&fragment);
    }
}

/// Replaces options that only the first fragment has by ones that mean nothing (RFC 791, 3.1: the copied flag).
fn blank_options(mut options: &mut [u8]) {
    const END: u8 = 0;
    const NOTHING: u8 = 1;
    const COPIED: u8 = 0x80;
    loop {
        let room = options.len();
        let length = match options {
            [] | [END, ..] => return,
            [NOTHING, ..] => 1,
            [_, length, ..] if (2..=room).contains(&usize::from(*length)) => usize::from(*length),
            // An option without a length that makes sense: the rest is none.
            _ => {
                options.fill(END);
                return;
            }
        };
        let (option, rest) = options.split_at_mut(length);
        if option[0] & COPIED == 0 {
            option.fill(NOTHING);
        }
        options = rest;
    }
}
