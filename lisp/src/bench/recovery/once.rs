//! One fault on a network of its own, and what became of the client's requests.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use service::Shutdown;

use crate::bench::cast::{B, C, ControlPlan, SERVICE};
use crate::bench::fleet::{Answer, Fleet};
use crate::bench::names;
use crate::bench::seen::{Known, Seen};
use crate::told::{Told, monotonic_ns};

use super::way::{Fault, Mapping, Way};

/// How long requests are answered before the fault: whatever may be done once a second was done longer ago.
const BEFORE: Duration = Duration::from_millis(1_200);

/// How long after the first answer of the other cluster it is still listened.
const AFTER: Duration = Duration::from_millis(100);

/// How much longer than its detection may take a fault may be away.
const PATIENCE: Duration = Duration::from_secs(15);

/// The settings that are the same in every repetition.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The time to live of the name, in seconds.
    pub ttl_s: u32,
    /// Time between two probes of the agent, in milliseconds.
    pub probe_interval_ms: u16,
    /// Time between two readiness probes of the played kubelet, in seconds.
    pub readiness_period_s: u16,
    /// Readiness probes without an answer after which a pod is not ready.
    pub readiness_failures: u16,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ttl_s: 1,
            probe_interval_ms: 100,
            readiness_period_s: 10,
            readiness_failures: 3,
        }
    }
}

/// Makes a network, has it work, and breaks it. `phase`, from 0 to 1, is how much of the intervals of whoever looks is over at the fault.
pub fn once(
    program: PathBuf,
    folder: &Path,
    (way, fault): (Way, Fault),
    settings: Settings,
    phase: f64,
    shutdown: &Shutdown,
) -> anyhow::Result<Seen> {
    let mut fleet = Fleet::new(program, folder, shutdown.clone())?;
    start(&mut fleet, way, settings, phase)?;
    // A second holds ten probes of the agent, a probe of a locator, a list of containers, and the life of a name.
    fleet.during(BEFORE + Duration::from_secs(1).mul_f64(phase));

    let begun_ns = monotonic_ns();
    make(fault, &mut fleet)?;
    let readiness =
        u64::from(settings.readiness_period_s) * (u64::from(settings.readiness_failures) + 1);
    let patience = PATIENCE
        + Duration::from_secs(if way.plays_kubelet() { readiness } else { 0 })
        + Duration::from_secs(settings.ttl_s.into());
    let is_back = |answer: &Answer| answer.by == C.place;
    fleet.until("an answer of the other cluster", patience, |fleet| {
        fleet.answers.last().is_some_and(is_back)
    })?;
    fleet.during(AFTER);

    let known = known(&fleet, way, fault, begun_ns)?;
    Seen::take(&mut fleet, known, is_back)
}

/// Starts everything, until requests are answered by cluster b and both clusters are known.
fn start(fleet: &mut Fleet, way: Way, settings: Settings, phase: f64) -> anyhow::Result<()> {
    let mapping = way.mapping();
    let has_agents = mapping != Mapping::Probes;
    fleet.start_control(ControlPlan {
        anonymous_client: mapping == Mapping::Solicitation,
        ..ControlPlan::default()
    })?;
    for cluster in [B, C] {
        let pid = fleet.start_service(cluster)?.to_string();
        fleet.start_xtr(cluster, has_agents, false)?;
        let (period, failures, phase, interval) = (
            settings.readiness_period_s.to_string(),
            settings.readiness_failures.to_string(),
            format!("{phase:.3}"),
            settings.probe_interval_ms.to_string(),
        );
        let kubelet = [
            ["--kubelet-of", &pid, "--phase", &phase].as_slice(),
            &["--readiness-period-s", &period],
            &["--readiness-failures", &failures],
            // Names know no priority that is used last: the pod is gone at once.
            &["--drain-ms", "0"],
        ]
        .concat();
        let probes = ["--probe-interval-ms", &interval];
        let more = if way.plays_kubelet() {
            kubelet.as_slice()
        } else {
            &probes
        };
        if has_agents {
            fleet.start_agent(cluster, more)?;
        }
    }
    let mut client = vec!["--locator", "10.0.0.1"];
    let more: &[&str] = match mapping {
        Mapping::Solicitation => &[],
        Mapping::Probes => &["--site", "3", "--probe-s", "1"],
        Mapping::Publication | Mapping::Name => &["--site", "3"],
    };
    client.extend_from_slice(more);
    fleet.start_client_xtr(&client)?;
    if mapping == Mapping::Name {
        names::start(fleet, settings.ttl_s)?;
        return fleet.start_stream(&["--name", names::NAME, "--resolver", "10.0.0.9"]);
    }
    fleet.start_stream(&[])?;
    let (service, both) = (format!("{SERVICE}/32"), [B.locator, C.locator]);
    fleet.until("both clusters are mapped", PATIENCE, |fleet| {
        fleet.is_mapped("xtr-a", &service, &both)
    })
}

/// Makes the fault.
fn make(fault: Fault, fleet: &mut Fleet) -> anyhow::Result<()> {
    match fault {
        Fault::ServiceKilled => fleet.program(B.names.service)?.kill(),
        Fault::PodHung => fleet.program(B.names.service)?.hang(),
        Fault::NodeCut => fleet.network.configure(B.pod, "link set site down\n"),
        Fault::ClusterCut => fleet.network.configure("core", "link set to-b down\n"),
    }
}

/// The times at which the fault was detected, and at which the sender had another path.
fn known(fleet: &Fleet, way: Way, fault: Fault, begun_ns: u64) -> anyhow::Result<Known> {
    let other: IpAddr = C.locator.parse()?;
    let pod: IpAddr = C.pod_address.parse()?;
    let mapped_ns = match way.mapping() {
        Mapping::Name => fleet.first("stream", begun_ns, |told| {
            matches!(told, Told::Resolved { address, .. } if *address == pod)
        }),
        _ => fleet.first("xtr-a", begun_ns, |told| {
            matches!(told, Told::Mapping { locators, .. } if locators.first() == Some(&other))
        }),
    }?;
    let detected_ns = match (way.mapping(), fault) {
        // Whoever notices is whoever sends.
        (Mapping::Probes, _) => Ok(mapped_ns),
        (_, Fault::ClusterCut) => fleet.first(
            "control",
            begun_ns,
            |told| matches!(told, Told::Lost { cluster, .. } if cluster == B.place),
        ),
        _ => fleet.first(B.names.agent, begun_ns, |told| {
            matches!(told, Told::Withdrawn { .. })
        }),
    }?;
    Ok(Known {
        begun_ns,
        detected_ns,
        mapped_ns,
    })
}
