//! The machine: its state, its clock, and what it sends.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::config::{ServerConfig, Site};
use super::policy::{ClusterState, Policy};
use super::refused::Refused;
use super::registrations::{Registrar, Registration, Registrations};
use super::saved::{SavedNonce, SavedState};
use super::solicitations::{Solicitation, Solicitations};
use super::subscriptions::{Due, Subscriptions, Target};
use crate::eid::Eid;
use crate::eid_map::EidMap;
use crate::pace::{Buckets, Recent};
use crate::transmit::Transmit;
use crate::wire::{
    Action, Identity, Locator, MapRequest, Message, Record, RequestFlags, Signed, SignedKind,
};

/// "It is RECOMMENDED that a Map-Reply for the same destination RLOC be sent to no more than one packet every 3 seconds" (RFC 9301
/// section 5.4): here for one EID prefix and one state of it, or an ITR that talks to two services waited for the second.
const SAME_REPLY: Duration = Duration::from_secs(3);

/// Locators of a merged mapping: as many as fit a datagram that no path cuts.
const MOST_LOCATORS: usize = 32;

/// Map-Notifies of before a start that say that nothing is registered: so often, so far apart.
const RECALLS: u32 = 3;
const RECALL_INTERVAL: Duration = Duration::from_secs(1);

/// The last Map-Register of an xTR with one of its keys.
#[derive(Clone, Debug)]
pub(super) struct LastRegister {
    pub(super) nonce: u64,
    /// Its MAC, which tells the same message from another with its nonce; none after a restart.
    pub(super) mac: Option<Vec<u8>>,
    /// The Map-Notify that answered it.
    pub(super) answer: Option<Transmit>,
    pub(super) address: IpAddr,
    pub(super) eid: Eid,
}

/// An xTR that had registered before the start, and has to do so again.
#[derive(Clone, Debug)]
struct Recall {
    transmit: Transmit,
    left: u32,
    due: Instant,
}

/// A Map-Server and Map-Resolver.
#[derive(Debug)]
pub struct MapServer {
    pub(super) config: ServerConfig,
    pub(super) registrations: Registrations,
    pub(super) subscriptions: Subscriptions,
    pub(super) solicitations: Solicitations,
    /// Who may register what, beside the prefixes of the sites.
    pub(super) allocated: EidMap<BTreeSet<u64>>,
    /// Prefixes of the mapping system.
    pub(super) known: EidMap<()>,
    pub(super) last_registers: BTreeMap<(Identity, u8), LastRegister>,
    pub(super) changed_nonces: BTreeSet<(Identity, u8)>,
    /// What is in force, as it was published.
    pub(super) published: EidMap<Record>,
    pub(super) buckets: Buckets<IpAddr>,
    pub(super) answered: Recent<(IpAddr, Eid), u64>,
    /// Counts the changes of all mappings.
    pub(super) version: u64,
    policies: EidMap<Policy>,
    clusters: BTreeMap<String, ClusterState>,
    outbox: VecDeque<Transmit>,
    counts: BTreeMap<&'static str, u64>,
    begun: Instant,
    restored: bool,
    missing_due: Option<Instant>,
    recalls: BTreeMap<Identity, Recall>,
    nonce: u64,
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
            recalls: BTreeMap::new(),
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

    /// What is to be sent next, if anything.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.outbox.pop_front()
    }

    /// When [`MapServer::on_time`] is to be called, if nothing comes before.
    pub fn next_time(&self) -> Option<Instant> {
        let recall = self.recalls.values().map(|recall| recall.due).min();
        [
            self.registrations.next_end(),
            self.subscriptions.next_time(),
            self.solicitations.next_time(),
            self.missing_due,
            recall,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Does what is due.
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

    fn recall_on_time(&mut self, now: Instant) {
        let due: Vec<_> = self
            .recalls
            .iter()
            .filter(|(_, recall)| recall.due <= now)
            .map(|(identity, _)| *identity)
            .collect();
        for identity in due {
            let Some(recall) = self.recalls.get_mut(&identity) else {
                continue;
            };
            let transmit = recall.transmit.clone();
            recall.left -= 1;
            recall.due = now + RECALL_INTERVAL;
            if recall.left == 0 {
                self.recalls.remove(&identity);
            }
            self.count("recall");
            self.outbox.push_back(transmit);
        }
    }

    /// Asks every xTR of a site to register again: its cluster is back.
    pub fn recall_site(&mut self, site: u64, now: Instant) {
        let xtrs: Vec<_> = self
            .last_registers
            .iter()
            .filter(|((identity, _), _)| identity.site_id == site)
            .map(|((identity, _), last)| (*identity, last.address, last.eid))
            .collect();
        for (identity, address, eid) in xtrs {
            self.recall(identity, address, eid, now);
        }
    }

    /// An xTR is told, by a Map-Notify, that an EID prefix of its own is not registered.
    fn recall(&mut self, identity: Identity, address: IpAddr, eid: Eid, now: Instant) {
        self.nonce = self.nonce.wrapping_add(1);
        let Ok(site) = self.site(identity.site_id) else {
            return;
        };
        let notify = Signed {
            kind: SignedKind::Notify,
            nonce: self.nonce,
            records: vec![Record::negative(eid, 0, Action::NoAction)],
            identity: None,
        };
        let to = SocketAddr::new(address, self.config.port);
        let payload = notify.encode(&site.key);
        let recall = Recall {
            transmit: Transmit { to, payload },
            left: RECALLS,
            due: now,
        };
        self.recalls.insert(identity, recall);
    }

    /// The xTR has registered: it need not be asked to.
    pub(super) fn is_back(&mut self, identity: Identity) {
        self.recalls.remove(&identity);
    }

    /// After a start with saved state: who subscribed to what nobody has registered again is told so.
    fn tell_missing(&mut self, now: Instant) {
        for eid in self.subscriptions.eids() {
            let nobody = self.published.longest(&eid).is_none()
                && self.published.within(&eid).next().is_none();
            if nobody {
                self.publish(&Record::negative(eid, 0, Action::NoAction), now);
            }
        }
    }

    /// The site with this id.
    pub(super) fn site(&self, id: u64) -> Result<&Site, Refused> {
        self.config.sites.get(&id).ok_or(Refused::UnknownSite(id))
    }

    /// Counts something that has happened, by its label.
    pub fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// What has happened, and what was refused, by its label.
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

    /// Whether requests for what nobody has registered are left unanswered, because xTRs are on their way back.
    pub(super) fn is_starting(&self, now: Instant) -> bool {
        self.restored && now.saturating_duration_since(self.begun) < self.config.limits.starting
    }

    /// The mapping in force for exactly this prefix, from what is registered for it.
    pub(super) fn merged(&self, eid: &Eid) -> Option<Record> {
        let entry = self.registrations.entries().get(eid)?;
        let ttl_minutes = entry.values().map(|one| one.ttl_minutes).min()?;
        let mut locators: BTreeMap<IpAddr, (&str, Locator)> = BTreeMap::new();
        for (registrar, registration) in entry {
            let cluster = self
                .config
                .sites
                .get(&registrar.site)
                .map_or("", |site| site.name.as_str());
            for locator in &registration.locators {
                let proxied = Locator {
                    // RFC 9301 section 5.4: a proxy's answer has neither.
                    local: false,
                    probed: false,
                    ..*locator
                };
                let known = locators.get(&locator.address);
                if known.is_none_or(|(_, known)| known.priority > locator.priority) {
                    locators.insert(locator.address, (cluster, proxied));
                }
            }
        }
        let mut locators: Vec<_> = locators.into_values().take(MOST_LOCATORS).collect();
        let policy = self.policies.longest(eid).map(|(_, policy)| policy);
        policy
            .unwrap_or(&Policy::Registered)
            .apply(&mut locators, &self.clusters);
        let locators = locators.into_iter().map(|(_, locator)| locator).collect();
        Some(Record::new(*eid, ttl_minutes, locators))
    }

    /// Publishes the mapping of this prefix, if it is not what was published last.
    pub(super) fn refresh(&mut self, eid: &Eid, now: Instant) {
        let merged = self.merged(eid);
        if self.published.get(eid) == merged.as_ref() {
            return;
        }
        self.version += 1;
        let record = if let Some(record) = merged {
            self.published.insert(*eid, record.clone());
            record
        } else {
            self.published.remove(eid);
            // "notifies its subscribers (if any) via a Map-Notify with TTL equal to 0" (RFC 9437 section 5).
            Record::negative(*eid, 0, Action::NoAction)
        };
        self.count("mapping_changed");
        self.publish(&record, now);
        if !self.config.solicits {
            return;
        }
        self.solicitations.changed(eid, now);
        for one in self.solicitations.on_time(now) {
            self.solicit(one);
        }
    }

    fn publish(&mut self, record: &Record, now: Instant) {
        for target in self.subscriptions.targets(&record.eid) {
            let Some(payload) = self.notify(&target, record.clone()) else {
                continue;
            };
            if let Some(address) = self.subscriptions.sent(&target, record.eid, &payload, now) {
                self.count("publication");
                self.send(address, payload);
            }
        }
    }

    /// A Map-Notify for a subscriber.
    pub(super) fn notify(&self, target: &Target, record: Record) -> Option<Vec<u8>> {
        let site = self.config.sites.get(&target.site)?;
        let notify = Signed {
            kind: SignedKind::Notify,
            nonce: target.nonce,
            records: vec![record],
            identity: None,
        };
        Some(notify.encode(&site.key))
    }

    fn solicit(&mut self, one: Solicitation) {
        self.nonce = self.nonce.wrapping_add(1);
        // Open Overlay Router's form: the source is the EID that has changed, the record one that is local to the receiver.
        let source = Eid::host(one.changed.instance(), one.changed.address());
        let request = MapRequest {
            flags: RequestFlags::SMR,
            source_eid: Some(source),
            ..MapRequest::new(
                self.nonce,
                one.own.unwrap_or(one.changed),
                vec![self.config.address],
            )
        };
        self.count("solicitation");
        self.send(one.itr, request.encode());
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

    /// Sets the selection policy of a prefix and of what lies in it; [`Policy::Registered`] where none is set.
    pub fn set_policy(&mut self, eid: Eid, policy: Policy, now: Instant) {
        self.policies.insert(eid, policy);
        self.refresh_within(&eid, now);
    }

    /// Takes in what is known of a cluster, by its site's name. Mappings that this changes are published.
    pub fn set_cluster(&mut self, name: &str, state: ClusterState, now: Instant) {
        if self.clusters.get(name) == Some(&state) {
            return;
        }
        self.clusters.insert(name.to_owned(), state);
        let with_policy: Vec<_> = self.policies.iter().map(|(eid, _)| eid).collect();
        for eid in with_policy {
            self.refresh_within(&eid, now);
        }
    }

    fn refresh_within(&mut self, eid: &Eid, now: Instant) {
        let eids: Vec<_> = self
            .registrations
            .entries()
            .within(eid)
            .map(|(eid, _)| eid)
            .collect();
        for eid in eids {
            self.refresh(&eid, now);
        }
    }

    /// Every registration, by EID prefix.
    pub fn registrations(&self) -> impl Iterator<Item = (Eid, &BTreeMap<Registrar, Registration>)> {
        self.registrations.entries().iter()
    }

    /// The mapping in force for an address, as it is given to ITRs.
    pub fn mapping(&self, eid: &Eid) -> Option<&Record> {
        self.published.longest(eid).map(|(_, record)| record)
    }

    /// Who has subscribed to exactly this prefix, and where they are.
    pub fn subscribers(&self, eid: &Eid) -> Vec<(Identity, Vec<IpAddr>)> {
        self.subscriptions.of(eid)
    }

    /// How much there is of what is bounded, by name.
    pub fn sizes(&self) -> [(&'static str, usize); 4] {
        [
            ("eids", self.registrations.entries().len()),
            ("subscriptions", self.subscriptions.alive()),
            ("solicited", self.solicitations.len()),
            ("xtrs", self.last_registers.len()),
        ]
    }

    /// What has changed since this was called last and is to be kept over a restart, at most so many of each.
    pub fn take_saved(&mut self, most: usize) -> SavedState {
        let mut nonces = Vec::new();
        while nonces.len() < most
            && let Some(key) = self.changed_nonces.pop_first()
        {
            if let Some(last) = self.last_registers.get(&key) {
                nonces.push(SavedNonce {
                    identity: key.0,
                    key_id: key.1,
                    nonce: last.nonce,
                    address: last.address,
                    eid: last.eid,
                });
            }
        }
        let (subscriptions, gone) = self.subscriptions.take_changed(most);
        SavedState {
            nonces,
            subscriptions,
            gone,
        }
    }

    /// Takes in what was saved, and asks every xTR that had registered to do so again.
    pub fn restore(&mut self, saved: SavedState, now: Instant) {
        self.restored = !(saved.nonces.is_empty() && saved.subscriptions.is_empty());
        self.missing_due = self.restored.then(|| now + self.config.limits.missing);
        for one in saved.subscriptions {
            self.subscriptions.restore(one, now);
        }
        // What was just read need not be written.
        self.subscriptions.take_changed(usize::MAX);
        for one in saved.nonces {
            self.recall(one.identity, one.address, one.eid, now);
            let last = LastRegister {
                nonce: one.nonce,
                mac: None,
                answer: None,
                address: one.address,
                eid: one.eid,
            };
            self.last_registers.insert((one.identity, one.key_id), last);
        }
    }
}
