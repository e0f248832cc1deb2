//! The clusters of a run, and where what it applies is.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Context as _;
use cluster::preflight::NodeRoom;
use cluster::{Cluster, Faults};
use settings::ClusterName;

use super::args::KubeArgs;
use crate::scenario::File;

/// The clusters that a run uses, and where what it applies is.
#[derive(Debug)]
pub struct KubeTarget {
    pub(super) args: KubeArgs,
    /// The run's id, the label of all that is applied.
    pub(super) run: String,
    /// How many namespaces have been named.
    namespaces: AtomicU32,
    pub(super) clusters: Vec<Cluster>,
    /// The nodes of cluster B that take pods.
    pub(super) far_nodes: Vec<NodeRoom>,
}

/// A scenario file as it runs on clusters: without floors, which need the programs on this machine.
pub fn adapted(file: &File) -> File {
    let mut file = file.clone();
    for scenario in &mut file.scenario {
        scenario.floor = None;
    }
    file
}

impl KubeTarget {
    /// A target of which nothing is known, to render what would be applied.
    pub(super) fn unreached(args: &KubeArgs) -> Self {
        Self::named("dry-run", args)
    }

    /// A target of this name, of which nothing is reached yet.
    pub(super) fn named(run: &str, args: &KubeArgs) -> Self {
        Self {
            args: args.clone(),
            run: run.to_owned(),
            namespaces: AtomicU32::new(0),
            clusters: Vec::new(),
            far_nodes: Vec::new(),
        }
    }

    /// The name of another namespace: none is made twice, because a node may still know things of one that is gone.
    pub(super) fn next_namespace(&self) -> String {
        let number = self.namespaces.fetch_add(1, Ordering::Relaxed) + 1;
        format!("xrbench-{}-{number}", self.run)
    }

    /// A cluster that the run uses.
    pub(super) fn cluster(&self, name: ClusterName) -> anyhow::Result<&Cluster> {
        let mut clusters = self.clusters.iter();
        clusters
            .find(|cluster| cluster.name() == name)
            .with_context(|| format!("cluster {name} was not reached"))
    }

    /// The node of cluster B whose address peers use.
    pub(super) fn far_node(&self) -> Option<&NodeRoom> {
        self.far_nodes.iter().find(|node| node.address.is_some())
    }

    /// What each cluster is, for people.
    pub fn versions(&self) -> Vec<String> {
        let told = |one: &Cluster| format!("cluster {}: Kubernetes {}", one.name(), one.version());
        self.clusters.iter().map(told).collect()
    }

    /// The versions, for `run.json`.
    pub fn programs(&self) -> Vec<(String, String)> {
        let told = |one: &Cluster| {
            (
                format!("kubernetes-{}", one.name()),
                one.version().to_owned(),
            )
        };
        let mut programs: Vec<_> = self.clusters.iter().map(told).collect();
        let manifests = self.args.manifests.display().to_string();
        programs.push(("manifests".to_owned(), manifests));
        programs
    }

    /// Deletes what the run has applied, in each cluster, and waits until it is gone.
    pub async fn remove(&self) -> Result<(), Faults> {
        let removals = self
            .clusters
            .iter()
            .map(|cluster| cluster.remove_run(&self.run, super::limits::GONE));
        let faults: Vec<_> = futures::future::join_all(removals)
            .await
            .into_iter()
            .filter_map(Result::err)
            .collect();
        if faults.is_empty() {
            Ok(())
        } else {
            Err(Faults(faults))
        }
    }
}
