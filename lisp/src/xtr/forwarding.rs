//! What the threads of the data plane share: the forwarding table, and what never changes while they run.

use std::io::{self, PipeReader, PipeWriter, Write as _};
use std::net::IpAddr;
use std::os::fd::AsFd as _;
use std::sync::Arc;

use arc_swap::{ArcSwap, Cache};
use ipnet::IpNet;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use parking_lot::Mutex;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::data::header::Header;
use crate::data::table::Table;

/// Destinations without a mapping that wait to be asked about; more are forgotten until their next packet.
const MISSES: usize = 256;

/// The settings of the data plane.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The instance that every packet is of.
    pub instance: u32,
    /// Our own locators, at most one of each family.
    pub locators: Vec<IpAddr>,
    /// Our own endpoints: where packets out of the tunnel may go, and packets into it may be from.
    pub endpoints: Vec<IpNet>,
    /// The MTU of the links between locators, in bytes.
    pub link_bytes: usize,
}

impl Settings {
    /// The LISP header of every packet that is sent.
    pub(crate) fn header(&self) -> Header {
        Header::of_instance(self.instance)
    }

    /// Our locator of the same family.
    pub(crate) fn locator_beside(&self, other: IpAddr) -> Option<IpAddr> {
        let mut ours = self.locators.iter().copied();
        ours.find(|locator| locator.is_ipv4() == other.is_ipv4())
    }

    /// Whether the address is one of our endpoints.
    pub(crate) fn is_ours(&self, address: IpAddr) -> bool {
        self.endpoints
            .iter()
            .any(|prefix| prefix.contains(&address))
    }
}

/// The forwarding table in use. Clones share it.
#[derive(Clone, Debug)]
pub struct Forwarding {
    table: Arc<ArcSwap<Table>>,
    missed: Sender<IpAddr>,
    /// The pipes that wake each reader, which may have packets that wait for another table.
    wakers: Arc<Mutex<Vec<PipeWriter>>>,
}

/// The table as one thread reads it, without a lock.
pub(crate) type Reader = Cache<Arc<ArcSwap<Table>>, Arc<Table>>;

impl Forwarding {
    /// A table in use, and the destinations that will be missed in it.
    pub fn new(table: Table) -> (Self, Receiver<IpAddr>) {
        let (missed, misses) = channel(MISSES);
        let table = Arc::new(ArcSwap::from_pointee(table));
        let wakers = Arc::default();
        let new = Self {
            table,
            missed,
            wakers,
        };
        (new, misses)
    }

    /// Puts another table in the place of this one: the next batch of every thread goes by it.
    pub fn set(&self, table: Table) {
        self.table.store(Arc::new(table));
        for waker in &mut *self.wakers.lock() {
            // One that is full wakes its reader already, and one that is broken has none any more.
            let _ = waker.write(&[0]);
        }
    }

    /// The table in use.
    pub fn current(&self) -> Arc<Table> {
        self.table.load_full()
    }

    /// A reader for one thread, and what can be read when the table is another.
    pub(crate) fn reader(&self) -> io::Result<(Reader, PipeReader)> {
        let (reader, writer) = io::pipe()?;
        for end in [reader.as_fd(), writer.as_fd()] {
            fcntl(end, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        self.wakers.lock().push(writer);
        Ok((Cache::new(Arc::clone(&self.table)), reader))
    }

    /// Says that a packet for this destination found no mapping. When too many are waiting, this one is forgotten: its next
    /// packet says so again.
    pub(crate) fn miss(&self, destination: IpAddr) {
        let _ = self.missed.try_send(destination);
    }
}
