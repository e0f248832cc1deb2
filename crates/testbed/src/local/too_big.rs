//! IP packets that were larger than a link of the lab: nothing of that kind passes in silence.
//!
//! Each namespace's kernel counts them, whichever program carries the link: a packet that may not be cut is dropped where
//! the next link is too small for it, and its sender told so by ICMP (RFC 1191); one that may be cut becomes fragments.

use std::collections::BTreeMap;
use std::fs;

use tokio::task::spawn_blocking;

use super::lab::{Lab, LabError};
use crate::resources::net;

/// Counters of one namespace since its creation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TooBig {
    /// Packets that were cut into fragments.
    pub fragmented: u64,
    /// Packets that might not be cut, and were dropped.
    pub dropped: u64,
}

impl Lab {
    /// The counters of each namespace that had such packets.
    pub async fn too_big(&self) -> Result<BTreeMap<String, TooBig>, LabError> {
        let names = self.topology().namespaces.iter();
        let namespaces = names
            .map(|one| self.namespace(&one.name).cloned())
            .collect::<Result<Vec<_>, _>>()?;
        spawn_blocking(move || {
            let mut found = BTreeMap::new();
            for netns in namespaces {
                let snmp = netns
                    .run(|| fs::read_to_string("/proc/thread-self/net/snmp"))
                    .map_err(|source| LabError::namespace(netns.name(), source))?;
                let count = |name| net::counter(&snmp, "Ip:", name).unwrap_or(0);
                let of = TooBig {
                    fragmented: count("FragOKs"),
                    dropped: count("FragFails"),
                };
                if of != TooBig::default() {
                    found.insert(netns.name().to_owned(), of);
                }
            }
            Ok(found)
        })
        .await?
    }
}
