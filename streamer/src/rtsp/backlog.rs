//! Frames that viewers on TCP cannot take yet, between the media and the server's sink for TCP.
//!
//! The server's sending thread takes one frame from that sink for each time that it is told of one, and is told once of
//! frames that come while it cannot send. Two that come in such a moment leave the second behind: it goes out when the
//! third comes, and from then on every frame is a frame late, for good. So the sink holds one frame and no more, as the
//! server means it to; but then whoever brings the next one waits, and viewers on UDP with it.
//!
//! Here a frame that cannot go on waits, and whatever else has come by then goes with it, as one, on a thread that may
//! wait. Where nothing is stuck, which is nearly always, frames pass on the thread that brings them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;

use crate::feed::Feed;

/// The longest backlog. With more the oldest are let go, and a key frame is asked for.
const MAX_FRAMES: usize = 64;

/// Stands before the server's sink for TCP, whatever that is linked to.
pub(super) fn stand_before(appsink: &gst::Element, feed: &Arc<Feed>) {
    let Some(sink) = appsink.static_pad("sink") else {
        return;
    };
    let backlog = Arc::new(Backlog {
        sink: sink.downgrade(),
        feed: Arc::clone(feed),
        state: Mutex::default(),
    });
    // Of the pad before the sink's: a probe of the sink's own holds the lock that a waiting thread needs.
    sink.connect_linked(move |_, before| {
        let backlog = Arc::clone(&backlog);
        before.add_probe(gst::PadProbeType::BUFFER_LIST, move |_, info| {
            match &info.data {
                Some(gst::PadProbeData::BufferList(frame)) => backlog.take(frame),
                _ => gst::PadProbeReturn::Ok,
            }
        });
    });
}

struct Backlog {
    sink: glib::WeakRef<gst::Pad>,
    feed: Arc<Feed>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What went to the sink last. Once nobody else has it, the server has taken it.
    last: Option<gst::BufferList>,
    waiting: VecDeque<gst::BufferList>,
    /// Whether a thread brings the waiting ones on.
    bringing: bool,
}

impl State {
    fn is_free(&mut self) -> bool {
        let taken = self
            .last
            .as_mut()
            .is_none_or(|last| last.get_mut().is_some());
        taken && !self.bringing
    }
}

impl Backlog {
    fn take(self: &Arc<Self>, frame: &gst::BufferList) -> gst::PadProbeReturn {
        let mut state = self.lock();
        if state.is_free() {
            state.last = Some(frame.clone());
            return gst::PadProbeReturn::Ok;
        }
        state.waiting.push_back(frame.clone());
        if state.waiting.len() > MAX_FRAMES {
            state.waiting.pop_front();
            self.feed.metrics().outrun.inc();
            self.feed.wish_keyframe();
        }
        if !state.bringing {
            let backlog = Arc::clone(self);
            let thread = std::thread::Builder::new().name("tcp-backlog".into());
            match thread.spawn(move || backlog.bring()) {
                Ok(_) => state.bringing = true,
                // They wait for the next one, which tries again.
                Err(error) => {
                    tracing::warn!(feed = %self.feed.name(), %error, "no thread for a backlog");
                }
            }
        }
        gst::PadProbeReturn::Drop
    }

    /// Brings what waits to the sink, and what has come by then, until nothing waits.
    fn bring(&self) {
        loop {
            let Some(all) = self.next() else { return };
            let sink = self.sink.upgrade();
            // It waits here until the sink has room.
            if sink.is_none_or(|sink| sink.chain_list(all).is_err()) {
                // The media ends.
                let mut state = self.lock();
                state.waiting.clear();
                state.bringing = false;
                return;
            }
        }
    }

    /// Everything that waits, as one list; none, and the thread is to end, where nothing does.
    fn next(&self) -> Option<gst::BufferList> {
        let mut state = self.lock();
        let frames = std::mem::take(&mut state.waiting);
        if frames.is_empty() {
            state.bringing = false;
            return None;
        }
        let mut all = gst::BufferList::new_sized(frames.iter().map(|frame| frame.len()).sum());
        {
            let all = all.get_mut().expect("a new list has one owner");
            for frame in &frames {
                frame.iter_owned().for_each(|packet| all.add(packet));
            }
        }
        state.last = Some(all.clone());
        Some(all)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
