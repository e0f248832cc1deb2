//! The folder of a provisioning experiment: how long Cluster API took to bring up clusters.
//!
//! ```text
//! provision.json  clusters.csv  transitions.csv  provision.html
//! ```

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use timeline::UnixMicros;

use crate::machine::Machine;
use crate::run::RunState;

/// The version of `provision.json` and its CSV files.
pub const PROVISION_VERSION: u32 = 1;

/// The folder of a provisioning experiment.
#[derive(Clone, Debug)]
pub struct ProvisionFolder {
    root: PathBuf,
}

impl ProvisionFolder {
    /// The folder at `root`, which need not exist.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The path of the folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What was measured, and on what: [`ProvisionInfo`].
    pub fn info_json(&self) -> PathBuf {
        self.root.join("provision.json")
    }

    /// A [`ClusterRow`] for each cluster whose provisioning has ended, well or not.
    pub fn clusters_csv(&self) -> PathBuf {
        self.root.join("clusters.csv")
    }

    /// A [`TransitionRow`] for each transition of each such cluster.
    pub fn transitions_csv(&self) -> PathBuf {
        self.root.join("transitions.csv")
    }

    /// The page that shows the experiment.
    pub fn page_html(&self) -> PathBuf {
        self.root.join("provision.html")
    }
}

/// `provision.json`: what was measured, and on what. Written at the start, and again at the end.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ProvisionInfo {
    /// [`PROVISION_VERSION`] of the writer.
    pub schema_version: u32,
    /// The name in the matrix file.
    pub name: String,
    /// How far the experiment got.
    pub state: RunState,
    /// The value of the label `xrbench.io/provision` that each object has.
    pub id: String,
    /// When the experiment began.
    pub started_us: UnixMicros,
    /// The seed of the order, and of what a simulation draws.
    pub seed: u64,
    /// Clusters of each cell.
    pub repetitions: u32,
    /// Clusters that were provisioned at the same time.
    pub parallel: usize,
    /// The cells of the matrix, in the file's order.
    pub cells: Vec<ProvisionCell>,
    /// The version of the management cluster's API server.
    pub server_version: String,
    /// The simulated provider; absent where real ones provisioned.
    pub simulated: Option<SimulatedProvider>,
    /// The matrix file's text.
    pub matrix: String,
    /// The machine that watched.
    pub machine: Machine,
}

/// A provider that was played by xrbench itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SimulatedProvider {
    /// The profile file's text.
    pub profile: String,
    /// Simulated seconds in a real one. Every time in the folder is a simulated one.
    pub time_scale: f64,
}

/// One kind of cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProvisionCell {
    /// The distribution of Kubernetes: `kubeadm`, `k3s`.
    pub distribution: String,
    /// The number of nodes, control plane and workers together.
    pub nodes: u32,
    /// The flavour of the nodes' machines.
    pub flavour: String,
}

impl std::fmt::Display for ProvisionCell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let plural = if self.nodes == 1 { "" } else { "s" };
        write!(f, "{}, {} node{plural}", self.distribution, self.nodes)?;
        if !self.flavour.is_empty() {
            write!(f, ", {}", self.flavour)?;
        }
        Ok(())
    }
}

/// What became of a cluster.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, strum::Display,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ClusterOutcome {
    /// Every node became ready.
    #[default]
    Ready,
    /// The provider said that the cluster failed, or somebody deleted it.
    Failed,
    /// The time limit passed before every node was ready.
    Late,
}

/// A line of `clusters.csv`: one cluster, from its manifests to its deletion.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterRow {
    /// The cluster's name.
    pub cluster: String,
    /// [`ProvisionCell::distribution`].
    pub distribution: String,
    /// [`ProvisionCell::nodes`].
    pub nodes: u32,
    /// [`ProvisionCell::flavour`].
    pub flavour: String,
    /// The number of the cluster within its cell, from 1.
    pub repetition: u32,
    /// When the Cluster object was accepted.
    pub applied_us: UnixMicros,
    /// How long the manifests took to be made from their template, in microseconds of real time.
    pub generation_us: u64,
    /// What became of the cluster.
    pub outcome: ClusterOutcome,
    /// The time from the deletion's acceptance until the Cluster object was gone, in microseconds; absent where it was not seen.
    pub deletion_us: Option<u64>,
    /// The reason why the cluster is not ready.
    pub detail: String,
}

impl ClusterRow {
    /// The cell that the cluster is of.
    pub fn cell(&self) -> ProvisionCell {
        ProvisionCell {
            distribution: self.distribution.clone(),
            nodes: self.nodes,
            flavour: self.flavour.clone(),
        }
    }
}

/// A step on a cluster's way from its manifests to ready nodes, in the usual order.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumIter,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Transition {
    /// The network and load balancer are there: Cluster, condition `InfrastructureReady`.
    #[default]
    InfrastructureReady,
    /// The first Machine of the control plane was created.
    MachineCreated,
    /// The Machine's condition `BootstrapConfigReady` is true.
    BootstrapReady,
    /// The virtual machine runs: that Machine's condition `InfrastructureReady`.
    VmActive,
    /// The API server answered: Cluster, condition `ControlPlaneInitialized`.
    ControlPlaneInitialized,
    /// The first node of the control plane is registered: Machine, `status.nodeRef`.
    NodeRegistered,
    /// The node is ready: Machine, condition `NodeReady`.
    NodeReady,
    /// The paper's reading of "control plane ready", Cluster API 1.3's: the control plane object has a ready replica.
    ControlPlaneNodeReady,
    /// Today's reading of "control plane ready": Cluster, condition `ControlPlaneAvailable`.
    ControlPlaneAvailable,
    /// Every Machine of the cluster exists, and its condition `NodeReady` holds.
    AllNodesReady,
}

/// A line of `transitions.csv`: when a cluster came to a step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransitionRow {
    /// The cluster's name.
    pub cluster: String,
    /// The step.
    pub transition: Transition,
    /// The time from the Cluster's acceptance until a watch told of the step, in microseconds by the watcher's monotonic clock.
    pub elapsed_us: u64,
    /// When the provider says that it happened, which is cut to whole seconds; absent where objects do not say.
    pub reported_us: Option<UnixMicros>,
}
