//! What a comparison shows, for the terminal and for the page.

use super::comparison::{Comparison, OwnChangeUs, Verdict};
use crate::{
    text::{interval, ms, signed, signed_ms},
    view::{Bar, Class, Row, Table},
};

/// How B does, in a sentence.
pub(super) const fn verdict(of: Verdict) -> &'static str {
    match of {
        Verdict::Equivalent => "B is not worse than A",
        Verdict::Better => "B is better than A",
        Verdict::Regression => "B is worse than A: a REGRESSION",
        Verdict::Inconclusive => "INCONCLUSIVE: whether B is worse than A cannot be told",
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
    let ends = |of: OwnChangeUs| of.ci.unwrap_or([of.difference; 2]);
    let changes = comparison.scenarios.iter().filter_map(|one| one.own_us);
    let furthest = changes
        .flat_map(|of| ends(of).into_iter().chain([of.difference]))
        .fold(1.0, |furthest: f64, us| furthest.max(us.abs()));
    let place = |us: f64| 50.0 + us / furthest * 48.0;
    let lost = |percent: Option<f64>| Some(format!("{:.2}", percent?));
    let rows = comparison.scenarios.iter().map(|one| {
        let class = match one.verdict {
            Verdict::Equivalent => Class::Same,
            Verdict::Better => Class::Better,
            Verdict::Regression => Class::Regression,
            Verdict::Inconclusive | Verdict::Incomparable => Class::Incomparable,
        };
        (Row::new(&one.name, class), one)
    });
    Table::of(
        "Scenarios in milliseconds",
        "Positive: B is slower. p50: the mean over the repetitions that both have. Codec: the change of the floor’s p50, which is \
         the machine’s or the encoder’s. Own: the change of the p50 beyond the floor’s, which decides; 95 %: its interval. Lost: of \
         the scheduled frames. δ: Cliff’s, from −1 to 1: how much more often a frame of B took longer than one of A than the other \
         way round.",
        "scenario",
        rows,
    )
    .number("rounds", |one| Some(one.own_us.map_or(0, |of| of.rounds).to_string()))
    .number("p50 A", |one| one.p50_a_us.map(ms))
    .number("p50 B", |one| one.p50_b_us.map(ms))
    .number("B − A", |one| one.p50_change_us.map(signed_ms))
    .number("codec", |one| Some(signed_ms(one.own_us?.floor)))
    .number("own", |one| Some(signed_ms(one.own_us?.difference)))
    .number("95 %", |one| interval(one.own_us?.ci))
    .number("of A", |one| {
        let p50 = one.p50_a_us.filter(|p50| *p50 > 0.0)?;
        let share = one.own_us?.difference / p50 * 100.0;
        Some(signed(&format!("{share:+.1}")))
    })
    .unit("%")
    .number("p99 B − A", |one| one.p99_change_us.map(signed_ms))
    .number("lost A", |one| lost(one.lost_a_percent))
    .unit("%")
    .number("lost B", |one| lost(one.lost_b_percent))
    .unit("%")
    .number("δ", |one| Some(signed(&format!("{:+.2}", one.cliffs_delta?))))
    .prose("verdict", |one| Some(one.why.clone()))
    .bar("faster | slower", |one| {
        let of = one.own_us?;
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
