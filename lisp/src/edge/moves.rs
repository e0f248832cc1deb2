//! Prefixes of ours that are mapped to other locators than before, and when ITRs are asked to ask for them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::eid::Eid;

/// "It is RECOMMENDED that the SMR sender rate limit a Map-Request for the same destination RLOC to no more than one packet every 3
/// seconds" (RFC 9301 section 6.1): here for one EID prefix of ours, of which each ITR hears once in this time.
const INTERVAL: Duration = Duration::from_secs(3);

/// Times that a change is told: solicitations get lost, and nobody acknowledges them.
const ROUNDS: u32 = 3;

#[derive(Clone, Copy, Debug, Default)]
struct Move {
    /// The Map-Server has not acknowledged the locators yet: whoever asked now would be told the ones before.
    is_open: bool,
    told: Option<Instant>,
    left: u32,
    due: Option<Instant>,
}

/// Prefixes whose mapping has changed; as many as are registered from here.
#[derive(Debug, Default)]
pub(super) struct Moves {
    all: BTreeMap<Eid, Move>,
}

impl Moves {
    /// The prefix is being registered with other locators.
    pub(super) fn begin(&mut self, eid: Eid) {
        let one = self.all.entry(eid).or_default();
        one.is_open = true;
        one.due = None;
    }

    /// The Map-Server has acknowledged what is registered for the prefix.
    pub(super) fn acknowledged(&mut self, eid: &Eid, now: Instant) {
        let Some(one) = self.all.get_mut(eid).filter(|one| one.is_open) else {
            return;
        };
        one.is_open = false;
        one.left = ROUNDS;
        one.due = Some(one.told.map_or(now, |told| (told + INTERVAL).max(now)));
    }

    /// The prefix is registered from here no more.
    pub(super) fn forget(&mut self, eid: &Eid) {
        self.all.remove(eid);
    }

    /// Prefixes whose change is to be told by now.
    pub(super) fn on_time(&mut self, now: Instant) -> Vec<Eid> {
        let mut due = Vec::new();
        for (eid, one) in &mut self.all {
            if one.due.is_some_and(|at| at <= now) {
                one.told = Some(now);
                one.left -= 1;
                one.due = (one.left > 0).then_some(now + INTERVAL);
                due.push(*eid);
            }
        }
        due
    }

    pub(super) fn next_time(&self) -> Option<Instant> {
        self.all.values().filter_map(|one| one.due).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_once_acknowledged_and_never_twice_in_3_s() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let eid: Eid = "192.168.1.0/24".parse().unwrap();
        let mut moves = Moves::default();
        moves.acknowledged(&eid, at(0));
        assert_eq!(moves.next_time(), None, "nothing has moved");
        moves.begin(eid);
        assert_eq!((moves.on_time(at(1)), moves.next_time()), (vec![], None));
        moves.acknowledged(&eid, at(1));
        assert_eq!(moves.on_time(at(1)), [eid]);
        moves.begin(eid);
        moves.acknowledged(&eid, at(2));
        assert!(moves.on_time(at(3)).is_empty());
        let told: Vec<_> = (4..20)
            .filter(|second| !moves.on_time(at(*second)).is_empty())
            .collect();
        assert_eq!(told, [4, 7, 10]);
        moves.begin(eid);
        moves.acknowledged(&eid, at(20));
        moves.forget(&eid);
        assert_eq!(moves.next_time(), None);
    }
}
