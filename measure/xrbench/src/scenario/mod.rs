//! Scenario files: what to run, in TOML. Every key is in `docs/scenarios.md`.

pub(crate) mod choice;
mod load;
mod network;
mod server;
pub(crate) mod units;

use clap::ValueEnum as _;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use settings::{Pipeline, Presentation};

use choice::choice;

pub use load::{Overrides, load, parse};
pub use network::{
    ClusterName, DirectionKeys, Distribution, Fabric, Fault, Service, WanKeys, What,
};
pub use server::{At, Server};
pub use units::{Bitrate, Size, Span};

/// The version of the format that this program reads.
pub const SCHEMA: u32 = 1;

/// A whole scenario file, with the defaults applied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// The version of the format: [`SCHEMA`].
    pub schema: u32,
    /// The name of what is run, in `run.json` and in titles.
    pub name: String,
    /// One sentence for people.
    #[serde(default)]
    pub description: String,
    /// The order of repetitions is drawn from it.
    #[serde(default = "one")]
    pub seed: u64,
    /// Rest between two repetitions, so that one does not disturb the next.
    #[serde(default = "default_rest")]
    pub rest: Span,
    /// When a second counts as disturbed.
    #[serde(default)]
    pub disturbed: Disturbed,
    /// How the report shows the scenarios.
    #[serde(default)]
    pub presentation: Option<Presentation>,
    /// The scenarios.
    pub scenario: Vec<Scenario>,
}

/// When a second of a run is marked as disturbed: by what the machine did, never by the latency that was measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Disturbed {
    /// More of the machine's processor time than this was stolen by its hypervisor, in percent.
    pub steal_percent: f64,
    /// A timer of ours, due every 5 ms at real-time priority where the machine lets us, was later than this, in ms.
    pub late_ms: f64,
    /// Processes that are not part of the run used more of the machine's processor time than this, in percent.
    pub foreign_percent: f64,
}

impl Default for Disturbed {
    fn default() -> Self {
        Self {
            steal_percent: 2.0,
            late_ms: 10.0,
            foreign_percent: 5.0,
        }
    }
}

/// One thing to measure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Its name: letters, digits, `-` and `_`. Its folder has the same.
    pub name: String,
    /// What runs.
    #[serde(default = "ours", deserialize_with = "pipeline")]
    pub pipeline: Pipeline,
    /// The number of the paper's scenario that this one repeats.
    #[serde(default)]
    pub paper: Option<u8>,
    /// Where pictures come from: `file:PATH`, `test`, or `gst:LAUNCH LINE`.
    #[serde(default = "default_source")]
    pub source: String,
    /// Picture size.
    #[serde(default = "default_size")]
    pub size: Size,
    /// Frames a second, scheduled by the renderer.
    #[serde(default = "default_fps")]
    pub fps: u32,
    /// The encoder's target.
    #[serde(default = "default_bitrate")]
    pub bitrate: Bitrate,
    /// How RTP travels.
    #[serde(default = "default_transport")]
    pub transport: Transport,
    /// What connects the pods; `host` for processes of this host.
    #[serde(default)]
    pub fabric: Fabric,
    /// What stands in front of the streamer's pod.
    #[serde(default)]
    pub service: Service,
    /// Both clusters use the same pod addresses, and Liqo translates them.
    #[serde(default)]
    pub overlapping: bool,
    /// The WAN between the clusters; absent for one that does nothing.
    #[serde(default)]
    pub wan: Option<WanKeys>,
    /// What is done on purpose in every repetition.
    #[serde(default)]
    pub fault: Vec<Fault>,
    /// Whether each cluster gets the paper's 2 vCPU and 4 GB at most, where this machine's cgroups allow it.
    #[serde(default)]
    pub limits: bool,
    /// Measured from the first frame on, and left out of every figure.
    #[serde(default = "default_warmup")]
    pub warmup: Span,
    /// Measured.
    #[serde(default = "default_duration")]
    pub duration: Span,
    /// Repetitions, each with new processes.
    #[serde(default = "one_run")]
    pub runs: u32,
    /// How long the first frame may take before the repetition has failed.
    #[serde(default = "default_patience")]
    pub first_frame: Span,
    /// The codec alone, alternated with this scenario; absent for none.
    #[serde(default)]
    pub floor: Option<Floor>,
    /// The renderer's settings.
    #[serde(default)]
    pub renderer: Renderer,
    /// The streamer's settings.
    #[serde(default)]
    pub streamer: Streamer,
    /// Another RTSP server in the streamer's place; absent for xr-streamer.
    #[serde(default)]
    pub server: Option<Server>,
    /// The client's settings.
    #[serde(default)]
    pub client: Client,
    /// The strips that are kept for OCR.
    #[serde(default)]
    pub ocr: Ocr,
}

impl Scenario {
    /// The one-way delay that the WAN is given from cluster B to cluster A, microseconds; none without a WAN.
    pub fn delay_us(&self) -> Option<u64> {
        let wan = self.wan.as_ref()?.wan().ok()?;
        u64::try_from(wan.b_to_a.delay.as_micros()).ok()
    }
}

/// The codec alone, in one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Floor {
    /// Repetitions.
    pub runs: u32,
    /// Measured in each.
    pub duration: Span,
}

impl Default for Floor {
    fn default() -> Self {
        Self {
            runs: 3,
            duration: Span::seconds(10),
        }
    }
}

/// xr-renderer's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Renderer {
    /// x264's speed preset.
    pub preset: Preset,
    /// x264's tuning.
    pub tune: Tune,
    /// Frames from one key frame to the next; x264's own default is 250.
    pub gop: u32,
    /// The longest RTP packet in bytes.
    pub rtp_mtu: u32,
    /// Which of two clusters it is in.
    pub cluster: ClusterName,
}

impl Default for Renderer {
    fn default() -> Self {
        Self {
            preset: Preset::Ultrafast,
            tune: Tune::Zerolatency,
            gop: 60,
            rtp_mtu: 1150,
            cluster: ClusterName::A,
        }
    }
}

/// xr-streamer's settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Streamer {
    /// Whether the transports' sinks wait for the clock, as GStreamer's default is.
    pub rtp_sync: bool,
    /// The latency of the RTSP factory in milliseconds; GStreamer's default is 200.
    pub factory_latency_ms: u32,
}

/// xr-client's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Client {
    /// The jitter buffer in milliseconds; GStreamer's default is 2000.
    pub latency_ms: u32,
    /// How the jitter buffer follows the sender's clock.
    pub buffer_mode: BufferMode,
    /// Whether the sink waits for the clock.
    pub sync: bool,
    /// Threads of the decoder; 0 is one a processor.
    pub decoder_threads: u32,
    /// What the decoder's threads share.
    pub decoder_thread_type: ThreadType,
}

impl Default for Client {
    fn default() -> Self {
        Self {
            latency_ms: 0,
            buffer_mode: BufferMode::None,
            sync: false,
            decoder_threads: 1,
            decoder_thread_type: ThreadType::Slice,
        }
    }
}

/// The strips that are kept for OCR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ocr {
    /// Shown frames whose strips are kept, in each repetition, spread over its whole time; 0 for none.
    pub max_frames: u32,
}

impl Default for Ocr {
    fn default() -> Self {
        Self { max_frames: 300 }
    }
}

choice!(
    /// How RTP travels from the streamer to the client.
    Transport {
        /// RTP over UDP.
        Udp = "udp",
        /// Interleaved on the RTSP connection.
        Tcp = "tcp",
    }
);

choice!(
    /// x264's speed presets.
    Preset {
        /// The fastest.
        Ultrafast = "ultrafast",
        /// See x264.
        Superfast = "superfast",
        /// See x264.
        Veryfast = "veryfast",
        /// See x264.
        Faster = "faster",
        /// See x264.
        Fast = "fast",
        /// x264's own default.
        Medium = "medium",
        /// See x264.
        Slow = "slow",
        /// See x264.
        Slower = "slower",
        /// See x264.
        Veryslow = "veryslow",
    }
);

choice!(
    /// x264's tunings.
    Tune {
        /// No frame is held back.
        Zerolatency = "zerolatency",
        /// x264's own default.
        None = "none",
    }
);

choice!(
    /// `rtspsrc`'s buffer modes.
    BufferMode {
        /// Only the RTP timestamps.
        None = "none",
        /// Follow the sender's clock: the delay grows and never shrinks.
        Slave = "slave",
        /// Low and high watermarks.
        Buffer = "buffer",
        /// GStreamer chooses, which is its default.
        Auto = "auto",
        /// Both share a clock.
        Synced = "synced",
    }
);

choice!(
    /// What the decoder's threads share.
    ThreadType {
        /// The slices of a frame.
        Slice = "slice",
        /// The frames, of which each thread holds one back.
        Frame = "frame",
    }
);

const fn one() -> u64 {
    1
}
const fn one_run() -> u32 {
    1
}
const fn ours() -> Pipeline {
    Pipeline::Ours
}

/// The pipeline of a word; an unknown one is told the nearest.
fn pipeline<'de, D: Deserializer<'de>>(from: D) -> Result<Pipeline, D::Error> {
    let word = String::deserialize(from)?;
    <Pipeline as clap::ValueEnum>::from_str(&word, false).map_err(|_| {
        let words = Pipeline::value_variants().iter().map(ToString::to_string);
        let words: Vec<String> = words.collect();
        let known: Vec<&str> = words.iter().map(String::as_str).collect();
        let hint = settings::hint(&word, &known);
        D::Error::custom(format!("unknown value {word:?}; {hint}"))
    })
}

const fn default_fps() -> u32 {
    60
}
const fn default_size() -> Size {
    Size {
        width: 1280,
        height: 720,
    }
}
const fn default_transport() -> Transport {
    Transport::Udp
}
const fn default_rest() -> Span {
    Span(std::time::Duration::from_millis(500))
}
const fn default_warmup() -> Span {
    Span::seconds(2)
}
const fn default_duration() -> Span {
    Span::seconds(30)
}
const fn default_patience() -> Span {
    Span::seconds(20)
}
fn default_source() -> String {
    "test".to_owned()
}
fn default_bitrate() -> Bitrate {
    "6M".parse().expect("a bit rate")
}
