//! What must be true of the management cluster before anything is applied: every fault is told at once.

use std::collections::BTreeSet;

use cluster::told;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{Api, ListParams, PostParams};
use serde_json::Value;

use crate::management::{CLUSTER_API, Management};
use crate::template::Manifests;

/// What is done to the objects.
const VERBS: [&str; 5] = ["get", "watch", "create", "patch", "delete"];

/// Every fault that is found; empty where the experiment can begin. `manifests` are one of each distribution's.
pub(crate) async fn faults(
    management: &Management,
    manifests: &[Manifests],
    simulated: bool,
) -> Vec<String> {
    let mut found = Vec::new();
    let namespace = &management.namespace;
    let namespaces: Api<Namespace> = Api::all(management.client().clone());
    match namespaces.get_opt(namespace).await {
        Ok(Some(_)) => {}
        Ok(None) => found.push(format!(
            "Namespace {namespace}: it does not exist; make it (`kubectl create namespace {namespace}`), with the provider's Secrets"
        )),
        Err(error) => found.push(format!("Namespace {namespace}: {}", told(&error))),
    }
    let objects = || manifests.iter().flat_map(|of| &of.0);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut kinds: BTreeSet<(String, String)> = objects()
        .map(|one| (text(&one["apiVersion"]), text(&one["kind"])))
        .collect();
    kinds.insert((CLUSTER_API.to_owned(), "Machine".to_owned()));
    for (version, kind) in kinds {
        match management.of_kind(&version, &kind).await {
            Ok(api) => found.extend(rights(management, &version, &kind, api.resource_url()).await),
            Err(error) => found.push(format!(
                "{kind} of {version}: {}; install the provider that defines it (`clusterctl init`)",
                told(&error)
            )),
        }
    }
    if !simulated {
        let names: BTreeSet<String> = objects()
            .filter_map(|one| {
                one["spec"]["identityRef"]["name"]
                    .as_str()
                    .map(ToOwned::to_owned)
            })
            .collect();
        let secrets: Api<Secret> = Api::namespaced(management.client().clone(), namespace);
        for name in names {
            match secrets.get_opt(&name).await {
                Ok(Some(_)) => {}
                Ok(None) => found.push(format!(
                    "Secret {namespace}/{name}, spec.identityRef names it: it does not exist; make it from your clouds.yaml"
                )),
                Err(error) => found.push(format!("Secret {namespace}/{name}: {}", told(&error))),
            }
        }
    }
    found.extend(provider(management, simulated).await);
    found
}

/// Whether somebody works on the objects, and nobody does where that is simulated.
async fn provider(management: &Management, simulated: bool) -> Option<String> {
    let deployments: Api<Deployment> = Api::all(management.client().clone());
    let of_providers = ListParams::default()
        .labels("cluster.x-k8s.io/provider")
        .limit(1);
    match deployments.list(&of_providers).await {
        Ok(some) if simulated && !some.items.is_empty() => Some(
            "a provider of Cluster API runs here: it and the simulated one would work on the same objects; use another cluster"
                .to_owned(),
        ),
        Ok(none) if !simulated && none.items.is_empty() => Some(
            "no Deployment has the label cluster.x-k8s.io/provider: no provider runs, so no cluster would ever become ready; \
             `clusterctl init --infrastructure openstack` installs it, and --simulate plays one"
                .to_owned(),
        ),
        Ok(_) => None,
        Err(error) => Some(format!("the Deployments of providers cannot be listed: {}", told(&error))),
    }
}

/// The rights that lack.
async fn rights(management: &Management, version: &str, kind: &str, url: &str) -> Option<String> {
    let group = version.split_once('/').map_or("", |(group, _)| group);
    let resource = url.rsplit('/').next().unwrap_or_default();
    let reviews: Api<SelfSubjectAccessReview> = Api::all(management.client().clone());
    let mut lacking = Vec::new();
    for verb in VERBS {
        let attributes = ResourceAttributes {
            group: Some(group.to_owned()),
            resource: Some(resource.to_owned()),
            namespace: Some(management.namespace.clone()),
            verb: Some(verb.to_owned()),
            ..ResourceAttributes::default()
        };
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(attributes),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        };
        match reviews.create(&PostParams::default(), &review).await {
            Ok(answer) if answer.status.as_ref().is_some_and(|status| status.allowed) => {}
            Ok(_) => lacking.push(verb),
            Err(error) => {
                return Some(format!(
                    "the rights to {kind} cannot be asked for: {}",
                    told(&error)
                ));
            }
        }
    }
    (!lacking.is_empty()).then(|| {
        format!(
            "{kind}: you may not {} {resource}.{group} in {}; ask for a Role with these verbs",
            lacking.join(", "),
            management.namespace
        )
    })
}
