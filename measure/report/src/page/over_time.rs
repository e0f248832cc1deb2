//! Latency over time, each scenario's repetitions one after the other, with what happened in them.

use serde::Serialize;

use super::{figure::Figure, merged::MergedScenario};
use crate::{
    charts::{self, Alt, OverTime},
    series::{Series, series},
    summary::{LoadedRepetition, MIN_P99_PICTURES, seconds},
    text::{ms, percent, whole_ms},
    view::{Class, Row, Table},
};
use result::{Pipeline, RunFolder};
use stats::Exact;

/// The largest number of bins in a drawing, all repetitions together.
const MAX_BINS: u64 = 600;

/// The section of a scenario over time.
#[derive(Debug, Serialize)]
pub(super) struct Section {
    name: String,
    figure: Figure,
    /// The table of repetitions.
    runs: Table,
    /// The table of events.
    events: Table,
}

/// A section for each scenario that has samples.
pub(super) fn sections(
    folder: &RunFolder,
    merged: &[MergedScenario<'_>],
) -> anyhow::Result<Vec<Section>> {
    let drawn = merged.iter().filter(|one| !one.is(Pipeline::Floor));
    // Ours share an axis, so that they can be compared; what is far above would flatten them.
    let top = |one: &MergedScenario<'_>| one.quantile_ms(0.995) * 1.3;
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
    one: &MergedScenario<'_>,
    number: usize,
    top_ms: f64,
) -> anyhow::Result<Option<Section>> {
    let bins = MAX_BINS / u64::try_from(one.scenario.runs.len().max(1))?;
    let (mut drawn, mut all, mut next) = (Vec::new(), Vec::new(), 1);
    for run in &one.scenario.runs {
        let (Some(mut series), Some(window)) = (series(run, bins.max(20)), run.window) else {
            continue;
        };
        let path = folder.repetition(one.name(), run.meta.run).events_csv();
        series.events = super::events::read(&path, window, next)?;
        next += series.events.len();
        drawn.push(run);
        all.push(series);
    }
    if drawn.is_empty() {
        return Ok(None);
    }
    let said = in_words(&all);
    let alt = Alt {
        id: format!("time-{number}"),
        title: format!("Latency over time of {}", one.name()),
        description: said.clone(),
    };
    let of = OverTime {
        runs: &all,
        top_ms,
        ink: one.ink,
    };
    Ok(Some(Section {
        name: one.name().to_owned(),
        figure: Figure::new(alt, said, |alt| charts::over_time(alt, &of))?,
        runs: runs(one.name(), &drawn, &all),
        events: events(one.name(), &all),
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
        "{runs}: slowest frame {} ms; {freezes}; seconds disturbed: {}.",
        ms(highest),
        seconds(disturbed)
    )
}

/// Each repetition in figures.
fn runs(name: &str, drawn: &[&LoadedRepetition], all: &[Series]) -> Table {
    let rows = drawn.iter().zip(all).map(|of| {
        let meta = &of.0.meta;
        let row = Row::new(format!("run {}", meta.run), meta.pipeline.into());
        (row, of)
    });
    let figure = |run: &LoadedRepetition, of: fn(&Exact) -> i64| {
        let figures = run.measured.figures()?;
        Some(whole_ms(of(&figures)))
    };
    Table::of(
        &format!("Repetitions of {name}"),
        "Latencies and freezes in milliseconds.",
        "repetition",
        rows,
    )
    .number("shown", |(run, _)| {
        Some(run.measured.all.frames.shown.to_string())
    })
    .number("lost", |(run, _)| {
        Some(run.measured.all.frames.lost.to_string())
    })
    .number("lost", |(run, _)| {
        let frames = run.measured.all.frames;
        percent(frames.lost, frames.scheduled)
    })
    .unit("%")
    .number("p50", |(run, _)| figure(run, |of| of.p50))
    .number("p99", |(run, _)| {
        figure(run, |of| of.p99).filter(|_| run.measured.samples.len() as u64 >= MIN_P99_PICTURES)
    })
    .number("max", |(run, _)| figure(run, |of| of.max))
    .number("freezes", |(_, series)| Some(series.gaps.len().to_string()))
    .number("longest freeze", |(_, series)| {
        let longest = series.longest_gap_s();
        (longest > 0.0).then(|| ms(longest * 1e6))
    })
    .number("disturbed seconds", |(_, series)| {
        Some(format!("{:.0}", series.disturbed_s()))
    })
    .build()
}

/// What happened in the repetitions; without rows where nothing did.
fn events(name: &str, all: &[Series]) -> Table {
    let rows = all.iter().flat_map(|series| {
        let events = series.events.iter();
        events.map(|event| {
            let row = Row::new(event.number.to_string(), Class::Ours);
            (row, (series.run, event))
        })
    });
    Table::of(
        &format!("Events of {name}"),
        "What happened while frames were measured; the second counts from the beginning of the repetition’s measuring.",
        "number",
        rows,
    )
    .number("run", |(run, _)| Some(run.to_string()))
    .number("second", |(_, event)| Some(format!("{:.2}", event.at_s)))
    .prose("event", |(_, event)| {
        let text = format!("{} {} {}", event.what, event.who, event.detail);
        Some(text.trim_end().to_owned())
    })
    .build()
}
