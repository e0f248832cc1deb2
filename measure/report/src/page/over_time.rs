//! Latency over time, each scenario's repetitions one after the other, with what happened in them.

use serde::Serialize;

use super::{
    events,
    figure::Figure,
    merged::Merged,
    table::{Table, class},
};
use crate::{
    charts::{self, Alt, OverTime},
    series::{Series, series},
    summary::LoadedRun,
    text::{ms, percent},
};
use result::{Pipeline, RunFolder};

/// Bins of a drawing at most, all repetitions together.
const MAX_BINS: u64 = 600;

/// A scenario over time.
#[derive(Debug, Serialize)]
pub(super) struct Section {
    name: String,
    figure: Figure,
    /// Each repetition in figures.
    runs: Table,
    /// What happened; none where nothing did.
    events: Option<Table>,
}

/// A section for each scenario that has samples.
pub(super) fn sections(folder: &RunFolder, merged: &[Merged<'_>]) -> anyhow::Result<Vec<Section>> {
    let drawn = merged.iter().filter(|one| !one.is(Pipeline::Floor));
    // Ours share an axis, so that they can be compared; what is far above would flatten them.
    let top = |one: &Merged<'_>| one.quantile_ms(0.995) * 1.3;
    let ours = merged
        .iter()
        .filter(|one| one.is(Pipeline::Ours))
        .map(top)
        .fold(0.0, f64::max);
    let mut sections = Vec::new();
    for (number, one) in drawn.enumerate() {
        let top_ms = if one.is(Pipeline::Ours) {
            ours
        } else {
            top(one)
        };
        sections.extend(section(folder, one, number, top_ms)?);
    }
    Ok(sections)
}

fn section(
    folder: &RunFolder,
    one: &Merged<'_>,
    number: usize,
    top_ms: f64,
) -> anyhow::Result<Option<Section>> {
    let bins = MAX_BINS / u64::try_from(one.scenario.runs.len().max(1))?;
    let mut rows = Table::new("repetition", &RUN_HEADS);
    let mut happened = Table::new("number", &["run", "second", "event"]).words(&[2]);
    let (mut all, mut next) = (Vec::new(), 1);
    for run in &one.scenario.runs {
        let (Some(mut series), Some(window)) = (series(run, bins.max(20)), run.window) else {
            continue;
        };
        let path = folder.repetition(one.name(), run.meta.run).events_csv();
        series.events = events::read(&path, window, next)?;
        next += series.events.len();
        for event in &series.events {
            let cells = vec![
                run.meta.run.to_string(),
                format!("{:.2}", event.at_s),
                format!("{} {} {}", event.what, event.who, event.detail)
                    .trim_end()
                    .to_owned(),
            ];
            happened.push(event.number.to_string(), "ours", cells);
        }
        rows.push(
            format!("run {}", run.meta.run),
            class(run.meta.pipeline),
            cells(run, &series),
        );
        all.push(series);
    }
    if all.is_empty() {
        return Ok(None);
    }
    let id = format!("time-{number}");
    let title = format!("Latency over time of {}", one.name());
    let alt = Alt {
        id: id.clone(),
        title: title.clone(),
        description: in_words(&all),
    };
    let of = OverTime {
        runs: &all,
        top_ms,
        ink: one.ink,
    };
    Ok(Some(Section {
        name: one.name().to_owned(),
        figure: Figure {
            id,
            svg: charts::over_time(&alt, &of)?,
            title,
            caption: in_words(&all),
        },
        runs: rows,
        events: (next > 1).then_some(happened),
    }))
}

fn in_words(all: &[Series]) -> String {
    let freezes: usize = all.iter().map(|run| run.gaps.len()).sum();
    let longest = all.iter().map(Series::longest_gap_s).fold(0.0, f64::max);
    let disturbed: f64 = all.iter().map(Series::disturbed_s).sum();
    let highest = all
        .iter()
        .flat_map(|run| &run.bins)
        .map(|bin| bin.max_us)
        .fold(0.0, f64::max);
    let freezes = match freezes {
        0 => "no freeze".to_owned(),
        1 => format!("one freeze of {} ms", ms(longest * 1e6)),
        many => format!("{many} freezes, the longest {} ms", ms(longest * 1e6)),
    };
    let runs = match all.len() {
        1 => "One repetition".to_owned(),
        many => format!("{many} repetitions"),
    };
    format!(
        "{runs}: slowest frame {} ms; {freezes}; seconds disturbed: {disturbed:.0}.",
        ms(highest)
    )
}

/// The columns of the table of repetitions.
const RUN_HEADS: [&str; 8] = [
    "shown",
    "lost",
    "p50",
    "p99",
    "max",
    "freezes",
    "longest freeze",
    "disturbed seconds",
];

fn cells(run: &LoadedRun, series: &Series) -> Vec<String> {
    let frames = run.measured.all.frames;
    let figures = run.measured.figures();
    let figure = |of: fn(&timeline::hist::Figures) -> u64| {
        figures.map_or_else(String::new, |figures| ms(of(&figures) as f64))
    };
    let longest = series.longest_gap_s();
    let lost = percent(frames.lost, frames.scheduled);
    vec![
        frames.shown.to_string(),
        format!("{} ({lost} %)", frames.lost),
        figure(|of| of.p50),
        figure(|of| of.p99),
        figure(|of| of.max),
        series.gaps.len().to_string(),
        if longest > 0.0 {
            ms(longest * 1e6)
        } else {
            String::new()
        },
        format!("{:.0}", series.disturbed_s()),
    ]
}
