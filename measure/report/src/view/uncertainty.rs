//! How unsure each latency is, and of what parts.

use super::table::{Row, Table};
use crate::summary::{PartsUs, Summary, UncertaintyUs};

/// The table of uncertainties: a row for the p50 of each scenario and floor, and one for its p99.
pub(super) fn uncertainty(summary: &Summary) -> Table {
    let scenarios = summary.scenarios.iter();
    let scenarios = scenarios.map(|one| (Row::from(one), one.uncertainty_us.as_ref()));
    let floors = summary.floors.iter();
    let floors = floors.map(|one| (Row::from(one), one.uncertainty_us.as_ref()));
    let rows = scenarios
        .chain(floors)
        .flat_map(|(row, of)| figures(row, of));
    Table::of(
        "Uncertainty in microseconds",
        "Each to be read as ± beside its figure. In all: the parts combined by the GUM, expanded with k = 2, about 95 %: twice the root of \
         the summed squares of sampling / 1.96 and of each other part / √3. Sampling: the interval of 95 % within this run. Clocks: by \
         how much those of generation and consumption may disagree. Instrument: the largest residual of the machine’s calibration, with \
         its margin. Resolution: of two stamps. Unknown: what is not in it, so that the figure is less sure than that.",
        "figure",
        rows,
    )
    .number("in all", |of| Some(whole(of.combined)))
    .number("sampling", |of| of.sampling.map(whole))
    .number("clocks", |of| of.clocks.map(whole))
    .number("instrument", |of| of.instrument.map(whole))
    .number("resolution", |of| Some(whole(of.resolution)))
    .word("unknown", |of| {
        let missing: Vec<_> = of.missing.iter().map(ToString::to_string).collect();
        (!missing.is_empty()).then(|| missing.join(", "))
    })
    .build()
}

/// The rows of a latency, under the name of the row that it has elsewhere.
fn figures(row: Row, of: Option<&UncertaintyUs>) -> impl Iterator<Item = (Row, &PartsUs)> {
    let p50 = of.map(|of| ("p50", &of.p50));
    let p99 = of.and_then(|of| of.p99.as_ref()).map(|of| ("p99", of));
    p50.into_iter().chain(p99).map(move |(figure, of)| {
        let named = Row {
            mark: row.mark,
            ..Row::new(format!("{}, {figure}", row.name), row.class)
        };
        (named, of)
    })
}

/// Whole microseconds.
fn whole(us: f64) -> String {
    format!("{us:.0}")
}
