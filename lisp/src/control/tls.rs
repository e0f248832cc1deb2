//! The port of agents that come over the network: mutual TLS.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use service::ConfigError;
use service::args::listen_address;

use crate::tls::{self, Identity, PemFile};

/// Mutual TLS for agents, beside the token.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Agents over the network")]
pub(super) struct TlsArgs {
    /// Certificate of the control plane and what vouches for it, in PEM; with it agents are served over mutual TLS
    #[arg(
        long,
        env = "XR_LISP_TLS_CERT",
        value_name = "FILE",
        requires_all = ["tls_key", "client_ca"]
    )]
    tls_cert: Option<PathBuf>,
    /// Key of the certificate
    #[arg(
        long,
        env = "XR_LISP_TLS_KEY",
        value_name = "FILE",
        requires = "tls_cert"
    )]
    tls_key: Option<PathBuf>,
    /// Authority that signs the certificates of agents. Each names its cluster as a DNS name, and speaks for no other
    #[arg(
        long,
        env = "XR_LISP_CLIENT_CA",
        value_name = "FILE",
        requires = "tls_cert"
    )]
    client_ca: Option<PathBuf>,
    /// Where agents with a certificate are served
    #[arg(long, env = "XR_LISP_AGENTS", value_name = "ADDR:PORT", default_value = "0.0.0.0:4381", value_parser = listen_address)]
    pub(super) agents: SocketAddr,
}

impl TlsArgs {
    /// The configuration; none where no certificate is named.
    pub(super) fn load(&self) -> Result<Option<Arc<ServerConfig>>, ConfigError> {
        let (Some(certificate), Some(key), Some(authority)) =
            (&self.tls_cert, &self.tls_key, &self.client_ca)
        else {
            return Ok(None);
        };
        let origin = "--tls-cert (XR_LISP_TLS_CERT)";
        let file = |path, origin| PemFile { path, origin };
        let identity = Identity::load(
            file(certificate, origin),
            file(key, "--tls-key (XR_LISP_TLS_KEY)"),
        )?;
        let clients = file(authority, "--client-ca (XR_LISP_CLIENT_CA)").roots()?;
        let config = tls::server_of_clients(identity, clients).map_err(|error| {
            ConfigError::new(
                origin,
                certificate.display().to_string(),
                error.to_string(),
                "Give the certificate that belongs to --tls-key.",
            )
        })?;
        Ok(Some(config))
    }
}
