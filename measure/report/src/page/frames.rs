//! What became of the frames, and how evenly a viewer saw them.

use super::table::{Table, class, known};
use crate::{
    summary::{FrameCounts, Summary},
    text::{ms, percent},
};

/// A count, where it is known.
fn count(of: Option<u64>) -> String {
    of.map_or_else(String::new, |count| count.to_string())
}

/// The table of frames.
pub(super) fn table(summary: &Summary) -> Table {
    let counts = |frames: &FrameCounts| {
        vec![
            frames.scheduled.to_string(),
            count(frames.generated),
            frames.shown.to_string(),
            format!(
                "{} ({} %)",
                frames.lost,
                percent(frames.lost, frames.scheduled)
            ),
            frames.unread.to_string(),
            frames.duplicate.to_string(),
        ]
    };
    let heads = [
        "scheduled",
        "generated",
        "shown",
        "lost",
        "unread",
        "repeated",
        "OCR read",
        "disagree",
        "first frame",
    ];
    let mut table = Table::new("scenario", &heads);
    for one in &summary.scenarios {
        let mut cells = counts(&one.frames);
        let read = one.ocr.frames.saturating_sub(one.ocr.unread);
        cells.extend([
            format!("{read} of {}", one.ocr.frames),
            format!("{} of {}", one.ocr.disagree, one.ocr.compared),
            known(one.first_frame_us),
        ]);
        table.push(one.name.clone(), class(one.pipeline), cells);
    }
    for floor in &summary.floors {
        table.push(floor.name.clone(), "floor", counts(&floor.frames));
    }
    table.without_empty()
}

/// The table of what a viewer saw.
pub(super) fn seen(summary: &Summary) -> Table {
    let heads = [
        "freezes",
        "longest",
        "frozen for",
        "freezes in disturbed seconds",
        "late",
        "interval σ",
        "interval p99",
        "jitter (RFC 3550)",
        "frames/s",
        "disturbed seconds",
    ];
    let mut table = Table::new("scenario", &heads);
    for one in &summary.scenarios {
        let freezes = one.freezes.as_ref();
        let jitter = one.display.and_then(|display| display.jitter_us);
        let known_ms = |us: Option<f64>| us.map_or_else(String::new, ms);
        let cells = vec![
            count(freezes.map(|freezes| freezes.count)),
            known(freezes.map(|freezes| freezes.longest_us)),
            known(freezes.map(|freezes| freezes.total_us)),
            count(freezes.map(|freezes| freezes.disturbed)),
            count(one.display.map(|display| display.late)),
            known_ms(jitter.map(|jitter| jitter.stddev)),
            known(jitter.map(|jitter| jitter.p99)),
            known_ms(jitter.and_then(|jitter| jitter.rfc3550)),
            one.goodput
                .map_or_else(String::new, |of| format!("{:.2}", of.frames_per_s)),
            one.disturbed_seconds.map_or_else(String::new, |seconds| {
                format!("{seconds:.0} of {:.0}", one.measured_s)
            }),
        ];
        table.push(one.name.clone(), class(one.pipeline), cells);
    }
    table.without_empty()
}
