//! The arguments that every program has.

use std::net::SocketAddr;

use clap_complete::Shell;

pub use settings::whole;

use crate::clock::Skew;
use crate::logs::{Filter, Format};

/// Where [`Common::ops`] comes from, for messages.
pub const OPS_ORIGIN: &str = "--ops (XR_OPS)";

/// Arguments of every program; flatten it into the program's own.
///
/// `ops` has no default here. A program gives it one, which `--help` then shows, with
/// `#[command(mut_arg("ops", |arg| arg.default_value("127.0.0.1:9091")))]`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Common {
    /// What to log on stderr: error, warn, info, debug, trace, off, or directives such as info,streamer=debug.
    #[arg(
        long,
        env = "XR_LOG",
        value_name = "LEVEL",
        default_value_t,
        global = true,
        help_heading = "Operation"
    )]
    pub log: Filter,

    /// How log lines are written.
    #[arg(
        long,
        env = "XR_LOG_FORMAT",
        value_name = "FORMAT",
        value_enum,
        default_value_t,
        global = true,
        help_heading = "Operation"
    )]
    pub log_format: Format,

    /// Address of the ops port, which serves /live, /ready, /metrics, /trace and /clock; port 0 takes a free one.
    #[arg(long, env = "XR_OPS", value_name = "ADDR:PORT", value_parser = listen_address, help_heading = "Operation")]
    pub ops: Option<SocketAddr>,

    /// Make this program's clock wrong by an offset and a drift, such as 5s,100ppm: for tests of whoever puts clocks right.
    #[arg(
        long,
        env = "XR_CLOCK_SKEW",
        value_name = "OFFSET[,PPM]",
        hide_short_help = true,
        allow_hyphen_values = true,
        help_heading = "Operation"
    )]
    pub clock_skew: Option<Skew>,

    /// Print completions for this shell and exit; to use them: source <(PROGRAM --completions bash).
    #[arg(
        long,
        value_name = "SHELL",
        value_enum,
        exclusive = true,
        help_heading = "Operation"
    )]
    pub completions: Option<Shell>,
}

/// Parses an address to listen on, for clap's `value_parser`.
pub fn listen_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "expected an IP address and a port, such as 127.0.0.1:9091 for this machine only, 0.0.0.0:9091 or [::]:9091 for \
         every interface; port 0 takes a free one"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_teach() {
        assert_eq!(listen_address("127.0.0.1:0").unwrap().port(), 0);
        assert!(listen_address("[::1]:80").unwrap().is_ipv6());
        for wrong in [
            "",
            "9091",
            ":9091",
            "localhost:9091",
            "127.0.0.1",
            "127.0.0.1:99999",
        ] {
            assert!(
                listen_address(wrong)
                    .unwrap_err()
                    .contains("127.0.0.1:9091"),
                "{wrong}"
            );
        }
    }
}
