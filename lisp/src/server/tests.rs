//! The Map-Server in a network: what is registered is answered, published, merged, expired, and refused where it must be.

use std::net::SocketAddr;
use std::time::Duration;

use super::*;
use crate::auth::{Algorithm, Key};
use crate::pace::Rate;
use crate::ports::CONTROL_PORT;
use crate::wire::{
    Action, Encapsulated, Identity, Locator, MapReply, MapRequest, Message, Record, RegisterFlags,
    RequestFlags, Signed, SignedKind,
};
use crate::world::{BEGUN_NS, SERVER, World, edge, eid, rloc, secret, server_config};

const SERVICE: &str = "10.112.0.10";

fn from(last: u8) -> SocketAddr {
    SocketAddr::new(rloc(last), CONTROL_PORT)
}

/// A Map-Request without identity, as a legacy ITR sends it.
fn legacy(world: &mut World, last: u8, text: &str) -> Result<Option<MapReply>, Refused> {
    let request = MapRequest {
        source_eid: Some(eid("192.168.1.2")),
        ..MapRequest::new(77, eid(text), vec![rloc(last)])
    };
    let encapsulated = Encapsulated {
        source: if eid(text).address().is_ipv4() {
            "192.168.1.2:4342".parse().unwrap()
        } else {
            "[2001:db8::2]:4342".parse().unwrap()
        },
        destination: eid(text).address(),
        request,
    };
    world
        .server
        .handle(from(last), &encapsulated.encode(), world.now)?;
    let transmit = world.server.poll_transmit();
    Ok(transmit.map(|transmit| {
        assert_eq!(transmit.to, from(last));
        MapReply::parse(&transmit.payload).unwrap()
    }))
}

fn register(nonce: u64, records: Vec<Record>) -> Signed {
    let flags = RegisterFlags::PROXY_REPLY | RegisterFlags::WANT_NOTIFY | RegisterFlags::MERGE;
    Signed {
        kind: SignedKind::Register(flags),
        nonce,
        records,
        identity: Some(Identity {
            xtr_id: 99,
            site_id: 1,
        }),
    }
}

fn key(site: u64) -> Key {
    Key::new(1, Algorithm::Sha256, &secret(site))
}

fn one(text: &str, last: u8) -> Record {
    Record::new(eid(text), 60, vec![Locator::new(rloc(last), 1, 100)])
}

#[test]
fn a_service_moves_and_its_subscriber_hears_at_once() {
    let mut world = World::new();
    world.register(1, SERVICE, 1);
    world.want(3, SERVICE);
    assert_eq!(world.route(3, SERVICE), Some(rloc(11)));
    world.register(2, SERVICE, 2);
    assert_eq!(
        world.route(3, SERVICE),
        Some(rloc(11)),
        "two clusters, the first is preferred"
    );

    let now = world.now;
    world.edge(1).withdraw(&eid(SERVICE), now);
    world.run();
    assert_eq!(world.route(3, SERVICE), Some(rloc(12)));
    world.edge(2).withdraw(&eid(SERVICE), now);
    world.run();
    assert_eq!(world.route(3, SERVICE), None);
    assert_eq!(world.counted("publication"), 3);
    assert_eq!(
        world.counted("map_notify_ack"),
        4,
        "one for the subscription, one for each publication"
    );
    assert_eq!(world.now, world.begun, "no time passed");
    world.advance(Duration::from_secs(50));
    assert_eq!(world.counted("map_notify_resent"), 0);
}

#[test]
fn who_asked_before_a_service_is_there_hears_of_it() {
    let mut world = World::new();
    world.want(3, SERVICE);
    assert_eq!(world.route(3, SERVICE), None);
    let hole = world.edge(3).cache().iter().next().unwrap().eid;
    assert_eq!(hole, eid("10.112.0.0/16"), "not wider than the pool");
    world.register(1, SERVICE, 1);
    assert_eq!(world.route(3, SERVICE), Some(rloc(11)));
    world.register(1, "10.112.0.11", 1);
    assert_eq!(
        world.route(3, "10.112.0.11"),
        Some(rloc(11)),
        "it never asked for this one"
    );
    world.register(2, SERVICE, 0);
    assert_eq!(world.route(3, SERVICE), Some(rloc(12)));
}

#[test]
fn registrations_of_a_cluster_that_is_cut_off_end_after_three_minutes() {
    let mut world = World::new();
    world.register(1, SERVICE, 1);
    world.register(2, SERVICE, 2);
    world.want(3, SERVICE);
    world.advance(Duration::from_mins(10));
    assert_eq!(
        world.route(3, SERVICE),
        Some(rloc(11)),
        "refreshed once a minute"
    );
    world.lose.insert((rloc(11), SERVER), usize::MAX);
    world.advance(Duration::from_secs(119));
    assert_eq!(world.route(3, SERVICE), Some(rloc(11)));
    world.advance(Duration::from_secs(70));
    assert_eq!(world.route(3, SERVICE), Some(rloc(12)));
    assert_eq!(world.counted("registration_expired"), 1);
    // Who watches the cluster does not wait for that.
    world.server.withdraw_site(2, world.now);
    world.run();
    assert_eq!(world.route(3, SERVICE), None);
}

#[test]
fn a_publication_that_is_lost_is_sent_again_and_an_xtr_that_is_gone_is_given_up() {
    let mut world = World::new();
    world.register(1, SERVICE, 1);
    world.want(3, SERVICE);
    world.lose.insert((SERVER, rloc(13)), 2);
    world.register(2, SERVICE, 0);
    assert_eq!(world.route(3, SERVICE), Some(rloc(11)));
    world.advance(Duration::from_millis(5_999));
    assert_eq!(world.route(3, SERVICE), Some(rloc(11)));
    world.advance(Duration::from_millis(1));
    assert_eq!(world.route(3, SERVICE), Some(rloc(12)));

    world.lose.insert((rloc(13), SERVER), usize::MAX);
    let now = world.now;
    world.edge(2).withdraw(&eid(SERVICE), now);
    world.run();
    assert_eq!(
        world.route(3, SERVICE),
        Some(rloc(11)),
        "the acknowledgements are lost, the publications are not"
    );
    world.advance(Duration::from_mins(2));
    assert_eq!(world.counted("subscription_unanswered"), 1);
    assert_eq!(world.server.subscribers(&eid(SERVICE)), []);
    world.lose.clear();
    world.advance(Duration::from_mins(1));
    assert_eq!(
        world.server.subscribers(&eid(SERVICE)).len(),
        1,
        "the signal made it subscribe again"
    );
}

#[test]
fn a_withdrawal_that_is_lost_is_made_up_for_by_asking() {
    let mut world = World::new();
    world.register(1, SERVICE, 1);
    world.want(3, SERVICE);
    world.lose.insert((SERVER, rloc(13)), 1);
    let now = world.now;
    world.edge(1).withdraw(&eid(SERVICE), now);
    world.want(3, SERVICE);
    assert_eq!(world.route(3, SERVICE), Some(rloc(11)), "both were lost");
    world.advance(Duration::from_secs(2));
    assert_eq!(world.route(3, SERVICE), None);
    world.register(2, SERVICE, 1);
    assert_eq!(world.route(3, SERVICE), Some(rloc(12)));
    assert_eq!(world.counted_by(3, "replay"), 0);
}

#[test]
fn nobody_is_sent_more_than_one_datagram_before_it_has_shown_itself() {
    let mut world = World::new();
    world.register(1, SERVICE, 1);
    world.sent.clear();
    world.lose.insert((rloc(13), SERVER), 0);
    // A forged subscription: the victim at 10.0.0.99 never asked, and acknowledges nothing.
    let mut request = MapRequest::new(5, eid(SERVICE), vec![rloc(99)]);
    request.queries[0].notify = true;
    request.identity = Some(Identity {
        xtr_id: 5,
        site_id: 3,
    });
    world.deliver(from(99), SERVER, &request.encode());
    world.run();
    world.register(2, SERVICE, 0);
    world.advance(Duration::from_mins(10));
    let sent = world
        .sent
        .iter()
        .filter(|(_, one)| one.to.ip() == rloc(99))
        .count();
    assert_eq!(
        sent, 2,
        "the answer, and the one publication while it lived"
    );
    assert_eq!(world.server.subscribers(&eid(SERVICE)), []);

    // Nor is there any state for one whose source is not among its ITR-RLOCs.
    request.nonce = 6;
    assert_eq!(
        world.server.handle(from(98), &request.encode(), world.now),
        Err(Refused::ForeignSource)
    );
    request.identity = Some(Identity {
        xtr_id: 5,
        site_id: 404,
    });
    let refused = world.server.handle(from(99), &request.encode(), world.now);
    assert_eq!(refused, Err(Refused::UnknownSite(404)));
    let reply = MapReply::parse(&world.server.poll_transmit().unwrap().payload).unwrap();
    assert_eq!(reply.records[0].action, Action::AuthFailure);
}

#[test]
fn subscriptions_are_replayed_in_vain_bounded_and_ended() {
    let mut world = World::new();
    world.register(1, SERVICE, 1);
    world.want(3, SERVICE);
    let to_server = |(sender, one): &&(_, crate::transmit::Transmit)| {
        *sender == rloc(13) && one.to.ip() == SERVER
    };
    let request = world.sent.iter().find(to_server).unwrap().1.payload.clone();
    let replay = world.server.handle(from(13), &request, world.now);
    assert!(matches!(replay, Err(Refused::Replay { .. })), "{replay:?}");

    let Message::Encapsulated(mut one) = Message::parse(&request).unwrap() else {
        panic!("a request is encapsulated");
    };
    one.request.nonce += 100;
    one.request.itr_rlocs.clear();
    world
        .server
        .handle(from(13), &one.encode(), world.now)
        .unwrap();
    let farewell = world.server.poll_transmit().unwrap();
    assert_eq!(farewell.to, from(13));
    assert_eq!(world.server.subscribers(&eid(SERVICE)), []);
    one.request.itr_rlocs = vec![rloc(13)];
    let replay = world.server.handle(from(13), &one.encode(), world.now);
    assert!(
        matches!(replay, Err(Refused::Replay { .. })),
        "the nonce outlives the subscription"
    );

    let mut config = server_config();
    config.limits.subscriptions_each = 3;
    config.limits.subscriptions = 20;
    config.sites.get_mut(&1).unwrap().prefixes = vec![eid("10.112.0.0/16")];
    let mut server = MapServer::new(config, 1, world.now);
    let records = (0..8)
        .map(|last| self::one(&format!("10.112.1.{last}"), 11))
        .collect();
    server
        .handle(from(11), &register(1, records).encode(&key(1)), world.now)
        .unwrap();
    let _ = server.poll_transmit();
    for (xtr_id, last) in (0..16).map(|number| (number / 8, number % 8)) {
        let mut request = MapRequest::new(1, eid(&format!("10.112.1.{last}")), vec![rloc(13)]);
        request.queries[0].notify = true;
        request.identity = Some(Identity { xtr_id, site_id: 3 });
        let _ = server.handle(from(13), &request.encode(), world.now);
    }
    // Three of the one, two of the other: a quarter of all.
    assert_eq!(server.sizes()[1], ("subscriptions", 5));
    assert_eq!(server.counts()["full"], 11);
    assert_eq!(
        server.take_saved(100).subscriptions,
        [],
        "nobody confirmed one"
    );
    server.on_time(world.now + Duration::from_secs(15));
    assert_eq!(server.sizes()[1], ("subscriptions", 0));
}

#[test]
fn only_what_was_allocated_is_registered_by_whom_it_was_allocated_to() {
    let mut world = World::new();
    let now = world.now;
    let mut handle = |from: SocketAddr, message: Vec<u8>| world.server.handle(from, &message, now);
    let good = |nonce| register(nonce, vec![one(SERVICE, 11)]);
    let foreign = register(1, vec![one("10.112.0.99", 11)]).encode(&key(1));
    assert_eq!(
        handle(from(11), foreign),
        Err(Refused::NotAllowed(eid("10.112.0.99")))
    );
    let forged = good(2).encode(&key(2));
    assert!(matches!(
        handle(from(11), forged),
        Err(Refused::NotAuthentic(_))
    ));
    let wide = register(3, vec![one("10.112.0.0/24", 11)]).encode(&key(1));
    assert!(matches!(
        handle(from(11), wide),
        Err(Refused::NotAllowed(_))
    ));
    let anonymous = Signed {
        identity: None,
        ..good(4)
    };
    assert_eq!(
        handle(from(11), anonymous.encode(&key(1))),
        Err(Refused::NoSite(eid(SERVICE)))
    );
    let nowhere = register(
        5,
        vec![Record::new(
            eid(SERVICE),
            60,
            vec![Locator::new([224, 0, 0, 1].into(), 1, 1)],
        )],
    );
    assert!(matches!(
        handle(from(11), nowhere.encode(&key(1))),
        Err(Refused::BadLocators(_))
    ));
    assert!(
        world.server.poll_transmit().is_none(),
        "nobody was answered"
    );
    assert_eq!(world.server.registrations().count(), 0);

    // One of two: what is allowed is taken, and the answer says which.
    let both = register(6, vec![one(SERVICE, 11), one("10.112.0.99", 11)]).encode(&key(1));
    world.server.handle(from(11), &both, now).unwrap();
    let answer = world.server.poll_transmit().unwrap();
    assert_eq!(answer.to, from(11));
    let notify = Signed::parse(&answer.payload).unwrap();
    assert_eq!((notify.nonce, notify.records.len()), (6, 1));
    assert_eq!(notify.records[0].eid, eid(SERVICE));
    assert_eq!(world.counted("not_allowed"), 3);

    world.server.disallow(&eid(SERVICE), 1, now);
    assert_eq!(world.server.registrations().count(), 0);
    let again = good(7).encode(&key(1));
    assert!(matches!(
        world.server.handle(from(11), &again, now),
        Err(Refused::NotAllowed(_))
    ));
}

#[test]
fn a_register_that_comes_again_gets_its_answer_again_and_changes_nothing() {
    let mut world = World::new();
    let now = world.now;
    let first = register(5, vec![one(SERVICE, 11)]).encode(&key(1));
    world.server.handle(from(11), &first, now).unwrap();
    let answer = world.server.poll_transmit().unwrap();
    world.server.handle(from(11), &first, now).unwrap();
    assert_eq!(world.server.poll_transmit(), Some(answer));
    let other = register(5, vec![one(SERVICE, 12)]).encode(&key(1));
    let replay = Err(Refused::Replay { nonce: 5, last: 5 });
    assert_eq!(world.server.handle(from(11), &other, now), replay);
    let old = register(4, vec![one(SERVICE, 12)]).encode(&key(1));
    assert!(matches!(
        world.server.handle(from(11), &old, now),
        Err(Refused::Replay { .. })
    ));
    assert_eq!(
        world.server.mapping(&eid(SERVICE)).unwrap().locators[0].address,
        rloc(11)
    );
}

#[test]
fn who_does_not_subscribe_is_answered_and_solicited() {
    let mut world = World::new();
    world.register(1, SERVICE, 1);
    let reply = legacy(&mut world, 50, SERVICE).unwrap().unwrap();
    assert_eq!((reply.nonce, reply.records[0].eid), (77, eid(SERVICE)));
    assert!(!reply.records[0].authoritative && !reply.records[0].locators[0].local);
    assert_eq!(
        legacy(&mut world, 50, SERVICE),
        Err(Refused::AnsweredLately)
    );

    world.sent.clear();
    world.register(2, SERVICE, 0);
    let messages = world.messages(SERVER, rloc(50));
    let [Message::Request(smr)] = &messages[..] else {
        panic!("{messages:?}");
    };
    assert!(smr.flags.contains(RequestFlags::SMR));
    assert_eq!(smr.source_eid, Some(eid(SERVICE)));
    assert_eq!(smr.queries[0].eid, eid("192.168.1.2"));
    let reply = legacy(&mut world, 50, SERVICE).unwrap().unwrap();
    assert_eq!(
        reply.records[0].locators.len(),
        2,
        "not held up by the limit on replies"
    );
    world.advance(Duration::from_secs(30));
    assert!(world.messages(SERVER, rloc(50)).is_empty(), "it has asked");
}

#[test]
fn what_is_not_there_is_said_with_the_times_of_the_rfc() {
    let mut world = World::new();
    world.register(1, SERVICE, 1);
    let mut negative = |text: &str| {
        let record = legacy(&mut world, 50, text)
            .unwrap()
            .unwrap()
            .records
            .remove(0);
        assert!(record.locators.is_empty());
        (record.eid.to_string(), record.ttl_minutes, record.action)
    };
    let forward = Action::NativelyForward;
    assert_eq!(
        negative("10.112.0.11"),
        ("10.112.0.11/32".into(), 1, forward)
    );
    assert_eq!(
        negative("10.112.128.1"),
        ("10.112.128.0/17".into(), 1, forward)
    );
    assert_eq!(negative("203.0.113.1"), ("128.0.0.0/1".into(), 15, forward));
    assert_eq!(negative("2001:db8::1"), ("::/0".into(), 15, forward));
}

#[test]
fn floods_are_bounded_by_source_and_in_all() {
    let mut world = World::new();
    world.server = {
        let mut config = server_config();
        let rate = |per_second| Rate {
            per_second,
            burst: per_second,
        };
        config.limits.requests_each = rate(10.0);
        config.limits.requests_all = rate(30.0);
        MapServer::new(config, 1, world.now)
    };
    let answered = (0..200).filter(|last| {
        let text = format!("10.112.1.{last}");
        (0..20)
            .filter(|_| legacy(&mut world, *last, &text).is_ok())
            .count()
            > 0
    });
    assert!(answered.count() <= 30);
    assert!(world.counted("too_fast") > 100);

    let request = MapRequest {
        flags: RequestFlags::PROBE,
        ..MapRequest::new(1, eid(SERVICE), vec![rloc(50)])
    };
    let now = world.now;
    assert_eq!(
        world.server.handle(from(50), &request.encode(), now),
        Err(Refused::Probe)
    );
    let reply = MapReply {
        flags: crate::wire::ReplyFlags::empty(),
        nonce: 1,
        records: vec![one(SERVICE, 11)],
    };
    assert!(matches!(
        world.server.handle(from(50), &reply.encode(), now),
        Err(Refused::NotForServer(_))
    ));
}

#[test]
fn an_answer_to_another_address_than_it_was_asked_from_is_not_much_larger() {
    let mut world = World::new();
    let locators = (1..=8).map(|last| Locator::new(rloc(last), 1, 1)).collect();
    let large = register(1, vec![Record::new(eid(SERVICE), 60, locators)]).encode(&key(1));
    world.server.handle(from(11), &large, world.now).unwrap();
    let _ = world.server.poll_transmit();
    let request = MapRequest::new(1, eid(SERVICE), vec![rloc(99)]).encode();
    let result = world.server.handle(from(50), &request, world.now);
    assert_eq!(result, Err(Refused::Amplification));
    assert!(world.server.handle(from(99), &request, world.now).is_ok());
}

#[test]
fn a_restart_loses_no_nonce_and_no_subscriber_and_calls_the_xtrs_back() {
    let mut world = World::new();
    world.register(1, SERVICE, 1);
    world.want(3, SERVICE);
    let register = world
        .sent
        .iter()
        .find(|(sender, _)| *sender == rloc(11))
        .unwrap()
        .1
        .payload
        .clone();
    let saved = world.server.take_saved(usize::MAX);
    assert_eq!(
        (
            saved.nonces.len(),
            saved.subscriptions.len(),
            saved.gone.len()
        ),
        (1, 1, 0)
    );
    assert_eq!(world.server.take_saved(usize::MAX), SavedState::default());

    let mut server = MapServer::new(server_config(), 2, world.now);
    server.allow(eid(SERVICE), 1);
    server.allow(eid(SERVICE), 2);
    server.restore(saved, world.now);
    world.server = server;
    let replay = world.server.handle(from(11), &register, world.now);
    assert!(matches!(replay, Err(Refused::Replay { .. })), "{replay:?}");
    assert_eq!(
        legacy(&mut world, 50, SERVICE),
        Err(Refused::Starting(eid(SERVICE)))
    );
    world.advance(Duration::from_millis(1));
    assert_eq!(
        world.server.registrations().count(),
        1,
        "called back at once"
    );
    world.register(2, SERVICE, 0);
    assert_eq!(world.route(3, SERVICE), Some(rloc(12)), "still subscribed");

    // One whose cluster does not come back is taken from those who subscribed.
    let saved = SavedState {
        nonces: vec![],
        gone: vec![],
        subscriptions: vec![SavedSubscription {
            eid: eid(SERVICE),
            identity: Identity {
                xtr_id: 13,
                site_id: 3,
            },
            itr_rlocs: vec![rloc(13)],
            nonce: u64::MAX / 2,
            lifetime_s: 3_600,
            ended: false,
        }],
    };
    world.server = MapServer::new(server_config(), 3, world.now);
    world.server.restore(saved, world.now);
    world.edges.remove(&rloc(11));
    world.edges.remove(&rloc(12));
    world.advance(Duration::from_secs(31));
    assert_eq!(world.route(3, SERVICE), None);
}

#[test]
fn an_xtr_that_starts_anew_subscribes_with_a_nonce_above_its_last() {
    let mut world = World::new();
    world.register(1, SERVICE, 1);
    world.want(3, SERVICE);
    for (later, priority) in [(1, 0), (2, 3), (3, 0)] {
        world.advance(Duration::from_secs(later));
        world.register(2, SERVICE, priority);
    }
    let begun = BEGUN_NS + 7_000_000_000;
    world.edges.insert(rloc(13), edge(3, world.now, begun));
    world.want(3, SERVICE);
    assert_eq!(world.route(3, SERVICE), Some(rloc(12)));
    assert_eq!(world.counted("replay"), 0);
}

#[test]
fn without_the_merge_flag_the_last_of_a_site_counts() {
    let mut world = World::new();
    let flags = RegisterFlags::PROXY_REPLY | RegisterFlags::WANT_NOTIFY;
    for (xtr_id, last) in [(1, 21), (2, 22)] {
        let register = Signed {
            kind: SignedKind::Register(flags),
            identity: Some(Identity { xtr_id, site_id: 1 }),
            ..register(1, vec![one(SERVICE, last)])
        };
        world
            .server
            .handle(from(last), &register.encode(&key(1)), world.now)
            .unwrap();
    }
    world.register(2, SERVICE, 1);
    let mapping = world.server.mapping(&eid(SERVICE)).unwrap();
    let addresses: Vec<_> = mapping
        .locators
        .iter()
        .map(|locator| locator.address)
        .collect();
    assert_eq!(addresses, [rloc(12), rloc(22)], "the other cluster's stays");
}

#[test]
fn policies_change_what_is_published() {
    let mut world = World::new();
    world.register(1, SERVICE, 1);
    world.register(2, SERVICE, 1);
    world.want(3, SERVICE);
    let order = Policy::Order {
        clusters: vec!["site-2".into(), "site-1".into()],
    };
    world
        .server
        .set_policy(eid("10.112.0.0/24"), order, world.now);
    world.run();
    assert_eq!(world.route(3, SERVICE), Some(rloc(12)));
    world
        .server
        .set_policy(eid(SERVICE), Policy::Nearest { within_us: 0 }, world.now);
    for (name, rtt_us) in [("site-1", 100), ("site-2", 900)] {
        let state = ClusterState {
            load: None,
            rtt_us: Some(rtt_us),
        };
        world.server.set_cluster(name, state, world.now);
    }
    world.run();
    assert_eq!(world.route(3, SERVICE), Some(rloc(11)));
}

mod any_order {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever registers, moves and gets lost: once nothing is lost any more, every subscriber has what is registered.
        #[test]
        fn subscribers_come_to_what_is_registered(
            steps in proptest::collection::vec((0_u8..6, 1_u8..3, 0_u8..4, 0_u64..90_000), 1..40),
        ) {
            let mut world = World::new();
            world.want(3, SERVICE);
            for (kind, id, number, ms) in steps {
                match kind {
                    0 | 1 => world.register(id, SERVICE, number),
                    2 => {
                        let now = world.now;
                        world.edge(id).withdraw(&eid(SERVICE), now);
                        world.run();
                    }
                    3 => {
                        world.lose.insert((SERVER, rloc(13)), number.into());
                        world.lose.insert((rloc(13), SERVER), number.into());
                    }
                    4 => { world.lose.insert((rloc(10 + id), SERVER), number.into()); }
                    _ => world.want(3, SERVICE),
                }
                world.advance(Duration::from_millis(ms));
            }
            world.lose.clear();
            world.want(3, SERVICE);
            world.advance(Duration::from_secs(200));
            let now = world.now;
            if world.edge(3).cache().lookup(&eid(SERVICE), now).is_none() {
                world.want(3, SERVICE);
            }
            let now = world.now;
            let registered = world.server.mapping(&eid(SERVICE)).and_then(|record| {
                crate::mapping::choose(&record.locators, 0).map(|locator| locator.address)
            });
            prop_assert_eq!(world.route(3, SERVICE), registered, "{:?}", world.edge(3).cache().lookup(&eid(SERVICE), now));
        }
    }
}
