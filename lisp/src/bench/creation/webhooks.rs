//! The webhook configurations of the manifests as the experiment applies them: by URL, and for one namespace alone. Pure.

use std::net::SocketAddr;

use anyhow::bail;
use cluster::{Objects, RUN_LABEL};
use serde_json::{Value, json};

/// The kinds of objects that are taken from the manifests.
const KINDS: [&str; 2] = [
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
];

/// Both configurations under the run's name, each webhook called at this address, for namespaces with the run's label.
pub(super) fn by_url(yaml: &str, run: &str, at: SocketAddr) -> anyhow::Result<Vec<Value>> {
    let objects = Objects::parse(yaml).map_err(anyhow::Error::msg)?;
    let mut all = Vec::new();
    for kind in KINDS {
        let Some(mut object) = objects.of_kind(kind).next().cloned() else {
            bail!("no {kind}");
        };
        object["metadata"] = json!({ "name": run, "labels": { RUN_LABEL: run } });
        let webhooks = object["webhooks"].as_array_mut();
        for webhook in webhooks.into_iter().flatten() {
            let Some(path) = webhook["clientConfig"]["service"]["path"].as_str() else {
                bail!("a webhook of {kind} has no path");
            };
            let url = format!("https://{at}{path}");
            webhook["clientConfig"] = json!({ "url": url });
            webhook["namespaceSelector"] = json!({ "matchLabels": { RUN_LABEL: run } });
        }
        all.push(object);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_of_the_manifests_are_called_by_url_for_one_namespace() {
        let yaml = include_str!("../../../../k8s/lisp/webhooks.yaml");
        let at = "10.0.0.5:9443".parse().unwrap();
        let both = by_url(yaml, "xr-lisp-bench-7", at).unwrap();
        assert_eq!(both.len(), 2);
        for (object, path) in both.iter().zip(["/mutate", "/validate"]) {
            assert_eq!(object["metadata"]["name"], "xr-lisp-bench-7");
            let webhooks = object["webhooks"].as_array().unwrap();
            assert_eq!(webhooks.len(), 1);
            let config = json!({ "url": format!("https://10.0.0.5:9443{path}") });
            assert_eq!(webhooks[0]["clientConfig"], config);
            let labels = json!({ "matchLabels": { "xrbench.io/run": "xr-lisp-bench-7" } });
            assert_eq!(webhooks[0]["namespaceSelector"], labels);
            assert!(
                webhooks[0]["rules"].is_array(),
                "the rest is the manifests'"
            );
        }
        assert!(by_url("", "run", at).is_err());
    }
}
