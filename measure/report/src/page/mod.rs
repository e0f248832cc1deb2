//! `report.html`: one file that needs no network and no script, for screens, phones, paper and screen readers.

mod differences;
mod distributions;
mod events;
pub(crate) mod figure;
mod latency;
mod merged;
mod over_time;
mod repeat;
mod resources;
mod stages;

use serde::Serialize;

use crate::{
    summary::{LoadedResult, Summary},
    templates,
    view::View,
};
use figure::Figure;
use result::RunFolder;

/// The values that the templates are filled with.
#[derive(Serialize)]
struct Page<'a> {
    summary: &'a Summary,
    view: View,
    started: String,
    bound: String,
    verdicts: Vec<latency::Verdict>,
    figure5: Vec<Figure>,
    differences: Vec<differences::Group>,
    distributions: Vec<Figure>,
    waterfall: Option<Figure>,
    over_time: Vec<over_time::Section>,
    figure6: Vec<Figure>,
    repeat: repeat::Repeat,
}

/// The text of `report.html`.
pub(super) fn render(
    folder: &RunFolder,
    summary: &Summary,
    loaded: &LoadedResult,
) -> anyhow::Result<String> {
    let merged = merged::merged(loaded);
    let page = Page {
        summary,
        view: View::of(summary),
        started: result::date::to_the_minute(summary.started_us),
        bound: (summary.paper.xr_bound_us as f64 / 1e3).to_string(),
        verdicts: latency::verdicts(&merged, summary),
        figure5: latency::figures(&merged, summary)?,
        differences: differences::groups(summary)?,
        distributions: distributions::figures(&merged, summary)?,
        waterfall: stages::figure(summary)?,
        over_time: over_time::sections(folder, &merged)?,
        figure6: resources::figures(&merged, summary)?,
        repeat: repeat::repeat(loaded)?,
    };
    templates::render("report.html", &page)
}
