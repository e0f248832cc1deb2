//! The clusters of a run: reached, and looked at, before anything is measured.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Context as _;
use cluster::preflight::{self, Found, Needs, NodeRoom};
use cluster::{Cluster, Faults};
use service::ConfigError;
use settings::ClusterName;
use timeline::UnixMicros;

use super::args::KubeArgs;
use super::plan::{self, KubePlan, PEER};
use crate::scenario::{File, Scenario};

/// The clusters that a run uses, and where what it applies is.
#[derive(Debug)]
pub struct KubeTarget {
    pub(super) args: KubeArgs,
    /// The run's id, the label of all that is applied.
    pub(super) run: String,
    /// How many namespaces have been named.
    namespaces: AtomicU32,
    clusters: Vec<Cluster>,
    /// The nodes of cluster B that take pods.
    far_nodes: Vec<NodeRoom>,
}

/// A scenario file as it runs on clusters: without floors and strips, which need the programs on this machine.
pub fn adapted(file: &File) -> File {
    let mut file = file.clone();
    for scenario in &mut file.scenario {
        scenario.floor = None;
        scenario.ocr.max_frames = 0;
    }
    file
}

impl KubeTarget {
    /// A target of which nothing is known, to render what would be applied.
    pub(super) fn unreached(args: &KubeArgs) -> Self {
        Self::named("dry-run", args)
    }

    fn named(run: &str, args: &KubeArgs) -> Self {
        Self {
            args: args.clone(),
            run: run.to_owned(),
            namespaces: AtomicU32::new(0),
            clusters: Vec::new(),
            far_nodes: Vec::new(),
        }
    }

    /// Reaches the clusters that the file's scenarios need, and looks whether they have what is needed.
    pub async fn reach(
        file: &File,
        args: &KubeArgs,
        started: UnixMicros,
    ) -> anyhow::Result<Arc<Self>> {
        let mut two = false;
        for scenario in &file.scenario {
            two |= plan::check(scenario)?.b.is_some();
        }
        let time = result::date::compact(started).to_lowercase();
        let run = format!("{time}-{:04x}", fastrand::u16(..));
        let mut target = Self::named(&run, args);
        let mut faults: Vec<cluster::Fault> = Vec::new();
        faults.extend(preflight::check_tools().await.err());
        for name in [ClusterName::A, ClusterName::B] {
            if name == ClusterName::B && !two {
                continue;
            }
            let access = args.clusters.access(name).ok_or_else(no_cluster_b)?;
            match Cluster::connect(name, &access).await {
                Ok(cluster) => target.clusters.push(cluster),
                Err(fault) => faults.push(fault),
            }
        }
        if !faults.is_empty() {
            return Err(Faults(faults).into());
        }
        let target = target.look(file).await?;
        Ok(Arc::new(target))
    }

    /// Looks at the clusters for every scenario; all that is wrong is told at once.
    async fn look(mut self, file: &File) -> anyhow::Result<Self> {
        let mut found = Found::default();
        let this = Arc::new(self);
        for scenario in &file.scenario {
            let prepared = KubePlan::new(scenario, &this)?;
            this.look_for(scenario, &prepared, &mut found).await?;
        }
        found.faults.dedup();
        if !found.faults.is_empty() {
            return Err(Faults(found.faults).into());
        }
        found.notes.sort();
        found.notes.dedup();
        for note in &found.notes {
            tracing::info!("{note}");
        }
        self = Arc::into_inner(this).context("nobody else looks")?;
        self.far_nodes = found.nodes;
        Ok(self)
    }

    async fn look_for(
        &self,
        scenario: &Scenario,
        plan: &KubePlan,
        found: &mut Found,
    ) -> anyhow::Result<()> {
        let (_, all) = plan.render().await?;
        for (name, objects) in &all {
            if let Some(renderer) = objects.find("Deployment", "renderer") {
                let mounts = renderer.pointer("/spec/template/spec/containers/0/volumeMounts");
                let mounts = mounts
                    .and_then(|mounts| mounts.as_array())
                    .into_iter()
                    .flatten();
                let mounted: Vec<&Path> = mounts
                    .filter_map(|mount| mount["mountPath"].as_str().map(Path::new))
                    .collect();
                plan::check_source(scenario, &mounted)?;
            }
            let needs = Needs {
                objects,
                peer: plan.layout.offloading.map(|_| PEER),
            };
            let of = self.cluster(*name)?.preflight(&needs).await;
            for fault in of.faults {
                if !found.faults.contains(&fault) {
                    found.faults.push(fault);
                }
            }
            found.notes.extend(of.notes);
            if *name == ClusterName::B {
                found.nodes = of.nodes;
            }
        }
        Ok(())
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

fn no_cluster_b() -> ConfigError {
    ConfigError::new(
        "--context-b, --kubeconfig-b",
        String::new(),
        "a scenario of the file has two clusters, and none is named B",
        "Name one of them, or choose scenarios of one cluster by --only.",
    )
}
