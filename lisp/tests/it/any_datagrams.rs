//! Any datagrams at a Map-Server and an xTR: what a fuzz target and a test have in common.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use lisp::auth::{Algorithm, Key, KeyRing};
use lisp::edge::{Control, EdgeConfig};
use lisp::server::{MapServer, ServerConfig, Site};
use lisp::wire::{Identity, Message};

const SECRET: &[u8] = b"secret";

fn round_trip(bytes: &[u8]) {
    let key = Key::new(1, Algorithm::Sha256, SECRET);
    let again = match Message::parse(bytes) {
        Err(_) => return,
        Ok(Message::Request(request)) => request.encode(),
        Ok(Message::Reply(reply)) => reply.encode(),
        Ok(Message::Encapsulated(one)) => one.encode(),
        Ok(Message::Signed(signed)) => {
            let bytes = signed.encode(&key);
            let ring = KeyRing::new().with(1, SECRET);
            assert_eq!(ring.verify(&bytes).as_ref(), Ok(&key));
            bytes
        }
    };
    assert_eq!(Message::parse(bytes), Message::parse(&again));
}

fn server(now: Instant) -> MapServer {
    let site = Site {
        name: "one".into(),
        keys: KeyRing::new().with(1, SECRET),
        key: Key::new(1, Algorithm::Sha256, SECRET),
        prefixes: vec!["0.0.0.0/0".parse().expect("a prefix")],
        rlocs: vec![],
        lax_nonces: true,
        anonymous: true,
    };
    let mut config = ServerConfig::new([10, 0, 0, 1].into(), [(1, site)].into());
    config.limits.eids = 8;
    config.limits.subscriptions = 8;
    config.limits.solicited = 8;
    MapServer::new(config, 1, now)
}

/// What must hold whatever comes: each step is whether it is signed, who sends it, after how many milliseconds, and what.
pub(crate) fn check(input: Vec<(bool, u8, u16, Vec<u8>)>) {
    let begun = Instant::now();
    let mut now = begun;
    let mut server = server(now);
    let identity = Identity {
        xtr_id: 1,
        site_id: 1,
    };
    let key = Key::new(1, Algorithm::Sha256, SECRET);
    let keys = KeyRing::new().with(1, SECRET);
    let config = EdgeConfig {
        cache: 8,
        pending: 8,
        ..EdgeConfig::new(
            identity,
            [10, 0, 0, 1].into(),
            key.clone(),
            keys,
            vec![[10, 0, 0, 2].into()],
        )
    };
    let mut edge = Control::new(config, 1 << 60, Box::new(|| 7), now);
    for (sign, last, later_ms, bytes) in input {
        round_trip(&bytes);
        now += Duration::from_millis(later_ms.into());
        // What only its sender can have sent is reached too.
        let bytes = match Message::parse(&bytes) {
            Ok(Message::Signed(signed)) if sign => signed.encode(&key),
            _ => bytes,
        };
        let source = SocketAddr::from(([10, 0, 0, last], 4342));
        let _ = server.handle(source, &bytes, now);
        let _ = edge.handle(source, &bytes, now);
        edge.want("10.96.0.10".parse().expect("an address"), now);
        server.on_time(now);
        edge.on_time(now);
        while server.poll_transmit().is_some() {}
        while edge.poll_transmit().is_some() {}
        while edge.poll_event().is_some() {}
        for (name, size) in server.sizes() {
            assert!(name == "xtrs" || size <= 8, "{name}: {size}");
        }
        assert!(edge.cache().len() <= 8 && edge.outstanding() <= 8);
    }
}
