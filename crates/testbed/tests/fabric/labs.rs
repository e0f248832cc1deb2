//! Labs of renderer, streamer and client.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use testbed::Cluster;
use testbed::local::fabric::{
    Backends, BuiltFabric, FabricInputs, Keys, OverlayBackend, Program, StreamerReach, WanBackend,
    WireguardBackend, build,
};
use testbed::local::lab::{Lab, Options};
use testbed::local::plan::{Fabric, LabPlan, PodPlan, Service};
use testbed::netns::Netns;
use testbed::wan::{Direction, Wan};
use testbed::{Placement, Testbed};
use timeline::UnixMicros;

/// The streamer's port for feeds.
pub(crate) const FEED_PORT: u16 = 8080;

/// The streamer's port for RTSP.
pub(crate) const RTSP_PORT: u16 = 8554;
pub(crate) const QUIC_PORT: u16 = 8555;

/// A lab that is up, and how to reach the streamer in it.
pub(crate) struct Stage {
    pub(crate) lab: Lab,
    pub(crate) reach: StreamerReach,
}

impl Stage {
    pub(crate) fn netns(&self, name: &str) -> &Netns {
        self.lab.namespace(name).expect("the lab has it")
    }
}

/// What is asked for: a WAN that does nothing, a ClusterIP, networks of their own.
pub(crate) fn plan(fabric: Fabric) -> LabPlan {
    let far = match fabric {
        Fabric::Single => Cluster::A,
        Fabric::NodePort(_) | Fabric::Liqo(_) | Fabric::Lisp => Cluster::B,
    };
    let pods = [
        ("renderer", Cluster::A),
        ("streamer", far),
        ("client", Cluster::A),
    ];
    LabPlan {
        fabric,
        service: Service::ClusterIp,
        overlapping: false,
        standby: false,
        pods: pods
            .map(|(name, cluster)| PodPlan {
                name: name.to_owned(),
                cluster,
            })
            .to_vec(),
        feed_port: FEED_PORT,
        rtsp_port: RTSP_PORT,
        quic_port: QUIC_PORT,
        wan: Wan::default(),
    }
}

/// A WAN with this delay in each direction.
pub(crate) fn far(delay: Duration) -> Wan {
    let direction = Direction {
        delay,
        ..Direction::default()
    };
    Wan {
        preset: None,
        a_to_b: direction,
        b_to_a: direction,
    }
}

/// Brings a lab up with what runs on every kernel.
pub(crate) async fn up(plan: &LabPlan, logs: &Path) -> Stage {
    let given = FabricInputs {
        backends: Backends {
            wireguard: WireguardBackend::Userspace,
            overlay: OverlayBackend::Vxlan,
            wan: WanBackend::Userspace,
        },
        keys: Keys::generate().expect("random numbers"),
        wan_seed: 1,
        programs: BTreeMap::from([(
            Program::WanLink,
            env!("CARGO_BIN_EXE_testbed-helper").into(),
        )]),
    };
    let BuiltFabric { topology, reach } = build(plan, &given).expect("a fabric");
    let testbed = Testbed::new(Placement::Host, || UnixMicros(0), |_| {});
    let lab = Lab::up(&topology, Options::new(testbed, logs))
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    Stage { lab, reach }
}
