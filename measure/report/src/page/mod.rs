//! `report.html`: one file that needs no network and no script, for screens, phones, paper and screen readers.

mod differences;
mod distributions;
mod events;
mod frames;
mod latency;
mod over_time;
mod paths;
mod repeat;
mod resources;
mod stages;
mod table;

use anyhow::Context as _;
use minijinja::{Environment, value::Serde};
use serde::Serialize;

use self::table::Table;
use super::{charts::Ink, instrument, ms};
use crate::summary::{Loaded, LoadedScenario, Summary};
use result::{Pipeline, RunFolder};
use stats::Measured;

/// The templates, each a part of the page.
const TEMPLATES: [(&str, &str); 9] = [
    ("report.html", include_str!("page.html")),
    ("style.css", include_str!("style.css")),
    ("parts.html", include_str!("parts.html")),
    ("latency.html", include_str!("latency.html")),
    ("differences.html", include_str!("differences.html")),
    ("resources.html", include_str!("resources.html")),
    ("frames.html", include_str!("frames.html")),
    ("trust.html", include_str!("trust.html")),
    ("repeat.html", include_str!("repeat.html")),
];

/// What the templates are filled with.
#[derive(Serialize)]
struct Page<'a> {
    summary: &'a Summary,
    started: String,
    findings: Vec<String>,
    bound: String,
    verdicts: Vec<latency::Verdict>,
    figure5: Vec<Figure>,
    latencies: Table,
    ladder: Option<Table>,
    differences: Option<differences::Differences>,
    distributions: Vec<Figure>,
    waterfall: Option<Figure>,
    stages: Table,
    over_time: Vec<over_time::Section>,
    frames: Table,
    seen: Table,
    resources: Option<resources::Resources>,
    paths: Option<paths::Paths>,
    crossings: Vec<String>,
    instrument: String,
    lacked: Vec<String>,
    notes: Vec<paths::Note>,
    repeat: repeat::Repeat,
}

/// A drawing with what it shows in words.
#[derive(Debug, Serialize)]
struct Figure {
    id: String,
    title: String,
    caption: String,
    svg: String,
}

/// A scenario with its repetitions merged.
struct Merged<'a> {
    scenario: &'a LoadedScenario,
    measured: Measured,
    /// Its colour.
    ink: Ink,
}

impl Merged<'_> {
    fn name(&self) -> &str {
        &self.scenario.info.name
    }

    /// The number of the paper's scenario that it repeats.
    fn paper(&self) -> Option<u8> {
        self.scenario.info.paper
    }

    fn is(&self, pipeline: Pipeline) -> bool {
        self.scenario.info.pipeline == pipeline
    }

    /// The latency that `share` (0 to 1) of the frames do not exceed, in milliseconds.
    fn quantile_ms(&self, share: f64) -> f64 {
        let us = self.measured.all.histogram.quantile_us(share);
        us.unwrap_or(0) as f64 / 1e3
    }
}

/// The page.
pub(super) fn render(
    folder: &RunFolder,
    summary: &Summary,
    loaded: &Loaded,
) -> anyhow::Result<String> {
    let mut environment = Environment::new();
    for (name, text) in TEMPLATES {
        environment
            .add_template(name, text)
            .with_context(|| format!("the page's template {name} is wrong"))?;
    }
    let merged = merged(loaded);
    let page = Page {
        summary,
        started: result::date::to_the_minute(summary.started_us),
        findings: summary
            .findings()
            .map(|(name, finding)| format!("{name}: {}", finding.text))
            .collect(),
        bound: (summary.paper.xr_bound_us as f64 / 1e3).to_string(),
        verdicts: latency::verdicts(&merged, summary),
        figure5: latency::figures(&merged, summary)?,
        latencies: latency::table(&merged, summary),
        ladder: latency::ladder(summary),
        differences: differences::differences(summary)?,
        distributions: distributions::figures(&merged, summary)?,
        waterfall: stages::figure(summary)?,
        stages: stages::table(summary),
        over_time: over_time::sections(folder, &merged)?,
        frames: frames::table(summary),
        seen: frames::seen(summary),
        resources: resources::resources(&merged, summary)?,
        paths: paths::paths(loaded),
        crossings: paths::crossings(loaded),
        instrument: instrument::line(summary),
        lacked: paths::lacked(summary, loaded),
        notes: paths::notes(summary),
        repeat: repeat::repeat(loaded)?,
    };
    Ok(environment
        .get_template("report.html")?
        .render(Serde(&page))?)
}

/// Scenarios that have samples, in the order of the file; floors and references are among them.
fn merged(loaded: &Loaded) -> Vec<Merged<'_>> {
    let mut number = 0;
    loaded
        .scenarios
        .iter()
        .map(|scenario| {
            let ink = if scenario.info.pipeline == Pipeline::Floor {
                Ink::Quiet
            } else {
                number += 1;
                let of_paper = scenario.info.paper.map(usize::from);
                Ink::Series(of_paper.unwrap_or(number).saturating_sub(1))
            };
            Merged {
                scenario,
                measured: scenario.merged(),
                ink,
            }
        })
        .filter(|one| one.measured.figures().is_some())
        .collect()
}

const fn class(pipeline: Pipeline) -> &'static str {
    match pipeline {
        Pipeline::Ours => "ours",
        Pipeline::Floor => "floor",
        Pipeline::Reference | Pipeline::ReferenceTuned => "reference",
    }
}

/// Microseconds as milliseconds; nothing where unknown.
fn known(us: Option<u64>) -> String {
    us.map_or_else(String::new, |us| ms(us as f64))
}
