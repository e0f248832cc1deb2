//! A cluster cut off: for a while its network policies let nothing of a run cross the cluster's border.
//!
//! Policies add up: one that allows nothing takes nothing away from another that allows something. So those of the run allow
//! nothing for that while, and one of its own lets the pods of the namespace reach one another, and name servers.
//!
//! Whether that has an effect is the network plugin's: without one that enforces policies there is none, and some enforce
//! them on new connections only.

use futures::future::try_join_all;
use kube::api::DeleteParams;
use serde_json::{Value, json};

use crate::connect::{Builtin, Cluster};
use crate::fault::Fault;
use crate::objects::RUN_LABEL;

/// The policy that is there only while the cluster is cut off.
const CUT: &str = "cut-off";

impl Cluster {
    /// Cuts the pods of a run's namespace off from everything outside of it; `policies` are those that the run applied there.
    pub async fn cut_off(
        &self,
        run: &str,
        namespace: &str,
        policies: &[Value],
    ) -> Result<(), Fault> {
        let objects = policies_of_a_cut(run, namespace, policies);
        try_join_all(objects.iter().map(|one| self.apply_one(one))).await?;
        Ok(())
    }

    /// Ends a cut: what was applied before stands again.
    pub async fn join_again(&self, namespace: &str, policies: &[Value]) -> Result<(), Fault> {
        try_join_all(policies.iter().map(|one| self.apply_one(one))).await?;
        let api = self.namespaced(Builtin::NetworkPolicy, namespace);
        match api.delete(CUT, &DeleteParams::default()).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => {
                let object = format!("NetworkPolicy {namespace}/{CUT}");
                Err(Fault::of_api(self.name(), object, &error))
            }
        }
    }
}

/// The policies while a cluster is cut off.
fn policies_of_a_cut(run: &str, namespace: &str, policies: &[Value]) -> Vec<Value> {
    let inside = json!([{"podSelector": {}}]);
    let names = json!([{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]);
    let mut all = vec![json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {
            "name": CUT,
            "namespace": namespace,
            "labels": {RUN_LABEL: run, "app.kubernetes.io/part-of": "xrbench"},
        },
        "spec": {
            "podSelector": {},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": inside}],
            "egress": [{"to": inside}, {"ports": names}],
        },
    })];
    all.extend(policies.iter().map(|policy| {
        let mut silent = policy.clone();
        for rules in ["ingress", "egress"] {
            if let Some(rules) = silent["spec"].get_mut(rules) {
                *rules = json!([]);
            }
        }
        silent
    }));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_was_allowed_crosses_the_border_of_a_cluster_that_is_cut_off() {
        let policy = json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": {"name": "streamer-from-outside", "namespace": "x", "labels": {RUN_LABEL: "r1"}},
            "spec": {"podSelector": {}, "policyTypes": ["Ingress"],
                "ingress": [{"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}], "ports": [{"port": "rtsp"}]}]},
        });
        let cut = policies_of_a_cut("r1", "x", std::slice::from_ref(&policy));
        assert_eq!(cut.len(), 2);
        let rules = cut.iter().flat_map(|one| {
            ["ingress", "egress"].map(|rules| (one["spec"][rules].clone(), one["metadata"].clone()))
        });
        for (rules, metadata) in rules {
            assert_eq!(metadata["labels"][RUN_LABEL], "r1");
            for rule in rules.as_array().into_iter().flatten() {
                let peers = rule.get("from").or_else(|| rule.get("to"));
                let inside = json!([{"podSelector": {}}]);
                let stays = peers == Some(&inside);
                assert!(stays || rule["ports"][0]["port"] == 53, "{rule}");
            }
        }
        assert_eq!(cut[1]["spec"]["policyTypes"], policy["spec"]["policyTypes"]);
        assert_eq!(cut[1]["spec"].get("egress"), None, "it says nothing of it");
    }
}
