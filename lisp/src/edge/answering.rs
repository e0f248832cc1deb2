//! What an xTR answers itself: requests for what it has registered, and probes.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::control::Control;
use super::event::Ignored;
use crate::eid::Eid;
use crate::transmit::Transmit;
use crate::wire::{Locator, MapReply, MapRequest, Record, ReplyFlags, RequestFlags};

impl Control {
    /// Our locators for a prefix that packets are taken for here.
    fn served(&self, eid: &Eid) -> Option<Record> {
        let mut serves = self.config.serves.iter();
        let locators = self.config.itr_rlocs.iter();
        let locators = locators.map(|rloc| Locator::new(*rloc, 1, 100)).collect();
        serves.any(|served| served.contains(eid)).then(|| Record {
            authoritative: true,
            ..Record::new(*eid, 1, locators)
        })
    }

    /// Answers a request for what is registered from here, or a probe for what is served here.
    pub(super) fn answer(
        &mut self,
        source: SocketAddr,
        port: u16,
        request: &MapRequest,
        now: Instant,
    ) -> Result<(), Ignored> {
        let is_probe = request.flags.contains(RequestFlags::PROBE);
        let eid = request.queries[0].eid;
        let local = self.locals.covering(&eid).cloned();
        // That something is registered by another for us is for the Map-Server to say; that we are reached, for us.
        let local = local.or_else(|| self.served(&eid).filter(|_| is_probe));
        let mut record = local.ok_or(Ignored::NotOurs(eid))?;
        let same_family = |rloc: &&IpAddr| rloc.is_ipv4() == source.is_ipv4();
        let from_itr = request
            .itr_rlocs
            .contains(&source.ip())
            .then_some(source.ip());
        let to = from_itr.or_else(|| request.itr_rlocs.iter().find(same_family).copied());
        let to = SocketAddr::new(to.ok_or(Ignored::Unasked)?, port);
        if is_probe {
            let ours = |locator: &&mut Locator| self.config.itr_rlocs.contains(&locator.address);
            if let Some(probed) = record.locators.iter_mut().find(ours) {
                probed.probed = true;
            }
        }
        // "Map-Replies MUST be rate limited" (RFC 9301 section 5.4).
        if !self.buckets.take(source.ip(), now) {
            return Err(Ignored::TooFast);
        }
        let reply = MapReply {
            flags: if is_probe {
                ReplyFlags::PROBE
            } else {
                ReplyFlags::empty()
            },
            nonce: request.nonce,
            records: vec![record],
        };
        self.count("map_reply");
        self.outbox.push_back(Transmit {
            to,
            payload: reply.encode(),
        });
        Ok(())
    }
}
