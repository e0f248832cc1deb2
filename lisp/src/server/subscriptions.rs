//! Subscriptions (RFC 9437): who is told of changes, with which nonce, and what has not been acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::saved::SavedSubscription;
use super::subscription::{Due, Subscription, Target};
use crate::eid::Eid;
use crate::eid_map::EidMap;
use crate::pace::Recent;
use crate::wire::Identity;

/// The part of all subscriptions that nobody has confirmed, as a divisor: whoever makes them up leaves room for the others.
const UNCONFIRMED_PART: usize = 4;

/// How long an acknowledgement shows that an xTR is at an address.
const CONFIRMATION: Duration = Duration::from_hours(24);

/// A reason for which a request makes no subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotSubscribed {
    Replay { last: u64 },
    Full,
}

/// Every subscription.
#[derive(Debug)]
pub(super) struct Subscriptions {
    most: usize,
    most_each: usize,
    by_eid: EidMap<BTreeMap<Identity, Subscription>>,
    each: BTreeMap<Identity, usize>,
    total: usize,
    unconfirmed: usize,
    timers: BTreeSet<(Instant, Eid, Identity)>,
    confirmed: Recent<(Identity, IpAddr), ()>,
    changed: BTreeSet<(Eid, Identity)>,
}

impl Subscriptions {
    pub(super) fn new(most: usize, most_each: usize) -> Self {
        Self {
            most,
            most_each,
            by_eid: EidMap::default(),
            each: BTreeMap::new(),
            total: 0,
            unconfirmed: 0,
            timers: BTreeSet::new(),
            confirmed: Recent::new(most, CONFIRMATION),
            changed: BTreeSet::new(),
        }
    }

    fn get(&self, eid: &Eid, identity: Identity) -> Option<&Subscription> {
        self.by_eid.get(eid)?.get(&identity)
    }

    fn get_mut(&mut self, eid: &Eid, identity: Identity) -> Option<&mut Subscription> {
        self.by_eid.get_mut(eid)?.get_mut(&identity)
    }

    /// Takes in or renews a subscription: "Any state that is already present regarding ITR-RLOCs and/or nonce for the same
    /// xTR-ID MUST be overwritten" (RFC 9437 section 5).
    pub(super) fn subscribe(
        &mut self,
        eid: Eid,
        identity: Identity,
        itr_rlocs: Vec<IpAddr>,
        nonce: u64,
        lifetime: Duration,
        now: Instant,
    ) -> Result<(), NotSubscribed> {
        let known = self.get(&eid, identity);
        // "MUST verify that the nonce in the Map-Request is greater than the stored nonce (if any)".
        if let Some(known) = known
            && nonce <= known.nonce
        {
            return Err(NotSubscribed::Replay { last: known.nonce });
        }
        let was_saved = known.is_some_and(|known| known.saved);
        let each = self.each.get(&identity).copied().unwrap_or(0);
        if known.is_none() && (self.total >= self.most || each >= self.most_each) {
            return Err(NotSubscribed::Full);
        }
        let is_known_there = itr_rlocs
            .iter()
            .any(|rloc| self.confirmed.get(&(identity, *rloc), now).is_some());
        if !is_known_there && self.unconfirmed >= self.most / UNCONFIRMED_PART {
            return Err(NotSubscribed::Full);
        }
        let site = identity.site_id;
        let mut new = Subscription::new(site, itr_rlocs, nonce, lifetime, is_known_there, now);
        new.saved = was_saved;
        self.put(eid, identity, new);
        Ok(())
    }

    fn put(&mut self, eid: Eid, identity: Identity, new: Subscription) {
        self.drop_timer(&eid, identity);
        self.timers.insert((new.timer, eid, identity));
        self.unconfirmed += usize::from(!new.confirmed);
        let before = self.by_eid.get_or_default(eid).insert(identity, new);
        self.unconfirmed -= usize::from(before.as_ref().is_some_and(|before| !before.confirmed));
        if before.is_none() {
            self.total += 1;
            *self.each.entry(identity).or_default() += 1;
        }
        self.changed.insert((eid, identity));
    }

    fn drop_timer(&mut self, eid: &Eid, identity: Identity) {
        if let Some(known) = self.get(eid, identity) {
            let timer = (known.timer, *eid, identity);
            self.timers.remove(&timer);
        }
    }

    /// Sets the timer to what is due first.
    fn set_timer(&mut self, eid: &Eid, identity: Identity) {
        self.drop_timer(eid, identity);
        let Some(known) = self.get_mut(eid, identity) else {
            return;
        };
        known.timer = known.next_time();
        let timer = known.timer;
        self.timers.insert((timer, *eid, identity));
    }

    /// Ends a subscription, and keeps its nonce: "the Map-Server SHOULD keep the last nonce seen" (RFC 9437 section 5).
    /// True where there was one.
    pub(super) fn end(&mut self, eid: &Eid, identity: Identity, nonce: u64, now: Instant) -> bool {
        let Some(known) = self.get_mut(eid, identity) else {
            return false;
        };
        let was_alive = known.end(nonce, now);
        self.changed.insert((*eid, identity));
        self.set_timer(eid, identity);
        was_alive
    }

    /// The nonce that is stored.
    pub(super) fn nonce(&self, eid: &Eid, identity: Identity) -> Option<u64> {
        self.get(eid, identity).map(|known| known.nonce)
    }

    /// Whoever is told of a change of `eid`: of the subscriptions that an xTR has, the one with the longest prefix. Each has its
    /// nonce moved on: "increments the nonce by one every time it sends a Map-Notify as publication" (RFC 9437 section 6).
    pub(super) fn targets(&mut self, eid: &Eid) -> Vec<Target> {
        let mut subscribed = BTreeMap::new();
        for (prefix, subscriptions) in self.by_eid.covering(eid) {
            let alive = subscriptions.iter().filter(|(_, one)| !one.ended);
            subscribed.extend(alive.map(|(identity, _)| (*identity, prefix)));
        }
        let mut targets = Vec::new();
        for (identity, prefix) in subscribed {
            let Some(known) = self.get_mut(&prefix, identity) else {
                continue;
            };
            known.nonce = known.nonce.wrapping_add(1);
            targets.push(Target {
                subscribed: prefix,
                identity,
                site: known.site,
                nonce: known.nonce,
            });
            self.changed.insert((prefix, identity));
        }
        targets
    }

    /// A Map-Notify about `eid` is sent to the target; its address. It is sent again until it is acknowledged, if the xTR has
    /// ever acknowledged anything there.
    pub(super) fn sent(
        &mut self,
        target: &Target,
        eid: Eid,
        payload: &[u8],
        now: Instant,
    ) -> Option<IpAddr> {
        let known = self.get_mut(&target.subscribed, target.identity)?;
        let address = known.sent(eid, target.nonce, payload, now)?;
        self.set_timer(&target.subscribed, target.identity);
        Some(address)
    }

    /// The subscription whose xTR could have acknowledged `nonce` of a change of `eid` from `source`.
    pub(super) fn awaited(&self, eid: &Eid, nonce: u64, source: IpAddr) -> Option<(Eid, Identity)> {
        let covering = self.by_eid.covering(eid);
        let mut all = covering.flat_map(|(prefix, found)| {
            found
                .iter()
                .map(move |(identity, one)| (prefix, *identity, one))
        });
        all.find(|(_, _, one)| one.awaits(eid, nonce, source))
            .map(|(prefix, identity, _)| (prefix, identity))
    }

    /// An acknowledgement that was awaited has come.
    pub(super) fn acknowledged(
        &mut self,
        subscribed: &Eid,
        identity: Identity,
        eid: &Eid,
        source: IpAddr,
        now: Instant,
    ) {
        let known = self.get_mut(subscribed, identity);
        let is_first = known.is_some_and(|known| known.acknowledged(eid, now));
        self.set_timer(subscribed, identity);
        if is_first {
            self.unconfirmed -= 1;
            self.changed.insert((*subscribed, identity));
        }
        self.confirmed.insert((identity, source), (), now);
    }

    /// The messages, and the ends of subscriptions, that are due by now.
    pub(super) fn on_time(&mut self, now: Instant) -> Vec<Due> {
        let mut all = Vec::new();
        while let Some((due, eid, identity)) = self.timers.first().copied() {
            if due > now {
                break;
            }
            self.look_at(&eid, identity, now, &mut all);
        }
        all
    }

    fn look_at(&mut self, eid: &Eid, identity: Identity, now: Instant, all: &mut Vec<Due>) {
        let Some(known) = self.get_mut(eid, identity) else {
            return;
        };
        if known.is_over(now) {
            // Of one that nobody ever confirmed, there is no nonce to be replayed.
            if known.ended || !known.confirmed {
                self.forget(eid, identity);
            } else {
                self.end(eid, identity, 0, now);
            }
            return;
        }
        let site = known.site;
        let (again, gave_up) = known.resend(now);
        all.extend(again);
        match gave_up {
            Some((address, nonce)) => {
                self.end(eid, identity, 0, now);
                let target = Target {
                    subscribed: *eid,
                    identity,
                    site,
                    nonce,
                };
                all.push(Due::GaveUp(address, target));
            }
            None => self.set_timer(eid, identity),
        }
    }

    fn forget(&mut self, eid: &Eid, identity: Identity) {
        self.drop_timer(eid, identity);
        let Some(all) = self.by_eid.get_mut(eid) else {
            return;
        };
        if let Some(gone) = all.remove(&identity) {
            self.total -= 1;
            self.unconfirmed -= usize::from(!gone.confirmed);
            if gone.saved {
                self.changed.insert((*eid, identity));
            }
            if let Some(each) = self.each.get_mut(&identity) {
                *each -= 1;
                if *each == 0 {
                    self.each.remove(&identity);
                }
            }
        }
        if self.by_eid.get(eid).is_some_and(BTreeMap::is_empty) {
            self.by_eid.remove(eid);
        }
    }

    pub(super) fn next_time(&self) -> Option<Instant> {
        self.timers.first().map(|(due, ..)| *due)
    }

    /// EID prefixes that somebody has subscribed to.
    pub(super) fn eids(&self) -> Vec<Eid> {
        let alive = |all: &BTreeMap<Identity, Subscription>| all.values().any(|one| !one.ended);
        let eids = self.by_eid.iter().filter(|(_, all)| alive(all));
        eids.map(|(eid, _)| eid).collect()
    }

    /// Subscriptions that live.
    pub(super) fn alive(&self) -> usize {
        let all = self.by_eid.iter().flat_map(|(_, all)| all.values());
        all.filter(|one| !one.ended).count()
    }

    /// The xTRs that have subscribed to exactly this prefix, and their ITR-RLOCs.
    pub(super) fn of(&self, eid: &Eid) -> Vec<(Identity, Vec<IpAddr>)> {
        let all = self.by_eid.get(eid).into_iter().flatten();
        all.filter(|(_, one)| !one.ended)
            .map(|(identity, one)| (*identity, one.itr_rlocs.clone()))
            .collect()
    }

    /// The subscriptions that have changed since this was called last, at most so many, and those that are gone. None that nobody
    /// has confirmed.
    pub(super) fn take_changed(
        &mut self,
        most: usize,
    ) -> (Vec<SavedSubscription>, Vec<(Eid, Identity)>) {
        let (mut saved, mut gone) = (Vec::new(), Vec::new());
        while saved.len() + gone.len() < most
            && let Some((eid, identity)) = self.changed.pop_first()
        {
            let Some(known) = self.get_mut(&eid, identity) else {
                gone.push((eid, identity));
                continue;
            };
            if !known.confirmed {
                continue;
            }
            known.saved = true;
            saved.push(known.to_save(eid, identity));
        }
        (saved, gone)
    }

    /// Takes in what was saved. The nonces that were used after that are jumped over.
    pub(super) fn restore(&mut self, saved: SavedSubscription, now: Instant) {
        if self.total >= self.most {
            return;
        }
        for rloc in &saved.itr_rlocs {
            self.confirmed.insert((saved.identity, *rloc), (), now);
        }
        let (eid, identity) = (saved.eid, saved.identity);
        self.put(eid, identity, Subscription::restored(saved, now));
    }
}
