//! The command line of xr-renderer, and its check before anything is opened.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use media::encode::{ENCODERS, EncoderConfig, NO_TUNE, PRESETS, ZERO_LATENCY};
use media::source::SourceSpec;
use media::units::{Bitrate, FrameRate, VideoSize};
use service::args::Common;
use service::{ConfigError, TokenArgs};

use crate::feed::FeedUrl;

const EXAMPLES: &str = "\
Examples:
  Feed a film, looped, to a streamer on this machine:
    xr-renderer --source file:media/bigbuckbunny.mp4 --feed http://127.0.0.1:8080/feeds/demo --size 1280x720 --fps 60 --bitrate 6M
  A test pattern at another size and rate:
    xr-renderer --source test --feed http://127.0.0.1:8080/feeds/demo --size 640x360 --fps 25 --bitrate 1M
  A camera, or anything else that GStreamer can open:
    xr-renderer --source 'gst:v4l2src device=/dev/video0' --feed http://streamer:8080/feeds/camera
  To another RTSP server than ours, by RECORD:
    xr-renderer --source test --feed rtsp://127.0.0.1:8554/xr
  The floor: encode and decode in this process, with no network, and write a row for each frame:
    xr-renderer --source test --floor floor.csv --duration 10s

The renderer waits for a streamer that is not there yet, and comes back by itself when the streamer or its host does.
When the network is slower than the encoder, whole frames are dropped up to the next key frame, and counted.
Exit codes: 0 done, 1 the start failed or the streamer refused the feed, 64 the command line is wrong.";

/// Renders a source into stamped, encoded video and pushes it to a streamer.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "xr-renderer", version, after_help = EXAMPLES)]
#[command(mut_arg("ops", |arg| arg.default_value("127.0.0.1:9091")))]
#[command(group = clap::ArgGroup::new("target").args(["feed", "floor"]).required(true))]
pub struct Args {
    #[command(flatten)]
    #[expect(
        missing_docs,
        reason = "documented where it is defined; a comment here would become the program's help"
    )]
    pub common: Common,

    /// Where pictures come from: `file:PATH` (looped, each picture once), `test` (a moving pattern), or `gst:LAUNCH` (a
    /// GStreamer launch line that ends in raw video).
    #[arg(long, env = "XR_SOURCE", value_name = "SOURCE")]
    pub source: SourceSpec,

    /// The feed to push to, as `http://HOST[:PORT]/feeds/NAME`; NAME is at most 64 of A-Z a-z 0-9 . _ -
    /// Or another server that takes RTSP RECORD, as `rtsp://HOST[:PORT]/PATH`.
    #[arg(long, env = "XR_FEED", value_name = "URL")]
    pub feed: Option<String>,

    /// Instead of feeding: encode and decode in this process and write a row for each frame to this CSV file.
    #[arg(long, env = "XR_FLOOR", value_name = "FILE")]
    pub floor: Option<PathBuf>,

    /// Size of the video in pixels, at least 640x360, both sides even; the source is scaled to it.
    #[arg(long, env = "XR_SIZE", value_name = "WxH", default_value = "1280x720")]
    pub size: VideoSize,

    /// Frames a second, as 60 or 30000/1001. The source's pictures are shown at this rate, whatever its own is.
    #[arg(long, env = "XR_FPS", value_name = "RATE", default_value = "60")]
    pub fps: FrameRate,

    /// Bits a second, as 6M or 800k.
    #[arg(long, env = "XR_BITRATE", value_name = "RATE", default_value = "6M")]
    pub bitrate: Bitrate,

    /// A file whose pictures fit into so many megabytes is decoded once and looped from memory, which leaves the cores to
    /// the encoder; 0 decodes each round anew. A second of 1280x720 at 25 pictures a second takes 35.
    #[arg(long, env = "XR_SOURCE_MEMORY_MB", value_name = "MB", default_value_t = 256,
        value_parser = clap::value_parser!(u32).range(0..=65_536))]
    pub source_memory_mb: u32,

    /// End after this time, as 30s, 500ms or 2m; without it run until SIGTERM or ctrl-c.
    #[arg(long, env = "XR_DURATION", value_name = "TIME", value_parser = duration)]
    pub duration: Option<Duration>,

    #[command(flatten)]
    #[expect(
        missing_docs,
        reason = "documented where it is defined; a comment here would become the program's help"
    )]
    pub token: TokenArgs,

    /// The encoder, by its GStreamer name.
    #[arg(long, env = "XR_ENCODER", value_name = "NAME", default_value = ENCODERS[0],
        value_parser = PossibleValuesParser::new(ENCODERS), help_heading = "Encoding")]
    pub encoder: String,

    /// x264's speed preset.
    #[arg(long, env = "XR_PRESET", value_name = "PRESET", default_value = "ultrafast",
        value_parser = PossibleValuesParser::new(PRESETS), help_heading = "Encoding")]
    pub preset: String,

    /// x264's tune: zerolatency holds no frame back; none is x264's default, which looks some 40 frames ahead.
    #[arg(long, env = "XR_TUNE", value_name = "TUNE", default_value = ZERO_LATENCY,
        value_parser = PossibleValuesParser::new([ZERO_LATENCY, NO_TUNE]), help_heading = "Encoding")]
    pub tune: String,

    /// Frames from one key frame to the next; a viewer who joins asks for one, so this may be long.
    #[arg(long, env = "XR_GOP", value_name = "FRAMES", default_value_t = 60,
        value_parser = clap::value_parser!(u32).range(1..=100_000), help_heading = "Encoding")]
    pub gop: u32,

    /// Threads of the encoder; 0 lets it choose by the number of cores.
    #[arg(long, env = "XR_THREADS", value_name = "N", default_value_t = 0,
        value_parser = clap::value_parser!(u32).range(0..=64), help_heading = "Encoding")]
    pub threads: u32,

    /// Largest RTP packet in bytes. 1150 fits overlays at MTU 1340 and QUIC; nobody downstream can cut packets smaller.
    #[arg(long, env = "XR_RTP_MTU", value_name = "BYTES", default_value_t = 1150,
        value_parser = clap::value_parser!(u32).range(256..=9000), help_heading = "Encoding")]
    pub rtp_mtu: u32,
}

/// Where frames go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// To a streamer.
    Feed(FeedUrl),
    /// Through a decoder in this process, into this file.
    Floor(PathBuf),
}

impl Args {
    /// The checked target.
    pub fn target(&self) -> Result<Target, ConfigError> {
        if let Some(path) = &self.floor {
            return Ok(Target::Floor(path.clone()));
        }
        let text = self.feed.as_deref().unwrap_or_default();
        let url = text.parse().map_err(|why| {
            ConfigError::new(
                "--feed (XR_FEED)",
                text,
                why,
                "Write it as http://HOST:8080/feeds/NAME, NAME of at most 64 letters, digits, '.', '_' and '-'; or, for a \
                 server that takes RTSP RECORD, as rtsp://HOST:8554/PATH.",
            )
        })?;
        Ok(Target::Feed(url))
    }

    /// How to encode.
    pub fn encoder(&self) -> EncoderConfig {
        EncoderConfig {
            size: self.size,
            fps: self.fps,
            bitrate: self.bitrate,
            encoder: self.encoder.clone(),
            preset: self.preset.clone(),
            tune: self.tune.clone(),
            gop: self.gop,
            threads: self.threads,
            rtp_mtu: self.rtp_mtu,
        }
    }
}

/// A time as people write it: a whole number with ms, s, m or h.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => 0,
    };
    let parsed = number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(millis));
    match parsed {
        Some(millis) if millis > 0 => Ok(Duration::from_millis(millis)),
        _ => Err("write a time as 30s, 500ms, 2m or 1h, more than zero".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Args::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_documented_line_parses() {
        Args::command().debug_assert();
        let args = parse(
            "xr-renderer --source test --feed http://h:8080/feeds/a --size 1280x720 --fps 60 --bitrate 6M \
             --preset ultrafast --gop 60 --rtp-mtu 1150 --ops 127.0.0.1:9091",
        )
        .unwrap();
        assert_eq!(args.source, SourceSpec::Test);
        assert!(matches!(args.target(), Ok(Target::Feed(_))));
        let defaults = parse("xr-renderer --source test --floor f.csv").unwrap();
        assert_eq!(args.encoder(), defaults.encoder());
        assert_eq!(defaults.target(), Ok(Target::Floor("f.csv".into())));
    }

    #[test]
    fn what_is_wrong_is_named_with_a_remedy() {
        for (arguments, cause) in [
            ("--source test", "--feed"),
            (
                "--source test --feed http://h/feeds/a --floor f.csv",
                "cannot be used with",
            ),
            ("--source nothing --floor f.csv", "file:PATH"),
            ("--source test --floor f.csv --size 320x240", "640x360"),
            ("--source test --floor f.csv --fps 0", "1 to 480"),
            ("--source test --floor f.csv --preset warp", "ultrafast"),
            (
                "--source test --floor f.csv --encoder theora",
                "openh264enc",
            ),
            ("--source test --floor f.csv --duration 0s", "30s"),
            ("--source test --floor f.csv --bit-rate 6M", "--bitrate"),
        ] {
            let error = parse(&format!("xr-renderer {arguments}"))
                .unwrap_err()
                .to_string();
            assert!(error.contains(cause), "{arguments}: {error}");
        }
        let error = parse("xr-renderer --source test --feed ftp://h/feeds/a")
            .unwrap()
            .target()
            .unwrap_err();
        assert!(
            error.to_string().contains("http://HOST:8080/feeds/NAME"),
            "{error}"
        );
    }

    #[test]
    fn durations_are_read() {
        assert_eq!(duration("1500ms"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("2m"), Ok(Duration::from_mins(2)));
        for bad in [
            "",
            "s",
            "5",
            "0s",
            "-1s",
            "1.5s",
            "99999999999999999h",
            "5 s",
        ] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
