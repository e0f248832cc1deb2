//! A lab as a place: the fabric that the scenario asks for, in network namespaces of this machine.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anyhow::Context as _;
use parking_lot::Mutex;
use serde::Deserialize;
use service::clock;
use settings::{ClusterName, Role};
use testbed::Cluster;
use testbed::cgroup::{self, Limits, Part, Tree};
use testbed::local::capture::Capture;
use testbed::local::isolate::MANAGEMENT_ADDRESS;
use testbed::local::lab::{Lab, Options};
use testbed::{Process, Spec, Testbed};

use super::lab_plan::LabPlan;
use super::ports::ops_port;
use super::terms::{Ended, Fault, Setup};
use super::workload::{GRACE, Watched, Workload, watched};
use crate::lisp_agent::WITHDRAWN;
use crate::run::events::Events;
use result::{ResourcesMeta, TooBig};

/// The role of the process that carries a userspace WAN.
const WAN: &str = "wan";

/// A line of one of the lab's programs that tells of an event.
#[derive(Deserialize)]
struct EventLine {
    event: String,
}

/// Whether a line is that of an agent that has given its service back.
fn tells_withdrawal(line: &str) -> bool {
    serde_json::from_str::<EventLine>(line).is_ok_and(|line| line.event == WITHDRAWN)
}

/// A lab that is up.
#[derive(Debug)]
pub(in crate::run) struct LabPlace {
    lab: Lab,
    plan: LabPlan,
    captures: Vec<Capture>,
    /// The streamer that stands by, once the other one was started.
    standby: Option<Process>,
    /// The last line that a userspace WAN printed.
    wan_line: Arc<Mutex<Option<String>>>,
    /// The clusters' control groups.
    tree: Arc<Tree>,
    testbed: Testbed,
    events: Events,
}

impl LabPlace {
    pub(super) async fn up(plan: LabPlan, setup: &Setup<'_>) -> anyhow::Result<Self> {
        let events = setup.events.clone();
        let limits = setup.limits.then_some(Limits::PAPER);
        let tree = Arc::new(Tree::create(&cgroup::name(plan.guard), limits));
        let wan_line = Arc::<Mutex<Option<String>>>::default();
        let (heard, told) = (Arc::clone(&wan_line), events.clone());
        let mut options = Options::new(setup.testbed.clone(), setup.folder.logs());
        options.on_line = Some(Arc::new(move |role: &str, line: &str| {
            if role == WAN {
                *heard.lock() = Some(line.to_owned());
            } else if tells_withdrawal(line) {
                told.now(WITHDRAWN, role, line);
            }
        }));
        options.groups = Some(Arc::clone(&tree));
        let lab = Lab::up(&plan.built.topology, options)
            .await
            .context("cannot bring the lab up")?;
        events.now("lab up", "xrbench", &plan.built.reach.backend);
        for role in lab.receive_buffers().keys() {
            tell_receive_buffer(&lab, role, &events);
        }
        let mut place = Self {
            lab,
            plan,
            captures: Vec::new(),
            standby: None,
            wan_line,
            tree,
            testbed: setup.testbed.clone(),
            events,
        };
        for point in setup.pcap {
            place.capture(point, &setup.folder.pcap(point)).await?;
        }
        Ok(place)
    }

    pub(super) const fn plan(&self) -> &LabPlan {
        &self.plan
    }

    pub(super) const fn collector() -> SocketAddr {
        SocketAddr::new(IpAddr::V4(MANAGEMENT_ADDRESS), 0)
    }

    /// Starts a program in the pod of its role, in a control group of the pod's cluster.
    ///
    /// With the streamer the one that stands by is started.
    pub(super) fn start(&mut self, role: Role, mut spec: Spec) -> anyhow::Result<Workload> {
        if role == Role::Streamer {
            self.standby = self.start_standby(&spec)?;
        }
        let pod = role.as_str();
        let namespace = self.plan.built.topology.namespace(pod);
        spec.group = namespace.map(|one| self.tree.group(Part::Cluster(one.cluster), pod));
        let process = self.testbed.at(self.lab.pod(pod)?).start(spec)?;
        Ok(Workload::new(process))
    }

    /// Starts the streamer that stands by, if there is one: as the other, but for the address at which it is operated.
    fn start_standby(&self, like: &Spec) -> anyhow::Result<Option<Process>> {
        let Some((pod, management)) = self.plan.standby() else {
            return Ok(None);
        };
        let its = self.plan.listen().ops[&Role::Streamer].clone();
        let own = SocketAddr::new(management.into(), ops_port(Role::Streamer)).to_string();
        let mut spec = Spec {
            role: pod.name.clone(),
            log: like.log.with_file_name(format!("{}.log", pod.name)),
            ..like.clone()
        };
        for arg in spec.args.iter_mut().filter(|arg| **arg == its) {
            arg.clone_from(&own);
        }
        spec.group = Some(self.tree.group(Part::Cluster(pod.cluster), &pod.name));
        let process = self.testbed.at(self.lab.pod(&pod.name)?).start(spec)?;
        Ok(Some(process))
    }

    pub(super) fn address_of(&self, role: Role, listens: SocketAddr) -> anyhow::Result<SocketAddr> {
        let ip = self
            .plan
            .management(role)
            .with_context(|| format!("the pod of {role} is not on the management link"))?;
        Ok(SocketAddr::new(ip.into(), listens.port()))
    }

    pub(super) async fn inject(&mut self, fault: Fault) -> anyhow::Result<()> {
        match fault {
            Fault::OutageBegins(_) => self.lab.wan_outage(true).await?,
            Fault::OutageEnds(_) => self.lab.wan_outage(false).await?,
            Fault::KillGateway(cluster) => {
                let cluster = match cluster {
                    ClusterName::A => Cluster::A,
                    ClusterName::B => Cluster::B,
                };
                let role = self.lab.gateway_restart(cluster).await?;
                tell_receive_buffer(&self.lab, &role, &self.events);
            }
            Fault::Move(role) => {
                let pod = role.as_str();
                let (old, new) = self.lab.pod_move(pod).await?;
                self.events
                    .now("moved", pod, &format!("from {old} to {new}"));
            }
        }
        Ok(())
    }

    /// The processes of the fabric.
    pub(super) fn watched(&self) -> Vec<Watched<'_>> {
        let daemons = self.lab.daemons();
        let processes = daemons
            .iter()
            .filter_map(|daemon| self.lab.daemon(&daemon.role).ok());
        processes.chain(&self.standby).map(watched).collect()
    }

    pub(super) async fn down(self) -> Ended {
        let mut meta = self.plan.meta();
        for capture in self.captures {
            let told = match capture.end().await {
                Ok(captured) => format!("{captured:?}"),
                Err(error) => error.to_string(),
            };
            self.events.now("capture ended", "xrbench", &told);
        }
        match self.lab.too_big().await {
            Ok(found) => {
                if let Some(fabric) = &mut meta.fabric {
                    let of = found.into_iter().map(|(name, of)| (name, too_big(of)));
                    fabric.too_big = of.collect();
                }
            }
            Err(error) => {
                let why = error.to_string();
                self.events.now("not counted", "packets too big", &why);
            }
        }
        let mut used = Vec::new();
        // The last that was started first: a tunnel router takes back what it has registered, over a WAN that is still there.
        for daemon in self.lab.daemons().into_iter().rev() {
            if let Ok(process) = self.lab.daemon(&daemon.role) {
                process.terminate(GRACE).await;
                used.push((daemon.role, process.used()));
            }
        }
        if let Some(standby) = &self.standby {
            standby.terminate(GRACE).await;
            used.push((standby.spec().role.clone(), standby.used()));
        }
        let line = self.wan_line.lock().take();
        if let (Some(wan), Some(line)) = (&mut meta.wan, line) {
            (wan.late_p50_us, wan.late_p99_us) = lateness(&line);
            self.events.at(clock::now(), "wan", WAN, &line);
        }
        meta.resources = Some(resources(&self.tree));
        if let Err(error) = self.lab.down().await {
            self.events.now("lab down", "xrbench", &error.to_string());
        }
        Ended { meta, used }
    }

    async fn capture(&mut self, point: &str, file: &std::path::Path) -> anyhow::Result<()> {
        let Some(end) = self.plan.built.reach.captures.get(point) else {
            // Another scenario of the file may have it: the command line's check has asked all of them.
            self.events.now("no capture", "xrbench", point);
            return Ok(());
        };
        let (namespace, interface) = (&end.namespace, &end.interface);
        let capture = self.lab.capture(namespace, interface, file, None).await?;
        self.captures.push(capture);
        Ok(())
    }
}

/// Writes down the receive buffer that the socket of a userspace tunnel has.
fn tell_receive_buffer(lab: &Lab, role: &str, events: &Events) {
    let told = match lab.receive_buffers().get(role) {
        Some(Ok(bytes)) => format!("{bytes} bytes"),
        Some(Err(why)) => why.clone(),
        None => return,
    };
    events.now("receive buffer", role, &told);
}

/// How the lab's control groups count and limit.
pub(in crate::run) fn resources(tree: &Tree) -> ResourcesMeta {
    ResourcesMeta {
        controllers: tree.controllers(),
        missing: tree.missing().iter().map(ToString::to_string).collect(),
        limited: tree.limited().iter().map(ToString::to_string).collect(),
        ..ResourcesMeta::default()
    }
}

const fn too_big(of: testbed::local::too_big::TooBig) -> TooBig {
    TooBig {
        fragmented: of.fragmented,
        dropped: of.dropped,
    }
}

/// How late the link was at p50 and p99, of both directions the worse, from its last line.
fn lateness(line: &str) -> (Option<u64>, Option<u64>) {
    let said: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
    let worse = |quantile: &str| {
        ["a_to_b", "b_to_a"]
            .iter()
            .filter_map(|direction| said.get(direction)?.get("late_us")?.get(quantile)?.as_u64())
            .max()
    };
    (worse("p50"), worse("p99"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use stats::usage::CLUSTER;

    #[test]
    fn a_lab_is_limited_to_what_percentages_are_of() {
        assert_eq!(Limits::PAPER.cpu_millis, CLUSTER.cpu_millis);
        assert_eq!(Limits::PAPER.memory_bytes, CLUSTER.memory_bytes);
    }

    #[test]
    fn a_withdrawal_is_an_event_and_no_word() {
        let line = r#"{"event":"withdrawn","service":"xr/streamer","cluster":"b"}"#;
        assert!(tells_withdrawal(line));
        for line in [
            r#"{"event":"registered","service":"xr/withdrawn"}"#,
            "withdrawn",
            "",
        ] {
            assert!(!tells_withdrawal(line), "{line}");
        }
    }

    #[test]
    fn a_link_tells_how_late_it_was() {
        let line = r#"{"event":"wan-total","a_to_b":{"late_us":{"p50":12,"p99":80,"max":90}},
            "b_to_a":{"late_us":{"p50":10,"p99":95,"max":99}}}"#;
        assert_eq!(lateness(line), (Some(12), Some(95)));
        assert_eq!(lateness("nonsense"), (None, None));
    }
}
