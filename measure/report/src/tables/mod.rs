//! The tables on the terminal.

mod differences;
pub(crate) mod empty;
mod resources;

use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table};
use timeline::Stage;

use crate::{
    instrument,
    summary::{FrameCounts, Runs, ScenarioSummary, Summary},
    text::{known_us, ms, percent},
};
use empty::empty;
use result::RunState;

/// All tables; `width` in columns, or the terminal's.
pub fn render(summary: &Summary, width: Option<u16>) -> String {
    let mut text = String::new();
    let machine = &summary.machine;
    let state = match summary.state {
        RunState::Finished => "",
        RunState::Running => " (not finished)",
        RunState::Failed => " (failed: a part of the figures is missing)",
        RunState::Interrupted => " (interrupted)",
    };
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "{}{state} on {} cores, {}, {}\n",
        summary.name, machine.cores, machine.cpu, machine.kernel
    );
    for (name, finding) in summary.findings() {
        let _ = writeln!(text, "! {name}: {}", finding.text);
    }
    if summary.findings().next().is_some() {
        text.push('\n');
    }
    let _ = writeln!(
        text,
        "Latency in ms, from generation to the decoder's output; quiet: without disturbed seconds\n{}\n",
        latencies(summary, width)
    );
    let _ = writeln!(text, "Frames\n{}\n", frames(summary, width));
    let _ = writeln!(
        text,
        "As it was seen: freezes are longer than 100 ms; late: the next frame was due before; times in ms\n{}\n",
        differences::seen(summary, width)
    );
    let stages = stages(summary, width);
    if stages.row_count() > 0 {
        let _ = writeln!(
            text,
            "Stages in ms, p50 (mean; the means sum to the mean latency)\n{stages}\n"
        );
    }
    if let Some(table) = resources::resources(summary, width) {
        let _ = writeln!(text, "{}\n{table}\n", resources::TITLE);
    }
    let _ = writeln!(text, "instrument: {}\n", instrument::line(summary));
    if summary.is_ladder() {
        let _ = writeln!(
            text,
            "Ladder, p50 in ms, each step against the one before\n{}\n",
            ladder(summary, width)
        );
    }
    // The steps of a ladder have a table of their own, above.
    if !summary.is_ladder()
        && let Some((table, left)) = differences::render(summary, width)
    {
        let _ = writeln!(
            text,
            "Differences of the p50 in ms, paired by repetition; δ: how much more often a frame of B is slower, -1 to 1\n{table}"
        );
        if left > 0 {
            let _ = writeln!(text, "{left} more are in summary.json");
        }
        text.push('\n');
    }
    for comparison in &summary.comparisons {
        let sustained = if comparison.sustained {
            ""
        } else {
            " (ffmpeg was overloaded)"
        };
        let _ = writeln!(
            text,
            "{}: p50 is {:.1} x that of {}{sustained}",
            comparison.reference, comparison.p50_ratio, comparison.ours
        );
    }
    let notes: Vec<_> = summary
        .scenarios
        .iter()
        .map(|one| (&one.name, &one.notes))
        .chain(summary.floors.iter().map(|one| (&one.name, &one.notes)))
        .flat_map(|(name, notes)| {
            notes
                .iter()
                .map(move |note| format!("  {name}: {}\n", note.text))
        })
        .collect();
    if !notes.is_empty() {
        let _ = write!(text, "\nNotes\n{}", notes.concat());
    }
    text
}

/// Microseconds as milliseconds.
fn known(us: Option<u64>) -> String {
    known_us(us.map(|us| us as f64))
}

fn latencies(summary: &Summary, width: Option<u16>) -> Table {
    let mut table = empty(
        width,
        &[
            "scenario",
            "p50",
            "± 95 %",
            "p90",
            "p95",
            "p99",
            "max",
            "σ",
            "quiet p50",
            "quiet p99",
            "floor p50",
            "floor p99",
        ],
    );
    for one in &summary.scenarios {
        let quiet = one.undisturbed.as_ref().and_then(|quiet| quiet.latency_us);
        let floor = one.floor_us.as_ref();
        let mut cells = vec![title(one)];
        cells.extend(figures(one.latency_us.as_ref()));
        cells.extend([
            known(quiet.map(|quiet| quiet.figures.p50)),
            known(quiet.map(|quiet| quiet.figures.p99)),
            known(floor.map(|floor| floor.p50)),
            known(floor.map(|floor| floor.p99)),
        ]);
        table.add_row(cells);
    }
    for floor in &summary.floors {
        let mut cells = vec![floor.name.clone()];
        cells.extend(figures(floor.latency_us.as_ref()));
        table.add_row(cells);
    }
    let paper = &summary.paper;
    for scenario in &paper.scenarios {
        let mut cells = vec![format!("paper {}", scenario.name)];
        cells.extend([ms(scenario.p50_us as f64), String::new()]);
        cells.push(format!("~{}", ms(scenario.p90_us as f64)));
        if let Some(stddev_us) = scenario.stddev_us {
            cells.extend([String::new(), String::new(), String::new()]);
            cells.push(ms(stddev_us as f64));
        }
        table.add_row(cells);
    }
    table
}

/// A scenario's name, marked where ffmpeg could not keep its pace; the notes say so in words.
fn title(one: &ScenarioSummary) -> String {
    format!("{}{}", one.name, if one.overloaded { " (!)" } else { "" })
}

fn frames(summary: &Summary, width: Option<u16>) -> Table {
    let mut table = empty(
        width,
        &[
            "scenario",
            "runs",
            "seconds",
            "scheduled",
            "generated",
            "shown",
            "lost",
            "lost %",
            "unread",
            "OCR images",
            "OCR read %",
            "disagree",
            "first frame ms",
        ],
    );
    for one in &summary.scenarios {
        let mut cells = vec![
            title(one),
            repetitions(one.runs),
            format!("{:.0}", one.measured_s),
        ];
        cells.extend(counts(&one.frames));
        cells.extend([
            one.ocr.frames.to_string(),
            percent(
                one.ocr.frames.saturating_sub(one.ocr.unread),
                one.ocr.frames,
            ),
            one.ocr.disagree.to_string(),
            known(one.first_frame_us),
        ]);
        table.add_row(cells);
    }
    for floor in &summary.floors {
        let mut cells = vec![floor.name.clone(), repetitions(floor.runs), String::new()];
        cells.extend(counts(&floor.frames));
        table.add_row(cells);
    }
    table
}

/// Those with frames, and of how many where some are missing.
fn repetitions(of: Runs) -> String {
    if of.whole == of.planned {
        of.planned.to_string()
    } else {
        format!("{} of {}", of.whole, of.planned)
    }
}

/// Scheduled, generated, shown, lost, lost in percent, unread.
fn counts(frames: &FrameCounts) -> [String; 6] {
    [
        frames.scheduled.to_string(),
        frames
            .generated
            .map_or_else(|| "-".into(), |generated| generated.to_string()),
        frames.shown.to_string(),
        frames.lost.to_string(),
        percent(frames.lost, frames.scheduled),
        frames.unread.to_string(),
    ]
}

/// p50, its interval's half width, p90, p95, p99, max, σ.
fn figures(latency: Option<&crate::summary::LatencyUs>) -> Vec<String> {
    let Some(latency) = latency else {
        return vec!["-".into(); 7];
    };
    let figures = latency.figures;
    let half = latency
        .p50_ci
        .map_or_else(String::new, |[low, high]| ms((high - low) as f64 / 2.0));
    vec![
        ms(figures.p50 as f64),
        half,
        ms(figures.p90 as f64),
        ms(figures.p95 as f64),
        ms(figures.p99 as f64),
        ms(figures.max as f64),
        ms(figures.stddev),
    ]
}

fn stages(summary: &Summary, width: Option<u16>) -> Table {
    let mut headers = vec!["scenario"];
    headers.extend(Stage::ALL.map(Stage::as_str));
    headers.extend(["codec %", "all points %", "max gap us"]);
    let mut table = empty(width, &headers);
    let cells = |stages: &std::collections::BTreeMap<String, crate::summary::StageUs>| {
        Stage::ALL.map(|stage| {
            stages.get(stage.as_str()).map_or_else(
                || "-".into(),
                |of| format!("{} ({})", ms(of.p50 as f64), ms(of.mean)),
            )
        })
    };
    for one in &summary.scenarios {
        let Some(stages) = &one.stages_us else {
            continue;
        };
        let mut row = vec![one.name.clone()];
        row.extend(cells(stages));
        row.push(
            one.codec_share
                .map_or_else(|| "-".into(), |share| format!("{:.1}", share * 100.0)),
        );
        let points = one.points.as_ref();
        row.extend([
            points.map_or_else(
                || "-".into(),
                |points| format!("{:.2}", points.complete_share * 100.0),
            ),
            points.map_or_else(|| "-".into(), |points| points.max_gap_us.to_string()),
        ]);
        table.add_row(row);
    }
    for floor in &summary.floors {
        let mut row = vec![floor.name.clone()];
        row.extend(cells(&floor.stages_us));
        table.add_row(row);
    }
    table
}

fn ladder(summary: &Summary, width: Option<u16>) -> Table {
    let mut table = empty(width, &["step", "p50", "change", "", ""]);
    if let Some(column) = table.column_mut(4) {
        column.set_cell_alignment(CellAlignment::Left);
    }
    let mut before: Option<f64> = None;
    for one in &summary.scenarios {
        let Some(latency) = &one.latency_us else {
            table.add_row([one.name.clone(), "-".into()]);
            continue;
        };
        let p50 = latency.figures.p50 as f64;
        let change = before.map_or_else(String::new, |before| {
            format!(
                "{}{}",
                if p50 > before { "+" } else { "" },
                ms(p50 - before)
            )
        });
        let times = before
            .filter(|_| p50 > 0.0)
            .map_or_else(String::new, |before| format!("{:.2} x", p50 / before));
        table.add_row([one.name.clone(), ms(p50), change, times, bar(p50)]);
        before = Some(p50);
    }
    table
}

/// A bar on a logarithmic scale: from 1 ms, ten characters for each factor of ten.
fn bar(us: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to the width of a bar"
    )]
    let length = ((us.max(1.0) / 1e3).log10() * 10.0)
        .clamp(0.0, 40.0)
        .round() as usize;
    "█".repeat(length.max(1))
}

#[cfg(test)]
mod tests {
    use settings::{Compare, Presentation};

    use super::*;

    #[test]
    fn everything_that_counts_is_on_the_terminal() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let folder = crate::summary::tests::result(dir.path());
        let summary = crate::write(&folder).expect("a result");
        let text = render(&summary, Some(200));
        for word in [
            "ours-udp-360p25",
            "reference-360p25",
            "floor-640x360-25",
            "paper s1 single cluster",
            "762",
            "reference-360p25: p50 is",
            "encode",
            "disturbed in 1 of 10",
        ] {
            assert!(text.contains(word), "{word} is missing in\n{text}");
        }
        assert!(!text.contains("Ladder"));
        let mut summary = summary;
        summary.presentation = Some(Presentation {
            compare: Compare::Steps,
        });
        let text = render(&summary, Some(100));
        assert!(text.contains("Ladder") && text.contains("█"), "{text}");
        let page = std::fs::read_to_string(folder.report_html()).expect("a page");
        for word in [
            "<svg",
            "ours-udp-360p25",
            "prefers-color-scheme",
            "<caption",
        ] {
            assert!(page.contains(word), "{word} is missing in the page");
        }
        for loads in [
            "src=\"http",
            "srcset=",
            "<link rel=\"stylesheet",
            "@import",
            "url(http",
        ] {
            assert!(!page.contains(loads), "{loads} is in the page");
        }
    }
}
