//! The command line of xr-renderer, and its check before anything is opened.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use media::encode::EncoderConfig;
use roq::args::{PeerArgs, WrongTrust};
use roq::signal::Mode;
use rustls::ClientConfig;
use service::args::Common;
use service::tls::CaArgs;
use service::{ConfigError, TokenArgs};
use settings::{
    FeedMethod, FeedTransport, FeedUrl, RendererSettings, Span, ThreadType, UnitError,
    VideoSettings, address_without_password, whole,
};

use crate::feed::Means;

const EXAMPLES: &str = "\
Examples:
  Feed a film, looped, to a streamer on this machine:
    xr-renderer --source file:media/bigbuckbunny.mp4 --feed http://127.0.0.1:8080/feeds/demo \\
      --size 1280x720 --fps 60 --bitrate 6M
  A test pattern at another size and rate:
    xr-renderer --source test --feed http://127.0.0.1:8080/feeds/demo \\
      --size 640x360 --fps 25 --bitrate 1M
  A camera, or anything else that GStreamer can open:
    xr-renderer --source 'gst:v4l2src device=/dev/video0' --feed http://streamer:8080/feeds/camera
  Over QUIC, to a streamer with --quic and --feed-token-file, whose line on stdout has the pin:
    xr-renderer --source test --feed roq://streamer:8555/demo --quic-pin 1b2c... --token-file token
  Over TLS, to a streamer started with --tls-cert and --tls-key:
    xr-renderer --source test --feed https://streamer:8080/feeds/demo --tls-ca ca.crt \\
      --token-file token
  To another RTSP server than ours, by RECORD:
    xr-renderer --source test --feed rtsp://127.0.0.1:8554/xr
  The floor: encode and decode in this process, with no network, and write a row for each frame:
    xr-renderer --source test --floor floor.csv --duration 10s

The renderer waits for a streamer that is not there yet, and comes back by itself when the streamer or its host does. \
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

    /// The feed to push to, as `http://HOST[:PORT]/feeds/NAME` or `https://...`; NAME is at most 64 of A-Z a-z 0-9 . _ -
    /// Over QUIC as `roq://HOST:PORT/NAME`, to a streamer that has a token for feeds.
    /// Or another server that takes RTSP RECORD, as `rtsp://HOST[:PORT]/PATH`.
    #[arg(long, env = "XR_FEED", value_name = "URL")]
    pub feed: Option<String>,

    /// How a feed over QUIC goes; without it each frame is on a stream of its own, and what is lost is sent again.
    #[arg(
        long,
        env = "XR_FEED_TRANSPORT",
        value_name = "quic-stream|quic-datagram",
        value_enum,
        requires = "feed",
        help_heading = "QUIC"
    )]
    pub feed_transport: Option<FeedTransport>,

    /// Instead of feeding: encode and decode in this process and write a row for each frame to this CSV file.
    #[arg(long, env = "XR_FLOOR", value_name = "FILE")]
    pub floor: Option<PathBuf>,

    /// Threads of the floor's decoder, as those of the client that it is compared with; 0 takes one a core, at most 64.
    #[arg(long, env = "XR_DECODER_THREADS", value_name = "N", default_value_t = 0,
        value_parser = whole::<u32>(0..=64), help_heading = "Floor")]
    pub decoder_threads: u32,

    /// What the threads of the floor's decoder share.
    #[arg(long, env = "XR_DECODER_THREAD_TYPE", value_name = "TYPE", default_value_t = ThreadType::Slice, help_heading = "Floor")]
    pub decoder_thread_type: ThreadType,

    /// A file whose pictures fit into so many megabytes is decoded once and looped from memory, which leaves the cores to
    /// the encoder; 0 decodes each round anew, and 65536 is the most. A second of 1280x720 at 25 pictures a second takes 35.
    #[arg(long, env = "XR_SOURCE_MEMORY_MB", value_name = "MB", default_value_t = 256,
        value_parser = whole::<u32>(0..=65_536))]
    pub source_memory_mb: u32,

    /// End after this time, as 30s, 500ms or 2m; without it run until SIGTERM or ctrl-c.
    #[arg(long, env = "XR_DURATION", value_name = "TIME", value_parser = Span::positive)]
    pub duration: Option<Duration>,

    #[command(flatten)]
    pub token: TokenArgs,

    #[command(flatten)]
    pub encoding: RendererSettings,

    // Last, because their headings would go on for what follows.
    #[command(flatten)]
    pub quic: PeerArgs,

    #[command(flatten)]
    pub tls: CaArgs,
}

/// The destination of the frames.
#[derive(Clone, Debug)]
pub enum Target {
    /// A feed of a streamer; and over TLS or QUIC, how and to whom.
    Feed(FeedUrl, Option<Arc<ClientConfig>>, Option<Means>),
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
        let url: FeedUrl = text.parse().map_err(|why: UnitError| {
            ConfigError::new(
                "--feed (XR_FEED)",
                address_without_password(text),
                why.to_string(),
                "Write it as http://HOST:8080/feeds/NAME, https://HOST:8080/feeds/NAME or roq://HOST:8555/NAME, NAME of at most 64 letters, digits, '.', '_' and \
                 '-'; or, for a server that takes RTSP RECORD, as rtsp://HOST:8554/PATH.",
            )
        })?;
        let means = self.means(&url)?;
        let tls = self.tls.client(url.scheme())?;
        Ok(Target::Feed(url, tls, means))
    }

    /// How a feed goes over QUIC, and to whom; none where it goes otherwise.
    fn means(&self, url: &FeedUrl) -> Result<Option<Means>, ConfigError> {
        let asked = self.feed_transport;
        let by = match (url.method(), asked) {
            (FeedMethod::Quic, None | Some(FeedTransport::QuicStream)) => Mode::Stream,
            (FeedMethod::Quic, Some(FeedTransport::QuicDatagram)) => Mode::Datagram,
            (FeedMethod::Put, None | Some(FeedTransport::Http)) | (FeedMethod::Record, None) => {
                return Ok(None);
            }
            (FeedMethod::Put | FeedMethod::Record | FeedMethod::Quic, Some(asked)) => {
                return Err(ConfigError::new(
                    "--feed-transport (XR_FEED_TRANSPORT)",
                    asked.to_string(),
                    format!("{url} is not fed so"),
                    "Leave it out; quic-stream and quic-datagram go with roq://HOST:8555/NAME.",
                ));
            }
        };
        let wrong = |wrong: WrongTrust| {
            ConfigError::new(wrong.origin, wrong.value, wrong.why, wrong.remedy)
        };
        Ok(Some(Means {
            trust: self
                .quic
                .trust("--feed (XR_FEED)", &url.to_string())
                .map_err(wrong)?,
            by,
            key_log: self.quic.quic_keylog,
        }))
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
        assert!(matches!(args.target(), Ok(Target::Feed(_, None, None))));
        let defaults = parse("xr-renderer --source test --floor f.csv").unwrap();
        assert_eq!(args.encoder(), defaults.encoder());
        assert!(
            matches!(defaults.target(), Ok(Target::Floor(path)) if path.as_os_str() == "f.csv")
        );
    }

    /// A longer line is cut in two where nobody knows the terminal's width, and cannot be pasted.
    #[test]
    fn examples_can_be_pasted_and_flags_stand_under_their_headings() {
        let command = Args::command();
        let help = command.get_after_help().map(ToString::to_string);
        let help = help.expect("examples");
        let long = help
            .lines()
            .find(|line| line.starts_with(' ') && line.len() > 100);
        assert_eq!(long, None);
        for (heading, begins) in [("TLS", "tls_"), ("QUIC", "quic_")] {
            let under = command
                .get_arguments()
                .filter(|arg| arg.get_help_heading() == Some(heading));
            let stray: Vec<_> = under
                .map(|arg| arg.get_id().as_str())
                .filter(|id| !id.starts_with(begins) && *id != "feed_transport")
                .collect();
            assert_eq!(stray, [""; 0], "under {heading}");
        }
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
    fn a_feed_over_tls_says_whom_it_believes_and_no_password() {
        let target = |rest: &str| {
            let line = format!("xr-renderer --source test --feed {rest}");
            parse(&line).unwrap().target().map(|_| ())
        };
        for (rest, cause) in [
            ("https://h/feeds/a --tls-ca /nowhere", "/nowhere"),
            ("http://h/feeds/a --tls-ca /nowhere", "https://"),
            ("roq://h:1/a --quic-ca /nowhere", "/nowhere"),
            ("http://me:secret@h/feeds/a", "***@h"),
            ("rtsp://me:secret@h/feeds/a", "***@h"),
            ("me:secret@h/feeds/a", "no URL"),
        ] {
            let error = target(rest).unwrap_err().to_string();
            assert!(error.contains(cause), "{rest}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_feed_over_quic_says_whom_it_believes() {
        let pin = format!("--quic-pin {}", "ab".repeat(32));
        let target = |rest: &str| {
            let line = format!("xr-renderer --source test --feed {rest}");
            parse(&line).unwrap().target()
        };
        let by = |rest: &str| match target(rest) {
            Ok(Target::Feed(_, _, means)) => means.map(|means| means.by),
            other => panic!("{other:?}"),
        };
        let quic = format!("roq://h:1/a {pin}");
        assert_eq!(by(&quic), Some(Mode::Stream));
        let datagrams = format!("{quic} --feed-transport quic-datagram");
        assert_eq!(by(&datagrams), Some(Mode::Datagram));
        assert_eq!(by("http://h/feeds/a --feed-transport http"), None);
        for (rest, cause) in [
            ("roq://h:1/a".to_owned(), "--quic-pin"),
            ("roq://h:1/a --quic-ca /nowhere".to_owned(), "/nowhere"),
            (format!("{quic} --feed-transport http"), "roq://"),
            (
                "http://h/feeds/a --feed-transport quic-stream".to_owned(),
                "roq://",
            ),
        ] {
            let error = target(&rest).unwrap_err().to_string();
            assert!(error.contains(cause), "{rest}: {error}");
        }
    }
}
