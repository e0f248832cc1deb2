//! The management cluster: where Cluster API's objects are.

use cluster::{Access, Flags, Server};
use kube::Client;
use kube::api::{Api, DynamicObject};
use service::ConfigError;

/// The group of Cluster and Machine, and its version.
pub(crate) const CLUSTER_API: &str = "cluster.x-k8s.io/v1beta2";

/// The label that Cluster API puts on each object of a cluster.
pub(crate) const CLUSTER_NAME: &str = "cluster.x-k8s.io/cluster-name";

/// The label that Cluster API puts on each Machine of a control plane.
pub(crate) const CONTROL_PLANE: &str = "cluster.x-k8s.io/control-plane";

/// The flags that say where the management cluster is.
const FLAGS: Flags<'_> = Flags {
    kubeconfig: "--kubeconfig",
    context: "--context",
};

/// A management cluster that answers, and a namespace of it.
#[derive(Clone, Debug)]
pub(crate) struct Management {
    server: Server,
    /// The namespace of the experiment's objects.
    pub namespace: String,
}

impl Management {
    /// Reaches the cluster.
    pub(crate) async fn connect(access: &Access, namespace: &str) -> Result<Self, ConfigError> {
        let reached = Server::reach(access, FLAGS).await;
        let server = reached.map_err(|fault| {
            let value = access.context.as_deref().unwrap_or_default();
            ConfigError::new(fault.object, value, fault.why, fault.remedy)
        })?;
        Ok(Self {
            server,
            namespace: namespace.to_owned(),
        })
    }

    /// The client of the API server.
    pub(crate) const fn client(&self) -> &Client {
        self.server.client()
    }

    /// The version of the API server.
    pub(crate) fn version(&self) -> &str {
        self.server.version()
    }

    /// The objects of a kind in the namespace; an error where the API server does not know the kind.
    pub(crate) async fn of_kind(
        &self,
        api_version: &str,
        kind: &str,
    ) -> Result<Api<DynamicObject>, kube::Error> {
        let namespace = Some(self.namespace.as_str());
        self.server.of_kind(api_version, kind, namespace).await
    }
}
