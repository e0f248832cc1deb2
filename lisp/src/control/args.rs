//! The command line of `xr-lisp control`.

use std::net::SocketAddr;
use std::path::PathBuf;

use service::TokenArgs;
use service::args::{Common, listen_address};

use super::tls::TlsArgs;

const EXAMPLES: &str = "\
Examples:
  Map-Server, Map-Resolver and service addresses, as a file says:
    xr-lisp control --config lisp.toml --store /var/lib/xr-lisp/control.sqlite --token-file token
  An address for a service of a cluster:
    curl -d '{\"cluster\":\"seoul\",\"namespace\":\"shop\",\"name\":\"cart\"}' \\
      -H 'content-type: application/json' -H \"authorization: Bearer $(cat token)\" \\
      http://127.0.0.1:4380/v1/services
  The same for agents in other places, each of which shows a certificate that names its cluster:
    xr-lisp control --config lisp.toml --tls-cert control.crt --tls-key control.key \\
      --client-ca agents-ca.crt
  What it has:
    xr-lisp show

docs/lisp.md has the file's keys, the API, and who may reach which port.";

/// Map-Server, Map-Resolver, and the management of service addresses.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[command(mut_arg("ops", |arg| arg.default_value("127.0.0.1:9097")))]
pub struct ControlArgs {
    /// File with sites, keys, pools and policies; docs/lisp.md has its keys
    #[arg(long, env = "XR_LISP_CONFIG", value_name = "FILE")]
    pub(super) config: PathBuf,
    /// File of `SQLite` that keeps addresses, nonces and subscriptions; made if it is not there
    #[arg(
        long,
        env = "XR_LISP_STORE",
        value_name = "FILE",
        default_value = "xr-lisp-control.sqlite"
    )]
    pub(super) store: PathBuf,
    /// Where control messages of LISP come in
    #[arg(long, env = "XR_LISP_LISTEN", value_name = "ADDR:PORT", default_value = "0.0.0.0:4342", value_parser = listen_address)]
    pub(super) listen: SocketAddr,
    /// Where agents of this machine ask for addresses: HTTP without TLS
    #[arg(long, env = "XR_LISP_API", value_name = "ADDR:PORT", default_value = "127.0.0.1:4380", value_parser = listen_address)]
    pub(super) api: SocketAddr,
    /// What every request to --api must show
    #[command(flatten)]
    pub(super) token: TokenArgs,
    /// Say each cluster that is lost and each answer about a service in a line of JSON on standard output, with the time on `CLOCK_MONOTONIC`
    #[arg(long, env = "XR_LISP_EVENTS")]
    pub(super) events: bool,
    /// Agents elsewhere.
    #[command(flatten)]
    pub(super) tls: TlsArgs,

    /// Arguments of every program.
    #[command(flatten)]
    pub common: Common,
}
