//! The client's metrics. The same counters feed the summary, so that the two can never differ.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use roq::counters::Received;
use service::latency;

use crate::track::Verdict;

/// The outcome of frames that were not decoded because they were behind the stream.
const BEHIND: &str = "behind";

/// What became of things that go through a bounded queue.
#[derive(Clone, Debug, Default)]
pub struct Fates {
    /// Written, sent or displayed.
    pub kept: Counter,
    /// Lost to a full queue, or to a disk or a peer that would not take them.
    pub dropped: Counter,
}

/// Handles on every metric; clones count together.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Consumption minus generation time, of read and new frames.
    pub latency: Histogram,
    frames: Family<Outcome, Counter>,
    /// Frame numbers that were skipped.
    pub frames_missing: Counter,
    /// RTP packets passed to the decoder.
    pub packets_received: Counter,
    /// RTP sequence numbers that never came.
    pub packets_lost: Counter,
    /// Packets that came after the jitter buffer had given them up.
    pub packets_late: Counter,
    /// RTCP picture loss indications asked for.
    pub picture_losses_told: Counter,
    /// Sessions opened after the first that carried packets.
    pub reconnects: Counter,
    /// Process start to first frame.
    pub first_frame: Gauge<f64, std::sync::atomic::AtomicU64>,
    /// Whether a session carries packets.
    pub playing: Gauge,
    /// Pictures whose packets' RTP timestamp is not the one that their stamp implies.
    pub key_mismatches: Counter,
    /// Processor nanoseconds of the streaming thread that reading, stamping, showing and reporting took.
    pub player_ns: Counter,
    pub strips: Fates,
    /// Rows of the frames file.
    pub rows: Fates,
    /// Records for the collector.
    pub posts: Fates,
    /// Pictures for the window or the recording.
    pub screen: Fates,
    /// Counters of the packets and frames that came over QUIC.
    pub quic: Received,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Fate {
    fate: &'static str,
}

impl Metrics {
    /// Registers every metric.
    pub fn register(registry: &mut Registry) -> Self {
        let frames = Family::<Outcome, Counter>::default();
        for outcome in ["shown", "unread", "damaged", "duplicate", "missing", BEHIND] {
            // Made now, so that a dashboard sees a zero and not a hole.
            drop(frames.get_or_create(&Outcome { outcome }));
        }
        registry.register(
            "xr_client_frames",
            "Frames by outcome; a missing one is a gap in the frame numbers, whoever made it, and those that were behind and not \
             decoded are missing too",
            frames.clone(),
        );

        let latency = latency::histogram();
        registry.register(
            "xr_client_latency_seconds",
            "Generation to consumption of frames whose stamp was read",
            latency.clone(),
        );

        let packets = Family::<Fate, Counter>::default();
        registry.register("xr_client_packets", "RTP packets by fate", packets.clone());
        let packet = |fate| packets.get_or_create_owned(&Fate { fate });

        let picture_losses_told = Counter::default();
        registry.register(
            "xr_client_picture_loss_indications",
            "RTCP PLI (RFC 4585) for a lost packet, at most one a frame; none where the SDP does not offer it",
            picture_losses_told.clone(),
        );
        let reconnects = Counter::default();
        registry.register(
            "xr_client_reconnects",
            "Sessions opened after the first that carried packets",
            reconnects.clone(),
        );
        let first_frame = Gauge::default();
        registry.register(
            "xr_client_first_frame_seconds",
            "Process start to first decoded frame; 0 before it",
            first_frame.clone(),
        );
        let playing = Gauge::default();
        registry.register(
            "xr_client_playing",
            "1 while a session carries packets",
            playing.clone(),
        );
        let key_mismatches = Counter::default();
        registry.register(
            "xr_client_key_mismatches",
            "Frames whose RTP timestamp is not the one that their stamp implies: their stages cannot be joined",
            key_mismatches.clone(),
        );

        let player_ns = Counter::default();
        registry.register(
            "xr_client_player_nanoseconds",
            "Processor time of the streaming thread that reading, stamping, showing and reporting pictures took",
            player_ns.clone(),
        );

        Self {
            latency,
            frames_missing: frames.get_or_create_owned(&Outcome { outcome: "missing" }),
            frames,
            packets_received: packet("received"),
            packets_lost: packet("lost"),
            packets_late: packet("late"),
            picture_losses_told,
            reconnects,
            first_frame,
            playing,
            key_mismatches,
            player_ns,
            strips: fates(
                registry,
                "xr_client_strips",
                "Strips for OCR, written or dropped",
            ),
            rows: fates(
                registry,
                "xr_client_rows",
                "Rows of the frames file, written or dropped",
            ),
            posts: fates(
                registry,
                "xr_client_posts",
                "Frame records for the collector, taken or dropped",
            ),
            screen: fates(
                registry,
                "xr_client_screen",
                "Pictures for the window or the recording, passed on or dropped",
            ),
            quic: received_over_quic(registry),
        }
    }

    /// Counts a frame that was behind the stream and is not decoded.
    pub fn frame_behind(&self) {
        self.frames
            .get_or_create(&Outcome { outcome: BEHIND })
            .inc();
    }

    /// Frames that were behind the stream and not decoded.
    pub fn behind(&self) -> u64 {
        self.frames
            .get_or_create(&Outcome { outcome: BEHIND })
            .get()
    }

    /// Counts a picture by its verdict.
    pub fn frame(&self, verdict: Verdict) {
        let outcome = match verdict {
            Verdict::Shown => "shown",
            Verdict::Unread => "unread",
            Verdict::Damaged => "damaged",
            Verdict::Duplicate => "duplicate",
        };
        self.frames.get_or_create(&Outcome { outcome }).inc();
    }
}

/// Counters of what comes over QUIC, registered in `registry`.
fn received_over_quic(registry: &mut Registry) -> Received {
    let quic = Received::default();
    for (name, help, counter) in [
        (
            "xr_client_quic_cancelled",
            "Frames that the streamer cancelled on their QUIC stream, because they were stale",
            &quic.cancelled,
        ),
        (
            "xr_client_quic_unknown_flows",
            "QUIC datagrams and streams of a flow that was not agreed upon",
            &quic.unknown_flows,
        ),
        (
            "xr_client_quic_malformed",
            "QUIC datagrams and streams that are no RTP over QUIC",
            &quic.malformed,
        ),
    ] {
        registry.register(name, help, counter.clone());
    }
    quic
}

fn fates(registry: &mut Registry, name: &str, help: &str) -> Fates {
    let family = Family::<Fate, Counter>::default();
    registry.register(name, help, family.clone());
    Fates {
        kept: family.get_or_create_owned(&Fate { fate: "kept" }),
        dropped: family.get_or_create_owned(&Fate { fate: "dropped" }),
    }
}
