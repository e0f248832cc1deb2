//! Deletes what experiments left: by label, and nothing else.

use std::collections::BTreeMap;

use anyhow::Context as _;
use futures::TryStreamExt as _;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, PropagationPolicy};
use kube::discovery::ApiGroup;
use kube::runtime::watcher::{self, Event, watcher};

use crate::LABEL;
use crate::management::Management;

/// The groups of Cluster API's objects, and of its providers'.
const GROUPS: [&str; 4] = [
    "cluster.x-k8s.io",
    "controlplane.cluster.x-k8s.io",
    "bootstrap.cluster.x-k8s.io",
    "infrastructure.cluster.x-k8s.io",
];

/// What was asked to go, by kind.
pub(crate) type Deleted = BTreeMap<String, usize>;

/// Asks for the deletion of every object of the experiment `id`, or of all experiments, in the namespace. Clusters go first, since
/// their controllers need the other objects to take the machines down.
pub(crate) async fn delete(management: &Management, id: Option<&str>) -> anyhow::Result<Deleted> {
    let selector = id.map_or_else(|| LABEL.to_owned(), |id| format!("{LABEL}={id}"));
    let mut deleted = Deleted::new();
    let kinds = kinds(management).await?;
    let (clusters, others): (Vec<_>, Vec<_>) =
        kinds.into_iter().partition(|(kind, _)| kind == "Cluster");
    for (kind, api) in &clusters {
        deleted.extend(delete_kind(kind, api, &selector).await?);
        gone(api, &selector).await?;
    }
    for (kind, api) in &others {
        deleted.extend(delete_kind(kind, api, &selector).await?);
    }
    Ok(deleted)
}

async fn kinds(management: &Management) -> anyhow::Result<Vec<(String, Api<DynamicObject>)>> {
    let mut found = Vec::new();
    for group in GROUPS {
        // A group that the API server does not know has no objects.
        let Ok(group) = kube::discovery::group(management.client(), group).await else {
            continue;
        };
        for (resource, capabilities) in served(&group) {
            if capabilities.supports_operation(kube::discovery::verbs::DELETE) {
                let api = Api::namespaced_with(
                    management.client().clone(),
                    &management.namespace,
                    &resource,
                );
                found.push((resource.kind, api));
            }
        }
    }
    Ok(found)
}

fn served(group: &ApiGroup) -> Vec<(kube::api::ApiResource, kube::discovery::ApiCapabilities)> {
    let all = group.recommended_resources();
    let is_namespaced =
        |scope: &kube::discovery::Scope| matches!(scope, kube::discovery::Scope::Namespaced);
    all.into_iter()
        .filter(|(_, of)| is_namespaced(&of.scope))
        .collect()
}

async fn delete_kind(
    kind: &str,
    api: &Api<DynamicObject>,
    selector: &str,
) -> anyhow::Result<Option<(String, usize)>> {
    let of_ours = ListParams::default().labels(selector);
    let objects = api
        .list_metadata(&of_ours)
        .await
        .with_context(|| format!("cannot list {kind}"))?;
    let mut count = 0;
    for object in objects.items {
        let name = object.metadata.name.unwrap_or_default();
        let parameters = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Background),
            ..DeleteParams::default()
        };
        match api.delete(&name, &parameters).await {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            other => {
                other
                    .map(drop)
                    .with_context(|| format!("cannot delete {kind} {name}"))?;
                count += 1;
            }
        }
    }
    Ok((count > 0).then(|| (kind.to_owned(), count)))
}

/// Waits until no object is left.
async fn gone(api: &Api<DynamicObject>, selector: &str) -> anyhow::Result<()> {
    if api
        .list_metadata(&ListParams::default().labels(selector))
        .await?
        .items
        .is_empty()
    {
        return Ok(());
    }
    let mut left = std::collections::HashSet::new();
    let mut told = false;
    let mut events = std::pin::pin!(watcher(
        api.clone(),
        watcher::Config::default().labels(selector)
    ));
    while let Some(event) = events.try_next().await? {
        match event {
            Event::Init => left.clear(),
            Event::Apply(object) | Event::InitApply(object) => {
                left.extend(object.metadata.name);
            }
            Event::Delete(object) => {
                left.remove(&object.metadata.name.unwrap_or_default());
            }
            Event::InitDone => told = true,
        }
        if told && left.is_empty() {
            break;
        }
    }
    Ok(())
}
