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
        Self::of(fastrand::u64(1..), capacity)
    }

    fn of(boot: u64, capacity: usize) -> Self {
        Self(Arc::new(Mutex::new(Ring::new(boot, capacity))))
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

/// The rings of a process that many streams pass, one for each name: no stream pushes out what others have. Clones share them.
#[derive(Clone, Debug)]
pub struct Traces(Arc<Mutex<Named>>);

#[derive(Debug)]
struct Named {
    capacity: usize,
    /// What the next ring is told from others by.
    boot: u64,
    /// In the order in which they were made.
    rings: Vec<(String, TraceRing)>,
}

impl Traces {
    /// No names yet; each gets a ring of at most `capacity` crossings. Whoever makes rings bounds their number.
    pub fn new(capacity: usize) -> Self {
        Self(Arc::new(Mutex::new(Named {
            capacity,
            boot: fastrand::u64(1..u64::MAX / 2),
            rings: Vec::new(),
        })))
    }

    /// The ring of a name, new if need be.
    pub fn ring(&self, name: &str) -> TraceRing {
        let mut named = self.0.lock();
        if let Some((_, ring)) = named.rings.iter().find(|(known, _)| known == name) {
            return ring.clone();
        }
        let ring = TraceRing::of(named.boot, named.capacity);
        named.boot += 1;
        named.rings.push((name.to_owned(), ring.clone()));
        ring
    }

    /// Drops the ring of a name.
    pub fn forget(&self, name: &str) {
        self.0.lock().rings.retain(|(known, _)| known != name);
    }

    /// A page of a name's ring, or without a name of the oldest one: that whose stream came first. Empty where there is none.
    pub fn page(&self, name: Option<&str>, after: u64, limit: usize) -> TracePage {
        let (ring, boot) = {
            let named = self.0.lock();
            let mut rings = named.rings.iter();
            let found = rings.find(|(known, _)| name.is_none_or(|name| known == name));
            (found.map(|(_, ring)| ring.clone()), named.boot)
        };
        // The first ring has the same boot, so that its reader does not take it for another process's.
        ring.map_or_else(
            || TracePage {
                boot,
                ..TracePage::default()
            },
            |ring| ring.page(after, limit),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_pushes_out_its_own_crossings_and_no_others() {
        let traces = Traces::new(1_000);
        let before = traces.page(Some("honest"), 0, 10);
        let (honest, flood) = (traces.ring("honest"), traces.ring("flood"));
        for n in 0..5_u32 {
            honest.push(RtpTimestamp(n), Point::Ingested, UnixMicros(7));
        }
        for n in 0..70_000_u32 {
            flood.push(RtpTimestamp(n), Point::Ingested, UnixMicros(7));
        }
        for name in [Some("honest"), None] {
            let page = traces.page(name, 0, MAX_PAGE);
            assert_eq!((page.crossings.len(), page.overwritten), (5, 0), "{name:?}");
            assert_eq!(page.boot, before.boot, "nothing was restarted");
        }
        assert_eq!(traces.page(Some("flood"), 0, 1).overwritten, 69_000);
        assert_eq!(traces.page(Some("nobody"), 0, 10).crossings, []);
        traces.forget("honest");
        let again = traces.ring("honest");
        again.push(RtpTimestamp(9), Point::Relayed, UnixMicros(8));
        let page = traces.page(Some("honest"), 0, 10);
        assert_eq!(page.crossings.len(), 1);
        assert_ne!(page.boot, before.boot, "its reader begins again");
    }
}
