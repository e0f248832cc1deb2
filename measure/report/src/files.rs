//! The files that sum a result up, in its folder.

use anyhow::Context as _;
use result::{RunFolder, write_atomic, write_json};

use crate::{
    page,
    summary::{self, LoadedResult, Summary},
};

/// Reads the result in `folder`, writes its `summary.json` and `report.html`, and says what they say.
pub fn write(folder: &RunFolder) -> anyhow::Result<Summary> {
    let (loaded, summary) = read(folder)?;
    save(folder, &loaded, &summary)?;
    Ok(summary)
}

/// Reads the result in `folder`, and sums it up.
pub(crate) fn read(folder: &RunFolder) -> anyhow::Result<(LoadedResult, Summary)> {
    let loaded = summary::load(folder)?;
    let summary = summary::build(&loaded);
    Ok((loaded, summary))
}

/// Writes `summary.json` and `report.html`.
pub(crate) fn save(
    folder: &RunFolder,
    loaded: &LoadedResult,
    summary: &Summary,
) -> anyhow::Result<()> {
    write_json(&folder.summary_json(), summary)?;
    let page = page::render(folder, summary, loaded).context("cannot draw report.html")?;
    write_atomic(&folder.report_html(), page.as_bytes())
}
