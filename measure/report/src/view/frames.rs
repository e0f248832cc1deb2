//! What became of the frames, and how evenly a viewer saw them.

use super::table::Table;
use crate::{
    summary::{FrameCounts, Runs, ScenarioSummary, Summary, seconds},
    text::{ms, percent, whole_ms},
};

/// What a row of the table of frames is of; a floor is no scenario.
struct Of<'a> {
    runs: Runs,
    frames: FrameCounts,
    pictures: Option<u64>,
    scenario: Option<&'a ScenarioSummary>,
}

/// The table of frames.
pub(super) fn frames(summary: &Summary) -> Table {
    let scenarios = summary.scenarios.iter().map(|one| {
        let of = Of {
            runs: one.runs,
            frames: one.frames,
            pictures: one.pictures,
            scenario: Some(one),
        };
        (one.into(), of)
    });
    let floors = summary.floors.iter().map(|one| {
        let of = Of {
            runs: one.runs,
            frames: one.frames,
            pictures: one.pictures,
            scenario: None,
        };
        (one.into(), of)
    });
    let ocr = |of: &Of<'_>| Some(of.scenario?.ocr).filter(|ocr| ocr.frames > 0);
    Table::of(
        "Frames",
        "Runs: completed repetitions with frames. Pictures: distinct ones of the source among the shown frames. \
         Lost: scheduled and not shown, frames that were never produced among them. Unread: shown, and their stamp could not be read. \
         Damaged: pictures of which packets never came. Duplicate: pictures of frames that had been shown before. OCR read: images that Tesseract read. Disagree: images for \
         which digits and blocks say different things. First frame: from the client’s start.",
        "scenario",
        scenarios.chain(floors),
    )
    .number("runs", |of| {
        let Runs { whole, planned, .. } = of.runs;
        Some(if whole == planned {
            planned.to_string()
        } else {
            format!("{whole} of {planned}")
        })
    })
    .number("seconds", |of| Some(format!("{:.0}", of.scenario?.measured_s)))
    .number("scheduled", |of| Some(of.frames.scheduled.to_string()))
    .number("generated", |of| Some(of.frames.generated?.to_string()))
    .number("shown", |of| Some(of.frames.shown.to_string()))
    .number("pictures", |of| Some(of.pictures?.to_string()))
    .number("lost", |of| Some(of.frames.lost.to_string()))
    .number("lost", |of| percent(of.frames.lost, of.frames.scheduled))
    .unit("%")
    .number("unreported", |of| {
        Some(of.frames.unreported.to_string()).filter(|_| of.frames.unreported > 0)
    })
    .number("unread", |of| Some(of.frames.unread.to_string()))
    .number("damaged", |of| Some(of.frames.damaged.to_string()))
    .number("duplicate", |of| Some(of.frames.duplicate.to_string()))
    .number("OCR read", |of| {
        let ocr = ocr(of)?;
        let read = ocr.frames.saturating_sub(ocr.unread);
        Some(format!("{read} of {}", ocr.frames))
    })
    .number("disagree", |of| {
        let ocr = ocr(of)?;
        Some(format!("{} of {}", ocr.disagree, ocr.compared))
    })
    .number("first frame", |of| of.scenario?.first_frame_us.map(whole_ms))
    .unit("ms")
    .build()
}

/// The table of what a viewer saw.
pub(super) fn seen(summary: &Summary) -> Table {
    let bound_ms = summary.paper.xr_bound_us as f64 / 1e3;
    Table::of(
        "What a viewer saw",
        "Freeze: no new picture for more than three frame intervals, or 150 ms more than one, whichever is longer. Frozen: pictures of the frame that was shown right before. Late: more than \
         a frame interval above its repetition’s p50. Interval: the time between two new pictures; σ is its standard \
         deviation, p99 how far it is from a frame interval. Frames/s: distinct frames shown. Disturbed: seconds in which \
         something else kept the machine busy.",
        "scenario",
        summary.scenarios.iter().map(|one| (one.into(), one)),
    )
    .number("freezes", |one| Some(one.freezes.as_ref()?.count.to_string()))
    .number("longest", |one| Some(whole_ms(one.freezes.as_ref()?.longest_us)))
    .unit("ms")
    .number("in all", |one| Some(whole_ms(one.freezes.as_ref()?.total_us)))
    .unit("ms")
    .detail()
    .number("in disturbed seconds", |one| {
        let freezes = one.freezes.as_ref().filter(|of| of.disturbed > 0)?;
        Some(format!("{} of {}", freezes.disturbed, freezes.count))
    })
    .number("frozen", |one| Some(one.display?.frozen.to_string()))
    .number("late", |one| Some(one.display?.late.to_string()))
    .number(&format!("over {bound_ms} ms"), |one| {
        percent(one.display?.over_xr_bound, one.frames.shown)
    })
    .unit("%")
    .number("interval σ", |one| Some(ms(one.display?.jitter_us?.stddev)))
    .unit("ms")
    .number("interval p99", |one| Some(whole_ms(one.display?.jitter_us?.p99)))
    .unit("ms")
    .number("jitter (RFC 3550)", |one| one.display?.jitter_us?.rfc3550.map(ms))
    .unit("ms")
    .detail()
    .number("frames/s", |one| Some(format!("{:.2}", one.goodput?.frames_per_s)))
    .number("disturbed", |one| {
        let disturbed = seconds(one.disturbed_seconds?);
        Some(format!("{disturbed} of {}", seconds(one.measured_s)))
    })
    .unit("s")
    .build()
}
