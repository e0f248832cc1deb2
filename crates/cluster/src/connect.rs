//! A cluster that was reached: by which kubeconfig and context, of which version.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kube::api::{Api, ApiResource, DynamicObject};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::GroupVersionKind;
use kube::discovery::{Scope, oneshot};
use kube::{Client, Config};
use settings::ClusterName;
use tokio::sync::Mutex;

use crate::fault::{Fault, told};

/// How long an API server may take to be reached, and to say its version.
const PATIENCE: Duration = Duration::from_secs(10);

/// The oldest version whose server-side apply and probes are as the manifests need them.
const OLDEST_MINOR: u32 = 20;

/// How a cluster is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// The kubeconfig; none for that of KUBECONFIG, or else `~/.kube/config`.
    pub kubeconfig: Option<PathBuf>,
    /// The context in it; none for its current one.
    pub context: Option<String>,
}

/// A cluster that answers.
#[derive(Clone)]
pub struct Cluster {
    name: ClusterName,
    client: Client,
    /// The version of its API server, as `v1.33.1`.
    version: String,
    /// The resources that were asked for, by version and kind.
    kinds: Arc<Mutex<HashMap<String, (ApiResource, Scope)>>>,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Cluster");
        shown
            .field("name", &self.name)
            .field("version", &self.version);
        shown.finish_non_exhaustive()
    }
}

impl Cluster {
    /// Reaches the cluster, which has this name in the scenario.
    pub async fn connect(name: ClusterName, access: &Access) -> Result<Self, Fault> {
        let object = match &access.kubeconfig {
            Some(path) => format!("kubeconfig {}", path.display()),
            None => "kubeconfig (KUBECONFIG, or ~/.kube/config)".to_owned(),
        };
        let read = match &access.kubeconfig {
            Some(path) => Kubeconfig::read_from(path),
            None => Kubeconfig::read(),
        };
        let option = format!("--kubeconfig-{name}");
        let wrong = |field: &str, why: String, remedy: String| {
            Fault::new(name, object.clone(), field, why, remedy)
        };
        let kubeconfig = read.map_err(|error| {
            let remedy = format!("Name a readable one with {option}, or set KUBECONFIG.");
            wrong("", told(&error), remedy)
        })?;
        let known: Vec<String> = kubeconfig
            .contexts
            .iter()
            .map(|one| one.name.clone())
            .collect();
        if let Some(context) = &access.context
            && !known.contains(context)
        {
            let names: Vec<&str> = known.iter().map(String::as_str).collect();
            let why = format!("there is no context {context:?}");
            let remedy = format!("{}.", settings::hint(context, &names));
            return Err(wrong("contexts", why, remedy));
        }
        let options = KubeConfigOptions {
            context: access.context.clone(),
            ..KubeConfigOptions::default()
        };
        let config = Config::from_custom_kubeconfig(kubeconfig, &options);
        let mut config = config.await.map_err(|error| {
            let remedy = format!("`kubectl config view` shows it; --context-{name} chooses one.");
            wrong("contexts", told(&error), remedy)
        })?;
        config.connect_timeout = Some(PATIENCE);
        let server = format!("API server {}", config.cluster_url);
        let client = Client::try_from(config).map_err(|error| {
            let remedy =
                "The certificates or keys in it cannot be used; fetch the kubeconfig anew.";
            wrong("users", told(&error), remedy.to_owned())
        })?;
        let version = tokio::time::timeout(PATIENCE, client.apiserver_version()).await;
        let version = version
            .map_err(|_| {
                let why = format!("no answer within {} s", PATIENCE.as_secs());
                let remedy = "Is it running, and reachable from here?";
                Fault::new(name, server.clone(), "", why, remedy)
            })?
            .map_err(|error| Fault::of_api(name, server.clone(), &error))?;
        let minor = version
            .minor
            .trim_end_matches(|c: char| !c.is_ascii_digit());
        if version.major == "1" && minor.parse().is_ok_and(|minor: u32| minor < OLDEST_MINOR) {
            let why = format!("{} is too old", version.git_version);
            let remedy = format!("Kubernetes 1.{OLDEST_MINOR} or newer is needed.");
            return Err(Fault::new(name, server, "version", why, remedy));
        }
        Ok(Self {
            name,
            client,
            version: version.git_version,
            kinds: Arc::default(),
        })
    }

    /// The cluster's name in the scenario.
    pub const fn name(&self) -> ClusterName {
        self.name
    }

    /// The version of its API server.
    pub fn version(&self) -> &str {
        &self.version
    }

    pub(crate) const fn client(&self) -> &Client {
        &self.client
    }

    /// The API of a kind that every Kubernetes has, in a namespace.
    pub(crate) fn namespaced(&self, kind: Builtin, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, &kind.resource())
    }

    /// The API of a kind that every Kubernetes has, over all namespaces or above them.
    pub(crate) fn everywhere(&self, kind: Builtin) -> Api<DynamicObject> {
        Api::all_with(self.client.clone(), &kind.resource())
    }

    /// The API of any kind that the cluster knows, in `namespace` if the kind has one.
    pub(crate) async fn of_kind(
        &self,
        api_version: &str,
        kind: &str,
        namespace: Option<&str>,
    ) -> Result<Api<DynamicObject>, kube::Error> {
        let (resource, scope) = self.resource(api_version, kind).await?;
        Ok(match (scope, namespace) {
            (Scope::Namespaced, Some(namespace)) => {
                Api::namespaced_with(self.client.clone(), namespace, &resource)
            }
            _ => Api::all_with(self.client.clone(), &resource),
        })
    }

    /// The name of a kind in rights: `deployments`.
    pub(crate) async fn plural(
        &self,
        api_version: &str,
        kind: &str,
    ) -> Result<String, kube::Error> {
        let (resource, _) = self.resource(api_version, kind).await?;
        Ok(resource.plural)
    }

    /// What the cluster calls a kind, asked once.
    async fn resource(
        &self,
        api_version: &str,
        kind: &str,
    ) -> Result<(ApiResource, Scope), kube::Error> {
        let key = format!("{api_version}/{kind}");
        let mut kinds = self.kinds.lock().await;
        if let Some(known) = kinds.get(&key) {
            return Ok(known.clone());
        }
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let gvk = GroupVersionKind::gvk(group, version, kind);
        let (resource, capabilities) = oneshot::pinned_kind(&self.client, &gvk).await?;
        let known = (resource, capabilities.scope);
        kinds.insert(key, known.clone());
        Ok(known)
    }
}

/// A kind that every Kubernetes has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Builtin {
    Namespace,
    Node,
    Pod,
    Deployment,
}

impl Builtin {
    pub(crate) fn resource(self) -> ApiResource {
        let gvk = match self {
            Self::Namespace => GroupVersionKind::gvk("", "v1", "Namespace"),
            Self::Node => GroupVersionKind::gvk("", "v1", "Node"),
            Self::Pod => GroupVersionKind::gvk("", "v1", "Pod"),
            Self::Deployment => GroupVersionKind::gvk("apps", "v1", "Deployment"),
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
