//! Objects are applied by the server, with a field manager of our own.

use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::Value;

use crate::connect::Cluster;
use crate::fault::Fault;
use crate::objects::{self, Objects, RUN_LABEL, text};

/// The name under which fields are applied.
const FIELD_MANAGER: &str = "xrbench";

/// An object, for messages: `Deployment xrbench-1/renderer`.
pub(crate) fn named(object: &Value) -> String {
    let (kind, metadata) = (text(&object["kind"]), &object["metadata"]);
    let name = text(&metadata["name"]);
    match metadata["namespace"].as_str() {
        Some(namespace) => format!("{kind} {namespace}/{name}"),
        None => format!("{kind} {name}"),
    }
}

impl Cluster {
    /// Applies every object, namespaces first.
    pub async fn apply(&self, objects: &Objects) -> Result<(), Fault> {
        for object in objects.in_order() {
            self.apply_one(object).await?;
        }
        Ok(())
    }

    /// Starts a workload that was rendered: with these arguments, and one pod.
    pub async fn start(&self, mut workload: Value, args: &[String]) -> Result<(), Fault> {
        objects::start(&mut workload, args);
        self.apply_one(&workload).await
    }

    pub(crate) async fn apply_one(&self, object: &Value) -> Result<(), Fault> {
        let wrong = |error: kube::Error| Fault::of_api(self.name(), named(object), &error);
        let (api_version, kind) = (text(&object["apiVersion"]), text(&object["kind"]));
        let namespace = object["metadata"]["namespace"].as_str();
        let api = self.of_kind(api_version, kind, namespace).await;
        let api = api.map_err(|error| match error {
            kube::Error::Discovery(error) => {
                let remedy =
                    "Install what defines this kind, or take its component out of the overlay.";
                Fault::new(
                    self.name(),
                    named(object),
                    "kind",
                    error.to_string(),
                    remedy,
                )
            }
            error => wrong(error),
        })?;
        let name = text(&object["metadata"]["name"]);
        // A namespace of this name that is not of this run is somebody else's.
        if kind == "Namespace"
            && let Some(there) = api.get_opt(name).await.map_err(wrong)?
        {
            self.check_ours(object, &there)?;
        }
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let parameters = parameters.validation_strict();
        let applied = api.patch(name, &parameters, &Patch::Apply(object)).await;
        applied.map(drop).map_err(wrong)
    }

    fn check_ours(&self, wanted: &Value, there: &DynamicObject) -> Result<(), Fault> {
        let run = there
            .metadata
            .labels
            .as_ref()
            .and_then(|labels| labels.get(RUN_LABEL));
        let field = format!("metadata.labels[{RUN_LABEL}]");
        if run.map(String::as_str) != wanted["metadata"]["labels"][RUN_LABEL].as_str() {
            let why = format!("it is there already, and not of this run: {run:?}");
            let remedy = "Delete it if it is yours; each start has an id of its own, so starting again helps too.";
            return Err(Fault::new(self.name(), named(wanted), field, why, remedy));
        }
        if there.metadata.deletion_timestamp.is_some() {
            let why = "it is being deleted";
            let remedy = "Wait until it is gone (`kubectl get namespaces`), and start again.";
            return Err(Fault::new(
                self.name(),
                named(wanted),
                "metadata.deletionTimestamp",
                why,
                remedy,
            ));
        }
        Ok(())
    }
}
