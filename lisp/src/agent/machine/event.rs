//! What goes into the machine, and what comes out.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;

use crate::agent::objects::{ProbeKind, SeenService, SeenSlice};
use crate::services::ServiceName;

/// How pods are probed, beside what each Service says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Probing {
    /// The way for Services that name none.
    pub(crate) kind: ProbeKind,
    pub(crate) interval: Duration,
    /// Probes without an answer after which a pod is down.
    pub(crate) failures: u32,
    /// Endpoints that are probed at most, of all Services together.
    pub(crate) most: usize,
}

/// The configuration of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) probing: Probing,
    /// How long pods that are no longer ready, but answer, are still used where no other cluster has the Service.
    pub(crate) drain: Duration,
    /// How long an address that was given may be without its Service, before it is given back.
    pub(crate) grace: Duration,
    /// How often what is registered is said again.
    pub(crate) refresh: Duration,
    /// Requests to the control plane that are under way at a time.
    pub(crate) at_once: usize,
}

/// The target of a probe: a port, and the page that is asked for if it is one of HTTP.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) path: Option<String>,
}

/// A name of an `EndpointSlice`: its namespace and name.
pub(crate) type SliceName = (String, String);

/// Something that has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// Prefixes that the control plane gives addresses from.
    Pools(Vec<IpNet>),
    Service(ServiceName, SeenService),
    ServiceGone(ServiceName),
    Slice(SliceName, SeenSlice),
    SliceGone(SliceName),
    /// Every Service and every `EndpointSlice` that there is was told.
    Complete,
    /// The control plane says that the cluster has this address for the Service.
    Granted(ServiceName),
    /// A probe was answered, or not.
    Probed(Target, bool),
    /// The control plane has answered a request.
    Answered(ServiceName, Request, Result),
    /// The control plane takes this agent for the cluster's; whether it knows nothing of it (any more).
    Accepted {
        knows_nothing: bool,
    },
    /// Another agent speaks for the cluster.
    Refused,
}

/// The locators to which packets of a Service are to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Locators {
    /// Packets go nowhere: no pod of the Service is there.
    None,
    /// Packets go to this cluster if no other has the Service: its pods are on their way out.
    Last,
    /// Packets go to this cluster.
    Here,
}

/// A request to the control plane about a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// The cluster has it at this address, and runs it so.
    Set(IpAddr, Locators),
    /// The cluster has it no more.
    Release,
    /// The address is in use for something that is not shared.
    Conflict(IpAddr),
}

/// The outcome of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Result {
    Done,
    /// The address is another's.
    Taken,
    /// No answer, or one that another try may change.
    Failed,
}

/// Something that the machine wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    Ask(ServiceName, Request),
    Probe(Target),
    /// The control plane has done what was asked.
    Done(Done),
}

/// A request that was done, with the times that it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) service: ServiceName,
    pub(crate) request: Request,
    /// The request before, which the control plane was told, as far as that is known.
    pub(crate) before: Option<Request>,
    /// From what was the reason (the first probe without an answer, or what Kubernetes said) to the request.
    pub(crate) noticed: Duration,
    /// From the request to its answer.
    pub(crate) answered: Duration,
}
