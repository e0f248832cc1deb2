//! Connections that have ended and that the RTSP server may still be sending on.
//!
//! Its sending thread takes a list of viewers and then sends to each without a lock, through the viewer's connection, of which it
//! keeps no reference. A connection that ends meanwhile would be read after it was freed (`get_data_seq` aborts the process), so
//! each one that carried a stream is kept for longer than a frame can take.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use gstreamer_rtsp_server::RTSPClient;
use gstreamer_rtsp_server::prelude::*;
use parking_lot::Mutex;

/// How long a connection is kept: many times what a thread waits for its turn.
const KEPT: Duration = Duration::from_secs(5);

/// The most that are kept: some ten megabytes. More end in five seconds only under a storm, where the oldest make room.
const MAX_KEPT: usize = 1024;

/// The connections that ended last.
#[derive(Debug, Default)]
pub(super) struct Departed(Mutex<VecDeque<(Instant, RTSPClient)>>);

impl Departed {
    /// Keeps `client`, whose connection ended at `now`; its descriptor is closed.
    pub(super) fn keep(&self, client: &RTSPClient, now: Instant) {
        client.close();
        let mut kept = self.0.lock();
        kept.push_back((now, client.clone()));
        let oldest = (kept.len() > MAX_KEPT).then(|| kept.pop_front());
        drop(kept);
        // The last reference ends the client, which takes locks of its own.
        drop(oldest);
    }

    /// Lets go of those that have been kept long enough at `now`.
    pub(super) fn release(&self, now: Instant) {
        let mut kept = self.0.lock();
        let old = kept.partition_point(|(ended, _)| now.saturating_duration_since(*ended) >= KEPT);
        let over: Vec<_> = kept.drain(..old).collect();
        drop(kept);
        drop(over);
    }
}

#[cfg(test)]
mod tests {
    use gstreamer as gst;
    use gstreamer::glib::WeakRef;

    use super::*;

    /// Keeps a client that nobody else has, and tells whether it lives.
    fn keep(departed: &Departed, now: Instant) -> WeakRef<RTSPClient> {
        let client = RTSPClient::new();
        departed.keep(&client, now);
        client.downgrade()
    }

    fn lives(client: &WeakRef<RTSPClient>) -> bool {
        client.upgrade().is_some()
    }

    #[test]
    fn a_connection_outlives_its_end_by_more_than_a_frame() {
        gst::init().unwrap();
        let (departed, start) = (Departed::default(), Instant::now());
        let first = keep(&departed, start);
        let later = start + Duration::from_secs(2);
        let second = keep(&departed, later);
        departed.release(start + KEPT.saturating_sub(Duration::from_millis(1)));
        assert!(lives(&first) && lives(&second));
        departed.release(start + KEPT);
        assert!(!lives(&first) && lives(&second));
        departed.release(later + KEPT);
        assert!(!lives(&second));
    }

    /// A clock that is read in another order releases nothing early.
    #[test]
    fn a_time_before_the_end_releases_nothing() {
        gst::init().unwrap();
        let (departed, start) = (Departed::default(), Instant::now());
        let client = keep(&departed, start + KEPT);
        departed.release(start);
        assert!(lives(&client));
    }

    #[test]
    fn the_oldest_make_room_for_more_than_are_kept() {
        gst::init().unwrap();
        let (departed, start) = (Departed::default(), Instant::now());
        let clients: Vec<_> = (0..MAX_KEPT + 3).map(|_| keep(&departed, start)).collect();
        assert_eq!(departed.0.lock().len(), MAX_KEPT);
        let gone = clients.iter().filter(|client| !lives(client)).count();
        assert_eq!(gone, 3);
        assert!(
            clients[..3].iter().all(|client| !lives(client)),
            "the oldest"
        );
    }
}
