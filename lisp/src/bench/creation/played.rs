//! What the experiment has in the cluster: a namespace with Services, and one pod behind all of them, which nobody runs. Its node is
//! played as far as the control plane of Kubernetes looks at nodes: it is ready, and says so every ten seconds.

use std::time::Duration;

use anyhow::{Context as _, bail};
use kube::Client;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};
use tokio::time::{Instant, interval, sleep};

use cluster::RUN_LABEL;

use crate::agent::{PROBE_ANNOTATION, SHARED_LABEL};

/// How often a node says that it is there, as the kubelet's does.
const BEAT: Duration = Duration::from_secs(10);

/// How long the API server may take to do what leads to something else.
const PATIENCE: Duration = Duration::from_secs(30);

/// The namespace of leases of nodes.
const LEASES: &str = "kube-node-lease";

/// The address of the pod, which is nobody's (RFC 5737).
const POD_ADDRESS: &str = "192.0.2.77";

/// A kind: group, version, kind.
type Kind = (&'static str, &'static str, &'static str);

const NAMESPACE: Kind = ("", "v1", "Namespace");
const ACCOUNT: Kind = ("", "v1", "ServiceAccount");
const NODE: Kind = ("", "v1", "Node");
const LEASE: Kind = ("coordination.k8s.io", "v1", "Lease");
const POD: Kind = ("", "v1", "Pod");
const SERVICE: Kind = ("", "v1", "Service");

/// The objects of a run, all under its name.
#[derive(Clone)]
pub(super) struct Played {
    client: Client,
    run: String,
}

impl Played {
    pub(super) const fn new(client: Client, run: String) -> Self {
        Self { client, run }
    }

    fn api(&self, (group, version, kind): Kind, namespace: Option<&str>) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        }
    }

    fn metadata(&self) -> Value {
        json!({ "name": self.run, "labels": { RUN_LABEL: self.run, "app": self.run } })
    }

    /// Makes the namespace.
    pub(super) async fn make_namespace(&self) -> anyhow::Result<()> {
        let namespace =
            json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": self.metadata() });
        make(&self.api(NAMESPACE, None), namespace).await?;
        // Without the account that comes with it there is no pod.
        let accounts = self.api(ACCOUNT, Some(&self.run));
        let begun = Instant::now();
        while accounts.get_opt("default").await?.is_none() {
            if begun.elapsed() > PATIENCE {
                bail!("namespace {}: no account named default in 30 s", self.run);
            }
            sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// Makes an object above namespaces.
    pub(super) async fn apply(&self, object: Value) -> anyhow::Result<()> {
        let kind = object["kind"].as_str().unwrap_or_default().to_owned();
        let gvk = GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", &kind);
        let api = Api::all_with(self.client.clone(), &ApiResource::from_gvk(&gvk));
        make(&api, object).await
    }

    /// Makes the node and its pod, which is ready; whoever wants them to stay has [`Self::beat`] run.
    pub(super) async fn make_pod(&self) -> anyhow::Result<()> {
        let (run, metadata) = (&self.run, self.metadata());
        let taint = json!({ "key": RUN_LABEL, "value": run, "effect": "NoSchedule" });
        let node = json!({
            "apiVersion": "v1", "kind": "Node", "metadata": metadata,
            "spec": { "unschedulable": true, "taints": [taint] },
        });
        make(&self.api(NODE, None), node).await?;
        make(&self.api(LEASE, Some(LEASES)), self.lease()).await?;
        let ready = json!({
            "type": "Ready", "status": "True", "reason": "Played", "message": "xr-lisp bench creation plays it",
            "lastHeartbeatTime": now(0), "lastTransitionTime": now(0),
        });
        self.say(NODE, None, json!({ "conditions": [ready] }))
            .await?;

        let container = json!({ "name": "played", "image": "played/none" });
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": metadata,
            "spec": {
                "nodeName": run, "containers": [container], "automountServiceAccountToken": false,
                "terminationGracePeriodSeconds": 0, "tolerations": [{ "operator": "Exists" }],
            },
        });
        make(&self.api(POD, Some(run)), pod).await?;
        let status = json!({
            "phase": "Running", "podIP": POD_ADDRESS, "podIPs": [{ "ip": POD_ADDRESS }],
            "conditions": [{ "type": "Ready", "status": "True" }],
        });
        self.say(POD, Some(run), status).await
    }

    async fn say(&self, kind: Kind, namespace: Option<&str>, status: Value) -> anyhow::Result<()> {
        let patch = Patch::Strategic(json!({ "status": status }));
        let api = self.api(kind, namespace);
        let said = api
            .patch_status(&self.run, &PatchParams::default(), &patch)
            .await;
        said.with_context(|| format!("the API server takes no status of {} {}", kind.2, self.run))?;
        Ok(())
    }

    fn lease(&self) -> Value {
        json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": self.metadata(),
            "spec": { "holderIdentity": self.run, "leaseDurationSeconds": 40, "renewTime": now(6) },
        })
    }

    /// Says every ten seconds that the node is there, until it is dropped.
    pub(super) async fn beat(self) {
        let leases = self.api(LEASE, Some(LEASES));
        let mut beats = interval(BEAT);
        loop {
            beats.tick().await;
            let renewed = Patch::Merge(json!({ "spec": { "renewTime": now(6) } }));
            if let Err(error) = leases
                .patch(&self.run, &PatchParams::default(), &renewed)
                .await
            {
                tracing::warn!("the played node's lease: {error}");
            }
        }
    }

    /// Creates a Service that is shared, and has the pod.
    pub(super) async fn create(&self, name: &str) -> anyhow::Result<()> {
        let service = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {
                "name": name,
                "labels": { RUN_LABEL: self.run, SHARED_LABEL: "true" },
                // Nobody would answer.
                "annotations": { PROBE_ANNOTATION: "none" },
            },
            "spec": { "ports": [{ "port": 80, "targetPort": 8080 }], "selector": { "app": self.run } },
        });
        make(&self.api(SERVICE, Some(&self.run)), service).await?;
        Ok(())
    }

    /// Deletes a Service.
    pub(super) async fn delete(&self, name: &str) -> anyhow::Result<()> {
        let api = self.api(SERVICE, Some(&self.run));
        api.delete(name, &DeleteParams::default()).await?;
        Ok(())
    }

    /// The address of the API server's own Service.
    pub(super) async fn own_address(&self) -> anyhow::Result<String> {
        let service = self.api(SERVICE, Some("default")).get("kubernetes").await;
        let service = service.context("the Service kubernetes cannot be read")?;
        let address = service.data["spec"]["clusterIP"].as_str();
        Ok(address
            .context("the Service kubernetes has no address")?
            .to_owned())
    }

    /// Deletes all of it; what is not there any more is no error.
    pub(super) async fn remove(&self) {
        let webhooks = |kind| ("admissionregistration.k8s.io", "v1", kind);
        for (kind, namespace) in [
            (webhooks("MutatingWebhookConfiguration"), None),
            (webhooks("ValidatingWebhookConfiguration"), None),
            (NAMESPACE, None),
            (NODE, None),
            (LEASE, Some(LEASES)),
        ] {
            let deleted = self
                .api(kind, namespace)
                .delete(&self.run, &DeleteParams::background())
                .await;
            match deleted {
                Ok(_) => {}
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(error) => tracing::warn!(kind = kind.2, name = self.run, "left: {error}"),
            }
        }
    }
}

/// Creates an object.
async fn make(api: &Api<DynamicObject>, object: Value) -> anyhow::Result<()> {
    let name = format!("{} {}", object["kind"], object["metadata"]["name"]);
    let object: DynamicObject = serde_json::from_value(object)?;
    let made = api.create(&PostParams::default(), &object).await;
    made.with_context(|| format!("the API server takes no {name}"))?;
    Ok(())
}

/// The time by the wall, as Kubernetes writes it, with so many digits behind the second.
fn now(digits: usize) -> String {
    let micros = i64::try_from(service::clock::now().0).unwrap_or(i64::MAX);
    let time = jiff::Timestamp::from_microsecond(micros).unwrap_or(jiff::Timestamp::MAX);
    format!("{time:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_digits_that_their_kind_wants() {
        let (time, micro_time) = (now(0), now(6));
        assert_eq!(time.len(), "2026-01-02T03:04:05Z".len(), "{time}");
        assert_eq!(
            micro_time.len(),
            "2026-01-02T03:04:05.000000Z".len(),
            "{micro_time}"
        );
    }
}
