//! xTRs that are called back: told, some times, that what they have registered is not known here.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::transmit::Transmit;
use crate::wire::Identity;

/// Map-Notifies of before a start that say that nothing is registered: so often, so far apart.
const ROUNDS: u32 = 3;
const INTERVAL: Duration = Duration::from_secs(1);

/// An xTR that had registered before, and has to do so again.
#[derive(Clone, Debug)]
struct Recall {
    transmit: Transmit,
    left: u32,
    due: Instant,
}

/// The xTRs that are called back; at most as many as have registered.
#[derive(Debug, Default)]
pub(super) struct Recalls(BTreeMap<Identity, Recall>);

impl Recalls {
    /// The xTR is called by this from now on.
    pub(super) fn begin(&mut self, identity: Identity, transmit: Transmit, now: Instant) {
        let recall = Recall {
            transmit,
            left: ROUNDS,
            due: now,
        };
        self.0.insert(identity, recall);
    }

    /// The xTR is back.
    pub(super) fn end(&mut self, identity: Identity) {
        self.0.remove(&identity);
    }

    /// The messages to be sent by now.
    pub(super) fn on_time(&mut self, now: Instant) -> Vec<Transmit> {
        let mut due = Vec::new();
        self.0.retain(|_, recall| {
            if recall.due > now {
                return true;
            }
            due.push(recall.transmit.clone());
            recall.left -= 1;
            recall.due = now + INTERVAL;
            recall.left > 0
        });
        due
    }

    pub(super) fn next_time(&self) -> Option<Instant> {
        self.0.values().map(|recall| recall.due).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_xtr_is_called_three_times_unless_it_is_back() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let identity = |xtr_id| Identity { xtr_id, site_id: 1 };
        let transmit = || Transmit {
            to: "10.0.0.11:4342".parse().unwrap(),
            payload: vec![4],
        };
        let mut recalls = Recalls::default();
        recalls.begin(identity(1), transmit(), at(0));
        recalls.begin(identity(2), transmit(), at(0));
        assert_eq!(recalls.on_time(at(0)).len(), 2);
        assert!(recalls.on_time(at(0)).is_empty(), "not twice in a second");
        recalls.end(identity(2));
        let sent: Vec<_> = (1..5)
            .map(|second| recalls.on_time(at(second)).len())
            .collect();
        assert_eq!(sent, [1, 1, 0, 0]);
        assert_eq!(recalls.next_time(), None);
    }
}
