//! What xr-renderer counts, and the producer's observer that counts it.

use media::packets::EncodedFrame;
use media::producer::{Observer, Skip};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use roq::counters::Sent;
use service::latency;
use service::trace::TraceRing;
use stamp::Stamp;
use timeline::{Point, RtpTimestamp, UnixMicros};
use tokio::sync::mpsc;

/// What became of a tick of the schedule. Every tick is generated or skipped; a generated frame is sent or dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Stamped and given to the encoder.
    Generated,
    /// Handed to the connection, or to the decoder of the floor.
    Sent,
    /// No frame: the source or the encoder was behind.
    Skipped,
    /// Encoded and not sent.
    Dropped,
}

impl Outcome {
    const fn label(self) -> ByOutcome {
        let outcome = match self {
            Self::Generated => "generated",
            Self::Sent => "sent",
            Self::Skipped => "skipped",
            Self::Dropped => "dropped",
        };
        ByOutcome { outcome }
    }
}

/// The reason why a tick has no frame, or a frame was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Skipped: the source had no picture.
    SourceBehind,
    /// Skipped: the frame before was still being encoded.
    EncoderBehind,
    /// Dropped: there is no connection to the streamer.
    Disconnected,
    /// Dropped: the connection takes frames more slowly than the encoder makes them.
    QueueFull,
    /// Dropped: it cannot be decoded without a frame that was dropped.
    AwaitingKeyFrame,
}

impl Reason {
    const fn label(self) -> ByReason {
        let reason = match self {
            Self::SourceBehind => "source_behind",
            Self::EncoderBehind => "encoder_behind",
            Self::Disconnected => "disconnected",
            Self::QueueFull => "queue_full",
            Self::AwaitingKeyFrame => "awaiting_key_frame",
        };
        ByReason { reason }
    }
}

/// Who asked for a key frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Asker {
    /// The streamer, for a viewer.
    Streamer,
    /// The feed, after a connection was made or frames were dropped.
    Feed,
}

impl Asker {
    const fn label(self) -> ByAsker {
        let from = match self {
            Self::Streamer => "streamer",
            Self::Feed => "feed",
        };
        ByAsker { from }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOutcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByReason {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByAsker {
    from: &'static str,
}

/// The metrics of xr-renderer. Clones count together.
#[derive(Clone, Debug)]
pub struct Metrics {
    frames: Family<ByOutcome, Counter>,
    lost: Family<ByReason, Counter>,
    asked: Family<ByAsker, Counter>,
    forced: Counter,
    encode: Histogram,
    late: Histogram,
    connected: Gauge,
    connections: Counter,
    sent_bytes: Counter,
    source_unread: Gauge,
    /// Frames of a feed over QUIC, after they were handed to the connection.
    pub quic: Sent,
}

/// Bounds of the pacing lateness in seconds: what a quiet machine does, to three frames at 60 a second.
const LATE_SECONDS: [f64; 10] = [
    0.000_02, 0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.016, 0.05,
];

impl Metrics {
    /// Registers everything in `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            frames: Family::default(),
            lost: Family::default(),
            asked: Family::default(),
            forced: Counter::default(),
            encode: latency::histogram(),
            late: Histogram::new(LATE_SECONDS),
            connected: Gauge::default(),
            connections: Counter::default(),
            sent_bytes: Counter::default(),
            source_unread: Gauge::default(),
            quic: Sent::default(),
        };
        let registry = registry.sub_registry_with_prefix("xr_renderer");
        registry.register(
            "frames",
            "Ticks of the schedule and frames, by what became of them",
            metrics.frames.clone(),
        );
        registry.register(
            "lost_frames",
            "Ticks without a frame and frames not sent, by why",
            metrics.lost.clone(),
        );
        registry.register(
            "key_frame_requests",
            "Key frames asked for, by who asked",
            metrics.asked.clone(),
        );
        registry.register(
            "forced_key_frames",
            "Key frames made because they were asked for",
            metrics.forced.clone(),
        );
        registry.register_with_unit(
            "encode",
            "Time from the stamp to the frame's last packet",
            Unit::Seconds,
            metrics.encode.clone(),
        );
        registry.register_with_unit(
            "pacing_lateness",
            "How long after its time a tick was served",
            Unit::Seconds,
            metrics.late.clone(),
        );
        registry.register(
            "feed_connected",
            "Whether a feed's connection is open",
            metrics.connected.clone(),
        );
        registry.register(
            "feed_connections",
            "Connections made; all but the first are reconnects",
            metrics.connections.clone(),
        );
        registry.register_with_unit(
            "feed_sent",
            "Bytes of frames handed to the connection",
            Unit::Bytes,
            metrics.sent_bytes.clone(),
        );
        registry.register(
            "source_unread_pictures",
            "Pictures of the film that cannot be read, in each of its rounds",
            metrics.source_unread.clone(),
        );
        let quic = &metrics.quic;
        for (name, help, counter) in [
            ("sent_frames", "Frames sent over QUIC", &quic.frames),
            (
                "dropped_frames",
                "Frames not sent over QUIC, because they were stale or built on one that was",
                &quic.dropped,
            ),
            (
                "oversized_frames",
                "Frames sent on a stream, because a packet of theirs fits no datagram",
                &quic.oversized,
            ),
            (
                "cancelled_frames",
                "Frames cancelled on their stream, because they were stale",
                &quic.cancelled,
            ),
        ] {
            registry.register(format!("quic_{name}"), help, counter.clone());
        }
        metrics
    }

    /// `frames` frames more had this outcome.
    pub fn count(&self, outcome: Outcome, frames: u64) {
        self.frames.get_or_create(&outcome.label()).inc_by(frames);
    }

    /// `frames` frames were dropped for `reason`.
    pub fn dropped(&self, reason: Reason, frames: u64) {
        self.count(Outcome::Dropped, frames);
        self.lost.get_or_create(&reason.label()).inc_by(frames);
    }

    /// A frame of `bytes` bytes was handed to the connection.
    pub fn sent(&self, bytes: usize) {
        self.count(Outcome::Sent, 1);
        self.sent_bytes.inc_by(bytes as u64);
    }

    /// `from` asked for a key frame.
    pub fn asked(&self, from: Asker) {
        self.asked.get_or_create(&from.label()).inc();
    }

    /// A connection was made.
    pub fn connected(&self) {
        self.connected.set(1);
        self.connections.inc();
    }

    /// The connection is gone.
    pub fn disconnected(&self) {
        self.connected.set(0);
    }

    /// So many pictures of the film cannot be read.
    pub fn source_unread(&self, pictures: u64) {
        self.source_unread
            .set(pictures.try_into().unwrap_or(i64::MAX));
    }

    /// A frame came out of the encoder.
    pub fn encoded(&self, generated: UnixMicros, encoded: UnixMicros) {
        latency::observe(&self.encode, generated, encoded);
    }

    /// How many frames had this outcome so far.
    pub fn total(&self, outcome: Outcome) -> u64 {
        self.frames.get_or_create(&outcome.label()).get()
    }

    /// How many ticks or frames were lost for `reason` so far.
    pub fn lost(&self, reason: Reason) -> u64 {
        self.lost.get_or_create(&reason.label()).get()
    }
}

/// Counts and traces what the producer does, and says when it ended.
#[derive(Debug)]
pub struct Telemetry {
    metrics: Metrics,
    trace: TraceRing,
    ended: mpsc::Sender<Result<(), String>>,
}

impl Telemetry {
    /// The receiver gets one message, when the producer has ended.
    pub fn new(metrics: Metrics, trace: TraceRing) -> (Self, mpsc::Receiver<Result<(), String>>) {
        let (ended, receiver) = mpsc::channel(1);
        (
            Self {
                metrics,
                trace,
                ended,
            },
            receiver,
        )
    }
}

/// Counts and traces an encoded frame.
pub fn note_encoded(metrics: &Metrics, trace: &TraceRing, frame: &EncodedFrame) {
    metrics.encoded(UnixMicros(frame.stamp.time_us), frame.encoded);
    trace.push(frame.rtp_timestamp, Point::Encoded, frame.encoded);
}

impl Observer for Telemetry {
    fn tick(&self, late_nanos: u64) {
        self.metrics.late.observe(late_nanos as f64 / 1e9);
    }

    fn skipped(&self, ticks: u64, why: Skip) {
        let reason = match why {
            Skip::Source => Reason::SourceBehind,
            Skip::Encoder => Reason::EncoderBehind,
        };
        self.metrics.count(Outcome::Skipped, ticks);
        self.metrics
            .lost
            .get_or_create(&reason.label())
            .inc_by(ticks);
    }

    fn forced_key_frame(&self) {
        self.metrics.forced.inc();
    }

    fn generated(&self, stamp: Stamp) {
        self.metrics.count(Outcome::Generated, 1);
        let generated = UnixMicros(stamp.time_us);
        self.trace.push(
            RtpTimestamp::from_generated(generated),
            Point::Generated,
            generated,
        );
    }

    fn ended(&self, result: Result<(), String>) {
        // Nobody waits for it any more if the program is ending by itself.
        let _ = self.ended.try_send(result);
    }
}
