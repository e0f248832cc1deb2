//! A table by EID prefix, with the longest match.

use std::collections::BTreeMap;

use ipnet::IpNet;
use prefix_trie::joint::JointPrefixMap;

use crate::eid::{Eid, InstanceId};

/// Values by EID prefix.
#[derive(Clone, Debug)]
pub struct EidMap<T> {
    instances: BTreeMap<InstanceId, JointPrefixMap<IpNet, T>>,
}

impl<T> Default for EidMap<T> {
    fn default() -> Self {
        Self {
            instances: BTreeMap::new(),
        }
    }
}

impl<T> EidMap<T> {
    /// The value of exactly this prefix.
    pub fn get(&self, eid: &Eid) -> Option<&T> {
        self.instances.get(&eid.instance())?.get(&eid.prefix())
    }

    /// The value of exactly this prefix, to be changed.
    pub fn get_mut(&mut self, eid: &Eid) -> Option<&mut T> {
        self.instances
            .get_mut(&eid.instance())?
            .get_mut(&eid.prefix())
    }

    /// The value of exactly this prefix, made if there is none.
    pub fn get_or_default(&mut self, eid: Eid) -> &mut T
    where
        T: Default,
    {
        let instance = self.instances.entry(eid.instance()).or_default();
        instance.entry(eid.prefix()).or_default()
    }

    /// Sets the value of this prefix, and gives back the one before.
    pub fn insert(&mut self, eid: Eid, value: T) -> Option<T> {
        let instance = self.instances.entry(eid.instance()).or_default();
        instance.insert(eid.prefix(), value)
    }

    /// Removes the value of exactly this prefix.
    pub fn remove(&mut self, eid: &Eid) -> Option<T> {
        let instance = self.instances.get_mut(&eid.instance())?;
        let removed = instance.remove(&eid.prefix());
        if instance.is_empty() {
            self.instances.remove(&eid.instance());
        }
        removed
    }

    /// The longest prefix that has all of `eid`, and its value.
    pub fn longest(&self, eid: &Eid) -> Option<(Eid, &T)> {
        let instance = self.instances.get(&eid.instance())?;
        let (prefix, value) = instance.get_lpm(&eid.prefix())?;
        Some((Eid::new(eid.instance(), prefix), value))
    }

    /// Every prefix that has all of `eid`, the shortest first.
    pub fn covering(&self, eid: &Eid) -> impl Iterator<Item = (Eid, &T)> {
        let instance = eid.instance();
        let found = self.instances.get(&instance);
        let prefix = eid.prefix();
        found.into_iter().flat_map(move |map| {
            map.cover(&prefix)
                .map(move |(prefix, value)| (Eid::new(instance, prefix), value))
                .collect::<Vec<_>>()
        })
    }

    /// Every prefix that lies within `eid`, itself included.
    pub fn within(&self, eid: &Eid) -> impl Iterator<Item = (Eid, &T)> {
        let instance = eid.instance();
        let found = self.instances.get(&instance);
        let prefix = eid.prefix();
        found.into_iter().flat_map(move |map| {
            map.children(&prefix)
                .map(move |(prefix, value)| (Eid::new(instance, prefix), value))
        })
    }

    /// Every prefix, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Eid, &T)> {
        self.instances.iter().flat_map(|(instance, map)| {
            map.iter()
                .map(|(prefix, value)| (Eid::new(*instance, prefix), value))
        })
    }

    /// The number of prefixes.
    pub fn len(&self) -> usize {
        self.instances.values().map(JointPrefixMap::len).sum()
    }

    /// Whether there is no prefix.
    pub fn is_empty(&self) -> bool {
        self.instances.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_match_wins_within_its_instance() {
        let eid = |text: &str| text.parse::<Eid>().unwrap();
        let mut map = EidMap::default();
        for (number, text) in ["10.0.0.0/8", "10.1.0.0/16", "[7]10.1.2.0/24", "::/0"]
            .into_iter()
            .enumerate()
        {
            map.insert(eid(text), number);
        }
        let longest = |text: &str| map.longest(&eid(text)).map(|(_, value)| *value);
        assert_eq!(longest("10.1.2.3"), Some(1));
        assert_eq!(longest("10.2.0.0"), Some(0));
        assert_eq!(longest("[7]10.1.2.3"), Some(2));
        assert_eq!(longest("[7]10.1.3.3"), None);
        assert_eq!(longest("2001:db8::1"), Some(3));
        let covering: Vec<_> = map
            .covering(&eid("10.1.2.3"))
            .map(|(found, _)| found)
            .collect();
        assert_eq!(covering, [eid("10.0.0.0/8"), eid("10.1.0.0/16")]);
        assert_eq!(map.within(&eid("10.0.0.0/7")).count(), 2);
        assert_eq!(map.iter().count(), map.len());
        assert_eq!(map.remove(&eid("[7]10.1.2.0/24")), Some(2));
        assert_eq!((map.remove(&eid("[7]10.1.2.0/24")), map.len()), (None, 3));
    }
}
