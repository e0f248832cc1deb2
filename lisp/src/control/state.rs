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
}
