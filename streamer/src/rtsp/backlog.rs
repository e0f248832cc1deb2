//! Frames that viewers on TCP cannot take yet, between the media and the server's sink for TCP.
//!
//! The server's sending thread takes one frame from that sink for each time that it is told of one, and is told once of
//! frames that come while it cannot send. Two that come in such a moment leave the second behind: it goes out when the
//! third comes, and from then on every frame is a frame late, for good. So the sink holds one frame and no more, as the
//! server means it to; but then whoever brings the next one waits, and viewers on UDP with it.
//!
//! Nor is that thread told when the viewer that it could not send to is gone: see `wake_sender` in `server`.
//!
//! Here a frame that cannot go on waits, and whatever else has come by then goes with it, as one, on a thread that may
//! wait. Where nothing is stuck, which is nearly always, frames pass on the thread that brings them.

use std::collections::VecDeque;
use std::sync::Arc;

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use parking_lot::Mutex;

use crate::feed::Feed;

/// The most frames of a backlog. With more the oldest are let go, and a key frame is asked for.
const MAX_FRAMES: usize = 64;

/// The most bytes of a backlog of more than one frame; a second of 64 Mbit/s. With more the oldest are let go as well.
const MAX_BYTES: usize = 8 << 20;

/// The most packets that go on at once, if they are of more than one frame. The server needs 288 bytes of a thread's stack
/// for each: with the 8 MiB that are usual, some 29 000 packets would end the process.
const MAX_PACKETS: usize = 2000;

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
    // Of the pad before the sink's: a probe of the sink's own holds the lock that a waiting thread needs. When viewers on
    // UDP come the server puts a queue between the two, and the pad that was before lives on before that.
    let probe = Arc::new(Mutex::new(None));
    let here = Arc::clone(&probe);
    sink.connect_linked(move |_, before| {
        let backlog = Arc::clone(&backlog);
        let kinds = gst::PadProbeType::BUFFER_LIST | gst::PadProbeType::EVENT_DOWNSTREAM;
        *here.lock() = before.add_probe(kinds, move |_, info| match &info.data {
            Some(gst::PadProbeData::BufferList(frame)) => backlog.take(frame),
            // It would wait where the frames do. The sink gets on without, and it comes again with the next frame.
            Some(gst::PadProbeData::Event(event))
                if event.type_() == gst::EventType::Caps && backlog.is_stuck() =>
            {
                media::DROPPED
            }
            _ => gst::PadProbeReturn::Ok,
        });
    });
    sink.connect_unlinked(move |_, before| {
        if let Some(probe) = probe.lock().take() {
            before.remove_probe(probe);
        }
    });
}

struct Backlog {
    sink: glib::WeakRef<gst::Pad>,
    feed: Arc<Feed>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What went to the sink before the last. The sink keeps what was taken from it last, so once nobody else has this one,
    /// the last has been taken too.
    older: Option<gst::BufferList>,
    /// What went to the sink last.
    last: Option<gst::BufferList>,
    waiting: VecDeque<gst::BufferList>,
    /// Bytes of those that wait.
    waiting_bytes: usize,
    /// Whether a thread brings the waiting ones on.
    bringing: bool,
}

impl State {
    /// Whether a frame that comes now may go on at once: nothing else is to go first, and the sink has room.
    fn is_free(&mut self) -> bool {
        let taken = match &mut self.older {
            Some(older) => older.get_mut().is_some(),
            None => self.last.is_none(),
        };
        taken && !self.bringing && self.waiting.is_empty()
    }

    fn goes(&mut self, frames: &gst::BufferList) {
        self.older = self.last.replace(frames.clone());
    }

    /// Lets `frame` wait, and says whether the oldest had to be let go for it.
    fn wait(&mut self, frame: &gst::BufferList) -> bool {
        self.waiting_bytes += frame.calculate_size();
        self.waiting.push_back(frame.clone());
        let before = self.waiting.len();
        while self.waiting.len() > MAX_FRAMES
            || (self.waiting_bytes > MAX_BYTES && self.waiting.len() > 1)
        {
            let oldest = self.waiting.pop_front();
            self.waiting_bytes -= oldest.map_or(0, |frame| frame.calculate_size());
        }
        self.waiting.len() < before
    }

    fn forget(&mut self) {
        self.waiting.clear();
        self.waiting_bytes = 0;
    }

    /// What has waited longest, as one list of at most [`MAX_PACKETS`] or of one frame; none where nothing waits.
    fn next(&mut self) -> Option<gst::BufferList> {
        let mut all = self.waiting.pop_front()?;
        while let Some(frame) = self
            .waiting
            .pop_front_if(|frame| all.len() + frame.len() <= MAX_PACKETS)
        {
            let all = all.make_mut();
            frame.iter_owned().for_each(|packet| all.add(packet));
        }
        self.waiting_bytes -= all.calculate_size();
        self.goes(&all);
        Some(all)
    }
}

impl Backlog {
    fn is_stuck(&self) -> bool {
        self.state.lock().bringing
    }

    fn take(self: &Arc<Self>, frame: &gst::BufferList) -> gst::PadProbeReturn {
        let mut state = self.state.lock();
        if state.is_free() {
            state.goes(frame);
            return gst::PadProbeReturn::Ok;
        }
        self.feed.counters().waited.inc();
        if state.wait(frame) {
            self.feed.counters().outrun.inc();
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
        media::DROPPED
    }

    /// Brings what waits to the sink, and what has come by then, until nothing waits.
    fn bring(&self) {
        loop {
            let Some(all) = self.next() else { return };
            let sink = self.sink.upgrade();
            // It waits here until the sink has room.
            if sink.is_none_or(|sink| sink.chain_list(all).is_err()) {
                // The media ends.
                let mut state = self.state.lock();
                state.forget();
                state.bringing = false;
                return;
            }
        }
    }

    /// What is to go on next; none, and the thread is to end, where nothing waits.
    fn next(&self) -> Option<gst::BufferList> {
        let mut state = self.state.lock();
        let next = state.next();
        state.bringing = next.is_some();
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame of `packets` packets, each of which carries a number from `first` on as its time.
    fn frame(first: u64, packets: u64) -> gst::BufferList {
        let mut list = gst::BufferList::new();
        for number in first..first + packets {
            let mut packet = gst::Buffer::new();
            packet
                .make_mut()
                .set_pts(gst::ClockTime::from_nseconds(number));
            list.make_mut().add(packet);
        }
        list
    }

    #[test]
    fn what_waited_goes_in_parts_and_in_order() {
        gst::init().unwrap();
        let mut state = State::default();
        for number in 0..64 {
            assert!(!state.wait(&frame(number * 500, 500)));
        }
        let parts: Vec<_> = std::iter::from_fn(|| state.next()).collect();
        assert!(parts.iter().all(|part| part.len() == 2000));
        let packets = parts.iter().flat_map(|part| part.iter());
        let numbers = packets.map(|packet| packet.pts().unwrap().nseconds());
        assert!(numbers.eq(0..32_000));
    }

    #[test]
    fn a_long_frame_goes_alone_and_the_oldest_is_outrun() {
        gst::init().unwrap();
        let mut state = State::default();
        state.wait(&frame(0, 10));
        state.wait(&frame(10, 4000));
        state.wait(&frame(4010, 10));
        let lengths = std::iter::from_fn(|| state.next()).map(|part| part.len());
        assert!(lengths.eq([10, 4000, 10]));
        assert!((0..=64).any(|_| state.wait(&frame(0, 1))));
        assert_eq!(state.waiting.len(), 64);
    }

    #[test]
    fn a_backlog_is_bounded_in_bytes() {
        gst::init().unwrap();
        let mut state = State::default();
        let frame = |bytes: usize| {
            let mut list = gst::BufferList::new();
            list.make_mut().add(gst::Buffer::with_size(bytes).unwrap());
            list
        };
        let outrun = (0..64).filter(|_| state.wait(&frame(1 << 20))).count();
        assert_eq!((outrun, state.waiting.len()), (56, 8));
        // One that is larger than all may be goes alone.
        assert!(state.wait(&frame(MAX_BYTES + 1)));
        assert_eq!(state.waiting.len(), 1);
        while state.next().is_some() {}
        assert_eq!(state.waiting_bytes, 0);
        assert!(!state.wait(&frame(MAX_BYTES)));
    }

    #[test]
    fn nothing_passes_what_waits() {
        gst::init().unwrap();
        let mut state = State::default();
        assert!(state.is_free());
        state.wait(&frame(0, 1));
        assert!(!state.is_free(), "no thread could be had, and it waits on");
    }
}
