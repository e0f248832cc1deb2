//! What a comparison shows, for the terminal and for the page.

use super::comparison::{Comparison, Verdict};
use crate::{
    text::{interval, ms, signed, signed_ms},
    view::{Bar, Class, Row, Table},
};

/// How B does, in a sentence.
pub(super) const fn verdict(of: Verdict) -> &'static str {
    match of {
        Verdict::Same => "B is not worse than A",
        Verdict::Better => "B is better than A",
        Verdict::Regression => "B is worse than A: a REGRESSION",
        Verdict::Incomparable => "B CANNOT BE COMPARED with A",
    }
}

/// What only one of the two has, in sentences without a full stop.
pub(super) fn missing(comparison: &Comparison) -> Vec<String> {
    [("A", &comparison.only_in_a), ("B", &comparison.only_in_b)]
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(side, names)| format!("Only in {side}: {}", names.join(", ")))
        .collect()
}

/// The table of scenarios that both have.
pub(super) fn table(comparison: &Comparison) -> Table {
    let ends = |of: crate::summary::DifferenceUs| of.ci.unwrap_or([of.difference; 2]);
    let differences = comparison.scenarios.iter().filter_map(|one| one.p50_us);
    let furthest = differences
        .flat_map(|of| ends(of).into_iter().chain([of.difference]))
        .fold(1.0, |furthest: f64, us| furthest.max(us.abs()));
    let place = |us: f64| 50.0 + us / furthest * 48.0;
    let lost = |percent: Option<f64>| Some(format!("{:.2}", percent?));
    let rows = comparison.scenarios.iter().map(|one| {
        let class = match one.verdict {
            Verdict::Same => Class::Same,
            Verdict::Better => Class::Better,
            Verdict::Regression => Class::Regression,
            Verdict::Incomparable => Class::Incomparable,
        };
        (Row::new(&one.name, class), one)
    });
    Table::of(
        "Scenarios in milliseconds",
        "Positive: B is slower. p50: the mean over the repetitions that both have. 95 %: the interval of the difference. Lost: \
         of the scheduled frames. δ: Cliff’s, from −1 to 1: how much more often a frame of B took longer than one of A than the \
         other way round.",
        "scenario",
        rows,
    )
    .number("pairs", |one| Some(one.pairs.to_string()))
    .number("p50 A", |one| one.p50_a_us.map(ms))
    .number("p50 B", |one| one.p50_b_us.map(ms))
    .number("B − A", |one| Some(signed_ms(one.p50_us?.difference)))
    .number("95 %", |one| interval(one.p50_us?))
    .number("of A", |one| {
        let p50 = one.p50_a_us.filter(|p50| *p50 > 0.0)?;
        let share = one.p50_us?.difference / p50 * 100.0;
        Some(signed(&format!("{share:+.1}")))
    })
    .unit("%")
    .number("p99 B − A", |one| Some(signed_ms(one.p99_us?.difference)))
    .number("lost A", |one| lost(one.lost_a_percent))
    .unit("%")
    .number("lost B", |one| lost(one.lost_b_percent))
    .unit("%")
    .number("δ", |one| Some(signed(&format!("{:+.2}", one.cliffs_delta?))))
    .prose("verdict", |one| Some(one.why.clone()))
    .bar("faster | slower", |one| {
        let of = one.p50_us?;
        let [from, to] = ends(of).map(place);
        Some(Bar {
            from,
            to,
            at: Some(place(of.difference)),
            zero: Some(50.0),
        })
    })
    .detail()
    .build()
}
