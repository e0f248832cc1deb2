//! The configuration file of `xr-lisp control`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use serde::Deserialize;
use service::{ConfigError, Secret};

use crate::auth::{Algorithm, Key, KeyRing};
use crate::eid::Eid;
use crate::server::{Policy, ServerConfig, Site};
use crate::services::{Book, Pool, ServiceName, check_label};

const MICROS: u64 = 1_000_000;

/// Services that are kept.
const MOST_SERVICES: usize = 65_536;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    /// The address at which xTRs reach this Map-Server.
    address: IpAddr,
    #[serde(default)]
    site: Vec<SiteTable>,
    #[serde(default)]
    pool: Vec<PoolTable>,
    #[serde(default)]
    reservation: Vec<ReservationTable>,
    #[serde(default)]
    policy: Vec<PolicyTable>,
    /// How long the address of a service that no cluster has stays its own, in seconds.
    #[serde(default = "day")]
    grace_s: u64,
    /// Whether ITRs without a subscription are solicited from here.
    #[serde(default = "yes")]
    solicits: bool,
}

const fn yes() -> bool {
    true
}

const fn day() -> u64 {
    24 * 60 * 60
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct SiteTable {
    id: u64,
    name: String,
    key: Vec<KeyTable>,
    #[serde(default)]
    prefixes: Vec<Eid>,
    #[serde(default)]
    rlocs: Vec<IpNet>,
    #[serde(default)]
    sha1: bool,
    #[serde(default)]
    lax_nonces: bool,
    #[serde(default)]
    anonymous: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct KeyTable {
    id: u8,
    file: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PoolTable {
    name: String,
    prefix: Eid,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReservationTable {
    service: ServiceName,
    address: Eid,
}

#[derive(Debug, Deserialize)]
struct PolicyTable {
    prefix: Eid,
    #[serde(flatten)]
    policy: Policy,
}

/// The configuration in the file, checked.
#[derive(Debug)]
pub(super) struct Config {
    pub(super) server: ServerConfig,
    pub(super) book: Book,
    pub(super) policies: Vec<(Eid, Policy)>,
    /// Site-IDs by the names of their clusters.
    pub(super) clusters: BTreeMap<String, u64>,
}

impl Config {
    /// Reads and checks the file; key files are looked for beside it.
    pub(super) fn load(path: &Path) -> Result<Self, ConfigError> {
        let origin = "--config (XR_LISP_CONFIG)";
        let wrong = |why: String, remedy: &str| {
            ConfigError::new(origin, path.display().to_string(), why, remedy)
        };
        let text = std::fs::read_to_string(path).map_err(|error| {
            wrong(
                error.to_string(),
                "Name a readable file; docs/lisp.md has one.",
            )
        })?;
        let file: File = toml::from_str(&text)
            .map_err(|error| wrong(error.to_string(), "docs/lisp.md has every key."))?;
        let folder = path.parent().unwrap_or_else(|| Path::new("."));
        let remedy = "Correct the file; docs/lisp.md has every key.";
        let mut sites = BTreeMap::new();
        let mut clusters = BTreeMap::new();
        for table in file.site {
            check_label(&table.name, "name of a site")
                .map_err(|error| wrong(error.to_string(), remedy))?;
            let (id, name) = (table.id, table.name.clone());
            let site = table.load(folder).map_err(|error| match error {
                Wrong::Key(error) => error,
                Wrong::Site(why) => wrong(format!("site {name:?}: {why}"), remedy),
            })?;
            if clusters.insert(name.clone(), id).is_some() || sites.insert(id, site).is_some() {
                return Err(wrong(
                    format!("two sites have the name {name:?} or the id {id}"),
                    remedy,
                ));
            }
        }
        let mut pools: Vec<Pool> = Vec::new();
        for PoolTable { name, prefix } in file.pool {
            let meets = |other: &Pool| {
                other.name == name || other.eid.contains(&prefix) || prefix.contains(&other.eid)
            };
            if pools.iter().any(meets) {
                let why = format!("pool {name:?} has the name or addresses of another");
                return Err(wrong(why, remedy));
            }
            pools.push(Pool { name, eid: prefix });
        }
        let mut reserved = BTreeMap::new();
        for ReservationTable { service, address } in file.reservation {
            let in_a_pool = pools
                .iter()
                .any(|pool| pool.eid.contains(&address) && pool.has(address.address()));
            let is_host = address == Eid::host(address.instance(), address.address());
            if !in_a_pool || !is_host {
                let why =
                    format!("the reservation of {service} is no address of a pool: {address}");
                return Err(wrong(why, remedy));
            }
            if reserved.insert(service.clone(), address).is_some() {
                return Err(wrong(format!("{service} has two reservations"), remedy));
            }
        }
        let different: BTreeSet<_> = reserved.values().collect();
        if different.len() < reserved.len() {
            return Err(wrong(
                "two services have one reservation".to_owned(),
                remedy,
            ));
        }
        let mut server = ServerConfig::new(file.address, sites);
        server.prefixes = pools.iter().map(|pool| pool.eid).collect();
        server.solicits = file.solicits;
        for PolicyTable { prefix, policy } in &file.policy {
            let named = policy.clusters();
            if let Some(name) = named.iter().find(|name| !clusters.contains_key(**name)) {
                let known: Vec<_> = clusters.keys().map(String::as_str).collect();
                let known = known.join(", ");
                let why =
                    format!("the policy of {prefix} names {name:?}, and the sites are {known}");
                return Err(wrong(why, remedy));
            }
        }
        let policies = file
            .policy
            .into_iter()
            .map(|table| (table.prefix, table.policy));
        Ok(Self {
            server,
            book: Book::new(
                pools,
                reserved,
                file.grace_s.saturating_mul(MICROS),
                MOST_SERVICES,
            ),
            policies: policies.collect(),
            clusters,
        })
    }
}

enum Wrong {
    Key(ConfigError),
    Site(&'static str),
}

impl SiteTable {
    fn load(self, folder: &Path) -> Result<Site, Wrong> {
        let mut keys = KeyRing::new();
        let mut first = None;
        for table in &self.key {
            let origin = format!("the file of key {} of site {:?}", table.id, self.name);
            let secret =
                Secret::from_file(&folder.join(&table.file), &origin).map_err(Wrong::Key)?;
            let secret = secret.expose().as_bytes();
            keys = keys.with(table.id, secret);
            let algorithm = if self.sha1 {
                Algorithm::Sha1
            } else {
                Algorithm::Sha256
            };
            first.get_or_insert_with(|| Key::new(table.id, algorithm, secret));
        }
        let key = first.ok_or(Wrong::Site("it has no key"))?;
        if self.anonymous && self.prefixes.is_empty() {
            return Err(Wrong::Site(
                "it is anonymous and has no prefixes, by which its xTRs would be known",
            ));
        }
        Ok(Site {
            name: self.name,
            keys: if self.sha1 { keys.with_sha1() } else { keys },
            key,
            prefixes: self.prefixes,
            rlocs: self.rlocs,
            lax_nonces: self.lax_nonces,
            anonymous: self.anonymous,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
        address = "10.0.0.1"
        grace-s = 60

        [[site]]
        id = 1
        name = "seoul"
        key = [{ id = 2, file = "new" }, { id = 1, file = "old" }]
        rlocs = ["10.0.0.0/24"]

        [[site]]
        id = 2
        name = "legacy"
        key = [{ id = 0, file = "old" }]
        prefixes = ["192.168.1.0/24"]
        sha1 = true
        anonymous = true
        lax-nonces = true

        [[pool]]
        name = "default"
        prefix = "10.112.0.0/16"

        [[reservation]]
        service = "shop/front"
        address = "10.112.0.5"

        [[policy]]
        prefix = "10.112.0.5"
        kind = "order"
        clusters = ["seoul"]
    "#;

    fn load(text: &str) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lisp.toml");
        std::fs::write(&path, text).unwrap();
        std::fs::write(folder.path().join("old"), "secretA\n").unwrap();
        std::fs::write(folder.path().join("new"), "secretB\n").unwrap();
        Config::load(&path)
    }

    #[test]
    fn a_file_is_read() {
        let config = load(FILE).unwrap();
        let seoul = &config.server.sites[&1];
        assert_eq!(seoul.key, Key::new(2, Algorithm::Sha256, b"secretB"));
        assert_eq!(config.clusters["legacy"], 2);
        assert!(config.server.sites[&2].anonymous);
        let front = "shop/front".parse().unwrap();
        assert_eq!(
            config
                .book
                .allocate(&front, "seoul", None, None)
                .unwrap()
                .0
                .to_string(),
            "10.112.0.5/32"
        );
        assert_eq!(config.policies.len(), 1);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (from, to, told) in [
            ("grace-s", "grace", "unknown field `grace`"),
            ("id = 2\n", "id = 1\n", "the id 1"),
            ("\"legacy\"", "\"Legacy\"", "no name of a site"),
            (
                "file = \"new\"",
                "file = \"none\"",
                "key 2 of site \"seoul\"",
            ),
            ("prefixes = [\"192.168.1.0/24\"]", "", "it is anonymous"),
            (
                "key = [{ id = 0, file = \"old\" }]",
                "key = []",
                "it has no key",
            ),
            (
                "address = \"10.112.0.5\"",
                "address = \"10.112.0.0\"",
                "no address of a pool",
            ),
            ("\"shop/front\"", "\"front\"", "no name of a service"),
            ("\"order\"", "\"fastest\"", "fastest"),
            (
                "clusters = [\"seoul\"]",
                "clusters = [\"busan\"]",
                "names \"busan\", and the sites are legacy, seoul",
            ),
        ] {
            assert!(FILE.contains(from), "{from}");
            let error = load(&FILE.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(error.contains(told), "{from} -> {to}: {error}");
        }
    }
}
