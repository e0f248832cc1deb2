//! The paths that a tunnel router's events have reported, and what is different of others.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::data::table::Path;
use crate::eid::Eid;
use crate::told::Told;

/// The locators of each learnt prefix, the best first.
pub(crate) type Ways = BTreeMap<Eid, Vec<IpAddr>>;

/// The locators to which packets go by these paths, for each prefix.
pub(crate) fn ways<'a>(paths: impl Iterator<Item = (Eid, Option<&'a Path>)>) -> Ways {
    paths
        .map(|(eid, path)| (eid, path.map(best_first).unwrap_or_default()))
        .collect()
}

fn best_first(path: &Path) -> Vec<IpAddr> {
    let Path::Tunnel(locators) = path else {
        return Vec::new();
    };
    let mut usable: Vec<_> = locators.iter().filter(|one| one.is_usable()).collect();
    usable.sort_by_key(|one| one.priority);
    usable.iter().map(|one| one.address).collect()
}

/// The locators of each learnt prefix, as they were reported last.
#[derive(Debug, Default)]
pub(crate) struct ReportedPaths(Ways);

impl ReportedPaths {
    /// Prints an event for each prefix whose locators are different from before.
    pub(crate) fn change(&mut self, ways: Ways, at_ns: u64) {
        for told in self.differences(ways, at_ns) {
            told.say();
        }
    }

    fn differences(&mut self, ways: Ways, at_ns: u64) -> Vec<Told> {
        let told = |eid: &Eid, locators: &[IpAddr]| Told::Mapping {
            at_ns,
            eid: *eid,
            locators: locators.to_vec(),
        };
        let before = std::mem::replace(&mut self.0, ways);
        let other = self
            .0
            .iter()
            .filter(|(eid, now)| before.get(eid) != Some(now));
        let gone = before.keys().filter(|eid| !self.0.contains_key(eid));
        let other = other.map(|(eid, now)| told(eid, now));
        other.chain(gone.map(|eid| told(eid, &[]))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Locator;

    #[test]
    fn only_what_is_different_is_reported() {
        let locator = |last: u8, priority| Locator::new([10, 0, 0, last].into(), priority, 100);
        let eid = |text: &str| -> Eid { text.parse().unwrap() };
        let both = Path::Tunnel(vec![locator(11, 2), locator(12, 1), locator(13, 255)]);
        let (cart, front) = (eid("10.112.0.10"), eid("10.112.0.11"));
        let all = ways([(cart, Some(&both)), (front, Some(&Path::Drop))].into_iter());
        assert_eq!(
            all[&cart],
            [IpAddr::from([10, 0, 0, 12]), [10, 0, 0, 11].into()]
        );
        let mut reported = ReportedPaths::default();
        assert_eq!(reported.differences(all.clone(), 1).len(), 2);
        assert_eq!(reported.differences(all, 2), []);
        let one = ways([(cart, Some(&both))].into_iter());
        let gone = Told::Mapping {
            at_ns: 3,
            eid: front,
            locators: vec![],
        };
        assert_eq!(reported.differences(one, 3), [gone]);
    }
}
