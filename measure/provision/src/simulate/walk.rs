//! The life of one simulated cluster: its objects and their conditions, in the order in which Cluster API's controllers would
//! set them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::draw::{Draws, Times};
use crate::LABEL;
use crate::management::{CLUSTER_API, CLUSTER_NAME, CONTROL_PLANE, Management};
use crate::template::{DISTRIBUTION, FLAVOUR, NODES, REPETITION};

/// Holds the Cluster until its simulated machines are gone.
const FINALIZER: &str = "xrbench.io/simulated";

/// The reason of every condition that is set here.
const REASON: &str = "SimulatedByXrbench";

/// A cluster, and when its steps come.
pub(super) struct Walk {
    management: Management,
    cluster: DynamicObject,
    name: String,
    nodes: u32,
    draws: Arc<Draws>,
    seen: Instant,
}

/// An object's conditions, as they grow.
struct Conditions {
    api: Api<DynamicObject>,
    name: String,
    set: Vec<Value>,
}

impl Conditions {
    fn new(api: &Api<DynamicObject>, name: &str) -> Self {
        Self {
            api: api.clone(),
            name: name.to_owned(),
            set: Vec::new(),
        }
    }

    /// Sets a condition to true, with the rest of the status.
    async fn set(&mut self, kind: &str, mut status: Value) -> anyhow::Result<()> {
        let now = service::clock::now().0 / 1_000_000;
        let at = jiff::Timestamp::from_second(now.cast_signed()).unwrap_or_default();
        self.set.push(json!({
            "type": kind, "status": "True", "reason": REASON, "message": "simulated", "lastTransitionTime": at.to_string(),
        }));
        status["conditions"] = json!(self.set);
        patch_status(&self.api, &self.name, status).await
    }
}

async fn patch_status(api: &Api<DynamicObject>, name: &str, status: Value) -> anyhow::Result<()> {
    let patch = Patch::Merge(json!({"status": status}));
    let patched = api
        .patch_status(name, &PatchParams::default(), &patch)
        .await;
    patched
        .map(drop)
        .with_context(|| format!("the status of {name}"))
}

impl Walk {
    pub(super) fn new(management: &Management, cluster: DynamicObject, draws: Arc<Draws>) -> Self {
        let label = |key: &str| {
            cluster
                .metadata
                .labels
                .as_ref()
                .and_then(|of| of.get(key)?.parse().ok())
        };
        Self {
            name: cluster.metadata.name.clone().unwrap_or_default(),
            nodes: label(NODES).unwrap_or(1),
            management: management.clone(),
            cluster,
            draws,
            seen: Instant::now(),
        }
    }

    fn times(&self) -> anyhow::Result<Times> {
        let metadata = &self.cluster.metadata;
        let label = |key: &str| {
            metadata
                .labels
                .as_ref()
                .and_then(|of| of.get(key))
                .map_or("", String::as_str)
        };
        let flavour = metadata
            .annotations
            .as_ref()
            .and_then(|of| of.get(FLAVOUR))
            .map_or("", String::as_str);
        let place = flavour
            .bytes()
            .fold(0_u64, |sum, byte| sum.wrapping_mul(31) + u64::from(byte));
        let times = self.draws.times(
            label(DISTRIBUTION),
            self.nodes,
            place,
            label(REPETITION).parse()?,
        );
        times.context("the profile has no such cell")
    }

    /// Brings the cluster up.
    pub(super) async fn come(self) -> anyhow::Result<()> {
        let times = self.times()?;
        let clusters = self.management.of_kind(CLUSTER_API, "Cluster").await?;
        let machines = self.management.of_kind(CLUSTER_API, "Machine").await?;
        let hold = Patch::Merge(json!({"metadata": {"finalizers": [FINALIZER]}}));
        clusters
            .patch(&self.name, &PatchParams::default(), &hold)
            .await
            .context("the finalizer")?;
        let mut cluster = Conditions::new(&clusters, &self.name);
        let mut after = Duration::ZERO;
        let mut wait = |more: Duration| {
            after += more;
            sleep_until(self.seen + after)
        };

        wait(times.infrastructure).await;
        let provisioned =
            json!({"phase": "Provisioning", "initialization": {"infrastructureProvisioned": true}});
        cluster.set("InfrastructureReady", provisioned).await?;
        wait(times.machine).await;
        let first = format!("{}-cp-1", self.name);
        machines
            .create(&PostParams::default(), &self.machine(&first, true)?)
            .await
            .context("the first Machine")?;
        let mut machine = Conditions::new(&machines, &first);
        wait(times.bootstrap).await;
        machine
            .set("BootstrapConfigReady", json!({"phase": "Provisioning"}))
            .await?;
        wait(times.vm).await;
        machine
            .set("InfrastructureReady", json!({"phase": "Provisioned"}))
            .await?;
        wait(times.api_server).await;
        let initialized =
            json!({"phase": "Provisioned", "initialization": {"controlPlaneInitialized": true}});
        cluster.set("ControlPlaneInitialized", initialized).await?;
        let mut workers = Vec::new();
        for number in 1..self.nodes {
            let name = format!("{}-md-0-{number}", self.name);
            machines
                .create(&PostParams::default(), &self.machine(&name, false)?)
                .await
                .context("a worker")?;
            workers.push(name);
        }
        wait(times.registration).await;
        patch_status(
            &machines,
            &first,
            json!({"phase": "Running", "nodeRef": {"name": first}}),
        )
        .await?;
        wait(times.node_ready).await;
        // The control plane's own controller learns of it a moment later.
        machine.set("NodeReady", json!({})).await?;
        self.control_plane_is_ready().await?;
        wait(times.control_plane).await;
        cluster.set("ControlPlaneAvailable", json!({})).await?;
        if workers.is_empty() {
            return Ok(());
        }
        wait(times.workers).await;
        for name in &workers {
            let status = json!({"phase": "Running", "nodeRef": {"name": name}});
            Conditions::new(&machines, name)
                .set("NodeReady", status)
                .await?;
        }
        Ok(())
    }

    /// Takes the cluster down.
    pub(super) async fn go(self) -> anyhow::Result<()> {
        let deletion = self.times()?.deletion;
        let machines = self.management.of_kind(CLUSTER_API, "Machine").await?;
        let clusters = self.management.of_kind(CLUSTER_API, "Cluster").await?;
        // The machines go on the way, and the Cluster at the end of it.
        sleep_until(self.seen + deletion / 2).await;
        let of_cluster = ListParams::default().labels(&format!("{CLUSTER_NAME}={}", self.name));
        machines
            .delete_collection(&DeleteParams::default(), &of_cluster)
            .await
            .context("the Machines")?;
        sleep_until(self.seen + deletion).await;
        let release = Patch::Merge(json!({"metadata": {"finalizers": null}}));
        clusters
            .patch(&self.name, &PatchParams::default(), &release)
            .await
            .context("the finalizer")?;
        Ok(())
    }

    async fn control_plane_is_ready(&self) -> anyhow::Result<()> {
        let of = &self.cluster.data["spec"]["controlPlaneRef"];
        let (Some(group), Some(kind), Some(name)) = (
            of["apiGroup"].as_str(),
            of["kind"].as_str(),
            of["name"].as_str(),
        ) else {
            bail!("Cluster {} has no spec.controlPlaneRef", self.name);
        };
        let api = self
            .management
            .of_kind(&format!("{group}/v1beta2"), kind)
            .await?;
        patch_status(&api, name, json!({"replicas": 1, "readyReplicas": 1})).await
    }

    fn machine(&self, name: &str, is_control_plane: bool) -> anyhow::Result<DynamicObject> {
        let label = |key: &str| {
            self.cluster
                .metadata
                .labels
                .as_ref()
                .and_then(|of| of.get(key))
                .cloned()
        };
        let mut labels = json!({ CLUSTER_NAME: self.name, LABEL: label(LABEL) });
        if is_control_plane {
            labels[CONTROL_PLANE] = json!("");
        }
        let machine = json!({
            "apiVersion": CLUSTER_API,
            "kind": "Machine",
            "metadata": {
                "name": name,
                "labels": labels,
                "ownerReferences": [{
                    "apiVersion": CLUSTER_API, "kind": "Cluster", "name": self.name, "uid": self.cluster.metadata.uid,
                }],
            },
            "spec": {
                "clusterName": self.name,
                "bootstrap": {"dataSecretName": "simulated"},
                "infrastructureRef": {
                    "apiGroup": "infrastructure.cluster.x-k8s.io", "kind": "OpenStackMachine", "name": name,
                },
            },
        });
        Ok(serde_json::from_value(machine)?)
    }
}
