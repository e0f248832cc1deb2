//! Where a repetition runs: on this host, in a lab of its own, or on clusters of others.
//!
//! A place is planned, then brought up; it starts programs, knows where they find one another, and has done to it what a
//! scenario asks for. It returns what it was and what it measured: the caller puts that into the repetition's meta.

mod host;
pub mod kube;
mod lab;
pub mod lab_plan;
mod means;
mod ports;
mod terms;
mod workload;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context as _;
use settings::{ClusterName, Role, Transport};
use testbed::Spec;

use super::addresses::{Addresses, IdentityFiles, ListenAddresses, announced};
use super::commands::ReferenceFiles;
use super::http;
use crate::scenario::{self, Scenario};
pub(super) use host::HostPlace;
use kube::{KubePlace, KubePlan};
use lab::LabPlace;
pub(super) use lab::resources;
use lab_plan::LabPlan;
pub(super) use means::Means;
pub(super) use ports::HttpPort;
use result::RepetitionFolder;
use service::ConfigError;
pub(super) use terms::{Ended, Fault, Node, PlaceMeta, Setup};
pub(super) use workload::{End, GRACE, READY, Watched, Workload};

/// How long a program that runs may take to say where it listens.
const LOOK: Duration = Duration::from_millis(50);

/// How long a program may take to answer.
const ANSWER: Duration = Duration::from_secs(1);

/// A place before it is brought up.
#[derive(Debug)]
pub(super) enum PlacePlan {
    Host,
    Lab(Box<LabPlan>),
    Kube(Box<KubePlan>),
}

/// A place that is up.
#[derive(Debug)]
pub(super) enum Place {
    Host(HostPlace),
    Lab(Box<LabPlace>),
    Kube(Box<KubePlace>),
}

/// Whether this machine can do what a scenario asks for beside its fabric.
pub(super) fn check_here(scenario: &Scenario) -> Result<(), ConfigError> {
    let wrong = |key: &str, value: String, why: &str, remedy: &str| {
        let key = format!("scenario {}.{key}", scenario.name);
        Err(ConfigError::new(key, value, why, remedy))
    };
    if scenario.clients > 1 {
        let why = "several clients at the same time are for clusters";
        let remedy = "Run it with --place kube, or `--set clients=1`.";
        return wrong("clients", scenario.clients.to_string(), why, remedy);
    }
    let drains = |fault: &&scenario::Fault| matches!(fault, scenario::Fault::Drain { .. });
    if let Some(fault) = scenario.fault.iter().find(drains) {
        let why = "neither this host nor a lab has nodes that pods could leave";
        let remedy = "Run it with --place kube, or leave the fault out.";
        return wrong("fault", format!("{fault:?}"), why, remedy);
    }
    Ok(())
}

impl PlacePlan {
    /// Plans the place of a scenario; `seed` is the WAN's.
    pub(super) fn new(scenario: &Scenario, means: &Means, seed: u64) -> anyhow::Result<Self> {
        let capabilities = match means {
            Means::Here(capabilities) => capabilities.as_deref(),
            Means::Kube(target) => {
                return Ok(Self::Kube(Box::new(KubePlan::new(scenario, target)?)));
            }
        };
        check_here(scenario)?;
        if !scenario.fabric.is_lab() {
            return Ok(Self::Host);
        }
        let capabilities =
            capabilities.context("the runner was not isolated although a scenario needs a lab")?;
        let plan = lab_plan::plan(scenario, capabilities, seed)?;
        Ok(Self::Lab(Box::new(plan)))
    }

    /// Where each program listens; a streamer `announces` its ports, unless it is another server than ours.
    pub(super) fn listen(&self, announces: bool) -> anyhow::Result<ListenAddresses> {
        match self {
            Self::Host => HostPlace::listen(announces),
            Self::Lab(plan) => Ok(plan.listen()),
            Self::Kube(_) => Ok(KubePlan::listen()),
        }
    }

    /// Takes the files of the streamer's certificate, and returns them as the streamer sees them.
    pub(super) fn hold(&mut self, files: IdentityFiles) -> anyhow::Result<IdentityFiles> {
        match self {
            Self::Host | Self::Lab(_) => Ok(files),
            Self::Kube(plan) => plan.hold(&files),
        }
    }

    /// Where the programs find one another, if that is known before any of them runs.
    pub(super) fn known_addresses(&self, collector: &str) -> Option<Addresses> {
        match self {
            Self::Host | Self::Kube(_) => None,
            Self::Lab(plan) => Some(plan.addresses(collector)),
        }
    }

    /// The transport that the place allows, given the one that was asked for.
    pub(super) const fn transport(&self, asked: Transport) -> Transport {
        match self {
            Self::Host => asked,
            Self::Lab(plan) => plan.transport,
            Self::Kube(plan) => plan.transport,
        }
    }

    /// What is known of it before it is up.
    pub(super) fn meta(&self) -> PlaceMeta {
        match self {
            Self::Host => PlaceMeta::default(),
            Self::Lab(plan) => plan.meta(),
            Self::Kube(plan) => plan.meta(),
        }
    }

    /// What bringing it up is called while that takes its time.
    pub(super) const fn building(&self) -> Option<&'static str> {
        match self {
            Self::Host => None,
            Self::Lab(_) => Some("building the lab"),
            Self::Kube(_) => Some("applying the manifests"),
        }
    }

    /// Whether an interruption may come while it is brought up. On clusters that may take minutes, and what was applied by then
    /// goes with the run.
    pub(super) const fn is_interruptible(&self) -> bool {
        match self {
            Self::Host | Self::Lab(_) => false,
            Self::Kube(_) => true,
        }
    }
}

impl Place {
    /// Brings the place up.
    pub(super) async fn up(plan: PlacePlan, setup: &Setup<'_>) -> anyhow::Result<Self> {
        Ok(match plan {
            PlacePlan::Host => Self::Host(HostPlace::new(setup.testbed.clone())),
            PlacePlan::Lab(plan) => Self::Lab(Box::new(LabPlace::up(*plan, setup).await?)),
            PlacePlan::Kube(plan) => Self::Kube(Box::new(KubePlace::up(*plan, setup).await?)),
        })
    }

    /// Where the runner's collector listens: never on the fabric that is measured.
    pub(super) const fn collector(&self) -> SocketAddr {
        match self {
            Self::Host(_) => HostPlace::collector(),
            Self::Lab(_) => LabPlace::collector(),
            // It is a pod.
            Self::Kube(_) => SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
        }
    }

    /// Whether the programs read the runner's own clock, so that there is nothing to ask them.
    pub(super) const fn shares_our_clock(&self) -> bool {
        match self {
            Self::Host(_) | Self::Lab(_) => true,
            Self::Kube(_) => false,
        }
    }

    /// The role that ends first. A client of our own collector does, so that it reports all that it has; where the collector
    /// is asked from outside, the renderer, so that no frame waits for a client that is gone.
    pub(super) const fn ends_first(&self) -> Role {
        match self {
            Self::Host(_) | Self::Lab(_) => Role::Client,
            Self::Kube(_) => Role::Renderer,
        }
    }

    /// Starts a program where the place has its role.
    pub(super) async fn start(&mut self, role: Role, spec: Spec) -> anyhow::Result<Workload> {
        match self {
            Self::Host(host) => host.start(spec),
            Self::Lab(lab) => lab.start(role, spec),
            Self::Kube(kube) => Ok(Workload::pods(kube.start(role, spec).await?)),
        }
    }

    /// Where the programs find one another; the streamer listens at `listen`.
    pub(super) fn addresses(&self, listen: &ListenAddresses, collector: SocketAddr) -> Addresses {
        let collector = collector.to_string();
        match self {
            Self::Host(_) => Addresses {
                http: listen.http.clone(),
                rtsp: listen.rtsp.clone(),
                quic: listen.quic.clone(),
                collector,
            },
            Self::Lab(lab) => lab.plan().addresses(&collector),
            Self::Kube(kube) => kube.addresses().clone(),
        }
    }

    /// Where ffmpeg writes the files of this repetition.
    pub(super) fn reference_files(&self, folder: &RepetitionFolder) -> ReferenceFiles {
        let files = ReferenceFiles::of(folder);
        match self {
            Self::Host(_) | Self::Lab(_) => files,
            Self::Kube(_) => KubePlan::reference_files(&files),
        }
    }

    /// Where the runner reaches a port of a role that listens at `listens`: not over the fabric.
    pub(super) fn address_of(&self, role: Role, listens: &str) -> anyhow::Result<SocketAddr> {
        let listens: SocketAddr = listens
            .parse()
            .with_context(|| format!("{role} listens at {listens:?}, which is no address"))?;
        match self {
            Self::Host(_) => Ok(listens),
            Self::Lab(lab) => lab.address_of(role, listens),
            Self::Kube(_) => anyhow::bail!("a pod's port is not reached from here: {role}"),
        }
    }

    /// Reads a page from a program's port over HTTP: where the program says that it listens, or in its pod. None while a pod is
    /// not ready.
    pub(super) async fn get(
        &self,
        role: Role,
        program: &Workload,
        port: HttpPort<'_>,
        path: &str,
    ) -> anyhow::Result<Option<Vec<u8>>> {
        match program {
            Workload::Process(_) => {
                let listens = match port {
                    HttpPort::Feeds(listens) => listens.to_owned(),
                    HttpPort::Ops => {
                        let said = tokio::time::timeout(LOOK, program.ready()).await??;
                        announced(&said, "ops", role)?
                    }
                };
                let at = self.address_of(role, &listens)?;
                let asked = http::client().get(format!("http://{at}{path}"));
                let page = asked.timeout(ANSWER).send().await?.error_for_status()?;
                Ok(Some(page.bytes().await?.to_vec()))
            }
            Workload::Pods(pods) => pods.get(port.in_pod(role), path).await,
        }
    }

    /// Reads a page from the ops port of each program that runs in a role: the name under which it runs, what tells its process from
    /// another, and the page. One that does not answer in time is not among them.
    pub(super) async fn get_each(
        &self,
        role: Role,
        program: &Workload,
        path: &str,
    ) -> Vec<(String, String, Vec<u8>)> {
        let port = HttpPort::Ops;
        match program {
            Workload::Process(_) => {
                let page = tokio::time::timeout(ANSWER, self.get(role, program, port, path)).await;
                let page = page.ok().and_then(Result::ok).flatten();
                let of = (program.role().to_owned(), program.started_at().to_string());
                page.map(|page| (of.0, of.1, page)).into_iter().collect()
            }
            Workload::Pods(pods) => pods.get_each(port.in_pod(role), path, ANSWER).await,
        }
    }

    /// Does something to the place on purpose.
    pub(super) async fn inject(&mut self, fault: Fault) -> anyhow::Result<()> {
        match self {
            Self::Host(_) => anyhow::bail!("this host has neither a WAN nor gateways: {fault:?}"),
            Self::Lab(lab) => lab.inject(fault).await,
            Self::Kube(kube) => kube.inject(fault).await,
        }
    }

    /// The name of what an outage is of, in events.
    pub(super) fn outage_of(&self, cluster: ClusterName) -> String {
        match self {
            Self::Host(_) | Self::Lab(_) => "wan".to_owned(),
            Self::Kube(_) => format!("cluster-{cluster}"),
        }
    }

    /// Has a node take no more pods, and takes those of the run from it.
    pub(super) async fn drain(&self, node: &Node) -> anyhow::Result<()> {
        match self {
            Self::Host(_) | Self::Lab(_) => anyhow::bail!("there are no nodes here: {node:?}"),
            Self::Kube(kube) => kube.drain(node).await,
        }
    }

    /// Has a drained node take pods again.
    pub(super) async fn undrain(&self, node: &Node) -> anyhow::Result<()> {
        match self {
            Self::Host(_) | Self::Lab(_) => anyhow::bail!("there are no nodes here: {node:?}"),
            Self::Kube(kube) => kube.undrain(node).await,
        }
    }

    /// The place's own processes, to be sampled.
    pub(super) fn watched(&self) -> Vec<Watched<'_>> {
        match self {
            Self::Host(_) | Self::Kube(_) => Vec::new(),
            Self::Lab(lab) => lab.watched(),
        }
    }

    /// Takes the place down, and returns what it was and what it measured.
    pub(super) async fn down(self) -> Ended {
        match self {
            Self::Host(_) => Ended::default(),
            Self::Lab(lab) => lab.down().await,
            Self::Kube(kube) => kube.down().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use settings::Span;

    use super::*;
    use crate::scenario::{Fault, Victim};

    #[test]
    fn what_only_clusters_have_is_refused_here_with_its_key_and_a_remedy() {
        let drain = Fault::Drain {
            at: Span::seconds(1),
            lasts: Span::seconds(1),
            who: Victim::Client,
        };
        let scenario = Scenario {
            name: "s".into(),
            ..Scenario::default()
        };
        assert!(check_here(&scenario).is_ok());
        let drained = Scenario {
            fault: vec![drain],
            ..scenario.clone()
        };
        let crowd = Scenario {
            clients: 3,
            ..scenario
        };
        for (scenario, key) in [(drained, "s.fault"), (crowd, "s.clients")] {
            let error = check_here(&scenario).expect_err(key).to_string();
            assert!(
                error.contains(key) && error.contains("--place kube"),
                "{error}"
            );
        }
    }
}
