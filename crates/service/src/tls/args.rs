//! The arguments of both sides, and the configurations that they make.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use super::pem::PemFile;
use super::renewed::Renewed;
use super::{HTTP_1_1, provider};
use crate::ConfigError;

/// The certificate of a server's port; flatten it into the program's own arguments.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "TLS")]
pub struct TlsArgs {
    /// Certificate chain in PEM, the server's own first: the HTTP port then speaks TLS only. Renewed files are read again.
    #[arg(long, env = "XR_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Private key of the certificate, in PEM.
    #[arg(long, env = "XR_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
}

/// Whom a client believes; flatten it into the program's own arguments.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "TLS")]
pub struct CaArgs {
    /// PEM file of the authorities that may vouch for the server of an https:// address; without it, those of this system.
    #[arg(long, env = "XR_TLS_CA", value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
}

/// Where [`CaArgs::tls_ca`] comes from, for messages.
pub const CA_ORIGIN: &str = "--tls-ca (XR_TLS_CA)";

impl TlsArgs {
    /// How the port is served: none where it is plain HTTP.
    ///
    /// # Errors
    /// A file that cannot be read or does not fit the other one.
    ///
    /// # Panics
    /// Never: the provider of cryptography has both versions of TLS.
    pub fn server(&self) -> Result<Option<Arc<ServerConfig>>, ConfigError> {
        let Some((certificate, key)) = self.tls_cert.as_ref().zip(self.tls_key.as_ref()) else {
            return Ok(None);
        };
        let origin = "--tls-cert (XR_TLS_CERT)";
        let file = |path, origin| PemFile { path, origin };
        let shown = Renewed::load(
            file(certificate, origin),
            file(key, "--tls-key (XR_TLS_KEY)"),
        )?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13, &TLS12])
            .expect("the provider has both versions")
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(shown));
        config.alpn_protocols = vec![HTTP_1_1.to_vec()];
        Ok(Some(Arc::new(config)))
    }
}

impl CaArgs {
    /// How a server is reached whose address has `scheme`, in small letters: none where that is not `https`.
    ///
    /// # Errors
    /// Authorities that cannot be read, or that are given for another scheme.
    ///
    /// # Panics
    /// Never: the provider of cryptography has both versions of TLS.
    pub fn client(&self, scheme: &str) -> Result<Option<Arc<ClientConfig>>, ConfigError> {
        if scheme != "https" {
            return match &self.tls_ca {
                None => Ok(None),
                Some(path) => Err(ConfigError::new(
                    CA_ORIGIN,
                    path.display().to_string(),
                    format!("it goes with an https:// address, and not with '{scheme}'"),
                    "Write https:// if the server has a certificate, or leave this out. roq:// has --quic-ca.",
                )),
            };
        }
        let roots = match &self.tls_ca {
            Some(path) => PemFile {
                path,
                origin: CA_ORIGIN,
            }
            .roots()?,
            None => system_roots()?,
        };
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13, &TLS12])
            .expect("the provider has both versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![HTTP_1_1.to_vec()];
        Ok(Some(Arc::new(config)))
    }
}

fn system_roots() -> Result<Arc<RootCertStore>, ConfigError> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    // A store may hold a few that are too old or too odd to be used.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found.errors.first().map_or_else(
            || "an https:// address needs authorities, and this system has none".to_owned(),
            |error| format!("the authorities of this system cannot be read: {error}"),
        );
        return Err(ConfigError::new(
            CA_ORIGIN,
            "",
            why,
            "Name the PEM file of the authority that signed the server's certificate, or install ca-certificates.",
        ));
    }
    Ok(Arc::new(roots))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_without_tls_is_refused() {
        let args = CaArgs {
            tls_ca: Some("ca.crt".into()),
        };
        let why = args.client("http").unwrap_err().to_string();
        assert!(why.contains("Write https://"), "{why}");
        let why = args.client("https").unwrap_err().to_string();
        assert!(why.contains("No such file"), "{why}");
        assert!(CaArgs::default().client("http").unwrap().is_none());
        assert!(TlsArgs::default().server().unwrap().is_none());
    }
}
