//! What differs between scenarios, on the terminal: with the interval, and in words where nothing is told apart. And what a
//! viewer saw of each.

use std::collections::HashSet;

use comfy_table::{CellAlignment, Table};

use super::empty::empty;
use crate::{
    summary::{Difference, DifferenceUs, Summary},
    text::{interval, known_us, percent, probability, signed_ms, verdict},
};

/// With more, each scenario is shown against one other only.
const MAX_ROWS: usize = 15;

/// The table and how many differences are not in it; nothing where no two scenarios can be compared.
pub(super) fn render(summary: &Summary, width: Option<u16>) -> Option<(Table, usize)> {
    let all = &summary.differences;
    if all.is_empty() {
        return None;
    }
    let mut seen = HashSet::new();
    let shown: Vec<&Difference> = all
        .iter()
        // The first that a scenario is `b` of is against the first that it can be compared with.
        .filter(|one| all.len() <= MAX_ROWS || seen.insert(one.b.as_str()))
        .collect();
    let mut table = empty(
        width,
        &[
            "A",
            "B",
            "B - A",
            "95 %",
            "%",
            "carried B - A",
            "95 %",
            "p99 B - A",
            "δ",
            "pairs",
            "p (Holm)",
            "verdict",
        ],
    );
    for column in [1, 11] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Left);
        }
    }
    for one in &shown {
        table.add_row(row(summary, one));
    }
    Some((table, all.len() - shown.len()))
}

fn row(summary: &Summary, one: &Difference) -> Vec<String> {
    let difference =
        |of: Option<DifferenceUs>| of.map_or_else(|| "-".into(), |of| signed_ms(of.difference));
    let p50 = summary
        .scenario(&one.a)
        .and_then(|a| a.latency_us)
        .map(|latency| latency.figures.p50)
        .filter(|p50| *p50 > 0);
    vec![
        one.a.clone(),
        one.b.clone(),
        signed_ms(one.p50_us.difference),
        interval(one.p50_us),
        p50.map_or_else(
            || "-".into(),
            |p50| format!("{:+.1}", one.p50_us.difference / p50 as f64 * 100.0),
        ),
        difference(one.carried_us),
        one.carried_us.map_or_else(|| "-".into(), interval),
        difference(one.p99_us),
        format!("{:+.2}", one.cliffs_delta),
        one.pairs.to_string(),
        probability(one.p50_us.p),
        verdict(one),
    ]
}

/// What a viewer saw of each scenario.
pub(super) fn seen(summary: &Summary, width: Option<u16>) -> Table {
    let mut table = empty(
        width,
        &[
            "scenario",
            "freezes",
            "longest",
            "frozen",
            "duplicate",
            "late",
            "over 15 ms %",
            "interval σ",
            "interval p99",
            "frames/s",
            "disturbed s",
        ],
    );
    for one in &summary.scenarios {
        let freezes = one.freezes.as_ref();
        let jitter = one.display.and_then(|display| display.jitter_us);
        let count = |count: Option<u64>| count.map_or_else(|| "-".into(), |it| it.to_string());
        table.add_row([
            one.name.clone(),
            count(freezes.map(|freezes| freezes.count)),
            known_us(freezes.map(|freezes| freezes.longest_us as f64)),
            count(one.display.map(|display| display.frozen)),
            one.frames.duplicate.to_string(),
            count(one.display.map(|display| display.late)),
            one.display.map_or_else(
                || "-".into(),
                |display| percent(display.over_xr_bound, one.frames.shown),
            ),
            known_us(jitter.map(|jitter| jitter.stddev)),
            known_us(jitter.map(|jitter| jitter.p99 as f64)),
            one.goodput
                .map_or_else(|| "-".into(), |of| format!("{:.2}", of.frames_per_s)),
            one.disturbed_seconds
                .map_or_else(|| "-".into(), |seconds| format!("{seconds:.0}")),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::{build, load, tests::several};

    #[test]
    fn differences_are_shown_with_their_interval_and_in_words() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let folder = several(
            dir.path(),
            &[("s1", "udp", 0), ("s2", "udp", 500), ("s3", "tcp", 0)],
        );
        let summary = build(&load(&folder).expect("a result"));
        let (table, left) = render(&summary, Some(200)).expect("three");
        let text = table.to_string();
        assert_eq!(left, 0);
        for part in [
            "+0.50",
            " to ",
            "B is slower",
            "not distinguishable; transport differs",
            "<0.001",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
        let mut many = summary.clone();
        many.differences = (0..20)
            .map(|number| Difference {
                b: format!("s{}", number % 10),
                ..summary.differences[0].clone()
            })
            .collect();
        let (table, left) = render(&many, Some(200)).expect("many");
        assert_eq!((table.row_count(), left), (10, 10));
        many.differences.clear();
        assert!(render(&many, None).is_none());
    }
}
