//! The control plane: its place beyond node B, its files, and the agents that ask it for the streamer's address.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::super::address::{CONTROL, POOL, Site, control_plane};
use super::super::draft::{self, Draft};
use super::super::inputs::{FabricInputs, Program};
use super::underlay::Branch;
use super::xtr;
use crate::Cluster;
use crate::local::topology::{Daemon, DaemonFile, Kind, Stage};

/// The namespace.
const PLACE: &str = "control";

/// Where it is.
pub(super) const BRANCH: Branch = Branch {
    network: CONTROL,
    place: PLACE,
    interface: "eth0",
    towards: "to-control",
};

/// The port of the API of agents, and the one at which it is operated.
const API_PORT: u16 = 4380;
const OPS_PORT: u16 = 9097;

/// The streamer's service in its cluster.
const SERVICE: &str = "xr/streamer";

/// What an agent does once its service has an address.
pub(super) enum Duty<'a> {
    /// Waits until these prefixes have mappings, each `PREFIX` or `PREFIX=LOCATORS`, and ends.
    Await(&'a [String]),
    /// Looks after who listens there, and gives the service back when that is gone.
    Watch(SocketAddrV4),
}

/// Adds the place of the control plane.
pub(super) fn place(draft: &mut Draft) {
    let mut place = draft::namespace(PLACE, Kind::Control, Cluster::B);
    place.ip = BRANCH.lines().to_vec();
    draft.capture(PLACE.to_owned(), BRANCH.end());
    draft.topology.namespaces.push(place);
}

/// The control plane's process.
pub(super) fn daemon(given: &FabricInputs, sites: &[&Site], service: Ipv4Addr) -> Daemon {
    let at = control_plane();
    let args = format!(
        "control --config {{files}}/control.toml --store {{files}}/control.sqlite --token-file {{files}}/token \
         --api {at}:{API_PORT} --ops {at}:{OPS_PORT}"
    );
    let config = DaemonFile {
        name: "control.toml".to_owned(),
        text: config(sites, service),
        is_secret: false,
    };
    let keys = sites.iter().map(|site| xtr::key(given, site));
    Daemon {
        role: "lisp-control".to_owned(),
        namespace: PLACE.to_owned(),
        stage: Stage::Service,
        program: given.program(Program::Lisp),
        args: words(&args),
        files: [config, token(given)].into_iter().chain(keys).collect(),
        ..Daemon::default()
    }
}

/// Who registers the streamer's service for a cluster.
pub(super) fn agent(
    given: &FabricInputs,
    site: &Site,
    service: Ipv4Addr,
    duty: &Duty<'_>,
) -> Daemon {
    let (letter, at) = (site.letter, control_plane());
    let mut args = words(&format!(
        "lisp-agent --api {at}:{API_PORT} --control-ops {at}:{OPS_PORT} --token-file {{files}}/token --cluster {letter} \
         --service {SERVICE} --address {service}"
    ));
    let stage = match duty {
        Duty::Await(mappings) => {
            args.extend(["--mappings".to_owned(), mappings.join(",")]);
            Stage::Task
        }
        Duty::Watch(streamer) => {
            args.extend(["--watch".to_owned(), streamer.to_string()]);
            Stage::Service
        }
    };
    Daemon {
        role: format!("lisp-agent-{letter}"),
        namespace: site.node.to_owned(),
        cluster: Some(site.cluster),
        stage,
        program: given.program(Program::LispAgent),
        args,
        files: vec![token(given)],
        ..Daemon::default()
    }
}

/// The control plane's configuration: a site for each cluster, named by its letter, and the pool.
fn config(sites: &[&Site], service: Ipv4Addr) -> String {
    let mut text = format!("address = \"{}\"\n", control_plane());
    for site in sites {
        let (letter, pods, locator) = (site.letter, site.pods, site.node_address);
        text += &format!(
            "\n[[site]]\nid = {}\nname = \"{letter}\"\nkey = [{{ id = 1, file = \"{}\" }}]\n\
             rlocs = [\"{locator}/32\"]\nprefixes = [\"{pods}\"]\n",
            xtr::site_id(site),
            xtr::key_name(site)
        );
    }
    text + &format!(
        "\n[[pool]]\nname = \"default\"\nprefix = \"{POOL}\"\n\n\
         [[reservation]]\nservice = \"{SERVICE}\"\naddress = \"{service}\"\n"
    )
}

fn token(given: &FabricInputs) -> DaemonFile {
    DaemonFile {
        name: "token".to_owned(),
        text: given.keys.lisp.token.expose().to_owned(),
        is_secret: true,
    }
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(ToOwned::to_owned).collect()
}
