//! A cluster of a scenario that was reached.

use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::core::GroupVersionKind;
use settings::ClusterName;

use crate::fault::Fault;
use crate::server::{Access, Flags, Server};

/// The oldest version whose server-side apply and probes are as the manifests need them.
const OLDEST_MINOR: u32 = 20;

/// A cluster that answers.
#[derive(Clone, Debug)]
pub struct Cluster {
    name: ClusterName,
    server: Server,
}

impl Cluster {
    /// Reaches the cluster, which has this name in the scenario.
    pub async fn connect(name: ClusterName, access: &Access) -> Result<Self, Fault> {
        let (kubeconfig, context) = (format!("--kubeconfig-{name}"), format!("--context-{name}"));
        let flags = Flags {
            kubeconfig: &kubeconfig,
            context: &context,
        };
        let reached = Server::reach(access, flags).await;
        let reached =
            reached.and_then(|server| server.check_version(OLDEST_MINOR).map(|()| server));
        let server = reached.map_err(|fault| Fault {
            cluster: Some(name),
            ..fault
        })?;
        Ok(Self { name, server })
    }

    /// The cluster's name in the scenario.
    pub const fn name(&self) -> ClusterName {
        self.name
    }

    /// The version of its API server.
    pub fn version(&self) -> &str {
        self.server.version()
    }

    pub(crate) const fn client(&self) -> &Client {
        self.server.client()
    }

    /// The API of a kind that every Kubernetes has, in a namespace.
    pub(crate) fn namespaced(&self, kind: Builtin, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client().clone(), namespace, &kind.resource())
    }

    /// The API of a kind that every Kubernetes has, over all namespaces or above them.
    pub(crate) fn everywhere(&self, kind: Builtin) -> Api<DynamicObject> {
        Api::all_with(self.client().clone(), &kind.resource())
    }

    /// The API of any kind that the cluster knows, in `namespace` if the kind has one.
    pub(crate) async fn of_kind(
        &self,
        api_version: &str,
        kind: &str,
        namespace: Option<&str>,
    ) -> Result<Api<DynamicObject>, kube::Error> {
        self.server.of_kind(api_version, kind, namespace).await
    }

    /// The name of a kind in rights: `deployments`.
    pub(crate) async fn plural(
        &self,
        api_version: &str,
        kind: &str,
    ) -> Result<String, kube::Error> {
        self.server.plural(api_version, kind).await
    }
}

/// A kind that every Kubernetes has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Builtin {
    Namespace,
    Node,
    Pod,
    Deployment,
    NetworkPolicy,
}

impl Builtin {
    pub(crate) fn resource(self) -> ApiResource {
        let gvk = match self {
            Self::Namespace => GroupVersionKind::gvk("", "v1", "Namespace"),
            Self::Node => GroupVersionKind::gvk("", "v1", "Node"),
            Self::Pod => GroupVersionKind::gvk("", "v1", "Pod"),
            Self::Deployment => GroupVersionKind::gvk("apps", "v1", "Deployment"),
            Self::NetworkPolicy => {
                GroupVersionKind::gvk("networking.k8s.io", "v1", "NetworkPolicy")
            }
        };
        ApiResource::from_gvk(&gvk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn refused(access: Access) -> Fault {
        let reached = Cluster::connect(ClusterName::A, &access).await;
        reached.expect_err("it cannot be reached")
    }

    fn kubeconfig(text: &str) -> (tempfile::TempDir, Access) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("config");
        std::fs::write(&path, text).expect("written");
        let access = Access {
            kubeconfig: Some(path),
            context: None,
        };
        (folder, access)
    }

    /// A port of this host at which nobody listens is taken from the system and given back.
    fn closed_port() -> u16 {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        socket.local_addr().expect("an address").port()
    }

    #[tokio::test]
    async fn what_cannot_be_reached_is_told_with_the_kubeconfig_and_the_remedy() {
        let access = Access {
            kubeconfig: Some("/nonexistent/config".into()),
            context: None,
        };
        let fault = refused(access).await.to_string();
        assert!(
            fault.contains("/nonexistent/config") && fault.contains("--kubeconfig-a"),
            "{fault}"
        );

        let text = format!(
            "apiVersion: v1\nkind: Config\nclusters: [{{name: c, cluster: {{server: 'http://127.0.0.1:{}'}}}}]\n\
             users: [{{name: u, user: {{}}}}]\ncontexts: [{{name: lab-east, context: {{cluster: c, user: u}}}}]\n\
             current-context: lab-east\n",
            closed_port()
        );
        let (_folder, access) = kubeconfig(&text);
        let fault = refused(access.clone()).await;
        assert!(
            fault.object.contains("API server http://127.0.0.1:"),
            "{fault}"
        );
        let wrong = Access {
            context: Some("lab-eats".into()),
            ..access
        };
        let fault = refused(wrong).await.to_string();
        assert!(
            fault.contains("lab-eats") && fault.contains("lab-east"),
            "{fault}"
        );
    }
}
