//! The end of a repetition: every frame gets its phase and learns whether its second was disturbed, and the histograms
//! are made from what counts.

use std::collections::BTreeMap;

use anyhow::Context as _;
use timeline::frames_csv::{FrameRow, FrameWriter, Phase};
use timeline::hist::{LatencyHistogram, LogWriter};
use timeline::{Point, UnixMicros};

use super::sampler::Seconds;
use result::{FrameRows, RepetitionFolder, RepetitionMeta, settle, write_atomic};

/// The tag of the intervals that hold the samples of undisturbed seconds once more.
pub const UNDISTURBED: &str = "undisturbed";

/// What a repetition yielded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Yield {
    /// Measured samples of the latency.
    pub samples: u64,
    pub rows: u64,
}

/// Rewrites `frames.csv` in the order of generation and `latency.hlog`, both whole or not at all.
pub fn finish(
    folder: &RepetitionFolder,
    meta: &RepetitionMeta,
    seconds: &Seconds,
) -> anyhow::Result<Yield> {
    // What a collector that failed could not write out is in a file of its own.
    settle(folder)?;
    let path = folder.frames_csv();
    let mut rows: Vec<FrameRow> = FrameRows::open(folder)?
        .collect::<Result<_, _>>()
        .with_context(|| format!("cannot read {}", path.display()))?;
    for row in &mut rows {
        row.phase = phase(row, meta);
        row.disturbed = disturbed(row, seconds);
    }
    rows.sort_by_key(|row| (position(row), row.shown));
    let mut text = FrameWriter::begin(Vec::with_capacity(rows.len() * 160))?;
    for row in &rows {
        text.write(row)?;
    }
    write_atomic(&path, &text.into_inner())?;
    write_atomic(&folder.latency_hlog(), &histograms(&rows, meta)?)?;
    let samples = rows.iter().filter(|row| is_measured_sample(row)).count() as u64;
    Ok(Yield {
        samples,
        rows: rows.len() as u64,
    })
}

/// Whether a frame met a disturbed second anywhere on its way; nothing where no second is known of it.
fn disturbed(row: &FrameRow, seconds: &Seconds) -> Option<bool> {
    let (from, to) = (row.at(Point::Generated), row.at(Point::Decoded));
    seconds.disturbed_between(from.or(to)?, to.or(from)?)
}

/// When a row was generated, as well as that is known.
fn position(row: &FrameRow) -> Option<UnixMicros> {
    row.at(Point::Generated)
        .or_else(|| row.at(Point::Encoded))
        .or_else(|| row.at(Point::Decoded))
}

/// A frame is measured if it was generated in the measured time, whenever it was shown.
fn phase(row: &FrameRow, meta: &RepetitionMeta) -> Option<Phase> {
    let (at, from, to) = (position(row)?, meta.measured_from_us?, meta.measured_to_us?);
    // What follows the measured time was generated while the run ended: it is in no figure either.
    Some(if at >= from && at < to {
        Phase::Measured
    } else {
        Phase::Warmup
    })
}

fn is_measured_sample(row: &FrameRow) -> bool {
    row.phase == Some(Phase::Measured) && row.latency_us().is_some()
}

/// One interval for each second of generation; those of undisturbed seconds once more under [`UNDISTURBED`].
fn histograms(rows: &[FrameRow], meta: &RepetitionMeta) -> anyhow::Result<Vec<u8>> {
    let mut log = LogWriter::begin(Vec::new(), meta.started_us)?;
    let mut intervals: BTreeMap<u64, [LatencyHistogram; 2]> = BTreeMap::new();
    for row in rows.iter().filter(|row| is_measured_sample(row)) {
        let (Some(latency_us), Some(at)) = (row.latency_us(), row.at(Point::Generated)) else {
            continue;
        };
        let second = at.0.saturating_sub(meta.started_us.0) / 1_000_000;
        let [all, undisturbed] = intervals.entry(second).or_default();
        all.record(latency_us);
        if row.disturbed != Some(true) {
            undisturbed.record(latency_us);
        }
    }
    for (second, [all, undisturbed]) in &intervals {
        let from = UnixMicros(meta.started_us.0 + second * 1_000_000);
        let to = UnixMicros(from.0 + 1_000_000);
        log.write(None, from, to, all)?;
        if undisturbed.count() > 0 {
            log.write(Some(UNDISTURBED), from, to, undisturbed)?;
        }
    }
    Ok(log.into_inner())
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use timeline::RtpTimestamp;
    use timeline::frames_csv::Outcome;
    use timeline::hist::Intervals;

    use super::*;

    const START: u64 = 1_763_000_000_000_000;

    #[test]
    fn rows_are_ordered_marked_and_counted() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let folder = RepetitionFolder::new(dir.path());
        let mut writer =
            FrameWriter::begin(File::create(folder.frames_csv()).expect("made")).expect("begun");
        // Ten frames a second for ten seconds, written backwards, each shown 50 ms later; the last one is lost.
        for n in (0..100_u32).rev() {
            let outcome = if n == 99 {
                Outcome::Lost
            } else {
                Outcome::Shown
            };
            let mut row = FrameRow::new(RtpTimestamp(n), outcome);
            let at = START + u64::from(n) * 100_000;
            row.set(Point::Generated, UnixMicros(at));
            if n != 99 {
                row.set(Point::Decoded, UnixMicros(at + 50_000));
            }
            writer.write(&row).expect("written");
        }
        drop(writer);
        let meta = RepetitionMeta {
            started_us: UnixMicros(START),
            measured_from_us: Some(UnixMicros(START + 2_000_000)),
            measured_to_us: Some(UnixMicros(START + 8_000_000)),
            ..RepetitionMeta::default()
        };
        let found = finish(&folder, &meta, &Seconds::default()).expect("finished");
        assert_eq!(
            found,
            Yield {
                samples: 60,
                rows: 100
            }
        );
        let rows: Vec<FrameRow> = FrameRows::open(&folder)
            .expect("there")
            .collect::<Result<_, _>>()
            .expect("rows");
        assert!(rows.is_sorted_by_key(|row| row.at(Point::Generated)));
        let measured: Vec<u32> = rows
            .iter()
            .filter(|row| row.phase == Some(Phase::Measured))
            .map(|row| row.rtp_timestamp.0)
            .collect();
        assert_eq!(measured, (20..80).collect::<Vec<_>>());
        let log = std::fs::read(folder.latency_hlog()).expect("there");
        assert_eq!(Intervals::new(&log).count(), 12, "six seconds, each twice");
        assert_eq!(
            Intervals::new(&log).merged(None).expect("a log").count(),
            60
        );
        assert_eq!(
            Intervals::new(&log)
                .merged(Some(UNDISTURBED))
                .expect("a log")
                .count(),
            60
        );
    }
}
