//! From a scenario to the lab that it runs in: pure, but for the machine's capabilities, which are asked once a run.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use service::ConfigError;
use settings::{ClusterName, Role, Transport};
use testbed::Cluster;
use testbed::local::capabilities::{Capabilities, Capability, program};
use testbed::local::fabric::{
    self, Backends, BuiltFabric, FabricInputs, Keys, OverlayBackend, OverlayCarrier, Program,
    RtpOverUdp, TunnelCarrier, WanBackend, WanCarrier, WireguardBackend,
};
use testbed::local::plan::{self, PodPlan};
use testbed::local::topology::Namespace;
use testbed::wan::Wan;

use super::ports::{FEED_PORT, QUIC_PORT, RTSP_PORT, ops_port};
use super::terms::PlaceMeta;
use crate::run::addresses::{Addresses, ListenAddresses};
use crate::scenario::{Fabric, Scenario};
use result::{FabricMeta, TunnelBackend, WanMeta};

/// The pod of the streamer that stands by.
const STANDBY: &str = "standby";

/// The parts of a lab that this machine has, and the programs that stand for those that it lacks.
#[derive(Clone, Debug)]
pub struct LabCapabilities {
    /// Kernel or userspace, for each part.
    pub backends: Backends,
    /// The file of `wireguard-go`, where it is needed.
    pub wireguard_go: PathBuf,
    /// The file of `xr-lisp`, which may not be there.
    pub lisp: PathBuf,
    /// The guard's process number, after which control groups are named; 0 where nothing is run.
    pub guard: u32,
    /// The capabilities of this machine.
    pub found: Capabilities,
    /// The file of this program, which is the agent of LISP, and carries the WAN where the kernel has no netem.
    pub own: PathBuf,
}

/// A lab before it is brought up.
#[derive(Clone, Debug)]
pub struct LabPlan {
    /// The topology, and how its pods reach the streamer.
    pub built: BuiltFabric,
    /// The guard's process number, after which control groups are named; 0 where nothing is run.
    pub guard: u32,
    pub wan: Option<WanMeta>,
    /// The transport of RTP: the scenario's transport, unless that cannot work here.
    pub transport: Transport,
    /// The reason for another transport than the scenario's.
    pub transport_why: Option<String>,
}

/// Plans the lab of a scenario; `seed` is the WAN's.
pub fn plan(
    scenario: &Scenario,
    capabilities: &LabCapabilities,
    seed: u64,
) -> anyhow::Result<LabPlan> {
    let fabric = scenario
        .fabric
        .plan()
        .with_context(|| format!("scenario {} runs on the host: it has no lab", scenario.name))?;
    let keys = scenario.wan.clone().unwrap_or_default();
    let wan = keys
        .wan()
        .with_context(|| format!("scenario {}", scenario.name))?;
    let streamer = if scenario.fabric.has_wan() {
        Cluster::B
    } else {
        Cluster::A
    };
    let plan = plan::LabPlan {
        fabric,
        service: scenario.service.plan(),
        overlapping: scenario.overlapping,
        standby: scenario.standby,
        pods: Role::ALL
            .map(|role| PodPlan {
                name: role.to_string(),
                cluster: match role {
                    Role::Streamer => streamer,
                    Role::Renderer if scenario.renderer.cluster == ClusterName::B => Cluster::B,
                    Role::Renderer | Role::Client => Cluster::A,
                },
            })
            .to_vec(),
        feed_port: FEED_PORT,
        rtsp_port: RTSP_PORT,
        quic_port: QUIC_PORT,
        wan: wan.clone(),
    };
    let given = FabricInputs {
        backends: capabilities.backends,
        keys: Keys::generate().context("the kernel gives no random numbers for keys")?,
        wan_seed: seed,
        programs: BTreeMap::from([
            (Program::WanLink, capabilities.own.clone()),
            (Program::LispAgent, capabilities.own.clone()),
            (Program::Lisp, capabilities.lisp.clone()),
            (Program::WireguardGo, capabilities.wireguard_go.clone()),
        ]),
    };
    let built = fabric::build(&plan, &given)
        .with_context(|| format!("scenario {}: this lab cannot be built", scenario.name))?;
    let (transport, transport_why) = match (scenario.transport, &built.reach.rtp_over_udp) {
        (Transport::Udp, RtpOverUdp::CannotReturn { reason }) => {
            let why = format!("RTP on UDP cannot work here, so TCP was taken: {reason}");
            (Transport::Tcp, Some(why))
        }
        (Transport::Udp, RtpOverUdp::WorksFromPorts(ports)) if scenario.server.is_some() => {
            let why = format!(
                "RTP on UDP works here from the ports {} to {} only, which another server is not told, so TCP was taken",
                ports.start(),
                ports.end()
            );
            (Transport::Tcp, Some(why))
        }
        (transport, _) => (transport, None),
    };
    if transport == Transport::Udp {
        // Larger packets would be cut up or lost on the way, and nobody downstream can make them smaller.
        let bytes = u16::try_from(scenario.renderer.rtp_mtu).unwrap_or(u16::MAX);
        fabric::fits(bytes, &built.reach).map_err(|why| {
            let remedy = format!(
                "Write at most {}, or transport = \"tcp\".",
                built.reach.max_udp_payload_bytes()
            );
            let origin = format!("scenario {}.renderer.rtp_mtu", scenario.name);
            ConfigError::new(origin, bytes.to_string(), why.to_string(), remedy)
        })?;
    }
    Ok(LabPlan {
        guard: capabilities.guard,
        wan: built
            .reach
            .carriers
            .wan
            .map(|carrier| wan_meta(&wan, carrier)),
        built,
        transport,
        transport_why,
    })
}

fn wan_meta(wan: &Wan, carrier: WanCarrier) -> WanMeta {
    WanMeta {
        preset: wan.preset.clone().unwrap_or_else(|| "custom".to_owned()),
        backend: match carrier {
            WanCarrier::Veth => result::WanBackend::Veth,
            WanCarrier::Netem => result::WanBackend::Netem,
            WanCarrier::Userspace => result::WanBackend::Userspace,
        },
        description: wan.describe(),
        late_p50_us: None,
        late_p99_us: None,
    }
}

impl LabPlan {
    /// Capability is known before anything has run.
    pub(super) fn meta(&self) -> PlaceMeta {
        let reach = &self.built.reach;
        let fabric = FabricMeta {
            name: reach.name.to_owned(),
            backend: reach.backend.clone(),
            tunnel: reach.carriers.tunnel.map(|tunnel| match tunnel {
                TunnelCarrier::Wireguard(WireguardBackend::Kernel) => {
                    TunnelBackend::KernelWireguard
                }
                TunnelCarrier::Wireguard(WireguardBackend::Userspace) => TunnelBackend::WireguardGo,
                TunnelCarrier::Lisp => TunnelBackend::XrLisp,
            }),
            overlay: reach.carriers.overlay.map(|overlay| match overlay {
                OverlayCarrier::Geneve => result::OverlayBackend::Geneve,
                OverlayCarrier::Vxlan => result::OverlayBackend::Vxlan,
                OverlayCarrier::VxlanForGeneve => result::OverlayBackend::VxlanForGeneve,
            }),
            service: reach.service.clone(),
            mtu: Some(u32::from(reach.mtu_bytes)),
            wan_crossings: u32::from(reach.wan_crossings),
            too_big: BTreeMap::new(),
        };
        PlaceMeta {
            fabric: Some(fabric),
            wan: self.wan.clone(),
            resources: None,
            transport: Some((self.transport, self.transport_why.clone())),
        }
    }

    /// A pod's address on the management link.
    pub(super) fn management(&self, role: Role) -> Option<Ipv4Addr> {
        self.built.topology.namespace(role.as_str())?.management
    }

    /// The pod of the streamer that stands by, with its address on the management link; none where nobody does.
    pub(super) fn standby(&self) -> Option<(&Namespace, Ipv4Addr)> {
        let pod = self.built.topology.namespace(STANDBY)?;
        Some((pod, pod.management?))
    }

    /// Where each program listens: its service to the fabric, its ops port to the management link.
    pub(super) fn listen(&self) -> ListenAddresses {
        let ops = |role| {
            let address = self.management(role).unwrap_or(Ipv4Addr::UNSPECIFIED);
            (role, SocketAddrV4::new(address, ops_port(role)).to_string())
        };
        ListenAddresses {
            http: format!("0.0.0.0:{FEED_PORT}"),
            rtsp: format!("0.0.0.0:{RTSP_PORT}"),
            quic: format!("0.0.0.0:{QUIC_PORT}"),
            identity: None,
            ops: Role::ALL.map(ops).into(),
            udp_ports: match &self.built.reach.rtp_over_udp {
                RtpOverUdp::WorksFromPorts(ports) => {
                    Some(format!("{}-{}", ports.start(), ports.end()))
                }
                RtpOverUdp::Works | RtpOverUdp::CannotReturn { .. } => None,
            },
        }
    }

    /// Where the programs find one another.
    pub(super) fn addresses(&self, collector: &str) -> Addresses {
        Addresses {
            http: self.built.reach.feed.to_string(),
            rtsp: self.built.reach.rtsp.to_string(),
            quic: self.built.reach.quic.to_string(),
            collector: collector.to_owned(),
        }
    }
}

impl LabCapabilities {
    /// Checks that this machine can be the lab of a scenario; the error names what is missing, and the remedy.
    pub fn check(&self, scenario: &Scenario) -> anyhow::Result<()> {
        let mut needed = vec![Capability::Ip, Capability::Nftables];
        let liqo = matches!(scenario.fabric, Fabric::Liqo | Fabric::LiqoV0_10);
        if liqo {
            needed.push(Capability::WireguardTools);
            if self.backends.wireguard == WireguardBackend::Userspace {
                needed.extend([Capability::WireguardGo, Capability::Tun]);
            }
        }
        if liqo && self.backends.overlay == OverlayBackend::Vxlan
            || scenario.fabric == Fabric::LiqoV0_10
        {
            needed.push(Capability::Vxlan);
        }
        if scenario.fabric == Fabric::Lisp {
            needed.push(Capability::Tun);
            anyhow::ensure!(
                self.lisp.is_file(),
                "scenario {} (fabric {}) cannot run: there is no {}; build all programs (`make build`, or cargo build \
                 --workspace --bins), or name their folder with --bin-dir",
                scenario.name,
                scenario.fabric,
                self.lisp.display()
            );
        }
        let wan = scenario.wan.as_ref().and_then(|keys| keys.wan().ok());
        let moves = wan.is_some_and(|wan| !wan.does_nothing());
        if moves && self.backends.wan == WanBackend::Userspace {
            needed.push(Capability::Tun);
        }
        for what in needed {
            if let Some(lack) = self.found.lack(what) {
                anyhow::bail!(
                    "scenario {} (fabric {}) cannot run on this machine: {lack}; `xrbench doctor` says more",
                    scenario.name,
                    scenario.fabric
                );
            }
        }
        Ok(())
    }

    /// The choice for each part by the machine's capabilities; `own` is this program's file, `lisp` that of `xr-lisp`.
    pub fn of(capabilities: &Capabilities, own: &Path, lisp: &Path, guard: u32) -> Self {
        Self {
            backends: Backends {
                wireguard: if capabilities.has(Capability::Wireguard) {
                    WireguardBackend::Kernel
                } else {
                    WireguardBackend::Userspace
                },
                overlay: if capabilities.has(Capability::Geneve) {
                    OverlayBackend::Geneve
                } else {
                    OverlayBackend::Vxlan
                },
                wan: if capabilities.has(Capability::Netem) {
                    WanBackend::Netem
                } else {
                    WanBackend::Userspace
                },
            },
            wireguard_go: program("wireguard-go").unwrap_or_else(|| "wireguard-go".into()),
            guard,
            found: capabilities.clone(),
            lisp: lisp.to_owned(),
            own: own.to_owned(),
        }
    }
}
