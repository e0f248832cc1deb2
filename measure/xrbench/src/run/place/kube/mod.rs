//! Kubernetes as a place: the programs as pods of one or two clusters, from the manifests in `k8s/`.
//!
//! ```text
//! target: clusters reached, and looked at, once a run
//! plan -> prepared: the objects of a scenario -> up: all but the workloads applied -> start: a workload with its arguments
//! follower: the collector's result, streamed out of its pod as it grows        usage: what the kubelets tell
//! ```
//!
//! A repetition has a namespace of its own in each cluster, which goes with it.

mod args;
mod certificate;
pub mod clean;
mod dry;
mod follower;
mod grid;
mod limits;
mod plan;
mod pods;
mod prepared;
mod reach;
mod target;
mod usage;

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use collect::Live;
use parking_lot::Mutex;
use serde_json::Value;
use settings::{ClusterName, Role};
use testbed::Spec;
use tokio::task::JoinSet;

use super::terms::{Ended, Fault, PlaceMeta, Setup};
use crate::run::addresses::Addresses;
use crate::run::events::Events;
pub use args::{ClusterArgs, KubeArgs};
pub use dry::text as dry_text;
pub(in crate::run) use follower::Follower;
use limits::{COLLECTOR, COLLECTOR_READY, OFFLOADED};
pub(super) use plan::KubePlan;
pub(super) use pods::Pods;
use pods::Started;
pub use target::{KubeTarget, adapted};
use usage::Usage;

/// Clusters on which the objects of a scenario stand.
#[derive(Debug)]
pub(in crate::run) struct KubePlace {
    plan: KubePlan,
    addresses: Addresses,
    /// What is applied when a role is started: its cluster, and its Deployments.
    workloads: BTreeMap<Role, (ClusterName, Vec<Value>)>,
    usage: Usage,
    events: Events,
    logs: result::RepetitionFolder,
    /// Pods whose use is asked for.
    started: Arc<Mutex<Vec<Started>>>,
    /// Follows the collector's log until the place goes.
    _log: JoinSet<()>,
}

impl KubePlace {
    /// Applies everything but renderer, streamer and clients, and waits for the collector.
    pub(super) async fn up(plan: KubePlan, setup: &Setup<'_>) -> anyhow::Result<Self> {
        let target = Arc::clone(&plan.target);
        let prepared = plan.prepare().await?;
        if let Some(offloading) = &prepared.offloading {
            let a = target.cluster(ClusterName::A)?;
            a.apply(offloading).await?;
            for object in offloading.of_kind("NamespaceOffloading") {
                let failed = ["SomeFailed", "AllFailed", "NoClusterSelected"];
                let field = "status.offloadingPhase";
                a.field(object, field, "Ready", &failed, OFFLOADED).await?;
            }
        }
        for (cluster, objects) in &prepared.objects {
            target.cluster(*cluster)?.apply(objects).await?;
        }
        let versions = target.versions().join(", ");
        setup.events.now("applied", "xrbench", &versions);
        let started = Arc::<Mutex<Vec<Started>>>::default();
        let a = target.cluster(ClusterName::A)?;
        let namespace = &plan.namespace;
        let pods = a.available(namespace, COLLECTOR, COLLECTOR_READY).await;
        pods.context("the collector does not start")?;
        let mut log = JoinSet::new();
        let (cluster, of) = (a.clone(), namespace.clone());
        let file = setup.folder.log(COLLECTOR);
        log.spawn(async move { cluster.follow_logs(&of, COLLECTOR, &file).await });
        Ok(Self {
            addresses: prepared.addresses,
            workloads: prepared.workloads,
            usage: Usage::start(Arc::clone(&target), Arc::clone(&started), setup),
            events: setup.events.clone(),
            logs: setup.folder.clone(),
            started,
            _log: log,
            plan,
        })
    }

    /// Where the programs find one another.
    pub(super) const fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Starts the pods of a role with the arguments that a process of it would have.
    pub(super) async fn start(&self, role: Role, spec: Spec) -> anyhow::Result<Pods> {
        let (cluster, deployments) = self
            .workloads
            .get(&role)
            .with_context(|| format!("the overlay of this scenario has no {role}"))?;
        let target = &self.plan.target;
        let pods = Pods::start(pods::Start {
            cluster: target.cluster(*cluster)?.clone(),
            namespace: self.plan.namespace.clone(),
            deployments: deployments.clone(),
            role,
            args: spec.args,
            folder: self.logs.clone(),
            started: Arc::clone(&self.started),
            events: self.events.clone(),
        });
        pods.await
    }

    /// Streams the collector's result into the folder of the repetition, from now on.
    pub(in crate::run) fn follow(&self, live: &Arc<Live>) -> anyhow::Result<Follower> {
        let target = &self.plan.target;
        let a = target.cluster(ClusterName::A)?;
        Follower::start(
            a.clone(),
            &self.plan.namespace,
            &self.logs,
            self.events.clone(),
            Arc::clone(live),
        )
    }

    /// No fault of the place itself can be made here: those of a scenario are refused before it begins.
    pub(super) fn inject(fault: Fault) -> anyhow::Result<()> {
        anyhow::bail!("clusters of others have neither a WAN nor gateways of ours: {fault:?}")
    }

    /// Deletes what was applied, and tells what was used.
    pub(super) async fn down(self) -> Ended {
        let mut meta: PlaceMeta = self.plan.meta();
        meta.resources = Some(self.usage.end().await);
        if let Err(faults) = self.plan.target.remove().await {
            self.events
                .now("not deleted", "xrbench", &format!("{faults:#}"));
        }
        Ended {
            meta,
            used: Vec::new(),
        }
    }
}
