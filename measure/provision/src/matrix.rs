//! The matrix file: which clusters are provisioned, how often, and from which templates.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use result::provision::ProvisionCell;
use serde::{Deserialize, Deserializer};
use service::ConfigError;
use settings::Span;

/// The version of the matrix file's format.
const SCHEMA: u32 = 1;

/// Longest name of a cluster: it is part of labels, which hold 63 letters, and of machines' names.
const NAME_LETTERS: usize = 24;

/// Most clusters of one experiment.
const MOST: u32 = 10_000;

/// A matrix file, checked.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Matrix {
    schema: u32,
    /// The experiment's name.
    pub name: String,
    /// The seed of the order, and of what a simulation draws.
    #[serde(default = "one")]
    pub seed: u64,
    /// Clusters of each cell.
    #[serde(deserialize_with = "repetitions")]
    pub repetitions: u32,
    /// Clusters that are provisioned at the same time.
    #[serde(default = "one_at_a_time", deserialize_with = "parallel")]
    pub parallel: usize,
    /// How long a cluster may take to become ready, and then again to be deleted.
    pub timeout: Span,
    /// The namespace of every object.
    pub namespace: String,
    /// The numbers of nodes: one of the control plane, the others workers.
    pub nodes: Vec<u32>,
    /// The flavours of machines.
    #[serde(default = "no_flavour")]
    pub flavours: Vec<String>,
    /// The distributions of Kubernetes.
    #[serde(rename = "distribution")]
    pub distributions: Vec<Distribution>,
    /// Variables of every template.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    /// The file's text.
    #[serde(skip)]
    pub text: String,
}

/// A distribution of Kubernetes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Distribution {
    /// The name in tables: `kubeadm`, `k3s`.
    pub name: String,
    /// The template of its clusters; a relative path is one from the folder of the matrix file.
    pub template: PathBuf,
    /// The version of Kubernetes, as the distribution writes it.
    pub kubernetes_version: String,
    /// Variables of this template, before those of the file.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
}

/// One cluster that is to be provisioned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PlannedCluster {
    /// The kind of cluster.
    pub cell: ProvisionCell,
    /// The number within the cell, from 1.
    pub repetition: u32,
}

const fn one() -> u64 {
    1
}

const fn one_at_a_time() -> usize {
    1
}

fn repetitions<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    settings::whole_key(from, 1..=MOST)
}

fn parallel<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    settings::whole_key(from, 1..=MOST as usize)
}

fn no_flavour() -> Vec<String> {
    vec![String::new()]
}

impl Matrix {
    /// Reads a matrix file.
    pub(crate) fn load(path: &Path) -> Result<Self, ConfigError> {
        let origin = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            let remedy = "Name a matrix file, such as k8s/capi/figure-4.toml.";
            ConfigError::new(
                "the matrix file",
                &origin,
                format!("it cannot be read: {error}"),
                remedy,
            )
        })?;
        let mut matrix = Self::parse(&text, &origin)?;
        let folder = path.parent().unwrap_or_else(|| Path::new("."));
        for distribution in &mut matrix.distributions {
            distribution.template = folder.join(&distribution.template);
        }
        Ok(matrix)
    }

    fn parse(text: &str, origin: &str) -> Result<Self, ConfigError> {
        const REMEDY: &str = "docs/provisioning.md has every key and an example.";
        let wrong = |value: &str, why: String| ConfigError::new(origin, value, why, REMEDY);
        let mut matrix: Self = toml::from_str(text).map_err(|error| {
            // The line has the key beside the value.
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = before.map_or(0, |before| before.matches('\n').count());
            let told = text.lines().nth(line).unwrap_or_default().trim();
            wrong(told, format!("line {}: {}", line + 1, error.message()))
        })?;
        text.clone_into(&mut matrix.text);
        if matrix.schema != SCHEMA {
            let why = format!("this program reads version {SCHEMA} of the format");
            return Err(wrong(&format!("schema = {}", matrix.schema), why));
        }
        for (key, is_empty) in [
            (
                "nodes",
                matrix.nodes.is_empty() || matrix.nodes.contains(&0),
            ),
            ("flavours", matrix.flavours.is_empty()),
            ("distribution", matrix.distributions.is_empty()),
            ("timeout", matrix.timeout.0.is_zero()),
        ] {
            if is_empty {
                return Err(wrong(key, "it must be at least one".to_owned()));
            }
        }
        if let Some(twice) = first_twice(&matrix) {
            return Err(wrong(&twice, "it is there twice".to_owned()));
        }
        let names = matrix.distributions.iter().map(|one| &one.name);
        if let Some(bad) = names
            .chain([&matrix.namespace])
            .find(|name| !is_label(name))
        {
            let why = format!(
                "it must be at most {NAME_LETTERS} of a-z, 0-9 and -, and begin and end with a letter or digit"
            );
            return Err(wrong(bad, why));
        }
        let count = matrix.cells().len() * matrix.repetitions as usize;
        if count > MOST as usize {
            return Err(wrong(
                &count.to_string(),
                format!("more than {MOST} clusters"),
            ));
        }
        Ok(matrix)
    }

    /// The kinds of clusters, in the file's order.
    pub(crate) fn cells(&self) -> Vec<ProvisionCell> {
        let mut cells = Vec::new();
        for distribution in &self.distributions {
            for flavour in &self.flavours {
                for nodes in &self.nodes {
                    cells.push(ProvisionCell {
                        distribution: distribution.name.clone(),
                        nodes: *nodes,
                        flavour: flavour.clone(),
                    });
                }
            }
        }
        cells
    }

    /// Every cluster in the order of provisioning: rounds of one cluster a cell, each in an order of its own, so that a slow
    /// hour of the cloud falls on every cell.
    pub(crate) fn order(&self) -> Vec<PlannedCluster> {
        let mut random = fastrand::Rng::with_seed(self.seed);
        let mut order = Vec::new();
        for repetition in 1..=self.repetitions {
            let mut round = self.cells();
            random.shuffle(&mut round);
            let planned = round
                .into_iter()
                .map(|cell| PlannedCluster { cell, repetition });
            order.extend(planned);
        }
        order
    }

    /// The distribution of a cell.
    pub(crate) fn distribution(&self, cell: &ProvisionCell) -> Option<&Distribution> {
        self.distributions
            .iter()
            .find(|one| one.name == cell.distribution)
    }

    /// The name of a cluster's object in the experiment `id`.
    pub(crate) fn cluster_name(&self, id: &str, planned: &PlannedCluster) -> String {
        let PlannedCluster { cell, repetition } = planned;
        let flavour = self.flavours.iter().position(|one| *one == cell.flavour);
        let flavour = match flavour {
            Some(place) if self.flavours.len() > 1 => format!("-f{}", place + 1),
            _ => String::new(),
        };
        format!(
            "{id}-{}-{}{flavour}-{repetition}",
            cell.distribution, cell.nodes
        )
    }
}

fn first_twice(matrix: &Matrix) -> Option<String> {
    let nodes = matrix.nodes.iter().map(|nodes| format!("nodes: {nodes}"));
    let flavours = matrix.flavours.iter().map(|one| format!("flavour {one:?}"));
    let names = matrix
        .distributions
        .iter()
        .map(|one| format!("distribution {:?}", one.name));
    let mut seen = std::collections::HashSet::new();
    nodes
        .chain(flavours)
        .chain(names)
        .find(|one| !seen.insert(one.clone()))
}

fn is_label(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = name.as_bytes();
    (1..=NAME_LETTERS).contains(&bytes.len())
        && bytes.iter().all(|byte| plain(*byte) || *byte == b'-')
        && plain(bytes[0])
        && plain(bytes[bytes.len() - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIGURE_4: &str = include_str!("../../../k8s/capi/figure-4.toml");

    #[test]
    fn the_papers_matrix_is_two_distributions_of_three_sizes_thirty_times() {
        let matrix = Matrix::parse(FIGURE_4, "figure-4.toml").expect("a matrix");
        let order = matrix.order();
        assert_eq!((matrix.cells().len(), order.len()), (6, 180));
        // A round has every cell once.
        let mut round: Vec<_> = order[..6].iter().map(|one| &one.cell).collect();
        round.sort();
        round.dedup();
        assert_eq!(round.len(), 6);
        assert_ne!(
            order[..6],
            order[6..12],
            "each round has an order of its own"
        );
        let again = Matrix::parse(FIGURE_4, "figure-4.toml").expect("a matrix");
        assert_eq!(again.order(), order, "drawn from the seed");
        let mut names: Vec<_> = order
            .iter()
            .map(|one| matrix.cluster_name("p1", one))
            .collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 180);
        assert!(names.contains(&"p1-k3s-5-30".to_owned()));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (from, to, parts) in [
            ("schema = 1", "schema = 2", ["schema = 2", "version 1"]),
            (
                "repetitions = 30",
                "repetition = 30",
                ["repetition", "line"],
            ),
            (
                "nodes = [1, 3, 5]",
                "nodes = [1, 3, 3]",
                ["nodes: 3", "twice"],
            ),
            ("nodes = [1, 3, 5]", "nodes = []", ["nodes", "at least one"]),
            (
                "repetitions = 30",
                "repetitions = \"30\"",
                ["repetitions = ", "1 to 10000"],
            ),
            (
                "repetitions = 30",
                "repetitions = 0",
                ["repetitions = 0", "1 to 10000"],
            ),
            ("timeout = \"20m\"", "timeout = \"soon\"", ["soon", "line"]),
            ("name = \"k3s\"", "name = \"K3S\"", ["K3S", "a-z"]),
            ("repetitions = 30", "repetitions = 3000", ["18000", "10000"]),
        ] {
            let text = FIGURE_4.replacen(from, to, 1);
            assert_ne!(text, FIGURE_4, "{from}");
            let error = Matrix::parse(&text, "m.toml").expect_err(to).to_string();
            for part in parts.into_iter().chain(["m.toml"]) {
                assert!(error.contains(part), "{to}: {error}");
            }
        }
    }
}
