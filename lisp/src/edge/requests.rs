//! Map-Requests that are outstanding: when the next is sent, and which answer is for which.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use crate::eid::Eid;
use crate::pace::Recent;

/// "Map-Requests MUST be rate limited to 1 per second per EID-Prefix" (RFC 9301 section 5.3).
const INTERVAL: Duration = Duration::from_secs(1);

/// "After 10 retransmits without receiving the corresponding Map-Reply, the sender MUST wait 30 seconds" (the same).
const RETRANSMITS: u32 = 10;
const PAUSE: Duration = Duration::from_secs(30);

/// "It is RECOMMENDED that the SMR responder rate limit a Map-Request for the same EID-Prefix to no more than once every 3 seconds"
/// (RFC 9301 section 6.1).
const SMR_INTERVAL: Duration = Duration::from_secs(3);

/// The reason for which a mapping is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// A packet has no mapping.
    Missing,
    /// The mapping may have changed, as an SMR says.
    Solicited,
    /// A subscription is to be kept: asked for until there is an answer.
    Renewal,
}

/// A Map-Request to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) eid: Eid,
    pub(super) nonce: u64,
    pub(super) subscribe: bool,
    pub(super) solicited: bool,
}

#[derive(Clone, Debug)]
struct Pending {
    /// The nonces of all attempts: each may still be answered.
    nonces: VecDeque<u64>,
    sent: u32,
    due: Instant,
    subscribe: bool,
    why: Why,
}

/// Requests that are outstanding.
#[derive(Debug)]
pub(super) struct Requests {
    most: usize,
    pending: BTreeMap<Eid, Pending>,
    due: BTreeSet<(Instant, Eid)>,
    by_nonce: BTreeMap<u64, Eid>,
    asked: Recent<Eid, ()>,
    solicited: Recent<Eid, ()>,
}

impl Requests {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            pending: BTreeMap::new(),
            due: BTreeSet::new(),
            by_nonce: BTreeMap::new(),
            asked: Recent::new(4 * most, INTERVAL),
            solicited: Recent::new(4 * most, SMR_INTERVAL),
        }
    }

    /// The mapping of a prefix is wanted. False where there is no room, or it was asked for a short while ago.
    pub(super) fn want(&mut self, eid: Eid, why: Why, subscribe: bool, now: Instant) -> bool {
        if self.pending.contains_key(&eid) {
            return true;
        }
        if self.pending.len() >= self.most {
            return false;
        }
        let is_solicited = why == Why::Solicited;
        if is_solicited && self.solicited.get(&eid, now).is_some() {
            return false;
        }
        if is_solicited {
            self.solicited.insert(eid, (), now);
        }
        let was_asked = self.asked.get(&eid, now).is_some();
        let pending = Pending {
            nonces: VecDeque::new(),
            sent: 0,
            due: if was_asked { now + INTERVAL } else { now },
            subscribe,
            why,
        };
        self.due.insert((pending.due, eid));
        self.pending.insert(eid, pending);
        true
    }

    /// The requests to be sent by now. `next` gives the nonce of one, by its prefix, whether it subscribes, and the nonce before.
    pub(super) fn on_time(
        &mut self,
        now: Instant,
        mut next: impl FnMut(&Eid, bool, Option<u64>) -> u64,
    ) -> Vec<Ask> {
        let mut asks = Vec::new();
        while let Some((due, eid)) = self.due.first().copied() {
            if due > now {
                break;
            }
            self.due.remove(&(due, eid));
            let Some(pending) = self.pending.get_mut(&eid) else {
                continue;
            };
            if pending.sent > RETRANSMITS && pending.why != Why::Renewal {
                // Whoever still wants it asks anew.
                self.forget(&eid);
                continue;
            }
            if pending.sent > RETRANSMITS {
                pending.sent = 0;
            }
            // As many as may still be answered.
            if pending.nonces.len() > RETRANSMITS as usize
                && let Some(old) = pending.nonces.pop_front()
            {
                self.by_nonce.remove(&old);
            }
            let nonce = next(&eid, pending.subscribe, pending.nonces.back().copied());
            pending.nonces.push_back(nonce);
            pending.sent += 1;
            let wait = if pending.sent > RETRANSMITS {
                PAUSE
            } else {
                INTERVAL
            };
            pending.due = now + wait;
            self.due.insert((pending.due, eid));
            self.by_nonce.insert(nonce, eid);
            self.asked.insert(eid, (), now);
            asks.push(Ask {
                eid,
                nonce,
                subscribe: pending.subscribe,
                solicited: pending.why == Why::Solicited,
            });
        }
        asks
    }

    /// An answer with this nonce has come: what it is for, and whether a subscription was asked for. A nonce is good for one answer.
    pub(super) fn answered(&mut self, nonce: u64) -> Option<(Eid, bool)> {
        let eid = *self.by_nonce.get(&nonce)?;
        let subscribe = self.pending.get(&eid)?.subscribe;
        self.forget(&eid);
        Some((eid, subscribe))
    }

    /// The request that a nonce belongs to.
    pub(super) fn awaited(&self, nonce: u64) -> Option<(Eid, bool)> {
        let eid = *self.by_nonce.get(&nonce)?;
        Some((eid, self.pending.get(&eid)?.subscribe))
    }

    fn forget(&mut self, eid: &Eid) {
        if let Some(pending) = self.pending.remove(eid) {
            self.due.remove(&(pending.due, *eid));
            for nonce in pending.nonces {
                self.by_nonce.remove(&nonce);
            }
        }
    }

    pub(super) fn next_time(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| *due)
    }

    pub(super) fn len(&self) -> usize {
        self.pending.len()
    }
}
