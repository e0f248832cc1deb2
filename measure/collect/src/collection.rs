//! The folder that xr-collector writes: a result with one scenario, of which each start of the collector is a
//! repetition, so that a collector that is restarted goes on beside what it has.

use std::fs::{self, File, TryLockError};
use std::io::BufReader;
use std::path::Path;

use anyhow::Context as _;
use result::{
    Machine, PlannedRepetition, RUN_VERSION, RepetitionFolder, RepetitionMeta, RunFolder, RunInfo,
    RunState, ScenarioInfo, cannot_write, write_json,
};
use service::ConfigError;
use timeline::UnixMicros;
use timeline::frames_csv::FrameReader;

use super::core::{ClocksKnown, Progress};

/// The name of the one scenario of a collected result, and of the result.
const SCENARIO: &str = "collected";

/// A collected result, and the repetition that this start is.
#[derive(Debug)]
pub struct Collection {
    folder: RunFolder,
    repetition: RepetitionFolder,
    info: RunInfo,
    meta: RepetitionMeta,
    /// Locked for as long as it is open: two collectors in one folder would take each other's numbers.
    _lock: File,
}

impl Collection {
    /// Begins a repetition in the folder `out`, which is made where there is none.
    pub fn begin(out: &Path, machine: Machine, now: UnixMicros) -> anyhow::Result<Self> {
        fs::create_dir_all(out).with_context(|| cannot_write(out))?;
        let lock = lock(out)?;
        let folder = RunFolder::new(out);
        let mut info = if folder.run_json().exists() {
            folder.info()?
        } else {
            RunInfo {
                schema_version: RUN_VERSION,
                name: SCENARIO.to_owned(),
                started_us: now,
                scenarios: vec![ScenarioInfo {
                    name: SCENARIO.to_owned(),
                    ..ScenarioInfo::default()
                }],
                ..RunInfo::default()
            }
        };
        let [scenario] = &mut info.scenarios[..] else {
            return Err(refused(out, "it holds the result of `xrbench run`").into());
        };
        if scenario.name != SCENARIO || info.schema_version != RUN_VERSION {
            return Err(refused(out, "it holds another result").into());
        }
        let last = folder.repetition(SCENARIO, scenario.runs);
        if scenario.runs == 0 || has_frames(&last) {
            scenario.runs += 1;
            info.order.push(PlannedRepetition {
                scenario: SCENARIO.to_owned(),
                run: scenario.runs,
            });
        }
        let run = scenario.runs;
        let repetition = folder.repetition(SCENARIO, run);
        repetition.create()?;
        info.state = RunState::Running;
        info.ended_us = None;
        info.machine = machine;
        info.command = std::env::args().collect();
        let meta = RepetitionMeta {
            schema_version: RUN_VERSION,
            scenario: SCENARIO.to_owned(),
            run,
            transport: "unknown".to_owned(),
            started_us: now,
            collected: true,
            ..RepetitionMeta::default()
        };
        let collection = Self {
            folder,
            repetition,
            info,
            meta,
            _lock: lock,
        };
        write_json(&collection.repetition.meta_json(), &collection.meta)?;
        write_json(&collection.folder.run_json(), &collection.info)?;
        Ok(collection)
    }

    /// Where this repetition's files are.
    pub fn repetition(&self) -> &RepetitionFolder {
        &self.repetition
    }

    /// Writes down what is known by now, so that a crash leaves it.
    pub fn note(&mut self, progress: &Progress, clocks: &ClocksKnown) -> anyhow::Result<()> {
        self.know(progress, clocks);
        write_json(&self.repetition.meta_json(), &self.meta)
    }

    /// Ends the repetition, whole unless something failed.
    pub fn end(
        &mut self,
        progress: &Progress,
        clocks: &ClocksKnown,
        failure: Option<String>,
        now: UnixMicros,
    ) -> anyhow::Result<()> {
        self.know(progress, clocks);
        self.meta.measured_to_us = progress.generated.map(|last| UnixMicros(last.0 + 1));
        self.meta.complete = failure.is_none();
        self.meta.error.clone_from(&failure);
        self.info.state = if failure.is_none() {
            RunState::Finished
        } else {
            RunState::Failed
        };
        self.info.error = failure;
        self.info.ended_us = Some(now);
        write_json(&self.repetition.meta_json(), &self.meta)?;
        write_json(&self.folder.run_json(), &self.info)
    }

    fn know(&mut self, progress: &Progress, clocks: &ClocksKnown) {
        self.meta.fps = progress.rate.fps();
        self.meta.first_frame_us = progress.first_shown;
        self.meta.measured_from_us = progress.first_generated;
        self.meta.clocks.clone_from(&clocks.sources);
        self.meta.clock_uncertainty_us = clocks.uncertainty_us;
    }
}

/// A start in which no frame came is none: the next one takes its place.
fn has_frames(repetition: &RepetitionFolder) -> bool {
    let file = File::open(repetition.frames_csv()).map(BufReader::new);
    file.is_ok_and(|file| FrameReader::new(file).is_ok_and(|rows| rows.count() > 0))
}

fn lock(out: &Path) -> anyhow::Result<File> {
    let folder = File::open(out).with_context(|| format!("cannot open {}", out.display()))?;
    match folder.try_lock() {
        Ok(()) => Ok(folder),
        Err(TryLockError::WouldBlock) => {
            Err(refused(out, "another collector is writing into it").into())
        }
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", out.display()))
        }
    }
}

fn refused(out: &Path, why: &str) -> ConfigError {
    ConfigError::new(
        "--out (XR_OUT)",
        out.display().to_string(),
        why,
        "Give another folder.",
    )
}

#[cfg(test)]
mod tests {
    use timeline::RtpTimestamp;
    use timeline::frames_csv::{FrameRow, FrameWriter, Outcome};

    use super::*;

    fn begin(out: &Path) -> anyhow::Result<Collection> {
        Collection::begin(out, Machine::default(), UnixMicros(7))
    }

    fn frame(collection: &Collection) {
        let file = File::create(collection.repetition().frames_csv()).expect("made");
        let mut writer = FrameWriter::begin(file).expect("a header");
        let row = FrameRow::new(RtpTimestamp(1), Outcome::Lost);
        writer.write(&row).expect("a row");
    }

    /// A start without frames leaves no repetition, one with frames is never written over.
    #[test]
    fn each_start_with_frames_is_a_repetition() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for (run, shows) in [(1, false), (1, true), (2, true), (3, false), (3, false)] {
            let mut collection = begin(dir.path()).expect("begun");
            assert_eq!(collection.meta.run, run);
            if shows {
                frame(&collection);
            }
            let (progress, clocks) = (Progress::default(), ClocksKnown::default());
            let ended = collection.end(&progress, &clocks, None, UnixMicros(9));
            ended.expect("ended");
        }
        let info = RunFolder::new(dir.path()).info().expect("run.json");
        assert_eq!((info.scenarios[0].runs, info.order.len()), (3, 3));
    }

    #[test]
    fn a_folder_of_others_is_refused() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let first = begin(dir.path()).expect("begun");
        let error = begin(dir.path()).expect_err("it is in use").to_string();
        assert!(error.contains("another collector"), "{error}");
        drop(first);
        let of_a_run = RunInfo {
            schema_version: RUN_VERSION,
            ..RunInfo::default()
        };
        let run_json = RunFolder::new(dir.path()).run_json();
        write_json(&run_json, &of_a_run).expect("written");
        let error = begin(dir.path()).expect_err("a result").to_string();
        assert!(error.contains("xrbench run"), "{error}");
    }
}
