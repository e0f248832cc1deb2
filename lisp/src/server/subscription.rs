//! One subscription: where its xTR is, until when it lives, and what has not been acknowledged.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::saved::SavedSubscription;
use crate::eid::Eid;
use crate::wire::Identity;

/// The intervals at which a Map-Notify is sent again: "retransmit up to 3 times at 3-second intervals" and then with the
/// interval doubled each time (RFC 9301 section 5.7).
const INTERVALS: [Duration; 6] = [
    Duration::from_secs(3),
    Duration::from_secs(3),
    Duration::from_secs(3),
    Duration::from_secs(6),
    Duration::from_secs(12),
    Duration::from_secs(24),
];

/// How long the nonce of a subscription is kept after its end.
const NONCE_KEPT: Duration = Duration::from_hours(24);

/// How long a subscription lives that was never acknowledged. Nobody has shown yet that it is there at all.
const UNCONFIRMED: Duration = Duration::from_secs(15);

/// Map-Notifies that one subscription has outstanding; of more, the changes are sent once.
const MOST_PENDING: usize = 256;

/// The number that is added to a nonce that was saved: more than were used since.
const RESTORED_JUMP: u64 = 1 << 20;

#[derive(Clone, Debug)]
struct Pending {
    nonce: u64,
    payload: Vec<u8>,
    attempt: usize,
    due: Instant,
}

/// A subscription of an xTR to an EID prefix; an ended one keeps its nonce.
#[derive(Clone, Debug)]
pub(super) struct Subscription {
    pub(super) site: u64,
    pub(super) itr_rlocs: Vec<IpAddr>,
    pub(super) nonce: u64,
    lifetime: Duration,
    ends: Instant,
    pub(super) ended: bool,
    pub(super) confirmed: bool,
    /// The subscription was handed out to be saved.
    pub(super) saved: bool,
    /// By the EID prefix of the change.
    pending: BTreeMap<Eid, Pending>,
    /// The time at which the subscription is to be looked at next.
    pub(super) timer: Instant,
}

/// The target of a Map-Notify: a subscription, and the nonce to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// The EID prefix that it subscribed to.
    pub(super) subscribed: Eid,
    pub(super) identity: Identity,
    pub(super) site: u64,
    /// The nonce to send.
    pub(super) nonce: u64,
}

/// Something that is due of a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// The last Map-Notify is to be sent again.
    Resend(IpAddr, Vec<u8>),
    /// Nobody acknowledged: the subscription is gone, and its xTR is told so once.
    GaveUp(IpAddr, Target),
}

impl Subscription {
    /// A new one; it is confirmed where its xTR is known to be at one of its addresses, and short until then.
    pub(super) fn new(
        site: u64,
        itr_rlocs: Vec<IpAddr>,
        nonce: u64,
        lifetime: Duration,
        confirmed: bool,
        now: Instant,
    ) -> Self {
        let ends = now + if confirmed { lifetime } else { UNCONFIRMED };
        Self {
            site,
            itr_rlocs,
            nonce,
            lifetime,
            ends,
            ended: false,
            confirmed,
            saved: false,
            pending: BTreeMap::new(),
            timer: ends,
        }
    }

    /// A subscription that was saved. The nonces that were used after that are jumped over.
    pub(super) fn restored(saved: SavedSubscription, now: Instant) -> Self {
        let lifetime = Duration::from_secs(saved.lifetime_s).min(NONCE_KEPT);
        let ends = now + if saved.ended { NONCE_KEPT } else { lifetime };
        let jump = if saved.ended { 0 } else { RESTORED_JUMP };
        Self {
            site: saved.identity.site_id,
            itr_rlocs: saved.itr_rlocs,
            nonce: saved.nonce.saturating_add(jump),
            lifetime,
            ends,
            ended: saved.ended,
            confirmed: true,
            saved: true,
            pending: BTreeMap::new(),
            timer: ends,
        }
    }

    /// The subscription as it is to be saved.
    pub(super) fn to_save(&self, eid: Eid, identity: Identity) -> SavedSubscription {
        SavedSubscription {
            eid,
            identity,
            itr_rlocs: self.itr_rlocs.clone(),
            nonce: self.nonce,
            lifetime_s: self.lifetime.as_secs(),
            ended: self.ended,
        }
    }

    /// The time at which something of the subscription is due first.
    pub(super) fn next_time(&self) -> Instant {
        let pending = self.pending.values().map(|pending| pending.due);
        pending.chain([self.ends]).min().unwrap_or(self.ends)
    }

    /// Whether the subscription has ended.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.ends <= now
    }

    /// Ends it. True where it lived.
    pub(super) fn end(&mut self, nonce: u64, now: Instant) -> bool {
        let was_alive = !self.ended;
        self.ended = true;
        self.nonce = self.nonce.max(nonce);
        self.pending.clear();
        self.ends = now + NONCE_KEPT;
        was_alive
    }

    /// A Map-Notify about `eid` is sent; its address.
    pub(super) fn sent(
        &mut self,
        eid: Eid,
        nonce: u64,
        payload: &[u8],
        now: Instant,
    ) -> Option<IpAddr> {
        let address = *self.itr_rlocs.first()?;
        if self.pending.len() < MOST_PENDING || self.pending.contains_key(&eid) {
            let due = if self.confirmed {
                now + INTERVALS[0]
            } else {
                self.ends
            };
            let pending = Pending {
                nonce,
                payload: payload.to_vec(),
                attempt: 0,
                due,
            };
            self.pending.insert(eid, pending);
        }
        Some(address)
    }

    /// Whether an acknowledgement with this nonce, of a change of `eid`, could come from there.
    pub(super) fn awaits(&self, eid: &Eid, nonce: u64, source: IpAddr) -> bool {
        let pending = self.pending.get(eid);
        self.itr_rlocs.contains(&source) && pending.is_some_and(|pending| pending.nonce == nonce)
    }

    /// An acknowledgement that was awaited has come. True where it is the first of all.
    pub(super) fn acknowledged(&mut self, eid: &Eid, now: Instant) -> bool {
        self.pending.remove(eid);
        if self.confirmed {
            return false;
        }
        self.confirmed = true;
        self.ends = now + self.lifetime;
        for pending in self.pending.values_mut() {
            pending.due = now + INTERVALS[0];
        }
        true
    }

    /// The messages to be sent again by now; and where nobody has acknowledged the last attempt, its address and nonce.
    pub(super) fn resend(&mut self, now: Instant) -> (Vec<Due>, Option<(IpAddr, u64)>) {
        let mut again = Vec::new();
        let mut gave_up = None;
        let due = self.pending.values_mut();
        for pending in due.filter(|pending| pending.due <= now) {
            pending.attempt += 1;
            // "it can try sending the Map-Notify to a different ITR-RLOC": each time to the next.
            let next = pending.attempt % self.itr_rlocs.len().max(1);
            let Some(address) = self.itr_rlocs.get(next) else {
                continue;
            };
            match INTERVALS.get(pending.attempt) {
                Some(interval) => {
                    pending.due = now + *interval;
                    again.push(Due::Resend(*address, pending.payload.clone()));
                }
                None => gave_up = Some((*address, pending.nonce)),
            }
        }
        (again, gave_up)
    }
}
