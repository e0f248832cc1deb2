//! What differs between the scenarios, with intervals.

use std::collections::HashSet;

use super::table::{Class, Row, Table};
use crate::{
    summary::{Difference, Setting, Summary},
    text::{interval, ms, probability, signed, signed_ms, verdict},
};

/// With more, each scenario is shown against one other only, and the page's table has all.
const MAX_SHOWN: usize = 15;

/// The differences that are shown first: those of the fabric alone, and of the others at most one for each scenario.
pub(crate) fn chosen(all: &[Difference]) -> Vec<&Difference> {
    let mut seen = HashSet::new();
    // The first that a scenario is `b` of is against the first that it can be compared with.
    all.iter()
        .filter(|one| is_of_fabrics(one) || all.len() <= MAX_SHOWN || seen.insert(one.b.as_str()))
        .collect()
}

/// Whether the fabric is all in which the two are not alike.
pub(crate) fn is_of_fabrics(one: &Difference) -> bool {
    one.differs == [Setting::Fabric]
}

/// The table of differences; without rows where no two scenarios can be compared.
pub(super) fn differences(summary: &Summary) -> Table {
    let chosen = chosen(&summary.differences);
    let rows = summary.differences.iter().map(|one| {
        let row = Row {
            detail: !chosen.iter().any(|shown| std::ptr::eq(*shown, one)),
            ..Row::new(format!("{}\n→ {}", one.a, one.b), Class::Ours)
        };
        (row, one)
    });
    Table::of(
        "Differences in milliseconds",
        "B minus A, in pairs of repetitions that ran side by side. Intervals are within this run: another hour or machine may lie outside of \
         them (xrbench pool). Could find: the smallest difference of p50 that such a run tells in 80 of 100 cases; what is not \
         distinguishable may be as large. Carried: from encoded to received. Quiet: without disturbed \
         seconds. δ: Cliff’s, from −1 to 1: how much more often a frame of B took longer than one of A than the other way \
         round. p: by Holm’s correction for all of these differences, of p50 and carried. Differs: what is not alike beside the names.",
        "A → B",
        rows,
    )
    .number("p50", |one| Some(signed_ms(one.p50_us.difference)))
    .number("95 % within this run", |one| interval(one.p50_us.ci))
    .number("could find", |one| one.p50_us.detectable.map(ms))
    .number("p", |one| one.p50_us.p.map(probability))
    .number("of A", |one| {
        let p50 = summary.scenario(&one.a)?.latency_us?.figures.p50;
        let share = one.p50_us.difference / p50 as f64 * 100.0;
        (p50 > 0).then(|| signed(&format!("{share:+.1}")))
    })
    .unit("%")
    .number("carried p50", |one| Some(signed_ms(one.carried_us?.difference)))
    .number("95 % of it within this run", |one| interval(one.carried_us?.ci))
    .number("quiet p50", |one| Some(signed_ms(one.quiet_p50_us?.difference)))
    .detail()
    .number("mean", |one| Some(signed_ms(one.mean_us.difference)))
    .detail()
    .number("p99", |one| Some(signed_ms(one.p99_us?.difference)))
    .number("δ", |one| Some(signed(&format!("{:+.2}", one.cliffs_delta))))
    .number("pairs", |one| Some(one.pairs.to_string()))
    .word("differs", |one| {
        let words: Vec<_> = one.differs.iter().map(Setting::to_string).collect();
        (!words.is_empty()).then(|| words.join(", "))
    })
    .detail()
    .prose("verdict", |one| Some(verdict(one)))
    .build()
}
