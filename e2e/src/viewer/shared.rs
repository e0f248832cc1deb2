//! What the tasks of a viewer share: the count of packets, and the instant of the first picture.

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use super::count::Count;

/// What the tasks of a viewer share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) count: Mutex<Count>,
    pub(super) first_picture: watch::Sender<Option<Instant>>,
}

impl Shared {
    /// Takes an RTP packet.
    pub(super) fn packet(&self, bytes: &[u8]) {
        let mut count = self.count.lock();
        if count.packet(bytes) {
            drop(count);
            self.first_picture
                .send_if_modified(|at| at.is_none() && at.replace(Instant::now()).is_none());
        }
    }
}
