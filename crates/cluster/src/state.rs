//! What the state of a workload means: ready, not yet, or hopeless. Pure.

use serde_json::Value;

use crate::objects::{list, text};

/// How a workload does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Every pod is available.
    Ready,
    /// The workload may become ready; what is awaited.
    NotYet(String),
    /// Waiting longer changes nothing.
    Hopeless(Trouble),
}

/// Something that does not mend itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// The field of the pod or workload that says so.
    pub(crate) field: String,
    /// The trouble, in the cluster's words.
    pub(crate) why: String,
    /// The remedy, as a whole sentence.
    pub(crate) remedy: String,
    /// The name of the pod; none where it is the workload's own.
    pub(crate) pod: Option<String>,
}

impl Trouble {
    fn new(field: &str, why: String, remedy: &str) -> Self {
        Self {
            field: field.to_owned(),
            why,
            remedy: remedy.to_owned(),
            pod: None,
        }
    }
}

/// The state of a Deployment and its pods.
pub(crate) fn of_workload<'a>(
    deployment: &Value,
    pods: impl IntoIterator<Item = &'a Value>,
) -> State {
    let pods: Vec<&Value> = pods.into_iter().filter(|pod| stays(pod)).collect();
    let (spec, status) = (&deployment["spec"], &deployment["status"]);
    let wanted = spec["replicas"].as_u64().unwrap_or(1);
    let count = |field: &str| status[field].as_u64().unwrap_or(0);
    let seen = count("observedGeneration");
    let is_seen = deployment["metadata"]["generation"].as_u64() <= Some(seen);
    let updated = count("updatedReplicas");
    if is_seen
        && updated >= wanted
        && count("availableReplicas") >= wanted
        && count("replicas") == updated
        // The count follows the pods a moment later: one that was killed may still be in it.
        && pods.iter().filter(|pod| is_ready(pod)).count() as u64 >= wanted
    {
        return State::Ready;
    }
    if is_seen && let Some(trouble) = of_deployment(status) {
        return State::Hopeless(trouble);
    }
    let mut told = Vec::new();
    for pod in pods {
        let name = text(&pod["metadata"]["name"]);
        if let Some(mut trouble) = of_pod(pod) {
            trouble.pod = Some(name.to_owned());
            return State::Hopeless(trouble);
        }
        told.push(format!("pod {name}: {}", awaited(pod)));
    }
    if told.is_empty() {
        told.push("no pod yet".to_owned());
    }
    let available = count("availableReplicas");
    State::NotYet(format!(
        "{available} of {wanted} available; {}",
        told.join("; ")
    ))
}

/// What a kubelet says of the container that a pod's spec names first; it lists them by name.
pub(crate) fn first_container(pod: &Value) -> Option<&Value> {
    let statuses = list(&pod["status"]["containerStatuses"]);
    let named = &pod["spec"]["containers"][0]["name"];
    let is_it = |status: &&Value| named.is_null() || status["name"] == *named;
    statuses.iter().find(is_it)
}

/// Whether a pod is not being deleted.
pub(crate) fn stays(pod: &Value) -> bool {
    pod["metadata"]["deletionTimestamp"].is_null()
}

fn is_ready(pod: &Value) -> bool {
    let mut conditions = list(&pod["status"]["conditions"]).iter();
    conditions.any(|one| one["type"] == "Ready" && one["status"] == "True")
}

/// Trouble that the Deployment's controller tells: a quota, an admission that refuses, a deadline.
fn of_deployment(status: &Value) -> Option<Trouble> {
    let condition = |kind: &str| {
        list(&status["conditions"])
            .iter()
            .find(|one| one["type"] == kind)
    };
    if let Some(failure) = condition("ReplicaFailure").filter(|one| one["status"] == "True") {
        let message = text(&failure["message"]);
        let remedy = if message.contains("exceeded quota") {
            "Raise the namespace's quota (`kubectl describe quota`), or lower the requests in k8s/."
        } else {
            "The cluster admits no such pod: mend what its message names."
        };
        let why = format!("{}: {message}", text(&failure["reason"]));
        return Some(Trouble::new(
            "status.conditions[ReplicaFailure]",
            why,
            remedy,
        ));
    }
    let late = condition("Progressing").filter(|one| one["status"] == "False")?;
    let why = format!("{}: {}", text(&late["reason"]), text(&late["message"]));
    let remedy = "`kubectl describe pod` may say what it waits for.";
    Some(Trouble::new("status.conditions[Progressing]", why, remedy))
}

/// Trouble of a pod that does not mend itself.
pub(crate) fn of_pod(pod: &Value) -> Option<Trouble> {
    let status = &pod["status"];
    if status["phase"] == "Failed" {
        let why = format!("{}: {}", text(&status["reason"]), text(&status["message"]));
        let remedy =
            "The node had no room for it: free memory or disk, or give the pod another node.";
        return Some(Trouble::new("status.phase", why, remedy));
    }
    let scheduled = list(&status["conditions"])
        .iter()
        .find(|one| one["type"] == "PodScheduled");
    if let Some(no_node) = scheduled
        && no_node["status"] == "False"
        && no_node["reason"] == "Unschedulable"
    {
        let why = format!("Unschedulable: {}", text(&no_node["message"]));
        let remedy = "No node has room for it: add one, end what else runs there, or lower the requests in k8s/.";
        return Some(Trouble::new("status.conditions[PodScheduled]", why, remedy));
    }
    for container in list(&status["containerStatuses"]) {
        let waiting = &container["state"]["waiting"];
        let Some(reason) = waiting["reason"].as_str() else {
            continue;
        };
        let image = text(&container["image"]);
        let remedy = match reason {
            "ErrImagePull"
            | "ImagePullBackOff"
            | "ErrImageNeverPull"
            | "InvalidImageName"
            | "RegistryUnavailable" => {
                "Push the image to where this name leads, or load it into the nodes; --image-prefix and --image-tag name another."
            }
            "CrashLoopBackOff" | "RunContainerError" => {
                "Its log says why; the end of it is in the folder of the repetition."
            }
            "CreateContainerConfigError" | "CreateContainerError" => {
                "A ConfigMap, a Secret or a right that it names is not there."
            }
            _ => continue,
        };
        let mut why = format!("{reason}: {}", text(&waiting["message"]));
        if reason.contains("Image") {
            why.push_str(&format!(" (image {image})"));
        }
        if let Some(last) = termination(&container["lastState"]["terminated"]) {
            why.push_str(&format!("; it had ended: {last}"));
        }
        let field = format!(
            "status.containerStatuses[{}].state.waiting",
            text(&container["name"])
        );
        return Some(Trouble::new(&field, why, remedy));
    }
    None
}

/// How a container ended, in words: `exit 1`, `OOMKilled, exit 137`.
pub(crate) fn termination(terminated: &Value) -> Option<String> {
    let code = terminated["exitCode"].as_i64()?;
    Some(match text(&terminated["reason"]) {
        "" | "Error" | "Completed" => format!("exit {code}"),
        reason => format!("{reason}, exit {code}"),
    })
}

/// What a pod that is not ready waits for.
fn awaited(pod: &Value) -> String {
    let status = &pod["status"];
    let mut containers = list(&status["containerStatuses"]).iter();
    if let Some(reason) =
        containers.find_map(|container| container["state"]["waiting"]["reason"].as_str())
    {
        return reason.to_owned();
    }
    let conditions = list(&status["conditions"]).iter();
    let unmet: Vec<&str> = conditions
        .filter(|one| one["status"] != "True")
        .map(|one| text(&one["type"]))
        .collect();
    match (text(&status["phase"]), &unmet[..]) {
        ("", _) => "not seen by the scheduler".to_owned(),
        (phase, []) => phase.to_owned(),
        (phase, unmet) => format!("{phase}, not {}", unmet.join(", not ")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(generation: u64, seen: u64, available: u64, conditions: &Value) -> Value {
        json!({
            "metadata": {"name": "client", "generation": generation},
            "spec": {"replicas": 1},
            "status": {"observedGeneration": seen, "replicas": 1, "updatedReplicas": 1,
                "availableReplicas": available, "conditions": conditions},
        })
    }

    /// A pod as Kubernetes 1.20 told it, but for what is not looked at.
    fn pod(status: &Value) -> Value {
        json!({"metadata": {"name": "client-6d4cf56db6-x2x9k"}, "status": status})
    }

    fn waiting(reason: &str, message: &str) -> Value {
        pod(&json!({"phase": "Pending", "containerStatuses": [{
            "name": "client", "image": "xrbench/client:9.9", "restartCount": 0, "ready": false,
            "state": {"waiting": {"reason": reason, "message": message}},
            "lastState": {},
        }]}))
    }

    fn trouble(state: State) -> Trouble {
        match state {
            State::Hopeless(trouble) => trouble,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn ready_is_what_the_controller_has_seen() {
        let none = json!([]);
        let mut ready = pod(&json!({"conditions": [{"type": "Ready", "status": "True"}]}));
        let well = deployment(2, 2, 1, &none);
        assert_eq!(of_workload(&well, [&ready]), State::Ready);
        let unseen = of_workload(&deployment(3, 2, 1, &none), [&ready]);
        assert!(matches!(unseen, State::NotYet(_)), "{unseen:?}");
        ready["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        let killed = of_workload(&well, [&ready]);
        assert!(matches!(killed, State::NotYet(_)), "{killed:?}");
        let starting = pod(&json!({"phase": "Running", "conditions": [
            {"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "False"}]}));
        let state = of_workload(&deployment(2, 2, 0, &none), [&starting]);
        let State::NotYet(told) = state else {
            panic!("{state:?}")
        };
        assert_eq!(
            told,
            "0 of 1 available; pod client-6d4cf56db6-x2x9k: Running, not Ready"
        );
    }

    #[test]
    fn what_does_not_mend_itself_is_hopeless_at_once() {
        let waits = [
            ("ErrImagePull", "rpc error: not found", "--image-tag"),
            ("ImagePullBackOff", "Back-off pulling image", "--image-tag"),
            ("CrashLoopBackOff", "back-off 10s restarting", "log"),
            (
                "CreateContainerConfigError",
                "secret \"feed-token\" not found",
                "Secret",
            ),
        ];
        for (reason, message, remedy) in waits {
            let pod = waiting(reason, message);
            let found = trouble(of_workload(&deployment(1, 1, 0, &json!([])), [&pod]));
            assert_eq!(
                found.field,
                "status.containerStatuses[client].state.waiting"
            );
            assert!(
                found.why.starts_with(reason) && found.why.contains(message),
                "{found:?}"
            );
            assert!(found.remedy.contains(remedy), "{found:?}");
            assert_eq!(found.pod.as_deref(), Some("client-6d4cf56db6-x2x9k"));
        }
        let starting = waiting("ContainerCreating", "");
        let state = of_workload(&deployment(1, 1, 0, &json!([])), [&starting]);
        assert!(matches!(state, State::NotYet(_)), "{state:?}");
    }

    #[test]
    fn no_room_no_quota_and_eviction_are_told_with_their_field() {
        let no_room = pod(
            &json!({"phase": "Pending", "conditions": [{"type": "PodScheduled",
            "status": "False", "reason": "Unschedulable",
            "message": "0/1 nodes are available: 1 Insufficient cpu."}]}),
        );
        let found = trouble(of_workload(&deployment(1, 1, 0, &json!([])), [&no_room]));
        assert_eq!(found.field, "status.conditions[PodScheduled]");
        assert!(found.why.contains("Insufficient cpu"), "{found:?}");

        let quota = json!([{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate",
            "message": "pods \"client-x\" is forbidden: exceeded quota: small, requested: limits.cpu=400m"}]);
        let found = trouble(of_workload(&deployment(1, 1, 0, &quota), []));
        assert!(found.remedy.contains("quota"), "{found:?}");

        let evicted = pod(&json!({"phase": "Failed", "reason": "Evicted",
            "message": "The node was low on resource: memory."}));
        let found = trouble(of_workload(&deployment(1, 1, 0, &json!([])), [&evicted]));
        assert_eq!(found.field, "status.phase");
        assert!(found.why.contains("low on resource"), "{found:?}");
    }

    #[test]
    fn a_crash_tells_how_the_container_had_ended() {
        let mut crashing = waiting("CrashLoopBackOff", "back-off");
        crashing["status"]["containerStatuses"][0]["lastState"] =
            json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}});
        let found = of_pod(&crashing).expect("trouble");
        assert!(found.why.contains("OOMKilled, exit 137"), "{found:?}");
    }

    /// Whatever an API server answers, nothing panics.
    #[test]
    fn strange_objects_are_not_ready() {
        for strange in [json!(null), json!({"status": 7}), json!([1])] {
            let state = of_workload(&strange, [&strange]);
            assert!(matches!(state, State::NotYet(_)), "{strange}: {state:?}");
            assert_eq!(of_pod(&strange), None);
        }
    }
}
