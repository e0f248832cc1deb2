//! The handles: a testbed, and each process in it.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use parking_lot::Mutex;
use thiserror::Error;
use timeline::UnixMicros;
use tokio::sync::watch;
use tokio::time;

use crate::Ready;
use crate::event::{Event, EventKind, Exit};
use crate::log::Log;
use crate::resources::Sample;
use crate::spec::{Placement, Spec};
use crate::supervise::{self, Shared};

/// How many lines of a log an error shows.
const SHOWN_LINES: usize = 12;

/// A process could not be started.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The log cannot be written.
    #[error("cannot write the log {path}: {source}; free the disk or choose another folder")]
    Log { path: PathBuf, source: io::Error },
    /// The program cannot be run.
    #[error("cannot start {role}: {program}: {source}")]
    Spawn {
        /// What it is in the scenario.
        role: String,
        program: PathBuf,
        source: io::Error,
    },
}

/// A process was not ready in time.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NotReady {
    /// The process ended before it was ready.
    #[error("{role} ended ({exit}) before it was ready; the end of its log:\n{tail}")]
    Ended {
        /// What it is in the scenario.
        role: String,
        exit: Exit,
        /// The end of its log.
        tail: String,
    },
    /// The process runs, and has not said that it is ready.
    #[error("{role} was not ready after {} s; the end of its log:\n{tail}", waited.as_secs_f64())]
    Late {
        /// What it is in the scenario.
        role: String,
        /// How long was waited.
        waited: Duration,
        /// The end of its log.
        tail: String,
    },
}

type EventFn = Arc<dyn Fn(Event) + Send + Sync>;

/// Starts processes in one place.
#[derive(Clone)]
pub struct Testbed {
    placement: Placement,
    clock: fn() -> UnixMicros,
    on_event: EventFn,
}

impl Testbed {
    /// A testbed whose events are timed by `clock` and handed to `on_event`, on whichever thread sees them.
    pub fn new(
        placement: Placement,
        clock: fn() -> UnixMicros,
        on_event: impl Fn(Event) + Send + Sync + 'static,
    ) -> Self {
        Self {
            placement,
            clock,
            on_event: Arc::new(on_event),
        }
    }

    /// A testbed in another place, with the same clock and the same receiver of events.
    #[must_use]
    pub fn at(&self, placement: Placement) -> Self {
        Self {
            placement,
            clock: self.clock,
            on_event: Arc::clone(&self.on_event),
        }
    }

    pub fn start(&self, spec: Spec) -> Result<Process, StartError> {
        let log = Log::open(&spec.log, spec.log_limit_bytes).map_err(|source| StartError::Log {
            path: spec.log.clone(),
            source,
        })?;
        let (role, program) = (spec.role.clone(), spec.program.clone());
        let (clock, on_event, emit_role) = (self.clock, Arc::clone(&self.on_event), role.clone());
        let emit = move |kind| {
            on_event(Event {
                at: clock(),
                role: emit_role.clone(),
                kind,
            });
        };
        let shared = Arc::new(Shared {
            spec,
            pid: Mutex::new(None),
            exit: watch::Sender::new(None),
            ready: watch::Sender::new(None),
            log: Mutex::new(log),
            used: Mutex::new(None),
            emit: Box::new(emit),
        });
        let started_at = (self.clock)();
        supervise::start(&shared, &self.placement).map_err(|source| StartError::Spawn {
            role,
            program,
            source,
        })?;
        Ok(Process {
            testbed: self.clone(),
            shared,
            started_at,
        })
    }
}

impl fmt::Debug for Testbed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Testbed")
            .field("placement", &self.placement)
            .finish_non_exhaustive()
    }
}

/// A supervised process. Dropping it kills it.
pub struct Process {
    testbed: Testbed,
    shared: Arc<Shared>,
    started_at: UnixMicros,
}

impl Process {
    /// What it was started from.
    pub fn spec(&self) -> &Spec {
        &self.shared.spec
    }

    /// When it was started.
    pub fn started_at(&self) -> UnixMicros {
        self.started_at
    }

    /// The process number, until the process ends.
    pub fn pid(&self) -> Option<u32> {
        self.shared
            .pid
            .lock()
            .map(|pid| pid.as_raw().cast_unsigned())
    }

    /// How it ended, if it has.
    pub fn exit(&self) -> Option<Exit> {
        *self.shared.exit.borrow()
    }

    /// What it had used when it ended; nothing before.
    pub fn used(&self) -> Option<Sample> {
        *self.shared.used.lock()
    }

    /// Waits until it ends, with everything that it wrote taken.
    pub async fn exited(&self) -> Exit {
        let mut exit = self.shared.exit.subscribe();
        // The sender is in `shared`, which `self` holds.
        exit.wait_for(Option::is_some)
            .await
            .map_or(Exit::Unknown, |exit| exit.unwrap_or(Exit::Unknown))
    }

    /// Waits for its ready line.
    pub async fn ready(&self, patience: Duration) -> Result<Ready, NotReady> {
        let mut ready = self.shared.ready.subscribe();
        let said = async {
            ready
                .wait_for(Option::is_some)
                .await
                .ok()
                .and_then(|ready| ready.clone())
        };
        tokio::select! {
            biased;
            Some(ready) = said => Ok(ready),
            exit = self.exited() => {
                let role = self.shared.spec.role.clone();
                Err(NotReady::Ended { role, exit, tail: self.log_tail() })
            }
            () = time::sleep(patience) => {
                let role = self.shared.spec.role.clone();
                Err(NotReady::Late { role, waited: patience, tail: self.log_tail() })
            }
        }
    }

    /// The last lines of its standard error.
    pub fn log_tail(&self) -> String {
        self.shared.log.lock().last_lines(SHOWN_LINES)
    }

    /// Sends it a signal that is not meant to end it; one that has ended gets none.
    pub fn signal(&self, signal: Signal) {
        if self.exit().is_none() {
            (self.shared.emit)(EventKind::Signalled {
                signal: signal.as_str(),
            });
            self.shared.signal(signal);
        }
    }

    /// Asks it to end by SIGTERM, and kills it when the grace is over.
    pub async fn terminate(&self, grace: Duration) -> Exit {
        self.end_by(Signal::SIGTERM, "SIGTERM", grace).await
    }

    /// Ends the process by SIGINT, which some programs take for "finish your file", and by SIGKILL when its grace is over.
    pub async fn interrupt(&self, grace: Duration) -> Exit {
        self.end_by(Signal::SIGINT, "SIGINT", grace).await
    }

    async fn end_by(&self, signal: Signal, name: &'static str, grace: Duration) -> Exit {
        if self.exit().is_none() {
            (self.shared.emit)(EventKind::Signalled { signal: name });
            self.shared.signal(signal);
        }
        match time::timeout(grace, self.exited()).await {
            Ok(exit) => exit,
            Err(_) => self.kill().await,
        }
    }

    /// Kills it by SIGKILL.
    pub async fn kill(&self) -> Exit {
        if self.exit().is_none() {
            (self.shared.emit)(EventKind::Signalled { signal: "SIGKILL" });
            self.shared.signal(Signal::SIGKILL);
        }
        self.exited().await
    }

    /// Starts it again on the addresses that it had, once it has ended; kills it first if it has not.
    pub async fn restart(self) -> Result<Self, StartError> {
        self.kill().await;
        let ready = self.shared.ready.borrow().clone();
        let spec = ready.map_or_else(
            || self.shared.spec.clone(),
            |ready| self.shared.spec.rebound(&ready),
        );
        self.testbed.start(spec)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.shared.signal(Signal::SIGKILL);
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process")
            .field("spec", self.spec())
            .field("pid", &self.pid())
            .finish_non_exhaustive()
    }
}
