//! Another address of the xTR, and solicitations of ITRs that send to the one before.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;

use super::control::Control;
use super::requests::Why;
use crate::eid::Eid;
use crate::wire::{Locator, MapRequest, RequestFlags};

/// ITRs that are told of one change of ours.
const MOST_SOLICITED: usize = 1_024;

impl Control {
    /// The xTR is reached at these addresses from now on: they are registered in the place of those before, publications are asked for
    /// there, and ITRs are solicited once the Map-Server knows.
    pub fn relocate(&mut self, addresses: Vec<IpAddr>, now: Instant) {
        if addresses.is_empty() || addresses == self.config.itr_rlocs {
            return;
        }
        let before = std::mem::replace(&mut self.config.itr_rlocs, addresses);
        let registered = self.locals.iter().map(|(record, _)| record.clone());
        let registered: Vec<_> = registered.filter(|record| record.ttl_minutes > 0).collect();
        for record in registered {
            let is_before = |locator: &Locator| before.contains(&locator.address);
            let (ours, mut locators): (Vec<_>, Vec<_>) =
                record.locators.iter().copied().partition(is_before);
            let Some(first) = ours.first() else {
                continue;
            };
            let addresses = self.config.itr_rlocs.iter();
            locators.extend(addresses.map(|&address| Locator { address, ..*first }));
            self.moves.begin(record.eid);
            self.register(record.eid, record.ttl_minutes, locators, now);
        }
        for eid in self.subscribed.eids() {
            self.requests.want(eid, Why::Renewal, true, now);
        }
        self.count("relocated");
        self.on_time(now);
    }

    /// RFC 9301 section 6.1: "an ETR will solicit Map-Requests to those sites to which it has been sending LISP encapsulated data
    /// packets for the last minute". Who that was, the data plane does not say: it is among "all Locators in the Locator-Set it has
    /// stored in its Map-Cache", which the same section speaks of.
    pub(super) fn tell_moves(&mut self, now: Instant) {
        for changed in self.moves.on_time(now) {
            let mut itrs = BTreeMap::new();
            for mapping in self.cache.iter() {
                let usable = mapping.locators.iter().filter(|one| one.is_usable());
                itrs.extend(usable.map(|locator| (locator.address, mapping.eid)));
                if itrs.len() >= MOST_SOLICITED {
                    break;
                }
            }
            for (itr, theirs) in itrs {
                if !self.config.itr_rlocs.contains(&itr) {
                    self.send_smr(itr, changed, theirs);
                }
            }
        }
    }

    /// Asks an ITR to ask for a mapping of ours that has changed. `theirs` is an EID of the ITR's site.
    ///
    /// The form is Open Overlay Router's: the source is the EID that has changed, the record one that is local to the receiver.
    fn send_smr(&mut self, itr: IpAddr, changed: Eid, theirs: Eid) {
        let request = MapRequest {
            flags: RequestFlags::SMR,
            source_eid: Some(Eid::host(changed.instance(), changed.address())),
            ..MapRequest::new((self.random)(), theirs, self.config.itr_rlocs.clone())
        };
        self.count("smr_sent");
        self.send(itr, request.encode());
    }
}
