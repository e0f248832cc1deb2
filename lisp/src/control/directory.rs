//! The book of service addresses, and the file that it is kept in.

use std::net::IpAddr;

use timeline::UnixMicros;

use super::store::{Store, StoreError};
use crate::eid::Eid;
use crate::server::SavedState;
use crate::services::{Book, Change, NoAddress, ServiceName};

/// A reason for which no address was allocated.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotAllocated {
    #[error(transparent)]
    NoAddress(#[from] NoAddress),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The book and its file. Calls wait for the disk.
#[derive(Debug)]
pub(super) struct Directory {
    book: Book,
    store: Store,
}

impl Directory {
    /// Reads into an empty book what the store has.
    pub(super) fn open(mut book: Book, store: Store) -> Result<Self, StoreError> {
        for change in store.conflicts()? {
            book.apply(&change);
        }
        for (name, service) in store.services()? {
            book.apply(&Change::Assign {
                name: name.clone(),
                eid: service.eid,
            });
            for cluster in service.clusters {
                book.apply(&Change::Join {
                    name: name.clone(),
                    cluster,
                });
            }
            if let Some(released) = service.released {
                book.apply(&Change::Leave {
                    name,
                    cluster: String::new(),
                    released: Some(released),
                });
            }
        }
        Ok(Self { book, store })
    }

    pub(super) const fn book(&self) -> &Book {
        &self.book
    }

    /// The service's address for a cluster. It is on disk when this returns; a dry run changes nothing, and tells the address that
    /// the service has, or would have if nobody came before.
    pub(super) fn allocate(
        &mut self,
        name: &ServiceName,
        cluster: &str,
        pool: Option<&str>,
        wanted: Option<IpAddr>,
        dry_run: bool,
    ) -> Result<Eid, NotAllocated> {
        let (eid, changes) = self.book.allocate(name, cluster, pool, wanted)?;
        if !dry_run {
            self.make(&changes)?;
        }
        Ok(eid)
    }

    /// A cluster gives a service back: the address that it had there.
    pub(super) fn release(
        &mut self,
        name: &ServiceName,
        cluster: &str,
        now: UnixMicros,
    ) -> Result<Option<Eid>, StoreError> {
        let Some(change) = self.book.release(name, cluster, now) else {
            return Ok(None);
        };
        let eid = self.book.services().get(name).map(|service| service.eid);
        self.make(&[change])?;
        Ok(eid)
    }

    /// A cluster has an address of a pool in use for something else; the address's EID, if that is news.
    pub(super) fn block(
        &mut self,
        address: IpAddr,
        cluster: &str,
        now: UnixMicros,
    ) -> Result<Option<Eid>, StoreError> {
        let changes = self.book.block(address, cluster, now);
        self.make(&changes)?;
        Ok(changes.iter().find_map(|change| match change {
            Change::Block { eid, .. } => Some(*eid),
            _ => None,
        }))
    }

    /// Frees addresses that were released long enough ago; how many.
    pub(super) fn expire(&mut self, now: UnixMicros) -> Result<usize, StoreError> {
        let changes = self.book.expired(now);
        self.make(&changes)?;
        Ok(changes.len())
    }

    fn make(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(());
        }
        self.store.commit(changes)?;
        for change in changes {
            self.book.apply(change);
        }
        Ok(())
    }

    pub(super) fn save(&mut self, state: &SavedState) -> Result<(), StoreError> {
        self.store.save(state)
    }

    pub(super) fn saved(&self) -> Result<SavedState, StoreError> {
        self.store.saved()
    }
}
