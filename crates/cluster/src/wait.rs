//! Waits, each with a limit, which end at once when what is awaited cannot come.

use std::time::Duration;

use serde_json::Value;

use crate::apply::named;
use crate::connect::{Builtin, Cluster};
use crate::fault::Fault;
use crate::objects::{WORKLOAD_LABEL, list, text};
use crate::state::{self, State};
use crate::watching::{Seen, Unseen, Watch, until};

/// In the list of a workload's watches.
const DEPLOYMENT: usize = 0;
const PODS: usize = 1;

impl Cluster {
    /// Waits until every pod of a Deployment is available, and returns its pods but those that are being deleted.
    pub async fn available(
        &self,
        namespace: &str,
        name: &str,
        limit: Duration,
    ) -> Result<Vec<Value>, Fault> {
        let object = format!("Deployment {namespace}/{name}");
        let mut was_there = false;
        let mut judge = |seen: &Seen| match seen.one(DEPLOYMENT) {
            None if was_there => {
                let remedy = "Who else works in this namespace? The run cannot go on.";
                let why = "it was deleted while it was awaited";
                Some(Err(Fault::new(
                    self.name(),
                    object.clone(),
                    "",
                    why,
                    remedy,
                )))
            }
            None => None,
            Some(deployment) => {
                was_there = true;
                match state::of_workload(deployment, seen.of(PODS)) {
                    State::Ready => Some(Ok(staying(seen.of(PODS)))),
                    State::NotYet(_) => None,
                    State::Hopeless(trouble) => {
                        let object = match &trouble.pod {
                            Some(pod) => format!("Pod {namespace}/{pod}"),
                            None => object.clone(),
                        };
                        let (field, why) = (trouble.field, trouble.why);
                        Some(Err(Fault::new(
                            self.name(),
                            object,
                            field,
                            why,
                            trouble.remedy,
                        )))
                    }
                }
            }
        };
        let watches = self.watches_of(namespace, name);
        match until(watches, limit, &mut judge).await {
            Ok(answer) => answer,
            Err(Unseen::Refused(error)) => Err(Fault::of_api(self.name(), object, &error)),
            Err(Unseen::Late(seen)) => {
                let told = match seen.one(DEPLOYMENT) {
                    Some(deployment) => match state::of_workload(deployment, seen.of(PODS)) {
                        State::NotYet(told) => told,
                        other => format!("{other:?}"),
                    },
                    None => "it was not seen".to_owned(),
                };
                let why = format!("not available within {} s: {told}", limit.as_secs());
                let remedy = "`kubectl describe pod` in that namespace may say what it waits for.";
                Err(Fault::new(
                    self.name(),
                    object,
                    "status.availableReplicas",
                    why,
                    remedy,
                ))
            }
        }
    }

    /// Waits until a container of the workload ends, or a pod of it goes, and tells how. `restarts` is how often its
    /// container had been started again when it was last known to be well.
    pub async fn ended(&self, namespace: &str, name: &str, pod: &str, restarts: u64) -> String {
        let judge = |seen: &Seen| end_of(seen.of(PODS), pod, restarts);
        let watches = self.watches_of(namespace, name);
        match until(watches, Duration::MAX, judge).await {
            Ok(told) => told,
            Err(Unseen::Refused(error)) => {
                Fault::of_api(self.name(), format!("Pod {namespace}/{pod}"), &error).to_string()
            }
            Err(Unseen::Late(_)) => "nothing was heard of it".to_owned(),
        }
    }

    /// Waits until a container of the workload has begun that is not this one: its pod, and how often it was started again.
    pub(crate) async fn begun(
        &self,
        namespace: &str,
        name: &str,
        not: Option<&(String, u64)>,
    ) -> Option<(String, u64)> {
        let watches = vec![self.pods_of(namespace, name)];
        let judge = |seen: &Seen| {
            let begun = seen.of(0).filter_map(begun_of);
            begun
                .filter(|one| Some(one) != not)
                .max_by_key(|(_, restarts)| *restarts)
        };
        until(watches, Duration::MAX, judge).await.ok()
    }

    /// Waits until a pod of the workload has a node. That there is none for now is no reason to give up.
    pub async fn scheduled(
        &self,
        namespace: &str,
        name: &str,
        limit: Duration,
    ) -> Result<(), Fault> {
        let watches = vec![self.pods_of(namespace, name)];
        let judge = |seen: &Seen| seen.of(0).any(has_node).then_some(());
        let waited = until(watches, limit, judge).await;
        waited.map_err(|unseen| {
            let object = format!("pods of Deployment {namespace}/{name}");
            match unseen {
                Unseen::Refused(error) => Fault::of_api(self.name(), object, &error),
                Unseen::Late(_) => {
                    let why = format!("none has a node after {} s", limit.as_secs());
                    let remedy = "No node has room for it, or each is cordoned: `kubectl describe pod` says why.";
                    Fault::new(self.name(), object, "spec.nodeName", why, remedy)
                }
            }
        })
    }

    /// Waits until a namespace is gone.
    pub async fn gone(&self, namespace: &str, limit: Duration) -> Result<(), Fault> {
        let api = self.everywhere(Builtin::Namespace);
        let watches = vec![Watch::object(api, namespace)];
        let waited = until(watches, limit, |seen| seen.one(0).is_none().then_some(())).await;
        waited.map_err(|unseen| self.still_there(unseen, limit))
    }

    /// Waits until a field of an object has this value; the object is hopeless once the field has one of `hopeless`.
    pub async fn field(
        &self,
        object: &Value,
        field: &str,
        wanted: &str,
        hopeless: &[&str],
        limit: Duration,
    ) -> Result<(), Fault> {
        let (api_version, kind) = (text(&object["apiVersion"]), text(&object["kind"]));
        let namespace = object["metadata"]["namespace"].as_str();
        let wrong = |error: &kube::Error| Fault::of_api(self.name(), named(object), error);
        let api = self.of_kind(api_version, kind, namespace).await;
        let api = api.map_err(|error| wrong(&error))?;
        let pointer = format!("/{}", field.replace('.', "/"));
        let watches = vec![Watch::object(api, text(&object["metadata"]["name"]))];
        let fault =
            |why: String, remedy: &str| Fault::new(self.name(), named(object), field, why, remedy);
        let mut was_there = false;
        let mut last = String::new();
        let judge = |seen: &Seen| {
            let Some(there) = seen.one(0) else {
                let remedy = "Who else works in this namespace? The run cannot go on.";
                return was_there.then(|| {
                    Err(fault(
                        "it was deleted while it was awaited".to_owned(),
                        remedy,
                    ))
                });
            };
            was_there = true;
            there
                .pointer(&pointer)
                .map_or("", text)
                .clone_into(&mut last);
            if last == wanted {
                return Some(Ok(()));
            }
            let remedy =
                "`kubectl describe` of the object, and the logs of its controller, say why.";
            hopeless
                .contains(&last.as_str())
                .then(|| Err(fault(format!("it is {last}, not {wanted}"), remedy)))
        };
        let waited = until(watches, limit, judge).await;
        match waited {
            Ok(answer) => answer,
            Err(Unseen::Refused(error)) => Err(wrong(&error)),
            Err(Unseen::Late(_)) => {
                let why = format!("after {} s it is {last:?}, not {wanted}", limit.as_secs());
                Err(fault(why, "Is its controller running?"))
            }
        }
    }

    fn watches_of(&self, namespace: &str, name: &str) -> Vec<Watch> {
        let deployments = self.namespaced(Builtin::Deployment, namespace);
        vec![
            Watch::object(deployments, name),
            self.pods_of(namespace, name),
        ]
    }

    fn pods_of(&self, namespace: &str, name: &str) -> Watch {
        let pods = self.namespaced(Builtin::Pod, namespace);
        Watch::labelled(pods, &format!("{WORKLOAD_LABEL}={name}"))
    }

    fn still_there(&self, unseen: Unseen, limit: Duration) -> Fault {
        match unseen {
            Unseen::Refused(error) => Fault::of_api(self.name(), "what is deleted", &error),
            Unseen::Late(seen) => {
                let Some(left) = seen.one(0) else {
                    let why = "the API server did not answer";
                    return Fault::new(self.name(), "what is deleted", "", why, "Is it reachable?");
                };
                let mut why = format!("still there after {} s", limit.as_secs());
                let conditions = list(&left["status"]["conditions"]).iter();
                for condition in conditions.filter(|one| one["status"] == "True") {
                    why.push_str(&format!(": {}", text(&condition["message"])));
                }
                let remedy = "A finalizer may hold it; `xrbench clean` goes on later.";
                Fault::new(self.name(), named(left), "metadata.finalizers", why, remedy)
            }
        }
    }
}

/// A pod whose container has begun, and how often that was started again.
fn begun_of(pod: &Value) -> Option<(String, u64)> {
    let status = state::first_container(pod)?;
    let state = &status["state"];
    let has_begun = !state["running"].is_null() || !state["terminated"].is_null();
    let restarts = status["restartCount"].as_u64().unwrap_or(0);
    has_begun.then(|| (text(&pod["metadata"]["name"]).to_owned(), restarts))
}

/// Whether a pod that is not going already has a node.
fn has_node(pod: &Value) -> bool {
    state::stays(pod) && pod["spec"]["nodeName"].is_string()
}

/// The pods that are not going already.
fn staying<'a>(pods: impl Iterator<Item = &'a Value>) -> Vec<Value> {
    pods.filter(|pod| state::stays(pod)).cloned().collect()
}

/// How a pod ended; nothing while it goes on.
fn end_of<'a>(
    mut pods: impl Iterator<Item = &'a Value>,
    pod: &str,
    restarts: u64,
) -> Option<String> {
    let Some(found) = pods.find(|one| one["metadata"]["name"] == pod) else {
        return Some("its pod was deleted".to_owned());
    };
    let status = &found["status"];
    if status["phase"] == "Failed" {
        let (reason, message) = (text(&status["reason"]), text(&status["message"]));
        return Some(format!("its pod failed: {reason}: {message}"));
    }
    for container in list(&status["containerStatuses"]) {
        if let Some(how) = state::termination(&container["state"]["terminated"]) {
            return Some(how);
        }
        if container["restartCount"].as_u64() > Some(restarts) {
            let last = state::termination(&container["lastState"]["terminated"]);
            return Some(last.unwrap_or_else(|| "it was started again".to_owned()));
        }
    }
    (!state::stays(found)).then(|| "its pod is being deleted".to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_that_was_evicted_has_no_node_any_more() {
        let pod = |metadata: Value, spec: Value| json!({"metadata": metadata, "spec": spec});
        let going = json!({"deletionTimestamp": "2026-01-01T00:00:00Z"});
        assert!(!has_node(&pod(going, json!({"nodeName": "n"}))));
        assert!(!has_node(&pod(json!({}), json!({}))));
        assert!(has_node(&pod(json!({}), json!({"nodeName": "n"}))));
    }

    #[test]
    fn a_pod_that_goes_is_none_of_those_that_are_available() {
        let pod = |name: &str| json!({"metadata": {"name": name}});
        let mut going = pod("before");
        going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert_eq!(
            staying([going, pod("after")].iter()),
            [pod("after")],
            "a killed pod is there until its container has ended"
        );
    }

    #[test]
    fn the_end_of_a_pod_is_told_however_it_comes() {
        let pod = |status: Value, metadata: Value| {
            let mut pod = json!({"metadata": metadata, "status": status});
            pod["metadata"]["name"] = json!("p");
            pod
        };
        let of = |pod: &Value| end_of([pod].into_iter(), "p", 1);
        let running = |restarts: u64| {
            json!({"containerStatuses": [{"restartCount": restarts, "state": {"running": {}},
                "lastState": {"terminated": {"exitCode": 139, "reason": "Error"}}}]})
        };
        assert_eq!(of(&pod(running(1), json!({}))), None);
        assert_eq!(of(&pod(running(2), json!({}))).as_deref(), Some("exit 139"));
        let ended = json!({"containerStatuses": [{"restartCount": 0,
            "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}]});
        assert_eq!(of(&pod(ended, json!({}))).as_deref(), Some("exit 0"));
        let deleted = pod(
            running(1),
            json!({"deletionTimestamp": "2026-01-01T00:00:00Z"}),
        );
        assert!(of(&deleted).is_some_and(|told| told.contains("deleted")));
        let evicted = pod(json!({"phase": "Failed", "reason": "Evicted"}), json!({}));
        assert!(of(&evicted).is_some_and(|told| told.contains("Evicted")));
        assert!(end_of([].into_iter(), "p", 0).is_some());
    }
}
