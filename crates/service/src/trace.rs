//! The trace ring of a process: written from its media threads, read by its ops port.

use std::sync::Arc;

use parking_lot::Mutex;
use timeline::ring::Ring;
use timeline::{Crossing, Point, RtpTimestamp, TracePage, UnixMicros};

/// The most crossings in one page: some 100 kB of JSON, copied in some tens of microseconds.
pub const MAX_PAGE: usize = 2_000;

/// A [`Ring`] of crossings that threads share. A push holds the lock for some tens of nanoseconds, a page for its copy of at
/// most [`MAX_PAGE`].
#[derive(Clone, Debug)]
pub struct TraceRing(Arc<Mutex<Ring>>);

impl TraceRing {
    /// A ring of at most `capacity` crossings: 24 bytes each, so 65536 take 1.5 MB and hold minutes at 60 frames a second.
    pub fn new(capacity: usize) -> Self {
        Self(Arc::new(Mutex::new(Ring::new(
            fastrand::u64(1..),
            capacity,
        ))))
    }

    /// Frame `rtp_timestamp` passed `point` at `at`.
    pub fn push(&self, rtp_timestamp: RtpTimestamp, point: Point, at: UnixMicros) {
        self.0.lock().push(Crossing {
            rtp_timestamp,
            point,
            at,
        });
    }

    /// What follows cursor `after`, at most `limit` and never more than [`MAX_PAGE`].
    pub fn page(&self, after: u64, limit: usize) -> TracePage {
        self.0.lock().page(after, limit.min(MAX_PAGE))
    }
}
