//! What containers have used, asked of the kubelets through the API server.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::cadvisor::{Machine, Page, Reading};
use crate::connect::Cluster;
use crate::fault::Fault;
use crate::objects::text;
use crate::state;

/// A container of a pod, as its kubelet and its runtime know it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PodContainer {
    /// The node that the pod is on.
    pub node: String,
    /// The pod's name.
    pub pod: String,
    /// The number that the runtime gave the container.
    pub id: String,
}

/// What containers and their nodes have used.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    /// Of each container.
    pub containers: Vec<ContainerUsage>,
    /// Of each node that has one of them.
    pub nodes: Vec<NodeUsage>,
}

/// What a whole node has used, with all that runs on it, and what it has.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeUsage {
    /// The node's name.
    pub node: String,
    /// The reading; none where its kubelet tells none of the whole.
    pub reading: Option<Reading>,
    /// Processors and memory of the node itself.
    pub machine: Machine,
}

/// What a container has used, as far as its kubelet told.
#[derive(Clone, Debug, PartialEq)]
pub struct ContainerUsage {
    /// Whose it is.
    pub container: PodContainer,
    /// The reading; none where the kubelet lists no such container.
    pub reading: Option<Reading>,
}

impl PodContainer {
    /// The first container of a pod; none before it has begun.
    pub fn of(pod: &Value) -> Option<Self> {
        let status = state::first_container(pod)?;
        let (_, id) = text(&status["containerID"]).split_once("://")?;
        Some(Self {
            node: pod["spec"]["nodeName"].as_str()?.to_owned(),
            pod: text(&pod["metadata"]["name"]).to_owned(),
            id: id.to_owned(),
        })
    }
}

impl Cluster {
    /// What these containers and their nodes have used.
    pub async fn usage(&self, containers: &[PodContainer]) -> Result<Usage, Fault> {
        let nodes: BTreeSet<&str> = containers.iter().map(|one| one.node.as_str()).collect();
        let mut pages = BTreeMap::new();
        for node in nodes {
            pages.insert(node, self.page(node).await?);
        }
        let of = |container: &PodContainer| ContainerUsage {
            container: container.clone(),
            reading: pages
                .get(container.node.as_str())
                .and_then(|page| page.container(&container.id).copied()),
        };
        let whole = |(node, page): (&&str, &Page)| NodeUsage {
            node: (*node).to_owned(),
            reading: page.node().copied(),
            machine: page.machine(),
        };
        Ok(Usage {
            containers: containers.iter().map(of).collect(),
            nodes: pages.iter().map(whole).collect(),
        })
    }

    async fn page(&self, node: &str) -> Result<Page, Fault> {
        let path = format!("/api/v1/nodes/{node}/proxy/metrics/cadvisor");
        let wrong = |error: kube::Error| {
            let object = format!("Node {node}, metrics/cadvisor");
            Fault::of_api(self.name(), object, &error)
        };
        let request = http::Request::get(path).body(Vec::new());
        let request = request.map_err(|error| wrong(kube::Error::HttpError(error)))?;
        let text = self.client().request_text(request).await.map_err(wrong)?;
        Ok(Page::parse(&text))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_container_that_has_begun_has_a_number() {
        let mut pod = json!({
            "metadata": {"name": "client-x"}, "spec": {"nodeName": "kxa"},
            "status": {"containerStatuses": [{"containerID": "containerd://3f2aab99"}]},
        });
        let expected = PodContainer {
            node: "kxa".into(),
            pod: "client-x".into(),
            id: "3f2aab99".into(),
        };
        assert_eq!(PodContainer::of(&pod), Some(expected));
        pod["status"] = json!({});
        assert_eq!(PodContainer::of(&pod), None);
        // A kubelet lists them by name.
        pod["spec"]["containers"] = json!([{"name": "renderer"}, {"name": "clock"}]);
        pod["status"]["containerStatuses"] = json!([
            {"name": "clock", "containerID": "containerd://aa"},
            {"name": "renderer", "containerID": "containerd://bb"},
        ]);
        let id = PodContainer::of(&pod).map(|one| one.id);
        assert_eq!(id.as_deref(), Some("bb"));
    }
}
