//! The comparison on the terminal.

use std::fmt::Write as _;

use super::comparison::{Change, Comparison, Verdict};
use crate::{
    tables::empty::empty,
    text::{interval, known_us, signed_ms},
};

/// The table with its verdict and notes; `width` in columns, or the terminal's.
pub(super) fn render(comparison: &Comparison, width: Option<u16>) -> String {
    let mut table = empty(
        width,
        &[
            "scenario",
            "pairs",
            "p50 A",
            "p50 B",
            "B - A",
            "95 %",
            "%",
            "p99 B - A",
            "lost % A",
            "lost % B",
            "δ",
            "verdict",
        ],
    );
    for one in &comparison.scenarios {
        table.add_row(row(one));
    }
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "A: {} ({})\nB: {} ({})\n",
        comparison.a.folder, comparison.a.name, comparison.b.folder, comparison.b.name
    );
    let _ = writeln!(
        text,
        "Milliseconds; positive: B is slower. δ: how much more often a frame of B is slower than one of A, -1 to 1\n{table}\n"
    );
    let verdict = match comparison.verdict {
        Verdict::Same => "not worse",
        Verdict::Better => "better",
        Verdict::Regression => "a REGRESSION",
        Verdict::Incomparable => "NOT COMPARABLE with A",
    };
    let _ = writeln!(text, "B is {verdict} (tolerance {})", comparison.tolerance);
    for (side, names) in [("A", &comparison.only_in_a), ("B", &comparison.only_in_b)] {
        if !names.is_empty() {
            let _ = writeln!(text, "only in {side}: {}", names.join(", "));
        }
    }
    let notes: Vec<_> = comparison
        .notes
        .iter()
        .map(|note| format!("  {note}\n"))
        .collect();
    let _ = write!(text, "\nNotes\n{}", notes.concat());
    text
}

/// The cells of a scenario, as texts.
pub(super) fn row(one: &Change) -> Vec<String> {
    let lost = |percent: Option<f64>| percent.map_or_else(|| "-".into(), |of| format!("{of:.2}"));
    let percent = one
        .p50_us
        .zip(one.p50_a_us)
        .filter(|(_, p50)| *p50 > 0.0)
        .map_or_else(
            || "-".into(),
            |(of, p50)| format!("{:+.1}", of.difference / p50 * 100.0),
        );
    vec![
        one.name.clone(),
        one.pairs.to_string(),
        known_us(one.p50_a_us),
        known_us(one.p50_b_us),
        one.p50_us
            .map_or_else(|| "-".into(), |of| signed_ms(of.difference)),
        one.p50_us.map_or_else(|| "-".into(), interval),
        percent,
        one.p99_us
            .map_or_else(|| "-".into(), |of| signed_ms(of.difference)),
        lost(one.lost_a_percent),
        lost(one.lost_b_percent),
        one.cliffs_delta
            .map_or_else(|| "-".into(), |delta| format!("{delta:+.2}")),
        one.why.clone(),
    ]
}
