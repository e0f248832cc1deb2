//! The profile of a simulated provider: how long each step takes, as a distribution.

use std::path::Path;

use result::provision::ProvisionCell;
use serde::{Deserialize, Deserializer};
use service::ConfigError;

/// The version of the profile's format.
const SCHEMA: u32 = 1;

/// A profile file, checked.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    schema: u32,
    /// Simulated seconds in a real one.
    #[serde(deserialize_with = "time_scale")]
    pub time_scale: f64,
    /// Clusters that are simulated at the same time.
    #[serde(deserialize_with = "parallel")]
    pub parallel: usize,
    /// The kinds of clusters.
    #[serde(rename = "cell")]
    pub cells: Vec<CellProfile>,
    /// The file's text.
    #[serde(skip)]
    pub text: String,
}

/// How long the steps of one kind of cluster take, each after the one before.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CellProfile {
    pub distribution: String,
    pub nodes: u32,
    /// From the Cluster to its network.
    pub infrastructure: Lognormal,
    /// To the first Machine.
    pub machine: Lognormal,
    /// To that Machine's bootstrap data.
    pub bootstrap: Lognormal,
    /// To its virtual machine.
    pub vm: Lognormal,
    /// To its API server.
    pub api_server: Lognormal,
    /// To its node's registration.
    pub registration: Lognormal,
    /// To its node's readiness, the paper's reading of a ready control plane.
    pub node_ready: Lognormal,
    /// To the control plane's availability, today's reading.
    pub control_plane: Lognormal,
    /// To the readiness of the last worker; absent where there is none.
    pub workers: Option<Lognormal>,
    /// From the deletion to the end.
    pub deletion: Lognormal,
}

/// A lognormal distribution of a time.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lognormal {
    /// The median, in seconds.
    pub median_s: f64,
    /// The standard deviation of the time's natural logarithm.
    pub sigma: f64,
}

fn time_scale<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    settings::number_key(from, 1.0..=1000.0)
}

fn parallel<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    settings::whole_key(from, 1..=256)
}

impl Profile {
    /// Reads a profile file.
    pub(crate) fn load(path: &Path) -> Result<Self, ConfigError> {
        let origin = format!("--simulate {}", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| {
            let remedy = "Name a profile, such as k8s/capi/profile.toml.";
            ConfigError::new(&origin, "", format!("it cannot be read: {error}"), remedy)
        })?;
        Self::parse(&text, &origin)
    }

    pub(super) fn parse(text: &str, origin: &str) -> Result<Self, ConfigError> {
        let wrong = |value: &str, why: String| {
            ConfigError::new(origin, value, why, "k8s/capi/profile.toml has every key.")
        };
        let mut profile: Self = toml::from_str(text).map_err(|error| {
            // The line has the key beside the value.
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = before.map_or(0, |before| before.matches('\n').count());
            let told = text.lines().nth(line).unwrap_or_default().trim();
            wrong(told, format!("line {}: {}", line + 1, error.message()))
        })?;
        text.clone_into(&mut profile.text);
        if profile.schema != SCHEMA {
            let why = format!("this program reads version {SCHEMA} of the format");
            return Err(wrong(&profile.schema.to_string(), why));
        }
        for cell in &profile.cells {
            if let Some(bad) = cell.steps().into_iter().find(|step| !step.is_sound()) {
                let why = format!(
                    "a step of {} with {} nodes: median_s must be above 0 and at most a day, sigma from 0 to 2",
                    cell.distribution, cell.nodes
                );
                return Err(wrong(&format!("{bad:?}"), why));
            }
        }
        Ok(profile)
    }

    /// The profile of a kind of cluster.
    pub(crate) fn of(&self, distribution: &str, nodes: u32) -> Option<&CellProfile> {
        self.cells
            .iter()
            .find(|one| one.distribution == distribution && one.nodes == nodes)
    }

    /// Whether every kind of cluster has a profile.
    pub(crate) fn check(&self, cells: &[ProvisionCell]) -> Result<(), ConfigError> {
        let lacking = cells.iter().find(|cell| {
            let of = self.of(&cell.distribution, cell.nodes);
            of.is_none_or(|of| of.workers.is_none() && cell.nodes > 1)
        });
        lacking.map_or(Ok(()), |cell| {
            let remedy = "Add a [[cell]], with workers where there is more than one node.";
            Err(ConfigError::new(
                "--simulate",
                cell.to_string(),
                "the profile does not say how long these take",
                remedy,
            ))
        })
    }
}

impl CellProfile {
    /// The steps until all nodes are ready, in their order, and the deletion.
    pub(crate) fn steps(&self) -> Vec<Lognormal> {
        let mut steps = vec![
            self.infrastructure,
            self.machine,
            self.bootstrap,
            self.vm,
            self.api_server,
            self.registration,
            self.node_ready,
            self.control_plane,
        ];
        steps.extend(self.workers);
        steps.push(self.deletion);
        steps
    }
}

impl Lognormal {
    fn is_sound(&self) -> bool {
        self.median_s > 0.0 && self.median_s <= 86_400.0 && (0.0..=2.0).contains(&self.sigma)
    }
}
