//! One cluster: applied, watched until every node is ready, and deleted.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::stream::{SelectAll, StreamExt as _};
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use result::provision::{ClusterOutcome, ClusterRow, Transition, TransitionRow};
use serde_json::Value;
use timeline::UnixMicros;

use crate::management::{CLUSTER_API, CLUSTER_NAME, Management};
use crate::matrix::PlannedCluster;
use crate::observe::Objects;
use crate::template::Manifests;

/// The name under which fields are applied.
const FIELD_MANAGER: &str = "xrbench";

/// Which watch an event is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Cluster,
    ControlPlane,
    Machine,
}

/// An event, and when it came.
type Told = (Kind, Instant, watcher::Result<Event<DynamicObject>>);

/// What became of one cluster.
#[derive(Debug)]
pub(crate) struct Provisioned {
    /// The cluster's line of `clusters.csv`.
    pub cluster: ClusterRow,
    /// The cluster's lines of `transitions.csv`.
    pub transitions: Vec<TransitionRow>,
}

/// A cluster that is being provisioned.
pub(crate) struct Provisioning<'a> {
    pub management: &'a Management,
    pub planned: &'a PlannedCluster,
    pub name: String,
    /// How long the cluster may take to become ready, and to be gone.
    pub limit: Duration,
    /// How long the manifests took to be made.
    pub generation: Duration,
}

/// How waiting ended.
enum End {
    Reached,
    Failed(String),
    Late,
}

impl Provisioning<'_> {
    /// Applies `manifests`, waits until every node is ready, and deletes the cluster; an error where the API server refuses.
    pub(crate) async fn run(&self, manifests: &Manifests) -> anyhow::Result<Provisioned> {
        let cell = &self.planned.cell;
        // Watches come first, so that nothing happens unseen.
        let mut events = self.watch(manifests).await?;
        let mut objects = Objects::default();
        let mut seen = BTreeMap::new();
        let mut told = 0;
        while told < 3 {
            let (_, _, event) = events.next().await.context("the watches ended")?;
            told += usize::from(matches!(
                event.context("cannot watch Cluster API's objects")?,
                Event::InitDone
            ));
        }
        let (applied, applied_us) = self.apply(manifests).await?;
        let mut take = |objects: &Objects, at: Instant| {
            for (transition, reported_us) in objects.reached(cell.nodes) {
                seen.entry(transition)
                    .or_insert_with(|| (at.saturating_duration_since(applied), reported_us));
            }
            let done = [
                Transition::ControlPlaneNodeReady,
                Transition::ControlPlaneAvailable,
                Transition::AllNodesReady,
            ];
            done.iter().all(|step| seen.contains_key(step))
        };
        let waited = tokio::time::timeout(self.limit, async {
            while let Some((kind, at, event)) = events.next().await {
                match event {
                    Ok(event) => {
                        if take_in(&mut objects, kind, event) {
                            return End::Failed(format!(
                                "Cluster {}: somebody deleted it",
                                self.name
                            ));
                        }
                    }
                    Err(error) => {
                        tracing::warn!(
                            cluster = self.name,
                            "a watch broke, and is made again: {}",
                            cluster::told(&error)
                        );
                        continue;
                    }
                }
                if let Some(why) = objects.failure() {
                    return End::Failed(why);
                }
                if take(&objects, at) {
                    return End::Reached;
                }
            }
            End::Failed("the watches ended".to_owned())
        });
        let (outcome, detail) = match waited.await.unwrap_or(End::Late) {
            End::Reached => (ClusterOutcome::Ready, String::new()),
            End::Failed(why) => (ClusterOutcome::Failed, why),
            End::Late => {
                let limit = self.limit.as_secs_f64();
                let lacking = objects.lacking(cell.nodes);
                (
                    ClusterOutcome::Late,
                    format!("not ready after {limit:.0} s: {lacking}"),
                )
            }
        };
        let deletion = self.delete(&mut events).await?;
        self.delete_rest(manifests).await?;
        let us = |of: Duration| u64::try_from(of.as_micros()).unwrap_or(u64::MAX);
        Ok(Provisioned {
            cluster: ClusterRow {
                cluster: self.name.clone(),
                distribution: cell.distribution.clone(),
                nodes: cell.nodes,
                flavour: cell.flavour.clone(),
                repetition: self.planned.repetition,
                applied_us,
                generation_us: us(self.generation),
                outcome,
                deletion_us: deletion.map(us),
                detail,
            },
            transitions: seen
                .into_iter()
                .map(|(transition, (elapsed, reported_us))| TransitionRow {
                    cluster: self.name.clone(),
                    transition,
                    elapsed_us: us(elapsed),
                    reported_us,
                })
                .collect(),
        })
    }

    async fn watch(
        &self,
        manifests: &Manifests,
    ) -> anyhow::Result<SelectAll<futures::stream::BoxStream<'static, Told>>> {
        let (version, control_plane) = manifests.control_plane().context("no control plane")?;
        let own = manifests.0.iter().find(|one| one["kind"] == control_plane);
        let control_plane_name = own
            .and_then(|one| one["metadata"]["name"].as_str())
            .unwrap_or_default();
        let by_name =
            |name: &str| watcher::Config::default().fields(&format!("metadata.name={name}"));
        let of_cluster =
            watcher::Config::default().labels(&format!("{CLUSTER_NAME}={}", self.name));
        let mut all = SelectAll::new();
        for (kind, version, object, config) in [
            (Kind::Cluster, CLUSTER_API, "Cluster", by_name(&self.name)),
            (
                Kind::ControlPlane,
                version,
                control_plane,
                by_name(control_plane_name),
            ),
            (Kind::Machine, CLUSTER_API, "Machine", of_cluster),
        ] {
            let api = self.management.of_kind(version, object).await?;
            // A broken connection is opened again, later and later; the time limit is the caller's.
            let events = watcher(api, config).default_backoff();
            all.push(
                events
                    .map(move |event| (kind, Instant::now(), event))
                    .boxed(),
            );
        }
        Ok(all)
    }

    /// Applies every manifest; when the Cluster was accepted, by both clocks.
    async fn apply(&self, manifests: &Manifests) -> anyhow::Result<(Instant, UnixMicros)> {
        let mut accepted = None;
        for object in &manifests.0 {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let (kind, name) = (text(&object["kind"]), text(&object["metadata"]["name"]));
            let api = self
                .management
                .of_kind(&text(&object["apiVersion"]), &kind)
                .await?;
            let parameters = PatchParams::apply(FIELD_MANAGER);
            api.patch(&name, &parameters, &Patch::Apply(object))
                .await
                .with_context(|| {
                    format!(
                        "{kind} {}/{name} was not accepted",
                        self.management.namespace
                    )
                })?;
            if kind == "Cluster" && name == self.name {
                accepted = Some((Instant::now(), service::clock::now()));
            }
        }
        accepted.context("no Cluster among the manifests")
    }

    /// Deletes the Cluster, whose controllers delete the rest; how long that took, if it ended within the limit.
    async fn delete(
        &self,
        events: &mut SelectAll<futures::stream::BoxStream<'static, Told>>,
    ) -> anyhow::Result<Option<Duration>> {
        let api = self.management.of_kind(CLUSTER_API, "Cluster").await?;
        match api.delete(&self.name, &DeleteParams::default()).await {
            Err(error) if is_missing(&error) => return Ok(None),
            other => other
                .map(drop)
                .with_context(|| format!("cannot delete Cluster {}", self.name))?,
        }
        let began = Instant::now();
        let waited = tokio::time::timeout(self.limit, async {
            while let Some((kind, at, event)) = events.next().await {
                match event {
                    Ok(Event::Delete(_)) if kind == Kind::Cluster => return Some(at),
                    // A watch that was made again tells what is there.
                    Ok(Event::InitDone)
                        if kind == Kind::Cluster && is_gone(&api, &self.name).await =>
                    {
                        return Some(at);
                    }
                    _ => {}
                }
            }
            None
        });
        let at = waited.await.ok().flatten();
        if at.is_none() {
            tracing::warn!(
                cluster = self.name,
                "not gone after {} s; `xrbench provision --clean` tries again",
                self.limit.as_secs()
            );
        }
        Ok(at.map(|at| at.saturating_duration_since(began)))
    }
}

impl Provisioning<'_> {
    /// Deletes the objects that no controller deleted with the Cluster, such as templates that were never owned by it.
    async fn delete_rest(&self, manifests: &Manifests) -> anyhow::Result<()> {
        let others = manifests.0.iter().filter(|one| one["kind"] != "Cluster");
        for object in others {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let (kind, name) = (text(&object["kind"]), text(&object["metadata"]["name"]));
            let api = self
                .management
                .of_kind(&text(&object["apiVersion"]), &kind)
                .await?;
            match api.delete(&name, &DeleteParams::default()).await {
                Err(error) if is_missing(&error) => {}
                other => other
                    .map(drop)
                    .with_context(|| format!("cannot delete {kind} {name}"))?,
            }
        }
        Ok(())
    }
}

/// Whether there is no such object.
fn is_missing(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

async fn is_gone(api: &Api<DynamicObject>, name: &str) -> bool {
    matches!(api.get_opt(name).await, Ok(None))
}

/// Brings `objects` up to date; whether the Cluster was deleted.
fn take_in(objects: &mut Objects, kind: Kind, event: Event<DynamicObject>) -> bool {
    let (object, there) = match event {
        Event::Apply(object) | Event::InitApply(object) => (object, true),
        Event::Delete(object) => (object, false),
        Event::Init | Event::InitDone => return false,
    };
    let deleted = kind == Kind::Cluster && (!there || object.metadata.deletion_timestamp.is_some());
    let name = object.metadata.name.clone().unwrap_or_default();
    let value = serde_json::to_value(&object).unwrap_or_default();
    match kind {
        Kind::Cluster => objects.cluster = there.then_some(value),
        Kind::ControlPlane => objects.control_plane = there.then_some(value),
        Kind::Machine if there => {
            objects.machines.insert(name, value);
        }
        Kind::Machine => {
            objects.machines.remove(&name);
        }
    }
    deleted
}
