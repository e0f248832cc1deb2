//! An API server that was reached: by which kubeconfig and context, of which version.

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
use tokio::sync::Mutex;

use crate::fault::{Fault, told};

/// How long an API server may take to be reached, and to say its version.
const PATIENCE: Duration = Duration::from_secs(10);

/// How a cluster is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// The kubeconfig; none for that of KUBECONFIG, or else `~/.kube/config`.
    pub kubeconfig: Option<PathBuf>,
    /// The context in it; none for its current one.
    pub context: Option<String>,
}

/// The flags by which a user says how a cluster is reached, for remedies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags<'a> {
    /// The flag of the kubeconfig.
    pub kubeconfig: &'a str,
    /// The flag of the context.
    pub context: &'a str,
}

/// An API server that answers.
#[derive(Clone)]
pub struct Server {
    client: Client,
    /// The version, as `v1.33.1`.
    version: String,
    /// The major and minor number, where the server says them.
    number: Option<(u32, u32)>,
    url: String,
    /// The resources that were asked for, by version and kind.
    kinds: Arc<Mutex<HashMap<String, (ApiResource, Scope)>>>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Server");
        shown
            .field("url", &self.url)
            .field("version", &self.version);
        shown.finish_non_exhaustive()
    }
}

impl Server {
    /// Reaches the API server.
    pub async fn reach(access: &Access, flags: Flags<'_>) -> Result<Self, Fault> {
        let object = match &access.kubeconfig {
            Some(path) => format!("kubeconfig {}", path.display()),
            None => "kubeconfig (KUBECONFIG, or ~/.kube/config)".to_owned(),
        };
        let read = match &access.kubeconfig {
            Some(path) => Kubeconfig::read_from(path),
            None => Kubeconfig::read(),
        };
        let wrong = |field: &str, why: String, remedy: String| {
            Fault::here(object.clone(), field, why, remedy)
        };
        let kubeconfig = read.map_err(|error| {
            let option = flags.kubeconfig;
            let remedy = format!("Name a readable one with {option}, or set KUBECONFIG.");
            wrong("", told(&error), remedy)
        })?;
        let known: Vec<&str> = kubeconfig
            .contexts
            .iter()
            .map(|one| one.name.as_str())
            .collect();
        if let Some(context) = &access.context
            && !known.contains(&context.as_str())
        {
            let why = format!("there is no context {context:?}");
            let remedy = format!("{}.", settings::hint(context, &known));
            return Err(wrong("contexts", why, remedy));
        }
        let options = KubeConfigOptions {
            context: access.context.clone(),
            ..KubeConfigOptions::default()
        };
        let config = Config::from_custom_kubeconfig(kubeconfig, &options);
        let mut config = config.await.map_err(|error| {
            let option = flags.context;
            let remedy = format!("`kubectl config view` shows it; {option} chooses one.");
            wrong("contexts", told(&error), remedy)
        })?;
        config.connect_timeout = Some(PATIENCE);
        let url = config.cluster_url.to_string();
        let server = server(&url);
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
                Fault::here(server.clone(), "", why, remedy)
            })?
            .map_err(|error| Fault::of_api(None, server, &error))?;
        let digits = |text: &str| {
            let text = text.trim_end_matches(|c: char| !c.is_ascii_digit());
            text.parse().ok()
        };
        Ok(Self {
            number: digits(&version.major).zip(digits(&version.minor)),
            version: version.git_version,
            client,
            url,
            kinds: Arc::default(),
        })
    }

    /// The version, as `v1.33.1`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Where it is, as `https://10.0.0.5:6443/`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The client of the API server.
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// A fault where the version is older than 1.`minor`.
    pub(crate) fn check_version(&self, minor: u32) -> Result<(), Fault> {
        if self.number.is_none_or(|number| number >= (1, minor)) {
            return Ok(());
        }
        let why = format!("{} is too old", self.version);
        let remedy = format!("Kubernetes 1.{minor} or newer is needed.");
        Err(Fault::here(server(&self.url), "version", why, remedy))
    }

    /// The API of any kind that the cluster knows, in `namespace` if the kind has one.
    pub async fn of_kind(
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

/// An API server, for messages.
fn server(url: &str) -> String {
    format!("API server {url}")
}
