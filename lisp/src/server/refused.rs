//! Why a datagram leads to nothing.

use strum::IntoStaticStr;

use crate::auth::NotAuthentic;
use crate::eid::Eid;
use crate::wire::Malformed;

/// A reason for which a datagram, or a part of it, is refused. The name of each is a label of the metric that counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum Refused {
    #[error("it is no message: {0}")]
    Malformed(#[from] Malformed),
    /// A message that a Map-Server gets from nobody: a Map-Reply, a Map-Notify, a solicitation.
    #[error("a {0} is nothing for a Map-Server")]
    NotForServer(&'static str),
    /// "If a Map-Resolver or Map-Server receives a Map-Request with the probe-bit set, it MUST drop the message" (RFC 9301
    /// section 5.2).
    #[error("a probe is for an ETR")]
    Probe,
    #[error("too many requests from its source, or in all")]
    TooFast,
    /// RFC 9301 section 5.3: a request without ITR-RLOC.
    #[error("it has no ITR-RLOC to answer to")]
    NoItrRloc,
    #[error("the same locator was answered the same less than 3 s ago")]
    AnsweredLately,
    #[error("the answer is too much larger than the request for an address that did not send it")]
    Amplification,
    #[error("it came from an address that is not among its ITR-RLOCs, or not one of its site")]
    ForeignSource,
    #[error("state is being restored, and nobody has registered {0} yet")]
    Starting(Eid),
    #[error("site {0} is unknown")]
    UnknownSite(u64),
    #[error("no site may register {0} without an identity")]
    NoSite(Eid),
    #[error("it is not its sender's: {0}")]
    NotAuthentic(#[from] NotAuthentic),
    #[error("its nonce {nonce:#x} is not above {last:#x}: it may be a replay")]
    Replay { nonce: u64, last: u64 },
    #[error("{0} was not allocated to its site")]
    NotAllowed(Eid),
    #[error("{0} has a locator that no packet can go to, or too many")]
    BadLocators(Eid),
    #[error("a table is full")]
    Full,
    #[error("it acknowledges nothing that is outstanding")]
    UnknownAck,
    #[error("it asks for more mappings than are answered at once")]
    ManyQueries,
}

impl Refused {
    /// The label of the metric that counts this.
    pub fn label(self) -> &'static str {
        self.into()
    }
}
