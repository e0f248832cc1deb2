//! What a place is brought up with, what is done to it, and what it gives back.

use result::{FabricMeta, RepetitionFolder, RepetitionMeta, ResourcesMeta, WanMeta};
use testbed::Testbed;
use testbed::resources::Sample;

use crate::run::events::Events;
use crate::run::sampler::Rows;
use settings::{ClusterName, Role, Transport};

/// What a place does on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::run) enum Fault {
    /// Nothing crosses between the clusters from now on; where one can be cut off, this one is.
    OutageBegins(ClusterName),
    /// Everything crosses again.
    OutageEnds(ClusterName),
    /// The tunnel of this cluster's gateway is killed and started again.
    KillGateway(ClusterName),
    /// The pod of this role gets another address.
    Move(Role),
}

/// A node of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::run) struct Node {
    pub(in crate::run) cluster: ClusterName,
    pub(in crate::run) name: String,
}

/// A place as the meta of a repetition has it.
#[derive(Debug, Default)]
pub(in crate::run) struct PlaceMeta {
    pub(super) fabric: Option<FabricMeta>,
    pub(super) wan: Option<WanMeta>,
    pub(super) resources: Option<ResourcesMeta>,
    /// How RTP travels, where that is the place's to say, and why it is not what the scenario asked for.
    pub(super) transport: Option<(Transport, Option<String>)>,
}

/// What a place is brought up with.
#[derive(Debug)]
pub(in crate::run) struct Setup<'a> {
    pub(in crate::run) testbed: &'a Testbed,
    pub(in crate::run) folder: &'a RepetitionFolder,
    pub(in crate::run) events: &'a Events,
    /// Takes rows of `resources.csv` from a place that has its figures elsewhere than in `/proc`.
    pub(in crate::run) rows: Rows,
    /// Whether the clusters have the paper's limits.
    pub(in crate::run) limits: bool,
    /// The points at which packets are captured.
    pub(in crate::run) pcap: &'a [String],
}

/// The end of a place.
#[derive(Debug, Default)]
pub(in crate::run) struct Ended {
    pub(in crate::run) meta: PlaceMeta,
    /// What each of its own processes had used.
    pub(in crate::run) used: Vec<(String, Option<Sample>)>,
}

impl PlaceMeta {
    /// Puts what is known into the meta of the repetition; what was known before stays.
    pub(in crate::run) fn record(self, meta: &mut RepetitionMeta) {
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
