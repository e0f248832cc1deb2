//! What xTRs have registered, by EID prefix: a table of locators for each, merged into one mapping.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use crate::eid::Eid;
use crate::eid_map::EidMap;
use crate::wire::{Locator, RegisterFlags};

/// An xTR, by its id, or by its address where it sends none; or the agent of a cluster, who speaks for all of its xTRs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Xtr {
    Id(u128),
    Address(IpAddr),
    Agent,
}

/// The registrar of an EID prefix: an xTR or the agent of a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Registrar {
    pub site: u64,
    pub xtr: Xtr,
}

impl fmt::Display for Registrar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.xtr {
            Xtr::Id(id) => write!(f, "{id:032x} of site {}", self.site),
            Xtr::Address(address) => write!(f, "{address} of site {}", self.site),
            Xtr::Agent => write!(f, "agent of site {}", self.site),
        }
    }
}

/// The registration of an EID prefix by one registrar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    pub locators: Vec<Locator>,
    pub ttl_minutes: u32,
    pub flags: RegisterFlags,
    /// The address that the Map-Register came from.
    pub address: SocketAddr,
    pub expires: Instant,
}

/// The registrations of one EID prefix.
pub(super) type Entry = BTreeMap<Registrar, Registration>;

/// A table that has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

/// Every registration.
#[derive(Debug)]
pub(super) struct Registrations {
    most_eids: usize,
    most_xtrs: usize,
    entries: EidMap<Entry>,
    ends: BTreeSet<(Instant, Eid, Registrar)>,
}

impl Registrations {
    pub(super) fn new(most_eids: usize, most_xtrs: usize) -> Self {
        Self {
            most_eids,
            most_xtrs,
            entries: EidMap::default(),
            ends: BTreeSet::new(),
        }
    }

    /// Takes in a registration. Without the merge flag it takes the place of every other of its site.
    pub(super) fn set(
        &mut self,
        eid: Eid,
        registrar: Registrar,
        new: Registration,
    ) -> Result<(), Full> {
        let known = self.entries.get(&eid);
        let is_new = known.is_none_or(|entry| !entry.contains_key(&registrar));
        let xtrs = known.map_or(0, BTreeMap::len);
        if is_new
            && (xtrs >= self.most_xtrs || known.is_none() && self.entries.len() >= self.most_eids)
        {
            return Err(Full);
        }
        if !new.flags.contains(RegisterFlags::MERGE) {
            for other in self.others_of_site(&eid, registrar) {
                self.remove(&eid, other);
            }
        }
        self.remove_end(&eid, registrar);
        self.ends.insert((new.expires, eid, registrar));
        self.entries.get_or_default(eid).insert(registrar, new);
        Ok(())
    }

    fn others_of_site(&self, eid: &Eid, registrar: Registrar) -> Vec<Registrar> {
        let entry = self.entries.get(eid).into_iter().flat_map(BTreeMap::keys);
        entry
            .filter(|other| other.site == registrar.site && **other != registrar)
            .copied()
            .collect()
    }

    fn remove_end(&mut self, eid: &Eid, registrar: Registrar) {
        let known = self
            .entries
            .get(eid)
            .and_then(|entry| entry.get(&registrar));
        if let Some(known) = known {
            self.ends.remove(&(known.expires, *eid, registrar));
        }
    }

    /// Removes what one xTR has registered for an EID prefix.
    pub(super) fn remove(&mut self, eid: &Eid, registrar: Registrar) {
        self.remove_end(eid, registrar);
        let Some(entry) = self.entries.get_mut(eid) else {
            return;
        };
        entry.remove(&registrar);
        if entry.is_empty() {
            self.entries.remove(eid);
        }
    }

    /// EID prefixes of which a registration has ended, each once.
    pub(super) fn ended(&self, now: Instant) -> BTreeSet<Eid> {
        let ended = self.ends.iter().take_while(|(end, ..)| *end <= now);
        ended.map(|(_, eid, _)| *eid).collect()
    }

    /// Removes every registration of the EID prefix that has ended.
    pub(super) fn expire(&mut self, eid: &Eid, now: Instant) {
        let entry = self.entries.get(eid).into_iter().flatten();
        let ended: Vec<_> = entry
            .filter(|(_, registration)| registration.expires <= now)
            .map(|(registrar, _)| *registrar)
            .collect();
        for registrar in ended {
            self.remove(eid, registrar);
        }
    }

    pub(super) fn next_end(&self) -> Option<Instant> {
        self.ends.first().map(|(end, ..)| *end)
    }

    pub(super) const fn entries(&self) -> &EidMap<Entry> {
        &self.entries
    }
}
