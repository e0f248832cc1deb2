//! A provider that is played: it walks the objects of an experiment through their conditions on a real API server, at drawn times.
//!
//! Nothing is provisioned. Whatever is shown of such an experiment says that it was simulated.

mod draw;
mod profile;
mod walk;

use std::collections::HashMap;
use std::sync::Arc;

use futures::TryStreamExt as _;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

pub(crate) use self::profile::Profile;

use crate::LABEL;
use crate::management::{CLUSTER_API, Management};
use crate::matrix::Matrix;
use draw::Draws;

/// A simulated provider, which works until it is dropped.
#[derive(Debug)]
pub(crate) struct Simulation {
    _task: AbortOnDropHandle<()>,
    failures: mpsc::Receiver<anyhow::Error>,
}

impl Simulation {
    /// Begins to work on the Clusters of the experiment `id`.
    pub(crate) async fn start(
        profile: &Profile,
        matrix: &Matrix,
        management: &Management,
        id: &str,
    ) -> anyhow::Result<Self> {
        let clusters = management.of_kind(CLUSTER_API, "Cluster").await?;
        let draws = Arc::new(Draws::new(profile, matrix.seed, matrix.repetitions));
        let (failed, failures) = mpsc::channel(1);
        let (management, selector) = (management.clone(), format!("{LABEL}={id}"));
        let task = async move {
            let mut walks: HashMap<String, AbortOnDropHandle<()>> = HashMap::new();
            let config = watcher::Config::default().labels(&selector);
            let mut events = std::pin::pin!(watcher(clusters, config).default_backoff());
            loop {
                match events.try_next().await {
                    Ok(Some(Event::Apply(cluster) | Event::InitApply(cluster))) => {
                        let name = cluster.metadata.name.clone().unwrap_or_default();
                        let is_going = cluster.metadata.deletion_timestamp.is_some();
                        // Its first appearance begins its life, and its deletion the end of it.
                        let key = format!("{name} {is_going}");
                        if walks.contains_key(&key) {
                            continue;
                        }
                        if is_going {
                            walks.remove(&format!("{name} false"));
                        }
                        let walk = walk::Walk::new(&management, cluster, Arc::clone(&draws));
                        let failed = failed.clone();
                        let walk = tokio::spawn(async move {
                            let ended = if is_going {
                                walk.go().await
                            } else {
                                walk.come().await
                            };
                            if let Err(error) = ended {
                                // One failure ends the experiment; no second is needed.
                                let why = format!("the simulated provider of {name} failed");
                                let _ = failed.try_send(error.context(why));
                            }
                        });
                        walks.insert(key, AbortOnDropHandle::new(walk));
                    }
                    Ok(Some(Event::Delete(cluster))) => {
                        let name = cluster.metadata.name.unwrap_or_default();
                        walks.remove(&format!("{name} true"));
                        walks.remove(&format!("{name} false"));
                    }
                    Ok(Some(_)) => {}
                    Ok(None) => return,
                    Err(error) => tracing::warn!("the simulated provider's watch: {error}"),
                }
            }
        };
        Ok(Self {
            _task: AbortOnDropHandle::new(tokio::spawn(task)),
            failures,
        })
    }

    /// Waits until something fails that is simulated.
    pub(crate) async fn failure(&mut self) -> anyhow::Error {
        match self.failures.recv().await {
            Some(error) => error,
            // It works until it is dropped.
            None => std::future::pending().await,
        }
    }
}
