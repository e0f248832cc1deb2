//! Properties of the data plane: any bytes are taken, what is encoded is read back, and the rules of RFC 9300 and RFC 6040.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::decap::{NotTaken, Seen, decapsulate};
use super::encap::{NotSent, Outer, locator};
use super::header::{HEADER_BYTES, Header, HeaderError, MAX_24, Tag};
use super::mtu::{Fit, fit, longest_inner, split};
use super::outer::{HEADROOM_BYTES, overhead_bytes, write};
use super::packet::{self, Packet};
use super::table::{Path, Table};
use super::{checksum, icmp, tos};
use crate::wire::Locator;

const A: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 7);
const B: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);
const A6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 7);
const B6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 9);

/// An IPv4 packet of UDP, with options that [`mtu`](super::mtu) has to look at when there are any.
fn ipv4(tos: u8, ttl: u8, flags: u16, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let header_bytes = 20 + options.len();
    let mut bytes = vec![0; 20];
    bytes[0] = 0x40 | u8::try_from(header_bytes / 4).unwrap();
    bytes[1] = tos;
    let total = u16::try_from(header_bytes + payload.len()).unwrap();
    bytes[2..4].copy_from_slice(&total.to_be_bytes());
    bytes[4..6].copy_from_slice(&[0xab, 0xcd]);
    bytes[6..8].copy_from_slice(&flags.to_be_bytes());
    bytes[8..10].copy_from_slice(&[ttl, 17]);
    bytes[12..16].copy_from_slice(&A.octets());
    bytes[16..20].copy_from_slice(&B.octets());
    bytes.extend_from_slice(options);
    let sum = checksum::of(&bytes);
    bytes[10..12].copy_from_slice(&sum.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

fn ipv6(tos: u8, ttl: u8, next: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x60 | tos >> 4, tos << 4, 0, 0];
    bytes.extend_from_slice(&u16::try_from(payload.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(&[next, ttl]);
    bytes.extend_from_slice(&A6.octets());
    bytes.extend_from_slice(&B6.octets());
    bytes.extend_from_slice(payload);
    bytes
}

fn tagged() -> impl Strategy<Value = Tag> {
    prop_oneof![
        Just(Tag::None),
        (0..=MAX_24, any::<bool>()).prop_map(|(value, echo)| Tag::Nonce { value, echo }),
        (0..0x1000_u16, 0..0x1000_u16).prop_map(|(source, destination)| Tag::Versions {
            source,
            destination
        }),
    ]
}

proptest! {
    #[test]
    fn headers_are_read_as_they_are_written(
        tag in tagged(),
        instance in proptest::option::of(0..=MAX_24),
        status in proptest::option::of(any::<u32>()),
    ) {
        let locator_status = status.map(|bits| if instance.is_some() { bits & 0xff } else { bits });
        let header = Header { tag, instance, locator_status };
        prop_assert_eq!(Header::decode(&header.encode()), Ok(header));
    }

    #[test]
    fn any_bytes_are_a_header_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..12)) {
        match Header::decode(&bytes) {
            Ok(header) => prop_assert_eq!(Header::decode(&header.encode()), Ok(header)),
            Err(HeaderError::Short(length)) => prop_assert!(length == bytes.len() && length < HEADER_BYTES),
            Err(HeaderError::Encrypted(key)) => prop_assert_eq!(key, bytes[0] & 3),
        }
    }

    #[test]
    fn any_bytes_are_taken_off(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..200),
        version in prop_oneof![Just(4_u8), Just(6), any::<u8>()],
        tos in any::<u8>(),
        ttl in any::<u8>(),
    ) {
        if let Some(first) = bytes.get_mut(HEADER_BYTES) {
            *first = version << 4 | 5;
        }
        let before = bytes.clone();
        if let Ok(taken) = decapsulate(&mut bytes, Seen { tos, ttl }, 0) {
            let inner = &bytes[HEADER_BYTES..];
            prop_assert_eq!(Packet::parse(inner), Ok(taken));
            prop_assert!(taken.ttl <= ttl && taken.total_bytes <= inner.len());
            prop_assert_eq!(taken.tos >> 2, tos >> 2);
        } else {
            prop_assert_eq!(bytes, before);
        }
    }

    #[test]
    fn a_checksum_follows_its_words(mut words in proptest::collection::vec(any::<u8>(), 20), at in 0_usize..9, to in any::<u16>()) {
        let before = checksum::of(&words);
        let at = at * 2;
        let from = u16::from_be_bytes([words[at], words[at + 1]]);
        words[at..at + 2].copy_from_slice(&to.to_be_bytes());
        // Zero and all ones are one number in this arithmetic.
        let same = |a: u16, b: u16| a == b || [a, b] == [0, 0xffff] || [a, b] == [0xffff, 0];
        prop_assert!(same(checksum::change(before, from, to), checksum::of(&words)));
    }

    #[test]
    fn what_is_changed_keeps_its_checksum(tos in any::<u8>(), ttl in any::<u8>(), new_tos in any::<u8>(), new_ttl in any::<u8>()) {
        let mut bytes = ipv4(tos, ttl, 0x4000, &[], b"12345678");
        packet::set(&mut bytes, new_tos, new_ttl);
        let packet = Packet::parse(&bytes).unwrap();
        prop_assert_eq!((packet.tos, packet.ttl), (new_tos, new_ttl));
        prop_assert_eq!(checksum::of(&bytes[..20]), 0);
        // A sum that was wrong before is as wrong afterwards.
        bytes[10] ^= 0x40;
        packet::set(&mut bytes, tos, ttl);
        prop_assert_ne!(checksum::of(&bytes[..20]), 0);
    }

    #[test]
    fn fragments_are_the_packet(
        payload in proptest::collection::vec(any::<u8>(), 1..4000),
        longest in 40_usize..1500,
        offset in 0_u16..1000,
        more in any::<bool>(),
        options in prop_oneof![Just(vec![]), Just(vec![7, 4, 4, 0]), Just(vec![0x83, 3, 4, 1, 7, 3, 4, 0])],
    ) {
        let flags = u16::from(more) << 13 | offset;
        let bytes = ipv4(3, 9, flags, &options, &payload);
        let packet = Packet::parse(&bytes).unwrap();
        let mut parts = Vec::new();
        split(&bytes, &packet, longest, |part| parts.push(part.to_vec()));
        if fit(&packet, longest) != Fit::Split {
            prop_assert!(parts.is_empty());
            return Ok(());
        }
        let mut joined = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            let read = Packet::parse(part).unwrap();
            prop_assert!(part.len() <= longest && part.len() == read.total_bytes);
            prop_assert_eq!(checksum::of(&part[..read.header_bytes]), 0);
            prop_assert_eq!(read.fragment_offset, usize::from(offset) * 8 + joined.len());
            let is_last = index + 1 == parts.len();
            prop_assert_eq!(part[6] & 0x20 != 0, !is_last || more);
            // A record of the route is the first fragment's alone; a route that was asked for is everyone's.
            let kept = part[20..read.header_bytes].contains(&0x83);
            prop_assert_eq!(kept, options.contains(&0x83));
            prop_assert!(index == 0 || !part[20..read.header_bytes].contains(&7));
            joined.extend_from_slice(&part[read.header_bytes..]);
        }
        prop_assert_eq!(joined, payload.clone());
        let lengths: Vec<_> = parts.iter().map(Vec::len).collect();
        let fewest = payload.len().div_ceil((longest - 20 - options.len()) / 8 * 8);
        prop_assert_eq!(lengths.len(), fewest);
    }
}

fn up(number: u8) -> Locator {
    Locator::new([10, 0, 0, number].into(), 1, 1)
}

#[test]
fn flags_are_where_the_rfc_has_them() {
    let nonce = |value, echo| Tag::Nonce { value, echo };
    let versions = Tag::Versions {
        source: 0xabc,
        destination: 0x123,
    };
    for (bytes, tag, instance, status) in [
        ([0; 8], Tag::None, None, None),
        (
            [0x88, 1, 2, 3, 0, 0, 7, 0],
            nonce(0x01_0203, false),
            Some(7),
            None,
        ),
        (
            [0xe0, 1, 2, 3, 0, 0, 7, 5],
            nonce(0x01_0203, true),
            None,
            Some(0x705),
        ),
        (
            [0x58, 0xab, 0xc1, 0x23, 0, 0, 7, 5],
            versions,
            Some(7),
            Some(5),
        ),
        // Both N and V: the field is a nonce.
        (
            [0x90, 0xab, 0xc1, 0x23, 0, 0, 0, 0],
            nonce(0xab_c123, false),
            None,
            None,
        ),
        // Neither: E and the fields mean nothing, and R never does.
        ([0x24, 1, 2, 3, 9, 9, 9, 9], Tag::None, None, None),
    ] {
        let header = Header::decode(&bytes).unwrap();
        let wanted = Header {
            tag,
            instance,
            locator_status: status,
        };
        assert_eq!(header, wanted, "{bytes:?}");
    }
    assert_eq!(Header::of_instance(7).encode(), [8, 0, 0, 0, 0, 0, 7, 0]);
    assert_eq!(Header::of_instance(0).encode(), [0; 8]);
    assert_eq!(
        Header::decode(&[1, 0, 0, 0, 0, 0, 0, 0]),
        Err(HeaderError::Encrypted(1))
    );
}

#[test]
fn congestion_marks_come_through() {
    // RFC 6040, figure 4: rows are inner, columns outer, in the order Not-ECT, ECT(0), ECT(1), CE.
    let order = [0b00, 0b10, 0b01, 0b11];
    let figure = [
        [Some(0b00), Some(0b00), Some(0b00), None],
        [Some(0b10), Some(0b10), Some(0b01), Some(0b11)],
        [Some(0b01), Some(0b01), Some(0b01), Some(0b11)],
        [Some(0b11), Some(0b11), Some(0b11), Some(0b11)],
    ];
    for (inner, row) in order.iter().zip(figure) {
        for (outer, wanted) in order.iter().zip(row) {
            let left = tos::leaving(0xb8 | inner, 0x28 | outer);
            assert_eq!(
                left,
                wanted.map(|ecn| 0x28 | ecn),
                "{inner:02b} {outer:02b}"
            );
        }
        assert_eq!(tos::entering(0xb8 | inner), 0xb8 | inner);
    }
}

#[test]
fn a_packet_leaves_as_the_rfc_says() {
    for (inner, family) in [
        (ipv4(0xb8, 60, 0x4000, &[], b"payload"), 4),
        (ipv6(0xb8, 60, 17, b"payload!"), 6),
    ] {
        let through = |outer_ttl, outer_tos, header: Header| {
            let mut datagram = header.encode().to_vec();
            datagram.extend_from_slice(&inner);
            let seen = Seen {
                tos: outer_tos,
                ttl: outer_ttl,
            };
            let taken = decapsulate(&mut datagram, seen, 7)?;
            assert_eq!(Packet::parse(&datagram[HEADER_BYTES..]), Ok(taken));
            if family == 4 {
                assert_eq!(checksum::of(&datagram[HEADER_BYTES..HEADER_BYTES + 20]), 0);
            }
            Ok((taken.ttl, taken.tos))
        };
        let ours = Header::of_instance(7);
        assert_eq!(through(50, 0xb8, ours), Ok((50, 0xb8)));
        assert_eq!(through(64, 0x20, ours), Ok((60, 0x20)));
        assert_eq!(through(64, 0xbb, ours), Err(NotTaken::Congestion));
        assert_eq!(through(0, 0xb8, ours), Err(NotTaken::Expired));
        let foreign = through(50, 0xb8, Header::default());
        assert_eq!(foreign, Err(NotTaken::Instance(0)));
    }
}

#[test]
fn flows_keep_their_port_and_differ() {
    let of = |source: u16, fragment: u16| {
        let payload = [&source.to_be_bytes()[..], &[0, 80, 1, 2, 3, 4]].concat();
        Outer::of(&Packet::parse(&ipv4(5, 9, fragment, &[], &payload)).unwrap())
    };
    let one = of(1000, 0x4000);
    assert_eq!((one.tos, one.ttl), (5, 9));
    assert!(one.source_port >= 0xc000);
    assert_eq!(one, of(1000, 0));
    let ports: std::collections::HashSet<_> =
        (0..1000).map(|source| of(source, 0).source_port).collect();
    assert!(ports.len() > 900, "{} ports for 1000 flows", ports.len());
    // Every fragment of a packet takes one way, also those without its ports.
    assert_eq!(of(1000, 0x2000), of(2000, 0x0010));
}

#[test]
fn outer_headers_are_whole_packets() {
    let outer = Outer {
        tos: 0xb9,
        ttl: 61,
        source_port: 0xc123,
    };
    for (from, to) in [(A.into(), B.into()), (IpAddr::from(A6), IpAddr::from(B6))] {
        let mut room = vec![0xff; HEADROOM_BYTES - HEADER_BYTES];
        let payload_bytes = HEADER_BYTES + 100;
        let written = write(&mut room, from, to, outer, payload_bytes).unwrap();
        assert_eq!(written + HEADER_BYTES, overhead_bytes(to));
        let mut bytes = room[room.len() - written..].to_vec();
        bytes.resize(written + payload_bytes, 0);
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!(
            (packet.source, packet.destination, packet.tos, packet.ttl),
            (from, to, 0xb9, 61)
        );
        assert!(packet.keep_whole && packet.total_bytes == bytes.len());
        let udp = &bytes[packet.header_bytes..];
        assert_eq!(udp[..8], [0xc1, 0x23, 0x10, 0xf5, 0, 116, 0, 0]);
        if to.is_ipv4() {
            assert_eq!(checksum::of(&bytes[..20]), 0);
        }
    }
    let mut room = [0; 64];
    assert_eq!(write(&mut room, A.into(), B6.into(), outer, 100), None);
    assert_eq!(write(&mut room, A.into(), B.into(), outer, 65_520), None);
    assert_eq!(write(&mut room[..27], A.into(), B.into(), outer, 100), None);
}

#[test]
fn what_does_not_fit_is_split_or_refused() {
    let (v4, v6) = (IpAddr::from(A), IpAddr::from(A6));
    assert_eq!(
        (longest_inner(1500, v4), longest_inner(1500, v6)),
        (1464, 1444)
    );
    let is = |bytes: Vec<u8>, longest| fit(&Packet::parse(&bytes).unwrap(), longest);
    assert_eq!(is(ipv4(0, 9, 0x4000, &[], &[0; 1444]), 1464), Fit::Whole);
    assert_eq!(is(ipv4(0, 9, 0x4000, &[], &[0; 1445]), 1464), Fit::TooBig);
    assert_eq!(is(ipv4(0, 9, 0, &[], &[0; 1445]), 1464), Fit::Split);
    assert_eq!(is(ipv6(0, 9, 17, &[0; 1425]), 1464), Fit::TooBig);
    let bytes = ipv4(0, 9, 0, &[], &[0; 1480]);
    let mut lengths = Vec::new();
    split(&bytes, &Packet::parse(&bytes).unwrap(), 1464, |part| {
        lengths.push(part.len());
    });
    assert_eq!(lengths, [764, 756]);
}

#[test]
fn senders_of_big_packets_are_told_and_nobody_else() {
    let told = |bytes: &[u8], from: IpAddr| {
        icmp::too_big(bytes, &Packet::parse(bytes).unwrap(), 1444, from)
    };
    let big = ipv4(0, 9, 0x4000, &[], &[7; 1480]);
    let answer = told(&big, B.into()).unwrap();
    let packet = Packet::parse(&answer).unwrap();
    assert_eq!((packet.source, packet.destination), (B.into(), A.into()));
    assert_eq!(checksum::of(&answer[..20]), 0);
    assert_eq!(checksum::of(&answer[20..]), 0);
    assert_eq!(answer[20..22], [3, 4]);
    assert_eq!(answer[26..28], 1444_u16.to_be_bytes());
    assert_eq!((answer.len(), &answer[28..]), (576, &big[..548]));

    let big = ipv6(0, 9, 17, &[7; 1480]);
    let answer = told(&big, B6.into()).unwrap();
    let packet = Packet::parse(&answer).unwrap();
    assert_eq!((packet.source, packet.destination), (B6.into(), A6.into()));
    assert_eq!(answer[40..42], [2, 0]);
    assert_eq!(answer[44..48], 1444_u32.to_be_bytes());
    assert_eq!((answer.len(), &answer[48..]), (1280, &big[..1232]));
    let mut pseudo = answer[8..40].to_vec();
    pseudo.extend_from_slice(&[0, 0, 4, 0xd8, 0, 0, 0, 58]);
    pseudo.extend_from_slice(&answer[40..]);
    assert_eq!(checksum::of(&pseudo), 0);

    assert_eq!(told(&big, B.into()), None, "of another family");
    let later = ipv4(0, 9, 0x0010, &[], &[7; 1480]);
    assert_eq!(told(&later, B.into()), None, "not the first fragment");
    let mut error = ipv4(0, 9, 0x4000, &[], &[3; 1480]);
    error[9] = 1;
    assert_eq!(told(&error, B.into()), None, "an error itself");
    error[20] = 8;
    assert!(told(&error, B.into()).is_some(), "a ping");
    let error = ipv6(0, 9, 58, &[1; 1480]);
    assert_eq!(told(&error, B6.into()), None, "an error itself");
    let mut from_all = ipv4(0, 9, 0x4000, &[], &[7; 1480]);
    from_all[12..16].fill(255);
    assert_eq!(told(&from_all, B.into()), None, "from no host");
}

#[test]
fn the_longest_prefix_decides() {
    let net = |text: &str| text.parse().unwrap();
    let tunnel = |number| Path::Tunnel(vec![up(number)]);
    let mut table = Table::new([
        (net("10.96.0.0/16"), tunnel(1)),
        (net("10.96.0.10/32"), tunnel(2)),
        (net("10.96.1.0/24"), Path::Drop),
        (net("10.0.0.0/8"), Path::Natively),
        (net("10.96.2.0/24"), Path::Tunnel(vec![])),
        (net("2001:db8:2::/48"), tunnel(3)),
    ]);
    let to = |table: &Table, destination: [u8; 4]| {
        let mut bytes = ipv4(0, 9, 0, &[], b"12345678");
        bytes[16..20].copy_from_slice(&destination);
        locator(table, &Packet::parse(&bytes).unwrap())
    };
    let number = |number| Ok(IpAddr::from([10, 0, 0, number]));
    assert_eq!(to(&table, [10, 96, 0, 10]), number(2));
    assert_eq!(to(&table, [10, 96, 0, 11]), number(1));
    assert_eq!(to(&table, [10, 96, 1, 1]), Err(NotSent::Denied));
    assert_eq!(to(&table, [10, 97, 0, 1]), Err(NotSent::Native));
    assert_eq!(to(&table, [10, 96, 2, 1]), Err(NotSent::NoLocator));
    assert_eq!(to(&table, [11, 0, 0, 1]), Err(NotSent::NoMapping));
    let v6 = ipv6(0, 9, 17, b"12345678");
    assert_eq!(locator(&table, &Packet::parse(&v6).unwrap()), number(3));
    let expired = ipv6(0, 0, 17, b"12345678");
    let expired = locator(&table, &Packet::parse(&expired).unwrap());
    assert_eq!(expired, Err(NotSent::Expired));
    table.set(net("10.96.0.10/32"), tunnel(4));
    assert_eq!(to(&table, [10, 96, 0, 10]), number(4));
    assert_eq!(table.len(), 6);
}
