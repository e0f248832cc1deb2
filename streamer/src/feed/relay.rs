//! One name at work: frames come in from whoever holds the claim, get the name's numbers, and go out to its viewers.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gstreamer as gst;
use service::Secret;
use timeline::{Point, RtpTimestamp, UnixMicros};
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use super::assembler::{Frame, Step};
use super::keyframe::{Limiter, Verdict};
use super::lease::{Lease, State, Taken};
use super::name::FeedName;
use super::parameters::ParameterSets;
use super::sequence::Renumber;
use crate::metrics::FeedMetrics;
use crate::rtsp::source::RelaySource;

/// What every name is run with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// A feed that sends nothing for so long is stalled.
    pub stall: Duration,
    /// A renderer is asked for a key frame at most once in this time.
    pub keyframe_window: Duration,
    /// Where frames are noted that pass.
    pub trace: service::trace::TraceRing,
}

/// The claim has been replaced by another feed's, or the name's feed is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("another feed has taken the name over")]
pub struct Superseded;

/// A name and all that belongs to it.
#[derive(Debug)]
pub struct Feed {
    name: FeedName,
    settings: Settings,
    lease: Mutex<Lease>,
    /// Held while a frame is pushed, so that frames stay in order when a feed takes over from another.
    output: Mutex<Output>,
    outlets: Mutex<Vec<gst::glib::WeakRef<RelaySource>>>,
    ssrc: u32,
    /// Next sequence number and last timestamp. The RTSP server asks while it holds locks that a push needs, so the
    /// answer must need none.
    position: AtomicU64,
    stream: watch::Sender<Option<Arc<Stream>>>,
    keyframes: Mutex<Limiter>,
    wishes: broadcast::Sender<()>,
    /// The renderer was asked while it did not listen.
    unheard: AtomicBool,
    current: Mutex<CancellationToken>,
    runtime: tokio::runtime::Handle,
    metrics: FeedMetrics,
    packets: AtomicU64,
    frames: AtomicU64,
}

/// What viewers are told of a name's stream before its first packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// SSRC of the name.
    pub ssrc: u32,
    /// Complete parameter sets.
    pub sets: ParameterSets,
}

#[derive(Debug)]
struct Output {
    renumber: Renumber,
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
    pub fn new(name: FeedName, settings: Settings, metrics: FeedMetrics, now: Instant) -> Self {
        let (ssrc, first) = (fastrand::u32(1..), fastrand::u16(..));
        Self {
            name,
            lease: Mutex::new(Lease::new(now, settings.stall)),
            output: Mutex::new(Output {
                renumber: Renumber::new(ssrc, first),
            }),
            ssrc,
            position: AtomicU64::new(pack(first, RtpTimestamp(0))),
            outlets: Mutex::default(),
            stream: watch::Sender::new(None),
            keyframes: Mutex::new(Limiter::new(settings.keyframe_window)),
            wishes: broadcast::Sender::new(4),
            unheard: AtomicBool::new(false),
            current: Mutex::new(CancellationToken::new()),
            runtime: tokio::runtime::Handle::current(),
            metrics,
            packets: AtomicU64::new(0),
            frames: AtomicU64::new(0),
            settings,
        }
    }

    /// Its name.
    pub const fn name(&self) -> &FeedName {
        &self.name
    }

    /// Takes the name; the claim before it ends.
    pub fn claim(self: &Arc<Self>, token: Option<Secret>, now: Instant) -> Result<Claim, Taken> {
        // The lease is kept locked, so that numbers and tokens change in the same order.
        let mut lease = lock(&self.lease);
        let number = lease.claim(token, now)?;
        let ended = CancellationToken::new();
        std::mem::replace(&mut *lock(&self.current), ended.clone()).cancel();
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
        lock(&self.current).cancel();
    }

    /// Whether packets come.
    pub fn state(&self, now: Instant) -> State {
        lock(&self.lease).state(now)
    }

    /// How long nobody has fed it.
    pub fn unused(&self, now: Instant) -> Duration {
        lock(&self.lease).unused(now)
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

    /// The feed's counters.
    pub const fn metrics(&self) -> &FeedMetrics {
        &self.metrics
    }

    /// Where frames are noted that pass.
    pub const fn trace(&self) -> &service::trace::TraceRing {
        &self.settings.trace
    }

    /// A viewer needs a key frame.
    pub fn wish_keyframe(self: &Arc<Self>) {
        let verdict = lock(&self.keyframes).wish(Instant::now());
        match verdict {
            Verdict::Now => self.ask(),
            Verdict::Merged => {}
            Verdict::At(at) => {
                let feed = Arc::clone(self);
                self.runtime.spawn(async move {
                    tokio::time::sleep_until(at.into()).await;
                    let due = lock(&feed.keyframes).due(Instant::now());
                    if due {
                        feed.ask();
                    }
                });
            }
        }
    }

    /// The key frames that its renderer is asked for, and whether one was wanted before somebody listened.
    pub fn wishes(&self) -> (broadcast::Receiver<()>, bool) {
        let wishes = self.wishes.subscribe();
        (wishes, self.unheard.swap(false, Ordering::Relaxed))
    }

    /// A media of the name's viewers wants its frames.
    pub fn attach(&self, outlet: &RelaySource) {
        let mut outlets = lock(&self.outlets);
        outlets.retain(|kept| kept.upgrade().is_some());
        outlets.push(gst::prelude::ObjectExt::downgrade(outlet));
    }

    /// It wants no more. Never waits for a push: a push may be what the outlet has to end.
    pub fn detach(&self, outlet: &RelaySource) {
        lock(&self.outlets).retain(|kept| kept.upgrade().is_some_and(|kept| &kept != outlet));
    }

    fn ask(&self) {
        self.metrics.keyframe_requests.inc();
        if self.wishes.send(()).is_err() {
            self.unheard.store(true, Ordering::Relaxed);
            tracing::debug!(feed = %self.name, "a key frame is wanted, but the renderer does not listen for requests");
        }
    }

    fn pass_on(&self, frame: &Frame, ended: &CancellationToken) {
        let mut output = lock(&self.output);
        if ended.is_cancelled() {
            return;
        }
        let outlets: Vec<_> = lock(&self.outlets)
            .iter()
            .filter_map(gst::glib::WeakRef::upgrade)
            .collect();
        let mut buffers: Vec<Vec<u8>> = Vec::with_capacity(frame.packets.len());
        for packet in &frame.packets {
            let mut bytes = packet.to_vec();
            // The assembler has checked the header.
            if output.renumber.apply(&mut bytes).is_ok() {
                buffers.push(bytes);
            }
        }
        self.position.store(
            pack(output.renumber.next(), frame.timestamp),
            Ordering::Relaxed,
        );
        let Some(stream) = self.stream.borrow().clone() else {
            return;
        };
        let mut copies = outlets.len();
        for outlet in outlets {
            copies -= 1;
            let packets = if copies == 0 {
                std::mem::take(&mut buffers)
            } else {
                buffers.clone()
            };
            outlet.push_frame(packets, &stream);
        }
    }
}

impl Claim {
    /// Its feed.
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
        if self.ended.is_cancelled() || !lock(&self.feed.lease).heard(self.number, now) {
            return Err(Superseded);
        }
        self.feed.packets.fetch_add(packets, Ordering::Relaxed);
        self.feed.metrics.packets.inc_by(packets);
        self.feed.metrics.bytes.inc_by(bytes as u64);
        Ok(())
    }

    /// Passes on what a packet completed. `ingested` is when that packet was whole.
    pub fn take(&mut self, step: Step, ingested: UnixMicros) {
        let metrics = &self.feed.metrics;
        if step.missing > 0 {
            metrics.gaps.inc();
            metrics.missing.inc_by(u64::from(step.missing));
            self.feed.wish_keyframe();
        }
        metrics.skipped.inc_by(u64::from(step.skipped));
        let Some(frame) = step.frame else { return };
        self.feed
            .settings
            .trace
            .push(frame.timestamp, Point::Ingested, ingested);
        self.feed.frames.fetch_add(1, Ordering::Relaxed);
        self.feed.metrics.frames.inc();
        if frame.key {
            self.learn(&frame);
        }
        self.feed.pass_on(&frame, &self.ended);
    }

    fn learn(&mut self, frame: &Frame) {
        let mut changed = self.feed.stream.borrow().is_none();
        for packet in &frame.packets {
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
        lock(&self.feed.lease).release(self.number, Instant::now());
    }
}

fn pack(next: u16, last: RtpTimestamp) -> u64 {
    u64::from(next) << 32 | u64::from(last.0)
}

#[expect(clippy::cast_possible_truncation, reason = "the inverse of pack")]
const fn unpack(position: u64) -> (u16, RtpTimestamp) {
    ((position >> 32) as u16, RtpTimestamp(position as u32))
}

/// A panic elsewhere leaves these values whole: each is changed in one step.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
