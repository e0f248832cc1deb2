//! The folder that xr-collector writes: a result with one scenario, of which each start of the collector is a
//! repetition, so that a collector that is restarted goes on beside what it has.

use std::collections::VecDeque;
use std::path::Path;

use result::{
    FolderLock, FrameRows, Machine, PlannedRepetition, RUN_VERSION, RepetitionFolder,
    RepetitionMeta, RunFolder, RunInfo, RunState, ScenarioInfo, settle, write_json,
};
use service::ConfigError;
use timeline::{ClientName, RtpTimestamp, UnixMicros};

use super::core::{ClocksKnown, Progress};

/// The name of the one scenario of a collected result, and of the result.
const SCENARIO: &str = "collected";

/// Frames of the start before this one that are known again: more than its clients keep.
const MAX_REPORTED: usize = 262_144;

/// What to do about a folder of somebody else's.
const ANOTHER: &str = "Give another folder, or that of an earlier collector.";

/// A collected result, and the repetition that this start is.
#[derive(Debug)]
pub struct Collection {
    folder: RunFolder,
    repetition: RepetitionFolder,
    info: RunInfo,
    meta: RepetitionMeta,
    reported: VecDeque<(ClientName, RtpTimestamp)>,
    /// Two collectors in one folder would take each other's numbers.
    _lock: FolderLock,
}

impl Collection {
    /// Begins a repetition in the folder `out`, which is made where there is none.
    pub fn begin(out: &Path, machine: Machine, now: UnixMicros) -> anyhow::Result<Self> {
        let folder = RunFolder::new(out);
        let goes_on = folder.run_json().exists();
        let lock = if goes_on {
            folder.go_on()
        } else {
            folder.begin()
        };
        let lock = lock.map_err(|error| refused(out, &error.to_string(), error.remedy()))?;
        let mut info = if goes_on {
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
            return Err(refused(out, "it holds the result of `xrbench run`", ANOTHER).into());
        };
        if scenario.name != SCENARIO {
            return Err(refused(out, "it holds another result", ANOTHER).into());
        }
        if info.schema_version != RUN_VERSION {
            let version = info.schema_version;
            let why = format!(
                "its files are of version {version}, and this collector writes {RUN_VERSION}"
            );
            let remedy = "Give another folder; `xrbench report` shows this one.";
            return Err(refused(out, &why, remedy).into());
        }
        let last = folder.repetition(SCENARIO, scenario.runs);
        // One that was killed left the rows that waited.
        settle(&last)?;
        let reported = reported(&last);
        // A start in which no frame came is none: this one takes its place.
        if scenario.runs == 0 || !reported.is_empty() {
            scenario.runs += 1;
            info.order.push(PlannedRepetition {
                scenario: SCENARIO.to_owned(),
                run: scenario.runs,
            });
        }
        let run = scenario.runs;
        let repetition = folder.repetition(SCENARIO, run);
        info.state = RunState::Running;
        info.ended_us = None;
        info.machine = machine;
        info.command = result::command();
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
            reported,
            _lock: lock,
        };
        // First what says that the folder is a result: killed after it, the next start goes on with it.
        write_json(&collection.folder.run_json(), &collection.info)?;
        collection.repetition.create()?;
        write_json(&collection.repetition.meta_json(), &collection.meta)?;
        Ok(collection)
    }

    /// Where this repetition's files are.
    pub fn repetition(&self) -> &RepetitionFolder {
        &self.repetition
    }

    /// The last frames that the start before this one has, and whose they are. They are given out once.
    pub fn reported_before(&mut self) -> VecDeque<(ClientName, RtpTimestamp)> {
        std::mem::take(&mut self.reported)
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
        self.meta.set_unreported(progress.unreported.clone());
        self.meta.first_frame_us = progress.first_shown;
        self.meta.measured_from_us = progress.first_generated;
        self.meta.clocks.clone_from(&clocks.sources);
        self.meta.clock_uncertainty_us = clocks.uncertainty_us;
    }
}

/// The last frames that a repetition has, and whose they are.
fn reported(repetition: &RepetitionFolder) -> VecDeque<(ClientName, RtpTimestamp)> {
    let mut last = VecDeque::new();
    for row in FrameRows::open(repetition).into_iter().flatten().flatten() {
        if let Some(client) = row.client {
            if last.len() == MAX_REPORTED {
                last.pop_front();
            }
            last.push_back((client, row.rtp_timestamp));
        }
    }
    last
}

fn refused(out: &Path, why: &str, remedy: &str) -> ConfigError {
    ConfigError::new("--out (XR_OUT)", out.display().to_string(), why, remedy)
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use timeline::frames_csv::{FrameRow, FrameWriter, Outcome};

    use super::*;

    fn begin(out: &Path) -> anyhow::Result<Collection> {
        Collection::begin(out, Machine::default(), UnixMicros(7))
    }

    fn frame(collection: &Collection) {
        let file = File::create(collection.repetition().frames_csv()).expect("made");
        let mut writer = FrameWriter::begin(file).expect("a header");
        let mut row = FrameRow::new(RtpTimestamp(1), Outcome::Shown);
        row.client = ClientName::new("a").ok();
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
        assert!(error.contains("another process"), "{error}");
        drop(first);
        let run_json = RunFolder::new(dir.path()).run_json();
        let mut earlier = RunFolder::new(dir.path()).info().expect("run.json");
        earlier.schema_version = RUN_VERSION - 1;
        write_json(&run_json, &earlier).expect("written");
        let error = begin(dir.path())
            .expect_err("an earlier version")
            .to_string();
        assert!(error.contains("are of version 1"), "{error}");
        let of_a_run = RunInfo {
            schema_version: RUN_VERSION,
            ..RunInfo::default()
        };
        write_json(&run_json, &of_a_run).expect("written");
        let error = begin(dir.path()).expect_err("a result").to_string();
        assert!(error.contains("xrbench run"), "{error}");
    }
}
