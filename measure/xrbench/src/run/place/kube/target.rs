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

/// A scenario file as it runs on clusters, and what of it has no effect there, scenario by scenario: floors need the programs on this
/// machine, and the network and the limits are what the clusters have. A result must not name what it did not have.
pub fn adapted(file: &File) -> (File, Vec<String>) {
    let mut file = file.clone();
    let mut without_effect = Vec::new();
    for scenario in &mut file.scenario {
        let keys = [
            ("floor", scenario.floor.take().is_some()),
            ("wan", scenario.wan.take().is_some()),
            ("limits", std::mem::take(&mut scenario.limits)),
        ];
        let keys = keys.iter().filter(|(_, was_set)| *was_set);
        let keys: Vec<_> = keys.map(|(key, _)| *key).collect();
        if !keys.is_empty() {
            without_effect.push(format!("{}: {}", scenario.name, keys.join(", ")));
        }
    }
    (file, without_effect)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Overrides;

    #[test]
    fn what_has_no_effect_on_clusters_is_said_and_is_in_no_result() {
        let text = "schema = 1\nname = \"x\"\n[[scenario]]\nname = \"far\"\nfabric = \"liqo\"\nlimits = true\nfloor = {}\n\
                    wan = { preset = \"frankfurt-geneva\" }\n[[scenario]]\nname = \"near\"\nfabric = \"single\"\n";
        let file =
            crate::scenario::parse(text, "x.toml", &Overrides::default()).expect("a scenario file");
        let (file, without_effect) = adapted(&file);
        assert_eq!(without_effect, ["far: floor, wan, limits"]);
        let [far, near] = &file.scenario[..] else {
            unreachable!("two were written")
        };
        assert_eq!((far.floor, &far.wan, far.limits), (None, &None, false));
        assert_eq!(near.name, "near");
    }
}
