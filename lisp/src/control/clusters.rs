//! Whether clusters are there: their agents' heartbeats, in a time that is given.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Heartbeats that may be missing.
const MISSED: u32 = 3;

/// The interval of heartbeats: what an agent may ask for, in milliseconds.
const INTERVAL_MS: std::ops::RangeInclusive<u64> = 50..=60_000;

#[derive(Clone, Debug)]
struct Cluster {
    agent: String,
    heard: Instant,
    patience: Duration,
    is_lost: bool,
}

/// The meaning of a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beat {
    /// The cluster was there.
    Still,
    /// The cluster was lost, or is new here.
    Back,
}

/// Another agent speaks for the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) by: String,
}

/// Clusters whose agents were heard.
#[derive(Debug, Default)]
pub(super) struct Clusters {
    all: BTreeMap<String, Cluster>,
}

impl Clusters {
    /// An agent speaks for a cluster, and will again within the interval.
    pub(super) fn heard(
        &mut self,
        name: &str,
        agent: &str,
        interval_ms: u64,
        now: Instant,
    ) -> Result<Beat, Taken> {
        let interval_ms = interval_ms.clamp(*INTERVAL_MS.start(), *INTERVAL_MS.end());
        let new = Cluster {
            agent: agent.to_owned(),
            heard: now,
            patience: Duration::from_millis(interval_ms) * MISSED,
            is_lost: false,
        };
        match self.all.get_mut(name) {
            Some(known) if known.agent != agent && !known.is_lost => Err(Taken {
                by: known.agent.clone(),
            }),
            Some(known) => {
                let was_lost = known.is_lost;
                *known = new;
                Ok(if was_lost { Beat::Back } else { Beat::Still })
            }
            None => {
                self.all.insert(name.to_owned(), new);
                Ok(Beat::Back)
            }
        }
    }

    /// Clusters that are lost by now, and were not before.
    pub(super) fn lost(&mut self, now: Instant) -> Vec<String> {
        let mut lost = Vec::new();
        for (name, cluster) in &mut self.all {
            if !cluster.is_lost && now.saturating_duration_since(cluster.heard) >= cluster.patience
            {
                cluster.is_lost = true;
                lost.push(name.clone());
            }
        }
        lost
    }

    /// The time at which the next cluster is lost, if nothing is heard of it.
    pub(super) fn next_time(&self) -> Option<Instant> {
        let alive = self.all.values().filter(|cluster| !cluster.is_lost);
        alive.map(|cluster| cluster.heard + cluster.patience).min()
    }

    /// Every cluster that was heard: whether it is there, and who speaks for it.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, bool, &str)> {
        self.all
            .iter()
            .map(|(name, cluster)| (name.as_str(), !cluster.is_lost, cluster.agent.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_is_lost_after_three_heartbeats_and_has_one_agent() {
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        let mut clusters = Clusters::default();
        assert_eq!(clusters.heard("seoul", "a", 200, at(0)), Ok(Beat::Back));
        assert_eq!(clusters.heard("seoul", "a", 200, at(200)), Ok(Beat::Still));
        let taken = Err(Taken { by: "a".into() });
        assert_eq!(clusters.heard("seoul", "b", 200, at(700)), taken);
        assert_eq!(clusters.next_time(), Some(at(800)));
        assert!(clusters.lost(at(799)).is_empty());
        assert_eq!(clusters.lost(at(800)), ["seoul"]);
        assert!(clusters.lost(at(900)).is_empty() && clusters.next_time().is_none());
        assert_eq!(clusters.heard("seoul", "b", 0, at(1_000)), Ok(Beat::Back));
        assert_eq!(clusters.lost(at(1_150)), ["seoul"]);
    }
}
