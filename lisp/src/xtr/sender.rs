//! What sends tunnelled packets: as whole packets with a checksum of zero, or as segments whose outer headers the system makes.
//!
//! A UDP checksum of zero, which RFC 9300 asks for, and segmentation by the system exclude each other on Linux.

use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd as _;

use nix::libc;
use socket2::Socket;

use crate::data::decap::Seen;
use crate::data::encap::Outer;
use crate::data::header::HEADER_BYTES;
use crate::data::outer::{self, HEADROOM_BYTES};
use crate::ports::DATA_PORT;

use super::count::{Count, Tally};
use super::mmsg::{self, Message};
use super::sockets;

/// The offset in a slot at which a packet with its LISP header begins.
pub(crate) const AT: usize = HEADROOM_BYTES - HEADER_BYTES;

/// Source ports that flows are spread over where the system makes outer headers: each is a socket of its own.
const PORTS: u16 = 8;

/// Datagrams that one call hands over as one; kernels before 6.9 take no more.
const MAX_SEGMENTS: usize = 64;

/// Bytes of datagrams that one call hands over as one, with room for the headers of one IP packet.
const MAX_SEGMENTED_BYTES: usize = 65_000;

/// A packet that is ready for the tunnel: the LISP header and what is behind, at [`AT`] in its slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outgoing {
    /// The slot.
    pub slot: usize,
    /// Length from the LISP header on.
    pub bytes: usize,
    /// The locator.
    pub to: IpAddr,
    /// The fields that the outer header takes from the inner one.
    pub outer: Outer,
}

/// The way to send.
#[derive(Debug)]
pub(crate) enum Sender {
    /// Whole packets, one socket of each family, by our locator.
    Whole(Vec<(IpAddr, Socket)>),
    /// Segments, from [`PORTS`] sockets of each family.
    Segments {
        /// The sockets, by our locator.
        sockets: Vec<(IpAddr, Vec<Socket>)>,
        /// Whether the system still takes several datagrams as one.
        merges: bool,
    },
}

impl Sender {
    /// A sender of whole packets from these locators.
    pub(crate) fn whole(locators: &[IpAddr]) -> io::Result<Self> {
        let open = |&locator| Ok((locator, sockets::raw(locator)?));
        let opened: io::Result<_> = locators.iter().map(open).collect();
        Ok(Self::Whole(opened?))
    }

    /// A sender of segments from these locators; of whole packets where the system has no segments.
    pub(crate) fn segments(locators: &[IpAddr]) -> io::Result<Self> {
        let open = |&locator| {
            let ports = (0..PORTS).map(|_| sockets::sender(locator));
            Ok((locator, ports.collect::<io::Result<Vec<_>>>()?))
        };
        let opened: io::Result<Vec<_>> = locators.iter().map(open).collect();
        let sockets = opened?;
        let can_segment = sockets
            .iter()
            .all(|(_, ports)| ports.iter().all(sockets::can_segment));
        if can_segment {
            Ok(Self::Segments {
                sockets,
                merges: true,
            })
        } else {
            Self::whole(locators)
        }
    }

    /// The way in one word, for people.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Whole(_) => "whole packets, UDP checksum zero",
            Self::Segments { .. } => "segments, UDP checksum by the system",
        }
    }

    /// Sends the packets. What the system refuses is counted.
    pub(crate) fn send(&mut self, slots: &mut [Vec<u8>], packets: &[Outgoing], tally: &mut Tally) {
        match self {
            Self::Whole(sockets) => {
                for (locator, socket) in sockets {
                    send_whole(*locator, socket, slots, packets, tally);
                }
            }
            Self::Segments { sockets, merges } => {
                for (locator, ports) in sockets {
                    send_segments(*locator, ports, merges, slots, packets, tally);
                }
            }
        }
    }
}

fn send_whole(
    from: IpAddr,
    socket: &Socket,
    slots: &mut [Vec<u8>],
    packets: &[Outgoing],
    tally: &mut Tally,
) {
    let mut starts = Vec::with_capacity(packets.len());
    for packet in packets
        .iter()
        .filter(|packet| packet.to.is_ipv4() == from.is_ipv4())
    {
        let room = &mut slots[packet.slot][..AT];
        match outer::write(room, from, packet.to, packet.outer, packet.bytes) {
            Some(written) => starts.push((packet, AT - written)),
            None => tally.one(Count::TooBig),
        }
    }
    let part = |&(packet, start): &(&Outgoing, usize)| {
        let end = AT + packet.bytes;
        [IoSlice::new(&slots[packet.slot][start..end])]
    };
    let parts: Vec<_> = starts.iter().map(part).collect();
    let messages: Vec<_> = starts
        .iter()
        .zip(&parts)
        .map(|((packet, _), parts)| Message {
            to: SocketAddr::new(packet.to, 0),
            parts,
            outer: None,
            segment: None,
        })
        .collect();
    send_all(socket, &messages, |failed| count(tally, &failed.source));
}

/// Datagrams that go as one.
struct Group<'a> {
    to: IpAddr,
    outer: Seen,
    port: usize,
    parts: Vec<IoSlice<'a>>,
    segment: usize,
    bytes: usize,
    is_open: bool,
}

fn send_segments(
    from: IpAddr,
    ports: &[Socket],
    merges: &mut bool,
    slots: &[Vec<u8>],
    packets: &[Outgoing],
    tally: &mut Tally,
) {
    let ours = packets
        .iter()
        .filter(|packet| packet.to.is_ipv4() == from.is_ipv4());
    let groups = grouped(ours, slots, ports.len(), *merges);
    for (port, socket) in ports.iter().enumerate() {
        let mine: Vec<_> = groups.iter().filter(|group| group.port == port).collect();
        let messages: Vec<_> = mine
            .iter()
            .map(|group| Message {
                to: SocketAddr::new(group.to, DATA_PORT),
                parts: &group.parts,
                outer: Some(group.outer),
                segment: (group.parts.len() > 1)
                    .then(|| u16::try_from(group.segment).unwrap_or(u16::MAX)),
            })
            .collect();
        let mut failed = Vec::new();
        send_all(socket, &messages, |error| {
            failed.push((error.index, error.source.raw_os_error()));
        });
        for (index, errno) in failed {
            let group = mine[index];
            // EIO: nothing on the way computes checksums, and none of what comes later will go either.
            if errno == Some(libc::EIO) && group.parts.len() > 1 {
                *merges = false;
                tracing::warn!("the system does not segment on this way: datagrams go one by one");
            }
            send_one_by_one(socket, group, tally);
        }
    }
}

/// Puts packets of one way and length together, in the order in which they came.
fn grouped<'a>(
    packets: impl Iterator<Item = &'a Outgoing>,
    slots: &'a [Vec<u8>],
    ports: usize,
    merges: bool,
) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for packet in packets {
        let part = IoSlice::new(&slots[packet.slot][AT..AT + packet.bytes]);
        let outer = Seen {
            tos: packet.outer.tos,
            ttl: packet.outer.ttl,
        };
        let port = usize::from(packet.outer.source_port) % ports;
        let is_same =
            |group: &Group<'_>| group.port == port && group.to == packet.to && group.outer == outer;
        // Only the last group of a way is looked at: packets of a flow stay in order.
        let last = groups.iter_mut().rev().find(|group| is_same(group));
        match last {
            Some(group)
                if merges
                    && group.is_open
                    && packet.bytes <= group.segment
                    && group.parts.len() < MAX_SEGMENTS
                    && group.bytes + packet.bytes <= MAX_SEGMENTED_BYTES =>
            {
                // A shorter one ends the group: all but the last have one length.
                group.is_open = packet.bytes == group.segment;
                group.bytes += packet.bytes;
                group.parts.push(part);
            }
            _ => groups.push(Group {
                to: packet.to,
                outer,
                port,
                parts: vec![part],
                segment: packet.bytes,
                bytes: packet.bytes,
                is_open: true,
            }),
        }
    }
    groups
}

fn send_one_by_one(socket: &Socket, group: &Group<'_>, tally: &mut Tally) {
    let messages: Vec<_> = group
        .parts
        .chunks(1)
        .map(|parts| Message {
            to: SocketAddr::new(group.to, DATA_PORT),
            parts,
            outer: Some(group.outer),
            segment: None,
        })
        .collect();
    send_all(socket, &messages, |failed| count(tally, &failed.source));
}

/// A message that the system did not take.
struct Failed {
    index: usize,
    source: io::Error,
}

/// Sends every message; whatever fails does not keep the next from going.
fn send_all(socket: &Socket, messages: &[Message<'_>], mut failed: impl FnMut(Failed)) {
    let mut index = 0;
    while index < messages.len() {
        match mmsg::send(socket.as_fd(), &messages[index..]) {
            Ok(sent) => index += sent.max(1),
            Err(source) if source.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => {
                failed(Failed { index, source });
                index += 1;
            }
        }
    }
}

fn count(tally: &mut Tally, error: &io::Error) {
    tally.one(match error.raw_os_error() {
        Some(libc::EMSGSIZE) => Count::TooBig,
        _ => Count::Refused,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_of_one_way_and_length_go_as_one() {
        let slots = vec![vec![0; AT + 2000]; 300];
        let packet = |slot, bytes, to: u8, source_port| Outgoing {
            slot,
            bytes,
            to: IpAddr::from([10, 0, 0, to]),
            outer: Outer {
                tos: 0,
                ttl: 64,
                source_port,
            },
        };
        let sizes = |packets: &[Outgoing], merges| -> Vec<_> {
            let groups = grouped(packets.iter(), &slots, 8, merges);
            groups.iter().map(|group| group.parts.len()).collect()
        };
        let flow = [
            packet(0, 100, 1, 0),
            packet(1, 100, 1, 0),
            packet(2, 50, 1, 0),
            packet(3, 50, 1, 0),
        ];
        assert_eq!(sizes(&flow, true), [3, 1]);
        assert_eq!(sizes(&flow, false), [1; 4]);
        let longer = [packet(0, 100, 1, 0), packet(1, 101, 1, 0)];
        assert_eq!(sizes(&longer, true), [1, 1]);
        let others = [
            packet(0, 9, 1, 0),
            packet(1, 9, 2, 0),
            packet(2, 9, 1, 1),
            packet(3, 9, 1, 8),
        ];
        assert_eq!(sizes(&others, true), [2, 1, 1]);
        let many: Vec<_> = (0..130).map(|slot| packet(slot, 100, 1, 0)).collect();
        assert_eq!(sizes(&many, true), [64, 64, 2]);
        let large: Vec<_> = (0..60).map(|slot| packet(slot, 1400, 1, 0)).collect();
        assert_eq!(sizes(&large, true), [46, 14]);
    }
}
