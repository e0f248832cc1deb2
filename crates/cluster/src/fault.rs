//! What is wrong with an object of a cluster: which one, which field of it, and what to do.

use std::fmt;

use settings::ClusterName;

/// One thing that is wrong, and the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Fault {
    /// The cluster; none for what is wrong before any is asked.
    pub cluster: Option<ClusterName>,
    /// The object, as `Deployment xrbench-1/renderer`.
    pub object: String,
    /// The object's field; empty where the whole object is meant.
    pub field: String,
    /// The fault, with the value that was found.
    pub why: String,
    /// The remedy, as a whole sentence.
    pub remedy: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(cluster) = self.cluster {
            write!(f, "cluster {cluster}: ")?;
        }
        f.write_str(&self.object)?;
        if !self.field.is_empty() {
            write!(f, ", {}", self.field)?;
        }
        write!(f, ": {}; {}", self.why, self.remedy)
    }
}

/// Every fault that was found, at once.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0[..] {
            [one] => write!(f, "{one}"),
            all => {
                write!(f, "{} things are wrong:", all.len())?;
                all.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
            }
        }
    }
}

impl Fault {
    /// A fault of `object` in `cluster`.
    pub fn new(
        cluster: ClusterName,
        object: impl Into<String>,
        field: impl Into<String>,
        why: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            cluster: Some(cluster),
            ..Self::here(object, field, why, remedy)
        }
    }

    /// A fault of something on this machine.
    pub fn here(
        object: impl Into<String>,
        field: impl Into<String>,
        why: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            cluster: None,
            object: object.into(),
            field: field.into(),
            why: why.into(),
            remedy: remedy.into(),
        }
    }

    /// The answer of an API server that refused something, or did not answer.
    pub(crate) fn of_api(
        cluster: impl Into<Option<ClusterName>>,
        object: impl Into<String>,
        error: &kube::Error,
    ) -> Self {
        let kube::Error::Api(status) = error else {
            let remedy = "Is the API server that the kubeconfig names reachable from here? `kubectl version` asks it.";
            return Self {
                cluster: cluster.into(),
                ..Self::here(object, "", told(error), remedy)
            };
        };
        let causes = status.details.iter().flat_map(|details| &details.causes);
        let field = causes
            .map(|cause| cause.field.clone())
            .find(|field| !field.is_empty())
            .unwrap_or_default();
        let remedy = match status.code {
            401 => "The credentials of the kubeconfig are not taken; renew them.",
            403 if status.message.contains("exceeded quota") => {
                "Raise the namespace's quota (`kubectl describe quota`), or lower requests and limits in k8s/."
            }
            403 => {
                "Ask whoever runs the cluster for this right; `kubectl auth can-i` shows what you have."
            }
            404 => "It is not there: was it deleted by somebody else?",
            409 => {
                "Somebody else owns it or its name; `xrbench clean` removes what earlier runs left."
            }
            400 | 422 => "Mend this field in k8s/, or what was set on the command line.",
            429 | 500..=599 => "The API server is in trouble; try again when it answers.",
            _ => "`kubectl get events` in that namespace may say more.",
        };
        let why = format!("{} ({} {})", status.message, status.code, status.reason);
        Self {
            cluster: cluster.into(),
            ..Self::here(object, field, why, remedy)
        }
    }
}

/// An error with all its causes, in one line.
pub fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        // Many errors repeat their cause.
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: &str) -> Fault {
        let status = serde_json::from_str(status).expect("a recorded status");
        let error = kube::Error::Api(Box::new(status));
        Fault::of_api(ClusterName::B, "Service x/streamer", &error)
    }

    #[test]
    fn a_refusal_names_its_field_and_a_remedy() {
        let fault = refused(
            r#"{"kind":"Status","status":"Failure","message":"Service \"streamer\" is invalid: spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated","reason":"Invalid","details":{"name":"streamer","kind":"Service","causes":[{"reason":"FieldValueInvalid","message":"Invalid value: 30080: provided port is already allocated","field":"spec.ports[0].nodePort"}]},"code":422}"#,
        );
        assert_eq!(fault.field, "spec.ports[0].nodePort");
        let text = fault.to_string();
        assert!(
            text.starts_with("cluster b: Service x/streamer, spec.ports[0].nodePort: "),
            "{text}"
        );
        let quota = refused(
            r#"{"kind":"Status","status":"Failure","message":"pods \"x\" is forbidden: exceeded quota: small","reason":"Forbidden","code":403}"#,
        );
        assert!(quota.remedy.contains("quota"), "{quota}");
    }

    #[test]
    fn all_are_told_at_once() {
        let one = Fault::here("kubectl", "", "there is none", "Install it.");
        assert_eq!(
            Faults(vec![one.clone()]).to_string(),
            "kubectl: there is none; Install it."
        );
        let two = Faults(vec![one.clone(), one]).to_string();
        assert!(two.starts_with("2 things are wrong:\n  kubectl"), "{two}");
    }
}
