//! A program at work on a place: a process, on this host as well as in a lab.

use std::path::Path;
use std::time::Duration;

use testbed::cgroup::Group;
use testbed::resources::Sample;
use testbed::{Exit, NotReady, Process, Ready, StartError};
use timeline::UnixMicros;

/// Time that a program may take to say that it is ready.
pub(in crate::run) const READY: Duration = Duration::from_secs(15);

/// Time that a program may take to drain after SIGTERM. Its own promise is 3 s.
pub(in crate::run) const GRACE: Duration = Duration::from_secs(5);

/// A program that was started on a place.
#[derive(Debug)]
pub(in crate::run) struct Workload(Process);

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
        Self(process)
    }

    /// The word that names the program in events, samples and logs.
    pub(in crate::run) fn role(&self) -> &str {
        &self.0.spec().role
    }

    /// The program and its arguments.
    pub(in crate::run) fn command_line(&self) -> Vec<String> {
        self.0.spec().command_line()
    }

    /// When it was started.
    pub(in crate::run) fn started_at(&self) -> UnixMicros {
        self.0.started_at()
    }

    /// The file of its log.
    pub(in crate::run) fn log(&self) -> &Path {
        &self.0.spec().log
    }

    /// The last lines of its log.
    pub(in crate::run) fn log_tail(&self) -> String {
        self.0.log_tail()
    }

    /// The process to sample.
    pub(in crate::run) fn watched(&self) -> Watched<'_> {
        watched(&self.0)
    }

    /// What the program had used when it ended; absent before.
    pub(in crate::run) fn used(&self) -> Option<Sample> {
        self.0.used()
    }

    /// Waits for the program's ready line.
    pub(in crate::run) async fn ready(&self) -> Result<Ready, NotReady> {
        self.0.ready(READY).await
    }

    /// Waits until the program ends.
    pub(in crate::run) async fn exited(&self) -> Exit {
        self.0.exited().await
    }

    /// Ends the program by SIGTERM, and by SIGKILL when its grace is over.
    pub(in crate::run) async fn terminate(&self) -> Exit {
        self.0.terminate(GRACE).await
    }

    /// Kills the program by SIGKILL.
    pub(in crate::run) async fn kill(&self) -> Exit {
        self.0.kill().await
    }

    /// Starts the program again where it was, on the addresses that it had.
    pub(in crate::run) async fn restart(self) -> Result<Self, StartError> {
        self.0.restart().await.map(Self)
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
