//! What the collector writes as it goes: `frames.csv` and `latency.hlog`, each at most a second behind.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use timeline::UnixMicros;
use timeline::frames_csv::{FrameRow, FrameWriter, Phase};
use timeline::hist::{LatencyHistogram, LogWriter};

use result::cannot_write;

/// The files `frames.csv` and `latency.hlog` of a collection.
pub struct Files {
    frames: FrameWriter<BufWriter<File>>,
    frames_path: PathBuf,
    log: LogWriter<BufWriter<File>>,
    log_path: PathBuf,
    interval: LatencyHistogram,
    since: UnixMicros,
    written: u64,
}

impl Files {
    /// Creates both files. Intervals are counted from `started`.
    pub fn create(
        frames_path: PathBuf,
        log_path: PathBuf,
        started: UnixMicros,
    ) -> anyhow::Result<Self> {
        let frames = FrameWriter::begin(create(&frames_path)?)
            .with_context(|| cannot_write(&frames_path))?;
        let log = LogWriter::begin(create(&log_path)?, started)
            .with_context(|| cannot_write(&log_path))?;
        let interval = LatencyHistogram::new();
        let mut files = Self {
            frames,
            frames_path,
            log,
            log_path,
            interval,
            since: started,
            written: 0,
        };
        files.flush()?;
        Ok(files)
    }

    /// Writes rows. A row is measured, and counts in the histogram if it is a sample, if it was generated at or after
    /// `measured_from`.
    pub fn write(
        &mut self,
        rows: &mut [FrameRow],
        measured_from: Option<UnixMicros>,
    ) -> anyhow::Result<()> {
        for row in rows {
            let measured =
                measured_from.is_some_and(|from| row.points[0].is_some_and(|at| at >= from));
            row.phase = measured.then_some(Phase::Measured);
            self.frames
                .write(row)
                .with_context(|| cannot_write(&self.frames_path))?;
            self.written += 1;
            if let Some(latency_us) = row.latency_us().filter(|_| measured) {
                self.interval.record(latency_us);
            }
        }
        Ok(())
    }

    /// Ends an interval of the histogram: whoever calls this once a second loses a second at most.
    pub fn end_interval(&mut self, now: UnixMicros) -> anyhow::Result<()> {
        if self.interval.count() > 0 {
            self.log
                .write(None, self.since, now, &self.interval)
                .with_context(|| cannot_write(&self.log_path))?;
            self.interval.clear();
        }
        self.since = now;
        Ok(())
    }

    /// Hands everything to the system.
    pub fn flush(&mut self) -> anyhow::Result<()> {
        self.frames
            .flush()
            .with_context(|| cannot_write(&self.frames_path))?;
        self.log
            .flush()
            .with_context(|| cannot_write(&self.log_path))
    }

    /// How many rows were written.
    pub fn written(&self) -> u64 {
        self.written
    }
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Files")
            .field("frames", &self.frames_path)
            .finish_non_exhaustive()
    }
}

fn create(path: &Path) -> anyhow::Result<BufWriter<File>> {
    File::create(path)
        .map(BufWriter::new)
        .with_context(|| cannot_write(path))
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use timeline::frames_csv::{FrameReader, Outcome};
    use timeline::hist::Intervals;
    use timeline::{Point, RtpTimestamp};

    use super::*;

    #[test]
    fn what_is_flushed_can_be_read_and_the_warm_up_is_in_no_histogram() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (frames, log) = (
            dir.path().join("frames.csv"),
            dir.path().join("latency.hlog"),
        );
        let mut files = Files::create(frames.clone(), log.clone(), UnixMicros(0)).expect("created");
        let mut rows: Vec<_> = (0..10_u32)
            .map(|n| {
                let mut row = FrameRow::new(RtpTimestamp(n), Outcome::Shown);
                row.set(Point::Generated, UnixMicros(u64::from(n) * 1_000_000));
                row.set(Point::Decoded, UnixMicros(u64::from(n) * 1_000_000 + 8_000));
                row
            })
            .collect();
        files
            .write(&mut rows, Some(UnixMicros(4_000_000)))
            .expect("written");
        files
            .end_interval(UnixMicros(1_000_000))
            .expect("an interval");
        files.flush().expect("flushed");
        let reader = FrameReader::new(BufReader::new(File::open(&frames).expect("there")))
            .expect("a header");
        assert_eq!(reader.collect::<Result<Vec<_>, _>>().expect("rows"), rows);
        let measured = rows.iter().filter(|row| row.phase == Some(Phase::Measured));
        assert_eq!(measured.count(), 6, "seconds 4 to 9");
        let bytes = std::fs::read(&log).expect("there");
        let all = Intervals::new(&bytes).merged(None).expect("a log");
        assert_eq!(all.count(), 6, "seconds 4 to 9");
    }

    #[test]
    fn a_full_disk_says_so() {
        let full = PathBuf::from("/dev/full");
        let dir = tempfile::tempdir().expect("a temporary folder");
        let error = Files::create(full, dir.path().join("l"), UnixMicros(0)).expect_err("full");
        let text = format!("{error:#}");
        assert!(
            text.contains("/dev/full") && text.contains("df -h") && text.contains("No space left"),
            "{text}"
        );
    }
}
