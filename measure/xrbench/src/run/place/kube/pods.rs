//! The pods of a role: started, followed, killed and ended as a process of it would be.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use cluster::{Cluster, Forward, PodContainer};
use futures::StreamExt as _;
use futures::future::{select_all, try_join_all};
use parking_lot::Mutex;
use serde_json::Value;
use service::clock;
use settings::{ClusterName, Role};
use testbed::Ready;
use timeline::UnixMicros;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::plan::KubePlan;
use super::strips::{self, Strips};
use crate::run::events::Events;
use crate::run::place::ports::ops_port;
use crate::run::place::terms::Node;
use result::{RepetitionFolder, cannot_write};

/// How long pods may take to be ready; an image may have to be pulled, and a client is ready once it has shown a frame.
const READY: Duration = Duration::from_mins(2);

/// How long pods may take to begin to end once they are told to.
const GRACE: Duration = Duration::from_secs(10);

/// Where the program beside an ffmpeg serves what ffmpeg writes.
const SERVED: &str = "/files";

/// Pods that are asked at the same time: each takes a connection through the API server.
const ASKED_AT_ONCE: usize = 8;

/// Lines that a message has of a log.
const TAIL_LINES: usize = 20;

/// What pods are started with.
pub(super) struct Start {
    pub(super) cluster: Cluster,
    pub(super) namespace: String,
    /// The Deployments of the role, as they were rendered.
    pub(super) deployments: Vec<Value>,
    pub(super) role: Role,
    pub(super) args: Vec<String>,
    pub(super) folder: RepetitionFolder,
    pub(super) started: Arc<Mutex<Vec<Started>>>,
    pub(super) events: Events,
}

/// A container whose use is asked for.
#[derive(Clone, Debug)]
pub(super) struct Started {
    pub(super) cluster: ClusterName,
    /// The name of its Deployment.
    pub(super) name: String,
    pub(super) container: PodContainer,
}

/// How pods do.
#[derive(Clone, Debug)]
enum State {
    Starting,
    /// Each is ready.
    Running(Vec<ReadyPod>),
    /// One has ended, or cannot start.
    Ended(String),
}

/// A pod that is ready.
#[derive(Clone, Debug)]
struct ReadyPod {
    /// The name of its Deployment, under which a client reports.
    of: String,
    name: String,
    node: Node,
}

/// The pods of a role.
#[derive(Debug)]
pub(in crate::run) struct Pods {
    cluster: Cluster,
    namespace: String,
    names: Vec<String>,
    role: Role,
    command: Vec<String>,
    started_at: UnixMicros,
    folder: RepetitionFolder,
    log: PathBuf,
    state: watch::Receiver<State>,
    /// Follows the pods and their logs; ends when it is dropped.
    tasks: JoinSet<()>,
    started: Arc<Mutex<Vec<Started>>>,
    events: Events,
    /// What a client keeps for OCR; none for others.
    strips: Option<Strips>,
}

impl Pods {
    /// Applies the Deployments, each with the arguments; a client after the first has a name of its own.
    pub(super) async fn start(start: Start) -> anyhow::Result<Self> {
        let started_at = clock::now();
        let mut names = Vec::new();
        let mut image = String::new();
        for workload in &start.deployments {
            let name = workload["metadata"]["name"].as_str().unwrap_or_default();
            let container = &workload["spec"]["template"]["spec"]["containers"][0];
            container["image"]
                .as_str()
                .unwrap_or_default()
                .clone_into(&mut image);
            let args = arguments_of(name, &start.args);
            start.cluster.start(workload.clone(), &args).await?;
            names.push(name.to_owned());
        }
        let role = start.role.as_str();
        let told = format!("image {image}, {} pods", names.len());
        start.events.now("started", role, &told);
        let strips = Strips::of(&start.args, &start.folder);
        let mut command = vec![image];
        command.extend(start.args);
        let (_, state) = watch::channel(State::Starting);
        let mut pods = Self {
            cluster: start.cluster,
            namespace: start.namespace,
            names,
            role: start.role,
            command,
            started_at,
            log: start.folder.log(role),
            folder: start.folder,
            state,
            tasks: JoinSet::new(),
            started: start.started,
            events: start.events,
            strips,
        };
        pods.follow();
        Ok(pods)
    }

    /// Follows pods and logs from now on.
    fn follow(&mut self) {
        let (tell, state) = watch::channel(State::Starting);
        self.state = state;
        self.tasks = JoinSet::new();
        for name in &self.names {
            let (cluster, namespace, name) =
                (self.cluster.clone(), self.namespace.clone(), name.clone());
            let log = self.folder.log(&name);
            self.tasks.spawn(async move {
                cluster.follow_logs(&namespace, &name, &log).await;
            });
        }
        let following = Following {
            cluster: self.cluster.clone(),
            namespace: self.namespace.clone(),
            names: self.names.clone(),
            role: self.role,
            started: Arc::clone(&self.started),
            events: self.events.clone(),
        };
        self.tasks.spawn(async move {
            let told = match following.ready(&tell).await {
                Ok(running) => following.ended(&running).await,
                Err(why) => why,
            };
            following
                .events
                .now("exited", following.role.as_str(), &told);
            tell.send_replace(State::Ended(told));
        });
    }

    pub(crate) fn role(&self) -> &str {
        self.role.as_str()
    }

    pub(crate) fn command_line(&self) -> Vec<String> {
        self.command.clone()
    }

    pub(crate) const fn started_at(&self) -> UnixMicros {
        self.started_at
    }

    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// The last lines of the first pod's log, as far as it was followed.
    pub(crate) fn log_tail(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().rev().take(TAIL_LINES).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// Waits until every pod is ready; what a process would say in its ready line is what the manifests say.
    pub(crate) async fn ready(&self) -> anyhow::Result<Ready> {
        let mut state = self.state.clone();
        let known = state
            .wait_for(|state| !matches!(state, State::Starting))
            .await;
        if let State::Ended(why) = &*known.context("nobody follows the pods")? {
            anyhow::bail!("{} does not start: {why}", self.role);
        }
        let listen = KubePlan::listen();
        let said = serde_json::json!({"event": "ready", "http": listen.http, "rtsp": listen.rtsp, "quic": listen.quic,
            "ops": listen.ops[&self.role]});
        Ready::parse(&said.to_string()).context("the ready line is one")
    }

    /// Waits until a pod ends, or cannot start, and tells how.
    pub(crate) async fn exited(&self) -> String {
        let mut state = self.state.clone();
        let known = state
            .wait_for(|state| matches!(state, State::Ended(_)))
            .await;
        match known.as_deref() {
            Ok(State::Ended(told)) => told.clone(),
            _ => "nobody follows the pods".to_owned(),
        }
    }

    /// Fetches the strips that the first pod keeps, before it goes.
    async fn fetch_strips(&mut self) {
        let Some(strips) = &mut self.strips else {
            return;
        };
        let pod = match &*self.state.borrow() {
            State::Running(pods) => pods.first().map(|pod| pod.name.clone()),
            State::Starting | State::Ended(_) => None,
        };
        let Some(pod) = pod else {
            return;
        };
        let fetched = strips.fetch(&self.cluster, &self.namespace, &pod).await;
        let (what, told) = match fetched {
            Ok(count) => ("strips fetched", count.to_string()),
            Err(error) => ("strips lost", format!("{error:#}")),
        };
        self.events.now(what, self.role.as_str(), &told);
    }

    /// Asks a port of the first pod, once all are ready; none before.
    pub(crate) async fn get(&self, port: u16, path: &str) -> anyhow::Result<Option<Vec<u8>>> {
        let Some(mut forward) = self.forward(port) else {
            return Ok(None);
        };
        Ok(Some(forward.get(path, 0).await?.bytes.to_vec()))
    }

    /// Asks a port of every pod, a few at a time, once all are ready: the name of its Deployment, its own, and its answer. A pod that has
    /// none within `patience` is not among them.
    pub(crate) async fn get_each(
        &self,
        port: u16,
        path: &str,
        patience: Duration,
    ) -> Vec<(String, String, Vec<u8>)> {
        let State::Running(pods) = self.state.borrow().clone() else {
            return Vec::new();
        };
        let answers = pods.into_iter().map(|pod| async move {
            let mut forward = self.forward_to(&pod, port);
            let answer = tokio::time::timeout(patience, forward.get(path, 0)).await;
            Some((pod.of, pod.name, answer.ok()?.ok()?.bytes.to_vec()))
        });
        let answers = futures::stream::iter(answers).buffer_unordered(ASKED_AT_ONCE);
        answers.filter_map(std::future::ready).collect().await
    }

    /// Appends to a file what the first pod has written of it since. A program beside it serves the file.
    ///
    /// # Errors
    /// A pod is not ready, so that nobody serves the file; or the file cannot be had from it, or not be written here.
    pub(crate) async fn bring(&self, file: &Path) -> anyhow::Result<()> {
        let Some(mut forward) = self.forward(ops_port(self.role)) else {
            anyhow::bail!(not_ready(&self.names, &self.state.borrow()));
        };
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).with_context(|| cannot_write(folder))?;
        }
        strips::append(&mut forward, &format!("{SERVED}/{name}"), file, 0).await?;
        Ok(())
    }

    fn forward(&self, port: u16) -> Option<Forward> {
        let State::Running(pods) = &*self.state.borrow() else {
            return None;
        };
        Some(self.forward_to(pods.first()?, port))
    }

    fn forward_to(&self, pod: &ReadyPod, port: u16) -> Forward {
        Forward::new(&self.cluster, &self.namespace, &pod.name, port)
    }

    /// Ends the pods, each with the grace that its manifest gives it. That they are gone is awaited with their namespace.
    pub(crate) async fn terminate(&mut self) -> String {
        self.fetch_strips().await;
        let ended = async {
            for name in &self.names {
                self.cluster.stop(&self.namespace, name).await?;
            }
            Ok::<_, cluster::Fault>(self.exited().await)
        };
        self.forget();
        match tokio::time::timeout(GRACE, ended).await {
            Ok(Ok(told)) => told,
            Ok(Err(fault)) => fault.to_string(),
            Err(_) => "told to end".to_owned(),
        }
    }

    /// Kills the first pod of the role.
    pub(crate) async fn kill(&mut self) -> anyhow::Result<String> {
        let State::Running(pods) = self.state.borrow().clone() else {
            anyhow::bail!("{} is to be killed, but does not run", self.role);
        };
        self.fetch_strips().await;
        self.tasks.abort_all();
        self.forget();
        let pod = &pods.first().context("a role has a pod")?.name;
        self.cluster.kill_pod(&self.namespace, pod).await?;
        Ok(format!("pod {pod} killed"))
    }

    /// The nodes that its pods are on, while all are ready.
    pub(crate) fn nodes(&self) -> Vec<Node> {
        match &*self.state.borrow() {
            State::Running(pods) => pods.iter().map(|pod| pod.node.clone()).collect(),
            State::Starting | State::Ended(_) => Vec::new(),
        }
    }

    /// Follows the pods no more: they are about to go.
    pub(crate) async fn leave(&mut self) -> String {
        self.fetch_strips().await;
        self.tasks.abort_all();
        self.forget();
        "evicted".to_owned()
    }

    /// Waits for the pods that come in the place of those that went, once there is a node for them.
    pub(crate) async fn back(self) -> anyhow::Result<Self> {
        for name in &self.names {
            self.cluster.scheduled(&self.namespace, name, READY).await?;
        }
        self.restart().await
    }

    /// Waits for the pod that comes in a killed one's place.
    pub(crate) async fn restart(mut self) -> anyhow::Result<Self> {
        self.started_at = clock::now();
        self.follow();
        self.ready().await?;
        Ok(self)
    }

    /// Nobody asks any more what they use.
    fn forget(&self) {
        self.started
            .lock()
            .retain(|one| !self.names.contains(&one.name));
    }
}

/// The reason for which nothing can be had of pods that are not ready.
fn not_ready(names: &[String], state: &State) -> String {
    let why = match state {
        State::Ended(told) => told,
        State::Starting | State::Running(_) => "not ready",
    };
    format!(
        "nothing can be had of the pods of {}: {why}; `kubectl describe` of them says more",
        names.join(", ")
    )
}

/// The arguments of one client of several: it reports under its own name, and keeps strips if it is the first.
pub(super) fn arguments_of(name: &str, args: &[String]) -> Vec<String> {
    let own = |arg: String| match arg.strip_prefix("--client-id=") {
        Some(_) => format!("--client-id={name}"),
        None => arg,
    };
    strips::arguments(name, args).into_iter().map(own).collect()
}

/// What follows pods has.
struct Following {
    cluster: Cluster,
    namespace: String,
    names: Vec<String>,
    role: Role,
    started: Arc<Mutex<Vec<Started>>>,
    events: Events,
}

impl Following {
    /// Waits until every pod is ready: each Deployment with its pods.
    async fn ready(
        &self,
        tell: &watch::Sender<State>,
    ) -> Result<Vec<(String, Vec<Value>)>, String> {
        let each = self.names.iter().map(|name| async {
            let pods = self.cluster.available(&self.namespace, name, READY).await?;
            Ok::<_, cluster::Fault>((name.clone(), pods))
        });
        let running = match try_join_all(each).await {
            Ok(running) => running,
            Err(fault) => {
                let pod = fault.object.rsplit('/').next().unwrap_or_default();
                let said = self.cluster.log_tail(&self.namespace, pod).await;
                return Err(format!("{fault}\n{said}"));
            }
        };
        let mut pods_ready = Vec::new();
        for (name, pods) in &running {
            for pod in pods {
                let node = pod["spec"]["nodeName"].as_str().unwrap_or_default();
                let pod_name = pod["metadata"]["name"].as_str().unwrap_or_default();
                let told = format!("pod {pod_name} on node {node}");
                self.events.now("ready", name, &told);
                let on = Node {
                    cluster: self.cluster.name(),
                    name: node.to_owned(),
                };
                pods_ready.push(ReadyPod {
                    of: name.clone(),
                    name: pod_name.to_owned(),
                    node: on,
                });
                self.started
                    .lock()
                    .extend(PodContainer::of(pod).map(|container| Started {
                        cluster: self.cluster.name(),
                        name: name.clone(),
                        container,
                    }));
            }
        }
        tell.send_replace(State::Running(pods_ready));
        Ok(running)
    }

    /// Waits until one of them ends.
    async fn ended(&self, running: &[(String, Vec<Value>)]) -> String {
        let each = running.iter().flat_map(|(name, pods)| {
            pods.iter().map(move |pod| {
                let restarts = pod.pointer("/status/containerStatuses/0/restartCount");
                let restarts = restarts.and_then(Value::as_u64).unwrap_or(0);
                let pod = pod["metadata"]["name"].as_str().unwrap_or_default();
                Box::pin(async move {
                    let told = self.cluster.ended(&self.namespace, name, pod, restarts);
                    format!("{name}: {}", told.await)
                })
            })
        });
        let each: Vec<_> = each.collect();
        if each.is_empty() {
            return "there is no pod".to_owned();
        }
        select_all(each).await.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_that_are_not_ready_are_named() {
        let names = ["client".to_owned(), "client-2".to_owned()];
        let said = not_ready(&names, &State::Starting);
        assert!(said.contains("client, client-2: not ready"), "{said}");
        let said = not_ready(&names, &State::Ended("pod client-x: evicted".into()));
        assert!(said.contains("pod client-x: evicted"), "{said}");
    }

    #[test]
    fn each_client_reports_under_its_own_name() {
        let args = ["--sink=none", "--client-id=client"].map(ToOwned::to_owned);
        assert_eq!(arguments_of("client", &args), args);
        let expected = ["--sink=none", "--client-id=client-2"];
        assert_eq!(arguments_of("client-2", &args), expected);
    }
}
