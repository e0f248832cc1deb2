//! Deletes what runs made, found by their label; what has no such label is not touched.

use std::time::Duration;

use kube::api::{DeleteParams, DynamicObject, ListParams, Preconditions};

use crate::connect::{Builtin, Cluster};
use crate::fault::Fault;
use crate::objects::RUN_LABEL;

/// The namespace of a run that is over, or was never ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// The run's id.
    pub run: String,
    /// The namespace's name.
    pub namespace: String,
    /// The namespace itself, whatever has its name by now.
    uid: Option<String>,
}

impl Cluster {
    /// The namespaces of runs: of one, or of all.
    pub async fn leftovers(&self, run: Option<&str>) -> Result<Vec<Leftover>, Fault> {
        let labels = run.map_or_else(|| RUN_LABEL.to_owned(), |run| format!("{RUN_LABEL}={run}"));
        let list = ListParams::default().labels(&labels);
        let found = self.everywhere(Builtin::Namespace).list(&list).await;
        let found = found.map_err(|error| Fault::of_api(self.name(), "namespaces", &error))?;
        Ok(found.items.into_iter().filter_map(leftover).collect())
    }

    /// Deletes the namespace of a run, with all that is in it.
    pub async fn remove(&self, left: &Leftover) -> Result<(), Fault> {
        let preconditions = Preconditions {
            uid: left.uid.clone(),
            resource_version: None,
        };
        let how = DeleteParams::background().preconditions(preconditions);
        let deleted = self
            .everywhere(Builtin::Namespace)
            .delete(&left.namespace, &how)
            .await;
        match deleted {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => {
                let object = format!("Namespace {}", left.namespace);
                Err(Fault::of_api(self.name(), object, &error))
            }
        }
    }

    /// Deletes everything of a run, and waits until it is gone; nodes that the run has cordoned take pods again.
    pub async fn remove_run(&self, run: &str, limit: Duration) -> Result<(), Fault> {
        let given_back = self.give_back_nodes(run).await;
        let left = self.leftovers(Some(run)).await?;
        for one in &left {
            self.remove(one).await?;
        }
        for one in &left {
            self.gone(&one.namespace, limit).await?;
        }
        given_back
    }

    /// Kills a pod: no grace, and no goodbye.
    pub async fn kill_pod(&self, namespace: &str, pod: &str) -> Result<(), Fault> {
        let how = DeleteParams::default().grace_period(0);
        let deleted = self
            .namespaced(Builtin::Pod, namespace)
            .delete(pod, &how)
            .await;
        match deleted {
            Ok(_) => Ok(()),
            Err(error) => Err(Fault::of_api(
                self.name(),
                format!("Pod {namespace}/{pod}"),
                &error,
            )),
        }
    }

    /// Ends a workload: no pod of it is wanted any more.
    pub async fn stop(&self, namespace: &str, name: &str) -> Result<(), Fault> {
        let how = DeleteParams::background();
        let deleted = self
            .namespaced(Builtin::Deployment, namespace)
            .delete(name, &how)
            .await;
        match deleted {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => {
                let object = format!("Deployment {namespace}/{name}");
                Err(Fault::of_api(self.name(), object, &error))
            }
        }
    }
}

fn leftover(namespace: DynamicObject) -> Option<Leftover> {
    let metadata = namespace.metadata;
    let run = metadata.labels?.remove(RUN_LABEL)?;
    Some(Leftover {
        run,
        namespace: metadata.name?,
        uid: metadata.uid,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_label_of_ours_is_no_leftover() {
        let of = |text: &str| leftover(serde_json::from_str(text).expect("a namespace"));
        let ours =
            r#"{"metadata":{"name":"xrbench-r1","uid":"u","labels":{"xrbench.io/run":"r1"}}}"#;
        let ours = of(ours).expect("ours");
        assert_eq!(
            (ours.run.as_str(), ours.namespace.as_str()),
            ("r1", "xrbench-r1")
        );
        assert_eq!(ours.uid.as_deref(), Some("u"));
        for others in [
            r#"{"metadata":{"name":"xrbench"}}"#,
            r#"{"metadata":{"name":"xrbench-r1","labels":{"app.kubernetes.io/part-of":"xrbench"}}}"#,
        ] {
            assert_eq!(of(others), None);
        }
    }
}
