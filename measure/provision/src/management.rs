//! The management cluster: where Cluster API's objects are.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kube::api::{Api, ApiResource, DynamicObject};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::GroupVersionKind;
use kube::discovery::oneshot;
use kube::{Client, Config};
use service::ConfigError;
use tokio::sync::Mutex;

/// How long the API server may take to be reached.
const PATIENCE: Duration = Duration::from_secs(10);

/// The group of Cluster and Machine, and its version.
pub(crate) const CLUSTER_API: &str = "cluster.x-k8s.io/v1beta2";

/// The label that Cluster API puts on each object of a cluster.
pub(crate) const CLUSTER_NAME: &str = "cluster.x-k8s.io/cluster-name";

/// The label that Cluster API puts on each Machine of a control plane.
pub(crate) const CONTROL_PLANE: &str = "cluster.x-k8s.io/control-plane";

/// How the management cluster is reached.
#[derive(Clone, Debug, Default)]
pub(crate) struct Access {
    /// The kubeconfig; none for that of KUBECONFIG, or else `~/.kube/config`.
    pub kubeconfig: Option<PathBuf>,
    /// The context in it; none for its current one.
    pub context: Option<String>,
}

/// A management cluster that answers, and a namespace of it.
#[derive(Clone)]
pub(crate) struct Management {
    /// The client of its API server.
    pub client: Client,
    /// The namespace of the experiment's objects.
    pub namespace: String,
    /// The version of the API server.
    pub version: String,
    kinds: Arc<Mutex<HashMap<(String, String), ApiResource>>>,
}

impl Management {
    /// Reaches the cluster.
    pub(crate) async fn connect(access: &Access, namespace: &str) -> Result<Self, ConfigError> {
        let origin = "the kubeconfig (--kubeconfig, KUBECONFIG, or ~/.kube/config)";
        let path = access
            .kubeconfig
            .as_ref()
            .map_or(String::new(), |path| path.display().to_string());
        let wrong = |why: String, remedy: &str| ConfigError::new(origin, &path, why, remedy);
        let read = match &access.kubeconfig {
            Some(path) => Kubeconfig::read_from(path),
            None => Kubeconfig::read(),
        };
        let kubeconfig = read.map_err(|error| {
            wrong(
                chain(&error),
                "Name that of the management cluster with --kubeconfig.",
            )
        })?;
        let known: Vec<&str> = kubeconfig
            .contexts
            .iter()
            .map(|one| one.name.as_str())
            .collect();
        if let Some(context) = &access.context
            && !known.contains(&context.as_str())
        {
            let remedy = format!("{}.", settings::hint(context, &known));
            return Err(ConfigError::new(
                "--context",
                context,
                "the kubeconfig has no such context",
                remedy,
            ));
        }
        let options = KubeConfigOptions {
            context: access.context.clone(),
            ..KubeConfigOptions::default()
        };
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .map_err(|error| {
                wrong(
                    chain(&error),
                    "`kubectl config view` shows it; --context chooses one.",
                )
            })?;
        config.connect_timeout = Some(PATIENCE);
        let server = config.cluster_url.to_string();
        let unreachable = |why: String| {
            let remedy = "Is it running, and reachable from here? `kubectl version` asks it.";
            ConfigError::new("the API server", &server, why, remedy)
        };
        let client = Client::try_from(config).map_err(|error| unreachable(chain(&error)))?;
        let version = tokio::time::timeout(PATIENCE, client.apiserver_version())
            .await
            .map_err(|_| unreachable(format!("no answer within {} s", PATIENCE.as_secs())))?
            .map_err(|error| unreachable(chain(&error)))?;
        Ok(Self {
            client,
            namespace: namespace.to_owned(),
            version: version.git_version,
            kinds: Arc::default(),
        })
    }

    /// The objects of a kind in the namespace; an error where the API server does not know the kind.
    pub(crate) async fn of_kind(
        &self,
        api_version: &str,
        kind: &str,
    ) -> Result<Api<DynamicObject>, kube::Error> {
        let key = (api_version.to_owned(), kind.to_owned());
        let mut kinds = self.kinds.lock().await;
        let resource = if let Some(known) = kinds.get(&key) {
            known.clone()
        } else {
            let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
            let kind = GroupVersionKind::gvk(group, version, kind);
            let (found, _) = oneshot::pinned_kind(&self.client, &kind).await?;
            kinds.insert(key, found.clone());
            found
        };
        Ok(Api::namespaced_with(
            self.client.clone(),
            &self.namespace,
            &resource,
        ))
    }
}

/// An error with its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let more = next.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = next.source();
    }
    text
}
