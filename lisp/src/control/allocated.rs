//! What requests of the API have in common: the service with its address, and the cluster that asks.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::eid::Eid;
use crate::services::ServiceName;

/// A service and its address, as the API tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allocated {
    pub service: ServiceName,
    pub address: IpAddr,
    pub instance: u32,
}

impl Allocated {
    pub(super) fn new(service: ServiceName, eid: &Eid) -> Self {
        Self {
            service,
            address: eid.address(),
            instance: eid.instance().get(),
        }
    }
}

/// A service with the clusters that have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    #[serde(flatten)]
    pub allocated: Allocated,
    /// Clusters that have asked for the address.
    pub clusters: Vec<String>,
    /// Clusters whose tunnel routers are registered for it: where it runs.
    #[serde(default)]
    pub registered: Vec<String>,
}

/// A pool of service addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolView {
    pub name: String,
    pub prefix: Eid,
}

/// The answer to a heartbeat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// Another one after each start of the control plane: then xTRs are to register again.
    pub epoch: String,
    /// The cluster was lost, or is new: its xTRs are to register again.
    pub was_lost: bool,
}

/// The cluster that a request is about.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Of {
    pub(super) cluster: String,
}
