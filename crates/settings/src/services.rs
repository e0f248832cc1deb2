//! The options of each service that a scenario may set, which are flags of its program.

use clap::Args;
use serde::{Deserialize, Serialize};

use crate::{
    Bitrate, BufferMode, ClusterName, Congestion, Encoder, FrameRate, Preset, SourceSpec,
    ThreadType, Tune, VideoSize, whole,
};

/// The readers of an option that is a whole number within a range: of a flag's value, and of a file's.
macro_rules! within {
    ($name:ident, $range:expr) => {
        mod $name {
            use serde::Deserializer;

            use crate::UnitError;

            pub(super) fn flag(text: &str) -> Result<u32, UnitError> {
                crate::whole($range)(text)
            }

            pub(super) fn key<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
                crate::whole_key(from, $range)
            }
        }
    };
}

within!(gop, 1..=100_000);
within!(threads, 0..=64);
within!(rtp_mtu, 256..=9000);
within!(hold_us, 0..=100_000);
within!(quic_stale_ms, 5..=10_000);

/// The video: flags of xr-renderer, and keys of a scenario itself.
#[derive(Clone, Debug, PartialEq, Eq, Args, Serialize)]
pub struct VideoSettings {
    /// Where pictures come from: `file:PATH` (looped, each picture once), `test` (a moving pattern), or `gst:LAUNCH` (a
    /// GStreamer launch line that ends in raw video).
    #[arg(long, env = "XR_SOURCE", value_name = "SOURCE")]
    pub source: SourceSpec,

    /// Pictures of the source that are passed over before frame 0, which shows the next one.
    #[arg(
        long,
        env = "XR_SOURCE_START",
        value_name = "PICTURES",
        default_value_t = 0,
        value_parser = whole::<u64>(0..=u64::MAX)
    )]
    pub source_start: u64,

    /// Size of the video in pixels, at least 640x360, both sides even; the source's pictures are stretched to it, whatever their shape.
    #[arg(long, env = "XR_SIZE", value_name = "WxH", default_value_t = VideoSize::HD)]
    pub size: VideoSize,

    /// Frames a second, 1 to 480, as 60 or 30000/1001. The source's pictures are shown at this rate, whatever its own is.
    #[arg(long, env = "XR_FPS", value_name = "RATE", default_value_t = FrameRate::SIXTY)]
    pub fps: FrameRate,

    /// Bits a second, as 6M or 800k.
    #[arg(long, env = "XR_BITRATE", value_name = "RATE", default_value_t = Bitrate::SIX_MEGABITS)]
    pub bitrate: Bitrate,
}

/// xr-renderer's options: the encoder and its packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RendererSettings {
    /// The encoder, by its GStreamer name.
    #[arg(long, env = "XR_ENCODER", value_name = "NAME", default_value_t = RendererSettings::DEFAULT.encoder, help_heading = "Encoding")]
    pub encoder: Encoder,

    /// Speed preset of x264.
    #[arg(long, env = "XR_PRESET", value_name = "PRESET", default_value_t = RendererSettings::DEFAULT.preset, help_heading = "Encoding")]
    pub preset: Preset,

    /// x264's tune: zerolatency holds no frame back; none is x264's default, which looks some 40 frames ahead.
    #[arg(long, env = "XR_TUNE", value_name = "TUNE", default_value_t = RendererSettings::DEFAULT.tune, help_heading = "Encoding")]
    pub tune: Tune,

    /// Frames from one key frame to the next; a viewer who joins asks for one, so this may be long; 1 to 100000.
    #[arg(long, env = "XR_GOP", value_name = "FRAMES", default_value_t = RendererSettings::DEFAULT.gop,
        value_parser = gop::flag, help_heading = "Encoding")]
    #[serde(deserialize_with = "gop::key")]
    pub gop: u32,

    /// Threads of the encoder; 0 lets it choose by the number of cores; at most 64.
    #[arg(long, env = "XR_THREADS", value_name = "N", default_value_t = RendererSettings::DEFAULT.threads,
        value_parser = threads::flag, help_heading = "Encoding")]
    #[serde(deserialize_with = "threads::key")]
    pub threads: u32,

    /// Largest RTP packet in bytes, 256 to 9000. 1150 fits overlays at MTU 1340 and QUIC; nobody downstream can cut packets smaller.
    #[arg(long, env = "XR_RTP_MTU", value_name = "BYTES", default_value_t = RendererSettings::DEFAULT.rtp_mtu,
        value_parser = rtp_mtu::flag, help_heading = "Encoding")]
    #[serde(deserialize_with = "rtp_mtu::key")]
    pub rtp_mtu: u32,

    /// Busy-wait of so many microseconds, at most 100000, between the clock reading of each stamp and its drawing: `xrbench calibrate` must find
    /// it in the latency again.
    #[arg(long, env = "XR_HOLD_US", value_name = "MICROSECONDS", default_value_t = RendererSettings::DEFAULT.hold_us,
        value_parser = hold_us::flag, hide_short_help = true, help_heading = "Calibration")]
    #[serde(deserialize_with = "hold_us::key")]
    pub hold_us: u32,

    /// The cluster in which a scenario's renderer runs. No flag: where a program runs is not its own to say.
    #[arg(skip)]
    pub cluster: ClusterName,
}

/// xr-streamer's options: what costs latency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StreamerSettings {
    /// Whether packets wait for their time on the clock before they are sent: what RTSP servers do by default. It costs
    /// a frame.
    #[arg(
        long, env = "XR_RTP_SYNC", value_name = "true|false", default_value_t = false,
        action = clap::ArgAction::Set, help_heading = "Latency"
    )]
    pub rtp_sync: bool,

    /// Latency that the RTSP media is configured with, in milliseconds; with --rtp-sync true it is added to each packet.
    #[arg(
        long,
        env = "XR_FACTORY_LATENCY_MS",
        value_name = "MS",
        default_value_t = 0,
        help_heading = "Latency",
        value_parser = whole::<u32>(0..=u32::MAX)
    )]
    pub factory_latency_ms: u32,

    /// Congestion control of viewers over QUIC: cubic and newreno send less after each loss, bbr by what the path takes.
    #[arg(long, env = "XR_QUIC_CONGESTION", value_name = "NAME", default_value_t = StreamerSettings::DEFAULT.quic_congestion, help_heading = "Latency")]
    pub quic_congestion: Congestion,

    /// A frame that waits for longer than so many milliseconds, 5 to 10000, for a viewer over QUIC is let go, with all up to the
    /// next key frame.
    #[arg(long, env = "XR_QUIC_STALE_MS", value_name = "MS", default_value_t = StreamerSettings::DEFAULT.quic_stale_ms,
        value_parser = quic_stale_ms::flag, help_heading = "Latency")]
    #[serde(deserialize_with = "quic_stale_ms::key")]
    pub quic_stale_ms: u32,
}

/// xr-client's options: its jitter buffer and its decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClientSettings {
    /// The jitter buffer's delay in milliseconds. 0 tolerates no reordering: right for a LAN or an overlay; 5 to 20
    /// for a WAN that reorders. Players' default is 2000.
    #[arg(
        long,
        env = "XR_LATENCY_MS",
        value_name = "MS",
        default_value_t = ClientSettings::DEFAULT.latency_ms,
        help_heading = "Tuning",
        value_parser = whole::<u32>(0..=u32::MAX)
    )]
    pub latency_ms: u32,

    /// What the jitter buffer does to timestamps: none keeps the sender's; slave follows the sender's clock.
    #[arg(long, env = "XR_BUFFER_MODE", default_value_t = ClientSettings::DEFAULT.buffer_mode, help_heading = "Tuning")]
    pub buffer_mode: BufferMode,

    /// Wait for each frame's presentation time, as players do; the consumption stamp is then taken after the wait.
    #[arg(long, env = "XR_SYNC", value_name = "BOOL", default_value_t = ClientSettings::DEFAULT.sync, num_args = 0..=1,
        default_missing_value = "true", action = clap::ArgAction::Set, help_heading = "Tuning")]
    pub sync: bool,

    /// Threads of the decoder; 0 takes one a core, of which a picture keeps as many busy as it has slices; at most 64.
    #[arg(long, env = "XR_DECODER_THREADS", value_name = "N", default_value_t = ClientSettings::DEFAULT.decoder_threads,
        value_parser = threads::flag, help_heading = "Tuning")]
    #[serde(deserialize_with = "threads::key")]
    pub decoder_threads: u32,

    /// What decoder threads share: slice, or frame, which holds back one frame a thread.
    #[arg(long, env = "XR_DECODER_THREAD_TYPE", value_name = "TYPE", default_value_t = ClientSettings::DEFAULT.decoder_thread_type, help_heading = "Tuning")]
    pub decoder_thread_type: ThreadType,

    /// Busy-wait of so many microseconds, at most 100000, before the clock reading of each picture: `xrbench calibrate` must find it in the
    /// latency again.
    #[arg(long, env = "XR_HOLD_US", value_name = "MICROSECONDS", default_value_t = ClientSettings::DEFAULT.hold_us,
        value_parser = hold_us::flag, hide_short_help = true, help_heading = "Calibration")]
    #[serde(deserialize_with = "hold_us::key")]
    pub hold_us: u32,
}

impl RendererSettings {
    const DEFAULT: Self = Self {
        encoder: Encoder::X264Enc,
        preset: Preset::UltraFast,
        tune: Tune::ZeroLatency,
        gop: 60,
        threads: 0,
        rtp_mtu: 1150,
        hold_us: 0,
        cluster: ClusterName::A,
    };
}

impl Default for RendererSettings {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl StreamerSettings {
    const DEFAULT: Self = Self {
        rtp_sync: false,
        factory_latency_ms: 0,
        quic_congestion: Congestion::Bbr,
        quic_stale_ms: 100,
    };
}

impl Default for StreamerSettings {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl ClientSettings {
    const DEFAULT: Self = Self {
        latency_ms: 0,
        buffer_mode: BufferMode::None,
        sync: false,
        decoder_threads: 0,
        decoder_thread_type: ThreadType::Slice,
        hold_us: 0,
    };
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self::DEFAULT
    }
}
