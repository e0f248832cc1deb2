//! The webhook's certificate made known: its authority in the webhook configurations, before it is shown and as long as it is.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};
use service::Shutdown;
use tokio::time::{MissedTickBehavior, interval};

use super::certificates::Certificates;
use super::clock;
use super::readiness::{Part, Parts};

/// The time between two looks at the configuration, and that which the API server has to take up a change.
const LOOK: Duration = Duration::from_mins(1);

/// The time until a change that failed is tried again.
const AGAIN: Duration = Duration::from_secs(2);

/// The two configurations, by their one name.
pub(crate) struct Configurations {
    pub(crate) client: Client,
    pub(crate) name: String,
}

impl Configurations {
    /// Has the API server believe these authorities of the webhooks.
    async fn believe(&self, bundle: &str) -> Result<(), kube::Error> {
        let bundle = STANDARD.encode(bundle);
        for kind in [
            "MutatingWebhookConfiguration",
            "ValidatingWebhookConfiguration",
        ] {
            let kind = GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", kind);
            let resource = ApiResource::from_gvk(&kind);
            let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource);
            let there = api.get(&self.name).await?;
            if let Some(patch) = patch(&there.data, &bundle) {
                let patch = Patch::Strategic(patch);
                api.patch(&self.name, &PatchParams::default(), &patch)
                    .await?;
            }
        }
        Ok(())
    }

    /// Keeps the API server believing the certificate that is shown, and changes that in time, until the shutdown.
    pub(crate) async fn keep(
        self,
        mut certificates: Certificates,
        parts: Parts,
        shutdown: Shutdown,
    ) {
        let mut looks = interval(AGAIN);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_next_known = false;
        loop {
            tokio::select! {
                () = shutdown.fired() => return,
                _ = looks.tick() => {}
            }
            if is_next_known {
                certificates.made_known();
                is_next_known = false;
            }
            if let Err(error) = certificates.on_time(clock::now()) {
                tracing::error!("the webhook's next certificate: {error}");
            }
            let wait = match self.believe(&certificates.bundle()).await {
                Ok(()) => {
                    parts.set(Part::Certificate, None);
                    is_next_known = certificates.has_next();
                    LOOK
                }
                Err(error) => {
                    tracing::warn!(
                        configuration = self.name,
                        "the API server may not believe the webhook's certificate: {error}"
                    );
                    AGAIN
                }
            };
            looks.reset_after(wait);
        }
    }
}

/// The patch that sets a configuration right; none where it is.
fn patch(configuration: &Value, bundle: &str) -> Option<Value> {
    let webhooks = configuration["webhooks"].as_array()?;
    let wrong: Vec<_> = webhooks
        .iter()
        .filter(|webhook| webhook["clientConfig"]["caBundle"] != bundle)
        .map(|webhook| json!({ "name": webhook["name"], "clientConfig": { "caBundle": bundle } }))
        .collect();
    (!wrong.is_empty()).then(|| json!({ "webhooks": wrong }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_wrong_is_changed() {
        let there = json!({ "webhooks": [
            { "name": "a.xrbench.io", "clientConfig": { "caBundle": "bmV3", "url": "https://10.0.0.1/mutate" } },
            { "name": "b.xrbench.io", "clientConfig": { "caBundle": "b2xk" } },
            { "name": "c.xrbench.io", "clientConfig": {} },
        ]});
        let patch = patch(&there, "bmV3").unwrap();
        assert_eq!(
            patch,
            json!({ "webhooks": [
                { "name": "b.xrbench.io", "clientConfig": { "caBundle": "bmV3" } },
                { "name": "c.xrbench.io", "clientConfig": { "caBundle": "bmV3" } },
            ]})
        );
        assert_eq!(super::patch(&json!({ "webhooks": [] }), "bmV3"), None);
    }
}
