//! Any bytes as a packet at both ends of a tunnel: what is read is within the bytes, what is split is the packet again, and
//! what an answer quotes is its start.
#![no_main]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use libfuzzer_sys::fuzz_target;
use lisp::data::decap::{Seen, decapsulate};
use lisp::data::header::{HEADER_BYTES, Header};
use lisp::data::mtu::{Fit, fit, split};
use lisp::data::packet::Packet;
use lisp::data::{icmp, packet};

fuzz_target!(|input: (u8, u8, u16, &[u8])| {
    let (tos, ttl, longest, bytes) = input;
    if let Ok(header) = Header::decode(bytes) {
        assert_eq!(Header::decode(&header.encode()), Ok(header));
        let mut datagram = bytes.to_vec();
        if let Ok(taken) = decapsulate(&mut datagram, Seen { tos, ttl }, header.instance()) {
            assert_eq!(Packet::parse(&datagram[HEADER_BYTES..]), Ok(taken));
            assert!(taken.ttl <= ttl && datagram.len() == bytes.len());
        }
    }
    let Ok(read) = Packet::parse(bytes) else {
        return;
    };
    assert!(read.header_bytes <= read.total_bytes && read.total_bytes <= bytes.len());
    let mut changed = bytes.to_vec();
    packet::set(&mut changed, tos, ttl);
    let changed = Packet::parse(&changed).expect("as whole as before");
    assert_eq!((changed.tos, changed.ttl, changed.flow), (tos, ttl, read.flow));

    let longest = usize::from(longest);
    let (mut joined, mut parts) = (Vec::new(), 0);
    split(bytes, &read, longest, |part| {
        let of_part = Packet::parse(part).expect("a fragment is a packet");
        assert!(part.len() <= longest);
        joined.extend_from_slice(&part[of_part.header_bytes..]);
        parts += 1;
    });
    if fit(&read, longest) == Fit::Split && parts > 0 {
        let payload = &bytes[read.header_bytes..read.total_bytes];
        assert!(payload.starts_with(&joined));
    } else {
        assert_eq!(parts, 0);
    }
    let from: IpAddr = match read.source {
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    if let Some(answer) = icmp::too_big(bytes, &read, 1280, from) {
        let read_back = Packet::parse(&answer).expect("an answer is a packet");
        assert_eq!(read_back.destination, read.source);
        assert!(bytes.starts_with(&answer[read_back.header_bytes + 8..]));
    }
});
