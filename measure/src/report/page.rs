//! `report.html`: one file that needs no network, for screens, phones and paper.

use anyhow::Context as _;
use minijinja::{Environment, value::Serde};
use serde::Serialize;
use timeline::Stage;

use super::{
    charts::{self, BoxRow, Kind, StageRow},
    is_ladder, ms, percent,
    series::series,
};
use crate::{
    folder::Pipeline,
    stats::Measured,
    summary::{FrameCounts, LatencyUs, Loaded, Summary},
};

/// Repetitions of a scenario that are drawn over time; the figures are of all.
const DRAWN_RUNS: usize = 3;

/// What the template is filled with.
#[derive(Serialize)]
struct Page<'a> {
    summary: &'a Summary,
    ladder: Vec<Row>,
    latencies: Vec<Row>,
    frames: Vec<Row>,
    boxes: String,
    waterfall: String,
    over_time: Vec<Figure>,
    stage_names: [&'static str; 5],
    stages: Vec<Row>,
    command: String,
    scenario: String,
    started: String,
    commands: Vec<(String, Vec<String>)>,
    order: Vec<String>,
    seed: u64,
}

/// A drawing with what it shows in words.
#[derive(Serialize)]
struct Figure {
    title: String,
    svg: String,
}

/// A row of a table, as texts.
#[derive(Serialize)]
struct Row {
    name: String,
    kind: &'static str,
    cells: Vec<String>,
}

/// The page.
pub(super) fn render(summary: &Summary, loaded: &Loaded) -> anyhow::Result<String> {
    let mut environment = Environment::new();
    environment.add_filter("ms", |us: f64| ms(us));
    environment
        .add_template("report.html", include_str!("page.html"))
        .context("the page's template is wrong")?;
    let template = environment.get_template("report.html")?;
    let merged: Vec<(&str, Pipeline, Measured)> = loaded
        .scenarios
        .iter()
        .map(|one| (one.info.name.as_str(), one.info.pipeline, one.merged()))
        .filter(|(_, _, measured)| measured.figures().is_some())
        .collect();
    let page = Page {
        summary,
        ladder: ladder(summary),
        latencies: latencies(summary),
        frames: frames(summary),
        boxes: boxes(&merged, summary)?,
        waterfall: waterfall(summary)?,
        over_time: over_time(loaded)?,
        stage_names: Stage::ALL.map(Stage::as_str),
        stages: stages(summary),
        command: loaded.info.command.join(" "),
        scenario: serde_json::to_string_pretty(&loaded.info.scenario)?,
        started: when(summary.started_us.0),
        commands: commands(loaded),
        order: loaded
            .info
            .order
            .iter()
            .map(|slot| format!("{} run {}", slot.scenario, slot.run))
            .collect(),
        seed: loaded.info.seed,
    };
    Ok(template.render(Serde(&page))?)
}

const fn kind(pipeline: Pipeline) -> Kind {
    match pipeline {
        Pipeline::Ours => Kind::Ours,
        Pipeline::Floor => Kind::Floor,
        Pipeline::Reference | Pipeline::ReferenceTuned => Kind::Reference,
    }
}

fn boxes(merged: &[(&str, Pipeline, Measured)], summary: &Summary) -> anyhow::Result<String> {
    let rows: Vec<_> = merged
        .iter()
        .map(|(name, pipeline, measured)| BoxRow {
            name,
            kind: kind(*pipeline),
            histogram: &measured.all.histogram,
        })
        .collect();
    charts::boxes(&rows, &summary.paper)
}

fn waterfall(summary: &Summary) -> anyhow::Result<String> {
    let pipelines = summary
        .scenarios
        .iter()
        .filter_map(|one| Some((&one.name, one.stages_us.as_ref()?)));
    let floors = summary.floors.iter().map(|one| (&one.name, &one.stages_us));
    let rows: Vec<_> = pipelines
        .chain(floors)
        .filter(|(_, stages)| !stages.is_empty())
        .map(|(name, stages)| StageRow {
            name,
            stages: Stage::ALL.map(|stage| stages.get(stage.as_str())),
        })
        .collect();
    if rows.is_empty() {
        return Ok(String::new());
    }
    charts::waterfall(&rows)
}

fn over_time(loaded: &Loaded) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for scenario in &loaded.scenarios {
        if scenario.info.pipeline == Pipeline::Floor {
            continue;
        }
        for run in scenario.runs.iter().take(DRAWN_RUNS) {
            if let Some(series) = series(run) {
                let title = if scenario.runs.len() > 1 {
                    format!("{}, run {}", scenario.info.name, run.meta.run)
                } else {
                    scenario.info.name.clone()
                };
                let svg = charts::over_time(&format!("Latency over time of {title}"), &series)?;
                figures.push(Figure { title, svg });
            }
        }
    }
    Ok(figures)
}

/// Microseconds as milliseconds; nothing where unknown.
fn known(us: Option<u64>) -> String {
    us.map_or_else(String::new, |us| ms(us as f64))
}

/// p50, its interval, p90, p95, p99, max, σ.
fn figures(latency: Option<&LatencyUs>) -> Vec<String> {
    let Some(latency) = latency else {
        return vec![String::new(); 7];
    };
    let interval = latency
        .p50_interval
        .map_or_else(String::new, |[low, high]| {
            format!("{} to {}", ms(low as f64), ms(high as f64))
        });
    let of = latency.figures;
    vec![
        ms(of.p50 as f64),
        interval,
        ms(of.p90 as f64),
        ms(of.p95 as f64),
        ms(of.p99 as f64),
        ms(of.max as f64),
        ms(of.stddev),
    ]
}

const fn class(pipeline: Pipeline) -> &'static str {
    match kind(pipeline) {
        Kind::Ours => "ours",
        Kind::Floor => "floor",
        Kind::Reference => "reference",
    }
}

fn latencies(summary: &Summary) -> Vec<Row> {
    let mut rows = Vec::new();
    for one in &summary.scenarios {
        let quiet = one.undisturbed.as_ref().and_then(|quiet| quiet.latency_us);
        let floor = one.floor_us.as_ref();
        let mut cells = figures(one.latency_us.as_ref());
        cells.extend([
            known(quiet.map(|quiet| quiet.figures.p50)),
            known(quiet.map(|quiet| quiet.figures.p99)),
            known(floor.map(|floor| floor.p50)),
            known(floor.map(|floor| floor.p99)),
        ]);
        rows.push(Row {
            name: format!(
                "{}{}",
                one.name,
                if one.overloaded { " (overloaded)" } else { "" }
            ),
            kind: class(one.pipeline),
            cells,
        });
    }
    for floor in &summary.floors {
        let mut cells = figures(floor.latency_us.as_ref());
        cells.resize(11, String::new());
        rows.push(Row {
            name: floor.name.clone(),
            kind: "floor",
            cells,
        });
    }
    for scenario in &summary.paper.scenarios {
        let mut cells = vec![String::new(); 11];
        cells[0] = ms(scenario.p50_us as f64);
        cells[2] = format!("about {}", ms(summary.paper.p90_us as f64));
        if scenario.name.starts_with("s1") {
            cells[6] = ms(summary.paper.stddev_us as f64);
        }
        rows.push(Row {
            name: format!("paper {}", scenario.name),
            kind: "paper",
            cells,
        });
    }
    rows
}

/// Each step against the one before it, where the scenarios are steps.
fn ladder(summary: &Summary) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut before: Option<f64> = None;
    for one in summary.scenarios.iter().filter(|_| is_ladder(summary)) {
        let p50 = one.latency_us.map(|latency| latency.figures.p50 as f64);
        let change = before.zip(p50).map_or_else(String::new, |(before, p50)| {
            format!(
                "{}{}",
                if p50 > before { "+" } else { "" },
                ms(p50 - before)
            )
        });
        rows.push(Row {
            name: one.name.clone(),
            kind: class(one.pipeline),
            cells: vec![p50.map_or_else(String::new, ms), change],
        });
        before = p50.or(before);
    }
    rows
}

fn frames(summary: &Summary) -> Vec<Row> {
    let counts = |frames: &FrameCounts| {
        vec![
            frames.scheduled.to_string(),
            frames
                .generated
                .map_or_else(String::new, |generated| generated.to_string()),
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
    let mut rows = Vec::new();
    for one in &summary.scenarios {
        let mut cells = counts(&one.frames);
        let read = one.ocr.frames.saturating_sub(one.ocr.unread);
        cells.extend([
            format!("{read} of {}", one.ocr.frames),
            format!("{} of {}", one.ocr.disagree, one.ocr.compared),
            known(one.first_frame_us),
        ]);
        rows.push(Row {
            name: one.name.clone(),
            kind: class(one.pipeline),
            cells,
        });
    }
    for floor in &summary.floors {
        let mut cells = counts(&floor.frames);
        cells.resize(9, String::new());
        rows.push(Row {
            name: floor.name.clone(),
            kind: "floor",
            cells,
        });
    }
    rows
}

fn stages(summary: &Summary) -> Vec<Row> {
    let cells =
        |stages: &std::collections::BTreeMap<String, crate::summary::StageUs>| -> Vec<String> {
            Stage::ALL
                .iter()
                .map(|stage| {
                    stages.get(stage.as_str()).map_or_else(String::new, |of| {
                        format!(
                            "{} / {} / {}",
                            ms(of.p50 as f64),
                            ms(of.p99 as f64),
                            ms(of.mean)
                        )
                    })
                })
                .collect()
        };
    let mut rows = Vec::new();
    for one in &summary.scenarios {
        if let Some(stages) = &one.stages_us {
            let mut of = cells(stages);
            of.push(
                one.codec_share
                    .map_or_else(String::new, |share| format!("{:.1} %", share * 100.0)),
            );
            of.push(one.points.as_ref().map_or_else(String::new, |points| {
                format!("{:.2} %", points.complete_share * 100.0)
            }));
            rows.push(Row {
                name: one.name.clone(),
                kind: "ours",
                cells: of,
            });
        }
    }
    for floor in &summary.floors {
        let mut of = cells(&floor.stages_us);
        of.extend([String::new(), String::new()]);
        rows.push(Row {
            name: floor.name.clone(),
            kind: "floor",
            cells: of,
        });
    }
    rows
}

/// The command lines of each scenario's first repetition.
fn commands(loaded: &Loaded) -> Vec<(String, Vec<String>)> {
    loaded
        .scenarios
        .iter()
        .filter_map(|one| {
            let run = one.runs.first()?;
            let lines = run
                .meta
                .processes
                .iter()
                .map(|process| process.command.join(" "))
                .collect();
            Some((one.info.name.clone(), lines))
        })
        .collect()
}

/// A time of the Unix epoch as people write it, in UTC: year-month-day hour:minute.
fn when(us: u64) -> String {
    let minutes = us / 60_000_000;
    let (days, minute) = (minutes / 1_440, minutes % 1_440);
    // Civil date from days since 1970-01-01: years run from March, so that the leap day is their last.
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let of_era = shifted % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!(
        "{year}-{month:02}-{day:02} {:02}:{:02} UTC",
        minute / 60,
        minute % 60
    )
}

#[cfg(test)]
mod tests {
    use super::when;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(when(0), "1970-01-01 00:00 UTC");
        assert_eq!(when(951_782_400_000_000), "2000-02-29 00:00 UTC");
        assert_eq!(when(1_795_315_541_000_000), "2026-11-22 02:45 UTC");
        assert_eq!(when(1_767_225_599_000_000), "2025-12-31 23:59 UTC");
    }
}
