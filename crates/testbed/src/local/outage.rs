//! What is done to a lab on purpose while a stream runs through it: the WAN carries nothing for a while, a gateway dies.

use tokio::task::spawn_blocking;

use super::command;
use super::lab::{Lab, LabError};
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
        for node in ["node-a", "node-b"] {
            let netns = self.namespace(node)?.clone();
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

    /// Kills the tunnel's process of a gateway (`gateway-a`) by SIGKILL and starts it again.
    ///
    /// Gives the role of that process. Where the kernel carries the tunnel there is none: that is an error, which names the
    /// daemons that there are.
    pub async fn gateway_restart(&mut self, gateway: &str) -> Result<String, LabError> {
        let role = gateway.replacen("gateway", "wireguard", 1);
        self.daemon_restart(&role).await?;
        Ok(role)
    }
}
