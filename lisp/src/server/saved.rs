//! What a Map-Server keeps over a restart: nonces, where xTRs are, and who subscribed.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::eid::Eid;
use crate::wire::Identity;

/// The last Map-Register of an xTR with a key.
///
/// "A Map-Server MUST track and save in persistent storage the last nonce received for each ETR xTR-ID and key pair" (RFC 9301
/// section 5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedNonce {
    pub identity: Identity,
    pub key_id: u8,
    pub nonce: u64,
    /// The address of the xTR.
    pub address: IpAddr,
    /// An EID prefix that it had registered.
    pub eid: Eid,
}

/// A subscription as it is saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedSubscription {
    pub eid: Eid,
    pub identity: Identity,
    pub itr_rlocs: Vec<IpAddr>,
    pub nonce: u64,
    /// The longest life of the subscription, in seconds.
    pub lifetime_s: u64,
    /// The subscription has ended: the nonce alone is kept.
    pub ended: bool,
}

/// The state that has changed since it was saved last, or all that was saved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SavedState {
    pub nonces: Vec<SavedNonce>,
    pub subscriptions: Vec<SavedSubscription>,
    /// Subscriptions of which nothing is to be kept any longer.
    pub gone: Vec<(Eid, Identity)>,
}
