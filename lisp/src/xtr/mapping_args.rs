//! What `xr-lisp xtr` is told of its mapping system.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use service::ConfigError;
use service::args::whole;

use crate::auth::{Algorithm, Key, KeyRing};
use crate::edge::EdgeConfig;
use crate::ports::CONTROL_PORT;
use crate::wire::Identity;

/// The mapping system, and what is told to it.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Mapping system")]
pub(crate) struct MappingArgs {
    /// Where endpoints are registered and mappings asked for; without one, those of --map are all
    #[arg(
        long,
        env = "XR_MAP_SERVER",
        value_name = "ADDR",
        requires = "key_file"
    )]
    pub(crate) map_server: Option<IpAddr>,
    /// Where mappings are asked for, if not at the Map-Server
    #[arg(
        long,
        env = "XR_MAP_RESOLVER",
        value_name = "ADDR",
        requires = "map_server"
    )]
    map_resolver: Option<IpAddr>,
    /// File with the secret that is shared with the Map-Server
    #[arg(long, env = "XR_KEY_FILE", value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Number of the secret
    #[arg(long, env = "XR_KEY_ID", value_name = "N", default_value_t = 1, value_parser = whole::<u8>(0..=u8::MAX))]
    key_id: u8,
    /// How messages are signed
    #[arg(
        long,
        env = "XR_KEY_ALGORITHM",
        value_name = "NAME",
        value_enum,
        default_value_t
    )]
    key_algorithm: KeyAlgorithm,
    /// Number of the site; with it, mappings are subscribed to, and locators of several tunnel routers merged
    #[arg(long, env = "XR_SITE", value_name = "N", value_parser = whole::<u64>(0..=u64::MAX))]
    site: Option<u64>,
    /// Endpoints that are registered at the Map-Server
    #[arg(
        long,
        env = "XR_REGISTER",
        value_name = "PREFIX",
        value_delimiter = ',',
        requires = "map_server"
    )]
    pub(crate) register: Vec<IpNet>,
    /// Interface without which nothing is registered: a device that comes here brings its endpoints along, and takes them when it
    /// goes. That its link is down is what says so
    #[arg(
        long,
        env = "XR_REGISTER_WHILE",
        value_name = "NAME",
        requires = "register"
    )]
    pub(crate) register_while: Option<String>,
    /// Priority of our locators in what is registered; lower is better, 255 is never used
    #[arg(long, env = "XR_PRIORITY", value_name = "N", default_value_t = 1, value_parser = whole::<u8>(0..=u8::MAX))]
    pub(crate) priority: u8,
    /// Weight of our locators among those of one priority
    #[arg(long, env = "XR_WEIGHT", value_name = "N", default_value_t = 100, value_parser = whole::<u8>(0..=u8::MAX))]
    pub(crate) weight: u8,
    /// Seconds between two probes of a locator that is in use; 0 probes none
    #[arg(long, env = "XR_PROBE_S", value_name = "S", default_value_t = 0, value_parser = whole::<u16>(0..=u16::MAX))]
    probe_s: u16,
}

/// The algorithm by which messages are signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum KeyAlgorithm {
    /// HMAC-SHA-256-128
    #[default]
    Sha256,
    /// HMAC-SHA-1-96, for peers that have no other
    Sha1,
}

impl MappingArgs {
    /// The configuration of the control machine; none without a Map-Server.
    pub(crate) fn edge(&self, locators: &[IpAddr]) -> Result<Option<EdgeConfig>, ConfigError> {
        let (Some(map_server), Some(file)) = (self.map_server, &self.key_file) else {
            return Ok(None);
        };
        let origin = "--key-file (XR_KEY_FILE)";
        let refused = |why: String| {
            ConfigError::new(
                origin,
                file.display().to_string(),
                why,
                "Give a file that holds the secret alone.",
            )
        };
        let text = std::fs::read(file).map_err(|error| refused(error.to_string()))?;
        let secret = text.trim_ascii_end();
        if secret.is_empty() {
            return Err(refused("it is empty".to_owned()));
        }
        let keys = KeyRing::new().with(self.key_id, secret);
        let (algorithm, keys) = match self.key_algorithm {
            KeyAlgorithm::Sha256 => (Algorithm::Sha256, keys),
            KeyAlgorithm::Sha1 => (Algorithm::Sha1, keys.with_sha1()),
        };
        // An id that is the same after a restart, and another's at no other address.
        let xtr_id = locators.first().map_or(0, |locator| match locator {
            IpAddr::V4(address) => address.to_bits().into(),
            IpAddr::V6(address) => address.to_bits(),
        });
        Ok(Some(EdgeConfig {
            identity: self.site.map(|site_id| Identity { xtr_id, site_id }),
            map_server,
            map_resolver: self.map_resolver.unwrap_or(map_server),
            port: CONTROL_PORT,
            key: Key::new(self.key_id, algorithm, secret),
            keys,
            itr_rlocs: locators.to_vec(),
            serves: Vec::new(),
            subscribe: true,
            cache: 65_536,
            pending: 4_096,
        }))
    }

    /// How often locators are probed, if at all.
    pub(crate) fn probe_interval(&self) -> Option<Duration> {
        (self.probe_s > 0).then(|| Duration::from_secs(self.probe_s.into()))
    }
}
