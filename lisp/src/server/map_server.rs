//! The machine: its state, its clock, and what it sends.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::config::{ServerConfig, Site};
use super::policy::{ClusterState, Policy};
use super::recalls::Recalls;
use super::refused::Refused;
use super::registrations::{Registrar, Registration, Registrations};
use super::solicitations::Solicitations;
use super::subscription::Due;
use super::subscriptions::Subscriptions;
use crate::eid::Eid;
use crate::eid_map::EidMap;
use crate::pace::{Buckets, Recent};
use crate::transmit::Transmit;
use crate::wire::{Action, Identity, Message, Record, Signed, SignedKind};

/// "It is RECOMMENDED that a Map-Reply for the same destination RLOC be sent to no more than one packet every 3 seconds" (RFC 9301
/// section 5.4): here for one EID prefix and one state of it, or an ITR that talks to two services waited for the second.
const SAME_REPLY: Duration = Duration::from_secs(3);

/// The last Map-Register of an xTR with one of its keys.
#[derive(Clone, Debug)]
pub(super) struct LastRegister {
    pub(super) nonce: u64,
    /// The MAC of the Map-Register, which tells the message from another with its nonce; none after a restart.
    pub(super) mac: Option<Vec<u8>>,
    /// The Map-Notify that answered it.
    pub(super) answer: Option<Transmit>,
    pub(super) address: IpAddr,
    pub(super) eid: Eid,
}

/// A Map-Server and Map-Resolver.
#[derive(Debug)]
pub struct MapServer {
    pub(super) config: ServerConfig,
    pub(super) registrations: Registrations,
    pub(super) subscriptions: Subscriptions,
    pub(super) solicitations: Solicitations,
    /// The sites that may register an EID prefix, beside the prefixes of their own.
    pub(super) allocated: EidMap<BTreeSet<u64>>,
    /// Prefixes of the mapping system.
    pub(super) known: EidMap<()>,
    pub(super) last_registers: BTreeMap<(Identity, u8), LastRegister>,
    pub(super) changed_nonces: BTreeSet<(Identity, u8)>,
    /// The records in force, as they were published.
    pub(super) published: EidMap<Record>,
    pub(super) buckets: Buckets<IpAddr>,
    pub(super) answered: Recent<(IpAddr, Eid), u64>,
    /// Counts the changes of all mappings.
    pub(super) version: u64,
    pub(super) policies: EidMap<Policy>,
    pub(super) clusters: BTreeMap<String, ClusterState>,
    outbox: VecDeque<Transmit>,
    counts: BTreeMap<&'static str, u64>,
    pub(super) begun: Instant,
    pub(super) restored: bool,
    pub(super) missing_due: Option<Instant>,
    pub(super) recalls: Recalls,
    pub(super) nonce: u64,
}

impl MapServer {
    /// A Map-Server that knows nothing yet. `seed` is random: nonces of what it sends unasked begin there.
    pub fn new(config: ServerConfig, seed: u64, now: Instant) -> Self {
        let limits = config.limits;
        let mut known = EidMap::default();
        let of_sites = config.sites.values().flat_map(|site| &site.prefixes);
        for eid in config.prefixes.iter().chain(of_sites) {
            known.insert(*eid, ());
        }
        Self {
            registrations: Registrations::new(limits.eids, limits.xtrs_per_eid),
            subscriptions: Subscriptions::new(limits.subscriptions, limits.subscriptions_each),
            solicitations: Solicitations::new(limits.solicited),
            allocated: EidMap::default(),
            known,
            last_registers: BTreeMap::new(),
            changed_nonces: BTreeSet::new(),
            published: EidMap::default(),
            buckets: Buckets::new(
                limits.requests_each,
                limits.requests_all,
                limits.sources,
                now,
            ),
            answered: Recent::new(limits.sources, SAME_REPLY),
            version: 0,
            policies: EidMap::default(),
            clusters: BTreeMap::new(),
            outbox: VecDeque::new(),
            counts: BTreeMap::new(),
            begun: now,
            restored: false,
            missing_due: None,
            recalls: Recalls::default(),
            nonce: seed,
            config,
        }
    }

    /// Takes a datagram of the control port. What comes of it is to be fetched with [`MapServer::poll_transmit`].
    pub fn handle(
        &mut self,
        source: SocketAddr,
        bytes: &[u8],
        now: Instant,
    ) -> Result<(), Refused> {
        let result = self.take(source, bytes, now);
        if let Err(refused) = &result {
            self.count(refused.label());
        }
        result
    }

    fn take(&mut self, source: SocketAddr, bytes: &[u8], now: Instant) -> Result<(), Refused> {
        match Message::parse(bytes)? {
            Message::Encapsulated(one) => {
                self.count("map_request");
                self.answer(source, one.source.port(), &one.request, Some(bytes), now)
            }
            Message::Request(request) => {
                self.count("map_request");
                self.answer(source, source.port(), &request, None, now)
            }
            // "a Map-Server should never receive Map-Replies; any such messages SHOULD be discarded without response" (RFC 9301
            // section 8.3).
            Message::Reply(_) => Err(Refused::NotForServer("Map-Reply")),
            Message::Signed(signed) => match signed.kind {
                SignedKind::Register(flags) => {
                    self.count("map_register");
                    self.register(source, &signed, flags, bytes, now)
                }
                SignedKind::Notify => Err(Refused::NotForServer("Map-Notify")),
                SignedKind::NotifyAck => {
                    self.count("map_notify_ack");
                    self.acknowledge(source, &signed, bytes, now)
                }
            },
        }
    }

    fn acknowledge(
        &mut self,
        source: SocketAddr,
        ack: &Signed,
        bytes: &[u8],
        now: Instant,
    ) -> Result<(), Refused> {
        let eid = ack.records[0].eid;
        let awaited = self.subscriptions.awaited(&eid, ack.nonce, source.ip());
        let (subscribed, identity) = awaited.ok_or(Refused::UnknownAck)?;
        self.site(identity.site_id)?.keys.verify(bytes)?;
        self.subscriptions
            .acknowledged(&subscribed, identity, &eid, source.ip(), now);
        Ok(())
    }

    /// The next message to be sent, if any.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.outbox.pop_front()
    }

    /// The time at which [`MapServer::on_time`] is to be called, if nothing comes before.
    pub fn next_time(&self) -> Option<Instant> {
        [
            self.registrations.next_end(),
            self.subscriptions.next_time(),
            self.solicitations.next_time(),
            self.missing_due,
            self.recalls.next_time(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Does what is due by `now`.
    pub fn on_time(&mut self, now: Instant) {
        for eid in self.registrations.ended(now) {
            self.count("registration_expired");
            self.registrations.expire(&eid, now);
            self.refresh(&eid, now);
        }
        for due in self.subscriptions.on_time(now) {
            match due {
                Due::Resend(address, payload) => {
                    self.count("map_notify_resent");
                    self.send(address, payload);
                }
                Due::GaveUp(address, target) => {
                    self.count("subscription_unanswered");
                    let gone = Record::negative(target.subscribed, 1, Action::AuthFailure);
                    if let Some(payload) = self.notify(&target, gone) {
                        self.send(address, payload);
                    }
                }
            }
        }
        for one in self.solicitations.on_time(now) {
            self.solicit(one);
        }
        if self.missing_due.is_some_and(|due| due <= now) {
            self.missing_due = None;
            self.tell_missing(now);
        }
        self.recall_on_time(now);
    }

    /// The site with this id.
    pub(super) fn site(&self, id: u64) -> Result<&Site, Refused> {
        self.config.sites.get(&id).ok_or(Refused::UnknownSite(id))
    }

    /// Counts something that has happened, by its label.
    pub fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// The counts of what has happened and of what was refused, by label.
    pub const fn counts(&self) -> &BTreeMap<&'static str, u64> {
        &self.counts
    }

    pub(super) fn send(&mut self, address: IpAddr, payload: Vec<u8>) {
        let to = SocketAddr::new(address, self.config.port);
        self.outbox.push_back(Transmit { to, payload });
    }

    pub(super) fn send_to(&mut self, to: SocketAddr, payload: Vec<u8>) {
        self.outbox.push_back(Transmit { to, payload });
    }

    /// Lets a site register an EID prefix from now on.
    pub fn allow(&mut self, eid: Eid, site: u64) {
        self.allocated.get_or_default(eid).insert(site);
    }

    /// Ends what [`MapServer::allow`] gave, and every registration of the prefix by the site.
    pub fn disallow(&mut self, eid: &Eid, site: u64, now: Instant) {
        if let Some(sites) = self.allocated.get_mut(eid) {
            sites.remove(&site);
            if sites.is_empty() {
                self.allocated.remove(eid);
            }
        }
        self.withdraw(eid, site, now);
    }

    /// Removes what a site has registered for a prefix: its agent, or whoever watches it, knows better.
    pub fn withdraw(&mut self, eid: &Eid, site: u64, now: Instant) {
        let entry = self
            .registrations
            .entries()
            .get(eid)
            .into_iter()
            .flat_map(BTreeMap::keys);
        let of_site: Vec<_> = entry
            .filter(|registrar| registrar.site == site)
            .copied()
            .collect();
        for registrar in of_site {
            self.registrations.remove(eid, registrar);
        }
        self.refresh(eid, now);
    }

    /// Removes everything that a site has registered: the site is cut off. How many prefixes that were.
    pub fn withdraw_site(&mut self, site: u64, now: Instant) -> usize {
        let entries = self.registrations.entries().iter();
        let eids: Vec<_> = entries
            .filter(|(_, entry)| entry.keys().any(|registrar| registrar.site == site))
            .map(|(eid, _)| eid)
            .collect();
        for eid in &eids {
            self.withdraw(eid, site, now);
        }
        eids.len()
    }

    /// Every registration, by EID prefix.
    pub fn registrations(&self) -> impl Iterator<Item = (Eid, &BTreeMap<Registrar, Registration>)> {
        self.registrations.entries().iter()
    }

    /// The xTRs that have subscribed to exactly this prefix, and their ITR-RLOCs.
    pub fn subscribers(&self, eid: &Eid) -> Vec<(Identity, Vec<IpAddr>)> {
        self.subscriptions.of(eid)
    }

    /// The sizes of the bounded tables, by name.
    pub fn sizes(&self) -> [(&'static str, usize); 4] {
        [
            ("eids", self.registrations.entries().len()),
            ("subscriptions", self.subscriptions.alive()),
            ("solicited", self.solicitations.len()),
            ("xtrs", self.last_registers.len()),
        ]
    }
}
