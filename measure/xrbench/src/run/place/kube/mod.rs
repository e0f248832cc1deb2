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
mod strips;
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

use super::terms::{Ended, Fault, Node, PlaceMeta, Setup};
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
    /// Who may reach whom in each cluster, as it was applied.
    policies: Vec<(ClusterName, Vec<Value>)>,
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
        let policies = prepared.objects.iter();
        let policies = policies.map(|(cluster, objects)| (*cluster, objects.network_policies()));
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
            policies: policies.collect(),
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

    /// Cuts a cluster off, or joins it again.
    pub(super) async fn inject(&self, fault: Fault) -> anyhow::Result<()> {
        let (name, begins) = match fault {
            Fault::OutageBegins(name) => (name, true),
            Fault::OutageEnds(name) => (name, false),
            Fault::KillGateway(_) | Fault::Move(_) => {
                anyhow::bail!("the network of others' clusters is not ours to change: {fault:?}")
            }
        };
        let target = &self.plan.target;
        let (cluster, namespace) = (target.cluster(name)?, &self.plan.namespace);
        let of = self.policies.iter().find(|(of, _)| *of == name);
        let policies = of.map_or(&[][..], |(_, policies)| policies);
        if begins {
            cluster.cut_off(&target.run, namespace, policies).await?;
        } else {
            cluster.join_again(namespace, policies).await?;
        }
        Ok(())
    }

    /// Has a node take no more pods, and evicts those of the run. The collector stays: it is the instrument.
    pub(super) async fn drain(&self, node: &Node) -> anyhow::Result<()> {
        let target = &self.plan.target;
        let (cluster, namespace) = (target.cluster(node.cluster)?, &self.plan.namespace);
        let told = if cluster.cordon(&node.name, &target.run).await? {
            "on purpose"
        } else {
            "it took no pods already, and stays so"
        };
        self.events.now("cordoned", &node.name, told);
        let pods = cluster.pods_on(namespace, &target.run, &node.name).await?;
        for one in pods.iter().filter(|one| one.workload != COLLECTOR) {
            self.events.now("evicted", &one.workload, &one.pod);
            cluster.evict(namespace, &one.pod).await?;
        }
        Ok(())
    }

    /// Has a node take pods again that this run has cordoned.
    pub(super) async fn undrain(&self, node: &Node) -> anyhow::Result<()> {
        let target = &self.plan.target;
        let cluster = target.cluster(node.cluster)?;
        let cordoned = cluster.cordoned(Some(&target.run)).await?;
        for one in cordoned.iter().filter(|one| one.node == node.name) {
            cluster.uncordon(one).await?;
            self.events.now("uncordoned", &one.node, "");
        }
        Ok(())
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
