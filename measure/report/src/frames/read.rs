//! The frames of one repetition, one after the other.

use std::collections::HashSet;

use timeline::frames_csv::{FrameRow, Outcome, Phase, ReadError};
use timeline::{Point, RtpTimestamp, UnixMicros};

use super::row::TidyRow;
use crate::summary;
use result::rows::{self, OcrRow};
use result::{FrameRows, RepetitionFolder, RepetitionMeta};
use stats::{Disturbances, Window, judged};

/// Why rows are not in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Remark {
    /// The repetition has no file of frames.
    NoFrames,
    /// Nobody read the strips of a reference, of which nothing else is known.
    NotRead,
    /// Lines of `frames.csv` are no rows.
    NoRows,
}

impl Remark {
    /// The remark in words, of so many.
    pub(super) fn text(self, count: u64) -> String {
        match self {
            Self::NoFrames => "has no frames.csv, and so no rows".into(),
            Self::NotRead => {
                "has no rows: its strips were not read. `xrbench ocr` of the result's folder reads them".into()
            }
            Self::NoRows => format!("{count} lines of frames.csv are not rows and were left out"),
        }
    }
}

/// What is asked of each frame of a repetition.
struct Judge {
    window: Option<Window>,
    disturbances: Option<Disturbances>,
}

impl Judge {
    /// Judges a frame, and hands its row on.
    fn judge<'a>(&self, mut row: TidyRow<'a>, frame: &FrameRow) -> TidyRow<'a> {
        row.measured = self.window.map(|window| judged::is_measured(frame, window));
        row.disturbed = judged::is_disturbed(frame, self.disturbances.as_ref());
        row
    }
}

/// Hands every row of a repetition to `take`, and says how many were left out and why.
pub(super) fn repetition(
    result: &str,
    meta: &RepetitionMeta,
    folder: &RepetitionFolder,
    take: &mut impl FnMut(&TidyRow<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<Vec<(Remark, u64)>> {
    let keys = TidyRow::of_repetition(result, meta);
    let pictures = if meta.pipeline.is_reference() {
        let Some(found) = rows::read::<OcrRow>(&folder.ocr_csv())? else {
            return Ok(vec![(Remark::NotRead, 1)]);
        };
        found.rows
    } else {
        Vec::new()
    };
    let judge = Judge {
        window: summary::window(meta, folder, &pictures),
        // What is missing of the sampler's file is said by the summary.
        disturbances: summary::disturbances(folder, None, &mut Vec::new())?,
    };
    if meta.pipeline.is_reference() {
        return read_pictures(&keys, &pictures, &judge, take).map(|()| Vec::new());
    }
    if !folder.frames_csv().exists() {
        return Ok(vec![(Remark::NoFrames, 1)]);
    }
    let mut left_out = 0;
    for row in FrameRows::open(folder)? {
        match row {
            Ok(row) => take(&judge.judge(keys.of_frame(&row), &row))?,
            Err(error @ ReadError::Io { .. }) => return Err(error.into()),
            Err(_) => left_out += 1,
        }
    }
    Ok(Vec::from_iter(
        (left_out > 0).then_some((Remark::NoRows, left_out)),
    ))
}

/// The pictures of a reference, of which times are known from their clocks alone.
fn read_pictures(
    keys: &TidyRow<'_>,
    pictures: &[OcrRow],
    judge: &Judge,
    take: &mut impl FnMut(&TidyRow<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut seen = HashSet::new();
    // One that was not read is placed where the one before it was generated, as the summary counts it.
    let mut last = None;
    for picture in pictures {
        let reading = picture.reading();
        let generated_us = reading.map(|(generated_us, _)| generated_us);
        last = generated_us.or(last);
        let outcome = match generated_us {
            None => Outcome::Unread,
            Some(generated_us) if !seen.insert(generated_us) => Outcome::Duplicate,
            Some(_) => Outcome::Shown,
        };
        let mut frame = FrameRow::new(RtpTimestamp(0), outcome);
        frame.phase = judge.window.zip(last).and_then(|(window, at_us)| {
            let warmup = (at_us < window.from_us).then_some(Phase::Warmup);
            window.contains(at_us).then_some(Phase::Measured).or(warmup)
        });
        if let Some((generated_us, latency_us)) = reading {
            let decoded_us = generated_us.saturating_add(latency_us);
            frame.set(Point::Generated, UnixMicros(generated_us));
            frame.set(Point::Decoded, UnixMicros(decoded_us));
        }
        let mut row = TidyRow {
            rtp_timestamp: None,
            ..keys.of_frame(&frame)
        };
        row = judge.judge(row, &frame);
        if reading.is_none() {
            let disturbed = judge.disturbances.as_ref().zip(last);
            row.disturbed = disturbed.map(|(of, at_us)| of.contains(at_us));
        }
        take(&row)?;
    }
    Ok(())
}
