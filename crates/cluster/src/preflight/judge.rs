//! What the answers of an API server mean for a run. Pure.

use serde_json::Value;
use settings::ClusterName;

use crate::fault::Fault;
use crate::objects::{bytes, list, millis, text};

/// As many images a kubelet tells of at most, unless it was told otherwise.
const IMAGES_TOLD: usize = 50;

/// A node that takes pods, and what of it is free.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeRoom {
    /// The node's name.
    pub name: String,
    /// The address at which others reach it.
    pub address: Option<String>,
    /// Processors that no pod has asked for, in thousandths.
    pub cpu_millis: u64,
    /// Memory that no pod has asked for, in bytes.
    pub memory_bytes: u64,
}

/// Where an image is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Image {
    /// On a node.
    There,
    /// Perhaps in the registry that its name names.
    Pulled,
    /// On no node, and its name names no registry.
    Nowhere,
}

/// The nodes that take pods, and what no pod of these has asked for.
pub(super) fn room(nodes: &[Value], pods: &[Value]) -> Vec<NodeRoom> {
    let takes_pods = nodes.iter().filter(|node| unfit(node).is_none());
    takes_pods
        .map(|node| {
            let name = text(&node["metadata"]["name"]);
            let allocatable = &node["status"]["allocatable"];
            let mut room = NodeRoom {
                name: name.to_owned(),
                address: address(node),
                cpu_millis: millis(&allocatable["cpu"]).unwrap_or(0),
                memory_bytes: bytes(&allocatable["memory"]).unwrap_or(0),
            };
            let on_it = pods.iter().filter(|pod| {
                pod["spec"]["nodeName"] == name
                    && pod["status"]["phase"] != "Succeeded"
                    && pod["status"]["phase"] != "Failed"
            });
            for container in on_it.flat_map(|pod| list(&pod["spec"]["containers"])) {
                let requests = &container["resources"]["requests"];
                let cpu = millis(&requests["cpu"]).unwrap_or(0);
                room.cpu_millis = room.cpu_millis.saturating_sub(cpu);
                let memory = bytes(&requests["memory"]).unwrap_or(0);
                room.memory_bytes = room.memory_bytes.saturating_sub(memory);
            }
            room
        })
        .collect()
}

/// The reason why a node takes no pods.
fn unfit(node: &Value) -> Option<String> {
    let conditions = list(&node["status"]["conditions"]);
    let ready = conditions.iter().find(|one| one["type"] == "Ready");
    if ready.is_none_or(|ready| ready["status"] != "True") {
        let message = ready.map_or("no condition Ready", |ready| text(&ready["message"]));
        return Some(format!("not Ready: {message}"));
    }
    if node["spec"]["unschedulable"] == true {
        return Some("unschedulable: it is cordoned".to_owned());
    }
    let taints = list(&node["spec"]["taints"]).iter();
    let mut repelling =
        taints.filter(|taint| taint["effect"] == "NoSchedule" || taint["effect"] == "NoExecute");
    repelling
        .next()
        .map(|taint| format!("tainted: {}", text(&taint["key"])))
}

/// A node's address, as those outside of the cluster reach it.
fn address(node: &Value) -> Option<String> {
    let addresses = list(&node["status"]["addresses"]);
    let of = |kind: &str| addresses.iter().find(|one| one["type"] == kind);
    let found = of("ExternalIP").or_else(|| of("InternalIP"))?;
    Some(text(&found["address"]).to_owned())
}

/// Whether the nodes have room for so many thousandths of a processor, and so many bytes.
pub(super) fn has_room(
    cluster: ClusterName,
    rooms: &[NodeRoom],
    nodes: &[Value],
    (cpu_millis, memory_bytes): (u64, u64),
) -> Vec<Fault> {
    let mut faults = Vec::new();
    if rooms.is_empty() {
        let told: Vec<String> = nodes
            .iter()
            .filter_map(|node| {
                let name = text(&node["metadata"]["name"]);
                Some(format!("{name} is {}", unfit(node)?))
            })
            .collect();
        let why = match &told[..] {
            [] => "there is none".to_owned(),
            told => told.join(", "),
        };
        let remedy = "A node that is Ready and takes pods is needed.";
        return vec![Fault::new(
            cluster,
            "nodes",
            "status.conditions",
            why,
            remedy,
        )];
    }
    let remedy = "End what else runs there, add a node, or lower the requests in k8s/.";
    let free: u64 = rooms.iter().map(|room| room.cpu_millis).sum();
    if free < cpu_millis {
        let why = format!("the pods ask for {cpu_millis}m of processors, and {free}m are free");
        faults.push(Fault::new(
            cluster,
            "nodes",
            "status.allocatable.cpu",
            why,
            remedy,
        ));
    }
    let free: u64 = rooms.iter().map(|room| room.memory_bytes).sum();
    if free < memory_bytes {
        let why = format!(
            "the pods ask for {} MiB of memory, and {} MiB are free",
            memory_bytes >> 20,
            free >> 20
        );
        faults.push(Fault::new(
            cluster,
            "nodes",
            "status.allocatable.memory",
            why,
            remedy,
        ));
    }
    faults
}

/// Where an image is, as far as nodes tell.
pub(super) fn image(image: &str, nodes: &[Value]) -> Image {
    let wanted = full_name(image);
    let told = |node: &Value| {
        let images = list(&node["status"]["images"]).iter();
        images
            .flat_map(|one| list(&one["names"]))
            .any(|name| full_name(text(name)) == wanted)
    };
    let may_have_more = |node: &Value| list(&node["status"]["images"]).len() >= IMAGES_TOLD;
    if nodes.iter().any(told) {
        Image::There
    } else if names_registry(image) || nodes.iter().any(may_have_more) {
        Image::Pulled
    } else {
        Image::Nowhere
    }
}

fn names_registry(image: &str) -> bool {
    let (first, rest) = image.split_once('/').unwrap_or(("", image));
    !rest.is_empty() && (first.contains(['.', ':']) || first == "localhost")
}

/// As containerd names it.
fn full_name(image: &str) -> String {
    let tagged = if image
        .rsplit('/')
        .next()
        .is_some_and(|last| last.contains(':'))
    {
        image.to_owned()
    } else {
        format!("{image}:latest")
    };
    match () {
        () if names_registry(image) => tagged,
        () if image.contains('/') => format!("docker.io/{tagged}"),
        () => format!("docker.io/library/{tagged}"),
    }
}

/// Whether the network of a peered cluster, a `ForeignCluster`, is up and its node ready.
pub(super) fn peering(cluster: ClusterName, object: &str, there: &Value) -> Result<(), Fault> {
    let modules = &there["status"]["modules"];
    for (module, kind, wanted) in [
        ("networking", "NetworkConnectionStatus", "Established"),
        ("offloading", "OffloadingNodeStatus", "Ready"),
    ] {
        let field = format!("status.modules.{module}.conditions[{kind}]");
        let conditions = list(&modules[module]["conditions"]);
        let found = conditions.iter().find(|one| one["type"] == kind);
        let is = found.map_or("not there", |one| text(&one["status"]));
        if is != wanted {
            let message = found.map_or("", |one| text(&one["message"]));
            let why = format!("it is {is}, not {wanted}: {message}");
            let remedy = "`liqoctl info peer` says more; peer again, or mend the network between the gateways.";
            return Err(Fault::new(cluster, object, field, why, remedy));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node() -> Value {
        json!({
            "metadata": {"name": "kxa"},
            "spec": {},
            "status": {
                "allocatable": {"cpu": "2", "memory": "4Gi"},
                "addresses": [{"type": "InternalIP", "address": "10.200.0.7"}, {"type": "Hostname", "address": "kxa"}],
                "conditions": [{"type": "MemoryPressure", "status": "False"}, {"type": "Ready", "status": "True"}],
                "images": [{"names": ["docker.io/xrbench/client:0.1.0"], "sizeBytes": 247_000_000}],
            },
        })
    }

    #[test]
    fn room_is_what_no_pod_has_asked_for() {
        let pod = |phase: &str| {
            json!({"spec": {"nodeName": "kxa", "containers": [{"resources": {"requests": {"cpu": "500m", "memory": "1Gi"}}}]},
                "status": {"phase": phase}})
        };
        let nodes = [node()];
        let rooms = room(&nodes, &[pod("Running"), pod("Succeeded")]);
        let expected = NodeRoom {
            name: "kxa".into(),
            address: Some("10.200.0.7".into()),
            cpu_millis: 1500,
            memory_bytes: 3 << 30,
        };
        assert_eq!(rooms, [expected]);
        let faults = |wanted| has_room(ClusterName::A, &rooms, &nodes, wanted);
        assert_eq!(faults((1500, 3 << 30)), []);
        let both = faults((1501, (3 << 30) + 1));
        assert_eq!(both.len(), 2);
        assert!(both[0].why.contains("1501m") && both[0].why.contains("1500m"));
    }

    #[test]
    fn a_node_that_takes_no_pods_is_told_with_the_reason() {
        let mut cordoned = node();
        cordoned["spec"]["unschedulable"] = json!(true);
        let mut tainted = node();
        tainted["spec"]["taints"] =
            json!([{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]);
        let mut down = node();
        down["status"]["conditions"][1] =
            json!({"type": "Ready", "status": "Unknown", "message": "Kubelet stopped posting"});
        for (node, word) in [
            (cordoned, "cordoned"),
            (tainted, "control-plane"),
            (down, "stopped posting"),
        ] {
            let nodes = [node];
            let rooms = room(&nodes, &[]);
            assert_eq!(rooms, []);
            let faults = has_room(ClusterName::B, &rooms, &nodes, (1, 1));
            assert!(faults[0].why.contains(word), "{faults:?}");
        }
    }

    #[test]
    fn an_image_is_there_may_be_pulled_or_is_nowhere() {
        let nodes = [node()];
        assert_eq!(image("xrbench/client:0.1.0", &nodes), Image::There);
        assert_eq!(
            image("docker.io/xrbench/client:0.1.0", &nodes),
            Image::There
        );
        assert_eq!(image("xrbench/client:0.2.0", &nodes), Image::Nowhere);
        assert_eq!(image("ghcr.io/you/client:1", &nodes), Image::Pulled);
        assert_eq!(image("localhost:5000/client", &nodes), Image::Pulled);
        let mut many = node();
        many["status"]["images"] = json!(vec![json!({"names": ["x:1"]}); IMAGES_TOLD]);
        assert_eq!(image("xrbench/client:0.2.0", &[many]), Image::Pulled);
    }

    #[test]
    fn a_peering_is_up_or_says_which_part_is_not() {
        let up = json!({"status": {"modules": {
            "networking": {"conditions": [{"type": "NetworkConnectionStatus", "status": "Established"}]},
            "offloading": {"conditions": [{"type": "OffloadingNodeStatus", "status": "Ready"}]}}}});
        assert_eq!(peering(ClusterName::A, "ForeignCluster b", &up), Ok(()));
        let mut down = up;
        down["status"]["modules"]["networking"]["conditions"][0] = json!({"type": "NetworkConnectionStatus", "status": "Error", "message": "no handshake"});
        let fault = peering(ClusterName::A, "ForeignCluster b", &down).expect_err("down");
        assert_eq!(
            fault.field,
            "status.modules.networking.conditions[NetworkConnectionStatus]"
        );
        assert!(
            fault.why.contains("Error") && fault.why.contains("no handshake"),
            "{fault}"
        );
        let unjoined = peering(ClusterName::A, "ForeignCluster b", &json!({})).expect_err("none");
        assert!(unjoined.why.contains("not there"), "{unjoined}");
    }
}
