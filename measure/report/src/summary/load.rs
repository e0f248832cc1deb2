//! Reads a result's repetitions into figures, one file at a time.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use timeline::{
    frames_csv::{Outcome, Phase},
    hist::Intervals,
};

use super::{
    Note, NoteKind, behind, clocks,
    read::{self, Fault},
    unreported,
};
use result::{
    FrameRows, RepetitionFolder, RepetitionMeta, RunFolder, RunInfo, ScenarioInfo,
    rows::{self, Audit, OcrRow},
};
use stats::{Content, Disturbances, FromOcr, FromRows, Measured, Window};

/// A result as its files say, before anything is summed up.
#[derive(Debug)]
pub struct LoadedResult {
    /// The content of `run.json`.
    pub info: RunInfo,
    /// The scenarios in the order of `run.json`; floors are among them.
    pub scenarios: Vec<LoadedScenario>,
}

impl LoadedResult {
    /// How its figures are to be read where its files are of an earlier version; none where nothing is to be said of that.
    pub(crate) fn older(&self) -> Option<&str> {
        let runs = self.scenarios.iter().flat_map(|one| &one.runs);
        let mut notes = runs.flat_map(|run| &run.notes);
        let note = notes.find(|note| note.kind == NoteKind::Version);
        note.map(|note| note.text.as_str())
    }

    /// The scenario of that name.
    pub(crate) fn scenario(&self, name: &str) -> Option<&LoadedScenario> {
        self.scenarios.iter().find(|one| one.info.name == name)
    }
}

/// A scenario with each of its repetitions.
#[derive(Debug)]
pub struct LoadedScenario {
    /// The scenario's part of `run.json`.
    pub info: ScenarioInfo,
    /// The repetitions in the order of their numbers.
    pub runs: Vec<LoadedRepetition>,
    /// Each `meta.json` that was there once and is not any more, from the folder of the result on.
    lost: Vec<PathBuf>,
}

/// A repetition with its samples.
#[derive(Debug)]
pub struct LoadedRepetition {
    /// The content of `meta.json`.
    pub meta: RepetitionMeta,
    /// The samples and figures of the repetition; empty before measuring began.
    pub measured: Measured,
    /// The measured time; none where measuring never began.
    pub window: Option<Window>,
    /// The counts of what Tesseract read.
    pub ocr: Audit,
    /// The disturbed times; none where nobody watched the machine.
    pub disturbances: Option<Disturbances>,
    /// Remarks on the files of the repetition.
    pub notes: Vec<Note>,
    /// What was done on purpose in the measured time.
    pub(crate) faults: Vec<Fault>,
    /// `frames.csv` has fewer measured frames than `latency.hlog` beside it: it was cut off.
    pub damaged: bool,
}

impl LoadedRepetition {
    /// Whether the repetition was completed, showed frames, and has all of them in its file.
    pub const fn is_whole(&self) -> bool {
        self.meta.complete && self.measured.all.frames.shown > 0 && !self.damaged
    }
}

impl LoadedScenario {
    /// Remarks on the files of all repetitions.
    pub(super) fn notes(&self) -> Vec<Note> {
        let lost = self.lost().map(|text| Note::new(NoteKind::Damage, text));
        let of_runs = self.runs.iter().flat_map(|run| &run.notes);
        lost.into_iter().chain(of_runs.cloned()).collect()
    }

    /// What of its files is gone, or was cut off after the run, in words; none where all is there.
    pub(crate) fn damage(&self) -> Option<String> {
        damage(&self.notes())
    }

    fn lost(&self) -> Option<String> {
        let first = self.lost.first()?.display();
        Some(match self.lost.len() {
            1 => format!("there is no {first}, and the repetition had begun"),
            count => format!(
                "there is no {first}, and {} more are missing, of repetitions that had begun",
                count - 1
            ),
        })
    }

    /// The figures of all repetitions together.
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

/// What notes say of a result's damage; none where no note does.
pub(super) fn damage(notes: &[Note]) -> Option<String> {
    let told = notes.iter().filter(|one| one.kind == NoteKind::Damage);
    let told: Vec<_> = told.map(|one| one.text.as_str()).collect();
    (!told.is_empty()).then(|| told.join("; "))
}

/// Reads the result in `folder`, finished or not.
pub fn load(folder: &RunFolder) -> anyhow::Result<LoadedResult> {
    let info = folder.info()?;
    let mut found = folder.repetitions()?;
    let lost = folder.lost(&info);
    let mut scenarios = Vec::new();
    for scenario in &info.scenarios {
        let (of_this, rest) = found
            .into_iter()
            .partition(|(meta, _)| meta.scenario == scenario.name);
        found = rest;
        let of_this: Vec<(RepetitionMeta, RepetitionFolder)> = of_this;
        let lost = lost
            .iter()
            .filter_map(|path| path.strip_prefix(folder.root()).ok());
        scenarios.push(LoadedScenario {
            info: scenario.clone(),
            runs: of_this
                .into_iter()
                .map(|(meta, folder)| repetition(meta, &folder))
                .collect::<anyhow::Result<_>>()?,
            lost: lost
                .filter(|path| path.starts_with(&scenario.name))
                .map(Path::to_owned)
                .collect(),
        });
    }
    if let Some(text) = folder.older(&info)? {
        for run in scenarios.iter_mut().filter_map(|one| one.runs.first_mut()) {
            run.notes.push(Note::new(NoteKind::Version, text.clone()));
        }
    }
    Ok(LoadedResult { info, scenarios })
}

fn repetition(meta: RepetitionMeta, folder: &RepetitionFolder) -> anyhow::Result<LoadedRepetition> {
    let (mut notes, mut files) = (Vec::new(), Vec::new());
    let rows = rows::read::<OcrRow>(&folder.ocr_csv())?
        .unwrap_or_default()
        .rows;
    let mut note = |kind, text: String| {
        notes.push(Note::new(kind, format!("run {}: {text}", meta.run)));
    };
    let unread = meta.pipeline.is_reference() && !folder.ocr_csv().exists() && has_strips(folder);
    if unread {
        note(
            NoteKind::NotRead,
            "its strips were kept and not read: `xrbench ocr` and then `xrbench report` of the result's folder read them"
                .into(),
        );
    }
    if let Some(error) = &meta.error {
        note(NoteKind::Incomplete, error.clone());
    } else if !meta.complete {
        note(NoteKind::Incomplete, "was not completed".into());
    }
    if let Some(why) = &meta.overloaded_why {
        note(NoteKind::Overloaded, why.clone());
    }
    let steps = read::clock_steps(folder)?;
    for text in clocks::of_repetition(&meta, &steps) {
        note(NoteKind::Clock, text);
    }
    for text in read::gave_up(folder)? {
        note(NoteKind::Incomplete, text);
    }
    for text in &meta.without_effect {
        note(NoteKind::Fault, text.clone());
    }
    if meta.trace_overwritten > 0 {
        let count = meta.trace_overwritten;
        note(
            NoteKind::Trace,
            format!("{count} crossings were overwritten before they were read"),
        );
    }
    for (kind, text) in unreported::told(&meta) {
        note(kind, text);
    }
    if let Some(text) = behind::told(&meta) {
        note(NoteKind::Behind, text);
    }
    if meta.source_unread > 0 {
        note(NoteKind::Content, left_out(meta.source_unread));
    }
    let window = window(&meta, folder, &rows).filter(|_| !unread);
    let watched = watched(window, &meta);
    let disturbances = read::disturbances(folder, watched, &mut files)?;
    let mut damaged = false;
    let mut measured = match window {
        None => Measured::default(),
        Some(window) if meta.pipeline.is_reference() => {
            let readings: Vec<_> = rows.iter().map(OcrRow::reading).collect();
            FromOcr::measure(&readings, window, disturbances.as_ref(), meta.fps)
        }
        Some(window) => {
            let disturbances = disturbances.as_ref();
            let (measured, found) = from_frames(folder, window, disturbances, &meta)?;
            damaged = found.iter().any(|(_, cut)| *cut);
            for (text, cut) in found {
                let kind = if cut {
                    NoteKind::Damage
                } else {
                    NoteKind::Files
                };
                note(kind, text);
            }
            measured
        }
    };
    if let Some(window) = window {
        measured.usage = read::usage(folder, window, watched, meta.resources.as_ref(), &mut files)?;
    }
    for text in files {
        note(NoteKind::Files, text);
    }
    let counted = measured_rows(&rows, window);
    let faults = window.map(|window| read::faults(folder, window));
    Ok(LoadedRepetition {
        ocr: Audit::of(&counted),
        meta,
        measured,
        window,
        disturbances,
        notes,
        faults: faults.transpose()?.unwrap_or_default(),
        damaged,
    })
}

/// That the renderer left out pictures of the film.
fn left_out(pictures: u64) -> String {
    format!(
        "the renderer could not read {pictures} pictures of the film or more, and showed the others: the film is cut or damaged, and a \
         reference, whose decoder is another one, may have shown more of it or less. ffmpeg -v error -i FILE -f null - says what is wrong \
         with it; measure again with a whole one"
    )
}

/// The part of the measured time that is sure to be in the sampler's files; none of a client that reports to a collector by itself, which
/// has no sampler beside it.
fn watched(window: Option<Window>, meta: &RepetitionMeta) -> Option<Window> {
    let window = window.filter(|_| meta.complete && !meta.collected)?;
    Some(match meta.clock_uncertainty_us {
        0 => window,
        // Of another clock than the sampler's: only its beginning is sure to be in its files.
        _ => Window {
            to_us: window.from_us,
            ..window
        },
    })
}

/// The measured time; none where measuring never began.
pub(crate) fn window(
    meta: &RepetitionMeta,
    folder: &RepetitionFolder,
    rows: &[OcrRow],
) -> Option<Window> {
    let window = Window {
        from_us: meta.measured_from_us?.0,
        // What was not ended was measured until its last frame.
        to_us: meta.measured_to_us.map_or(u64::MAX, |to| to.0),
    };
    Some(close(window, folder, meta, rows))
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

/// Ends the window of a repetition that was not completed with the generation of the last frame that was shown: nobody waited for
/// those that were on their way.
fn close(
    window: Window,
    folder: &RepetitionFolder,
    meta: &RepetitionMeta,
    rows: &[OcrRow],
) -> Window {
    if meta.complete {
        return window;
    }
    let interval = Duration::try_from_secs_f64(1.0 / meta.fps).unwrap_or_default();
    let interval_us = u64::try_from(interval.as_micros()).unwrap_or(0);
    let last = if meta.pipeline.is_reference() {
        rows.iter().filter_map(|row| row.generated_us).max()
    } else {
        FrameRows::open(folder).ok().and_then(|frames| {
            frames
                .filter_map(Result::ok)
                .filter(|row| row.outcome == Outcome::Shown)
                .filter_map(|row| row.at(timeline::Point::Generated).map(|at| at.0))
                .max()
        })
    };
    Window {
        to_us: last
            .map_or(window.from_us, |last| {
                (last + interval_us).max(window.from_us)
            })
            .min(window.to_us),
        ..window
    }
}

/// Whether a strip was kept.
fn has_strips(folder: &RepetitionFolder) -> bool {
    std::fs::read_dir(folder.strips()).is_ok_and(|mut found| found.next().is_some())
}

/// The figures, with remarks on the files and whether each says that frames are missing from them.
fn from_frames(
    folder: &RepetitionFolder,
    window: Window,
    disturbances: Option<&Disturbances>,
    meta: &RepetitionMeta,
) -> anyhow::Result<(Measured, Vec<(String, bool)>)> {
    let path = folder.frames_csv();
    let mut measuring = FromRows::new(window, disturbances)
        .collected(meta.collected)
        .unreported(unreported::of(meta))
        .content(content(meta));
    if !path.exists() {
        let remark = ("there is no frames.csv".to_owned(), true);
        return Ok((measuring.close(meta.fps), vec![remark]));
    }
    let name = || format!("cannot read {}", path.display());
    let (mut wrong, mut samples) = (0_u64, 0_u64);
    for row in FrameRows::open(folder)? {
        match row {
            Ok(row) => {
                samples +=
                    u64::from(row.phase == Some(Phase::Measured) && row.latency_us().is_some());
                measuring.push(&row);
            }
            Err(error @ timeline::frames_csv::ReadError::Io { .. }) => {
                return Err(error).with_context(name);
            }
            Err(_) => wrong += 1,
        }
    }
    let mut remarks = Vec::new();
    if wrong > 0 {
        let text = format!("{wrong} lines of frames.csv are not rows and were left out");
        remarks.push((text, false));
    }
    let logged = logged(folder);
    if samples < logged {
        let text = format!(
            "frames.csv has {samples} of the {logged} measured frames that latency.hlog counts: it was cut off after the run"
        );
        remarks.push((text, true));
    }
    Ok((measuring.close(meta.fps), remarks))
}

/// The stretch of the film that a repetition shows.
fn content(meta: &RepetitionMeta) -> Content {
    meta.content.map_or_else(Content::default, |of| Content {
        start: of.start,
        pictures: of.pictures,
    })
}

/// Samples in the histograms beside `frames.csv`; 0 where there is no such log, or one that cannot be read.
pub(crate) fn logged(folder: &RepetitionFolder) -> u64 {
    let log = std::fs::read(folder.latency_hlog()).unwrap_or_default();
    let merged = Intervals::new(&log).merged(None);
    merged.map_or(0, |histogram| histogram.count())
}
