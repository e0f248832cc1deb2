//! Where a repetition runs: on this host, or in a lab of its own. Clusters are the third variant to come.
//!
//! A place is planned, then brought up; it starts programs, knows where they find one another, and has done to it what a
//! scenario asks for. It returns what it was and what it measured: the caller puts that into the repetition's meta.

mod host;
mod lab;
pub mod lab_plan;
mod workload;

use std::net::SocketAddr;

use anyhow::Context as _;
use settings::Role;
use testbed::resources::Sample;
use testbed::{Spec, Testbed};

use super::addresses::{Addresses, ListenAddresses};
use super::events::Events;
use crate::scenario::{ClusterName, Scenario, Transport};
pub(super) use host::HostPlace;
use lab::LabPlace;
use lab_plan::{LabCapabilities, LabPlan};
use result::{FabricMeta, RepetitionFolder, ResourcesMeta, RunMeta, WanMeta};
pub(super) use workload::{GRACE, READY, Watched, Workload};

/// A place before it is brought up.
#[derive(Debug)]
pub(super) enum PlacePlan {
    Host,
    Lab(Box<LabPlan>),
}

/// A place that is up.
#[derive(Debug)]
pub(super) enum Place {
    Host(HostPlace),
    Lab(Box<LabPlace>),
}

/// What a place does on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The WAN carries nothing from now on.
    OutageBegins,
    /// The WAN carries everything again.
    OutageEnds,
    /// The tunnel of this cluster's gateway is killed and started again.
    KillGateway(ClusterName),
}

/// A place as the meta of a repetition has it.
#[derive(Debug, Default)]
pub(super) struct PlaceMeta {
    fabric: Option<FabricMeta>,
    wan: Option<WanMeta>,
    resources: Option<ResourcesMeta>,
    /// How RTP travels, where that is the place's to say, and why it is not what the scenario asked for.
    transport: Option<(Transport, Option<String>)>,
}

/// What a place is brought up with.
#[derive(Debug)]
pub(super) struct Setup<'a> {
    pub(super) testbed: &'a Testbed,
    pub(super) folder: &'a RepetitionFolder,
    pub(super) events: &'a Events,
    /// Whether the clusters have the paper's limits.
    pub(super) limits: bool,
    /// The points at which packets are captured.
    pub(super) pcap: &'a [String],
}

/// The end of a place.
#[derive(Debug, Default)]
pub(super) struct Ended {
    pub(super) meta: PlaceMeta,
    /// What each of its own processes had used.
    pub(super) used: Vec<(String, Option<Sample>)>,
}

impl PlacePlan {
    /// Plans the place of a scenario; `seed` is the WAN's.
    pub(super) fn new(
        scenario: &Scenario,
        capabilities: Option<&LabCapabilities>,
        seed: u64,
    ) -> anyhow::Result<Self> {
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
        }
    }

    /// Where the programs find one another, if that is known before any of them runs.
    pub(super) fn known_addresses(&self, collector: &str) -> Option<Addresses> {
        match self {
            Self::Host => None,
            Self::Lab(plan) => Some(plan.addresses(collector)),
        }
    }

    /// How RTP travels.
    pub(super) const fn transport(&self, asked: Transport) -> Transport {
        match self {
            Self::Host => asked,
            Self::Lab(plan) => plan.transport,
        }
    }

    /// What is known of it before it is up.
    pub(super) fn meta(&self) -> PlaceMeta {
        match self {
            Self::Host => PlaceMeta::default(),
            Self::Lab(plan) => plan.meta(),
        }
    }
}

impl Place {
    /// Brings the place up.
    pub(super) async fn up(plan: PlacePlan, setup: &Setup<'_>) -> anyhow::Result<Self> {
        Ok(match plan {
            PlacePlan::Host => Self::Host(HostPlace::new(setup.testbed.clone())),
            PlacePlan::Lab(plan) => Self::Lab(Box::new(LabPlace::up(*plan, setup).await?)),
        })
    }

    /// Where the collector listens: never on the fabric that is measured.
    pub(super) const fn collector(&self) -> SocketAddr {
        match self {
            Self::Host(_) => HostPlace::collector(),
            Self::Lab(_) => LabPlace::collector(),
        }
    }

    /// Whether the programs read the runner's own clock, so that there is nothing to ask them.
    pub(super) const fn shares_our_clock(&self) -> bool {
        match self {
            Self::Host(_) | Self::Lab(_) => true,
        }
    }

    /// Starts a program where the place has its role.
    pub(super) fn start(&self, role: Role, spec: Spec) -> anyhow::Result<Workload> {
        match self {
            Self::Host(host) => host.start(spec),
            Self::Lab(lab) => lab.start(role, spec),
        }
    }

    /// Where the programs find one another; the streamer listens at `listen`.
    pub(super) fn addresses(&self, listen: &ListenAddresses, collector: SocketAddr) -> Addresses {
        let collector = collector.to_string();
        match self {
            Self::Host(_) => Addresses {
                http: listen.http.clone(),
                rtsp: listen.rtsp.clone(),
                collector,
            },
            Self::Lab(lab) => lab.plan().addresses(&collector),
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
        }
    }

    /// Does something to the place on purpose.
    pub(super) async fn inject(&mut self, fault: Fault) -> anyhow::Result<()> {
        match self {
            Self::Host(_) => anyhow::bail!("this host has neither a WAN nor gateways: {fault:?}"),
            Self::Lab(lab) => lab.inject(fault).await,
        }
    }

    /// The place's own processes, to be sampled.
    pub(super) fn watched(&self) -> Vec<Watched<'_>> {
        match self {
            Self::Host(_) => Vec::new(),
            Self::Lab(lab) => lab.watched(),
        }
    }

    /// Takes the place down, and returns what it was and what it measured.
    pub(super) async fn down(self) -> Ended {
        match self {
            Self::Host(_) => Ended::default(),
            Self::Lab(lab) => lab.down().await,
        }
    }
}

impl PlaceMeta {
    /// Puts what is known into the meta of the repetition; what was known before stays.
    pub(super) fn record(self, meta: &mut RunMeta) {
        let Self {
            fabric,
            wan,
            resources,
            transport,
        } = self;
        meta.fabric = fabric.or_else(|| meta.fabric.take());
        meta.wan = wan.or_else(|| meta.wan.take());
        meta.resources = resources.or_else(|| meta.resources.take());
        if let Some((transport, why)) = transport {
            (meta.transport, meta.transport_why) = (transport.to_string(), why);
        }
    }
}
