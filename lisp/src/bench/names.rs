//! Debian's name server bind9 on the network, with one name that a [keeper](super::keeper) keeps.

use anyhow::Context as _;

use super::cast::{B, C, SERVICE_NAME};
use super::fleet::Fleet;

/// The zone, and the service's name in it.
const ZONE: &str = "shop.test";
pub(crate) const NAME: &str = "front.shop.test.";

/// Starts the name server and its keeper, where the control plane is. The name is cluster b's address at the beginning.
pub(crate) fn start(fleet: &mut Fleet, ttl_s: u32) -> anyhow::Result<()> {
    let zone = fleet.file("shop.test.zone")?;
    let text = format!(
        "$TTL {ttl_s}\n@ IN SOA ns root ( 1 3600 600 86400 {ttl_s} )\n@ IN NS ns\nns IN A 10.0.0.9\nfront IN A {}\n",
        B.pod_address
    );
    std::fs::write(&zone, text)?;
    let (config, folder) = (fleet.file("named.conf")?, fleet.file(".")?);
    // No file of the system's own name server is touched, and nobody but the keeper is believed.
    let text = format!(
        "options {{\n directory {folder:?};\n pid-file none;\n lock-file none;\n session-keyfile none;\n\
          listen-on {{ 10.0.0.9; }};\n listen-on-v6 {{ none; }};\n recursion no;\n dnssec-validation no;\n notify no;\n}};\n\
         controls {{ }};\n\
         zone {ZONE:?} {{\n type primary;\n file {zone:?};\n allow-update {{ 10.0.0.9; }};\n}};\n"
    );
    std::fs::write(&config, text)?;
    let named = fleet
        .network
        .start("control", "named", &["-f", "-n", "1", "-c", &config])?;
    fleet.keep("named", named);
    fleet
        .network
        .await_listener("control", "-u", "53")
        .context("named, of the package bind9")?;
    let token = fleet.file("token")?;
    let clusters = [B, C].map(|one| format!("{}={}", one.place, one.pod_address));
    let ttl_s = ttl_s.to_string();
    let args = [
        ["bench", "keeper", "--api", "10.0.0.9:4380"].as_slice(),
        &["--token-file", &token, "--service", SERVICE_NAME],
        &["--clusters", &clusters.join(",")],
        &["--server", "10.0.0.9", "--name", NAME, "--ttl-s", &ttl_s],
    ];
    fleet.start_ready("control", "keeper", &args.concat())?;
    Ok(())
}
