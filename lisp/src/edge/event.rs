//! What the control plane of an xTR tells its data plane, and why it ignores a datagram.

use std::sync::Arc;
use std::time::Duration;

use strum::IntoStaticStr;

use crate::auth::NotAuthentic;
use crate::eid::Eid;
use crate::mapping::Mapping;
use crate::wire::Malformed;

/// An event that the data plane has to know of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The mapping of a prefix is known, or another than before.
    Mapping(Arc<Mapping>),
    /// The mapping of a prefix is gone.
    Gone(Eid),
    /// The Map-Server has taken a registration, so long after it was asked for.
    Registered { eid: Eid, took: Duration },
    /// The Map-Server has taken a withdrawal, or there was nothing left to withdraw.
    Withdrawn(Eid),
    /// The Map-Server answered, and left this prefix out: it was not allocated to the site.
    Refused(Eid),
}

/// A reason for which a datagram is ignored. The name of each is a label of the metric that counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum Ignored {
    #[error("it is no message: {0}")]
    Malformed(#[from] Malformed),
    #[error("it is not the Map-Server's: {0}")]
    NotAuthentic(#[from] NotAuthentic),
    #[error("it claims to come from a Map-Server, and did not come from ours")]
    ForeignSource,
    #[error("it answers nothing that is asked")]
    Unasked,
    #[error("its nonce {nonce:#x} is not above {last:#x}: it may be a replay")]
    Replay { nonce: u64, last: u64 },
    #[error("nobody here subscribed to {0}")]
    NotSubscribed(Eid),
    #[error("{0} is not ours")]
    NotOurs(Eid),
    #[error("a {0} is nothing for an xTR")]
    NotForXtr(&'static str),
    #[error("too many requests from its source")]
    TooFast,
}

impl Ignored {
    /// The label of the metric that counts this.
    pub fn label(self) -> &'static str {
        self.into()
    }
}
