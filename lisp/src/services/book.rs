//! Who has which address. What is to change is worked out first, kept by whoever keeps it, and then done: an address that was
//! given is on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use timeline::UnixMicros;

use super::name::ServiceName;
use super::pool::Pool;
use crate::eid::Eid;

/// A service and its address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    pub eid: Eid,
    /// Clusters that asked for it and have not given it back.
    pub clusters: BTreeSet<String>,
    /// When the last of them gave it back; the address stays the service's for a time.
    pub released: Option<UnixMicros>,
}

/// A change of the book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A service gets an address.
    Assign { name: ServiceName, eid: Eid },
    /// A cluster has the service.
    Join { name: ServiceName, cluster: String },
    /// A cluster has it no more; at the last one's leaving, the time.
    Leave {
        name: ServiceName,
        cluster: String,
        released: Option<UnixMicros>,
    },
    /// A cluster has given the address to something of its own.
    Block { eid: Eid, cluster: String },
    /// The address is free for others.
    Forget { name: ServiceName },
}

/// A reason for which a service gets no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAddress {
    #[error("there is no pool {0:?}")]
    NoPool(String),
    #[error("every address of pool {0:?} is taken")]
    Exhausted(String),
    #[error("{0} is for another service, or in no pool")]
    Wanted(IpAddr),
    #[error("the service has {0} already")]
    HasOther(Eid),
    #[error("{0} is something else's in cluster {1:?}")]
    Blocked(Eid, String),
    #[error("there are {0} services, as many as are kept")]
    Full(usize),
}

/// Every service and its address.
#[derive(Clone, Debug)]
pub struct Book {
    pools: Vec<Pool>,
    reserved: BTreeMap<ServiceName, Eid>,
    reserved_eids: BTreeSet<Eid>,
    /// How long the address of a released service is nobody else's, in microseconds.
    grace_us: u64,
    most: usize,
    services: BTreeMap<ServiceName, Service>,
    taken: BTreeMap<Eid, ServiceName>,
    /// Addresses that clusters have given to something of their own, by the cluster.
    blocked: BTreeMap<Eid, BTreeSet<String>>,
    /// By the pool's name: the address that was given last.
    last: BTreeMap<String, IpAddr>,
}

impl Book {
    /// A book without services. `reserved` are addresses that only these services get.
    pub fn new(
        pools: Vec<Pool>,
        reserved: BTreeMap<ServiceName, Eid>,
        grace_us: u64,
        most: usize,
    ) -> Self {
        Self {
            reserved_eids: reserved.values().copied().collect(),
            pools,
            reserved,
            grace_us,
            most,
            services: BTreeMap::new(),
            taken: BTreeMap::new(),
            blocked: BTreeMap::new(),
            last: BTreeMap::new(),
        }
    }

    /// The service's address for a cluster, and what has to change for it: nothing if the cluster has it already.
    pub fn allocate(
        &self,
        name: &ServiceName,
        cluster: &str,
        pool: Option<&str>,
        wanted: Option<IpAddr>,
    ) -> Result<(Eid, Vec<Change>), NoAddress> {
        let join = Change::Join {
            name: name.clone(),
            cluster: cluster.to_owned(),
        };
        if let Some(known) = self.services.get(name) {
            if wanted.is_some_and(|wanted| wanted != known.eid.address()) {
                return Err(NoAddress::HasOther(known.eid));
            }
            if self.is_blocked(&known.eid, cluster) {
                return Err(NoAddress::Blocked(known.eid, cluster.to_owned()));
            }
            let has_it = known.clusters.contains(cluster);
            return Ok((known.eid, if has_it { vec![] } else { vec![join] }));
        }
        if self.services.len() >= self.most {
            return Err(NoAddress::Full(self.most));
        }
        let eid = self.pick(name, pool, wanted)?;
        if self.is_blocked(&eid, cluster) {
            return Err(NoAddress::Blocked(eid, cluster.to_owned()));
        }
        let assign = Change::Assign {
            name: name.clone(),
            eid,
        };
        Ok((eid, vec![assign, join]))
    }

    fn pick(
        &self,
        name: &ServiceName,
        pool: Option<&str>,
        wanted: Option<IpAddr>,
    ) -> Result<Eid, NoAddress> {
        let reserved = self.reserved.get(name).copied();
        if let Some(wanted) = wanted {
            let found = reserved.filter(|eid| eid.address() == wanted);
            let found = found.or_else(|| self.free_in_a_pool(wanted));
            return found.ok_or(NoAddress::Wanted(wanted));
        }
        if let Some(eid) = reserved {
            return Ok(eid);
        }
        let mut pools = self.pools.iter();
        let found = match pool {
            Some(name) => pools.find(|pool| pool.name == name),
            None => pools.next(),
        };
        let pool = found.ok_or_else(|| NoAddress::NoPool(pool.unwrap_or_default().to_owned()))?;
        let is_taken = |address| self.is_taken(&Eid::host(pool.instance(), address));
        let address = pool.next(self.last.get(&pool.name).copied(), is_taken);
        let address = address.ok_or_else(|| NoAddress::Exhausted(pool.name.clone()))?;
        Ok(Eid::host(pool.instance(), address))
    }

    fn free_in_a_pool(&self, address: IpAddr) -> Option<Eid> {
        let pool = self.pools.iter().find(|pool| pool.has(address))?;
        let eid = Eid::host(pool.instance(), address);
        (!self.is_taken(&eid)).then_some(eid)
    }

    fn is_taken(&self, eid: &Eid) -> bool {
        self.taken.contains_key(eid)
            || self.reserved_eids.contains(eid)
            || self.blocked.contains_key(eid)
    }

    fn is_blocked(&self, eid: &Eid, cluster: &str) -> bool {
        self.blocked
            .get(eid)
            .is_some_and(|clusters| clusters.contains(cluster))
    }

    /// What changes when a cluster finds that an address of a pool is something else's there: no service gets it any more that has
    /// not got it, and none in that cluster, which gives it back. Nothing where that is known, or the address is in no pool.
    pub fn block(&self, address: IpAddr, cluster: &str, now: UnixMicros) -> Vec<Change> {
        let Some(pool) = self.pools.iter().find(|pool| pool.has(address)) else {
            return Vec::new();
        };
        let eid = Eid::host(pool.instance(), address);
        if self.is_blocked(&eid, cluster) {
            return Vec::new();
        }
        let block = Change::Block {
            eid,
            cluster: cluster.to_owned(),
        };
        let name = self.taken.get(&eid);
        let leave = name.and_then(|name| self.release(name, cluster, now));
        [block].into_iter().chain(leave).collect()
    }

    /// What changes when a cluster gives the service back: nothing if it does not have it.
    pub fn release(&self, name: &ServiceName, cluster: &str, now: UnixMicros) -> Option<Change> {
        let known = self.services.get(name)?;
        let is_last = known.clusters.len() == 1;
        known.clusters.contains(cluster).then(|| Change::Leave {
            name: name.clone(),
            cluster: cluster.to_owned(),
            released: is_last.then_some(now),
        })
    }

    /// What ends: addresses whose services were released long enough ago. A clock that went back only makes that later.
    pub fn expired(&self, now: UnixMicros) -> Vec<Change> {
        let all = self.services.iter();
        let ended = all.filter(|(_, service)| {
            let since = service
                .released
                .map(|released| now.0.saturating_sub(released.0));
            service.clusters.is_empty() && since.is_some_and(|since| since >= self.grace_us)
        });
        ended
            .map(|(name, _)| Change::Forget { name: name.clone() })
            .collect()
    }

    /// Does what was worked out and is kept.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Assign { name, eid } => {
                let service = Service {
                    eid: *eid,
                    clusters: BTreeSet::new(),
                    released: None,
                };
                if let Some(pool) = self.pools.iter().find(|pool| pool.eid.contains(eid)) {
                    self.last.insert(pool.name.clone(), eid.address());
                }
                self.taken.insert(*eid, name.clone());
                self.services.insert(name.clone(), service);
            }
            Change::Join { name, cluster } => {
                if let Some(service) = self.services.get_mut(name) {
                    service.clusters.insert(cluster.clone());
                    service.released = None;
                }
            }
            Change::Leave {
                name,
                cluster,
                released,
            } => {
                if let Some(service) = self.services.get_mut(name) {
                    service.clusters.remove(cluster);
                    service.released = *released;
                }
            }
            Change::Block { eid, cluster } => {
                self.blocked
                    .entry(*eid)
                    .or_default()
                    .insert(cluster.clone());
            }
            Change::Forget { name } => {
                if let Some(service) = self.services.remove(name) {
                    self.taken.remove(&service.eid);
                }
            }
        }
    }

    /// Every pool.
    pub fn pools(&self) -> &[Pool] {
        &self.pools
    }

    /// Every service.
    pub const fn services(&self) -> &BTreeMap<ServiceName, Service> {
        &self.services
    }
}
