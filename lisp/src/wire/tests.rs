//! Messages of any content are read as they were written, any bytes are read or refused, and those of Debian's Open Overlay
//! Router are understood.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use proptest::collection::vec;
use proptest::prelude::*;

use super::identity::IDENTITY_BYTES;
use super::*;
use crate::auth::{Algorithm, Key, KeyRing, NotAuthentic};
use crate::eid::{Eid, InstanceId};

fn eid() -> impl Strategy<Value = Eid> {
    let instance = prop_oneof![Just(0), 0_u32..1 << 24];
    (instance, any::<IpAddr>(), 0_u8..=128).prop_map(|(instance, address, length)| {
        let length = if address.is_ipv4() {
            length % 33
        } else {
            length
        };
        let prefix = IpNet::new(address, length).unwrap();
        Eid::new(InstanceId::try_from(instance).unwrap(), prefix)
    })
}

fn host() -> impl Strategy<Value = Eid> {
    eid().prop_map(|eid| Eid::host(eid.instance(), eid.address()))
}

fn locator() -> impl Strategy<Value = Locator> {
    (any::<IpAddr>(), any::<[u8; 4]>(), any::<[bool; 3]>()).prop_map(|(address, numbers, flags)| {
        Locator {
            address,
            priority: numbers[0],
            weight: numbers[1],
            multicast_priority: numbers[2],
            multicast_weight: numbers[3],
            local: flags[0],
            probed: flags[1],
            reachable: flags[2],
        }
    })
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        Just(Action::NoAction),
        Just(Action::NativelyForward),
        Just(Action::SendMapRequest),
        Just(Action::Drop),
        Just(Action::PolicyDenied),
        Just(Action::AuthFailure),
        any::<bool>().prop_map(Action::Unassigned),
    ]
}

fn record() -> impl Strategy<Value = Record> {
    let rest = (any::<u32>(), any::<bool>(), 0_u16..1 << 12);
    (eid(), action(), vec(locator(), 0..4), rest).prop_map(|(eid, action, locators, rest)| Record {
        ttl_minutes: rest.0,
        eid,
        action,
        authoritative: rest.1,
        map_version: rest.2,
        locators,
    })
}

fn identity() -> impl Strategy<Value = Identity> {
    (any::<u128>(), any::<u64>()).prop_map(|(xtr_id, site_id)| Identity { xtr_id, site_id })
}

fn request() -> impl Strategy<Value = MapRequest> {
    let query = (eid(), any::<bool>()).prop_map(|(eid, notify)| Query { eid, notify });
    let extras = (
        proptest::option::of(host()),
        proptest::option::of(record()),
        proptest::option::of(identity()),
    );
    (
        any::<(u32, u64)>(),
        vec(any::<IpAddr>(), 0..33),
        vec(query, 1..4),
        extras,
    )
        .prop_map(
            |((flags, nonce), itr_rlocs, queries, (source_eid, map_data, identity))| MapRequest {
                flags: RequestFlags::from_bits_truncate(flags),
                nonce,
                source_eid,
                itr_rlocs,
                queries,
                map_data,
                identity,
            },
        )
}

fn reply() -> impl Strategy<Value = MapReply> {
    (any::<(u32, u64)>(), vec(record(), 1..4)).prop_map(|((flags, nonce), records)| MapReply {
        flags: ReplyFlags::from_bits_truncate(flags),
        nonce,
        records,
    })
}

fn signed() -> impl Strategy<Value = Signed> {
    let kind = prop_oneof![
        any::<u32>().prop_map(|bits| SignedKind::Register(RegisterFlags::from_bits_truncate(bits))),
        Just(SignedKind::Notify),
        Just(SignedKind::NotifyAck),
    ];
    (
        kind,
        any::<u64>(),
        vec(record(), 1..4),
        proptest::option::of(identity()),
    )
        .prop_map(|(kind, nonce, records, identity)| Signed {
            kind,
            nonce,
            records,
            identity,
        })
}

fn key() -> impl Strategy<Value = Key> {
    let algorithm = prop_oneof![
        Just(Algorithm::Sha1),
        Just(Algorithm::Sha256),
        Just(Algorithm::Sha256Hkdf)
    ];
    (
        any::<u8>(),
        algorithm,
        vec(any::<u8>(), 0..80),
        any::<bool>(),
    )
        .prop_map(|(id, algorithm, secret, short)| {
            let key = Key::new(id, algorithm, &secret);
            if short { key.short() } else { key }
        })
}

proptest! {
    #[test]
    fn requests_round_trip(request in request(), source in any::<SocketAddr>(), port in any::<u16>()) {
        prop_assert_eq!(Message::parse(&request.encode()), Ok(Message::Request(request.clone())));
        let source = SocketAddr::new(source.ip(), if port == 4341 { 1 } else { port });
        let encapsulated = Encapsulated { source, destination: source.ip(), request };
        let bytes = encapsulated.encode();
        let read = Message::parse(&bytes);
        if bytes.len() <= MAX_MESSAGE_BYTES {
            prop_assert_eq!(read, Ok(Message::Encapsulated(Box::new(encapsulated))));
        }
    }

    #[test]
    fn replies_round_trip(reply in reply()) {
        prop_assert_eq!(Message::parse(&reply.encode()), Ok(Message::Reply(reply)));
    }

    #[test]
    fn signed_messages_round_trip_and_no_byte_of_them_can_be_changed(
        signed in signed(), key in key(), secret in vec(any::<u8>(), 80), at in any::<prop::sample::Index>(), bit in 0_u8..8,
    ) {
        let bytes = signed.encode(&key);
        prop_assert_eq!(Message::parse(&bytes), Ok(Message::Signed(signed)));
        let other = KeyRing::new().with(key.id(), &secret).with_sha1();
        prop_assert_eq!(other.verify(&bytes), Err(NotAuthentic::Mac));
        let mut changed = bytes.clone();
        changed[at.index(bytes.len())] ^= 1_u8 << bit;
        prop_assert!(other.verify(&changed).is_err());
    }

    #[test]
    fn sizes_are_known_before_a_record_is_written(record in record()) {
        let reply = |records: Vec<Record>| MapReply { flags: ReplyFlags::empty(), nonce: 0, records }.encode().len();
        let one = reply(vec![record.clone()]);
        prop_assert_eq!(reply(vec![record.clone(), record.clone()]) - one, record.wire_bytes());
    }

    #[test]
    fn any_bytes_are_read_or_refused(mut bytes in vec(any::<u8>(), 0..300), kind in 0_u8..16) {
        if let Some(first) = bytes.first_mut() {
            *first = *first & 0x0f | kind << 4;
        }
        check(&bytes);
    }

    #[test]
    fn messages_that_are_cut_or_changed_are_read_or_refused(
        request in request(), signed in signed(), cut in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let key = Key::new(1, Algorithm::Sha256, b"k");
        for mut bytes in [request.encode(), signed.encode(&key)] {
            let at = cut.index(bytes.len());
            // A Map-Notify has no bit that says whether an identity follows: without it, it is whole too.
            let is_whole = at + IDENTITY_BYTES == bytes.len();
            prop_assert!(is_whole || Message::parse(&bytes[..at]).is_err());
            bytes[at] = byte;
            check(&bytes);
        }
    }
}

/// What is read is written and read again as it was.
fn check(bytes: &[u8]) {
    let again = match Message::parse(bytes) {
        Err(_) => return,
        Ok(Message::Request(request)) => request.encode(),
        Ok(Message::Reply(reply)) => reply.encode(),
        Ok(Message::Signed(signed)) => signed.encode(&Key::new(1, Algorithm::Sha256, b"k")),
        Ok(Message::Encapsulated(one)) => one.encode(),
    };
    assert_eq!(Message::parse(bytes), Message::parse(&again));
}

fn bytes_of(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex.chars().filter(|c| !c.is_whitespace()).collect();
    let byte = |pair: &[char]| u8::from_str_radix(&String::from_iter(pair), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn eid_of(text: &str) -> Eid {
    text.parse().unwrap()
}

/// A registration whose MACs were computed by another implementation (Python's `hmac`), for each algorithm.
#[test]
fn golden_macs() {
    let locator = Locator::new("10.0.0.11".parse().unwrap(), 1, 100);
    let record = Record {
        authoritative: true,
        ..Record::new(eid_of("10.96.0.10"), 1440, vec![locator])
    };
    let register = Signed {
        kind: SignedKind::Register(
            RegisterFlags::PROXY_REPLY | RegisterFlags::MERGE | RegisterFlags::WANT_NOTIFY,
        ),
        nonce: 7,
        records: vec![record],
        identity: Some(Identity {
            xtr_id: 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff,
            site_id: 0x0102_0304_0506_0708,
        }),
    };
    let secret = b"secretS";
    for (key, mac) in [
        (
            Key::new(0, Algorithm::Sha1, secret),
            "fb530c4f5c613b4277ea8a0784120ad4ae51183b",
        ),
        (
            Key::new(1, Algorithm::Sha256, secret),
            "4efda841cb6daf66b4663d514357a149532b71081c3e55c822e3a33fc2d8abbe",
        ),
        (
            Key::new(1, Algorithm::Sha256, secret).short(),
            "c20bbb68afc287e23295b35c3dc1d0c7",
        ),
    ] {
        let bytes = register.encode(&key);
        assert_eq!(bytes[..4], [0x3a, 0, 5, 1]);
        assert_eq!(bytes[16..16 + key.mac_bytes()], bytes_of(mac), "{key:?}");
        let ring = KeyRing::new().with(key.id(), secret).with_sha1();
        assert_eq!(ring.verify(&bytes), Ok(key));
    }
    let by_hkdf = register.encode(&Key::new(1, Algorithm::Sha256Hkdf, secret));
    let mut relabelled = by_hkdf.clone();
    relabelled[13] = 2;
    let ring = KeyRing::new().with(1, secret);
    assert!(ring.verify(&by_hkdf).is_ok());
    assert_eq!(ring.verify(&relabelled), Err(NotAuthentic::Mac));
}

#[test]
fn what_is_not_signed_well_is_refused_by_its_reason() {
    let secret = b"secretS";
    let notify = Signed {
        kind: SignedKind::Notify,
        nonce: 1,
        records: vec![Record::negative(eid_of("10.96.0.10"), 0, Action::NoAction)],
        identity: None,
    };
    let strict = KeyRing::new().with(1, secret);
    let good = notify.encode(&Key::new(1, Algorithm::Sha256, secret));
    assert!(strict.verify(&good).is_ok());
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        strict.verify(&bytes)
    };
    assert_eq!(with(12, 2), Err(NotAuthentic::Key(2)));
    assert_eq!(with(13, 0), Err(NotAuthentic::None));
    assert_eq!(with(13, 9), Err(NotAuthentic::Algorithm(9)));
    assert_eq!(with(15, 31), Err(NotAuthentic::Length(31)));
    assert_eq!(with(16, good[16] ^ 1), Err(NotAuthentic::Mac));
    let old = notify.encode(&Key::new(1, Algorithm::Sha1, secret));
    assert_eq!(strict.verify(&old), Err(NotAuthentic::Algorithm(1)));
    assert!(strict.clone().with_sha1().verify(&old).is_ok());
    assert_eq!(strict.verify(&[]), Err(NotAuthentic::None));
    assert!(!format!("{:?} {strict:?}", Key::new(1, Algorithm::Sha256, secret)).contains("115"));
}

/// A Map-Register of Open Overlay Router 1.3.0 for an EID in no instance, and one for an EID in instance 7.
const OOR_REGISTER: [&str; 2] = [
    "38000101 ffe3cb6b5fc1a3cd 00010014 7d0d4d0fd9bd0664a91ddd2bfca1b867c9259d89
     0000000a 01181000 00000001 c0a80100 0164ff00 00050001 0a00000b",
    "38000101 87d36f6f87679201 00010014 4990c82dcfe19aa03d4e26424d48b63bf767bf74
     0000000a 01181000 00004003 00000220 000a0000 00070001 c0a80100 0164ff00 00050001 0a00000b",
];

/// Open Overlay Router's Encapsulated Map-Request for an EID of another site, in no instance.
const OOR_REQUEST: &str = "80000000 4500003c 00024000 ff11f759 c0a80102 c0a80202 10f610f6 0028a87b
     10000001 9f510b6b5601119f 0001c0a80102 00010a00000b 00200001 c0a80202";

/// The Map-Reply that its Map-Server gave.
const OOR_REPLY: &str =
    "20000001 9f510b6b5601119f 0000000a 01180000 00000001 c0a80200 0164ff00 00010001 0a00000d";

#[test]
fn open_overlay_router_is_understood() {
    let ring = KeyRing::new().with(0, b"secretA").with_sha1();
    for (hex, eid) in OOR_REGISTER
        .into_iter()
        .zip(["192.168.1.0/24", "[7]192.168.1.0/24"])
    {
        let bytes = bytes_of(hex);
        let register = Signed::parse(&bytes).unwrap();
        let flags = RegisterFlags::PROXY_REPLY | RegisterFlags::WANT_NOTIFY;
        assert_eq!(register.kind, SignedKind::Register(flags));
        let locator = Locator {
            multicast_priority: 255,
            ..Locator::new("10.0.0.11".parse().unwrap(), 1, 100)
        };
        let record = Record {
            authoritative: true,
            ..Record::new(eid_of(eid), 10, vec![locator])
        };
        assert_eq!(register.records, [record]);
        let key = ring.verify(&bytes).unwrap();
        assert_eq!(register.encode(&key), bytes, "byte for byte");
    }

    let request = Encapsulated::parse(&bytes_of(OOR_REQUEST)).unwrap();
    assert_eq!(request.source, "192.168.1.2:4342".parse().unwrap());
    assert_eq!(request.request.source_eid, Some(eid_of("192.168.1.2")));
    assert_eq!(
        request.request.itr_rlocs,
        ["10.0.0.11".parse::<IpAddr>().unwrap()]
    );
    assert_eq!(request.request.queries[0].eid, eid_of("192.168.2.2"));
    assert_eq!(request.request.encode(), bytes_of(OOR_REQUEST)[32..]);

    let reply = MapReply::parse(&bytes_of(OOR_REPLY)).unwrap();
    assert_eq!(reply.nonce, request.request.nonce);
    assert_eq!(reply.records[0].eid, eid_of("192.168.2.0/24"));
    assert_eq!(reply.encode(), bytes_of(OOR_REPLY));
}

#[test]
fn what_is_wrong_is_named() {
    let base = MapRequest::new(1, eid_of("10.0.0.1"), vec!["192.0.2.1".parse().unwrap()]).encode();
    let changed = |at: usize, byte: u8| {
        let mut bytes = base.clone();
        bytes[at] = byte;
        Message::parse(&bytes)
    };
    assert_eq!(Message::parse(&[]), Err(Malformed::Truncated(0)));
    assert_eq!(changed(0, 0x60), Err(Malformed::Type(6)));
    assert_eq!(changed(3, 0), Err(Malformed::NoRecord));
    assert_eq!(changed(15, 9), Err(Malformed::Afi(9)));
    assert_eq!(changed(21, 33), Err(Malformed::MaskLength(33)));
    assert_eq!(
        Message::parse(&[base.clone(), vec![0]].concat()),
        Err(Malformed::Trailing(1))
    );
    assert_eq!(Message::parse(&[0; 4097]), Err(Malformed::TooLong(4097)));

    let mut encapsulated = bytes_of(OOR_REQUEST);
    encapsulated[50] ^= 1;
    assert!(matches!(
        Message::parse(&encapsulated),
        Err(Malformed::Encapsulated(_))
    ));
    let mut unsummed = bytes_of(OOR_REQUEST);
    unsummed[30..32].fill(0);
    assert!(matches!(
        Message::parse(&unsummed),
        Err(Malformed::Encapsulated(_))
    ));
}
