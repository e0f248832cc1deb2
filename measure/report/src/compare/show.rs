//! A comparison on the terminal, and as one page without network.

use std::fmt::Write as _;

use serde::Serialize;

use super::{comparison::Comparison, view};
use crate::{templates, terminal::table, view::Table};

/// The table with its verdict and notes; `width` in columns, or the terminal's.
pub(super) fn terminal(comparison: &Comparison, width: Option<u16>) -> String {
    let (a, b) = (&comparison.a, &comparison.b);
    let mut text = format!(
        "A: {} ({})\nB: {} ({})\n\n",
        a.folder, a.name, b.folder, b.name
    );
    text += &table(&view::table(comparison), width);
    let verdict = view::verdict(comparison.verdict);
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{verdict} (tolerance {})", comparison.tolerance);
    for sentence in view::missing(comparison) {
        let _ = writeln!(text, "{sentence}");
    }
    text += "\nNotes\n";
    for note in &comparison.notes {
        let _ = writeln!(text, "  {note}");
    }
    text
}

/// The values that the template is filled with.
#[derive(Serialize)]
struct Page<'a> {
    comparison: &'a Comparison,
    verdict: &'static str,
    table: Table,
    missing: Vec<String>,
}

/// The comparison as a page.
pub(super) fn page(comparison: &Comparison) -> anyhow::Result<String> {
    let page = Page {
        comparison,
        verdict: view::verdict(comparison.verdict),
        table: view::table(comparison),
        missing: view::missing(comparison),
    };
    templates::render("compare.html", &page)
}
