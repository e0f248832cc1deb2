//! What is done to a lab on purpose while a stream runs through it: the WAN carries nothing for a while, a gateway dies, a pod gets
//! another address.

use std::net::Ipv4Addr;

use tokio::task::spawn_blocking;

use super::command;
use super::lab::{Lab, LabError};
use super::topology::{Kind, Namespace};
use crate::Cluster;
use crate::wan::link;

/// The process of a userspace WAN.
const WAN: &str = "wan";

/// Drops what comes out of the WAN at a node, before anything else sees it.
const DROP: &str = "table ip outage {\n\tchain prerouting {\n\t\ttype filter hook prerouting priority raw; policy accept;\n\
    \t\tiifname \"wan0\" drop\n\t}\n}\n";

impl Lab {
    /// Lets the WAN carry nothing from now on, or everything again. What is under way may still arrive.
    pub async fn wan_outage(&self, begins: bool) -> Result<(), LabError> {
        if let Ok(process) = self.daemon(WAN) {
            link::set_outage(process, begins);
            return Ok(());
        }
        let all = self.topology().namespaces.iter();
        for node in all.filter(|one| one.kind == Kind::Node) {
            let netns = self.namespace(&node.name)?.clone();
            let rules = if begins {
                DROP
            } else {
                "delete table ip outage\n"
            };
            spawn_blocking(move || {
                command::succeed("nft", &["-f", "-"], rules, Some(&netns))
                    .map_err(|source| LabError::command(&netns, source))
            })
            .await??;
        }
        Ok(())
    }

    /// Kills the process that carries a cluster's end of the tunnel by SIGKILL and starts it again.
    ///
    /// Gives the role of that process. Where the kernel carries the tunnel there is none: that is an error, which names the
    /// daemons that there are.
    pub async fn gateway_restart(&mut self, cluster: Cluster) -> Result<String, LabError> {
        let mut daemons = self.topology().daemons.iter();
        let tunnel = daemons.find(|one| one.cluster == Some(cluster) && !one.makes.is_empty());
        let role = tunnel.map_or_else(
            || format!("tunnel of cluster {cluster:?}"),
            |one| one.role.clone(),
        );
        self.daemon_restart(&role).await?;
        Ok(role)
    }

    /// Gives a pod its other address and takes the one that it has, as with a device that changes networks: sockets stay open, and
    /// what is sent from now on comes from elsewhere. Gives the address that it had and the one that it has.
    pub async fn pod_move(&mut self, name: &str) -> Result<(Ipv4Addr, Ipv4Addr), LabError> {
        let movable = |one: &&Namespace| one.addresses.len() > 1;
        let pods = self.topology().namespaces.iter().filter(movable);
        let Some(pod) = pods.clone().find(|pod| pod.name == name) else {
            return Err(LabError::Unknown {
                what: "pod that can move",
                name: name.to_owned(),
                known: pods.map(|pod| &*pod.name).collect::<Vec<_>>().join(", "),
            });
        };
        let addresses = pod.addresses.clone();
        let netns = self.namespace(name)?.clone();
        let before = self.count_move(name);
        let [old, new] = [before, before + 1].map(|at| addresses[at % addresses.len()]);
        // The new one first: the last address of an interface takes its routes with it.
        let lines = format!("addr add {new}/32 dev eth0\naddr del {old}/32 dev eth0\n");
        spawn_blocking(move || {
            command::batch("ip", &lines, Some(&netns), &[])
                .map_err(|source| LabError::command(&netns, source))
        })
        .await??;
        Ok((old, new))
    }
}
