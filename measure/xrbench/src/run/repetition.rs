//! What a repetition has at hand while it runs: its folder, its meta, its events, its sampler; and its end, whichever way
//! it comes to it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use collect::Live;
use futures::future::select_all;
use service::{Secret, Shutdown, clock};
use testbed::resources::Sample;
use testbed::{Event, EventKind, Placement, Spec, Testbed};
use timeline::UnixMicros;
use tokio::sync::watch;

use super::commands::Programs;
use super::cuts::{self, Cut};
use super::events::Events;
use super::finish;
use super::place::{End, Means, Watched, Workload};
use super::plan::Subject;
use super::progress::Progress;
use super::prometheus::Scraping;
use super::sampler::{Rows, Sampler, Seconds};
use crate::scenario::{Disturbed, Scenario};
use result::{Pipeline, ProcessInfo, RUN_VERSION, RepetitionFolder, RepetitionMeta, write_json};

/// The reason why a repetition did not come to its end.
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
pub struct RunContext<'a> {
    /// The files of the programs.
    pub programs: &'a Programs,
    /// The rule by which a second counts as disturbed.
    pub disturbed: Disturbed,
    pub shutdown: &'a Shutdown,
    /// Shows how far the run is.
    pub progress: &'a Progress,
    /// What places are planned with.
    pub(super) means: Means,
    pub seed: u64,
    /// The points at which packets are captured.
    pub pcap: &'a [String],
    /// The page that shows the run as it goes.
    pub live: Arc<Live>,
    /// The Prometheus that scrapes what is started, if there is one.
    pub(super) scraping: Option<Arc<Scraping>>,
}

/// A repetition at work.
pub(super) struct Repetition<'a> {
    pub(super) context: &'a RunContext<'a>,
    pub(super) scenario: &'a Scenario,
    pub(super) folder: RepetitionFolder,
    pub(super) meta: RepetitionMeta,
    pub(super) events: Events,
    sampler: Sampler,
    testbed: Testbed,
    /// What its client shows to its collector.
    pub(super) token: Secret,
    /// The reason why the collector cannot write any more, if it cannot.
    collector_failure: Option<watch::Receiver<Option<String>>>,
    /// The clock in which frames are told, minus this machine's, in microseconds.
    offset_us: i64,
    /// Times in which nothing was to cross between the clusters.
    cuts: Vec<Cut>,
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

impl<'a> Repetition<'a> {
    /// Begins a repetition: its folder, its events, its sampler.
    pub(super) fn begin(
        context: &'a RunContext<'a>,
        subject: Subject<'a>,
        name: &str,
        number: u32,
        floor: Option<String>,
        folder: RepetitionFolder,
    ) -> anyhow::Result<Self> {
        let scenario = subject.settings();
        let (pipeline, transport, server) = match subject {
            Subject::Pipeline(scenario) => (
                scenario.pipeline,
                scenario.transport.to_string(),
                scenario.server.as_ref().map(|one| one.command.clone()),
            ),
            Subject::Floor(_) => (Pipeline::Floor, "none".to_owned(), None),
        };
        let meta = RepetitionMeta {
            schema_version: RUN_VERSION,
            scenario: name.to_owned(),
            run: number,
            pipeline,
            width: scenario.size.width(),
            height: scenario.size.height(),
            fps: scenario.fps.as_f64(),
            bitrate_bps: scenario.bitrate.bits_per_second().into(),
            transport,
            server,
            floor,
            content: scenario.content,
            started_us: clock::now(),
            ..RepetitionMeta::default()
        };
        // The folder begins with what says whose it is: one without it has lost it.
        folder.create()?;
        write_json(&folder.meta_json(), &meta)?;
        let events = Events::create(&folder.events_csv())?;
        let rule = context.means.disturbed(context.disturbed);
        let sampler = Sampler::start(&folder, rule, events.clone(), Arc::clone(&context.live))?;
        let writer = events.clone();
        let testbed = Testbed::new(Placement::Host, clock::now, move |event| {
            write_event(&writer, &event);
        });
        Ok(Self {
            context,
            scenario,
            folder,
            meta,
            events,
            sampler,
            testbed,
            token: Secret::random()?,
            collector_failure: None,
            offset_us: 0,
            cuts: Vec::new(),
        })
    }

    /// A program to start, which logs into the folder.
    pub(super) fn spec(&self, role: &str, program: &Path, args: Vec<String>) -> Spec {
        Spec {
            args,
            env_remove: Some("XR_".to_owned()),
            ..Spec::new(role, program, self.folder.log(role))
        }
    }

    /// Starts programs on this host, and hears what becomes of them anywhere.
    pub(super) const fn testbed(&self) -> &Testbed {
        &self.testbed
    }

    /// Fails too, from now on, when the collector cannot write.
    pub(super) fn fails_with(&mut self, collector: watch::Receiver<Option<String>>) {
        self.collector_failure = Some(collector);
    }

    /// Has a program's ops port scraped, if anything is.
    pub(super) fn scraped(&self, role: &str, ops: SocketAddr) {
        if let Some(scraping) = &self.context.scraping {
            scraping.watch(role, ops, &self.meta.scenario, self.meta.run);
        }
    }

    /// Takes rows of `resources.csv` from others.
    pub(super) fn rows(&self) -> Rows {
        self.sampler.rows()
    }

    /// Frames are told in a clock that is so many microseconds before this machine's.
    pub(super) const fn told_in_clock(&mut self, offset_us: i64) {
        self.offset_us = offset_us;
    }

    /// The time now, by the clock in which frames are told.
    pub(super) fn now(&self) -> UnixMicros {
        UnixMicros(clock::now().0.saturating_add_signed(self.offset_us))
    }

    /// Nothing crosses between the clusters from now on.
    pub(super) fn cut_begins(&mut self) {
        let from = self.now();
        self.cuts.push(Cut { from, to: None });
    }

    /// In a moment everything crosses again.
    pub(super) fn cut_ends(&mut self) {
        let to = self.now();
        if let Some(cut) = self.cuts.iter_mut().rev().find(|cut| cut.to.is_none()) {
            cut.to = Some(to);
        }
    }

    /// Notes and samples a program that has been started.
    pub(super) fn started(&mut self, workload: &Workload) -> anyhow::Result<()> {
        self.watch(workload.watched().as_slice());
        self.meta.processes.push(ProcessInfo {
            role: workload.role().to_owned(),
            command: workload.command_line(),
            started_us: workload.started_at(),
            ended: None,
        });
        self.save()
    }

    /// Samples these processes from now on.
    pub(super) fn watch(&self, processes: &[Watched<'_>]) {
        for one in processes {
            self.sampler.watch(one.role, one.pid, one.group);
        }
    }

    /// Takes the account of a process that has ended.
    pub(super) fn used(&self, role: &str, used: Option<Sample>) {
        self.sampler.ended(role, used);
    }

    /// Notes how a program ended.
    pub(super) fn ended(&mut self, workload: &Workload, exit: &End) {
        let (role, started_us) = (workload.role(), workload.started_at());
        self.used(role, workload.used());
        let info = self
            .meta
            .processes
            .iter_mut()
            .find(|info| info.role == role && info.started_us == started_us);
        if let Some(info) = info {
            info.ended = Some(exit.to_string());
        }
    }

    /// Ends a program by SIGTERM, and notes how it went.
    pub(super) async fn terminate(&mut self, workload: &mut Workload) -> End {
        let exit = workload.terminate().await;
        self.ended(workload, &exit);
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

    /// Measuring ended before its time, when frames generated until `shown` had come: what was on its way then is not lost.
    pub(super) fn cut_short(&mut self, shown: Option<UnixMicros>) {
        cut_short(&mut self.meta, shown);
    }

    /// Waits for `time`, unless a program of the repetition ends first or somebody presses Ctrl-C.
    pub(super) async fn pass(&self, time: Duration, running: &[&Workload]) -> Result<(), Stopped> {
        self.until(tokio::time::sleep(time), running).await
    }

    /// Waits for `what`, under the same conditions.
    pub(super) async fn until<T>(
        &self,
        what: impl Future<Output = T>,
        running: &[&Workload],
    ) -> Result<T, Stopped> {
        let died = async {
            if running.is_empty() {
                return std::future::pending().await;
            }
            let exits = running
                .iter()
                .map(|one| Box::pin(async move { died_early(one, &one.exited().await) }));
            select_all(exits).await.0
        };
        let unsound = async {
            let mut checks = tokio::time::interval(Duration::from_millis(500));
            loop {
                checks.tick().await;
                if let Some(failure) = self.failure() {
                    return failure;
                }
            }
        };
        tokio::select! {
            biased;
            () = self.context.shutdown.fired() => Err(Stopped::Interrupted),
            why = died => Err(Stopped::Failed(why)),
            what = what => Ok(what),
            failure = unsound => Err(Stopped::Fatal(anyhow::Error::msg(failure))),
        }
    }

    /// The reason why what is measured cannot be written any more.
    fn failure(&self) -> Option<String> {
        let collector = self.collector_failure.as_ref();
        self.sampler
            .has_failed()
            .then(|| "the sampler ended: it could not write resources.csv or host.csv".to_owned())
            .or_else(|| self.events.failure())
            .or_else(|| collector?.borrow().clone())
    }

    fn save(&self) -> anyhow::Result<()> {
        write_json(&self.folder.meta_json(), &self.meta)
    }

    /// Whatever happened, what was recorded becomes readable; then it is judged.
    pub(super) fn end(mut self, result: Result<(), Stopped>) -> Result<u64, Stopped> {
        let now = self.now();
        let sampled = self.sampler.finish();
        let seconds = sampled
            .as_ref()
            .cloned()
            .unwrap_or_else(|_| Seconds::default());
        self.meta.clock_step_us = seconds.clock_step_us;
        self.meta.clock_slew_ppm = seconds.clock_slew_ppm;
        // What was cut short was measured for that much less.
        if self.meta.measured_to_us.is_some_and(|to| to > now) {
            self.meta.measured_to_us = Some(now);
        }
        let yielded = if self.meta.pipeline.is_reference() || !self.folder.frames_csv().exists() {
            Ok(finish::Yield::default())
        } else {
            let yielded = finish::finish(&self.folder, &self.meta, &seconds);
            // Frames that cannot be read are the finish's to tell.
            let told = cuts::without_effect(&self.folder, &self.meta, &self.cuts);
            self.meta.without_effect = told.unwrap_or_default();
            yielded
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

fn cut_short(meta: &mut RepetitionMeta, shown: Option<UnixMicros>) {
    if let (Some(from), Some(to)) = (meta.measured_from_us, meta.measured_to_us) {
        let last = shown.map_or(from, |at| UnixMicros(at.0.saturating_add(1)));
        meta.measured_to_us = Some(last.clamp(from, to));
    }
}

fn died_early(workload: &Workload, exit: &End) -> anyhow::Error {
    anyhow::anyhow!(
        "{} ended ({exit}) in the middle of the repetition; the end of its log, {}:\n{}",
        workload.role(),
        workload.log().display(),
        workload.log_tail()
    )
}

/// The error of a first frame that did not come, with the last words of each program.
pub(super) fn no_first_frame(waited: Duration, running: &[&Workload]) -> anyhow::Error {
    let mut said = String::new();
    for one in running {
        let (role, log) = (one.role(), one.log().display());
        said.push_str(&[format!("\n--- {role} ({log})"), one.log_tail()].join("\n"));
    }
    anyhow::anyhow!(
        "no frame was shown within {} s; the ends of the logs:{said}",
        waited.as_secs_f64()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_on_its_way_when_a_run_was_stopped_is_not_measured() {
        let mut meta = RepetitionMeta::default();
        cut_short(&mut meta, Some(UnixMicros(5)));
        assert_eq!(meta.measured_to_us, None, "measuring had not begun");
        for (shown, to) in [
            (Some(1_500), 1_501),
            (Some(700), 1_000),
            (None, 1_000),
            (Some(9_000), 2_000),
        ] {
            meta.measured_from_us = Some(UnixMicros(1_000));
            meta.measured_to_us = Some(UnixMicros(2_000));
            cut_short(&mut meta, shown.map(UnixMicros));
            assert_eq!(meta.measured_to_us, Some(UnixMicros(to)), "{shown:?}");
        }
    }
}
