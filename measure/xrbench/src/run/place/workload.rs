//! A program at work on a place: a process, on this host as well as in a lab; or pods.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use testbed::cgroup::Group;
use testbed::resources::Sample;
use testbed::{Exit, Process, Ready};
use timeline::UnixMicros;

use super::kube::Pods;
use super::terms::Node;

/// Time that a program may take to say that it is ready.
pub(in crate::run) const READY: Duration = Duration::from_secs(15);

/// Time that a program may take to drain after SIGTERM. Its own promise is 3 s.
pub(in crate::run) const GRACE: Duration = Duration::from_secs(5);

/// A program that was started on a place.
#[derive(Debug)]
pub(in crate::run) enum Workload {
    Process(Process),
    Pods(Box<Pods>),
}

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::run) enum End {
    Process(Exit),
    /// In the cluster's words.
    Pods(String),
}

impl End {
    /// Ended by itself, and well.
    pub(in crate::run) const fn is_success(&self) -> bool {
        matches!(self, Self::Process(exit) if exit.is_success())
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(exit) => exit.fmt(f),
            Self::Pods(told) => f.write_str(told),
        }
    }
}

/// A process whose use of the machine is sampled.
#[derive(Clone, Copy, Debug)]
pub(in crate::run) struct Watched<'a> {
    pub(in crate::run) role: &'a str,
    /// Absent once the process has ended.
    pub(in crate::run) pid: Option<u32>,
    /// The control group of its cluster; absent on the host.
    pub(in crate::run) group: Option<&'a Group>,
}

impl Workload {
    pub(super) const fn new(process: Process) -> Self {
        Self::Process(process)
    }

    pub(super) fn pods(pods: Pods) -> Self {
        Self::Pods(Box::new(pods))
    }

    /// The word that names the program in events, samples and logs.
    pub(in crate::run) fn role(&self) -> &str {
        match self {
            Self::Process(process) => &process.spec().role,
            Self::Pods(pods) => pods.role(),
        }
    }

    /// The program and its arguments; of pods, the image and the arguments.
    pub(in crate::run) fn command_line(&self) -> Vec<String> {
        match self {
            Self::Process(process) => process.spec().command_line(),
            Self::Pods(pods) => pods.command_line(),
        }
    }

    /// When it was started.
    pub(in crate::run) fn started_at(&self) -> UnixMicros {
        match self {
            Self::Process(process) => process.started_at(),
            Self::Pods(pods) => pods.started_at(),
        }
    }

    /// The file of its log.
    pub(in crate::run) fn log(&self) -> &Path {
        match self {
            Self::Process(process) => &process.spec().log,
            Self::Pods(pods) => pods.log(),
        }
    }

    /// The last lines of its log.
    pub(in crate::run) fn log_tail(&self) -> String {
        match self {
            Self::Process(process) => process.log_tail(),
            Self::Pods(pods) => pods.log_tail(),
        }
    }

    /// Brings here what the program has written to a file by now, where it writes elsewhere.
    pub(in crate::run) async fn bring(&self, file: &Path) -> anyhow::Result<()> {
        match self {
            Self::Process(_) => Ok(()),
            Self::Pods(pods) => pods.bring(file).await,
        }
    }

    /// The process to sample; what pods use is asked of their kubelets.
    pub(in crate::run) fn watched(&self) -> Option<Watched<'_>> {
        match self {
            Self::Process(process) => Some(watched(process)),
            Self::Pods(_) => None,
        }
    }

    /// What the program had used when it ended; absent before, and for pods.
    pub(in crate::run) fn used(&self) -> Option<Sample> {
        match self {
            Self::Process(process) => process.used(),
            Self::Pods(_) => None,
        }
    }

    /// Waits until the program says that it is ready.
    pub(in crate::run) async fn ready(&self) -> anyhow::Result<Ready> {
        match self {
            Self::Process(process) => Ok(process.ready(READY).await?),
            Self::Pods(pods) => pods.ready().await,
        }
    }

    /// Waits until the program ends.
    pub(in crate::run) async fn exited(&self) -> End {
        match self {
            Self::Process(process) => End::Process(process.exited().await),
            Self::Pods(pods) => End::Pods(pods.exited().await),
        }
    }

    /// Ends the program by SIGTERM, and by SIGKILL when its grace is over.
    pub(in crate::run) async fn terminate(&mut self) -> End {
        match self {
            Self::Process(process) => End::Process(process.terminate(GRACE).await),
            Self::Pods(pods) => End::Pods(pods.terminate().await),
        }
    }

    /// Kills the program by SIGKILL; of pods, the first.
    pub(in crate::run) async fn kill(&mut self) -> anyhow::Result<End> {
        Ok(match self {
            Self::Process(process) => End::Process(process.kill().await),
            Self::Pods(pods) => End::Pods(pods.kill().await?),
        })
    }

    /// The node that it runs on; of pods, the first one's. None where there are no nodes, and before it is ready.
    pub(in crate::run) fn node(&self) -> Option<Node> {
        match self {
            Self::Process(_) => None,
            Self::Pods(pods) => pods.nodes().into_iter().next(),
        }
    }

    /// Whether a part of it runs on a node.
    pub(in crate::run) fn is_on(&self, node: &Node) -> bool {
        match self {
            Self::Process(_) => false,
            Self::Pods(pods) => pods.nodes().contains(node),
        }
    }

    /// Knows that it will be gone for a while, so that its end is no failure.
    pub(in crate::run) async fn leave(&mut self) -> Option<End> {
        match self {
            Self::Process(_) => None,
            Self::Pods(pods) => Some(End::Pods(pods.leave().await)),
        }
    }

    /// Waits until it is there again, wherever its place has started it.
    pub(in crate::run) async fn back(self) -> anyhow::Result<Self> {
        Ok(match self {
            Self::Process(_) => self,
            Self::Pods(pods) => Self::Pods(Box::new(pods.back().await?)),
        })
    }

    /// Starts the program again where it was, on the addresses that it had; a cluster does so by itself.
    pub(in crate::run) async fn restart(self) -> anyhow::Result<Self> {
        Ok(match self {
            Self::Process(process) => Self::Process(process.restart().await?),
            Self::Pods(pods) => Self::Pods(Box::new(pods.restart().await?)),
        })
    }
}

/// The process as the sampler wants it.
pub(super) fn watched(process: &Process) -> Watched<'_> {
    let spec = process.spec();
    Watched {
        role: &spec.role,
        pid: process.pid(),
        group: spec.group.as_ref(),
    }
}
