//! What a result says: read from its folder, summed up, and shown on the terminal, as one page without network, for
//! perfdash and JUnit, and against another result.
//!
//! It starts nothing, and knows of no lab and no media: a folder comes in, texts go out.

mod charts;
pub mod cli;
pub mod compare;
pub(crate) mod differences;
pub mod export;
mod instrument;
mod page;
mod series;
pub mod summary;
mod table;
mod table_resources;

use anyhow::Context as _;
use settings::Compare;

use result::{RunFolder, write_atomic, write_json};
use summary::Summary;

pub use table::render as terminal;

/// Reads the result in `folder`, writes its `summary.json` and `report.html`, and says what they say.
pub fn write(folder: &RunFolder) -> anyhow::Result<Summary> {
    let loaded = summary::load(folder)?;
    let summary = summary::build(&loaded);
    write_json(&folder.summary_json(), &summary)?;
    let page = page::render(folder, &summary, &loaded).context("cannot draw report.html")?;
    write_atomic(&folder.report_html(), page.as_bytes())?;
    Ok(summary)
}

/// Whether the steps of a result build on one another, so that each is shown against the one before it.
fn is_ladder(summary: &Summary) -> bool {
    summary
        .presentation
        .is_some_and(|of| of.compare == Compare::Steps)
}

/// Microseconds as milliseconds, with as many digits as say something.
fn ms(us: f64) -> String {
    let ms = us / 1e3;
    match ms.abs() {
        size if size >= 100.0 => format!("{ms:.0}"),
        size if size >= 10.0 => format!("{ms:.1}"),
        _ => format!("{ms:.2}"),
    }
}

/// A share of `of`, in percent.
fn percent(part: u64, of: u64) -> String {
    if of == 0 {
        return "-".into();
    }
    let share = part as f64 / of as f64 * 100.0;
    match share {
        0.0 => "0".into(),
        share if share < 0.1 => format!("{share:.3}"),
        share => format!("{share:.2}"),
    }
}
