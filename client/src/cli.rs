//! The command line of xr-client, and its check before anything is opened.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use roq::args::{PeerArgs, WrongTrust};
use roq::trust::Trust;
use rustls::ClientConfig;
use service::args::Common;
use service::tls::{CA_ORIGIN, CaArgs, PemFile};
use service::{ConfigError, TokenArgs};
use settings::{
    ClientSettings, QUIC_SCHEME, RTSPS_SCHEME, Span, Transport, address_without_password,
    check_stream_url, whole,
};

use crate::link;
use crate::user::{User, UserArgs};

const EXAMPLES: &str = "\
Examples:
  Play for half a minute and print what was seen:
    xr-client --url rtsp://127.0.0.1:8554/demo --duration 30s
  Watch it in a window, over TCP:
    xr-client --url rtsp://127.0.0.1:8554/demo --transport tcp --sink window
  From a server that asks who one is, over TLS, whose authority is not one of this system's:
    xr-client --url rtsps://camera:322/live --user viewer --password-file password --tls-ca ca.crt
  Over QUIC, from a streamer started with --quic, whose line on stdout has the pin:
    xr-client --url roq://127.0.0.1:8555/demo --quic-pin 1b2c...
  Record every frame's times, and the strips that `xrbench ocr` reads:
    xr-client --url rtsp://127.0.0.1:8554/demo --frames frames.csv --strips strips
  Report to a collector:
    xr-client --url rtsp://streamer:8554/demo --collector http://collector:9094
  The same over TLS, to one started with --tls-cert and --tls-key:
    xr-client --url rtsp://streamer:8554/demo --collector https://collector:9094 --tls-ca ca.crt

The client waits for a stream that is not there yet, and comes back by itself when the streamer or its host does.
Exit codes: 0 done, 1 nothing was shown or the start failed, 64 the command line is wrong.";

const TLS_CA: &str = "PEM file of the authorities that may vouch for the server of an rtsps:// or https:// address; without it, those of \
    this system";

/// Plays a stream over RTSP or QUIC, stamps each frame as it is shown, and reports every frame.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "xr-client", version, after_help = EXAMPLES)]
#[command(mut_arg("ops", |arg| arg.default_value("127.0.0.1:9093")))]
#[command(mut_arg("tls_ca", |arg| arg.help(TLS_CA)))]
pub struct Args {
    #[command(flatten)]
    pub common: Common,

    /// The stream to play, as `rtsp://HOST[:PORT]/NAME`, `rtsps://HOST[:PORT]/NAME` over TLS, or `roq://HOST:PORT/NAME` for RTP over QUIC.
    #[arg(long, env = "XR_URL", value_name = "URL")]
    pub url: String,

    /// Transport of RTP; auto takes UDP, and TCP when no packet comes over UDP within a second, or TLS's TCP, or QUIC's datagrams.
    #[arg(long, env = "XR_TRANSPORT", value_enum, default_value = "auto")]
    pub transport: link::Choice,

    /// Play this long, counted from the first frame, print a summary, and end; without it play until SIGTERM or ctrl-c.
    #[arg(long, env = "XR_DURATION", value_name = "TIME", value_parser = Span::positive)]
    pub duration: Option<Duration>,

    /// Print the summary as one JSON document, on a line of its own, instead of a table. It is all that stdout has,
    /// unless --ops asks for any free port: then the line comes first that names it.
    #[arg(long, env = "XR_JSON")]
    pub json: bool,

    /// Where shown frames go: none (stamped and measured, not displayed), window, or record:PATH (.mkv or .mp4).
    #[arg(long, env = "XR_SINK", value_name = "SINK", default_value = "none")]
    pub sink: SinkChoice,

    /// Post a record of every frame to this collector, as http://HOST:PORT or https://HOST:PORT.
    #[arg(
        long,
        env = "XR_COLLECTOR",
        value_name = "URL",
        help_heading = "Records"
    )]
    pub collector: Option<String>,

    /// The name under which frames are posted; unique for each process unless given.
    #[arg(
        long,
        env = "XR_CLIENT_ID",
        value_name = "ID",
        help_heading = "Records"
    )]
    pub client_id: Option<String>,

    /// What every post shows the collector: a name that was posted under with a token stays that token's.
    #[command(flatten, next_help_heading = "Records")]
    pub token: TokenArgs,

    /// Write a row for every frame to this CSV file; it is flushed every half second. Rows of an earlier run stay, and these follow.
    #[arg(long, env = "XR_FRAMES", value_name = "FILE", help_heading = "Records")]
    pub frames: Option<PathBuf>,

    /// Keep pictures of both stamps in this directory, for `xrbench ocr`: some 33 kB each.
    #[arg(long, env = "XR_STRIPS", value_name = "DIR", help_heading = "Records")]
    pub strips: Option<PathBuf>,

    /// At most so many strips of frames whose blocks were read, and as many again of frames whose blocks were not.
    #[arg(
        long,
        env = "XR_STRIPS_MAX",
        value_name = "N",
        default_value_t = 10_000,
        help_heading = "Records",
        value_parser = whole::<u64>(0..=u64::MAX)
    )]
    pub strips_max: u64,

    /// Keep the strip of one frame in K; frames whose blocks were not read are always kept.
    #[arg(long, env = "XR_STRIPS_EVERY", value_name = "K", default_value_t = 1,
        value_parser = whole::<u64>(1..=u64::MAX), help_heading = "Records")]
    pub strips_every: u64,

    #[command(flatten)]
    pub tuning: ClientSettings,

    // Last, because their headings would go on for what follows.
    #[command(flatten)]
    pub user: UserArgs,

    #[command(flatten)]
    pub quic: PeerArgs,

    #[command(flatten)]
    pub tls: CaArgs,
}

/// Where shown frames go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkChoice {
    /// No sink: pictures are read and dropped.
    None,
    /// A window on the screen.
    Window,
    /// Into a video file.
    Record(PathBuf),
}

impl FromStr for SinkChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "none" => Ok(Self::None),
            None if text == "window" => Ok(Self::Window),
            Some(("record", path)) => {
                let path = PathBuf::from(path);
                match path.extension().and_then(|extension| extension.to_str()) {
                    Some("mkv" | "mp4") => Ok(Self::Record(path)),
                    _ => Err(
                        "record a file that ends in .mkv or .mp4, as record:shown.mkv".to_owned(),
                    ),
                }
            }
            _ => Err("use none, window, or record:PATH".to_owned()),
        }
    }
}

impl Args {
    /// Whether stdout is to have the line that says where the client listens. Who wants one document there, and has said where the ops
    /// port is, does not.
    pub fn says_ready(&self) -> bool {
        !self.json || self.common.ops.is_none_or(|address| address.port() == 0)
    }

    /// Checks what clap cannot.
    pub fn check(&self) -> Result<(), ConfigError> {
        check_stream(&self.url)?;
        self.transports()?;
        self.trust()?;
        if let Some(collector) = &self.collector {
            check_collector(collector)?;
        }
        self.check_authorities()?;
        self.collector_tls()?;
        if let Some(id) = &self.client_id {
            let sound = (1..=64).contains(&id.len())
                && id
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
            if !sound {
                return Err(ConfigError::new(
                    "--client-id (XR_CLIENT_ID)",
                    id,
                    "a name is 1 to 64 letters, digits, dots, dashes and underscores",
                    "Leave it out for a unique one.",
                ));
            }
        }
        if self.sink == SinkChoice::Window
            && std::env::var_os("DISPLAY").is_none()
            && std::env::var_os("WAYLAND_DISPLAY").is_none()
        {
            return Err(ConfigError::new(
                "--sink (XR_SINK)",
                "window",
                "there is no display: neither DISPLAY nor WAYLAND_DISPLAY is set",
                "Run it in a desktop session, or use --sink none or --sink record:shown.mkv.",
            ));
        }
        Ok(())
    }
}

impl Args {
    /// The transports to try, in their order; an error where the one that was asked for does not go with the URL.
    pub fn transports(&self) -> Result<&'static [Transport], ConfigError> {
        self.transport.transports(self.scheme()).ok_or_else(|| {
            let remedy = if self.stream_has_tls() {
                "Leave it out, or use tcp: RTP over UDP would not be encrypted."
            } else {
                "Leave it out, or use the streamer's other port."
            };
            ConfigError::new(
                "--transport (XR_TRANSPORT)",
                format!("{:?} for {}", self.transport, self.url).to_lowercase(),
                "rtsp:// is played over udp and tcp, rtsps:// over tcp, and roq:// over quic-datagram and quic-stream",
                remedy,
            )
        })
    }

    /// Who the client is to a server that asks; none where it does not say.
    pub fn user(&self) -> Result<Option<User>, ConfigError> {
        self.user.load(self.scheme())
    }

    /// How the collector is reached over TLS; none where its address asks for none.
    pub fn collector_tls(&self) -> Result<Option<Arc<ClientConfig>>, ConfigError> {
        if self.collector_has_tls() {
            self.tls.client("https")
        } else {
            Ok(None)
        }
    }

    fn collector_has_tls(&self) -> bool {
        let collector = self.collector.as_deref().unwrap_or_default();
        let scheme = collector.split(':').next().unwrap_or_default();
        scheme.eq_ignore_ascii_case("https")
    }

    /// Whether the stream comes over TLS of RTSP's.
    pub fn stream_has_tls(&self) -> bool {
        self.scheme() == RTSPS_SCHEME
    }

    /// Checks that somebody shows a certificate for whom authorities could vouch, and that there are some in the file.
    fn check_authorities(&self) -> Result<(), ConfigError> {
        let Some(path) = &self.tls.tls_ca else {
            return Ok(());
        };
        if !self.stream_has_tls() && !self.collector_has_tls() {
            return Err(ConfigError::new(
                CA_ORIGIN,
                path.display().to_string(),
                "it goes with an rtsps:// or an https:// address, and neither --url nor --collector is one",
                "Write rtsps:// or https:// if the server has a certificate, or leave this out. roq:// has --quic-ca.",
            ));
        }
        let origin = CA_ORIGIN;
        PemFile { path, origin }.roots().map(drop)
    }

    /// Whom a stream over QUIC is taken from; none where the stream comes otherwise.
    pub fn trust(&self) -> Result<Option<Trust>, ConfigError> {
        if !self.url.starts_with(QUIC_SCHEME) {
            return Ok(None);
        }
        let trust = self.quic.trust("--url (XR_URL)", &self.url);
        let wrong = |wrong: WrongTrust| {
            ConfigError::new(wrong.origin, wrong.value, wrong.why, wrong.remedy)
        };
        trust.map(Some).map_err(wrong)
    }

    /// The scheme of the stream's address.
    fn scheme(&self) -> &str {
        self.url.split(':').next().unwrap_or_default()
    }
}

fn check_stream(url: &str) -> Result<(), ConfigError> {
    check_stream_url(url).map_err(|why| {
        ConfigError::new(
            "--url (XR_URL)",
            address_without_password(url),
            why.to_string(),
            "Use rtsp://HOST:8554/NAME, rtsps://HOST:322/NAME or roq://HOST:8555/NAME, with the feed's name from the renderer's --feed.",
        )
    })
}

fn check_collector(url: &str) -> Result<(), ConfigError> {
    let wrong = |why: &str| {
        ConfigError::new(
            "--collector (XR_COLLECTOR)",
            address_without_password(url),
            why,
            "Use http://HOST:9094 or https://HOST:9094, where xr-collector listens.",
        )
    };
    let uri: http::Uri = url
        .parse()
        .map_err(|error| wrong(&format!("this is no URL: {error}")))?;
    let authority = uri.authority();
    if authority.is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(wrong(
            "it holds a user; a token is given by --token-file or XR_TOKEN",
        ));
    }
    match uri.scheme_str() {
        Some("http" | "https") if uri.host().is_some_and(|host| !host.is_empty()) => Ok(()),
        Some("http" | "https") => Err(wrong("the host is missing")),
        Some(other) => Err(wrong(&format!(
            "a collector speaks http and https, not {other}"
        ))),
        None => Err(wrong("the scheme http:// is missing")),
    }
}

#[cfg(test)]
#[path = "cli_tests.rs"]
mod tests;
