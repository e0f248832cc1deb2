//! Whether locators answer: RLOC probes (RFC 9301, 7.1), which tell a path that is cut from one that works, and how long it takes.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::eid::Eid;

/// Probes without an answer after which a locator counts as down.
const UNANSWERED: u32 = 2;

/// Locators that are probed.
const PEERS: usize = 4096;

/// A probe to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Probe {
    /// The locator.
    pub locator: IpAddr,
    /// The prefix that it is a locator of.
    pub eid: Eid,
    /// The number that its answer has.
    pub nonce: u64,
}

#[derive(Clone, Debug)]
struct Peer {
    eid: Eid,
    due: Instant,
    /// The last probe, and when it was sent.
    outstanding: Option<(u64, Instant)>,
    unanswered: u32,
    round_trip: Option<Duration>,
}

/// The locators that are probed, once in an interval each.
#[derive(Debug)]
pub(crate) struct Probing {
    interval: Duration,
    peers: BTreeMap<IpAddr, Peer>,
}

impl Probing {
    /// Probes each locator once in this interval: not more often than once a second, which RFC 9301, 5.3 allows for a prefix.
    pub(crate) fn new(interval: Duration) -> Self {
        Self {
            interval: interval.max(Duration::from_secs(1)),
            peers: BTreeMap::new(),
        }
    }

    /// Probes these locators from now on, and no others; what is known of those that stay is kept.
    pub(crate) fn set(&mut self, locators: impl Iterator<Item = (IpAddr, Eid)>, now: Instant) {
        let mut before = std::mem::take(&mut self.peers);
        for (locator, eid) in locators {
            if self.peers.len() >= PEERS {
                return;
            }
            self.peers.entry(locator).or_insert_with(|| Peer {
                eid,
                ..before.remove(&locator).unwrap_or(Peer {
                    eid,
                    due: now,
                    outstanding: None,
                    unanswered: 0,
                    round_trip: None,
                })
            });
        }
    }

    /// Whether a locator answers, as far as is known: one that was never probed does.
    pub(crate) fn is_up(&self, locator: IpAddr) -> bool {
        let peer = self.peers.get(&locator);
        peer.is_none_or(|peer| peer.unanswered < UNANSWERED)
    }

    /// Locators and their last round trips.
    pub(crate) fn round_trips(&self) -> impl Iterator<Item = (IpAddr, Duration)> {
        let peers = self.peers.iter();
        peers.filter_map(|(locator, peer)| Some((*locator, peer.round_trip?)))
    }

    /// The time at which [`Probing::on_time`] is to be called.
    pub(crate) fn next_time(&self) -> Option<Instant> {
        self.peers.values().map(|peer| peer.due).min()
    }

    /// The probes that are due, and whether a locator has gone down meanwhile. `random` gives nonces.
    pub(crate) fn on_time(
        &mut self,
        now: Instant,
        mut random: impl FnMut() -> u64,
    ) -> (Vec<Probe>, bool) {
        let (mut probes, mut has_changed) = (Vec::new(), false);
        for (&locator, peer) in self.peers.iter_mut().filter(|(_, peer)| peer.due <= now) {
            if peer.outstanding.is_some() {
                peer.unanswered = peer.unanswered.saturating_add(1);
                has_changed |= peer.unanswered == UNANSWERED;
            }
            let nonce = random();
            peer.outstanding = Some((nonce, now));
            // A tenth of jitter, so that probes of many tunnel routers do not come together.
            peer.due = now + self.interval.mul_f64(1.0 + (nonce % 100) as f64 / 1000.0);
            probes.push(Probe {
                locator,
                eid: peer.eid,
                nonce,
            });
        }
        (probes, has_changed)
    }

    /// Takes the answer to a probe. Returns whether it is one, and whether its locator was down.
    pub(crate) fn answered(&mut self, nonce: u64, now: Instant) -> Option<bool> {
        let mut peers = self.peers.values_mut();
        let peer = peers.find(|peer| peer.outstanding.is_some_and(|(sent, _)| sent == nonce))?;
        let (_, sent) = peer.outstanding.take()?;
        peer.round_trip = Some(now.saturating_duration_since(sent));
        Some(std::mem::take(&mut peer.unanswered) >= UNANSWERED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locator_that_does_not_answer_goes_down_and_comes_back() {
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        let (near, far): (IpAddr, IpAddr) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let eid: Eid = "10.96.0.0/16".parse().unwrap();
        let mut probing = Probing::new(Duration::from_millis(10));
        probing.set([(near, eid), (far, eid)].into_iter(), begun);
        let mut number = 0;
        let mut random = move || {
            number += 100;
            number
        };
        let mut down_after = None;
        for ms in 0..5000 {
            let (probes, has_changed) = probing.on_time(at(ms), &mut random);
            for probe in probes.iter().filter(|probe| probe.locator == near) {
                assert_eq!(probing.answered(probe.nonce, at(ms + 3)), Some(false));
                assert_eq!(probing.answered(probe.nonce, at(ms + 4)), None);
            }
            if has_changed {
                assert_eq!(down_after.replace(ms), None);
            }
        }
        assert_eq!(down_after, Some(2000));
        assert!(probing.is_up(near) && !probing.is_up(far));
        assert_eq!(
            probing.round_trips().collect::<Vec<_>>(),
            [(near, Duration::from_millis(3))]
        );
        // A set without changes keeps what is known.
        probing.set([(far, eid)].into_iter(), at(5000));
        assert!(!probing.is_up(far) && probing.is_up(near));
        let (probes, _) = probing.on_time(at(6500), &mut random);
        assert_eq!(probing.answered(probes[0].nonce, at(6501)), Some(true));
        assert!(probing.is_up(far));
    }
}
