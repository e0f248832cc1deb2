//! Settings that are one of a few words. A word is the same on a command line, in a file and in a result.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use strum::{Display, IntoStaticStr};

/// A service of the pipeline.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    ValueEnum,
    Display,
    IntoStaticStr,
    Serialize,
    Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Role {
    /// The renderer, xr-renderer.
    Renderer,
    /// The streamer, xr-streamer.
    Streamer,
    /// The client, xr-client.
    Client,
}

impl Role {
    /// Every service, in the order of a frame's way.
    pub const ALL: [Self; 3] = [Self::Renderer, Self::Streamer, Self::Client];

    /// The word that names the service in files, pods and events.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// What a scenario measures.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Display, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Pipeline {
    /// The pipeline of xr-renderer, xr-streamer and xr-client.
    #[default]
    Ours,
    /// An unmodified ffmpeg renders and another plays, both with their defaults; xr-streamer is between them.
    Reference,
    /// The reference with ffmpeg's settings for low latency.
    ReferenceTuned,
    /// The codec alone, in one process.
    Floor,
}

impl Pipeline {
    /// Whether ffmpeg renders and plays, so that latency is known from OCR alone.
    pub const fn is_reference(self) -> bool {
        matches!(self, Self::Reference | Self::ReferenceTuned)
    }
}

/// How a report shows the scenarios of a file: its table `[presentation]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Presentation {
    /// What each scenario is compared with.
    pub compare: Compare,
}

/// What a report compares each scenario of a file with.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Display, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Compare {
    /// The scenario before it, on which it builds.
    Steps,
    /// The scenario of the paper that it repeats.
    Paper,
}

/// How RTP travels from the streamer to the client.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    ValueEnum,
    Display,
    IntoStaticStr,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Transport {
    /// RTP over UDP.
    #[default]
    Udp,
    /// RTP interleaved with RTSP on its TCP connection.
    Tcp,
    /// RTP over QUIC, each packet in a datagram.
    QuicDatagram,
    /// RTP over QUIC, each frame on a stream of its own.
    QuicStream,
}

impl Transport {
    /// Every transport.
    pub const ALL: [Self; 4] = [Self::Udp, Self::Tcp, Self::QuicDatagram, Self::QuicStream];

    /// Whether it is RTP over QUIC, which has no RTSP beside it.
    pub const fn is_quic(self) -> bool {
        matches!(self, Self::QuicDatagram | Self::QuicStream)
    }

    /// The word that names the transport in logs, metrics and summaries; of the first two also the value of rtspsrc's `protocols`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// How the video travels from the renderer to the streamer.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    ValueEnum,
    Display,
    IntoStaticStr,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum FeedTransport {
    /// RTP in the body of an HTTP request.
    #[default]
    Http,
    /// RTP over QUIC, each packet in a datagram.
    QuicDatagram,
    /// RTP over QUIC, each frame on a stream of its own.
    QuicStream,
}

impl FeedTransport {
    /// Every transport of a feed.
    pub const ALL: [Self; 3] = [Self::Http, Self::QuicDatagram, Self::QuicStream];

    /// Whether it is RTP over QUIC.
    pub const fn is_quic(self) -> bool {
        matches!(self, Self::QuicDatagram | Self::QuicStream)
    }

    /// The word that names the transport in logs and metrics.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// How a QUIC server finds out how much the path takes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Display, Serialize, Deserialize,
)]
#[value(rename_all = "lower")]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Congestion {
    /// RFC 9438: sends less after each loss, whatever the cause.
    Cubic,
    /// RFC 9002: as Cubic, and slower to send more again.
    NewReno,
    /// Measures rate and round trip, and takes a single loss for nothing.
    #[default]
    Bbr,
}

/// The name of a cluster.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Display, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum ClusterName {
    /// The cluster of the client.
    #[default]
    A,
    /// The cluster of the streamer.
    B,
}

/// An encoder whose properties are known, by its GStreamer name.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Display, Serialize, Deserialize,
)]
#[value(rename_all = "lower")]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
#[expect(missing_docs, reason = "each is GStreamer's own name")]
pub enum Encoder {
    #[default]
    X264Enc,
    OpenH264Enc,
    VaH264Enc,
    NvH264Enc,
}

/// x264's speed presets, the fastest first.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Display, Serialize, Deserialize,
)]
#[value(rename_all = "lower")]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
#[expect(missing_docs, reason = "each is x264's own name")]
pub enum Preset {
    #[default]
    UltraFast,
    SuperFast,
    VeryFast,
    Faster,
    Fast,
    Medium,
    Slow,
    Slower,
    VerySlow,
}

/// Tunings of x264.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Display, Serialize, Deserialize,
)]
#[value(rename_all = "lower")]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Tune {
    /// No frame is held back.
    #[default]
    ZeroLatency,
    /// x264 as it is by itself, which looks some 40 frames ahead.
    None,
}

/// rtspsrc's `buffer-mode`: what the jitter buffer does to timestamps.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Display, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum BufferMode {
    /// Only the RTP timestamps count.
    #[default]
    None,
    /// Follow the sender's clock.
    Slave,
    /// Buffer by fill level.
    Buffer,
    /// Follow the sender's clock, or buffer over TCP: rtspsrc's default.
    Auto,
    /// The clocks are synchronised.
    Synced,
}

/// How libavcodec may share a picture's work between threads.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Display, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum ThreadType {
    /// Slices of one picture in parallel: holds nothing back.
    #[default]
    Slice,
    /// Pictures in parallel: holds back one picture a thread.
    Frame,
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;

    use super::*;

    fn words<T: ValueEnum + ToString + Serialize + DeserializeOwned>() -> Vec<String> {
        let words = T::value_variants().iter().map(|value| {
            let flag = value.to_possible_value().unwrap().get_name().to_owned();
            let json = serde_json::to_value(value).unwrap();
            assert_eq!(
                (value.to_string(), json),
                (flag.clone(), flag.clone().into())
            );
            let read = serde_json::from_value::<T>(flag.clone().into()).unwrap();
            assert_eq!(read.to_string(), flag);
            flag
        });
        words.collect()
    }

    #[test]
    fn a_word_is_the_same_on_a_command_line_and_in_a_file() {
        assert_eq!(words::<Role>(), ["renderer", "streamer", "client"]);
        assert_eq!(
            words::<Pipeline>(),
            ["ours", "reference", "reference-tuned", "floor"]
        );
        assert_eq!(words::<Compare>(), ["steps", "paper"]);
        assert_eq!(
            words::<Transport>(),
            ["udp", "tcp", "quic-datagram", "quic-stream"]
        );
        assert_eq!(
            words::<FeedTransport>(),
            ["http", "quic-datagram", "quic-stream"]
        );
        assert_eq!(words::<Congestion>(), ["cubic", "newreno", "bbr"]);
        assert_eq!(words::<ClusterName>(), ["a", "b"]);
        assert_eq!(
            words::<Encoder>(),
            ["x264enc", "openh264enc", "vah264enc", "nvh264enc"]
        );
        assert_eq!(
            words::<Preset>().join(" "),
            "ultrafast superfast veryfast faster fast medium slow slower veryslow"
        );
        assert_eq!(words::<Tune>(), ["zerolatency", "none"]);
        assert_eq!(
            words::<BufferMode>(),
            ["none", "slave", "buffer", "auto", "synced"]
        );
        assert_eq!(words::<ThreadType>(), ["slice", "frame"]);
    }
}
