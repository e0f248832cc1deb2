//! A node drained of the pods of a run: cordoned by an annotation that names the run, and given back by it.
//!
//! Pods of others stay where they are. A node that took no pods already is not touched, and not given back.

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DynamicObject, EvictParams, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::connect::{Builtin, Cluster};
use crate::fault::Fault;
use crate::objects::{RUN_LABEL, WORKLOAD_LABEL, text};

/// The annotation of a node that a run has cordoned; its value is the run's id.
const CORDONED_BY: &str = "xrbench.io/cordoned-by";

/// How often a node is asked for again that somebody else, its kubelet for one, has changed meanwhile.
const TRIES: u32 = 10;

/// A node that a run has cordoned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cordoned {
    /// The id of the run that drains, as its objects carry it.
    pub run: String,
    /// The node's name.
    pub node: String,
}

/// A pod of a run, by the Deployment that it is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodOnNode {
    /// The Deployment's name.
    pub workload: String,
    /// The pod's name.
    pub pod: String,
}

impl Cluster {
    /// Has a node take no more pods, in the name of a run. Returns false where the node took none already: then it is not the
    /// run's to give back.
    pub async fn cordon(&self, node: &str, run: &str) -> Result<bool, Fault> {
        self.change_node(node, |there| cordoning(there, run)).await
    }

    /// The nodes that a run has cordoned, or that any has.
    pub async fn cordoned(&self, run: Option<&str>) -> Result<Vec<Cordoned>, Fault> {
        let nodes = self.everywhere(Builtin::Node);
        let nodes = match nodes.list(&ListParams::default()).await {
            Ok(nodes) => nodes.items,
            // Who may not even look at nodes has cordoned none.
            Err(kube::Error::Api(status)) if status.code == 403 => return Ok(Vec::new()),
            Err(error) => return Err(Fault::of_api(self.name(), "nodes", &error)),
        };
        let mut found: Vec<_> = nodes.into_iter().filter_map(by_a_run).collect();
        found.retain(|one| run.is_none_or(|run| one.run == run));
        Ok(found)
    }

    /// Has a node take pods again that a run has cordoned; one that is not that run's any more stays as it is.
    pub async fn uncordon(&self, of: &Cordoned) -> Result<(), Fault> {
        let change = |there: &Value| uncordoning(there, &of.run);
        self.change_node(&of.node, change).await.map(drop)
    }

    /// Has every node take pods again that a run has cordoned.
    pub async fn give_back_nodes(&self, run: &str) -> Result<(), Fault> {
        for one in self.cordoned(Some(run)).await? {
            self.uncordon(&one).await?;
        }
        Ok(())
    }

    /// The pods of a run in its namespace that are on a node, but for those that are going already.
    pub async fn pods_on(
        &self,
        namespace: &str,
        run: &str,
        node: &str,
    ) -> Result<Vec<PodOnNode>, Fault> {
        let list = ListParams::default()
            .labels(&format!("{RUN_LABEL}={run}"))
            .fields(&format!("spec.nodeName={node}"));
        let found = self.namespaced(Builtin::Pod, namespace).list(&list).await;
        let object = format!("pods of {namespace} on {node}");
        let found = found.map_err(|error| Fault::of_api(self.name(), object, &error))?;
        Ok(found.items.into_iter().filter_map(staying).collect())
    }

    /// Evicts a pod, as draining its node would: with its grace, and unless a disruption budget forbids it.
    pub async fn evict(&self, namespace: &str, pod: &str) -> Result<(), Fault> {
        let pods: Api<Pod> = Api::namespaced(self.client().clone(), namespace);
        let object = format!("Pod {namespace}/{pod}, eviction");
        match pods.evict(pod, &EvictParams::default()).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => {
                let budget = matches!(&error, kube::Error::Api(status) if status.code == 429);
                let mut fault = Fault::of_api(self.name(), object, &error);
                if budget {
                    "A PodDisruptionBudget of that namespace forbids it: take it out of the manifests."
                        .clone_into(&mut fault.remedy);
                }
                Err(fault)
            }
        }
    }

    /// Changes a node as it is by now; false where there is nothing to change.
    async fn change_node(
        &self,
        node: &str,
        change: impl Fn(&Value) -> Option<Value>,
    ) -> Result<bool, Fault> {
        let nodes = self.everywhere(Builtin::Node);
        let object = format!("Node {node}");
        let wrong = |error: &kube::Error| Fault::of_api(self.name(), object.clone(), error);
        for _ in 0..TRIES {
            let there = nodes.get(node).await.map_err(|error| wrong(&error))?;
            let there = serde_json::to_value(there).unwrap_or_default();
            let Some(change) = change(&there) else {
                return Ok(false);
            };
            let how = PatchParams::default();
            match nodes.patch(node, &how, &Patch::Merge(&change)).await {
                Ok(_) => return Ok(true),
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                Err(error) => return Err(wrong(&error)),
            }
        }
        let why = format!("somebody else changed it {TRIES} times meanwhile");
        let remedy = "Who else works on this node? `kubectl get --watch nodes` shows it.";
        let field = "metadata.resourceVersion";
        Err(Fault::new(self.name(), object, field, why, remedy))
    }
}

/// The change that has a node take no more pods; none where it takes none already.
fn cordoning(node: &Value, run: &str) -> Option<Value> {
    (node["spec"]["unschedulable"] != true).then(|| {
        json!({
            // The change is of the node as it was seen: two runs cannot both have cordoned it.
            "metadata": {"resourceVersion": node["metadata"]["resourceVersion"], "annotations": {CORDONED_BY: run}},
            "spec": {"unschedulable": true},
        })
    })
}

/// The change that has a node take pods again; none where this run has not cordoned it.
fn uncordoning(node: &Value, run: &str) -> Option<Value> {
    (node["metadata"]["annotations"][CORDONED_BY] == run).then(|| {
        json!({
            "metadata": {"resourceVersion": node["metadata"]["resourceVersion"], "annotations": {CORDONED_BY: null}},
            "spec": {"unschedulable": null},
        })
    })
}

fn by_a_run(node: DynamicObject) -> Option<Cordoned> {
    let metadata = node.metadata;
    Some(Cordoned {
        run: metadata.annotations?.remove(CORDONED_BY)?,
        node: metadata.name?,
    })
}

fn staying(pod: DynamicObject) -> Option<PodOnNode> {
    let pod = serde_json::to_value(pod).ok()?;
    let metadata = &pod["metadata"];
    metadata["deletionTimestamp"]
        .is_null()
        .then(|| PodOnNode {
            workload: text(&metadata["labels"][WORKLOAD_LABEL]).to_owned(),
            pod: text(&metadata["name"]).to_owned(),
        })
        .filter(|one| !one.workload.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node() -> Value {
        json!({"metadata": {"name": "n", "resourceVersion": "7"}, "spec": {"podCIDR": "10.1.0.0/24"}})
    }

    #[test]
    fn a_node_is_given_back_by_the_run_that_took_it_alone() {
        let change = cordoning(&node(), "r1").expect("it takes pods");
        assert_eq!(change["metadata"]["resourceVersion"], "7");
        let mut taken = node();
        taken["spec"]["unschedulable"] = change["spec"]["unschedulable"].clone();
        taken["metadata"]["annotations"] = change["metadata"]["annotations"].clone();
        assert_eq!(cordoning(&taken, "r2"), None, "it takes no pods already");
        assert_eq!(uncordoning(&taken, "r2"), None);
        let back = uncordoning(&taken, "r1").expect("its own");
        assert!(back["spec"]["unschedulable"].is_null());
        assert!(back["metadata"]["annotations"][CORDONED_BY].is_null());
        let mut others = node();
        others["spec"]["unschedulable"] = json!(true);
        assert_eq!(uncordoning(&others, "r1"), None, "somebody else's");
    }

    #[test]
    fn pods_without_a_workload_of_ours_or_that_go_already_are_not_evicted() {
        let of = |text: &str| staying(serde_json::from_str(text).expect("a pod"));
        let ours = of(r#"{"metadata":{"name":"p","labels":{"xrbench.io/workload":"client"}}}"#);
        let expected = PodOnNode {
            workload: "client".into(),
            pod: "p".into(),
        };
        assert_eq!(ours, Some(expected));
        for other in [
            r#"{"metadata":{"name":"p","labels":{"app":"client"}}}"#,
            r#"{"metadata":{"name":"p","deletionTimestamp":"2026-01-01T00:00:00Z","labels":{"xrbench.io/workload":"client"}}}"#,
        ] {
            assert_eq!(of(other), None);
        }
    }
}
