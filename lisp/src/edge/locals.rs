//! What is registered from here, in as few messages as it takes: sent, sent again until it is acknowledged, and refreshed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::eid::Eid;
use crate::eid_map::EidMap;
use crate::wire::Record;

/// "Map-Register messages are sent periodically from an ETR to a Map-Server with a suggested interval between messages of one
/// minute" (RFC 9301 section 8.2).
const REFRESH: Duration = Duration::from_mins(1);

/// The longest time between two attempts; the first is a second, and doubled each time (RFC 9301 section 5.6).
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// Attempts to withdraw what was registered; after that it ends by itself.
const WITHDRAWALS: u32 = 6;

#[derive(Clone, Debug)]
struct Local {
    record: Record,
    /// Since when the Map-Server is to know it.
    since: Instant,
    /// The time at which the record is to be sent; none while it is in a message that is outstanding.
    due: Option<Instant>,
    /// The message that it is in.
    nonce: Option<u64>,
    acknowledged: bool,
}

#[derive(Clone, Debug)]
struct Batch {
    eids: Vec<Eid>,
    attempt: u32,
    due: Instant,
}

/// The Map-Server's answer about a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The prefix is registered; so long after it was asked for, if it was not before.
    Registered(Eid, Option<Duration>),
    Withdrawn(Eid),
    Refused(Eid),
}

/// Prefixes that are registered from here.
#[derive(Debug)]
pub(super) struct Locals {
    most_bytes: usize,
    all: EidMap<Local>,
    due: BTreeSet<(Instant, Eid)>,
    batches: BTreeMap<u64, Batch>,
    nonce: u64,
}

impl Locals {
    /// `nonce` is above every one that this xTR ever used with its key; `most_bytes` are the records of a message.
    pub(super) fn new(nonce: u64, most_bytes: usize) -> Self {
        Self {
            most_bytes,
            all: EidMap::default(),
            due: BTreeSet::new(),
            batches: BTreeMap::new(),
            nonce,
        }
    }

    /// The record is to be registered, in place of the one for its prefix; with a TTL of 0, that one is to be withdrawn.
    pub(super) fn set(&mut self, record: Record, now: Instant) {
        let eid = record.eid;
        self.unschedule(&eid);
        let local = Local {
            record,
            since: now,
            due: None,
            nonce: None,
            acknowledged: false,
        };
        self.all.insert(eid, local);
        self.schedule(eid, now);
    }

    fn schedule(&mut self, eid: Eid, due: Instant) {
        if let Some(local) = self.all.get_mut(&eid) {
            local.due = Some(due);
            local.nonce = None;
            self.due.insert((due, eid));
        }
    }

    fn unschedule(&mut self, eid: &Eid) {
        if let Some(local) = self.all.get_mut(eid)
            && let Some(due) = local.due.take()
        {
            self.due.remove(&(due, *eid));
        }
    }

    /// Has every record registered again.
    pub(super) fn all_again(&mut self, now: Instant) {
        let eids: Vec<_> = self.all.iter().map(|(eid, _)| eid).collect();
        self.batches.clear();
        for eid in eids {
            self.unschedule(&eid);
            self.schedule(eid, now);
        }
    }

    /// The record of this prefix, or of the longest one around it.
    pub(super) fn covering(&self, eid: &Eid) -> Option<&Record> {
        let all = self.all.covering(eid).map(|(_, local)| &local.record);
        all.filter(|record| record.ttl_minutes > 0).last()
    }

    /// The records to be sent by now, with the nonce of their message.
    pub(super) fn on_time(&mut self, now: Instant) -> Vec<(u64, Vec<Record>)> {
        let mut messages = Vec::new();
        let late: Vec<_> = self
            .batches
            .iter()
            .filter(|(_, batch)| batch.due <= now)
            .map(|(nonce, _)| *nonce)
            .collect();
        for nonce in late {
            if let Some(batch) = self.batches.remove(&nonce) {
                let of_it = |eid: &Eid| {
                    self.all
                        .get(eid)
                        .is_some_and(|local| local.nonce == Some(nonce))
                };
                let eids: Vec<_> = batch
                    .eids
                    .iter()
                    .filter(|eid| of_it(eid))
                    .copied()
                    .collect();
                // RFC 9301 has the original message sent again, whose nonce a Map-Server has to drop as a replay if its answer
                // was what got lost: the next nonce is right for both.
                self.put(eids, batch.attempt + 1, now, &mut messages);
            }
        }
        let mut eids = Vec::new();
        let mut bytes = 0;
        while let Some((due, eid)) = self.due.first().copied() {
            if due > now {
                break;
            }
            self.unschedule(&eid);
            let size = self
                .all
                .get(&eid)
                .map_or(0, |local| local.record.wire_bytes());
            if bytes + size > self.most_bytes && !eids.is_empty() {
                self.put(std::mem::take(&mut eids), 0, now, &mut messages);
                bytes = 0;
            }
            bytes += size;
            eids.push(eid);
        }
        self.put(eids, 0, now, &mut messages);
        messages
    }

    fn put(
        &mut self,
        eids: Vec<Eid>,
        attempt: u32,
        now: Instant,
        messages: &mut Vec<(u64, Vec<Record>)>,
    ) {
        let mut sent = Vec::new();
        let mut records = Vec::new();
        self.nonce += 1;
        for eid in eids {
            let Some(local) = self.all.get_mut(&eid) else {
                continue;
            };
            if local.record.ttl_minutes == 0 && attempt >= WITHDRAWALS {
                self.all.remove(&eid);
                continue;
            }
            local.nonce = Some(self.nonce);
            records.push(local.record.clone());
            sent.push(eid);
        }
        if records.is_empty() {
            return;
        }
        let wait = Duration::from_secs(1 << attempt.min(6)).min(LONGEST_WAIT);
        let batch = Batch {
            eids: sent,
            attempt,
            due: now + wait,
        };
        self.batches.insert(self.nonce, batch);
        messages.push((self.nonce, records));
    }

    /// A Map-Notify has come: what it says, if it is for a message of ours.
    pub(super) fn acknowledged(
        &mut self,
        nonce: u64,
        records: &[Record],
        now: Instant,
    ) -> Option<Vec<Answer>> {
        let batch = self.batches.remove(&nonce)?;
        let mut answers = Vec::new();
        for eid in batch.eids {
            let Some(local) = self
                .all
                .get_mut(&eid)
                .filter(|local| local.nonce == Some(nonce))
            else {
                continue;
            };
            if !records.iter().any(|record| record.eid == eid) {
                local.acknowledged = false;
                answers.push(Answer::Refused(eid));
                self.schedule(eid, now + REFRESH);
            } else if local.record.ttl_minutes == 0 {
                self.all.remove(&eid);
                answers.push(Answer::Withdrawn(eid));
            } else {
                let is_first = !std::mem::replace(&mut local.acknowledged, true);
                let took = now.saturating_duration_since(local.since);
                answers.push(Answer::Registered(eid, is_first.then_some(took)));
                self.schedule(eid, now + REFRESH);
            }
        }
        Some(answers)
    }

    /// The record of exactly this prefix.
    pub(super) fn get(&self, eid: &Eid) -> Option<&Record> {
        self.all.get(eid).map(|local| &local.record)
    }

    pub(super) fn next_time(&self) -> Option<Instant> {
        let late = self.batches.values().map(|batch| batch.due).min();
        let due = self.due.first().map(|(due, _)| *due);
        [late, due].into_iter().flatten().min()
    }

    /// Every prefix, and whether the Map-Server has it.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Record, bool)> {
        self.all
            .iter()
            .map(|(_, local)| (&local.record, local.acknowledged))
    }
}
