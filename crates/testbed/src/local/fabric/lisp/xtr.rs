//! The tunnel router of a cluster: the process on its node, and what the node does to packets on their way into it.

use super::super::address::{Prefix, Site, control_plane};
use super::super::draft::end;
use super::super::inputs::{FabricInputs, Program};
use crate::local::topology::{Daemon, DaemonFile, Stage};

/// The tunnel's device on the node.
pub(super) const DEVICE: &str = "lisp0";

/// The number of a cluster's site.
pub(super) const fn site_id(site: &Site) -> u8 {
    match site.letter {
        'a' => 1,
        'b' => 2,
        _ => 3,
    }
}

/// The name of the file with what a tunnel router signs with.
pub(super) fn key_name(site: &Site) -> String {
    format!("{}.key", site.letter)
}

/// What a tunnel router signs with.
pub(super) fn key(given: &FabricInputs, site: &Site) -> DaemonFile {
    let secrets = &given.keys.lisp;
    let secret = match site.letter {
        'a' => &secrets.a,
        'b' => &secrets.b,
        _ => &secrets.c,
    };
    DaemonFile {
        name: key_name(site),
        text: secret.expose().to_owned(),
        is_secret: true,
    }
}

/// What a tunnel router carries.
pub(super) struct Router {
    /// Who sends into the tunnel here, and gets what comes out of it.
    pub(super) endpoints: Vec<Prefix>,
    /// What is reached through the tunnel.
    pub(super) elsewhere: Vec<Prefix>,
    /// What others are to reach through it.
    pub(super) registers: Vec<String>,
    /// The priority of this router's locator in what it registers: the lowest is used.
    pub(super) priority: u8,
}

impl Router {
    /// The process.
    ///
    /// Without offloads, each packet is one on the WAN, as captures show it and as the WAN delays and loses it. The process stays
    /// root, because an ordinary user's lab has no other user to become.
    pub(super) fn daemon(&self, given: &FabricInputs, site: &Site) -> Daemon {
        let list = |all: &[Prefix]| {
            let all: Vec<String> = all.iter().map(ToString::to_string).collect();
            all.join(",")
        };
        let args = [
            "xtr",
            "--locator",
            &site.node_address.to_string(),
            "--endpoint",
            &list(&self.endpoints),
            "--route",
            &list(&self.elsewhere),
            "--map-server",
            &control_plane().to_string(),
            "--key-file",
            &format!("{{files}}/{}", key_name(site)),
            "--site",
            &site_id(site).to_string(),
            "--register",
            &self.registers.join(","),
            "--priority",
            &self.priority.to_string(),
            "--device",
            DEVICE,
            "--offloads",
            "off",
            "--user",
            "0",
        ]
        .map(ToOwned::to_owned);
        Daemon {
            role: format!("xtr-{}", site.letter),
            namespace: site.node.to_owned(),
            cluster: Some(site.cluster),
            stage: Stage::Service,
            program: given.program(Program::Lisp),
            args: args.to_vec(),
            files: vec![key(given, site)],
            makes: vec![end(site.node, DEVICE)],
            ..Daemon::default()
        }
    }
}

/// For `nft -f -`: TCP's segments fit into the tunnel.
pub(super) fn ruleset() -> String {
    format!(
        "table ip lisp {{
\tchain forward {{
\t\ttype filter hook forward priority mangle; policy accept;
\t\toifname \"{DEVICE}\" tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu
\t}}
}}
"
    )
}
