//! A whole run, from the scenario file to the table.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use service::{ConfigError, Shutdown, clock};
use testbed::local::capabilities::Capabilities;
use testbed::local::isolate::Isolation;
use timeline::UnixMicros;

use super::cli::RunArgs;
use super::commands::Programs;
use super::lab_plan::{self, Ability};
use super::plan::{Job, Plan};
use super::repetition::{self, Bench, Stopped};
use super::show::Show;
use super::{dry, machine, programs, resume, strips};
use crate::report;
use crate::scenario::{self, File};
use result::{RunFolder, RunInfo, RunState, SCHEMA_VERSION, Slot, kept, write_json};

/// Somebody pressed Ctrl-C; what was measured before is readable.
#[derive(Debug, thiserror::Error)]
#[error(
    "interrupted; what was measured before is in {folder}; the same command with --out {folder} --resume goes on"
)]
pub struct Interrupted {
    /// The result's folder.
    pub folder: String,
}

/// Runs the scenario file of the command line.
pub async fn run(
    args: RunArgs,
    isolation: Option<Isolation>,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let file = scenario::load(&args.scenario, &args.overrides())?;
    if !args.dry_run {
        return run_file(&file, &args, isolation, shutdown).await.map(drop);
    }
    let plan = Plan::new(&file);
    let folder = folder_of(&file, &args, clock::now());
    let programs = programs::expected(args.bin_dir.as_deref());
    let text = if args.json {
        let plan = dry::json(&file, &plan, &programs, &folder, !args.no_ocr)?;
        serde_json::to_string_pretty(&plan)? + "\n"
    } else {
        dry::text(&file, &plan, &programs, &folder, !args.no_ocr)?
    };
    print(&text)
}

/// Runs a scenario file that has been read, and says where the result is.
pub async fn run_file(
    file: &File,
    args: &RunArgs,
    isolation: Option<Isolation>,
    shutdown: Shutdown,
) -> anyhow::Result<RunFolder> {
    let started = clock::now();
    let folder = folder_of(file, args, started);
    let programs = programs::find(args.bin_dir.as_deref())?;
    check_sources(file)?;
    let understood =
        serde_json::to_value(file).context("cannot put the scenario file into JSON")?;
    let plan = Plan::new(file);
    let ability = match isolation {
        None => None,
        Some(isolation) => {
            let capabilities = Capabilities::detect();
            Some(Ability::of(
                &capabilities,
                &programs::own()?,
                isolation.guard,
            ))
        }
    };
    match (&ability, args.pcap.first()) {
        (Some(ability), _) => check_points(file, ability, &args.pcap)?,
        (None, None) => {}
        (None, Some(point)) => {
            let why = "no scenario of this run has a fabric, so there is no lab to capture in";
            let remedy = "Leave it out, or give a scenario with a fabric, such as those of scenarios/quick.toml.";
            return Err(ConfigError::new("--pcap (XR_PCAP)", point, why, remedy).into());
        }
    }
    let (info, complete) = if args.resume {
        let earlier = resume::earlier(&folder, &understood)?;
        (earlier.info, earlier.complete)
    } else {
        check_out(&folder)?;
        let machine = machine::machine();
        let info = RunInfo {
            schema_version: SCHEMA_VERSION,
            name: file.name.clone(),
            started_us: started,
            scenario_file: args.scenario.display().to_string(),
            scenario: understood,
            presentation: file.presentation,
            seed: file.seed,
            order: plan.order.clone(),
            scenarios: plan.scenarios(file),
            versions: machine::versions(&programs).await,
            calibration: kept::kept(&machine),
            machine,
            command: std::env::args().collect(),
            ..RunInfo::default()
        };
        (info, Vec::new())
    };
    let whole = Whole {
        file,
        plan: &plan,
        programs: &programs,
        folder: &folder,
        args,
        shutdown: &shutdown,
        complete,
        ability,
    };
    whole.run(info).await?;
    Ok(folder)
}

fn folder_of(file: &File, args: &RunArgs, started: UnixMicros) -> RunFolder {
    let out = args.out.clone().unwrap_or_else(|| {
        Path::new("results").join(format!("{}-{}", file.name, compact(started)))
    });
    RunFolder::new(out)
}

struct Whole<'a> {
    file: &'a File,
    plan: &'a Plan,
    programs: &'a Programs,
    folder: &'a RunFolder,
    args: &'a RunArgs,
    shutdown: &'a Shutdown,
    /// Repetitions that an earlier run completed.
    complete: Vec<Slot>,
    ability: Option<Ability>,
}

impl Whole<'_> {
    async fn run(&self, mut info: RunInfo) -> anyhow::Result<()> {
        std::fs::create_dir_all(self.folder.root()).with_context(|| {
            format!(
                "cannot make {}, from --out (XR_OUT)",
                self.folder.root().display()
            )
        })?;
        (info.state, info.error, info.ended_us) = (RunState::Running, None, None);
        write_json(&self.folder.run_json(), &info)?;
        let show = Arc::new(Show::new(dry::expected(
            self.file,
            self.plan,
            !self.args.no_ocr,
        )));
        let result = self.measure_and_read(&show).await;
        show.end();
        info.ended_us = Some(clock::now());
        (info.state, info.error) = match &result {
            Ok(()) => (RunState::Finished, None),
            Err(error) if error.is::<Interrupted>() => (RunState::Interrupted, None),
            Err(error) => (RunState::Failed, Some(format!("{error:#}"))),
        };
        let written = write_json(&self.folder.run_json(), &info);
        // What stands is summed up also when something failed: a part is better than nothing, and says that it is one.
        let summed = self.conclude();
        // The first cause is the one that helps; a full disk, for one, spoils the rest too.
        result.and(written).and(summed)
    }

    async fn measure_and_read(&self, show: &Arc<Show>) -> anyhow::Result<()> {
        let mut failures = self.measure(show).await?;
        if !self.args.no_ocr {
            let (folder, reading) = (self.folder.clone(), Arc::clone(show));
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
    async fn measure(&self, show: &Show) -> anyhow::Result<Vec<String>> {
        let bench = Bench {
            programs: self.programs,
            disturbed: self.file.disturbed,
            shutdown: self.shutdown,
            show,
            ability: self.ability.clone(),
            seed: self.file.seed,
            pcap: &self.args.pcap,
        };
        let mut failures = Vec::new();
        for (number, slot) in self.plan.order.iter().enumerate() {
            if self.complete.contains(slot) {
                continue;
            }
            let name = format!("{} run {}", slot.scenario, slot.run);
            show.begin(format!("{}/{} {name}", number + 1, self.plan.order.len()));
            let job = self.plan.job(self.file, slot);
            resume::set_aside(self.folder, slot)?;
            let folder = self.folder.repetition(&slot.scenario, slot.run);
            match repetition::run(
                &bench,
                job,
                &slot.scenario,
                slot.run,
                self.floor_of(slot, job),
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
                    show.note(&text);
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

    fn floor_of(&self, slot: &Slot, job: Job<'_>) -> Option<String> {
        let Job::Pipeline(_) = job else { return None };
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
        if self.args.quiet {
            return summary.check();
        }
        if self.args.json {
            print(&(serde_json::to_string_pretty(&summary)? + "\n"))?;
        } else {
            // As wide as the terminal; where there is none, wide enough for every column.
            let width = (!std::io::stdout().is_terminal()).then_some(160);
            let table = report::terminal(&summary, width);
            print(&format!(
                "{table}\nresult: {}\n",
                self.folder.root().display()
            ))?;
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

/// A source file that is not there is said before a minute is spent on other scenarios.
fn check_sources(file: &File) -> anyhow::Result<()> {
    for scenario in &file.scenario {
        let Some(path) = scenario.source.strip_prefix("file:") else {
            continue;
        };
        if !Path::new(path).is_file() {
            let origin = format!("scenario {}.source", scenario.name);
            let here = std::env::current_dir().unwrap_or_default();
            let why = format!("there is no such file, seen from {}", here.display());
            let remedy = "`make media` fetches the test video into media/; or write `--set source=test` for a test pattern.";
            return Err(ConfigError::new(origin, &scenario.source, why, remedy).into());
        }
    }
    Ok(())
}

/// A point at which no lab of the file can capture is said before anything runs, and so is a lab that cannot be built.
fn check_points(file: &File, ability: &Ability, asked: &[String]) -> anyhow::Result<()> {
    let mut points = std::collections::BTreeSet::new();
    for scenario in file.scenario.iter().filter(|one| one.fabric.is_lab()) {
        ability.check(scenario)?;
        let planned = lab_plan::plan(scenario, ability, file.seed)?;
        points.extend(planned.built.reach.captures.into_keys());
    }
    let known: Vec<&str> = points.iter().map(String::as_str).collect();
    if let Some(point) = asked.iter().find(|point| !points.contains(*point)) {
        let why = format!(
            "no lab of this file has such a point; {}",
            scenario::choice::hint(point, &known)
        );
        return Err(ConfigError::new("--pcap (XR_PCAP)", point, why, "Name one of them.").into());
    }
    Ok(())
}

fn check_out(folder: &RunFolder) -> anyhow::Result<()> {
    if folder.run_json().exists() {
        let why = "it holds a result already, which would be overwritten";
        let remedy = "Give another folder, add --resume to go on with a run that was stopped, or remove this one.";
        return Err(ConfigError::new(
            "--out (XR_OUT)",
            folder.root().display().to_string(),
            why,
            remedy,
        )
        .into());
    }
    Ok(())
}

/// `20261122T031500Z`: when a result began, in its folder's name.
fn compact(at: UnixMicros) -> String {
    let seconds = at.0 / 1_000_000;
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    format!(
        "{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z",
        second / 3_600,
        second / 60 % 60,
        second % 60
    )
}

/// Year, month and day of a day since 1970 in the Gregorian calendar, which repeats every 146097 days.
fn civil(days: u64) -> (u64, u64, u64) {
    let (mut year, mut left) = (1970 + days / 146_097 * 400, days % 146_097);
    let leap = |year: u64| {
        (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400)
    };
    loop {
        let length = if leap(year) { 366 } else { 365 };
        if left < length {
            break;
        }
        left -= length;
        year += 1;
    }
    let february = if leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if left < length {
            break;
        }
        left -= length;
        month += 1;
    }
    (year, month, left + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_carry_the_time() {
        for (seconds, text) in [
            (0, "19700101T000000Z"),
            (951_782_400, "20000229T000000Z"),
            (1_763_780_400, "20251122T030000Z"),
            (4_107_542_399, "21000228T235959Z"),
            (4_107_542_400, "21000301T000000Z"),
        ] {
            assert_eq!(compact(UnixMicros(seconds * 1_000_000)), text);
        }
    }
}
