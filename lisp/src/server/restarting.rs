//! What outlives a start of the Map-Server: what is saved and taken in again, and xTRs that are called back.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::map_server::{LastRegister, MapServer};
use super::saved::{SavedNonce, SavedState};
use crate::eid::Eid;
use crate::transmit::Transmit;
use crate::wire::{Action, Identity, Record, Signed, SignedKind};

impl MapServer {
    /// The state to be kept over a restart that has changed since this was called last, at most so many of each.
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

    /// Whether requests for what nobody has registered are left unanswered, because xTRs are on their way back.
    pub(super) fn is_starting(&self, now: Instant) -> bool {
        self.restored && now.saturating_duration_since(self.begun) < self.config.limits.starting
    }

    /// After a start with saved state: who subscribed to what nobody has registered again is told so.
    pub(super) fn tell_missing(&mut self, now: Instant) {
        for eid in self.subscriptions.eids() {
            let nobody = self.published.longest(&eid).is_none()
                && self.published.within(&eid).next().is_none();
            if nobody {
                self.publish(&Record::negative(eid, 0, Action::NoAction), now);
            }
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
        self.recalls.begin(identity, Transmit { to, payload }, now);
    }

    /// The xTR has registered: it need not be asked to.
    pub(super) fn is_back(&mut self, identity: Identity) {
        self.recalls.end(identity);
    }

    /// Sends the calls that are due.
    pub(super) fn recall_on_time(&mut self, now: Instant) {
        for transmit in self.recalls.on_time(now) {
            self.count("recall");
            self.send_to(transmit.to, transmit.payload);
        }
    }
}
