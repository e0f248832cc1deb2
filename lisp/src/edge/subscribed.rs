//! Subscriptions as their subscriber keeps them: the nonces that tell a publication from a replay, and when to renew.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::event::Ignored;
use crate::eid::Eid;
use crate::eid_map::EidMap;

#[derive(Clone, Copy, Debug)]
struct Subscription {
    /// The nonce that it was taken with: publications have greater ones.
    begun: u64,
    /// The greatest of any publication through it, which the next request has to be above.
    last: u64,
    renew: Instant,
}

/// Every subscription.
#[derive(Debug, Default)]
pub(super) struct Subscribed {
    all: EidMap<Subscription>,
    /// The last nonce of a publication of each prefix: "MUST keep track of the last nonce seen in a Map-Notify received as a
    /// publication from the Map-Server for the EID-Prefix" (RFC 9437 section 6).
    published: EidMap<u64>,
    renewals: BTreeSet<(Instant, Eid)>,
}

impl Subscribed {
    /// The Map-Server has taken a subscription, which is to be renewed after `lasts`.
    pub(super) fn set(&mut self, eid: Eid, nonce: u64, lasts: Duration, now: Instant) {
        self.remove(&eid);
        let new = Subscription {
            begun: nonce,
            last: nonce,
            renew: now + lasts,
        };
        self.renewals.insert((new.renew, eid));
        self.all.insert(eid, new);
    }

    /// Forgets a subscription. Nonces of publications stay, as long as something covers them.
    pub(super) fn remove(&mut self, eid: &Eid) {
        if let Some(known) = self.all.remove(eid) {
            self.renewals.remove(&(known.renew, *eid));
        }
    }

    /// The nonce of the next request for a prefix, if there was one before: "If the xTR has a nonce associated with the EID-Prefix,
    /// it MUST use this nonce increased by one" (RFC 9437 section 5).
    pub(super) fn next_nonce(&self, eid: &Eid) -> Option<u64> {
        self.all.get(eid).map(|known| known.last.wrapping_add(1))
    }

    /// Whether exactly this prefix is subscribed to.
    pub(super) fn has(&self, eid: &Eid) -> bool {
        self.all.get(eid).is_some()
    }

    /// Takes the nonce of a publication, if it is none that came before.
    pub(super) fn publication(&mut self, eid: &Eid, nonce: u64) -> Result<(), Ignored> {
        let (subscribed, known) = self.all.longest(eid).ok_or(Ignored::NotSubscribed(*eid))?;
        let published = self.published.get(eid).copied();
        let last = published.map_or(known.begun, |published| published.max(known.begun));
        if nonce <= last {
            return Err(Ignored::Replay { nonce, last });
        }
        self.published.insert(*eid, nonce);
        if let Some(known) = self.all.get_mut(&subscribed) {
            known.last = known.last.max(nonce);
        }
        Ok(())
    }

    /// Whether a Map-Notify with this nonce can be the end of the subscription: it has the last publication's.
    pub(super) fn is_last(&self, eid: &Eid, nonce: u64) -> bool {
        self.all.get(eid).is_some_and(|known| known.last == nonce)
    }

    /// The subscriptions to be renewed by now.
    pub(super) fn on_time(&mut self, now: Instant) -> Vec<Eid> {
        let mut due = Vec::new();
        while let Some((renew, eid)) = self.renewals.first().copied() {
            if renew > now {
                break;
            }
            self.renewals.remove(&(renew, eid));
            due.push(eid);
        }
        due
    }

    pub(super) fn next_time(&self) -> Option<Instant> {
        self.renewals.first().map(|(renew, _)| *renew)
    }

    /// Every prefix that is subscribed to.
    pub(super) fn eids(&self) -> Vec<Eid> {
        self.all.iter().map(|(eid, _)| eid).collect()
    }
}
