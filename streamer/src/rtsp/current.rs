//! The media that a name's next viewer gets. The RTSP server ends a media with its last viewer, and whoever asks for it in
//! that moment would be answered 503: such a viewer gets another media, and one that still lives is held for a moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gstreamer::glib::WeakRef;
use gstreamer_rtsp_server::prelude::*;
use gstreamer_rtsp_server::{RTSPMedia, RTSPMediaStatus};
use parking_lot::Mutex;

/// The time between a viewer's request and the session that keeps the media, with room to spare.
const HOLD: Duration = Duration::from_secs(1);

/// The newest media of a name. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Current(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Medias that ended while somebody asked for them.
    passed: u64,
    media: WeakRef<RTSPMedia>,
    /// Whether the media has been prepared: one that is not then is new, or else has ended.
    prepared: Arc<AtomicBool>,
    held: Option<(RTSPMedia, Instant)>,
}

impl Current {
    /// Notes a new media.
    pub fn set(&self, media: &RTSPMedia) {
        let prepared = Arc::<AtomicBool>::default();
        let tell = Arc::clone(&prepared);
        media.connect_prepared(move |_| tell.store(true, Ordering::Release));
        let mut state = self.0.lock();
        state.media.set(Some(media));
        state.prepared = prepared;
    }

    /// The number of the media for a viewer who asks now. The media does not end before the viewer has it.
    pub fn ask(&self, now: Instant) -> u64 {
        let mut state = self.0.lock();
        if let Some((media, since)) = &mut state.held
            && lives(media)
        {
            *since = now;
            return state.passed;
        }
        let Some(media) = state.media.upgrade() else {
            return state.passed;
        };
        let lives = lives(&media);
        let ended = match media.status() {
            RTSPMediaStatus::Unprepared => state.prepared.load(Ordering::Acquire),
            RTSPMediaStatus::Unpreparing => true,
            // Counts one more user, if the last one has not just gone.
            _ => lives && media.prepare(None).is_err(),
        };
        if ended {
            state.media.set(None);
            state.passed += 1;
        } else if lives {
            state.held = Some((media, now));
        }
        state.passed
    }

    /// Lets go of the media if it has been held long enough; it ends if nobody uses it. May take as long as that takes.
    pub fn release(&self, now: Instant) {
        let held = self
            .0
            .lock()
            .held
            .take_if(|(_, since)| now.duration_since(*since) >= HOLD);
        if let Some((media, _)) = held {
            // It cannot fail for one that is prepared.
            let _ = media.unprepare();
        }
    }
}

/// Whether viewers can join the media.
fn lives(media: &RTSPMedia) -> bool {
    matches!(
        media.status(),
        RTSPMediaStatus::Prepared | RTSPMediaStatus::Suspended
    )
}
