//! Who is measured: how a tunnel between the two routers is made, and how it is known to be up.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use super::ends::{self, A, B, PATIENCE};
use super::network::{Running, TestNetwork};

/// A way from the client to the pod.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, clap::ValueEnum, strum::IntoStaticStr,
)]
#[strum(serialize_all = "kebab-case")]
pub(crate) enum Contender {
    /// Routes, without a tunnel
    Plain,
    /// Our tunnel router, packets one by one
    Single,
    /// Our tunnel router, with every offload that the system has
    Offload,
    /// Open Overlay Router
    Oor,
    /// wireguard-go
    WireguardGo,
}

impl Contender {
    /// Every contender.
    pub(crate) const ALL: [Self; 5] = [
        Self::Plain,
        Self::Single,
        Self::Offload,
        Self::Oor,
        Self::WireguardGo,
    ];

    /// The word for the contender.
    pub(crate) fn name(self) -> &'static str {
        self.into()
    }

    /// Makes the way. It lasts as long as what is returned.
    pub(crate) fn start(
        self,
        network: &TestNetwork,
        folder: &Path,
    ) -> anyhow::Result<Vec<Running>> {
        let mut running = match self {
            Self::Plain => {
                network.configure("a", "route add 10.96.0.0/24 via 10.0.0.2\n")?;
                network.configure("b", "route add 192.168.1.0/24 via 10.0.0.1\n")?;
                Vec::new()
            }
            Self::Single => vec![
                ends::ours(network, A, &["--offloads", "off"])?,
                ends::ours(network, B, &["--offloads", "off"])?,
            ],
            Self::Offload => vec![ends::ours(network, A, &[])?, ends::ours(network, B, &[])?],
            Self::Oor => vec![
                ends::oor(network, A, folder)?,
                ends::oor(network, B, folder)?,
            ],
            Self::WireguardGo => wireguard_go(network, folder)?,
        };
        ends::await_carried(network, &mut running)?;
        Ok(running)
    }
}

fn wireguard_go(network: &TestNetwork, folder: &Path) -> anyhow::Result<Vec<Running>> {
    let ends = [
        ("a", "xrwga", "10.96.0.0/24", "10.0.0.2:51820"),
        ("b", "xrwgb", "192.168.1.0/24", "10.0.0.1:51820"),
    ];
    let mut running = Vec::new();
    let mut keys = Vec::new();
    for (place, ..) in ends {
        let file = folder.join(format!("wireguard-{place}.key"));
        std::fs::write(&file, network.call(place, "wg", &["genkey"])?)?;
        let shell = format!("wg pubkey < {}", file.display());
        keys.push((
            file,
            network
                .call(place, "sh", &["-c", &shell])?
                .trim()
                .to_owned(),
        ));
    }
    for (end, (place, device, others, endpoint)) in ends.into_iter().enumerate() {
        // It would say that the kernel has WireGuard, and end, if it were not told to run in the foreground all the same.
        let mut program = network.start(
            place,
            "env",
            &["WG_PROCESS_FOREGROUND=1", "wireguard-go", "-f", device],
        )?;
        let start = Instant::now();
        while network.call(place, "wg", &["show", device]).is_err() {
            if program.has_ended() || start.elapsed() > PATIENCE {
                bail!("wireguard-go has made no device");
            }
            sleep(Duration::from_millis(20));
        }
        running.push(program);
        let (own, other) = (&keys[end].0, &keys[1 - end].1);
        let own = own.to_str().context("the folder's name is text")?;
        let args = [
            "set",
            device,
            "listen-port",
            "51820",
            "private-key",
            own,
            "peer",
            other,
            "endpoint",
            endpoint,
            "allowed-ips",
            others,
        ];
        network.call(place, "wg", &args)?;
        network.configure(
            place,
            &format!("link set {device} mtu 1420 up\nroute add {others} dev {device}\n"),
        )?;
    }
    Ok(running)
}
