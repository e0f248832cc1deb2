//! Services and `EndpointSlices`, watched at the API server.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::StreamExt as _;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::core::GroupVersionKind;
use kube::discovery::oneshot;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, ResourceExt as _};
use tokio::sync::mpsc::Sender;

use super::machine::{Input, SliceName};
use super::metrics::Metrics;
use super::objects::{SeenService, SeenSlice};
use crate::services::ServiceName;

/// Objects of a page of a list.
const PAGE: u32 = 500;

/// A kind of object that is watched, and how its objects become inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Services,
    EndpointSlices,
}

impl Kind {
    const fn label(self) -> &'static str {
        match self {
            Self::Services => "services",
            Self::EndpointSlices => "endpointslices",
        }
    }

    fn there(self, (namespace, name): &SliceName, object: &DynamicObject) -> Option<Input> {
        match self {
            Self::Services => {
                let service = ServiceName::new(namespace, name).ok()?;
                let json = serde_json::to_value(object).ok()?;
                let (seen, wrong) = SeenService::read(&json);
                if let Some(wrong) = wrong {
                    tracing::warn!(%service, "its annotation is not followed: {wrong}");
                }
                Some(Input::Service(service, seen))
            }
            Self::EndpointSlices => {
                let json = serde_json::to_value(object).ok()?;
                let seen = SeenSlice::read(namespace, &json)?;
                Some(Input::Slice((namespace.clone(), name.clone()), seen))
            }
        }
    }

    fn gone(self, (namespace, name): SliceName) -> Option<Input> {
        match self {
            Self::Services => ServiceName::new(&namespace, &name)
                .ok()
                .map(Input::ServiceGone),
            Self::EndpointSlices => Some(Input::SliceGone((namespace, name))),
        }
    }
}

/// Services, and `EndpointSlices` of the newest version that the API server has.
pub(crate) async fn resources(client: &Client) -> Result<[(Kind, ApiResource); 2], kube::Error> {
    let services = GroupVersionKind::gvk("", "v1", "Service");
    let slices = |version| GroupVersionKind::gvk("discovery.k8s.io", version, "EndpointSlice");
    // Before Kubernetes 1.21 they are v1beta1, with the same fields as far as they are read here.
    let slices = match oneshot::pinned_kind(client, &slices("v1")).await {
        Ok((resource, _)) => resource,
        Err(_) => oneshot::pinned_kind(client, &slices("v1beta1")).await?.0,
    };
    Ok([
        (Kind::Services, ApiResource::from_gvk(&services)),
        (Kind::EndpointSlices, slices),
    ])
}

/// A watch of one kind, which has to be complete beside others.
pub(crate) struct Watch {
    pub(crate) kind: Kind,
    pub(crate) api: Api<DynamicObject>,
    pub(crate) inputs: Sender<Input>,
    /// Watches that are not complete yet.
    pub(crate) incomplete: Arc<AtomicUsize>,
    pub(crate) metrics: Metrics,
}

impl Watch {
    /// Tells every object and every change, until nobody listens.
    pub(crate) async fn run(self) {
        let config = watcher::Config::default().page_size(PAGE);
        // A broken connection is opened again, later and later.
        let mut events = watcher(self.api, config).default_backoff().boxed();
        let mut known: BTreeSet<SliceName> = BTreeSet::new();
        let mut fresh = BTreeSet::new();
        let mut is_complete = false;
        while let Some(event) = events.next().await {
            let mut inputs = Vec::new();
            match event {
                Ok(Event::Init) => fresh.clear(),
                Ok(Event::InitApply(object)) => {
                    let name = name_of(&object);
                    inputs.extend(self.kind.there(&name, &object));
                    fresh.insert(name);
                }
                Ok(Event::InitDone) => {
                    let gone = known.difference(&fresh).cloned();
                    inputs.extend(gone.filter_map(|name| self.kind.gone(name)));
                    known = std::mem::take(&mut fresh);
                    if !std::mem::replace(&mut is_complete, true)
                        && self.incomplete.fetch_sub(1, Ordering::AcqRel) == 1
                    {
                        inputs.push(Input::Complete);
                    }
                }
                Ok(Event::Apply(object)) => {
                    let name = name_of(&object);
                    inputs.extend(self.kind.there(&name, &object));
                    known.insert(name);
                }
                Ok(Event::Delete(object)) => {
                    let name = name_of(&object);
                    known.remove(&name);
                    inputs.extend(self.kind.gone(name));
                }
                Err(error) => {
                    self.metrics.watch_error(self.kind.label());
                    tracing::warn!(what = self.kind.label(), "the watch begins again: {error}");
                }
            }
            for input in inputs {
                if self.inputs.send(input).await.is_err() {
                    return;
                }
            }
        }
    }
}

fn name_of(object: &DynamicObject) -> SliceName {
    (object.namespace().unwrap_or_default(), object.name_any())
}
