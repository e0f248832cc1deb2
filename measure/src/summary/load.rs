//! Reads a result's repetitions into figures, one file at a time.

use std::{fs::File, io::BufReader};

use anyhow::Context as _;
use timeline::frames_csv::FrameReader;

use super::read;
use result::{
    RepetitionFolder, RunFolder, RunInfo, RunMeta, ScenarioInfo,
    rows::{self, Audit, OcrRow},
};
use stats::{Disturbances, FromOcr, FromRows, Measured, Window};

/// A result, measured.
#[derive(Debug)]
pub struct Loaded {
    /// `run.json`.
    pub info: RunInfo,
    /// By scenario, in the order of `run.json`; floors are among them.
    pub scenarios: Vec<LoadedScenario>,
}

/// One scenario with its repetitions.
#[derive(Debug)]
pub struct LoadedScenario {
    /// From `run.json`.
    pub info: ScenarioInfo,
    /// In the order of their numbers.
    pub runs: Vec<LoadedRun>,
}

/// One repetition.
#[derive(Debug)]
pub struct LoadedRun {
    /// `meta.json`.
    pub meta: RunMeta,
    /// Its figures; empty before measuring began.
    pub measured: Measured,
    /// When it measured, where it did.
    pub window: Option<Window>,
    /// What Tesseract read.
    pub ocr: Audit,
    /// Disturbed times; none where nobody watched the machine.
    pub disturbances: Option<Disturbances>,
    /// What is odd about its files.
    pub notes: Vec<String>,
}

impl LoadedScenario {
    /// All repetitions together.
    pub fn merged(&self) -> Measured {
        let mut merged = Measured::default();
        for run in &self.runs {
            if run.window.is_some() {
                merged.merge(run.measured.clone());
            }
        }
        merged
    }
}

/// Reads the result in `folder`, finished or not.
pub fn load(folder: &RunFolder) -> anyhow::Result<Loaded> {
    let info = folder.info()?;
    let mut found = folder.repetitions()?;
    let mut scenarios = Vec::new();
    for scenario in &info.scenarios {
        let (of_this, rest) = found
            .into_iter()
            .partition(|(meta, _)| meta.scenario == scenario.name);
        found = rest;
        let of_this: Vec<(RunMeta, RepetitionFolder)> = of_this;
        scenarios.push(LoadedScenario {
            info: scenario.clone(),
            runs: of_this
                .into_iter()
                .map(|(meta, folder)| repetition(meta, &folder))
                .collect::<anyhow::Result<_>>()?,
        });
    }
    Ok(Loaded { info, scenarios })
}

fn repetition(meta: RunMeta, folder: &RepetitionFolder) -> anyhow::Result<LoadedRun> {
    let mut notes = Vec::new();
    let disturbances = read::disturbances(folder, &mut notes)?;
    let rows = rows::read::<OcrRow>(&folder.ocr_csv())?
        .unwrap_or_default()
        .rows;
    if let Some(error) = &meta.error {
        notes.push(format!("run {}: {error}", meta.run));
    } else if !meta.complete {
        notes.push(format!("run {} was not completed", meta.run));
    }
    if let Some(why) = &meta.overloaded_why {
        notes.push(format!("run {}: {why}", meta.run));
    }
    if meta.clock_step_us.abs() > 1_000 {
        notes.push(format!(
            "run {}: the wall clock stepped by {} us",
            meta.run, meta.clock_step_us
        ));
    }
    if meta.trace_overwritten > 0 {
        notes.push(format!(
            "run {}: {} crossings were overwritten before they were read",
            meta.run, meta.trace_overwritten
        ));
    }
    let window = meta
        .measured_from_us
        .map(|from| Window {
            from_us: from.0,
            // What was not ended was measured until its last frame: the window is closed below.
            to_us: meta.measured_to_us.map_or(u64::MAX, |to| to.0),
        })
        .map(|window| close(window, folder, &meta, &rows));
    let mut measured = match window {
        None => Measured::default(),
        Some(window) if meta.pipeline.is_reference() => {
            let readings: Vec<_> = rows.iter().map(OcrRow::reading).collect();
            FromOcr::measure(&readings, window, disturbances.as_ref(), meta.fps)
        }
        Some(window) => from_frames(folder, window, disturbances.as_ref(), meta.fps, &mut notes)?,
    };
    if let Some(window) = window {
        measured.usage = read::usage(folder, window, &mut notes)?;
    }
    let counted = measured_rows(&rows, window);
    Ok(LoadedRun {
        ocr: Audit::of(&counted),
        meta,
        measured,
        window,
        disturbances,
        notes,
    })
}

/// The images of the measured time; one that is unread belongs to that of the one before it.
fn measured_rows(rows: &[OcrRow], window: Option<Window>) -> Vec<OcrRow> {
    let mut last = None;
    rows.iter()
        .filter(|row| {
            last = row.generated_us.or(last);
            match (window, last) {
                (Some(window), Some(at_us)) => window.contains(at_us),
                _ => true,
            }
        })
        .cloned()
        .collect()
}

/// Ends the window of a repetition that was cut off with its last known generation time.
fn close(window: Window, folder: &RepetitionFolder, meta: &RunMeta, rows: &[OcrRow]) -> Window {
    if window.to_us != u64::MAX {
        return window;
    }
    let last = if meta.pipeline.is_reference() {
        rows.iter().filter_map(|row| row.generated_us).max()
    } else {
        File::open(folder.frames_csv())
            .ok()
            .and_then(|file| FrameReader::new(BufReader::new(file)).ok())
            .and_then(|frames| {
                frames
                    .filter_map(Result::ok)
                    .filter_map(|row| row.at(timeline::Point::Generated).map(|at| at.0))
                    .max()
            })
    };
    Window {
        to_us: last.map_or(window.from_us, |last| (last + 1).max(window.from_us)),
        ..window
    }
}

fn from_frames(
    folder: &RepetitionFolder,
    window: Window,
    disturbances: Option<&Disturbances>,
    fps: f64,
    notes: &mut Vec<String>,
) -> anyhow::Result<Measured> {
    let path = folder.frames_csv();
    let mut measuring = FromRows::new(window, disturbances);
    if !path.exists() {
        notes.push("there is no frames.csv".into());
        return Ok(measuring.close(fps));
    }
    let name = || format!("cannot read {}", path.display());
    let file = File::open(&path).with_context(name)?;
    let mut wrong = 0_u64;
    let reader = FrameReader::new(BufReader::with_capacity(1 << 16, file)).with_context(name)?;
    for row in reader {
        match row {
            Ok(row) => measuring.push(&row),
            Err(error @ timeline::frames_csv::ReadError::Io { .. }) => {
                return Err(error).with_context(name);
            }
            Err(_) => wrong += 1,
        }
    }
    if wrong > 0 {
        notes.push(format!(
            "{wrong} lines of frames.csv are not rows and were left out"
        ));
    }
    Ok(measuring.close(fps))
}
