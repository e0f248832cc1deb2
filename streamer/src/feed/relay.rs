//! One name at work: frames come in from whoever holds the claim, get the name's numbers, and go out to its viewers.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use timeline::{Point, RtpTimestamp, UnixMicros};
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use super::assembler::{Frame, Step};
use super::counters::Counters;
use super::keyframe::{Limiter, Verdict};
use super::lease::{Lease, Sender, State, Taken};
use super::name::FeedName;
use super::outlet::{Numbered, Outlet, Stream};
use super::parameters::ParameterSets;
use super::sequence::Renumber;

/// Packets that can be missing between two: more than a second of any feed's.
const MOST_MISSING: u16 = 10_000;

/// What every name is run with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// A feed that sends nothing for so long is stalled.
    pub stall: Duration,
    /// A renderer is asked for a key frame at most once in this time.
    pub keyframe_window: Duration,
    /// Where the frames of each name are noted that pass.
    pub traces: service::trace::Traces,
}

/// The claim has been replaced by another feed's, or the name's feed is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("another feed has taken the name over")]
pub struct Superseded;

/// A name and all that belongs to it.
#[derive(Debug)]
pub struct Feed {
    name: FeedName,
    trace: service::trace::TraceRing,
    lease: Mutex<Lease>,
    /// Held while a frame is pushed, so that frames stay in order when a feed takes over from another.
    output: Mutex<Renumber>,
    outlets: Mutex<Vec<Weak<dyn Outlet>>>,
    ssrc: u32,
    /// Next sequence number and last timestamp. The RTSP server asks while it holds locks that a push needs, so the
    /// answer must need none.
    position: AtomicU64,
    stream: watch::Sender<Option<Arc<Stream>>>,
    keyframes: Mutex<Limiter>,
    wishes: broadcast::Sender<()>,
    /// The renderer was asked while it did not listen.
    unheard: AtomicBool,
    viewable: AtomicBool,
    current: Mutex<CancellationToken>,
    runtime: tokio::runtime::Handle,
    counters: Counters,
    packets: AtomicU64,
    frames: AtomicU64,
}

/// The right to push frames into a [`Feed`]. Dropping it frees the name.
#[derive(Debug)]
pub struct Claim {
    feed: Arc<Feed>,
    number: u64,
    ended: CancellationToken,
    sets: ParameterSets,
}

impl Feed {
    /// A name without a feed. Must be called within a tokio runtime.
    pub fn new(name: FeedName, settings: &Settings, counters: Counters, now: Instant) -> Self {
        let (ssrc, first) = (fastrand::u32(1..), fastrand::u16(..));
        Self {
            trace: settings.traces.ring(name.as_str()),
            name,
            lease: Mutex::new(Lease::new(now, settings.stall)),
            output: Mutex::new(Renumber::new(ssrc, first)),
            ssrc,
            position: AtomicU64::new(pack(first, RtpTimestamp(0))),
            outlets: Mutex::default(),
            stream: watch::Sender::new(None),
            keyframes: Mutex::new(Limiter::new(settings.keyframe_window)),
            wishes: broadcast::Sender::new(4),
            unheard: AtomicBool::new(false),
            viewable: AtomicBool::new(false),
            current: Mutex::new(CancellationToken::new()),
            runtime: tokio::runtime::Handle::current(),
            counters,
            packets: AtomicU64::new(0),
            frames: AtomicU64::new(0),
        }
    }

    /// The SSRC of everything that viewers of the name get.
    pub const fn ssrc(&self) -> u32 {
        self.ssrc
    }

    pub const fn name(&self) -> &FeedName {
        &self.name
    }

    /// Takes the name; the claim before it ends.
    pub fn claim(self: &Arc<Self>, sender: Sender, now: Instant) -> Result<Claim, Taken> {
        // The lease is kept locked, so that numbers and tokens change in the same order.
        let mut lease = self.lease.lock();
        let number = lease.claim(sender, now)?;
        let ended = CancellationToken::new();
        std::mem::replace(&mut *self.current.lock(), ended.clone()).cancel();
        let sets = self
            .stream
            .borrow()
            .as_ref()
            .map(|stream| stream.sets.clone())
            .unwrap_or_default();
        Ok(Claim {
            feed: Arc::clone(self),
            number,
            ended,
            sets,
        })
    }

    /// Ends whatever feed holds the name.
    pub fn end(&self) {
        self.current.lock().cancel();
    }

    /// The state of the feed: whether packets arrive.
    pub fn state(&self, now: Instant) -> State {
        self.lease.lock().state(now)
    }

    /// Whether `sender` may take the name.
    pub fn is_open_to(&self, sender: &Sender, now: Instant) -> bool {
        self.lease.lock().is_open_to(sender, now)
    }

    /// Whether `asker` may be who feeds the name.
    pub fn may_be_of(&self, asker: &Sender) -> bool {
        self.lease.lock().may_be_of(asker)
    }

    /// Whether the name belongs to a token.
    pub fn is_established(&self) -> bool {
        self.lease.lock().is_established()
    }

    /// How long nobody has fed it.
    pub fn unused(&self, now: Instant) -> Duration {
        self.lease.lock().unused(now)
    }

    /// From now on viewers over RTSP find the name.
    pub fn set_viewable(&self) {
        self.viewable.store(true, Ordering::Relaxed);
    }

    /// Whether viewers over RTSP find the name.
    pub fn is_viewable(&self) -> bool {
        self.viewable.load(Ordering::Relaxed)
    }

    /// Packets and frames taken in so far.
    pub fn taken_in(&self) -> (u64, u64) {
        (
            self.packets.load(Ordering::Relaxed),
            self.frames.load(Ordering::Relaxed),
        )
    }

    /// The stream as viewers are told of it, once its parameter sets are known; follow it with the receiver.
    pub fn stream(&self) -> watch::Receiver<Option<Arc<Stream>>> {
        self.stream.subscribe()
    }

    /// Sequence number of the next packet, and timestamp of the last, for RTP-Info.
    pub fn position(&self) -> (u16, RtpTimestamp) {
        unpack(self.position.load(Ordering::Relaxed))
    }

    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Where frames are noted that pass.
    pub const fn trace(&self) -> &service::trace::TraceRing {
        &self.trace
    }

    /// A viewer needs a key frame.
    pub fn wish_keyframe(self: &Arc<Self>) {
        let verdict = self.keyframes.lock().wish(Instant::now());
        match verdict {
            Verdict::Now => self.ask(),
            Verdict::Merged => {}
            Verdict::At(at) => {
                let feed = Arc::clone(self);
                self.runtime.spawn(async move {
                    tokio::time::sleep_until(at.into()).await;
                    let due = feed.keyframes.lock().due(Instant::now());
                    if due {
                        feed.ask();
                    }
                });
            }
        }
    }

    /// The key frames that its renderer is asked for from now on.
    pub fn wishes(&self) -> broadcast::Receiver<()> {
        self.wishes.subscribe()
    }

    /// Whether a key frame was wanted while nobody listened. Whoever asks must pass that on to the renderer: it is said once.
    pub fn take_unheard(&self) -> bool {
        self.unheard.swap(false, Ordering::Relaxed)
    }

    /// From now on `outlet` gets the name's frames, until it is dropped.
    pub fn attach(&self, outlet: &Arc<impl Outlet + 'static>) {
        let outlet = Arc::downgrade(outlet);
        let mut outlets = self.outlets.lock();
        outlets.retain(|kept| kept.strong_count() > 0);
        outlets.push(outlet);
    }

    fn ask(&self) {
        self.counters.keyframe_requests.inc();
        if self.wishes.send(()).is_err() {
            self.unheard.store(true, Ordering::Relaxed);
            tracing::debug!(feed = %self.name, "a key frame is wanted, but the renderer does not listen for requests");
        }
    }

    fn pass_on(&self, frame: Frame, ended: &CancellationToken) {
        let mut renumber = self.output.lock();
        if ended.is_cancelled() {
            return;
        }
        let (timestamp, key) = (frame.timestamp, frame.key);
        let packets = frame.into_packets(|packet| {
            let numbered = renumber.apply(packet);
            debug_assert!(numbered.is_ok(), "the assembler has checked the header");
        });
        self.position
            .store(pack(renumber.next(), timestamp), Ordering::Relaxed);
        let Some(stream) = self.stream.borrow().clone() else {
            return;
        };
        let frame = Numbered {
            timestamp,
            key,
            packets,
            stream,
        };
        // Not under the lock: an outlet may end while it pushes.
        let outlets = self.outlets.lock().clone();
        for outlet in outlets.iter().filter_map(Weak::upgrade) {
            outlet.push(&frame);
        }
    }
}

impl Claim {
    pub const fn feed(&self) -> &Arc<Feed> {
        &self.feed
    }

    /// Fires when another feed takes the name, or the streamer stops.
    pub fn ended(&self) -> CancellationToken {
        self.ended.clone()
    }

    /// Parameter sets that came beside the stream.
    pub fn announce(&mut self, sets: &ParameterSets) {
        if sets.complete() {
            self.sets = sets.clone();
            self.publish();
        }
    }

    /// `packets` of `bytes` bytes together came at `now`.
    pub fn heard(&self, packets: u64, bytes: usize, now: Instant) -> Result<(), Superseded> {
        if self.ended.is_cancelled() || !self.feed.lease.lock().heard(self.number, now) {
            return Err(Superseded);
        }
        self.feed.packets.fetch_add(packets, Ordering::Relaxed);
        self.feed.counters.packets.inc_by(packets);
        self.feed.counters.bytes.inc_by(bytes as u64);
        Ok(())
    }

    /// Passes on what a packet completed. `ingested` is when that packet was whole.
    pub fn take(&mut self, step: Step, ingested: UnixMicros) {
        let counters = &self.feed.counters;
        if step.missing > 0 {
            counters.gaps.inc();
            // A longer jump is a sender that counts anew: it says nothing of what was lost.
            if step.missing <= MOST_MISSING {
                counters.missing.inc_by(u64::from(step.missing));
            }
            self.feed.wish_keyframe();
        }
        counters.skipped.inc_by(u64::from(step.skipped));
        let Some(frame) = step.frame else { return };
        self.feed
            .trace
            .push(frame.timestamp, Point::Ingested, ingested);
        self.feed.frames.fetch_add(1, Ordering::Relaxed);
        self.feed.counters.frames.inc();
        if frame.key {
            self.learn(&frame);
        }
        self.feed.pass_on(frame, &self.ended);
    }

    fn learn(&mut self, frame: &Frame) {
        let mut changed = self.feed.stream.borrow().is_none();
        for packet in frame.packets() {
            if let Ok(packet) = media::rtp::Packet::new(packet) {
                changed |= self.sets.learn(packet.payload());
            }
        }
        if changed && self.sets.complete() {
            self.publish();
        }
    }

    /// Tells the stream to whoever follows it.
    fn publish(&self) {
        let stream = Stream {
            ssrc: self.feed.ssrc,
            sets: self.sets.clone(),
        };
        self.feed.stream.send_if_modified(|told| {
            let changed = told.as_deref() != Some(&stream);
            if changed {
                *told = Some(Arc::new(stream));
            }
            changed
        });
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.feed.lease.lock().release(self.number, Instant::now());
    }
}

fn pack(next: u16, last: RtpTimestamp) -> u64 {
    u64::from(next) << 32 | u64::from(last.0)
}

#[expect(clippy::cast_possible_truncation, reason = "the inverse of pack")]
const fn unpack(position: u64) -> (u16, RtpTimestamp) {
    ((position >> 32) as u16, RtpTimestamp(position as u32))
}

#[cfg(test)]
mod tests {
    use media::rtp::Packet;
    use service::trace::Traces;

    use super::super::assembler::Assembler;
    use super::*;

    #[derive(Default)]
    struct Kept(Mutex<Vec<Numbered>>);

    impl Outlet for Kept {
        fn push(&self, frame: &Numbered) {
            self.0.lock().push(frame.clone());
        }
    }

    /// A key frame of two packets, as a feed sends it.
    fn step(assembler: &mut Assembler, first: u16) -> Step {
        let packet = |sequence: u16, marker: u8| {
            let [high, low] = sequence.to_be_bytes();
            [
                0x80,
                marker | 0x60,
                high,
                low,
                0,
                0,
                0,
                9,
                1,
                1,
                1,
                1,
                0x65,
                0x88,
            ]
        };
        assembler.push(&packet(first, 0)).unwrap();
        assembler
            .push(&packet(first.wrapping_add(1), 0x80))
            .unwrap()
    }

    #[tokio::test]
    async fn outlets_share_frames_until_they_are_dropped() {
        let settings = Settings {
            stall: Duration::from_secs(1),
            keyframe_window: Duration::from_secs(1),
            traces: Traces::new(8),
        };
        let name = FeedName::new("x").unwrap();
        let feed = Arc::new(Feed::new(
            name,
            &settings,
            Counters::default(),
            Instant::now(),
        ));
        let mut claim = feed.claim(Sender::default(), Instant::now()).unwrap();
        claim.announce(&ParameterSets::from_sprop("Z0LAH9o=,aM48gA=="));
        let (next, _) = feed.position();

        let (one, other) = (Arc::new(Kept::default()), Arc::new(Kept::default()));
        feed.attach(&one);
        feed.attach(&other);
        let mut assembler = Assembler::new(0x60);
        claim.take(step(&mut assembler, 7), UnixMicros(1));
        assert!(Arc::ptr_eq(
            &one.0.lock()[0].packets,
            &other.0.lock()[0].packets
        ));
        drop(other);
        claim.take(step(&mut assembler, 9), UnixMicros(2));

        let frames = one.0.lock();
        let numbers = frames.iter().flat_map(|frame| frame.packets.iter());
        let numbers: Vec<_> = numbers
            .map(|packet| Packet::new(packet).unwrap().sequence().wrapping_sub(next))
            .collect();
        assert_eq!(numbers, [0, 1, 2, 3]);
        assert_eq!(
            Arc::strong_count(&frames[0].packets),
            1,
            "the other is gone"
        );
    }
}
