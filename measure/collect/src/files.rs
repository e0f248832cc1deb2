//! What the collector writes as it goes: `frames.csv` and `latency.hlog`, each at most a second behind, and beside them the
//! rows that wait for points of their way, so that a kill loses none that was taken a second before.
//!
//! The system has what is written: it outlives the process, and not the machine.

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use timeline::UnixMicros;
use timeline::frames_csv::{FrameRow, FrameWriter, Phase};
use timeline::hist::{LatencyHistogram, LogWriter};

use result::{RepetitionFolder, cannot_write, part_of};

/// Where the files of a collection are.
#[derive(Clone, Debug)]
pub struct Paths {
    /// The file `frames.csv`.
    pub frames: PathBuf,
    /// The file `frames-open.csv`, which is there while rows wait.
    pub open: PathBuf,
    /// The file `latency.hlog`.
    pub log: PathBuf,
}

impl Paths {
    /// The paths of a repetition.
    pub fn of(repetition: &RepetitionFolder) -> Self {
        Self {
            frames: repetition.frames_csv(),
            open: repetition.frames_open_csv(),
            log: repetition.latency_hlog(),
        }
    }
}

/// The files of a collection.
pub struct Files {
    paths: Paths,
    frames: FrameWriter<BufWriter<File>>,
    log: LogWriter<BufWriter<File>>,
    /// Whether the file of the rows that wait is there.
    is_open: bool,
    interval: LatencyHistogram,
    since: UnixMicros,
}

impl Files {
    /// Creates the files. Intervals are counted from `started`.
    pub fn create(paths: Paths, started: UnixMicros) -> anyhow::Result<Self> {
        let frames = FrameWriter::begin(create(&paths.frames)?)
            .with_context(|| cannot_write(&paths.frames))?;
        let log = LogWriter::begin(create(&paths.log)?, started)
            .with_context(|| cannot_write(&paths.log))?;
        let mut files = Self {
            frames,
            log,
            is_open: paths.open.exists(),
            paths,
            interval: LatencyHistogram::new(),
            since: started,
        };
        files.flush()?;
        files.write_open(&mut [], None)?;
        Ok(files)
    }

    /// Writes rows, and leaves those that a full disk did not take. A row is measured, and counts in the histogram if it is a
    /// sample, if it was generated at or after `measured_from`.
    pub fn write(
        &mut self,
        rows: &mut Vec<FrameRow>,
        measured_from: Option<UnixMicros>,
    ) -> anyhow::Result<()> {
        let mut taken = 0;
        let written = rows.iter_mut().try_for_each(|row| {
            let measured = mark(row, measured_from);
            self.frames.write(row)?;
            taken += 1;
            if let Some(latency_us) = row.latency_us().filter(|_| measured) {
                self.interval.record(latency_us);
            }
            Ok::<_, io::Error>(())
        });
        rows.drain(..taken);
        written.with_context(|| cannot_write(&self.paths.frames))
    }

    /// How long `frames.csv` is, in bytes.
    pub fn length(&self) -> u64 {
        fs::metadata(&self.paths.frames).map_or(0, |file| file.len())
    }

    /// Replaces the rows that wait. Rows that wait no more must be flushed before, so that a kill leaves each in a file.
    pub fn write_open(
        &mut self,
        rows: &mut [FrameRow],
        measured_from: Option<UnixMicros>,
    ) -> anyhow::Result<()> {
        if rows.is_empty() && !self.is_open {
            return Ok(());
        }
        let mut replace = || -> io::Result<()> {
            if rows.is_empty() {
                return fs::remove_file(&self.paths.open);
            }
            let mut text = FrameWriter::begin(Vec::with_capacity(rows.len() * 160))?;
            for row in &mut *rows {
                mark(row, measured_from);
                text.write(row)?;
            }
            let part = part_of(&self.paths.open);
            fs::write(&part, text.into_inner())?;
            fs::rename(&part, &self.paths.open)
        };
        replace().with_context(|| cannot_write(&self.paths.open))?;
        self.is_open = !rows.is_empty();
        Ok(())
    }

    /// Ends an interval of the histogram: whoever calls this once a second loses a second at most.
    pub fn end_interval(&mut self, now: UnixMicros) -> anyhow::Result<()> {
        if self.interval.count() > 0 {
            self.log
                .write(None, self.since, now, &self.interval)
                .with_context(|| cannot_write(&self.paths.log))?;
            self.interval.clear();
        }
        self.since = now;
        Ok(())
    }

    /// Hands everything to the system.
    pub fn flush(&mut self) -> anyhow::Result<()> {
        self.frames
            .flush()
            .with_context(|| cannot_write(&self.paths.frames))?;
        self.log
            .flush()
            .with_context(|| cannot_write(&self.paths.log))
    }
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Files")
            .field("paths", &self.paths)
            .finish_non_exhaustive()
    }
}

/// Says of a row whether it was generated at or after `measured_from`.
fn mark(row: &mut FrameRow, measured_from: Option<UnixMicros>) -> bool {
    let generated = row.points[0];
    let measured = measured_from.is_some_and(|from| generated.is_some_and(|at| at >= from));
    row.phase = measured.then_some(Phase::Measured);
    measured
}

fn create(path: &Path) -> anyhow::Result<BufWriter<File>> {
    File::create(path)
        .map(BufWriter::new)
        .with_context(|| cannot_write(path))
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;
    use std::slice;

    use result::FrameRows;
    use timeline::frames_csv::{FrameReader, Outcome};
    use timeline::hist::Intervals;
    use timeline::{Point, RtpTimestamp};

    use super::*;

    #[test]
    fn what_is_flushed_can_be_read_and_the_warm_up_is_in_no_histogram() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let paths = Paths::of(&RepetitionFolder::new(dir.path()));
        let (frames, log) = (paths.frames.clone(), paths.log.clone());
        let mut files = Files::create(paths, UnixMicros(0)).expect("created");
        let mut rows: Vec<_> = (0..10_u32)
            .map(|n| {
                let mut row = FrameRow::new(RtpTimestamp(n), Outcome::Shown);
                row.set(Point::Generated, UnixMicros(u64::from(n) * 1_000_000));
                row.set(Point::Decoded, UnixMicros(u64::from(n) * 1_000_000 + 8_000));
                row
            })
            .collect();
        let given = rows.clone();
        files
            .write(&mut rows, Some(UnixMicros(4_000_000)))
            .expect("written");
        assert!(rows.is_empty(), "all were taken");
        files
            .end_interval(UnixMicros(1_000_000))
            .expect("an interval");
        files.flush().expect("flushed");
        let reader = FrameReader::new(BufReader::new(File::open(&frames).expect("there")))
            .expect("a header");
        let rows = reader.collect::<Result<Vec<_>, _>>().expect("rows");
        assert_eq!(rows.len(), given.len());
        let measured = rows.iter().filter(|row| row.phase == Some(Phase::Measured));
        assert_eq!(measured.count(), 6, "seconds 4 to 9");
        let bytes = fs::read(&log).expect("there");
        let all = Intervals::new(&bytes).merged(None).expect("a log");
        assert_eq!(all.count(), 6, "seconds 4 to 9");
    }

    #[test]
    fn a_full_disk_says_so() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let full = Paths {
            frames: "/dev/full".into(),
            ..Paths::of(&RepetitionFolder::new(dir.path()))
        };
        let error = Files::create(full, UnixMicros(0)).expect_err("full");
        let text = format!("{error:#}");
        assert!(
            text.contains("/dev/full") && text.contains("df -h") && text.contains("No space left"),
            "{text}"
        );
    }

    /// What waits is in a file of its own until it waits no more.
    #[test]
    fn rows_that_wait_are_beside_those_that_are_written() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let folder = RepetitionFolder::new(dir.path());
        let mut files = Files::create(Paths::of(&folder), UnixMicros(0)).expect("created");
        let row = FrameRow::new(RtpTimestamp(1), Outcome::Unread);
        let mut rows = vec![row.clone()];
        files.write_open(&mut rows, None).expect("written");
        let read = || {
            let rows = FrameRows::open(&folder).expect("there");
            rows.collect::<Result<Vec<_>, _>>().expect("rows")
        };
        assert_eq!(read(), slice::from_ref(&row));
        files.write(&mut rows, None).expect("written");
        files.flush().expect("flushed");
        assert_eq!(read(), slice::from_ref(&row));
        files.write_open(&mut [], None).expect("replaced");
        assert_eq!(read(), slice::from_ref(&row));
        let left = fs::read_dir(dir.path()).expect("readable").count();
        assert_eq!(left, 2, "frames.csv and latency.hlog");
    }
}
