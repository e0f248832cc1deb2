//! Selection policies: what becomes of the priorities and weights that clusters register, by service.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::wire::{Locator, PRIORITY_LAST};

/// The policy by which traffic of a service is shared among clusters. As data: in configuration, and by the API.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Policy {
    /// Traffic is shared as the clusters' xTRs registered it.
    #[default]
    Registered,
    /// The first of these clusters that has the service, then the next; clusters that are not named come last, together.
    Order { clusters: Vec<String> },
    /// By these weights; clusters that are not named get none while one of those has the service.
    Weights { clusters: BTreeMap<String, u8> },
    /// The cluster with the least measured round-trip time; those within `within_us` of it share the traffic.
    Nearest { within_us: u64 },
    /// By what each cluster has left of its load, of which 1 is all that it can take.
    LeastLoaded,
}

/// The state of a cluster, beside its locators.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClusterState {
    /// The load of the cluster, of which 1 is all that it can take.
    pub load: Option<f64>,
    /// The round-trip time to it from where its service is used, in microseconds.
    pub rtt_us: Option<u64>,
}

impl Policy {
    /// The clusters that the policy names.
    pub fn clusters(&self) -> Vec<&str> {
        match self {
            Self::Order { clusters } => clusters.iter().map(String::as_str).collect(),
            Self::Weights { clusters } => clusters.keys().map(String::as_str).collect(),
            Self::Registered | Self::Nearest { .. } | Self::LeastLoaded => Vec::new(),
        }
    }

    /// Sets priorities and weights; each locator comes with the name of its cluster. Locators that may not be used, or
    /// only when there are no others, stay so.
    pub fn apply(&self, locators: &mut [(&str, Locator)], state: &BTreeMap<String, ClusterState>) {
        let of = |cluster: &str| state.get(cluster).copied().unwrap_or_default();
        let nearest = locators
            .iter()
            .filter(|(_, locator)| locator.is_usable() && locator.priority < PRIORITY_LAST)
            .filter_map(|(cluster, _)| of(cluster).rtt_us)
            .min();
        for (cluster, locator) in locators {
            if locator.priority >= PRIORITY_LAST {
                continue;
            }
            match self {
                Self::Registered => {}
                Self::Order { clusters } => {
                    let place = clusters.iter().position(|name| name == cluster);
                    locator.priority = u8::try_from(place.unwrap_or(clusters.len()) + 1)
                        .map_or(PRIORITY_LAST, |place| place.min(PRIORITY_LAST));
                }
                Self::Weights { clusters } => match clusters.get(*cluster) {
                    Some(weight) => (locator.priority, locator.weight) = (1, *weight),
                    None => locator.priority = 2,
                },
                Self::Nearest { within_us } => {
                    let limit =
                        nearest.map_or(u64::MAX, |nearest| nearest.saturating_add(*within_us));
                    let is_near = of(cluster).rtt_us.is_some_and(|rtt| rtt <= limit);
                    locator.priority = if is_near { 1 } else { 2 };
                }
                Self::LeastLoaded => {
                    let left = 1.0 - of(cluster).load.unwrap_or(0.0).clamp(0.0, 1.0);
                    locator.weight = weight(left);
                }
            }
        }
    }
}

/// A weight from 1 to 100 for a share from 0 to 1: a weight of 0 beside others would be none at all.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number from 0 to 99, and a cast of floats saturates"
)]
fn weight(share: f64) -> u8 {
    1 + (share * 99.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::PRIORITY_UNUSED;

    fn applied(policy: &Policy, state: &BTreeMap<String, ClusterState>) -> Vec<(u8, u8)> {
        applied_beside(PRIORITY_LAST, policy, state);
        applied_beside(PRIORITY_UNUSED, policy, state)
    }

    fn applied_beside(
        drained: u8,
        policy: &Policy,
        state: &BTreeMap<String, ClusterState>,
    ) -> Vec<(u8, u8)> {
        let mut locators: Vec<_> = ["a", "b", "c"]
            .into_iter()
            .zip(1..)
            .map(|(cluster, last)| (cluster, Locator::new([10, 0, 0, last].into(), 7, 70)))
            .collect();
        locators[2].1.priority = drained;
        policy.apply(&mut locators, state);
        assert_eq!(
            locators[2].1.priority, drained,
            "what drains is used last, or not at all"
        );
        locators
            .iter()
            .map(|(_, locator)| (locator.priority, locator.weight))
            .take(2)
            .collect()
    }

    #[test]
    fn each_policy_orders_clusters() {
        let state = |load, rtt_us| ClusterState {
            load: Some(load),
            rtt_us: Some(rtt_us),
        };
        let known = BTreeMap::from([
            ("a".to_owned(), state(0.5, 900)),
            ("b".to_owned(), state(1.5, 300)),
        ]);
        let nothing = BTreeMap::new();
        assert_eq!(applied(&Policy::Registered, &known), [(7, 70), (7, 70)]);
        let order = Policy::Order {
            clusters: vec!["b".into()],
        };
        assert_eq!(applied(&order, &known), [(2, 70), (1, 70)]);
        let weights = Policy::Weights {
            clusters: BTreeMap::from([("a".into(), 9)]),
        };
        assert_eq!(applied(&weights, &known), [(1, 9), (2, 70)]);
        let nearest = |within_us| Policy::Nearest { within_us };
        assert_eq!(applied(&nearest(100), &known), [(2, 70), (1, 70)]);
        assert_eq!(applied(&nearest(600), &known), [(1, 70), (1, 70)]);
        assert_eq!(applied(&nearest(100), &nothing), [(2, 70), (2, 70)]);
        assert_eq!(applied(&Policy::LeastLoaded, &known), [(7, 50), (7, 1)]);
        assert_eq!(
            applied(&Policy::LeastLoaded, &nothing),
            [(7, 100), (7, 100)]
        );
    }

    #[test]
    fn policies_are_data() {
        let text = r#"{"kind":"order","clusters":["seoul","busan"]}"#;
        let policy: Policy = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&policy).unwrap(), text);
        assert!(serde_json::from_str::<Policy>(r#"{"kind":"fastest"}"#).is_err());
    }
}
