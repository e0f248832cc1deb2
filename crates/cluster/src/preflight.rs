//! What a cluster must have before anything is applied: rights, kinds, room, images, a peering. Every fault is told at once.

mod judge;

use futures::future::join_all;
use kube::api::ListParams;
use serde::Deserialize;
use serde_json::{Value, json};

pub use judge::NodeRoom;

use crate::connect::{Builtin, Cluster};
use crate::fault::Fault;
use crate::objects::{Objects, text};
use crate::render;

/// What will be applied to a cluster.
#[derive(Debug)]
pub struct Needs<'a> {
    /// The rendered objects.
    pub objects: &'a Objects,
    /// Liqo's id of the cluster that must be peered with; none where nothing is offloaded.
    pub peer: Option<&'a str>,
    /// Whether the cluster will be cut off.
    pub cuts: bool,
    /// Whether a node of it will be drained.
    pub drains: bool,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// What is wrong.
    pub faults: Vec<Fault>,
    /// What cannot be known beforehand, or goes without.
    pub notes: Vec<String>,
    /// The nodes that take pods.
    pub nodes: Vec<NodeRoom>,
}

/// One right.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Right {
    verb: &'static str,
    group: String,
    resource: String,
    subresource: &'static str,
}

/// What each kind of object needs.
const EACH: [&str; 3] = ["get", "create", "patch"];

/// What a run needs beside that: verb, resource of the core group or of `apps`, subresource.
const BESIDE: [(&str, &str, &str, &str); 10] = [
    ("list", "", "namespaces", ""),
    ("watch", "", "namespaces", ""),
    ("delete", "", "namespaces", ""),
    ("list", "", "pods", ""),
    ("watch", "", "pods", ""),
    ("delete", "", "pods", ""),
    ("get", "", "pods", "log"),
    ("create", "", "pods", "portforward"),
    ("list", "apps", "deployments", ""),
    ("watch", "apps", "deployments", ""),
];

/// What cutting a cluster off needs.
const TO_CUT: [(&str, &str, &str, &str); 4] = [
    ("get", "networking.k8s.io", "networkpolicies", ""),
    ("create", "networking.k8s.io", "networkpolicies", ""),
    ("patch", "networking.k8s.io", "networkpolicies", ""),
    ("delete", "networking.k8s.io", "networkpolicies", ""),
];

/// What draining a node needs.
const TO_DRAIN: [(&str, &str, &str, &str); 4] = [
    ("get", "", "nodes", ""),
    ("list", "", "nodes", ""),
    ("patch", "", "nodes", ""),
    ("create", "", "pods", "eviction"),
];

/// Whether this machine can render manifests.
pub async fn check_tools() -> Result<(), Fault> {
    render::check_kubectl().await
}

impl Cluster {
    /// Looks whether what is needed is there.
    pub async fn preflight(&self, needs: &Needs<'_>) -> Found {
        let mut found = Found::default();
        let rights = self.rights_for(needs, &mut found.faults).await;
        let (refused, usage) = tokio::join!(self.missing(&rights), self.missing_usage());
        found.faults.extend(refused);
        found.notes.extend(usage);
        self.look_at_nodes(needs, &mut found).await;
        if needs.cuts {
            found.notes.push(format!(
                "cluster {}: whether its network plugin enforces NetworkPolicies cannot be asked; if frames go on arriving while it is \
                 cut off, the result says so",
                self.name()
            ));
        }
        if let Some(peer) = needs.peer {
            found.faults.extend(self.peering(peer).await.err());
        }
        found
    }

    /// The rights that applying these takes; kinds that the cluster does not know are faults.
    async fn rights_for(&self, needs: &Needs<'_>, faults: &mut Vec<Fault>) -> Vec<Right> {
        let to_cut = TO_CUT.iter().filter(|_| needs.cuts);
        let to_drain = TO_DRAIN.iter().filter(|_| needs.drains);
        let beside = BESIDE.iter().chain(to_cut).chain(to_drain);
        let mut rights: Vec<Right> = beside
            .map(|(verb, group, resource, subresource)| Right {
                verb,
                group: (*group).to_owned(),
                resource: (*resource).to_owned(),
                subresource,
            })
            .collect();
        let kinds = needs
            .objects
            .in_order()
            .map(|object| (text(&object["apiVersion"]), text(&object["kind"])));
        let mut kinds: Vec<(&str, &str)> = kinds.collect();
        kinds.sort_unstable();
        kinds.dedup();
        for (api_version, kind) in kinds {
            match self.plural(api_version, kind).await {
                Ok(resource) => {
                    let group = api_version.split_once('/').map_or("", |(group, _)| group);
                    rights.extend(EACH.map(|verb| Right {
                        verb,
                        group: group.to_owned(),
                        resource: resource.clone(),
                        subresource: "",
                    }));
                }
                Err(error) => {
                    let object = format!("kind {kind} of {api_version}");
                    let why = crate::fault::told(&error);
                    let remedy = "Install what defines it (Liqo, for its kinds), or run a scenario that does without.";
                    faults.push(Fault::new(self.name(), object, "", why, remedy));
                }
            }
        }
        rights.sort();
        rights.dedup();
        rights
    }

    /// The rights that are refused.
    async fn missing(&self, rights: &[Right]) -> Vec<Fault> {
        let answers = join_all(rights.iter().map(|right| self.may(right))).await;
        let mut faults: Vec<Fault> = Vec::new();
        for (right, answer) in rights.iter().zip(answers) {
            match answer {
                Ok(true) => {}
                Ok(false) => {
                    let (object, remedy) = (right.object(), right.remedy());
                    let why = format!("you may not {} it", right.verb);
                    faults.push(Fault::new(self.name(), object, "rights", why, remedy));
                }
                // One that does not answer this question answers none: once is enough.
                Err(error) => {
                    let object = "SelfSubjectAccessReview";
                    return vec![Fault::of_api(self.name(), object, &error)];
                }
            }
        }
        faults
    }

    async fn missing_usage(&self) -> Option<String> {
        let right = Right {
            verb: "get",
            group: String::new(),
            resource: "nodes".to_owned(),
            subresource: "proxy",
        };
        let may = self.may(&right).await.unwrap_or(false);
        (!may).then(|| {
            format!(
                "cluster {}: you may not get nodes/proxy: what pods use is not known, and its columns stay empty",
                self.name()
            )
        })
    }

    async fn may(&self, right: &Right) -> Result<bool, kube::Error> {
        #[derive(Deserialize)]
        struct Review {
            status: Allowed,
        }
        #[derive(Deserialize)]
        struct Allowed {
            allowed: bool,
        }
        let body = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {"verb": right.verb, "group": right.group, "resource": right.resource,
                "subresource": right.subresource}},
        });
        let request = http::Request::post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(body.to_string().into_bytes())
            .map_err(kube::Error::HttpError)?;
        let review: Review = self.client().request(request).await?;
        Ok(review.status.allowed)
    }

    async fn look_at_nodes(&self, needs: &Needs<'_>, found: &mut Found) {
        let everything = ListParams::default();
        let nodes = match self.everywhere(Builtin::Node).list(&everything).await {
            Ok(nodes) => values(nodes.items),
            Err(error) => {
                found
                    .faults
                    .push(Fault::of_api(self.name(), "nodes", &error));
                return;
            }
        };
        let pods = match self.everywhere(Builtin::Pod).list(&everything).await {
            Ok(pods) => values(pods.items),
            Err(error) => {
                let why = crate::fault::told(&error);
                let note = format!(
                    "cluster {}: what runs already is not known: {why}",
                    self.name()
                );
                found.notes.push(note);
                Vec::new()
            }
        };
        found.nodes = judge::room(&nodes, &pods);
        let wanted = needs.objects.requests();
        found
            .faults
            .extend(judge::has_room(self.name(), &found.nodes, &nodes, wanted));
        for image in needs.objects.images() {
            match judge::image(&image, &nodes) {
                judge::Image::There => {}
                judge::Image::Pulled => found.notes.push(format!(
                    "cluster {}: image {image} is on no node: whether it can be pulled is known when it is",
                    self.name()
                )),
                judge::Image::Nowhere => {
                    let why = "no node has it, and no public registry does";
                    let remedy = "Load it into the nodes (`make image`; kind load, k3s ctr images import), or name yours with --image-prefix.";
                    let object = format!("image {image}");
                    found.faults.push(Fault::new(self.name(), object, "", why, remedy));
                }
            }
        }
    }

    /// Whether Liqo has joined this cluster with that one.
    async fn peering(&self, peer: &str) -> Result<(), Fault> {
        let object = format!("ForeignCluster {peer}");
        let wrong = |error: kube::Error| {
            let mut fault = Fault::of_api(self.name(), object.clone(), &error);
            fault.remedy = format!(
                "Join the clusters: `liqoctl peer --remote-kubeconfig ...`; the id is {peer:?} here."
            );
            fault
        };
        let api = self
            .of_kind("core.liqo.io/v1beta1", "ForeignCluster", None)
            .await;
        let there = api.map_err(wrong)?.get(peer).await.map_err(wrong)?;
        let there = serde_json::to_value(there).unwrap_or_default();
        judge::peering(self.name(), &object, &there)
    }
}

impl Right {
    fn object(&self) -> String {
        let mut told = self.resource.clone();
        if !self.subresource.is_empty() {
            told.push_str(&format!("/{}", self.subresource));
        }
        if !self.group.is_empty() {
            told.push_str(&format!(".{}", self.group));
        }
        told
    }

    fn remedy(&self) -> String {
        format!(
            "Ask whoever runs the cluster; `kubectl auth can-i {} {}` shows what you have.",
            self.verb,
            self.object()
        )
    }
}

fn values(objects: Vec<kube::api::DynamicObject>) -> Vec<Value> {
    let values = objects.into_iter();
    values
        .filter_map(|object| serde_json::to_value(object).ok())
        .collect()
}
