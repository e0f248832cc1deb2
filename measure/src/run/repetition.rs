//! One repetition: its folder, its processes, its end, whichever way it comes to it.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use service::{Shutdown, clock};
use testbed::local::lab::Lab;
use testbed::{Event, EventKind, Exit, Placement, Process, Spec, Testbed};
use timeline::UnixMicros;

use super::commands::Programs;
use super::events::Events;
use super::finish;
use super::lab_plan::Ability;
use super::plan::Job;
use super::sampler::{Sampler, Seconds};
use super::show::Show;
use super::{floor, ours, reference};
use crate::scenario::{Disturbed, Scenario};
use result::{Pipeline, ProcessInfo, RepetitionFolder, RunMeta, SCHEMA_VERSION, write_json};

/// How long a process may take to say that it is ready.
pub(super) const READY: Duration = Duration::from_secs(15);

/// How long a process may take to drain after SIGTERM. Its own promise is 3 s.
pub(super) const GRACE: Duration = Duration::from_secs(5);

/// Why a repetition did not come to its end.
#[derive(Debug)]
pub enum Stopped {
    /// Something is wrong with it; others may be well.
    Failed(anyhow::Error),
    /// Nothing can go on: the disk is full, for example.
    Fatal(anyhow::Error),
    /// Somebody asked for it.
    Interrupted,
}

impl From<anyhow::Error> for Stopped {
    fn from(error: anyhow::Error) -> Self {
        // A disk that is full for one repetition is full for the next.
        let full = error.chain().any(|cause| {
            cause.downcast_ref::<std::io::Error>().is_some_and(|io| {
                matches!(
                    io.kind(),
                    std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
                )
            })
        });
        if full {
            Self::Fatal(error)
        } else {
            Self::Failed(error)
        }
    }
}

/// What every repetition of a run shares.
#[derive(Debug)]
pub struct Bench<'a> {
    /// What is started.
    pub programs: &'a Programs,
    /// When a second counts as disturbed.
    pub disturbed: Disturbed,
    /// Fires at Ctrl-C.
    pub shutdown: &'a Shutdown,
    /// Shows how far it is.
    pub show: &'a Show,
    /// What the machine does for labs; none where no scenario needs one.
    pub ability: Option<Ability>,
    /// The file's seed.
    pub seed: u64,
    /// Where packets are captured.
    pub pcap: &'a [String],
}

/// A repetition at work.
pub(super) struct Repetition<'a> {
    pub(super) bench: &'a Bench<'a>,
    pub(super) scenario: &'a Scenario,
    pub(super) folder: RepetitionFolder,
    pub(super) meta: RunMeta,
    pub(super) events: Events,
    sampler: Sampler,
    testbed: Testbed,
}

/// Runs one repetition to its end, and says how many samples it yielded.
pub async fn run(
    bench: &Bench<'_>,
    job: Job<'_>,
    name: &str,
    number: u32,
    floor: Option<String>,
    folder: RepetitionFolder,
) -> Result<u64, Stopped> {
    let scenario = job.settings();
    folder.create()?;
    let events = Events::create(&folder.events_csv())?;
    let sampler = Sampler::start(&folder, bench.disturbed, events.clone())?;
    let pipeline = match job {
        Job::Pipeline(scenario) => scenario.pipeline,
        Job::Floor(_) => Pipeline::Floor,
    };
    let transport = if pipeline == Pipeline::Floor {
        "none".to_owned()
    } else {
        scenario.transport.to_string()
    };
    let meta = RunMeta {
        schema_version: SCHEMA_VERSION,
        scenario: name.to_owned(),
        run: number,
        pipeline,
        width: scenario.size.width,
        height: scenario.size.height,
        fps: f64::from(scenario.fps),
        bitrate_bps: scenario.bitrate.bps(),
        transport,
        server: match job {
            Job::Pipeline(scenario) => scenario.server.as_ref().map(|one| one.command.clone()),
            Job::Floor(_) => None,
        },
        floor,
        started_us: clock::now(),
        ..RunMeta::default()
    };
    let writer = events.clone();
    let testbed = Testbed::new(Placement::Host, clock::now, move |event| {
        write_event(&writer, &event);
    });
    let mut repetition = Repetition {
        bench,
        scenario,
        folder,
        meta,
        events,
        sampler,
        testbed,
    };
    repetition.save()?;
    let result = match pipeline {
        Pipeline::Ours => ours::run(&mut repetition).await,
        Pipeline::Reference | Pipeline::ReferenceTuned => reference::run(&mut repetition).await,
        Pipeline::Floor => floor::run(&mut repetition).await,
    };
    repetition.end(result)
}

fn write_event(events: &Events, event: &Event) {
    let (word, detail) = match &event.kind {
        EventKind::Started { pid } => ("started", format!("pid {pid}")),
        EventKind::Ready => ("ready", String::new()),
        EventKind::Signalled { signal } => ("signalled", (*signal).to_owned()),
        EventKind::Exited(exit) => ("exited", exit.to_string()),
    };
    events.at(event.at, word, &event.role, &detail);
}

impl Repetition<'_> {
    /// What a process is started from; its log is in the folder.
    pub(super) fn spec(&self, role: &str, program: &Path) -> Spec {
        Spec::new(role, program, self.folder.log(role)).env_remove("XR_")
    }

    /// Starts a process, and notes and samples it.
    pub(super) fn start(&mut self, spec: Spec) -> anyhow::Result<Process> {
        self.start_at(spec, Placement::Host)
    }

    /// Starts a process somewhere else, and notes and samples it.
    pub(super) fn start_at(&mut self, spec: Spec, place: Placement) -> anyhow::Result<Process> {
        let process = self.testbed.at(place).start(spec)?;
        self.started(&process)?;
        Ok(process)
    }

    /// Notes and samples a process that has been started.
    pub(super) fn started(&mut self, process: &Process) -> anyhow::Result<()> {
        let spec = process.spec();
        self.sampler
            .watch(&spec.role, process.pid(), spec.group.as_ref());
        self.meta.processes.push(ProcessInfo {
            role: spec.role.clone(),
            command: spec.command_line(),
            started_us: process.started_at(),
            ended: None,
        });
        self.save()
    }

    /// Samples the processes of a lab's fabric.
    pub(super) fn watch_fabric(&self, lab: &Lab) {
        for daemon in lab.daemons() {
            let group = lab
                .daemon(&daemon.role)
                .ok()
                .and_then(|process| process.spec().group.as_ref());
            self.sampler.watch(&daemon.role, daemon.pid, group);
        }
    }

    /// What starts processes.
    pub(super) const fn testbed(&self) -> &Testbed {
        &self.testbed
    }

    /// Notes how a process ended.
    pub(super) fn ended(&mut self, process: &Process, exit: Exit) {
        let role = &process.spec().role;
        self.sampler.ended(role, process.used());
        let started_us = process.started_at();
        let info = self
            .meta
            .processes
            .iter_mut()
            .find(|info| info.role == *role && info.started_us == started_us);
        if let Some(info) = info {
            info.ended = Some(exit.to_string());
        }
    }

    /// Ends a process by SIGTERM, and notes how it went.
    pub(super) async fn terminate(&mut self, process: &Process) -> Exit {
        let exit = process.terminate(GRACE).await;
        self.ended(process, exit);
        exit
    }

    /// Measuring begins now and lasts as long as the scenario says.
    pub(super) fn measure_from(&mut self, from: UnixMicros) -> UnixMicros {
        let length = u64::try_from(self.scenario.duration.0.as_micros()).unwrap_or(u64::MAX);
        let to = UnixMicros(from.0.saturating_add(length));
        self.meta.measured_from_us = Some(from);
        self.meta.measured_to_us = Some(to);
        self.events
            .at(from, "measuring", "xrbench", &format!("until {to}"));
        to
    }

    /// Waits for `time`, unless a process of the repetition ends first or somebody presses Ctrl-C.
    pub(super) async fn pass(&self, time: Duration, processes: &[&Process]) -> Result<(), Stopped> {
        self.until(tokio::time::sleep(time), processes).await
    }

    /// Waits for `what`, under the same conditions.
    pub(super) async fn until<T>(
        &self,
        what: impl Future<Output = T>,
        processes: &[&Process],
    ) -> Result<T, Stopped> {
        let died = async {
            let exits = processes
                .iter()
                .map(|process| Box::pin(async move { (*process, process.exited().await) }));
            first(exits.collect()).await
        };
        let unsound = async {
            let mut checks = tokio::time::interval(Duration::from_millis(500));
            loop {
                checks.tick().await;
                if self.sampler.has_failed() {
                    return "the sampler ended: it could not write resources.csv or host.csv"
                        .to_owned();
                }
                if let Some(failure) = self.events.failure() {
                    return failure;
                }
            }
        };
        tokio::select! {
            biased;
            () = self.bench.shutdown.fired() => Err(Stopped::Interrupted),
            (process, exit) = died => Err(Stopped::Failed(died_early(process, exit))),
            what = what => Ok(what),
            failure = unsound => Err(Stopped::Fatal(anyhow::Error::msg(failure))),
        }
    }

    fn save(&self) -> anyhow::Result<()> {
        write_json(&self.folder.meta_json(), &self.meta)
    }

    /// Whatever happened, what was recorded becomes readable; then it is judged.
    fn end(mut self, result: Result<(), Stopped>) -> Result<u64, Stopped> {
        let sampled = self.sampler.finish();
        let seconds = sampled
            .as_ref()
            .cloned()
            .unwrap_or_else(|_| Seconds::default());
        self.meta.clock_step_us = seconds.clock_step_us;
        // What was cut short was measured for that much less.
        let now = clock::now();
        if self.meta.measured_to_us.is_some_and(|to| to > now) {
            self.meta.measured_to_us = Some(now);
        }
        let yielded = if self.meta.pipeline.is_reference() || !self.folder.frames_csv().exists() {
            Ok(finish::Yield::default())
        } else {
            finish::finish(&self.folder, &self.meta, &seconds)
        };
        let result = result.and_then(|()| {
            sampled?;
            let yielded = yielded?;
            if yielded.samples == 0 && !self.meta.pipeline.is_reference() {
                return Err(Stopped::Failed(anyhow::anyhow!(
                    "no samples: {} frames were recorded, but none with a stamp that was read was generated in the \
                     measured time; the logs are in {}",
                    yielded.rows,
                    self.folder.logs().display()
                )));
            }
            Ok(yielded.samples)
        });
        self.meta.complete = result.is_ok();
        self.meta.error = match &result {
            Ok(_) => None,
            Err(Stopped::Failed(error) | Stopped::Fatal(error)) => Some(format!("{error:#}")),
            Err(Stopped::Interrupted) => Some("interrupted".to_owned()),
        };
        let kept = write_json(&self.folder.meta_json(), &self.meta);
        match result {
            Ok(count) => kept.map(|()| count).map_err(Stopped::from),
            Err(stopped) => Err(stopped),
        }
    }
}

/// The first of some futures to end; never, if there are none.
async fn first<F: Future + Unpin>(mut futures: Vec<F>) -> F::Output {
    std::future::poll_fn(|context| {
        for future in &mut futures {
            if let std::task::Poll::Ready(output) = std::pin::Pin::new(future).poll(context) {
                return std::task::Poll::Ready(output);
            }
        }
        std::task::Poll::Pending
    })
    .await
}

fn died_early(process: &Process, exit: Exit) -> anyhow::Error {
    anyhow::anyhow!(
        "{} ended ({exit}) in the middle of the repetition; the end of its log, {}:\n{}",
        process.spec().role,
        process.spec().log.display(),
        process.log_tail()
    )
}

/// What no first frame means, with what each process said last.
pub(super) fn no_first_frame(waited: Duration, processes: &[&Process]) -> anyhow::Error {
    let mut said = String::new();
    for process in processes {
        let (role, log) = (&process.spec().role, process.spec().log.display());
        said.push_str(&[format!("\n--- {role} ({log})"), process.log_tail()].join("\n"));
    }
    anyhow::anyhow!(
        "no frame was shown within {} s; the ends of the logs:{said}",
        waited.as_secs_f64()
    )
}

/// A ready line without an address that is needed.
pub(super) fn address(ready: &testbed::Ready, key: &str, role: &str) -> anyhow::Result<String> {
    ready
        .text(key)
        .map(ToOwned::to_owned)
        .with_context(|| format!("{role}'s ready line has no {key:?}: is it of this version?"))
}
