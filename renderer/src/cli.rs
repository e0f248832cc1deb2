//! The command line of xr-renderer, and its check before anything is opened.

use std::path::PathBuf;
use std::time::Duration;

use media::encode::EncoderConfig;
use service::args::Common;
use service::{ConfigError, TokenArgs};
use settings::{RendererSettings, Span, ThreadType, VideoSettings};

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
    pub common: Common,

    #[command(flatten)]
    pub video: VideoSettings,

    /// The feed to push to, as `http://HOST[:PORT]/feeds/NAME`; NAME is at most 64 of A-Z a-z 0-9 . _ -
    /// Or another server that takes RTSP RECORD, as `rtsp://HOST[:PORT]/PATH`.
    #[arg(long, env = "XR_FEED", value_name = "URL")]
    pub feed: Option<String>,

    /// Instead of feeding: encode and decode in this process and write a row for each frame to this CSV file.
    #[arg(long, env = "XR_FLOOR", value_name = "FILE")]
    pub floor: Option<PathBuf>,

    /// Threads of the floor's decoder, as those of the client that it is compared with; 0 takes one a core.
    #[arg(long, env = "XR_DECODER_THREADS", value_name = "N", default_value_t = 0,
        value_parser = clap::value_parser!(u32).range(0..=64), help_heading = "Floor")]
    pub decoder_threads: u32,

    /// What the threads of the floor's decoder share.
    #[arg(long, env = "XR_DECODER_THREAD_TYPE", value_name = "TYPE", default_value_t = ThreadType::Slice, help_heading = "Floor")]
    pub decoder_thread_type: ThreadType,

    /// A file whose pictures fit into so many megabytes is decoded once and looped from memory, which leaves the cores to
    /// the encoder; 0 decodes each round anew. A second of 1280x720 at 25 pictures a second takes 35.
    #[arg(long, env = "XR_SOURCE_MEMORY_MB", value_name = "MB", default_value_t = 256,
        value_parser = clap::value_parser!(u32).range(0..=65_536))]
    pub source_memory_mb: u32,

    /// End after this time, as 30s, 500ms or 2m; without it run until SIGTERM or ctrl-c.
    #[arg(long, env = "XR_DURATION", value_name = "TIME", value_parser = Span::positive)]
    pub duration: Option<Duration>,

    #[command(flatten)]
    pub token: TokenArgs,

    #[command(flatten)]
    pub encoding: RendererSettings,
}

/// The destination of the frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A feed of a streamer.
    Feed(FeedUrl),
    /// Through a decoder in this process, into this file.
    Floor(PathBuf),
}

impl Args {
    /// Checks the destination.
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

    /// The encoder's options.
    pub fn encoder(&self) -> EncoderConfig {
        let (video, encoding) = (&self.video, &self.encoding);
        EncoderConfig {
            size: video.size,
            fps: video.fps,
            bitrate: video.bitrate,
            encoder: encoding.encoder,
            preset: encoding.preset,
            tune: encoding.tune,
            gop: encoding.gop,
            threads: encoding.threads,
            rtp_mtu: encoding.rtp_mtu,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use settings::SourceSpec;

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
        assert_eq!(args.video.source, SourceSpec::Test);
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
}
