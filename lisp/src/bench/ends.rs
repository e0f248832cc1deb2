//! The two ends of a tunnel of LISP on the [network](super::network): ours, or Open Overlay Router, in any pairing.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use super::network::{Running, TestNetwork};
use super::pingpong;

/// How long a tunnel may take to carry its first packet.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The address of the core, where a Map-Server is.
pub const MAP_SERVER: &str = "10.0.0.254";

/// An end of a tunnel: its place, locator and endpoints, and the other end's.
#[derive(Clone, Copy, Debug)]
pub struct End {
    place: &'static str,
    locator: &'static str,
    endpoints: &'static str,
    other_locator: &'static str,
    other_endpoints: &'static str,
}

/// The end of the client.
pub const A: End = End {
    place: "a",
    locator: "10.0.0.1",
    endpoints: "192.168.1.0/24",
    other_locator: "10.0.0.2",
    other_endpoints: "10.96.0.0/24",
};

/// The end of the pod.
pub const B: End = End {
    place: "b",
    locator: A.other_locator,
    endpoints: A.other_endpoints,
    other_locator: A.locator,
    other_endpoints: A.endpoints,
};

/// Our tunnel router, with these arguments more.
pub fn ours(network: &TestNetwork, end: End, more: &[&str]) -> anyhow::Result<Running> {
    let map = format!("{}={}", end.other_endpoints, end.other_locator);
    let args = [
        "xtr",
        "--locator",
        end.locator,
        "--endpoint",
        end.endpoints,
        "--map",
        &map,
    ];
    let all: Vec<_> = args
        .iter()
        .chain(&["--ops", "127.0.0.1:9096"])
        .chain(more)
        .copied()
        .collect();
    network.start(end.place, network.program()?, &all)
}

/// Both ends with locators of IPv6.
pub const A6: End = End {
    locator: "fd00::1",
    other_locator: "fd00::2",
    ..A
};
pub const B6: End = End {
    locator: "fd00::2",
    other_locator: "fd00::1",
    ..B
};

/// The address of the core, where a Map-Server of IPv6 is.
pub const MAP_SERVER6: &str = "fd00::fe";

/// A second place of the pod's endpoints: the core, whose Map-Server then has another address.
pub const C: End = End {
    place: "core",
    locator: MAP_SERVER,
    ..B
};

/// Our tunnel router, which registers its endpoints at a Map-Server, with these arguments more.
pub fn ours_registered(
    network: &TestNetwork,
    end: End,
    map_server: &str,
    key: &Path,
    more: &[&str],
) -> anyhow::Result<Running> {
    let key = key.to_str().context("the folder's name is text")?;
    let args = [
        ["xtr", "--ops", "127.0.0.1:9096"].as_slice(),
        &[
            "--locator",
            end.locator,
            "--endpoint",
            end.endpoints,
            "--route",
            end.other_endpoints,
        ],
        &[
            "--map-server",
            map_server,
            "--key-file",
            key,
            "--register",
            end.endpoints,
        ],
        more,
    ];
    network.start(end.place, network.program()?, &args.concat())
}

/// Open Overlay Router as Map-Server of both ends, in the core; each end's secret is the name of its place.
pub fn oor_map_server(network: &TestNetwork, folder: &Path) -> anyhow::Result<Running> {
    let mut text = String::from("debug = 0\noperating-mode = MS\ncontrol-iface = lan\n");
    for end in [A, B] {
        text += &format!(
            "lisp-site {{\n eid-prefix = {}\n key-type = 1\n key = {}\n iid = 0\n\
             accept-more-specifics = true\n proxy-reply = true\n}}\n",
            end.endpoints, end.place
        );
    }
    let file = folder.join("oor-map-server.conf");
    std::fs::write(&file, text)?;
    let file = file.to_str().context("the folder's name is text")?;
    let server = network.start("core", "oor", &["-f", file])?;
    network.await_listener("core", "-u", "4342")?;
    Ok(server)
}

/// Open Overlay Router, with the mapping in its configuration, which is written into `folder`.
pub fn oor(network: &TestNetwork, end: End, folder: &Path) -> anyhow::Result<Running> {
    let End {
        place,
        endpoints,
        other_locator,
        other_endpoints,
        ..
    } = end;
    // Nobody answers at the addresses of the mapping system: the mapping is given.
    let text = format!(
        "debug = 0\nmap-request-retries = 2\noperating-mode = xTR\nencapsulation = LISP\n\
         rloc-probing {{\n rloc-probe-interval = 0\n}}\n\
         map-resolver = {{ 10.0.0.250 }}\n\
         map-server {{\n address = 10.0.0.250\n key-type = 1\n key = secret\n proxy-reply = on\n}}\n\
         database-mapping {{\n eid-prefix = {endpoints}\n iid = 0\n ttl = 10\n\
         rloc-iface {{\n interface = wan\n ip_version = 4\n priority = 1\n weight = 100\n }}\n}}\n\
         static-map-cache {{\n eid-prefix = {other_endpoints}\n iid = 0\n\
         rloc-address {{\n address = {other_locator}\n priority = 1\n weight = 100\n }}\n}}\n"
    );
    let file = folder.join(format!("oor-{place}.conf"));
    std::fs::write(&file, text)?;
    let file = file.to_str().context("the folder's name is text")?;
    network.start(place, "oor", &["-f", file])
}

/// Waits until a datagram comes back from the pod through the tunnel.
pub fn await_carried(network: &TestNetwork, running: &mut [Running]) -> anyhow::Result<()> {
    let start = Instant::now();
    while let Err(error) = pingpong::round_trips(network, 1) {
        if running.iter_mut().any(Running::has_ended) {
            bail!("a program of the tunnel has ended by itself");
        }
        if start.elapsed() > PATIENCE {
            return Err(error.context("nothing is carried"));
        }
    }
    Ok(())
}
