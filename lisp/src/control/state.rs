//! What the tasks of the control plane share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use service::Secret;
use tokio::sync::Notify;

use super::clusters::Clusters;
use super::directory::Directory;
use crate::server::MapServer;
use crate::services::ServiceName;
use crate::told::{ServedWhat, Told, monotonic_ns};

/// The state of a control plane. Of two locks, the directory's is taken first, and the server's last.
#[derive(Debug)]
pub(super) struct State {
    pub(super) server: Mutex<MapServer>,
    pub(super) clusters: Mutex<Clusters>,
    /// Waits for the disk: only to be locked where a thread may block.
    pub(super) directory: Mutex<Directory>,
    /// Site-IDs by the names of their clusters.
    pub(super) sites: BTreeMap<String, u64>,
    pub(super) token: Option<Secret>,
    /// Another one after each start.
    pub(super) epoch: String,
    /// Whether it says what it has answered, for whoever measures.
    pub(super) says: bool,
    /// The machine has something to send, or other times.
    pub(super) wake: Notify,
}

impl State {
    /// Does something with the machine, and has it send what that leads to.
    pub(super) fn with_server<T>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut MapServer, Instant) -> T,
    ) -> T {
        let result = work(&mut self.server.lock(), Instant::now());
        self.wake.notify_one();
        result
    }

    /// Says that an agent's request, which was read at `begun_ns`, is answered.
    pub(super) fn say_served(&self, begun_ns: u64, what: ServedWhat, service: &ServiceName) {
        if self.says {
            let at_ns = monotonic_ns();
            Told::Served {
                at_ns,
                taking_ns: at_ns.saturating_sub(begun_ns),
                what,
                service: service.clone(),
            }
            .say();
        }
    }
}
