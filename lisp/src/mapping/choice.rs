//! The choice of a locator.

use crate::wire::Locator;

/// The locator for a flow: of those with the lowest priority, by weight.
///
/// `flow` is any hash of the flow that spreads over all 32 bits; packets of one flow get one locator as long as the set is the same.
pub fn choose(locators: &[Locator], flow: u32) -> Option<&Locator> {
    // "Lower values are more preferable" and "the RLOC MUST NOT be used for unicast forwarding" at 255 (RFC 9301 section 5.4).
    let usable = || locators.iter().filter(|locator| locator.is_usable());
    let best = usable().map(|locator| locator.priority).min()?;
    let candidates = || usable().filter(move |locator| locator.priority == best);
    let total: u32 = candidates().map(|locator| u32::from(locator.weight)).sum();
    // Weights that are all 0 leave it to the ITR, which treats them as equal.
    let share = |locator: &Locator| {
        if total == 0 {
            1
        } else {
            u64::from(locator.weight)
        }
    };
    let all: u64 = candidates().map(share).sum();
    let mut point = (u64::from(flow) * all) >> 32;
    candidates().find(|locator| {
        let share = share(locator);
        let is_here = point < share;
        point = point.saturating_sub(share);
        is_here
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn locator(last: u8, priority: u8, weight: u8) -> Locator {
        Locator::new([10, 0, 0, last].into(), priority, weight)
    }

    fn shares(locators: &[Locator]) -> BTreeMap<std::net::IpAddr, usize> {
        let mut counts = BTreeMap::new();
        for step in 0..1000_u32 {
            let flow = step * (u32::MAX / 1000);
            if let Some(found) = choose(locators, flow) {
                *counts.entry(found.address).or_default() += 1;
            }
        }
        counts
    }

    #[test]
    fn weights_share_out_the_best_priority() {
        let set = [
            locator(1, 1, 30),
            locator(2, 1, 20),
            locator(3, 1, 20),
            locator(4, 1, 10),
            locator(5, 2, 255),
        ];
        let counts: Vec<_> = shares(&set).into_values().collect();
        for (found, wanted) in counts.iter().zip([375, 250, 250, 125]) {
            assert!(usize::abs_diff(*found, wanted) <= 2, "{counts:?}");
        }
        assert_eq!(counts.len(), 4);
        let equal: Vec<_> = shares(&[locator(1, 1, 0), locator(2, 1, 0)])
            .into_values()
            .collect();
        assert!(equal.len() == 2 && usize::abs_diff(equal[0], equal[1]) <= 2);
    }

    #[test]
    fn what_may_not_be_used_is_not() {
        let unreachable = Locator {
            reachable: false,
            ..locator(1, 0, 100)
        };
        let set = [unreachable, locator(2, 255, 100), locator(3, 9, 0)];
        assert_eq!(choose(&set, 7), Some(&set[2]));
        assert_eq!(choose(&set[..2], 7), None);
        assert_eq!(choose(&[], 7), None);
    }

    proptest! {
        #[test]
        fn a_flow_keeps_its_locator(flow: u32, sets in proptest::collection::vec(any::<[u8; 3]>(), 1..6)) {
            let locators: Vec<_> = sets.iter().map(|[last, priority, weight]| locator(*last, *priority, *weight)).collect();
            let found = choose(&locators, flow);
            prop_assert_eq!(found, choose(&locators, flow));
            prop_assert_eq!(found.is_some(), locators.iter().any(Locator::is_usable));
        }
    }
}
