//! What others tell an xTR: answers to its requests, publications, acknowledgements, solicitations.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::control::Control;
use super::event::{Event, Ignored};
use super::locals::Answer;
use super::requests::Why;
use crate::wire::{Action, Locator, MapReply, MapRequest, Record, Signed, SignedKind};

/// The share of a mapping's time after which its subscription is renewed, as a divisor: nine tenths.
const RENEW_TENTHS: u32 = 9;

/// The shortest and the longest time after which a subscription is renewed. A Map-Server that gave an xTR up, and could not tell it,
/// leaves it with old mappings for as long.
const LEAST_RENEWAL: Duration = Duration::from_secs(30);
const MOST_RENEWAL: Duration = Duration::from_mins(5);

/// The time between two times that everything is registered again.
const AGAIN: Duration = Duration::from_secs(1);

impl Control {
    /// RFC 9301 section 5.3: "A successful Map-Reply, which is one that has a nonce that matches an outstanding Map-Request nonce,
    /// will update the cached set of RLOCs".
    pub(super) fn reply(&mut self, reply: &MapReply, now: Instant) -> Result<(), Ignored> {
        let (asked, subscribe) = self.requests.awaited(reply.nonce).ok_or(Ignored::Unasked)?;
        let about = |record: &&Record| record.eid.contains(&asked);
        let record = reply.records.iter().find(about).ok_or(Ignored::Unasked)?;
        self.requests.answered(reply.nonce);
        let was_refused = matches!(record.action, Action::PolicyDenied | Action::AuthFailure);
        if subscribe && was_refused && record.locators.is_empty() {
            self.count("subscription_refused");
            self.requests.want(asked, Why::Missing, false, now);
            return Ok(());
        }
        self.learn(record, now);
        Ok(())
    }

    fn learn(&mut self, record: &Record, now: Instant) {
        // What has no locators is a prefix that "does not match any EID-Prefix known to exist" (RFC 9301 section 8.4): whatever is
        // known within it was lost on its way to us.
        if record.locators.is_empty() {
            let gone = self.cache.remove_within(&record.eid);
            self.events.extend(gone.into_iter().map(Event::Gone));
        }
        let before = self.cache.remove(&record.eid);
        match self.cache.insert(record, now) {
            Some(mapping) => self.events.push_back(Event::Mapping(mapping)),
            None if before.is_some() => self.events.push_back(Event::Gone(record.eid)),
            None => {}
        }
    }

    pub(super) fn notify(
        &mut self,
        source: SocketAddr,
        notify: &Signed,
        bytes: &[u8],
        now: Instant,
    ) -> Result<(), Ignored> {
        if ![self.config.map_server, self.config.map_resolver].contains(&source.ip()) {
            return Err(Ignored::ForeignSource);
        }
        self.config.keys.verify(bytes)?;
        if let Some(answers) = self.locals.acknowledged(notify.nonce, &notify.records, now) {
            for answer in answers {
                match answer {
                    Answer::Registered(eid, took) => {
                        let first = took.map(|took| Event::Registered { eid, took });
                        self.events.extend(first);
                        self.moves.acknowledged(&eid, now);
                    }
                    Answer::Withdrawn(eid) => self.events.push_back(Event::Withdrawn(eid)),
                    Answer::Refused(eid) => self.events.push_back(Event::Refused(eid)),
                }
            }
            self.tell_moves(now);
            return Ok(());
        }
        let record = &notify.records[0];
        if let Some((asked, true)) = self.requests.awaited(notify.nonce)
            && record.eid.contains(&asked)
        {
            self.requests.answered(notify.nonce);
            self.count("subscribed");
            let lasts = Duration::from_secs(u64::from(record.ttl_minutes.min(1440)) * 60) / 10
                * RENEW_TENTHS;
            self.subscribed.set(
                record.eid,
                notify.nonce,
                lasts.clamp(LEAST_RENEWAL, MOST_RENEWAL),
                now,
            );
            // Where only part of what was renewed is left, the rest is asked for when packets want it.
            if record.eid != asked {
                self.subscribed.remove(&asked);
            }
            self.learn(record, now);
            self.acknowledge(source.ip(), notify);
            return Ok(());
        }
        if self.locals.covering(&record.eid).is_some() {
            self.is_missing(source, notify, now);
            return Ok(());
        }
        let ends = record.locators.is_empty() && record.action == Action::AuthFailure;
        if ends && self.subscribed.is_last(&record.eid, notify.nonce) {
            // RFC 9437 section 5: "xTR implementations can use this signal to try to reinstall their subscription state".
            self.count("subscription_lost");
            self.requests.want(record.eid, Why::Renewal, true, now);
            self.ask(now);
            return Ok(());
        }
        for record in &notify.records {
            match self.subscribed.publication(&record.eid, notify.nonce) {
                Ok(()) => {}
                Err(replay @ Ignored::Replay { nonce, last }) => {
                    // Our acknowledgement of it was lost.
                    if nonce == last {
                        self.acknowledge(source.ip(), notify);
                    }
                    return Err(replay);
                }
                Err(other) => return Err(other),
            }
            self.count("publication");
            self.learn(record, now);
            // Published through a shorter prefix: the hole that was there does not last.
            if !record.locators.is_empty() && !self.subscribed.has(&record.eid) {
                self.requests.want(record.eid, Why::Renewal, true, now);
            }
        }
        self.acknowledge(source.ip(), notify);
        self.ask(now);
        Ok(())
    }

    /// The Map-Server speaks of a prefix of ours that we did not ask about. If it has no locator of ours, it has started anew.
    fn is_missing(&mut self, source: SocketAddr, notify: &Signed, now: Instant) {
        self.acknowledge(source.ip(), notify);
        let is_ours = |locator: &Locator| self.config.itr_rlocs.contains(&locator.address);
        let has_ours = notify
            .records
            .iter()
            .any(|record| record.locators.iter().any(is_ours));
        if has_ours || self.again.is_some_and(|again| again > now) {
            return;
        }
        self.again = Some(now + AGAIN);
        self.count("registered_again");
        self.locals.all_again(now);
        self.send_registers(now);
    }

    /// RFC 9301 section 5.7: a Map-Notify-Ack has the nonce and the records of the Map-Notify.
    fn acknowledge(&mut self, to: IpAddr, notify: &Signed) {
        let ack = Signed {
            kind: SignedKind::NotifyAck,
            nonce: notify.nonce,
            records: notify.records.clone(),
            identity: None,
        };
        self.send(to, ack.encode(&self.config.key));
    }

    /// RFC 9301 section 6.1: "An ITR or PITR will send a Map-Request (SMR-invoked Map-Request) when it receives an SMR message", and
    /// none "for which it does not have a cached mapping". Peers differ in which of the two EIDs has changed.
    pub(super) fn smr(&mut self, request: &MapRequest, now: Instant) -> Result<(), Ignored> {
        let mut eids = request
            .source_eid
            .into_iter()
            .chain(request.queries.iter().take(1).map(|query| query.eid));
        let known = eids.find_map(|eid| self.cache.lookup(&eid, now));
        let eid = known.ok_or(Ignored::Unasked)?.eid;
        self.count("smr_received");
        // Through the Map-Resolver, never to whoever solicits: a lie costs one request.
        let subscribe = self.subscribes();
        if self.requests.want(eid, Why::Solicited, subscribe, now) {
            self.ask(now);
        }
        Ok(())
    }
}
