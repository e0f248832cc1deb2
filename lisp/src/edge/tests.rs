//! An xTR's control plane: its pace, what it believes, and what it answers.

use std::net::SocketAddr;
use std::time::Duration;

use super::*;
use crate::auth::{Algorithm, Key};
use crate::ports::CONTROL_PORT;
use crate::wire::{
    Action, Locator, MapReply, MapRequest, Message, Record, ReplyFlags, RequestFlags, Signed,
    SignedKind,
};
use crate::world::{SERVER, World, eid, rloc, secret};

const SERVICE: &str = "10.112.0.10";

fn from(last: u8) -> SocketAddr {
    SocketAddr::new(rloc(last), CONTROL_PORT)
}

fn record(text: &str, last: u8) -> Record {
    Record::new(eid(text), 60, vec![Locator::new(rloc(last), 1, 100)])
}

/// Times since the beginning at which something was sent to the server, in seconds, while all of it got lost.
fn times(world: &mut World, seconds: u64) -> Vec<u64> {
    let mut times = Vec::new();
    for second in 0..=seconds {
        let before = world.sent.len();
        world.advance(Duration::ZERO);
        times.extend(std::iter::repeat_n(second, world.sent.len() - before));
        world.advance(Duration::from_millis(500));
        assert_eq!(
            world.sent.len() - before,
            usize::from(times.contains(&second))
        );
        world.advance(Duration::from_millis(499));
        world.now += Duration::from_millis(1);
    }
    times
}

#[test]
fn requests_are_sent_once_a_second_ten_times_again_and_then_not_for_half_a_minute() {
    let mut world = World::new();
    world.lose.insert((rloc(13), SERVER), usize::MAX);
    let now = world.now;
    world.edge(3).want(eid(SERVICE), now);
    let sent = times(&mut world, 60);
    assert_eq!(sent, (0..=10).collect::<Vec<_>>());
    let nonces: Vec<_> = world
        .messages(rloc(13), SERVER)
        .into_iter()
        .map(|message| match message {
            Message::Encapsulated(one) => one.request.nonce,
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(nonces.is_sorted_by(|a, b| a < b), "{nonces:?}");
    let now = world.now;
    world.edge(3).want(eid(SERVICE), now);
    world.run();
    assert_eq!(world.sent.len(), 1, "whoever wants it then asks anew");
    for _ in 0..10 {
        world.edge(3).want(eid(SERVICE), now);
    }
    world.run();
    assert_eq!(world.sent.len(), 1);
}

#[test]
fn registers_back_off_to_a_minute_with_new_nonces() {
    let mut world = World::new();
    world.lose.insert((rloc(11), SERVER), usize::MAX);
    let now = world.now;
    let locators = vec![Locator::new(rloc(11), 1, 100)];
    world.edge(1).register(eid(SERVICE), 60, locators, now);
    let sent = times(&mut world, 200);
    assert_eq!(sent, [0, 1, 3, 7, 15, 31, 63, 123, 183]);
    world.lose.clear();
    world.advance(Duration::from_mins(1));
    assert_eq!(world.counted("map_register"), 1);
    let registered = |(_, event): &(_, Event)| matches!(event, Event::Registered { eid: found, .. } if *found == eid(SERVICE));
    assert!(world.events.iter().any(registered));
    assert_eq!(world.counted("replay"), 0);
}

#[test]
fn many_services_fit_few_messages_that_no_path_cuts() {
    let mut world = World::new();
    let now = world.now;
    for number in 0..1_000_u32 {
        let service = format!("10.112.{}.{}", 1 + number / 250, number % 250);
        world.server.allow(eid(&service), 1);
        let locators = vec![Locator::new(rloc(11), 1, 100)];
        world.edge(1).register(eid(&service), 60, locators, now);
    }
    world.run();
    assert_eq!(world.server.registrations().count(), 1_000);
    world.sent.clear();
    let now = world.now;
    world.edge(1).server_restarted(now);
    world.run();
    let registers = world
        .sent
        .iter()
        .filter(|(sender, _)| *sender == rloc(11))
        .count();
    assert_eq!(registers, 1_000_usize.div_ceil(17));
    assert!(
        world
            .sent
            .iter()
            .all(|(_, one)| one.payload.len() + 28 <= 576)
    );
    assert_eq!(
        world
            .edge(1)
            .registered()
            .filter(|(_, known)| *known)
            .count(),
        1_000
    );
}

#[test]
fn nobody_is_believed_who_was_not_asked() {
    let mut world = World::new();
    world.register(1, SERVICE, 1);
    let now = world.now;
    world.lose.insert((SERVER, rloc(13)), usize::MAX);
    world.want(3, SERVICE);
    let Some(Message::Encapsulated(asked)) = world.messages(rloc(13), SERVER).pop() else {
        panic!("it asks");
    };
    let lie = |nonce, text: &str| MapReply {
        flags: ReplyFlags::empty(),
        nonce,
        records: vec![record(text, 66)],
    };
    let nonce = asked.request.nonce;
    let edge = world.edge(3);
    assert_eq!(
        edge.handle(from(66), &lie(nonce ^ 1, SERVICE).encode(), now),
        Err(Ignored::Unasked)
    );
    assert_eq!(
        edge.handle(from(66), &lie(nonce, "10.112.0.99").encode(), now),
        Err(Ignored::Unasked)
    );
    let notify = |nonce| Signed {
        kind: SignedKind::Notify,
        nonce,
        records: vec![record(SERVICE, 66)],
        identity: None,
    };
    let forged = notify(nonce).encode(&Key::new(1, Algorithm::Sha256, b"guess"));
    let server = SocketAddr::new(SERVER, CONTROL_PORT);
    assert!(matches!(
        edge.handle(server, &forged, now),
        Err(Ignored::NotAuthentic(_))
    ));
    let key = Key::new(1, Algorithm::Sha256, &secret(3));
    let right = notify(nonce).encode(&key);
    assert_eq!(
        edge.handle(from(66), &right, now),
        Err(Ignored::ForeignSource)
    );
    assert!(edge.cache().is_empty());
    edge.handle(server, &right, now).unwrap();
    assert_eq!(edge.cache().len(), 1);
    assert!(
        matches!(
            edge.handle(server, &right, now),
            Err(Ignored::Replay { .. })
        ),
        "a nonce is good for one answer"
    );
    let other = Signed {
        records: vec![record("10.112.0.99", 66)],
        ..notify(nonce + 1)
    };
    assert!(matches!(
        edge.handle(server, &other.encode(&key), now),
        Err(Ignored::NotSubscribed(_))
    ));
    assert_eq!(
        edge.handle(server, &notify(nonce + 1).encode(&key), now),
        Ok(())
    );
    assert!(
        edge.handle(server, &notify(nonce + 1).encode(&key), now)
            .is_err()
    );
}

#[test]
fn a_subscription_that_is_refused_becomes_a_plain_request() {
    let mut world = World::new();
    world.register(1, SERVICE, 1);
    let mut config = crate::world::server_config();
    config.sites.remove(&3);
    let mut server = crate::server::MapServer::new(config, 1, world.now);
    server.allow(eid(SERVICE), 1);
    world.server = server;
    let now = world.now;
    world.edge(1).server_restarted(now);
    world.want(3, SERVICE);
    assert_eq!(world.counted_by(3, "subscription_refused"), 1);
    world.advance(Duration::from_secs(1));
    assert_eq!(world.route(3, SERVICE), Some(rloc(11)));
}

#[test]
fn a_solicitation_is_followed_through_the_map_resolver_and_at_most_once_in_3_s() {
    let mut world = World::new();
    world.register(1, SERVICE, 1);
    let now = world.now;
    let smr = |source: &str, queried: &str| {
        MapRequest {
            flags: RequestFlags::SMR,
            source_eid: Some(eid(source)),
            ..MapRequest::new(1, eid(queried), vec![rloc(66)])
        }
        .encode()
    };
    let either = smr(SERVICE, "192.168.1.2");
    assert_eq!(
        world.edge(3).handle(from(66), &either, now),
        Err(Ignored::Unasked),
        "nothing is cached"
    );
    world.want(3, SERVICE);
    world.advance(Duration::from_secs(2));
    world.sent.clear();
    let now = world.now;
    for message in [either, smr("192.168.1.2", SERVICE)] {
        world.edge(3).handle(from(66), &message, now).unwrap();
        world.run();
    }
    let messages = world.messages(rloc(13), SERVER);
    let requests: Vec<_> = messages
        .iter()
        .filter_map(|message| match message {
            Message::Encapsulated(one) => Some(one),
            _ => None,
        })
        .collect();
    assert_eq!(requests.len(), 1);
    assert!(
        requests[0]
            .request
            .flags
            .contains(RequestFlags::SMR_INVOKED)
    );
    assert!(world.sent.iter().all(|(_, one)| one.to.ip() != rloc(66)));
    assert_eq!(world.route(3, SERVICE), Some(rloc(11)));
}

#[test]
fn probes_are_answered_for_what_is_here() {
    let mut world = World::new();
    world.register(1, SERVICE, 1);
    let now = world.now;
    let probe = |text: &str| {
        MapRequest {
            flags: RequestFlags::PROBE,
            ..MapRequest::new(42, eid(text), vec![rloc(13)])
        }
        .encode()
    };
    let edge = world.edge(1);
    edge.handle(from(13), &probe(SERVICE), now).unwrap();
    let answer = edge.poll_transmit().unwrap();
    assert_eq!(answer.to, from(13));
    let reply = MapReply::parse(&answer.payload).unwrap();
    assert_eq!((reply.nonce, reply.flags), (42, ReplyFlags::PROBE));
    assert!(reply.records[0].authoritative && reply.records[0].locators[0].probed);
    assert!(matches!(
        edge.handle(from(13), &probe("10.112.0.99"), now),
        Err(Ignored::NotOurs(_))
    ));
    // What another registers for it is answered for as far as it is reached, and no further.
    let served = probe("10.114.0.7");
    edge.handle(from(13), &served, now).unwrap();
    let answer = edge.poll_transmit().unwrap();
    let reply = MapReply::parse(&answer.payload).unwrap();
    assert!(reply.records[0].authoritative && reply.records[0].locators[0].probed);
    let request = MapRequest::new(43, eid("10.114.0.7"), vec![rloc(13)]).encode();
    assert!(matches!(
        edge.handle(from(13), &request, now),
        Err(Ignored::NotOurs(_))
    ));
    let answered = (0..100).filter(|_| edge.handle(from(13), &probe(SERVICE), now).is_ok());
    assert!(answered.count() < 50);
}

#[test]
fn a_registration_that_is_not_allowed_is_told() {
    let mut world = World::new();
    world.register(3, SERVICE, 1);
    assert!(
        world.events.is_empty(),
        "nothing of the message was taken: there is no answer"
    );
    world.server.allow(eid("10.112.0.77"), 3);
    world.register(3, "10.112.0.77", 1);
    let now = world.now;
    world.edge(3).server_restarted(now);
    world.run();
    assert!(
        world
            .events
            .contains(&(rloc(13), Event::Refused(eid(SERVICE)))),
        "{:?}",
        world.events
    );
}

/// The xTR of site 1 is at 10.0.0.21 from now on.
fn relocate(world: &mut World) {
    let now = world.now;
    let mut edge = world.edges.remove(&rloc(11)).unwrap();
    edge.relocate(vec![rloc(21)], now);
    world.edges.insert(rloc(21), edge);
    world.sent.clear();
    world.run();
}

/// Solicitations that went from the one to the other.
fn solicitations(world: &mut World, from: u8, to: u8) -> Vec<MapRequest> {
    let all = world.messages(rloc(from), rloc(to)).into_iter();
    all.filter_map(|message| match message {
        Message::Request(request) if request.flags.contains(RequestFlags::SMR) => Some(request),
        _ => None,
    })
    .collect()
}

#[test]
fn an_xtr_that_moves_registers_anew_and_solicits_whom_it_sends_to() {
    let mut world = World::new();
    world.server.allow(eid("10.112.0.77"), 3);
    world.register(1, SERVICE, 1);
    world.register(3, "10.112.0.77", 1);
    world.want(1, "10.112.0.77");
    world.want(3, SERVICE);
    world.advance(Duration::from_secs(2));
    assert_eq!(world.route(3, SERVICE), Some(rloc(11)));

    // Its publication and its first solicitation get lost.
    world.lose.insert((SERVER, rloc(13)), 1);
    world.lose.insert((rloc(21), rloc(13)), 1);
    relocate(&mut world);
    let service = world.server.mapping(&eid(SERVICE)).unwrap();
    assert_eq!(service.locators.len(), 1, "in the place of the one before");
    assert_eq!(service.locators[0].address, rloc(21));
    let acknowledged = world
        .sent
        .iter()
        .position(|(from, one)| *from == SERVER && one.to.ip() == rloc(21));
    let solicited = world
        .sent
        .iter()
        .position(|(from, one)| *from == rloc(21) && one.to.ip() == rloc(13));
    assert!(
        acknowledged.unwrap() < solicited.unwrap(),
        "whoever asked before would be told the old one"
    );
    let asked = solicitations(&mut world, 21, 13);
    assert_eq!(asked.len(), 1);
    // The form is Open Overlay Router's.
    assert_eq!(asked[0].source_eid, Some(eid(SERVICE)));
    assert_eq!(asked[0].queries[0].eid, eid("10.112.0.77"));
    assert_eq!(asked[0].itr_rlocs, [rloc(21)]);
    assert_eq!(world.counted_by(3, "smr_received"), 0);

    world.advance(Duration::from_secs(3));
    assert_eq!(world.route(3, SERVICE), Some(rloc(21)));
    assert_eq!(world.counted_by(3, "smr_received"), 1);
    world.advance(Duration::from_mins(1));
    assert_eq!(solicitations(&mut world, 21, 13).len(), 2, "three in all");

    // Publications reach it where it is.
    let now = world.now;
    world.edge(3).withdraw(&eid("10.112.0.77"), now);
    world.run();
    let heard =
        |(at, event): &(_, Event)| *at == rloc(21) && *event == Event::Gone(eid("10.112.0.77"));
    assert!(world.events.iter().any(heard), "{:?}", world.events);
}

#[test]
fn an_itr_without_a_subscription_follows_the_solicitation_alone() {
    let mut world = World::new();
    let mut config = crate::world::server_config();
    config.solicits = false;
    let mut server = crate::server::MapServer::new(config, 1, world.now);
    for (id, text) in [(1, SERVICE), (3, "10.112.0.77")] {
        server.allow(eid(text), id);
    }
    world.server = server;
    let mut config = crate::world::edge_config(3, 13);
    config.subscribe = false;
    let mut number = 0;
    let random = Box::new(move || {
        number += 1;
        number
    });
    let edge = Control::new(config, crate::world::BEGUN_NS, random, world.now);
    world.edges.insert(rloc(13), edge);
    world.register(1, SERVICE, 1);
    world.register(3, "10.112.0.77", 1);
    world.want(1, "10.112.0.77");
    world.want(3, SERVICE);
    world.advance(Duration::from_secs(2));
    relocate(&mut world);
    assert_eq!(world.counted("solicitation"), 0);
    assert_eq!(world.counted_by(3, "smr_received"), 1);
    assert_eq!(world.route(3, SERVICE), Some(rloc(21)));
}

#[test]
fn negative_mappings_are_kept_as_they_are_said() {
    let mut world = World::new();
    world.want(3, "203.0.113.7");
    let now = world.now;
    let mapping = world
        .edge(3)
        .cache()
        .lookup(&eid("203.0.113.7"), now)
        .unwrap()
        .clone();
    assert_eq!(mapping.action, Action::NativelyForward);
    assert!(mapping.choose(1).is_none());
    assert_eq!(mapping.expires, now + Duration::from_mins(15));
}
