//! A lab that is up: a topology made real in the runner's own namespaces.

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use tokio::task::spawn_blocking;

use super::command;
use super::configure;
use super::files::Files;
use super::isolate::MANAGEMENT_BRIDGE;
use super::receive_buffer;
use super::topology::{Daemon, End, MANAGEMENT_INTERFACE, Namespace, Stage, Topology};
use super::watch;
use crate::Cluster;
use crate::cgroup::{Part, Tree};
use crate::netns::Netns;
use crate::{Exit, Placement, Process, Spec, Testbed};

pub use super::lab_error::LabError;

/// What a daemon gets to end by itself. None of ours has anything to save.
const GRACE: Duration = Duration::from_millis(300);

/// Tells the labs of one runner apart in the names of its interfaces.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// Takes a daemon's role and a line that it printed.
pub type DaemonLineFn = Arc<dyn Fn(&str, &str) + Send + Sync>;

/// How a lab is brought up.
#[derive(Clone)]
pub struct Options {
    /// Starts the daemons, in the lab's namespaces: its clock and its events are used, its placement is not.
    pub testbed: Testbed,
    /// The folder of the daemons' logs, `ROLE.log`. It exists.
    pub logs: PathBuf,
    /// How long a daemon may take to make its interfaces, to be ready, or to end where it is to end.
    pub patience: Duration,
    /// Takes each line that a daemon prints on its standard output, with the daemon's role.
    pub on_line: Option<DaemonLineFn>,
    /// Where the daemons' use of the machine is counted; none leaves them with the runner.
    pub groups: Option<Arc<Tree>>,
}

impl Options {
    /// Ten seconds of patience.
    pub fn new(testbed: Testbed, logs: impl Into<PathBuf>) -> Self {
        Self {
            testbed,
            logs: logs.into(),
            patience: Duration::from_secs(10),
            on_line: None,
            groups: None,
        }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("testbed", &self.testbed)
            .field("logs", &self.logs)
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}

/// A daemon of the lab, as it runs now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningDaemon {
    pub role: String,
    /// The cluster to which the daemon's use of the machine is counted; none for the WAN.
    pub cluster: Option<Cluster>,
    /// The process number as the runner sees it; none if the process has ended.
    pub pid: Option<u32>,
}

/// A lab that is up. Dropping it kills its daemons; its namespaces end with the last process in them.
#[derive(Debug)]
pub struct Lab {
    topology: Arc<Topology>,
    options: Options,
    namespaces: BTreeMap<String, Netns>,
    files: Files,
    /// In the order of the topology.
    daemons: Vec<Process>,
    /// The runner's ends of the management links.
    management: Vec<String>,
    /// Of each userspace tunnel.
    receive_buffers: BTreeMap<String, Result<usize, String>>,
    /// How often each pod has moved.
    moves: BTreeMap<String, usize>,
}

impl Lab {
    /// Makes a lab of the topology. The caller is inside: see [`super::isolate::enter`].
    ///
    /// Namespaces are set up in the order of the topology, after all links and all interfaces of daemons exist; then services are
    /// started.
    pub async fn up(topology: &Topology, options: Options) -> Result<Self, LabError> {
        let topology = Arc::new(topology.clone());
        let plan = Arc::clone(&topology);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let (namespaces, management) = spawn_blocking(move || connect(&plan, number)).await??;
        let mut lab = Self {
            topology: Arc::clone(&topology),
            options,
            namespaces,
            files: Files::new(number).map_err(LabError::Files)?,
            daemons: Vec::new(),
            management,
            receive_buffers: BTreeMap::new(),
            moves: BTreeMap::new(),
        };
        let (devices, services): (Vec<_>, Vec<_>) = topology
            .daemons
            .iter()
            .partition(|one| one.stage == Stage::Device);
        for daemon in &devices {
            let process = lab.start(daemon)?;
            lab.daemons.push(process);
        }
        for (daemon, process) in devices.iter().zip(&lab.daemons) {
            lab.made(daemon, process).await?;
        }
        let (namespaces, plan) = (lab.namespaces.clone(), Arc::clone(&topology));
        spawn_blocking(move || {
            plan.namespaces
                .iter()
                .try_for_each(|one| configure::whole(of(&namespaces, one), one))
        })
        .await??;
        for at in 0..lab.daemons.len() {
            lab.widen(at).await?;
        }
        for daemon in services {
            let process = lab.start(daemon)?;
            process.ready(lab.options.patience).await?;
            lab.daemons.push(process);
        }
        for (daemon, process) in topology.daemons.iter().zip(&lab.daemons) {
            if daemon.stage == Stage::Task {
                lab.done(process).await?;
            }
        }
        Ok(lab)
    }

    /// Waits until a process has ended, well.
    async fn done(&self, process: &Process) -> Result<(), LabError> {
        let patience = self.options.patience;
        let how = match tokio::time::timeout(patience, process.exited()).await {
            Ok(exit) if exit.is_success() => return Ok(()),
            Ok(exit) => format!("ended ({exit})"),
            Err(_) => format!("took more than {} s", patience.as_secs_f64()),
        };
        Err(LabError::Task {
            role: process.spec().role.clone(),
            how,
            tail: process.log_tail(),
        })
    }

    /// What it was made from.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    pub fn namespace(&self, name: &str) -> Result<&Netns, LabError> {
        self.namespaces.get(name).ok_or_else(|| LabError::Unknown {
            what: "namespace",
            name: name.to_owned(),
            known: self
                .namespaces
                .keys()
                .cloned()
                .collect::<Vec<_>>()
                .join(", "),
        })
    }

    /// Where to start a process so that it runs in that namespace.
    pub fn pod(&self, name: &str) -> Result<Placement, LabError> {
        self.namespace(name).cloned().map(Placement::Pod)
    }

    /// A namespace's address on the management link; none if it has none.
    pub fn management(&self, name: &str) -> Option<Ipv4Addr> {
        self.topology.namespace(name)?.management
    }

    /// The daemons, in the order of the topology.
    pub fn daemons(&self) -> Vec<RunningDaemon> {
        self.topology
            .daemons
            .iter()
            .zip(&self.daemons)
            .map(|(daemon, process)| RunningDaemon {
                role: daemon.role.clone(),
                cluster: daemon.cluster,
                pid: process.pid(),
            })
            .collect()
    }

    /// The supervised process of a daemon.
    pub fn daemon(&self, role: &str) -> Result<&Process, LabError> {
        Ok(&self.daemons[self.daemon_at(role)?])
    }

    /// Kills a daemon by SIGKILL, and leaves it dead.
    pub async fn daemon_kill(&self, role: &str) -> Result<Exit, LabError> {
        Ok(self.daemon(role)?.kill().await)
    }

    /// Starts a daemon again, killed before if it runs, and sets up again what went with its interfaces.
    pub async fn daemon_restart(&mut self, role: &str) -> Result<(), LabError> {
        let at = self.daemon_at(role)?;
        let topology = Arc::clone(&self.topology);
        let daemon = &topology.daemons[at];
        self.daemons[at].kill().await;
        for end in &daemon.makes {
            // Else whoever waits for the new one would find the old one's.
            let _ = std::fs::remove_file(watch::control_socket(&end.interface));
        }
        self.daemons[at] = self.start(daemon)?;
        if daemon.stage != Stage::Device {
            self.daemons[at].ready(self.options.patience).await?;
            return Ok(());
        }
        self.made(daemon, &self.daemons[at]).await?;
        let namespaces = self.namespaces.clone();
        spawn_blocking(move || {
            let daemon = &topology.daemons[at];
            let touched =
                |one: &&Namespace| daemon.makes.iter().any(|end| end.namespace == one.name);
            topology
                .namespaces
                .iter()
                .filter(touched)
                .try_for_each(|one| configure::again(of(&namespaces, one), one))
        })
        .await??;
        self.widen(at).await
    }

    /// The receive buffer of each userspace tunnel's socket, in bytes, or why it is what the system gives.
    pub fn receive_buffers(&self) -> &BTreeMap<String, Result<usize, String>> {
        &self.receive_buffers
    }

    /// Makes room for datagrams at a daemon that carries a tunnel. Where that cannot be, it carries it all the same.
    async fn widen(&mut self, at: usize) -> Result<(), LabError> {
        let daemon = &self.topology.daemons[at];
        let tunnels = |end: &End| {
            let namespace = self.topology.namespace(&end.namespace);
            namespace
                .is_some_and(|one| one.wireguard.iter().any(|wg| wg.interface == end.interface))
        };
        let (true, Some(pid)) = (daemon.makes.iter().any(tunnels), self.daemons[at].pid()) else {
            return Ok(());
        };
        let patience = self.options.patience;
        let widened = spawn_blocking(move || receive_buffer::widen(pid, patience)).await?;
        let role = daemon.role.clone();
        self.receive_buffers
            .insert(role, widened.map_err(|error| error.to_string()));
        Ok(())
    }

    /// Ends the daemons and removes the links, but not the processes in the pods: their owners do.
    pub async fn down(self) -> Result<(), LabError> {
        // Services before the devices that they use: the kernel keeps a device that goes for as long as a socket's route leads there.
        let (devices, services): (Vec<_>, Vec<_>) = self
            .topology
            .daemons
            .iter()
            .zip(&self.daemons)
            .partition(|(daemon, _)| daemon.stage == Stage::Device);
        for group in [services, devices] {
            let ends = group.iter().map(|(_, process)| process.terminate(GRACE));
            futures::future::join_all(ends).await;
        }
        let lines: String = self
            .management
            .iter()
            .map(|interface| format!("link delete dev {interface}\n"))
            .collect();
        spawn_blocking(move || command::batch("ip", &lines, None, &[]))
            .await?
            .map_err(LabError::Links)
    }

    /// Counts a move of a pod; how often it has moved before.
    pub(super) fn count_move(&mut self, pod: &str) -> usize {
        let moves = self.moves.entry(pod.to_owned()).or_default();
        *moves += 1;
        *moves - 1
    }

    pub(super) fn options(&self) -> &Options {
        &self.options
    }

    fn daemon_at(&self, role: &str) -> Result<usize, LabError> {
        let roles = self.topology.daemons.iter().map(|daemon| &*daemon.role);
        roles
            .clone()
            .position(|one| one == role)
            .ok_or_else(|| LabError::Unknown {
                what: "daemon",
                name: role.to_owned(),
                known: roles.collect::<Vec<_>>().join(", "),
            })
    }

    fn start(&self, daemon: &Daemon) -> Result<Process, LabError> {
        let netns = self.namespace(&daemon.namespace)?;
        let program = if daemon.program.components().count() == 1 {
            command::find(&daemon.program.to_string_lossy()).map_err(|source| {
                LabError::Missing {
                    role: daemon.role.clone(),
                    source,
                }
            })?
        } else {
            daemon.program.clone()
        };
        self.files.write(&daemon.files).map_err(LabError::Files)?;
        let log = self.options.logs.join(format!("{}.log", daemon.role));
        let mut spec = Spec {
            env: daemon.env.clone(),
            env_remove: Some("XR_".to_owned()),
            log_stdout: true,
            ..Spec::new(&daemon.role, program, log)
        };
        for arg in &daemon.args {
            let (arg, named) = self.with_paths(arg)?;
            spec.args.push(arg);
            spec.inherit.extend(named);
        }
        if let Some(take) = &self.options.on_line {
            let (take, role) = (Arc::clone(take), daemon.role.clone());
            spec.on_line = Some(Arc::new(move |line| take(&role, line)));
        }
        let groups = self.options.groups.as_ref();
        spec.group = groups.map(|tree| tree.group(Part::Fabric, &daemon.role));
        let place = Placement::Pod(netns.clone());
        Ok(self.options.testbed.at(place).start(spec)?)
    }

    /// Puts the path of each `{netns:NAME}`, and of `{files}`, in its place.
    fn with_paths(&self, arg: &str) -> Result<(String, Vec<Netns>), LabError> {
        let arg = arg.replace("{files}", &self.files.folder().to_string_lossy());
        let (mut text, mut rest, mut named) = (String::new(), arg.as_str(), Vec::new());
        while let Some((before, (name, after))) = rest
            .split_once("{netns:")
            .and_then(|(before, after)| Some((before, after.split_once('}')?)))
        {
            let netns = self.namespace(name)?;
            text += before;
            text += &netns.inherited_path().to_string_lossy();
            named.push(netns.clone());
            rest = after;
        }
        Ok((text + rest, named))
    }

    /// Waits until a daemon has made what it makes.
    async fn made(&self, daemon: &Daemon, process: &Process) -> Result<(), LabError> {
        for end in &daemon.makes {
            let netns = self.namespace(&end.namespace)?.clone();
            let is_wireguard = self
                .topology
                .namespace(&end.namespace)
                .is_some_and(|one| one.wireguard.iter().any(|wg| wg.interface == end.interface));
            let stop = Arc::new(AtomicBool::new(false));
            let (name, seen) = (end.interface.clone(), Arc::clone(&stop));
            let there = spawn_blocking(move || {
                let there = watch::interface(&netns, &name, &seen)?;
                Ok::<_, io::Error>(there && (!is_wireguard || watch::control(&name, &seen)?))
            });
            let how = tokio::select! {
                there = there => match there? {
                    Ok(_) => continue,
                    Err(source) => return Err(LabError::namespace(&end.namespace, source)),
                },
                exit = process.exited() => format!("ended ({exit})"),
                () = tokio::time::sleep(self.options.patience) => {
                    format!("took more than {} s", self.options.patience.as_secs_f64())
                }
            };
            stop.store(true, Ordering::Relaxed);
            return Err(LabError::NotMade {
                role: daemon.role.clone(),
                how,
                interface: end.interface.clone(),
                namespace: end.namespace.clone(),
                tail: process.log_tail(),
            });
        }
        Ok(())
    }
}

/// The namespace of a part of the topology that was made.
fn of<'a>(namespaces: &'a BTreeMap<String, Netns>, one: &Namespace) -> &'a Netns {
    namespaces
        .get(&one.name)
        .expect("every namespace of the topology was made")
}

type Connected = (BTreeMap<String, Netns>, Vec<String>);

/// Makes the namespaces, the links between them, and the management link of each, in the lab of this number.
fn connect(topology: &Topology, lab: u32) -> Result<Connected, LabError> {
    let mut namespaces = BTreeMap::new();
    for one in &topology.namespaces {
        let netns =
            Netns::new(&one.name).map_err(|source| LabError::namespace(&one.name, source))?;
        namespaces.insert(one.name.clone(), netns);
    }
    let mut lines = String::new();
    for link in &topology.links {
        let [one, other] = [&link.one, &link.other].map(|end| {
            let netns = namespaces
                .get(&end.namespace)
                .ok_or_else(|| LabError::Unknown {
                    what: "namespace",
                    name: end.namespace.clone(),
                    known: namespaces.keys().cloned().collect::<Vec<_>>().join(", "),
                })?;
            let path = netns.inherited_path().display().to_string();
            Ok::<_, LabError>(format!("name {} netns {path}", end.interface))
        });
        lines += &format!("link add {} type veth peer {}\n", one?, other?);
    }
    let mut management = Vec::new();
    for (at, one) in topology.namespaces.iter().enumerate() {
        if one.management.is_none() {
            continue;
        }
        let path = of(&namespaces, one).inherited_path().display().to_string();
        let name = format!("m{lab}-{at}");
        lines += &format!(
            "link add name {name} type veth peer name {MANAGEMENT_INTERFACE} netns {path}\n\
             link set dev {name} master {MANAGEMENT_BRIDGE} up\n"
        );
        management.push(name);
    }
    let inherit: Vec<&Netns> = namespaces.values().collect();
    command::batch("ip", &lines, None, &inherit).map_err(LabError::Links)?;
    for one in &topology.namespaces {
        configure::first(of(&namespaces, one), one)?;
    }
    Ok((namespaces, management))
}
