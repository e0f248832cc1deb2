//! What lies behind node B's end of the WAN: the control plane, and the cluster of a second streamer.

use super::super::address::{Prefix, Site};
use super::super::draft::{Draft, end};
use super::super::wan_end;
use crate::Cluster;
use crate::local::topology::{End, Namespace};

/// A place behind node B, in a network of two: .1 is node B, .2 the place.
pub(super) struct Branch {
    pub(super) network: Prefix,
    pub(super) place: &'static str,
    /// The place's interface.
    pub(super) interface: &'static str,
    /// Node B's interface.
    pub(super) towards: &'static str,
}

impl Branch {
    /// Links the place with node B, and says how node B is set up for it.
    pub(super) fn attach(&self, draft: &mut Draft, node_b: &mut Namespace) {
        draft.link(self.end(), end(&node_b.name, self.towards));
        node_b.ip.extend([
            format!("link set {} up", self.towards),
            self.address_line(1, self.towards),
        ]);
    }

    /// Lines for the place itself.
    pub(super) fn lines(&self) -> [String; 3] {
        [
            format!("link set {} up", self.interface),
            self.address_line(2, self.interface),
            format!(
                "route add default via {} dev {}",
                self.network.at(1),
                self.interface
            ),
        ]
    }

    /// The line for node A, which reaches the place over the WAN.
    pub(super) fn way_over_the_wan(&self) -> String {
        let by = Site::new(Cluster::B, false).node_address;
        format!(
            "route add {} via {by} dev {}",
            self.network,
            wan_end::INTERFACE
        )
    }

    pub(super) fn end(&self) -> End {
        end(self.place, self.interface)
    }

    fn address_line(&self, at: u32, interface: &str) -> String {
        let (address, length) = (self.network.at(at), self.network.length());
        format!("addr add {address}/{length} dev {interface}")
    }
}
