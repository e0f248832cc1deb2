//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use roq::identity::Identity;
use service::args::{Common, listen_address};
use service::tls::TlsArgs;
use service::{ConfigError, Secret};
use settings::{StreamerSettings, whole};

use crate::rtsp::credentials::Credentials;

/// Where [`Args::http`] comes from, for messages.
pub const HTTP_ORIGIN: &str = "--http (XR_HTTP)";

/// Where [`Args::rtsp`] comes from, for messages.
pub const RTSP_ORIGIN: &str = "--rtsp (XR_RTSP)";

/// Where [`Args::rtsps`] comes from, for messages.
pub const RTSPS_ORIGIN: &str = "--rtsps (XR_RTSPS)";

/// Where [`Args::viewers_file`] comes from, for messages.
const VIEWERS_ORIGIN: &str = "--viewers-file (XR_VIEWERS_FILE)";

/// Where [`Args::quic`] comes from, for messages.
pub const QUIC_ORIGIN: &str = "--quic (XR_QUIC)";

/// Where [`Args::max_connections`] comes from, for messages.
pub const MAX_CONNECTIONS_ORIGIN: &str = "--max-connections (XR_MAX_CONNECTIONS)";

const EXAMPLES: &str = "\
Examples:
  Every default, feeds on port 8080 and viewers on port 8554:
    xr-streamer
  Any free ports, which the line on stdout names:
    xr-streamer --http 127.0.0.1:0 --rtsp 127.0.0.1:0
  Viewers on UDP from these ports only, for a firewall:
    xr-streamer --udp-ports 40000-40199
  Viewers by RTP over QUIC too; the line on stdout has the pin:
    xr-streamer --quic 0.0.0.0:8555
  Feeds over HTTPS only, from whoever has the token:
    xr-streamer --tls-cert tls.crt --tls-key tls.key --feed-token-file token
  Viewers over TLS too, at rtsps://HOST/NAME, whose port takes root; feeds over HTTPS only:
    xr-streamer --tls-cert tls.crt --tls-key tls.key --rtsps 0.0.0.0:322
  Viewers only with a name and a password of the file:
    xr-streamer --viewers-file viewers

A feed, ours or any:
  xr-renderer --source test --feed http://HOST:8080/feeds/room --size 1280x720 --fps 60 --bitrate 6M
  ffmpeg -re -i film.mp4 -c:v libx264 -tune zerolatency -g 30 -f mpegts \\
    -method PUT http://HOST:8080/feeds/room

A viewer, ours or any:
  xr-client --url rtsp://HOST:8554/room
  ffplay rtsp://HOST:8554/room
  ffplay rtsps://HOST/room
  ffplay rtsp://NAME:PASSWORD@HOST:8554/room
  xr-client --url roq://HOST:8555/room --quic-pin PIN

Limits. Each name costs some kilobytes, each connection up to 64 kB, each viewer on TCP up to 1 MB of the system's send \
buffer, and over TLS twice that. What is over a limit is refused with the reason and counted in /metrics.";

/// What the certificate of [`TlsArgs`] is for in this program.
const CERTIFICATE: &str = "Certificate chain in PEM, the server's own first: the port of the feeds then speaks HTTPS only, and \
    --rtsps shows the same certificate; --rtsp stays as it is. Renewed files are read again";

/// xr-streamer: takes feeds in over HTTP or QUIC and serves each at rtsp://HOST:PORT/NAME, and at roq://HOST:PORT/NAME with --quic, to any
/// number of viewers, as it comes.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "xr-streamer", version, after_help = EXAMPLES)]
#[command(mut_arg("ops", |arg| arg.default_value("127.0.0.1:9092")))]
#[command(mut_arg("tls_cert", |arg| arg.help(CERTIFICATE)))]
pub struct Args {
    /// Address where feeds come in: PUT or POST /feeds/NAME.
    #[arg(long, env = "XR_HTTP", value_name = "ADDR:PORT", default_value = "0.0.0.0:8080", value_parser = listen_address)]
    pub http: SocketAddr,

    /// Address where viewers connect: rtsp://HOST:PORT/NAME.
    #[arg(long, env = "XR_RTSP", value_name = "ADDR:PORT", default_value = "0.0.0.0:8554", value_parser = listen_address)]
    pub rtsp: SocketAddr,

    /// Address where viewers connect by RTSP over TLS: rtsps://HOST:PORT/NAME, with RTP on the same connection. Needs --tls-cert
    /// and --tls-key, with which feeds come over HTTPS. Without it there is no RTSP over TLS.
    #[arg(long, env = "XR_RTSPS", value_name = "ADDR:PORT", value_parser = listen_address)]
    pub rtsps: Option<SocketAddr>,

    /// UDP address where viewers connect by RTP over QUIC: roq://HOST:PORT/NAME. Without it there is no QUIC.
    #[arg(long, env = "XR_QUIC", value_name = "ADDR:PORT", value_parser = listen_address)]
    pub quic: Option<SocketAddr>,

    /// UDP ports that viewers are served from, two a name; any free ones if not given.
    #[arg(long, env = "XR_UDP_PORTS", value_name = "LOW-HIGH")]
    pub udp_ports: Option<PortRange>,

    /// Send buffer of each name's UDP socket, in bytes; the system's limit is `net.core.wmem_max`.
    #[arg(long, env = "XR_UDP_SEND_BUFFER", value_name = "BYTES", default_value_t = 4 << 20, value_parser = whole::<u32>(0..=u32::MAX))]
    pub udp_send_buffer: u32,

    /// The options that cost latency.
    #[command(flatten)]
    pub latency: StreamerSettings,

    /// A renderer is asked for a key frame at most once in this many milliseconds.
    #[arg(
        long,
        env = "XR_KEYFRAME_MS",
        value_name = "MS",
        default_value_t = 200,
        help_heading = "Latency",
        value_parser = whole::<u32>(0..=u32::MAX)
    )]
    pub keyframe_ms: u32,

    /// Names at a time.
    #[arg(
        long,
        env = "XR_MAX_FEEDS",
        value_name = "N",
        default_value_t = 64,
        help_heading = "Limits",
        value_parser = whole::<usize>(1..=1_000_000)
    )]
    pub max_feeds: usize,

    /// Viewers at a time, over all names; over RTSP and over QUIC each.
    #[arg(
        long,
        env = "XR_MAX_VIEWERS",
        value_name = "N",
        default_value_t = 256,
        help_heading = "Limits",
        value_parser = whole::<u32>(1..=u32::MAX)
    )]
    pub max_viewers: u32,

    /// Viewers at a time of one peer, over RTSP and over QUIC each: an address of IPv4, or a /64 of IPv6. Behind a NAT, such as a
    /// NodePort's, or in one network of IPv6, all viewers may be one; set it to --max-viewers there.
    #[arg(
        long,
        env = "XR_MAX_VIEWERS_PER_PEER",
        value_name = "N",
        default_value_t = 64,
        help_heading = "Limits",
        value_parser = whole::<u32>(1..=u32::MAX)
    )]
    pub max_viewers_per_peer: u32,

    /// Connections at a time to the port of the feeds, and as many to those for RTSP together.
    #[arg(
        long,
        env = "XR_MAX_CONNECTIONS",
        value_name = "N",
        default_value_t = 512,
        help_heading = "Limits",
        value_parser = whole::<usize>(8..=1_000_000)
    )]
    pub max_connections: usize,

    /// A feed that sends nothing for so many milliseconds is stalled, and may be replaced by another unless it has a token.
    #[arg(
        long,
        env = "XR_STALL_MS",
        value_name = "MS",
        default_value_t = 2000,
        help_heading = "Limits",
        value_parser = whole::<u32>(100..=u32::MAX)
    )]
    pub stall_ms: u32,

    /// A name that nobody feeds or watches for so many seconds is forgotten; sooner if room is short and it has no token.
    #[arg(
        long,
        env = "XR_FORGET_S",
        value_name = "S",
        default_value_t = 600,
        help_heading = "Limits",
        value_parser = whole::<u32>(0..=u32::MAX)
    )]
    pub forget_s: u32,

    /// A viewer on TCP that cannot keep up for so many milliseconds is dropped.
    #[arg(
        long,
        env = "XR_SLOW_MS",
        value_name = "MS",
        default_value_t = 2000,
        help_heading = "Limits",
        value_parser = whole::<u32>(200..=u32::MAX)
    )]
    pub slow_ms: u32,

    /// A viewer that sends neither RTSP nor RTCP for so many seconds is gone.
    #[arg(
        long,
        env = "XR_SESSION_TIMEOUT_S",
        value_name = "S",
        default_value_t = 30,
        help_heading = "Limits",
        value_parser = whole::<u32>(5..=u32::MAX)
    )]
    pub session_timeout_s: u32,

    /// File with the token that every feed must carry; without it feeds are taken from anybody who can reach the port.
    #[arg(
        long,
        env = "XR_FEED_TOKEN_FILE",
        value_name = "PATH",
        help_heading = "Limits"
    )]
    pub feed_token_file: Option<PathBuf>,

    /// File with a line NAME:PASSWORD for each who may view over RTSP, with or without TLS; players are asked by Digest.
    /// Without it anybody may who can reach the ports. Not with --quic, where nobody is asked.
    #[arg(
        long,
        env = "XR_VIEWERS_FILE",
        value_name = "PATH",
        help_heading = "Limits"
    )]
    pub viewers_file: Option<PathBuf>,

    /// Arguments of every program.
    #[command(flatten)]
    pub common: Common,

    // Last, because their headings would go on for what follows.
    /// The certificate of the port where feeds come in, and of that for RTSP over TLS.
    #[command(flatten)]
    pub tls: TlsArgs,

    /// What viewers over QUIC know the streamer by.
    #[command(flatten)]
    pub identity: IdentityArgs,
}

/// The certificate that viewers over QUIC see.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "QUIC")]
pub struct IdentityArgs {
    /// Certificate chain, PEM, the streamer's own first. Without it one is made at each start; the line on stdout has its pin.
    #[arg(
        long,
        env = "XR_QUIC_CERT",
        value_name = "PATH",
        requires_all = ["quic", "quic_key"]
    )]
    pub quic_cert: Option<PathBuf>,

    /// Private key of the certificate, PEM.
    #[arg(long, env = "XR_QUIC_KEY", value_name = "PATH", requires = "quic_cert")]
    pub quic_key: Option<PathBuf>,

    /// Write the connections' keys to the file that SSLKEYLOGFILE names: whoever has it can read what viewers get.
    #[arg(long, env = "XR_QUIC_KEYLOG")]
    pub quic_keylog: bool,
}

impl IdentityArgs {
    /// The certificate with its key, from the files or made for this process.
    pub fn identity(&self) -> anyhow::Result<Identity> {
        if let Some((certificate, key)) = self.quic_cert.as_ref().zip(self.quic_key.as_ref()) {
            return Identity::from_files(certificate, key)
                .context("--quic-cert (XR_QUIC_CERT) and --quic-key (XR_QUIC_KEY)");
        }
        let now = service::clock::now().0;
        let now = SystemTime::UNIX_EPOCH + Duration::from_micros(now);
        Ok(Identity::self_signed(now)?)
    }
}

/// A range of ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// The lowest port.
    pub low: u16,
    /// The highest port.
    pub high: u16,
}

impl FromStr for PortRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let ends = text
            .split_once('-')
            .and_then(|(low, high)| Some((low.parse().ok()?, high.parse().ok()?)));
        match ends {
            Some((low @ 1.., high)) if low < high => Ok(Self { low, high }),
            _ => Err("expected two ports, the lower first, such as 40000-40199".to_owned()),
        }
    }
}

impl Args {
    /// The token that every feed must carry, if there is one.
    pub fn feed_token(&self) -> Result<Option<Secret>, ConfigError> {
        let read =
            |path: &PathBuf| Secret::from_file(path, "--feed-token-file (XR_FEED_TOKEN_FILE)");
        self.feed_token_file.as_ref().map(read).transpose()
    }

    /// Who may view, if not everybody may.
    pub fn credentials(&self) -> Result<Option<Credentials>, ConfigError> {
        let read = |path: &PathBuf| Credentials::from_file(path, VIEWERS_ORIGIN);
        self.viewers_file.as_ref().map(read).transpose()
    }

    /// Checks what clap does not.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.check_rtsps()?;
        self.check_viewers()
    }

    fn check_rtsps(&self) -> Result<(), ConfigError> {
        match self.rtsps {
            Some(address) if self.tls.tls_cert.is_none() => Err(ConfigError::new(
                RTSPS_ORIGIN,
                address.to_string(),
                "RTSP over TLS needs a certificate, and there is none",
                "Give --tls-cert (XR_TLS_CERT) and --tls-key (XR_TLS_KEY), with which feeds come over HTTPS too, or leave this out.",
            )),
            _ => Ok(()),
        }
    }

    fn check_viewers(&self) -> Result<(), ConfigError> {
        match (&self.viewers_file, self.quic) {
            (Some(path), Some(address)) => Err(ConfigError::new(
                VIEWERS_ORIGIN,
                path.display().to_string(),
                format!(
                    "viewers over QUIC are not asked for a password, and {QUIC_ORIGIN} is {address}: whoever reaches that could watch"
                ),
                "Leave out --quic, or leave out this and let a network policy or a firewall decide who reaches the ports.",
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
        let args = Args::try_parse_from(["xr-streamer"]).unwrap();
        assert_eq!(args.http.port(), 8080);
        assert_eq!(args.rtsp.port(), 8554);
        assert_eq!(args.common.ops.unwrap().port(), 9092);
        args.check().unwrap();
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

    /// Nor two of them: viewers come from more than a few places.
    #[test]
    fn one_peer_takes_no_half_of_the_viewers() {
        let args = Args::try_parse_from(["xr-streamer"]).unwrap();
        assert!(args.max_viewers_per_peer * 4 <= args.max_viewers);
    }

    #[test]
    fn limits_out_of_range_are_refused_by_name() {
        for (flag, value, range) in [
            ("--stall-ms", "5", "100 to 4294967295"),
            ("--slow-ms", "199", "200 to 4294967295"),
            ("--max-feeds", "none", "1 to 1000000"),
            ("--max-connections", "7", "8 to 1000000"),
            ("--max-viewers", "0", "1 to 4294967295"),
        ] {
            let refused = Args::try_parse_from(["xr-streamer", flag, value]);
            let text = refused.unwrap_err().to_string();
            for part in [flag, value, range] {
                assert!(text.contains(part), "{text}");
            }
        }
    }

    #[test]
    fn rtsps_needs_a_certificate() {
        let words = ["xr-streamer", "--rtsps", "127.0.0.1:0"];
        let args = Args::try_parse_from(words).unwrap();
        let text = args.check().unwrap_err().to_string();
        for part in ["--rtsps", "127.0.0.1:0", "Give --tls-cert"] {
            assert!(text.contains(part), "{text}");
        }
        let certificate = ["--tls-cert", "a", "--tls-key", "b"];
        let args = Args::try_parse_from(words.iter().chain(&certificate)).unwrap();
        args.check().unwrap();
    }

    #[test]
    fn passwords_and_quic_exclude_each_other() {
        let words = ["xr-streamer", "--viewers-file", "who", "--quic", "[::]:1"];
        let args = Args::try_parse_from(words).unwrap();
        let text = args.check().unwrap_err().to_string();
        for part in ["--viewers-file", "\"who\"", "[::]:1", "Leave out --quic"] {
            assert!(text.contains(part), "{text}");
        }
        let args = Args::try_parse_from(&words[..3]).unwrap();
        args.check().unwrap();
    }

    #[test]
    fn port_ranges_teach() {
        assert_eq!(
            "40000-40199".parse(),
            Ok(PortRange {
                low: 40_000,
                high: 40_199
            })
        );
        for wrong in ["", "1", "9-8", "0-9", "a-b", "1-70000"] {
            assert!(
                wrong
                    .parse::<PortRange>()
                    .unwrap_err()
                    .contains("40000-40199"),
                "{wrong}"
            );
        }
    }
}
