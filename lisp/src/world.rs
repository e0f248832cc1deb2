//! A network of xTRs and a Map-Server for tests, in a time of its own: datagrams arrive at once, or get lost.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crate::auth::{Algorithm, Key, KeyRing};
use crate::edge::{Control, EdgeConfig, Event};
use crate::eid::Eid;
use crate::ports::CONTROL_PORT;
use crate::server::{MapServer, ServerConfig, Site};
use crate::transmit::Transmit;
use crate::wire::{Identity, Locator, Message};

pub(crate) const SERVER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

/// Nanoseconds since 1970 at the beginning.
pub(crate) const BEGUN_NS: u64 = 1_763_000_000_000_000_000;

pub(crate) fn eid(text: &str) -> Eid {
    text.parse().unwrap()
}

pub(crate) fn rloc(last: u8) -> IpAddr {
    [10, 0, 0, last].into()
}

pub(crate) fn secret(site: u64) -> Vec<u8> {
    format!("secret of {site}").into_bytes()
}

pub(crate) fn site(id: u64) -> Site {
    Site {
        name: format!("site-{id}"),
        keys: KeyRing::new().with(1, &secret(id)),
        key: Key::new(1, Algorithm::Sha256, &secret(id)),
        prefixes: vec![],
        rlocs: vec![],
        lax_nonces: false,
        anonymous: false,
    }
}

/// Three sites, with the pool 10.112.0.0/16.
pub(crate) fn server_config() -> ServerConfig {
    let sites = (1..=3).map(|id| (id, site(id))).collect();
    ServerConfig {
        prefixes: vec![eid("10.112.0.0/16")],
        ..ServerConfig::new(SERVER, sites)
    }
}

pub(crate) fn edge_config(site: u64, last: u8) -> EdgeConfig {
    let identity = Identity {
        xtr_id: u128::from(last),
        site_id: site,
    };
    let key = Key::new(1, Algorithm::Sha256, &secret(site));
    let keys = KeyRing::new().with(1, &secret(site));
    EdgeConfig {
        serves: vec![eid("10.114.0.0/16")],
        ..EdgeConfig::new(identity, SERVER, key, keys, vec![rloc(last)])
    }
}

pub(crate) struct World {
    pub(crate) begun: Instant,
    pub(crate) now: Instant,
    pub(crate) server: MapServer,
    pub(crate) edges: BTreeMap<IpAddr, Control>,
    pub(crate) events: Vec<(IpAddr, Event)>,
    /// Every datagram, with its sender.
    pub(crate) sent: Vec<(IpAddr, Transmit)>,
    /// Datagrams from the one to the other that get lost yet.
    pub(crate) lose: BTreeMap<(IpAddr, IpAddr), usize>,
}

impl World {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        let mut server = MapServer::new(server_config(), 1, now);
        for (id, last) in [(1, 10), (2, 10), (1, 11), (2, 11)] {
            server.allow(eid(&format!("10.112.0.{last}")), id);
        }
        let edges = (1..=3)
            .map(|id| (rloc(10 + id), edge(id, now, BEGUN_NS)))
            .collect();
        Self {
            begun: now,
            now,
            server,
            edges,
            events: Vec::new(),
            sent: Vec::new(),
            lose: BTreeMap::new(),
        }
    }

    /// The xTR of the site with this id: at 10.0.0.11 and so on.
    pub(crate) fn edge(&mut self, id: u8) -> &mut Control {
        self.edges.get_mut(&rloc(10 + id)).unwrap()
    }

    /// Registers an address from a site, with one locator.
    pub(crate) fn register(&mut self, id: u8, text: &str, priority: u8) {
        let now = self.now;
        let locators = vec![Locator::new(rloc(10 + id), priority, 100)];
        self.edge(id).register(eid(text), 60, locators, now);
        self.run();
    }

    pub(crate) fn want(&mut self, id: u8, text: &str) {
        let now = self.now;
        self.edge(id).want(eid(text), now);
        self.run();
    }

    /// Delivers until nothing is on its way.
    pub(crate) fn run(&mut self) {
        loop {
            let mut moved = Vec::new();
            while let Some(transmit) = self.server.poll_transmit() {
                moved.push((SERVER, transmit));
            }
            for (address, edge) in &mut self.edges {
                while let Some(transmit) = edge.poll_transmit() {
                    moved.push((*address, transmit));
                }
                while let Some(event) = edge.poll_event() {
                    self.events.push((*address, event));
                }
            }
            if moved.is_empty() {
                return;
            }
            assert!(self.sent.len() < 100_000, "they do not come to rest");
            for (from, transmit) in moved {
                let to = transmit.to;
                assert_eq!(to.port(), CONTROL_PORT);
                self.sent.push((from, transmit.clone()));
                let lost = self.lose.entry((from, to.ip())).or_default();
                if *lost > 0 {
                    *lost -= 1;
                    continue;
                }
                self.deliver(
                    SocketAddr::new(from, CONTROL_PORT),
                    to.ip(),
                    &transmit.payload,
                );
            }
        }
    }

    pub(crate) fn deliver(&mut self, from: SocketAddr, to: IpAddr, bytes: &[u8]) {
        let now = self.now;
        // What is refused is counted.
        if to == SERVER {
            let _ = self.server.handle(from, bytes, now);
        } else if let Some(edge) = self.edges.get_mut(&to) {
            let _ = edge.handle(from, bytes, now);
        }
    }

    /// Lets time pass, from one thing that is due to the next.
    pub(crate) fn advance(&mut self, by: Duration) {
        let end = self.now + by;
        loop {
            let edges = self.edges.values().filter_map(Control::next_time);
            let next = edges.chain(self.server.next_time()).min();
            let Some(next) = next.filter(|next| *next <= end) else {
                break;
            };
            self.now = self.now.max(next);
            let now = self.now;
            self.server.on_time(now);
            self.edges.values_mut().for_each(|edge| edge.on_time(now));
            self.run();
        }
        self.now = end;
        self.run();
    }

    /// The locator to which the site's xTR sends packets for an address.
    pub(crate) fn route(&self, id: u8, text: &str) -> Option<IpAddr> {
        let cache = self.edges[&rloc(10 + id)].cache();
        let mapping = cache.lookup(&eid(text), self.now)?;
        mapping.choose(0).map(|locator| locator.address)
    }

    pub(crate) fn counted(&self, what: &str) -> u64 {
        self.server.counts().get(what).copied().unwrap_or(0)
    }

    pub(crate) fn counted_by(&self, id: u8, what: &str) -> u64 {
        self.edges[&rloc(10 + id)]
            .counts()
            .get(what)
            .copied()
            .unwrap_or(0)
    }

    /// The messages that the one has sent the other since the last time.
    pub(crate) fn messages(&mut self, from: IpAddr, to: IpAddr) -> Vec<Message> {
        let sent = std::mem::take(&mut self.sent);
        let between = sent
            .iter()
            .filter(|(sender, one)| *sender == from && one.to.ip() == to);
        between
            .map(|(_, one)| Message::parse(&one.payload).unwrap())
            .collect()
    }
}

/// The xTR of a site, which starts at this time since 1970.
pub(crate) fn edge(id: u8, now: Instant, begun_ns: u64) -> Control {
    let mut random = u64::from(id).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let random = Box::new(move || {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        random
    });
    Control::new(edge_config(id.into(), 10 + id), begun_ns, random, now)
}
