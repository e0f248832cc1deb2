//! The map cache of an ITR.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::choice::choose;
use crate::eid::Eid;
use crate::eid_map::EidMap;
use crate::wire::{Action, Locator, Record, TTL_OPEN};

/// How long a mapping is kept whose sender leaves that open, and the longest that any is: RFC 9301 speaks of 24 hours as usual.
const LONGEST: Duration = Duration::from_hours(24);

/// A mapping that is known for a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    pub eid: Eid,
    /// The action with packets, where there are no locators.
    pub action: Action,
    /// In the order of the message; the bits of a status field count in it.
    pub locators: Vec<Locator>,
    pub map_version: u16,
    pub expires: Instant,
}

impl Mapping {
    fn new(record: &Record, now: Instant) -> Self {
        let ttl = match record.ttl_minutes {
            TTL_OPEN => LONGEST,
            minutes => Duration::from_secs(u64::from(minutes) * 60).min(LONGEST),
        };
        Self {
            eid: record.eid,
            action: record.action,
            locators: record.locators.clone(),
            map_version: record.map_version,
            expires: now + ttl,
        }
    }

    /// The locator for a flow, by a hash of it.
    pub fn choose(&self, flow: u32) -> Option<&Locator> {
        choose(&self.locators, flow)
    }
}

/// Mappings by their EID prefix. Bounded: one that comes when it is full takes the place of the one that would end next.
#[derive(Clone, Debug)]
pub struct MapCache {
    most: usize,
    entries: EidMap<Arc<Mapping>>,
    ends: BTreeSet<(Instant, Eid)>,
}

impl MapCache {
    /// An empty cache of at most `most` mappings.
    pub fn new(most: usize) -> Self {
        Self {
            most: most.max(1),
            entries: EidMap::default(),
            ends: BTreeSet::new(),
        }
    }

    /// Takes in a mapping, in place of the one for the same prefix; none where the record removes it.
    pub fn insert(&mut self, record: &Record, now: Instant) -> Option<Arc<Mapping>> {
        self.remove(&record.eid);
        // "If the TTL is 0, the entry MUST be removed from the Map-Cache immediately" (RFC 9301 section 5.4).
        if record.ttl_minutes == 0 {
            return None;
        }
        if self.entries.len() >= self.most
            && let Some((_, next)) = self.ends.first().copied()
        {
            self.remove(&next);
        }
        let mapping = Arc::new(Mapping::new(record, now));
        self.ends.insert((mapping.expires, mapping.eid));
        self.entries.insert(mapping.eid, Arc::clone(&mapping));
        Some(mapping)
    }

    /// The mapping for an address: the one with the longest prefix.
    pub fn lookup(&self, host: &Eid, now: Instant) -> Option<&Arc<Mapping>> {
        let (_, mapping) = self.entries.longest(host)?;
        (mapping.expires > now).then_some(mapping)
    }

    /// Removes the mapping of exactly this prefix.
    pub fn remove(&mut self, eid: &Eid) -> Option<Arc<Mapping>> {
        let mapping = self.entries.remove(eid)?;
        self.ends.remove(&(mapping.expires, mapping.eid));
        Some(mapping)
    }

    /// Removes every mapping within the prefix, but not the one of exactly this prefix; their prefixes.
    pub fn remove_within(&mut self, eid: &Eid) -> Vec<Eid> {
        let within = self.entries.within(eid).map(|(found, _)| found);
        let within: Vec<_> = within.filter(|found| found != eid).collect();
        for found in &within {
            self.remove(found);
        }
        within
    }

    /// Removes the mappings that have ended.
    pub fn expire(&mut self, now: Instant) -> Vec<Arc<Mapping>> {
        let mut ended = Vec::new();
        while let Some((end, eid)) = self.ends.first().copied() {
            if end > now {
                break;
            }
            ended.extend(self.remove(&eid));
        }
        ended
    }

    /// The time at which the next mapping ends.
    pub fn next_end(&self) -> Option<Instant> {
        self.ends.first().map(|(end, _)| *end)
    }

    /// Every mapping.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Mapping>> {
        self.entries.iter().map(|(_, mapping)| mapping)
    }

    /// The number of mappings.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no mapping.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(text: &str, minutes: u32) -> Record {
        let locator = Locator::new([192, 0, 2, 1].into(), 1, 1);
        Record::new(text.parse().unwrap(), minutes, vec![locator])
    }

    #[test]
    fn mappings_end_by_time_or_at_once() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let mut cache = MapCache::new(10);
        let host = "10.0.0.1".parse().unwrap();
        cache.insert(&record("10.0.0.0/8", 2), begun).unwrap();
        cache.insert(&record("10.0.0.1", 1), begun).unwrap();
        assert_eq!(cache.lookup(&host, at(59)).unwrap().eid, host);
        assert!(
            cache.lookup(&host, at(60)).is_none(),
            "ended, and not asked to expire yet"
        );
        assert_eq!(cache.expire(at(60)).len(), 1);
        assert_eq!(
            cache.lookup(&host, at(60)).unwrap().eid.to_string(),
            "10.0.0.0/8"
        );
        assert!(cache.insert(&record("10.0.0.0/8", 0), at(61)).is_none());
        assert!(cache.is_empty() && cache.next_end().is_none());
        cache.insert(&record("10.0.0.0/8", 2), begun).unwrap();
        cache.insert(&record("10.1.0.0/16", 2), begun).unwrap();
        cache.insert(&record("11.0.0.0/8", 2), begun).unwrap();
        let within = cache.remove_within(&"10.0.0.0/8".parse().unwrap());
        assert_eq!((within.len(), cache.len()), (1, 2));
        let open = cache
            .insert(&record("10.0.0.0/8", TTL_OPEN), begun)
            .unwrap();
        assert_eq!(open.expires, begun + LONGEST);
    }

    proptest! {
        #[test]
        fn it_is_bounded_and_its_ends_are_those_of_its_entries(
            steps in proptest::collection::vec((0_u8..20, 0_u32..4, 0_u64..100), 0..100),
        ) {
            let begun = Instant::now();
            let mut cache = MapCache::new(5);
            for (host, minutes, seconds) in steps {
                let now = begun + Duration::from_secs(seconds);
                cache.insert(&record(&format!("10.0.0.{host}"), minutes), now);
                cache.expire(now);
                prop_assert!(cache.len() <= 5);
                prop_assert_eq!(cache.ends.len(), cache.len());
                prop_assert_eq!(cache.next_end(), cache.iter().map(|mapping| mapping.expires).min());
            }
        }
    }
}
