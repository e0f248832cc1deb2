//! `report.html`: one file that needs no network and no script, for screens, phones, paper and screen readers.

mod differences;
mod distributions;
mod events;
mod figure;
mod frames;
mod latency;
mod merged;
mod over_time;
mod paths;
mod repeat;
mod resources;
mod stages;
mod table;

use anyhow::Context as _;
use minijinja::{Environment, value::Serde};
use serde::Serialize;

use crate::{
    instrument,
    summary::{Loaded, Summary},
};
use figure::Figure;
use result::RunFolder;
use table::Table;

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
    let merged = merged::merged(loaded);
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
