//! Where a repetition of our pipeline runs: on this host, or in a lab of its own.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use service::clock;
use testbed::cgroup::{self, Group, Limits, Part, Tree};
use testbed::local::capture::Capture;
use testbed::local::isolate::MANAGEMENT_ADDRESS;
use testbed::local::lab::{Lab, Options};
use testbed::{Placement, Ready};

use super::commands::{Binds, Places};
use super::events::Events;
use super::lab_plan::{self, Planned};
use super::record;
use super::repetition::{Repetition, Stopped, address};
use crate::scenario::Transport;

/// The role of the process that carries a userspace WAN.
const WAN: &str = "wan";

/// What a userspace WAN printed last.
type LastLine = Arc<Mutex<Option<String>>>;

/// Where the processes of a repetition run.
#[derive(Debug, Default)]
pub(super) struct Ground {
    lab: Option<InLab>,
}

#[derive(Debug)]
struct InLab {
    lab: Lab,
    planned: Planned,
    captures: Vec<Capture>,
    wan_said: LastLine,
    /// The clusters' control groups.
    tree: Arc<Tree>,
}

impl Ground {
    /// The host, or the lab that the scenario asks for, up.
    pub(super) async fn make(repetition: &mut Repetition<'_>) -> Result<Self, Stopped> {
        let scenario = repetition.scenario;
        if !scenario.fabric.is_lab() {
            return Ok(Self::default());
        }
        let Some(ability) = &repetition.bench.ability else {
            let why = "the runner was not isolated although a scenario needs a lab";
            return Err(Stopped::Fatal(anyhow::anyhow!(why)));
        };
        repetition.bench.show.step("building the lab");
        let seed = u64::from(repetition.meta.run).wrapping_add(repetition.bench.seed);
        let planned = lab_plan::plan(scenario, ability, seed)?;
        repetition.meta.fabric = Some(planned.fabric_meta());
        repetition.meta.wan.clone_from(&planned.wan);
        repetition.meta.transport = planned.transport.to_string();
        repetition
            .meta
            .transport_why
            .clone_from(&planned.transport_why);
        let limits = scenario.limits.then_some(Limits::PAPER);
        let tree = Arc::new(Tree::create(&cgroup::name(ability.guard), limits));
        repetition.meta.resources = Some(record::resources(&tree));
        let wan_said = LastLine::default();
        let heard = Arc::clone(&wan_said);
        let mut options = Options::new(repetition.testbed().clone(), repetition.folder.logs());
        options.on_line = Some(Arc::new(move |role: &str, line: &str| {
            if role == WAN {
                *heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(line.to_owned());
            }
        }));
        options.groups = Some(Arc::clone(&tree));
        let lab = Lab::up(&planned.built.topology, options)
            .await
            .map_err(|error| anyhow::Error::new(error).context("cannot bring the lab up"))?;
        repetition
            .events
            .now("lab up", "xrbench", &planned.built.reach.backend);
        for role in lab.receive_buffers().keys() {
            tell_receive_buffer(&lab, role, &repetition.events);
        }
        repetition.watch_fabric(&lab);
        let mut ground = InLab {
            lab,
            planned,
            captures: Vec::new(),
            wan_said,
            tree,
        };
        ground.capture(repetition).await?;
        Ok(Self { lab: Some(ground) })
    }

    /// Where the collector listens: never on the fabric that is measured.
    pub(super) fn collector(&self) -> SocketAddr {
        let ip = if self.lab.is_some() {
            IpAddr::V4(MANAGEMENT_ADDRESS)
        } else {
            IpAddr::from([127, 0, 0, 1])
        };
        SocketAddr::new(ip, 0)
    }

    /// Where each process listens.
    pub(super) fn binds(&self) -> Binds {
        self.lab
            .as_ref()
            .map_or_else(Binds::default, |lab| lab.planned.binds())
    }

    /// Where another server than ours listens. It does not say which ports it got, so on the host they are drawn for it.
    pub(super) fn binds_of_another(&self) -> anyhow::Result<Binds> {
        if self.lab.is_some() {
            return Ok(self.binds());
        }
        // Both at once, so that they differ; they are free again when this returns.
        let drawn = [free()?, free()?];
        let at = |one: &TcpListener| one.local_addr().map(|address| address.to_string());
        Ok(Binds {
            http: at(&drawn[0])?,
            rtsp: at(&drawn[1])?,
            ..Binds::default()
        })
    }

    /// Where the others find a server that listens at `binds`.
    pub(super) fn places_of_another(&self, binds: &Binds, collector: SocketAddr) -> Places {
        let collector = collector.to_string();
        self.lab.as_ref().map_or_else(
            || Places {
                http: binds.http.clone(),
                rtsp: binds.rtsp.clone(),
                collector: collector.clone(),
            },
            |lab| lab.planned.places(collector.clone()),
        )
    }

    /// Where the runner itself reaches the RTSP of a server that listens at `binds`: not over the fabric.
    pub(super) fn door_of_another(&self, binds: &Binds) -> anyhow::Result<SocketAddr> {
        let listens: SocketAddr = binds.rtsp.parse().context("an address of our own")?;
        let Some(lab) = &self.lab else {
            return Ok(listens);
        };
        let management = lab.planned.management("streamer");
        let ip = management.context("the streamer's pod is on the management link")?;
        Ok(SocketAddr::new(ip.into(), listens.port()))
    }

    /// Where the processes find each other; on the host the streamer says so itself.
    pub(super) fn places(&self, said: &Ready, collector: SocketAddr) -> anyhow::Result<Places> {
        let collector = collector.to_string();
        if let Some(lab) = &self.lab {
            return Ok(lab.planned.places(collector));
        }
        Ok(Places {
            http: address(said, "http", "streamer")?,
            rtsp: address(said, "rtsp", "streamer")?,
            collector,
        })
    }

    /// How RTP travels.
    pub(super) fn transport(&self, asked: Transport) -> Transport {
        self.lab.as_ref().map_or(asked, |lab| lab.planned.transport)
    }

    /// Where the use of the machine by the process of this role is counted; none on the host.
    pub(super) fn group(&self, role: &str) -> Option<Group> {
        let lab = self.lab.as_ref()?;
        let cluster = lab.planned.built.topology.namespace(role)?.cluster;
        Some(lab.tree.group(Part::Cluster(cluster), role))
    }

    /// Where the process of this role runs.
    pub(super) fn placement(&self, role: &str) -> Result<Placement, Stopped> {
        self.lab.as_ref().map_or(Ok(Placement::Host), |lab| {
            lab.lab
                .pod(role)
                .map_err(|error| Stopped::Failed(error.into()))
        })
    }

    /// Lets the WAN carry nothing, or again everything.
    pub(super) async fn outage(&self, begins: bool) -> anyhow::Result<()> {
        let Some(lab) = &self.lab else {
            anyhow::bail!("there is no WAN to cut");
        };
        lab.lab.wan_outage(begins).await?;
        Ok(())
    }

    /// Kills the process of a gateway, and starts it again.
    pub(super) async fn kill_gateway(&mut self, name: &str, events: &Events) -> anyhow::Result<()> {
        let Some(lab) = &mut self.lab else {
            anyhow::bail!("there is no gateway to kill");
        };
        let role = lab.lab.gateway_restart(name).await?;
        tell_receive_buffer(&lab.lab, &role, events);
        Ok(())
    }

    /// Ends it, with what it has recorded.
    pub(super) async fn end(self, repetition: &mut Repetition<'_>) {
        let Some(ground) = self.lab else { return };
        for capture in ground.captures {
            let told = match capture.end().await {
                Ok(captured) => format!("{captured:?}"),
                Err(error) => error.to_string(),
            };
            repetition.events.now("capture ended", "xrbench", &told);
        }
        match ground.lab.too_big().await {
            Ok(found) => {
                if let Some(fabric) = &mut repetition.meta.fabric {
                    let of = found
                        .into_iter()
                        .map(|(name, of)| (name, record::too_big(of)));
                    fabric.too_big = of.collect();
                }
            }
            Err(error) => {
                let why = error.to_string();
                repetition
                    .events
                    .now("not counted", "packets too big", &why);
            }
        }
        for daemon in ground.lab.daemons() {
            if let Ok(process) = ground.lab.daemon(&daemon.role) {
                let exit = process.terminate(super::repetition::GRACE).await;
                repetition.ended(process, exit);
            }
        }
        let said = ground
            .wan_said
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let (Some(wan), Some(said)) = (&mut repetition.meta.wan, said) {
            (wan.late_p50_us, wan.late_p99_us) = lateness(&said);
            repetition.events.at(clock::now(), "wan", WAN, &said);
        }
        if let Err(error) = ground.lab.down().await {
            repetition
                .events
                .now("lab down", "xrbench", &error.to_string());
        }
    }
}

impl InLab {
    async fn capture(&mut self, repetition: &Repetition<'_>) -> Result<(), Stopped> {
        for point in repetition.bench.pcap {
            let ends = &self.planned.built.reach.captures;
            let Some(end) = ends.get(point) else {
                // Another scenario of the file may have it: the command line's check has asked all of them.
                repetition.events.now("no capture", "xrbench", point);
                continue;
            };
            let path = repetition.folder.pcap(point);
            let capture = self
                .lab
                .capture(&end.namespace, &end.interface, &path, "")
                .await
                .map_err(anyhow::Error::from)?;
            self.captures.push(capture);
        }
        Ok(())
    }
}

/// Which receive buffer the socket of a userspace tunnel has.
fn tell_receive_buffer(lab: &Lab, role: &str, events: &Events) {
    let told = match lab.receive_buffers().get(role) {
        Some(Ok(bytes)) => format!("{bytes} bytes"),
        Some(Err(why)) => why.clone(),
        None => return,
    };
    events.now("receive buffer", role, &told);
}

fn free() -> anyhow::Result<TcpListener> {
    TcpListener::bind(("127.0.0.1", 0)).context("no port is free for another server")
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

    #[test]
    fn a_link_tells_how_late_it_was() {
        let line = r#"{"event":"wan-total","a_to_b":{"late_us":{"p50":12,"p99":80,"max":90}},
            "b_to_a":{"late_us":{"p50":10,"p99":95,"max":99}}}"#;
        assert_eq!(lateness(line), (Some(12), Some(95)));
        assert_eq!(lateness("nonsense"), (None, None));
    }
}
