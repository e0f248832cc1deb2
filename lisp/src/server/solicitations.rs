//! Solicit-Map-Requests for ITRs without a subscription: who was given a mapping, and who has to be told that it changed.
//!
//! RFC 9301 has ETRs solicit, those that a mapping is for; a Map-Server that answers in their place knows who asked, and they do not.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::eid::Eid;
use crate::eid_map::EidMap;

/// "It is RECOMMENDED that the SMR sender rate limit a Map-Request for the same destination RLOC to no more than one packet every 3
/// seconds" (RFC 9301 section 6.1): here for one EID prefix, or the second service of a cluster that failed waited for the first.
const INTERVAL: Duration = Duration::from_secs(3);

/// Times that one is sent, while nobody asks again.
const ATTEMPTS: u32 = 3;

#[derive(Clone, Copy, Debug)]
struct Asked {
    /// An EID of the ITR's own site, for which it asked.
    own: Option<Eid>,
    /// The end of the time for which the ITR may keep the mapping.
    until: Instant,
    /// The time at which the ITR was solicited last.
    sent: Option<Instant>,
    /// The number of solicitations that are still to be sent, and the time of the next.
    pending: Option<(u32, Instant)>,
}

/// A solicitation that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Solicitation {
    pub(super) itr: IpAddr,
    /// The mapping that has changed.
    pub(super) changed: Eid,
    /// An EID of the ITR's site, which Open Overlay Router wants as the record.
    pub(super) own: Option<Eid>,
}

/// ITRs that were given a mapping.
#[derive(Debug)]
pub(super) struct Solicitations {
    most: usize,
    total: usize,
    by_eid: EidMap<BTreeMap<IpAddr, Asked>>,
    order: VecDeque<(Eid, IpAddr)>,
    due: BTreeSet<(Instant, Eid, IpAddr)>,
}

impl Solicitations {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most: most.max(1),
            total: 0,
            by_eid: EidMap::default(),
            order: VecDeque::new(),
            due: BTreeSet::new(),
        }
    }

    /// An ITR was given the mapping, for a time. A full table forgets who was given one first.
    pub(super) fn gave(
        &mut self,
        eid: Eid,
        itr: IpAddr,
        own: Option<Eid>,
        keeps: Duration,
        now: Instant,
    ) {
        self.forget(&eid, itr);
        while self.total >= self.most
            && let Some((eid, itr)) = self.order.pop_front()
        {
            self.forget(&eid, itr);
        }
        // Those that were forgotten meanwhile stand in the order too.
        if self.order.len() >= 2 * self.most {
            let by_eid = &self.by_eid;
            self.order
                .retain(|(eid, itr)| by_eid.get(eid).is_some_and(|asked| asked.contains_key(itr)));
        }
        let asked = Asked {
            own,
            until: now + keeps,
            sent: None,
            pending: None,
        };
        self.by_eid.get_or_default(eid).insert(itr, asked);
        self.order.push_back((eid, itr));
        self.total += 1;
    }

    /// Forgets an ITR that has subscribed, or whose mapping has ended.
    pub(super) fn forget(&mut self, eid: &Eid, itr: IpAddr) {
        let Some(all) = self.by_eid.get_mut(eid) else {
            return;
        };
        let Some(asked) = all.remove(&itr) else {
            return;
        };
        if all.is_empty() {
            self.by_eid.remove(eid);
        }
        if let Some((_, due)) = asked.pending {
            self.due.remove(&(due, *eid, itr));
        }
        self.total -= 1;
    }

    /// The mapping of `eid` has changed, or one within it has come: those that were given it, or a hole around it, are to ask.
    pub(super) fn changed(&mut self, eid: &Eid, now: Instant) {
        let covering: Vec<_> = self.by_eid.covering(eid).map(|(eid, _)| eid).collect();
        for eid in covering {
            let Some(all) = self.by_eid.get_mut(&eid) else {
                continue;
            };
            for (itr, asked) in all.iter_mut().filter(|(_, asked)| asked.until > now) {
                if let Some((_, due)) = asked.pending {
                    self.due.remove(&(due, eid, *itr));
                }
                let earliest = asked.sent.map_or(now, |sent| sent + INTERVAL);
                let due = earliest.max(now);
                asked.pending = Some((ATTEMPTS, due));
                self.due.insert((due, eid, *itr));
            }
        }
    }

    /// The solicitations that are due by now.
    pub(super) fn on_time(&mut self, now: Instant) -> Vec<Solicitation> {
        let mut all = Vec::new();
        while let Some(first) = self.due.first().copied() {
            let (due, eid, itr) = first;
            if due > now {
                break;
            }
            self.due.remove(&first);
            let Some(asked) = self.by_eid.get_mut(&eid).and_then(|all| all.get_mut(&itr)) else {
                continue;
            };
            let Some((attempts, _)) = asked.pending.take() else {
                continue;
            };
            asked.sent = Some(now);
            all.push(Solicitation {
                itr,
                changed: eid,
                own: asked.own,
            });
            if attempts > 1 {
                let next = now + INTERVAL;
                asked.pending = Some((attempts - 1, next));
                self.due.insert((next, eid, itr));
            }
        }
        all
    }

    pub(super) fn next_time(&self) -> Option<Instant> {
        self.due.first().map(|(due, ..)| *due)
    }

    pub(super) const fn len(&self) -> usize {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_asked_is_solicited_until_it_asks_again() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let mut all = Solicitations::new(10);
        let (eid, itr): (Eid, IpAddr) = ("10.96.0.10".parse().unwrap(), [192, 0, 2, 1].into());
        let own = Some("192.168.1.2".parse().unwrap());
        let keeps = Duration::from_mins(10);
        all.gave(eid, itr, own, keeps, begun);
        assert_eq!((all.on_time(begun), all.next_time()), (vec![], None));
        all.changed(&eid, at(1));
        let one = Solicitation {
            itr,
            changed: eid,
            own,
        };
        assert_eq!(all.on_time(at(1)), [one]);
        all.changed(&eid, at(2));
        assert!(all.on_time(at(3)).is_empty(), "one in 3 s");
        assert_eq!(all.on_time(at(4)), [one]);
        assert_eq!(all.next_time(), Some(at(7)));
        all.gave(eid, itr, own, keeps, at(5));
        assert_eq!(all.next_time(), None);
        all.changed(&eid, at(700));
        assert_eq!(all.next_time(), None, "its mapping has ended");
    }

    #[test]
    fn a_service_in_a_hole_is_told_and_the_table_is_bounded() {
        let begun = Instant::now();
        let mut all = Solicitations::new(2);
        let hole = "10.96.0.0/16".parse().unwrap();
        for last in 1..=5 {
            all.gave(
                hole,
                [192, 0, 2, last].into(),
                None,
                Duration::from_mins(1),
                begun,
            );
        }
        assert_eq!(all.len(), 2);
        all.changed(&"10.96.0.10".parse().unwrap(), begun);
        let itrs: Vec<_> = all.on_time(begun).into_iter().map(|one| one.itr).collect();
        assert_eq!(itrs, [IpAddr::from([192, 0, 2, 4]), [192, 0, 2, 5].into()]);
    }
}
