//! A whole run, from the scenario file to the table.

use std::io::{IsTerminal as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use collect::Live;
use service::{ConfigError, Shutdown, clock};
use testbed::local::capabilities::Capabilities;
use testbed::local::isolate::Isolation;
use timeline::UnixMicros;

use super::commands::Programs;
use super::content::Contents;
use super::page::Page;
use super::place::Means;
use super::place::kube::{self, KubeArgs, KubeTarget};
use super::place::lab_plan::LabCapabilities;
use super::plan::{Plan, Subject};
use super::progress::Progress;
use super::prometheus::{self, Scraping};
use super::provenance::{self, Here};
use super::repetition::{RunContext, Stopped};
use super::{captures, course, dry, machine, named, programs, registry, resume, strips};
use crate::scenario::File;
use result::{
    FolderLock, MachineState, PlannedRepetition, RUN_VERSION, RunFolder, RunInfo, RunState, kept,
    write_json,
};

/// The run was stopped by Ctrl-C; what was measured before is readable.
#[derive(Debug, thiserror::Error)]
#[error(
    "interrupted; what was measured before is in {folder}; the same command with --out {folder} --resume goes on"
)]
pub struct Interrupted {
    pub folder: String,
}

/// What a run is asked for, beside its scenario file.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// The name of the scenario file, for `run.json`.
    pub scenario_file: String,
    /// The folder of the result; none for `results/NAME-TIME`.
    pub out: Option<PathBuf>,
    /// Whether repetitions that the folder has complete are kept.
    pub resume: bool,
    /// The points at which packets are captured.
    pub pcap: Vec<String>,
    /// The folder of the programs; none for that of this program.
    pub bin_dir: Option<PathBuf>,
    /// The clusters that it runs on; none for this machine.
    pub kube: Option<KubeArgs>,
    /// Whether the strips are read at the end.
    pub read_strips: bool,
    /// The address at which browsers are shown the run.
    pub open: Option<SocketAddr>,
    /// Whether a Prometheus scrapes what is started.
    pub prometheus: bool,
    /// What is printed at the end.
    pub print: Print,
}

/// What was made before a run begins.
#[derive(Debug, Default)]
pub struct Entry {
    /// The namespaces that this process is in.
    pub isolation: Option<Isolation>,
    /// The port on which browsers are shown the run.
    pub page: Option<TcpListener>,
}

impl RunOptions {
    /// Whether they go together; to be asked before anything is begun or announced.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.prometheus && self.kube.is_some() {
            let why = "what runs there is scraped by the clusters' own";
            let remedy = "Leave it out, and apply k8s/overlays/s1-single-monitored; docs/kubernetes.md says how.";
            let origin = "--prometheus (XR_PROMETHEUS)";
            return Err(ConfigError::new(origin, "with --place kube", why, remedy));
        }
        Ok(())
    }
}

/// Who looks on while a run goes.
#[derive(Debug)]
struct Shown {
    live: Arc<Live>,
    scraping: Option<Arc<Scraping>>,
}

/// What a run prints at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Print {
    /// The tables, for people.
    Table,
    /// The summary as JSON.
    Json,
    /// Nothing: the caller has its own figures.
    Nothing,
}

/// Whether one of the file's scenarios runs in a lab.
pub fn needs_lab(file: &File, options: &RunOptions) -> bool {
    options.kube.is_none() && file.scenario.iter().any(|one| one.fabric.is_lab())
}

/// Prints what a run would start, in which order and with which command lines, and starts nothing.
pub fn print_plan(file: &File, options: &RunOptions) -> anyhow::Result<()> {
    if let Some(args) = &options.kube {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        return print(&runtime.block_on(kube::dry_text(file, args))?);
    }
    // What a run would refuse at its start is refused here: nobody wants to hear it of a plan that was taken for sound.
    named::check(file)?;
    if !needs_lab(file, options) {
        captures::check_none(&options.pcap)?;
    }
    let plan = Plan::new(file);
    let folder = folder_of(file, options, clock::now());
    let programs = programs::expected(options.bin_dir.as_deref());
    let text = if options.print == Print::Json {
        let plan = dry::json(file, &plan, &programs, &folder, options.read_strips)?;
        serde_json::to_string_pretty(&plan)? + "\n"
    } else {
        dry::text(file, &plan, &programs, &folder, options.read_strips)?
    };
    print(&text)
}

/// Runs a scenario file, and returns the folder of its result.
pub async fn run(
    file: &File,
    options: &RunOptions,
    entry: Entry,
    shutdown: Shutdown,
) -> anyhow::Result<RunFolder> {
    let scraping = options.prometheus.then(Arc::<Scraping>::default);
    let more = scraping.as_ref().map(Scraping::routes).unwrap_or_default();
    let page = entry.page.map(|page| Page::serve(page, more)).transpose()?;
    let live = page
        .as_ref()
        .map_or_else(Arc::default, |page| Arc::clone(page.live()));
    let shown = Shown { live, scraping };
    let result = run_somewhere(file, options, entry.isolation, &shown, shutdown).await;
    if let Some(page) = page {
        let how = match &result {
            Ok(folder) => format!(
                "The run is over; its result is in {}.",
                folder.root().display()
            ),
            Err(error) => format!("The run has ended: {error:#}."),
        };
        page.end(how).await;
    }
    result
}

async fn run_somewhere(
    file: &File,
    options: &RunOptions,
    isolation: Option<Isolation>,
    shown: &Shown,
    shutdown: Shutdown,
) -> anyhow::Result<RunFolder> {
    let started = clock::now();
    let Some(args) = &options.kube else {
        let programs = programs::find(options.bin_dir.as_deref())?;
        named::check(file)?;
        let capabilities = match isolation {
            None => None,
            Some(isolation) => {
                let (found, own) = (Capabilities::detect(), programs::own()?);
                let lisp = programs::lisp(options.bin_dir.as_deref())?;
                let of = LabCapabilities::of(&found, &own, &lisp, isolation.guard);
                Some(Box::new(of))
            }
        };
        let means = Means::Here(capabilities);
        return run_on(file, options, means, shown, &programs, shutdown, started).await;
    };
    let programs = programs::expected(None);
    let (file, without_effect) = kube::adapted(file);
    if !without_effect.is_empty() {
        let keys = without_effect.join("; ");
        tracing::warn!(
            keys,
            "without effect on clusters: the network and the limits are theirs, and a floor needs the programs here"
        );
    }
    let target = KubeTarget::reach(&file, args, started).await?;
    let means = Means::Kube(Arc::clone(&target));
    let result = run_on(&file, options, means, shown, &programs, shutdown, started).await;
    // Whatever a repetition could not delete, because it was interrupted for one.
    let removed = target.remove().await;
    let folder = result?;
    removed.context("what the run has applied is not deleted; `xrbench clean` does it later")?;
    Ok(folder)
}

/// Runs a scenario file on this machine, or on clusters.
async fn run_on(
    file: &File,
    options: &RunOptions,
    means: Means,
    shown: &Shown,
    programs: &Programs,
    shutdown: Shutdown,
    started: UnixMicros,
) -> anyhow::Result<RunFolder> {
    let contents = Contents::of_file(file)?;
    let understood =
        serde_json::to_value(file).context("cannot put the scenario file into JSON")?;
    let plan = Plan::new(file);
    match means.lab() {
        Some(capabilities) => captures::check(file, capabilities, &options.pcap)?,
        None => captures::check_none(&options.pcap)?,
    }
    // Held to the end: nobody else writes into it, and it held nothing but a result.
    let (folder, _lock) = take(&folder_of(file, options, started), options)?;
    let machine = machine::machine();
    let ours = means.run_here().then_some(programs);
    let digests = provenance::digests(ours, contents.films()).await?;
    let versions = means.versions(programs).await;
    let state = MachineState::now(clock::now());
    let here = Here {
        digests: &digests,
        versions: &versions,
        machine: &machine,
        state: &state,
    };
    let (mut info, complete) = if options.resume {
        let earlier = resume::earlier(&folder, &understood, here)?;
        (earlier.info, earlier.complete)
    } else {
        let info = RunInfo {
            schema_version: RUN_VERSION,
            name: file.name.clone(),
            started_us: started,
            scenario_file: options.scenario_file.clone(),
            scenario: understood,
            presentation: file.presentation,
            seed: file.seed,
            order: plan.order.clone(),
            scenarios: plan.scenarios(file),
            digests,
            versions,
            // How far this machine's latencies can be believed says nothing of others'.
            calibration: kept::kept(&machine).filter(|_| means.run_here()),
            machine,
            command: result::command(),
            ..RunInfo::default()
        };
        (info, Vec::new())
    };
    info.states.push(state);
    if let Some(lack) = registry::lack().filter(|_| means.run_here()) {
        let (costs, remedy) = (registry::COST, registry::REMEDY);
        tracing::warn!(costs, remedy, "no registry of GStreamer's plugins: {lack}");
    }
    let run = Run {
        file,
        plan: &plan,
        programs,
        folder: &folder,
        options,
        shutdown: &shutdown,
        complete,
        means,
        contents,
        shown,
    };
    let prometheus = match &shown.scraping {
        Some(scraping) => Some(scraping.start(&folder.root().join("prometheus")).await?),
        None => None,
    };
    let result = run.whole(info).await;
    if let Some(prometheus) = prometheus {
        prometheus::end(prometheus).await;
    }
    result?;
    Ok(folder)
}

fn folder_of(file: &File, options: &RunOptions, started: UnixMicros) -> RunFolder {
    let out = options.out.clone().unwrap_or_else(|| {
        Path::new("results").join(format!("{}-{}", file.name, result::date::compact(started)))
    });
    RunFolder::new(out)
}

struct Run<'a> {
    file: &'a File,
    plan: &'a Plan,
    programs: &'a Programs,
    folder: &'a RunFolder,
    options: &'a RunOptions,
    shutdown: &'a Shutdown,
    /// Repetitions that an earlier run completed.
    complete: Vec<PlannedRepetition>,
    means: Means,
    contents: Contents,
    shown: &'a Shown,
}

impl Run<'_> {
    async fn whole(&self, mut info: RunInfo) -> anyhow::Result<()> {
        (info.state, info.error, info.ended_us) = (RunState::Running, None, None);
        write_json(&self.folder.run_json(), &info)?;
        let expected = self.plan.expected(self.file, self.options.read_strips);
        let progress = Arc::new(Progress::new(expected));
        let result = self.measure_and_read(&progress).await;
        progress.end();
        info.ended_us = Some(clock::now());
        info.states.push(MachineState::now(clock::now()));
        (info.state, info.error) = match &result {
            Ok(()) => (RunState::Finished, None),
            Err(error) if error.is::<Interrupted>() => (RunState::Interrupted, None),
            Err(error) => (RunState::Failed, Some(format!("{error:#}"))),
        };
        let written = write_json(&self.folder.run_json(), &info);
        // Completed repetitions are summed up even after a failure: the summary is marked partial.
        let summed = self.conclude();
        // The first cause is the one that helps; a full disk, for one, spoils the rest too.
        result.and(written).and(summed)
    }

    async fn measure_and_read(&self, progress: &Arc<Progress>) -> anyhow::Result<()> {
        let mut failures = self.measure(progress).await?;
        if self.options.read_strips {
            let (folder, reading) = (self.folder.clone(), Arc::clone(progress));
            let read = tokio::task::spawn_blocking(move || strips::read_all(&folder, &reading));
            tokio::select! {
                () = self.shutdown.fired() => return Err(self.interrupted()),
                read = read => failures.extend(read.context("reading the strips panicked")??),
            }
        }
        if failures.is_empty() {
            Ok(())
        } else {
            Err(anyhow::anyhow!(failures.join("\n")))
        }
    }

    /// Every repetition in turn. One that fails does not keep the others from being measured; their errors come back.
    async fn measure(&self, progress: &Progress) -> anyhow::Result<Vec<String>> {
        let context = RunContext {
            programs: self.programs,
            disturbed: self.file.disturbed,
            shutdown: self.shutdown,
            progress,
            means: self.means.clone(),
            seed: self.file.seed,
            pcap: &self.options.pcap,
            live: Arc::clone(&self.shown.live),
            scraping: self.shown.scraping.clone(),
        };
        let mut failures = Vec::new();
        for (number, slot) in self.plan.order.iter().enumerate() {
            if self.complete.contains(slot) {
                continue;
            }
            let name = format!("{} repetition {}", slot.scenario, slot.run);
            let now = format!("{}/{} {name}", number + 1, self.plan.order.len());
            self.shown.live.begin(&slot.scenario, now.clone());
            progress.begin(now);
            let planned = self.plan.subject(self.file, slot);
            let own = self.contents.round(planned.settings(), slot);
            let subject = planned.showing(&own);
            resume::set_aside(self.folder, slot)?;
            let folder = self.folder.repetition(&slot.scenario, slot.run);
            match course::run(
                &context,
                subject,
                &slot.scenario,
                slot.run,
                self.floor_of(slot, subject),
                folder,
            )
            .await
            {
                Ok(_) => {}
                Err(Stopped::Interrupted) => return Err(self.interrupted()),
                Err(Stopped::Fatal(error)) => {
                    return Err(error.context(format!("{name} failed, and nothing can go on")));
                }
                Err(Stopped::Failed(error)) => {
                    let text = format!("{name} failed: {error:#}");
                    progress.note(&text);
                    failures.push(text);
                }
            }
            tokio::select! {
                () = self.shutdown.fired() => return Err(self.interrupted()),
                () = tokio::time::sleep(self.file.rest.0) => {}
            }
        }
        Ok(failures)
    }

    fn floor_of(&self, slot: &PlannedRepetition, subject: Subject<'_>) -> Option<String> {
        let Subject::Pipeline(_) = subject else {
            return None;
        };
        let index = self
            .file
            .scenario
            .iter()
            .position(|scenario| scenario.name == slot.scenario)?;
        self.plan.floor_of.get(index).cloned().flatten()
    }

    fn interrupted(&self) -> anyhow::Error {
        Interrupted {
            folder: self.folder.root().display().to_string(),
        }
        .into()
    }

    /// Sums up, prints, and judges: a scenario without a sample fails the run.
    fn conclude(&self) -> anyhow::Result<()> {
        let summary = report::write(self.folder).context("cannot sum the result up")?;
        match self.options.print {
            Print::Nothing => {}
            Print::Json => print(&(serde_json::to_string_pretty(&summary)? + "\n"))?,
            Print::Table => {
                // As wide as the terminal; where there is none, wide enough for every column.
                let width = (!std::io::stdout().is_terminal()).then_some(160);
                let table = report::terminal(&summary, width);
                let folder = self.folder.root().display();
                print(&format!("{table}\nresult: {folder}\n"))?;
            }
        }
        summary.check()
    }
}

fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .context("cannot write to stdout")
}

/// Takes the folder of the result. A name of our own that another run has got is left to that one.
fn take(folder: &RunFolder, options: &RunOptions) -> anyhow::Result<(RunFolder, FolderLock)> {
    let taken = match options {
        RunOptions { resume: true, .. } => folder.go_on().map(|lock| (folder.clone(), lock)),
        RunOptions { out: Some(_), .. } => folder.begin().map(|lock| (folder.clone(), lock)),
        RunOptions { out: None, .. } => folder.begin_beside(),
    };
    taken.map_err(|error| {
        let origin = match options {
            RunOptions { resume: true, .. } => "--out (XR_OUT) with --resume",
            RunOptions { out: Some(_), .. } => "--out (XR_OUT)",
            RunOptions { out: None, .. } => "the default of --out (XR_OUT)",
        };
        let (value, why) = (folder.root().display().to_string(), error.to_string());
        ConfigError::new(origin, value, why, error.remedy()).into()
    })
}
