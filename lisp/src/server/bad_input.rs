//! Tests: messages that are forged, broken, or sent by whoever should not, at a Map-Server and at an xTR. Each leads to nothing but its
//! counter.

use std::net::SocketAddr;
use std::time::Duration;

use super::*;
use crate::auth::{Algorithm, Key};
use crate::edge::Ignored;
use crate::ports::CONTROL_PORT;
use crate::wire::{
    Encapsulated, Identity, Locator, MAX_MESSAGE_BYTES, Malformed, MapReply, MapRequest, Record,
    RegisterFlags, ReplyFlags, Signed, SignedKind,
};
use crate::world::{BEGUN_NS, SERVER, World, edge, eid, rloc, secret, server_config};

const SERVICE: &str = "10.112.0.10";

fn from(last: u8) -> SocketAddr {
    SocketAddr::new(rloc(last), CONTROL_PORT)
}

fn record() -> Record {
    Record::new(eid(SERVICE), 60, vec![Locator::new(rloc(11), 1, 100)])
}

fn signed(kind: SignedKind, key: &Key) -> Vec<u8> {
    let identity = matches!(kind, SignedKind::Register(_)).then_some(Identity {
        xtr_id: 99,
        site_id: 1,
    });
    Signed {
        kind,
        nonce: 1,
        records: vec![record()],
        identity,
    }
    .encode(key)
}

fn register(key: &Key) -> Vec<u8> {
    let flags = RegisterFlags::WANT_NOTIFY | RegisterFlags::MERGE;
    signed(SignedKind::Register(flags), key)
}

fn key(id: u8) -> Key {
    Key::new(id, Algorithm::Sha256, &secret(1))
}

fn subscription(xtr_id: u128, last: u8) -> MapRequest {
    let mut request = MapRequest::new(1, eid(SERVICE), vec![rloc(last)]);
    request.queries[0].notify = true;
    request.identity = Some(Identity { xtr_id, site_id: 3 });
    request
}

/// A good message of each type.
fn every_type() -> Vec<Vec<u8>> {
    let reply = MapReply {
        flags: ReplyFlags::empty(),
        nonce: 1,
        records: vec![record()],
    };
    let encapsulated = Encapsulated {
        source: from(13),
        destination: eid(SERVICE).address(),
        request: subscription(5, 13),
    };
    vec![
        subscription(5, 13).encode(),
        reply.encode(),
        register(&key(1)),
        signed(SignedKind::Notify, &key(1)),
        signed(SignedKind::NotifyAck, &key(1)),
        encapsulated.encode(),
    ]
}

#[test]
fn truncated_and_oversized_messages_are_counted_and_change_nothing() {
    let mut world = World::new();
    let now = world.now;
    let mut tried = 0;
    for message in every_type() {
        let mut broken: Vec<_> = (0..message.len())
            .map(|length| message[..length].to_vec())
            .collect();
        let longer = |more: usize| [message.as_slice(), &vec![0; more]].concat();
        broken.push(longer(MAX_MESSAGE_BYTES));
        // An encapsulated packet says itself where it ends.
        if message[0] >> 4 != 8 {
            broken.extend([longer(1), longer(4)]);
        }
        for bytes in broken {
            tried += 1;
            let refused = world.server.handle(from(13), &bytes, now);
            assert!(
                matches!(refused, Err(Refused::Malformed(_))),
                "{refused:?}: {bytes:02x?}"
            );
            let ignored = world.edge(3).handle(from(13), &bytes, now);
            assert!(
                matches!(ignored, Err(Ignored::Malformed(_))),
                "{ignored:?}: {bytes:02x?}"
            );
        }
    }
    assert_eq!(
        world
            .server
            .handle(from(13), &[0x30; MAX_MESSAGE_BYTES + 1], now),
        Err(Refused::Malformed(Malformed::TooLong(
            MAX_MESSAGE_BYTES + 1
        )))
    );
    assert_eq!(world.counted("malformed"), tried + 1);
    assert_eq!(world.counted_by(3, "malformed"), tried);
    assert!(world.server.poll_transmit().is_none(), "nobody is answered");
    assert!(world.edge(3).poll_transmit().is_none() && world.edge(3).poll_event().is_none());
    assert!(world.server.sizes().iter().all(|(_, size)| *size == 0));
}

#[test]
fn keys_that_nobody_has_sign_nothing() {
    let mut world = World::new();
    let now = world.now;
    let guessed = Key::new(1, Algorithm::Sha256, b"guess");
    let mut flipped = register(&key(1));
    flipped[16] ^= 1;
    for forged in [register(&key(9)), register(&guessed), flipped] {
        let refused = world.server.handle(from(11), &forged, now);
        assert!(
            matches!(refused, Err(Refused::NotAuthentic(_))),
            "{refused:?}"
        );
    }
    assert_eq!(world.counted("not_authentic"), 3);
    assert!(world.server.poll_transmit().is_none(), "nobody is answered");
    assert!(world.server.sizes().iter().all(|(_, size)| *size == 0));
    // What could not be verified has used up no nonce.
    assert_eq!(
        world.server.handle(from(11), &register(&key(1)), now),
        Ok(())
    );

    let server = SocketAddr::new(SERVER, CONTROL_PORT);
    let notify = signed(SignedKind::Notify, &key(9));
    let ignored = world.edge(1).handle(server, &notify, now);
    assert!(
        matches!(ignored, Err(Ignored::NotAuthentic(_))),
        "{ignored:?}"
    );
    assert_eq!(world.counted_by(1, "not_authentic"), 1);
}

#[test]
fn answers_that_nobody_asked_for_are_counted_at_both_ends() {
    let mut world = World::new();
    let now = world.now;
    let reply = MapReply {
        flags: ReplyFlags::empty(),
        nonce: 7,
        records: vec![record()],
    }
    .encode();
    assert_eq!(
        world.server.handle(from(66), &reply, now),
        Err(Refused::NotForServer("Map-Reply"))
    );
    assert_eq!(
        world.edge(3).handle(from(66), &reply, now),
        Err(Ignored::Unasked)
    );
    assert_eq!(world.counted("not_for_server"), 1);
    assert_eq!(world.counted_by(3, "unasked"), 1);
    assert!(world.edge(3).cache().is_empty());
}

/// Whoever forges sources makes up as many xTRs as he likes, and never acknowledges.
#[test]
fn a_flood_of_forged_subscriptions_leaves_room_for_others_and_goes_by_itself() {
    const MOST: usize = 80;
    let mut world = World::new();
    let mut config = server_config();
    config.limits.subscriptions = MOST;
    let mut server = MapServer::new(config, 1, world.now);
    for id in 1..=2 {
        server.allow(eid(SERVICE), id);
    }
    world.server = server;
    world.register(1, SERVICE, 1);
    world.want(3, SERVICE);
    let known = world.server.sizes()[1].1;
    world.sent.clear();
    let victims = 100..=199_u8;
    for (number, last) in victims.clone().cycle().take(1_000).enumerate() {
        let xtr_id = 1_000 + u128::try_from(number).unwrap();
        let forged = subscription(xtr_id, last).encode();
        world.deliver(from(last), SERVER, &forged);
    }
    world.run();
    assert_eq!(world.server.sizes()[1].1, known + MOST / 4);
    assert_eq!(world.counted("full"), 980);
    // A change: those that live are told of it, once each, and others that were refused never.
    world.register(2, SERVICE, 0);
    assert_eq!(world.route(3, SERVICE), Some(rloc(12)), "it still hears");
    world.advance(Duration::from_secs(14));
    let to = |last: u8| {
        let sent = world
            .sent
            .iter()
            .filter(|(_, one)| one.to.ip() == rloc(last));
        sent.count()
    };
    let most = victims.clone().map(to).max();
    let asked = 1_000 / victims.clone().count();
    assert!(
        most.is_some_and(|most| most <= asked + 1),
        "an answer to each request at most, and one publication: {most:?}"
    );
    world.advance(Duration::from_secs(1));
    assert_eq!(world.server.sizes()[1].1, known, "they are gone");
    assert_eq!(world.server.subscribers(&eid(SERVICE)).len(), 1);
}

/// Nonces of an xTR begin with the time: after a start with an earlier one they lie below those that it has used.
#[test]
fn an_xtr_whose_clock_went_back_is_taken_for_a_replay_until_its_time_is_past() {
    let mut world = World::new();
    world.register(1, SERVICE, 1);
    world.want(3, SERVICE);
    assert_eq!(world.route(3, SERVICE), Some(rloc(11)));
    let before = world.server.mapping(&eid(SERVICE)).cloned();

    let hour = Duration::from_hours(1);
    let earlier = BEGUN_NS - u64::try_from(hour.as_nanos()).unwrap();
    world.edges.insert(rloc(11), edge(1, world.now, earlier));
    world.register(1, SERVICE, 2);
    assert_eq!(world.counted("replay"), 1);
    assert_eq!(
        world.server.mapping(&eid(SERVICE)).cloned(),
        before,
        "what it had registered stays as it was"
    );
    assert!(
        world.edge(1).registered().all(|(_, is_known)| !is_known),
        "it knows that it was not heard"
    );
    assert_eq!(world.route(3, SERVICE), Some(rloc(11)));

    // The clock is right again.
    let later = BEGUN_NS + 1_000_000_000;
    world.edges.insert(rloc(11), edge(1, world.now, later));
    world.register(1, SERVICE, 2);
    assert_eq!(world.counted("replay"), 1);
    assert!(world.edge(1).registered().all(|(_, is_known)| is_known));
    assert_eq!(world.route(3, SERVICE), Some(rloc(11)));
}
