//! The clusters of a run are reached and looked at before anything is measured.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use cluster::preflight::{self, Found, Needs};
use cluster::{Cluster, Faults};
use service::ConfigError;
use settings::ClusterName;
use timeline::UnixMicros;

use super::args::KubeArgs;
use super::plan::{self, KubePlan, PEER};
use super::target::KubeTarget;
use crate::scenario::{File, Scenario};

impl KubeTarget {
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
            let (cuts, drains) = plan.layout.suffers(scenario, *name);
            let needs = Needs {
                objects,
                peer: plan.layout.offloading.map(|_| PEER),
                cuts,
                drains,
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
}

fn no_cluster_b() -> ConfigError {
    ConfigError::new(
        "--context-b, --kubeconfig-b",
        String::new(),
        "a scenario of the file has two clusters, and none is named B",
        "Name one of them, or choose scenarios of one cluster by --only.",
    )
}
