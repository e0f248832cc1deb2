//! Which steps a cluster has come to, from its objects. Pure.

use std::collections::BTreeMap;

use result::provision::Transition;
use serde_json::Value;
use timeline::UnixMicros;

use crate::management::CONTROL_PLANE;

/// A cluster's objects as they were last seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Objects {
    /// The Cluster.
    pub cluster: Option<Value>,
    /// The control plane's object.
    pub control_plane: Option<Value>,
    /// The Machines, by name.
    pub machines: BTreeMap<String, Value>,
}

impl Objects {
    /// The steps that hold by now, each with the time that the provider gives for it; `nodes` are wanted.
    pub(crate) fn reached(&self, nodes: u32) -> Vec<(Transition, Option<UnixMicros>)> {
        let cluster = self.cluster.as_ref();
        let of_cluster = |kind: &str| condition(cluster?, kind);
        let first: Vec<&Value> = self
            .machines
            .values()
            .filter(|one| is_control_plane(one))
            .collect();
        // The step is that of the first Machine that comes to it.
        let of_first = |kind: &str| first.iter().filter_map(|one| condition(one, kind)).min();
        let created = first
            .iter()
            .filter_map(|one| time(&one["metadata"]["creationTimestamp"]))
            .min();
        let registered = first
            .iter()
            .any(|one| one["status"]["nodeRef"]["name"].is_string());
        let ready_replicas = self
            .control_plane
            .as_ref()
            .and_then(|one| one["status"]["readyReplicas"].as_u64());
        let ready: Vec<_> = self
            .machines
            .values()
            .filter_map(|one| condition(one, "NodeReady"))
            .collect();
        let all = ready.len() == self.machines.len() && ready.len() >= nodes as usize;
        let steps = [
            (
                Transition::InfrastructureReady,
                of_cluster("InfrastructureReady"),
            ),
            (Transition::MachineCreated, created.map(Some)),
            (Transition::BootstrapReady, of_first("BootstrapConfigReady")),
            (Transition::VmActive, of_first("InfrastructureReady")),
            (
                Transition::ControlPlaneInitialized,
                of_cluster("ControlPlaneInitialized"),
            ),
            (Transition::NodeRegistered, registered.then_some(None)),
            (Transition::NodeReady, of_first("NodeReady")),
            (
                Transition::ControlPlaneNodeReady,
                ready_replicas.filter(|count| *count > 0).map(|_| None),
            ),
            (
                Transition::ControlPlaneAvailable,
                of_cluster("ControlPlaneAvailable"),
            ),
            (
                Transition::AllNodesReady,
                all.then(|| ready.iter().max().copied().flatten()),
            ),
        ];
        steps
            .into_iter()
            .filter_map(|(step, holds)| Some((step, holds?)))
            .collect()
    }

    /// The reason why the cluster cannot become ready any more, with the object and the field.
    pub(crate) fn failure(&self) -> Option<String> {
        let machines = self.machines.values().map(|one| ("Machine", one));
        let cluster = self.cluster.iter().map(|one| ("Cluster", one));
        let control_plane = self.control_plane.iter().map(|one| {
            let kind = one["kind"].as_str().unwrap_or("control plane");
            (kind, one)
        });
        cluster
            .chain(control_plane)
            .chain(machines)
            .find_map(|(kind, object)| {
                let name = object["metadata"]["name"].as_str().unwrap_or_default();
                let status = &object["status"];
                for path in ["/failureMessage", "/deprecated/v1beta1/failureMessage"] {
                    if let Some(message) = status.pointer(path).and_then(Value::as_str) {
                        return Some(format!(
                            "{kind} {name}, status{}: {message}",
                            path.replace('/', ".")
                        ));
                    }
                }
                let phase = status["phase"].as_str()?;
                (phase == "Failed").then(|| format!("{kind} {name}, status.phase: Failed"))
            })
    }

    /// What the cluster still lacks, for the message of a time limit.
    pub(crate) fn lacking(&self, nodes: u32) -> String {
        let reached = self.reached(nodes);
        let last = reached.iter().map(|(step, _)| *step).max();
        let mut told = last.map_or_else(
            || "nothing was reached".to_owned(),
            |step| format!("the last step was {step}"),
        );
        let objects = self
            .cluster
            .iter()
            .chain(&self.control_plane)
            .chain(self.machines.values());
        let reason = objects.into_iter().find_map(|object| {
            let of = object["status"]["conditions"]
                .as_array()?
                .iter()
                .find(|one| {
                    one["status"] == "False"
                        && one["message"].as_str().is_some_and(|text| !text.is_empty())
                })?;
            let (kind, name) = (
                object["kind"].as_str()?,
                object["metadata"]["name"].as_str()?,
            );
            Some(format!(
                "{kind} {name}, condition {}: {}",
                of["type"].as_str()?,
                of["message"].as_str()?
            ))
        });
        if let Some(reason) = reason {
            told = format!("{told}; {reason}");
        }
        told
    }
}

fn is_control_plane(machine: &Value) -> bool {
    !machine["metadata"]["labels"][CONTROL_PLANE].is_null()
}

/// The time since which a condition is true; none where it is not.
#[expect(clippy::option_option, reason = "a condition may hold without a time")]
fn condition(object: &Value, kind: &str) -> Option<Option<UnixMicros>> {
    let conditions = object["status"]["conditions"].as_array()?;
    let of = conditions
        .iter()
        .find(|one| one["type"] == kind && one["status"] == "True")?;
    Some(time(&of["lastTransitionTime"]))
}

fn time(value: &Value) -> Option<UnixMicros> {
    let at: jiff::Timestamp = value.as_str()?.parse().ok()?;
    u64::try_from(at.as_microsecond()).ok().map(UnixMicros)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with(conditions: &[(&str, &str)]) -> Value {
        let of = |(kind, at): &(&str, &str)| json!({"type": kind, "status": "True", "lastTransitionTime": at});
        json!({"kind": "Machine", "metadata": {"name": "m"}, "status": {"conditions": conditions.iter().map(of).collect::<Vec<_>>()}})
    }

    fn steps(objects: &Objects, nodes: u32) -> Vec<Transition> {
        objects
            .reached(nodes)
            .into_iter()
            .map(|(step, _)| step)
            .collect()
    }

    #[test]
    fn both_readings_of_a_ready_control_plane_are_told_apart() {
        let mut objects = Objects {
            cluster: Some(with(&[("InfrastructureReady", "2026-01-01T00:00:10Z")])),
            ..Objects::default()
        };
        assert_eq!(
            objects.reached(1),
            [(
                Transition::InfrastructureReady,
                Some(UnixMicros(1_767_225_610_000_000))
            )]
        );
        objects.control_plane = Some(json!({"status": {"readyReplicas": 1}}));
        assert!(steps(&objects, 1).contains(&Transition::ControlPlaneNodeReady));
        assert!(!steps(&objects, 1).contains(&Transition::ControlPlaneAvailable));
    }

    #[test]
    fn all_nodes_are_ready_when_each_machine_is_and_none_is_missing() {
        let ready = |at: &str| with(&[("NodeReady", at)]);
        let mut objects = Objects::default();
        objects
            .machines
            .insert("a".into(), ready("2026-01-01T00:00:10Z"));
        assert!(
            !steps(&objects, 2).contains(&Transition::AllNodesReady),
            "one is missing"
        );
        objects.machines.insert("b".into(), with(&[]));
        assert!(
            !steps(&objects, 2).contains(&Transition::AllNodesReady),
            "one is not ready"
        );
        objects
            .machines
            .insert("b".into(), ready("2026-01-01T00:00:20Z"));
        let last = objects
            .reached(2)
            .into_iter()
            .find(|(step, _)| *step == Transition::AllNodesReady);
        assert_eq!(
            last.and_then(|(_, at)| at),
            Some(UnixMicros(1_767_225_620_000_000))
        );
    }

    #[test]
    fn the_first_machine_of_the_control_plane_counts_and_no_worker() {
        let mut worker = with(&[("InfrastructureReady", "2026-01-01T00:00:01Z")]);
        worker["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
        let mut objects = Objects::default();
        objects.machines.insert("w".into(), worker.clone());
        assert_eq!(steps(&objects, 1), []);
        worker["metadata"]["labels"][CONTROL_PLANE] = json!("");
        worker["status"]["nodeRef"]["name"] = json!("node");
        objects.machines.insert("c".into(), worker);
        assert_eq!(
            steps(&objects, 1),
            [
                Transition::MachineCreated,
                Transition::VmActive,
                Transition::NodeRegistered
            ]
        );
    }

    #[test]
    fn a_failure_names_object_field_and_message() {
        let mut objects = Objects::default();
        let mut machine = with(&[]);
        machine["status"]["deprecated"]["v1beta1"]["failureMessage"] = json!("no quota");
        objects.machines.insert("m".into(), machine);
        let failure = objects.failure().expect("a failure");
        assert_eq!(
            failure,
            "Machine m, status.deprecated.v1beta1.failureMessage: no quota"
        );
        let mut late = with(&[]);
        late["status"]["conditions"] =
            json!([{"type": "Ready", "status": "False", "message": "waiting for flannel"}]);
        objects.machines.insert("m".into(), late);
        assert_eq!(objects.failure(), None);
        assert!(
            objects
                .lacking(1)
                .contains("Machine m, condition Ready: waiting for flannel")
        );
    }
}
