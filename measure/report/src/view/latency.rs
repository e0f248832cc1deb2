//! Latencies beside those of the codec alone and of the paper; and the steps of a ladder.

use super::table::{Bar, Row, Table};
use crate::{
    summary::{
        FloorSummary, FloorUs, LatencyFigures, LatencyUs, PaperScenario, ScenarioSummary, Summary,
        UncertaintyUs,
    },
    text::{in_all, interval, ms, range_ms, signed_ms, whole_ms},
};

/// What a row of the table of latencies is of.
enum Of<'a> {
    Scenario(&'a ScenarioSummary),
    Floor(&'a FloorSummary),
    Paper(&'a PaperScenario),
}

impl<'a> Of<'a> {
    fn latency(&self) -> Option<&'a LatencyUs> {
        match self {
            Self::Scenario(one) => one.latency_us.as_ref(),
            Self::Floor(one) => one.latency_us.as_ref(),
            Self::Paper(_) => None,
        }
    }

    fn uncertainty(&self) -> Option<&'a UncertaintyUs> {
        match self {
            Self::Scenario(one) => one.uncertainty_us.as_ref(),
            Self::Floor(one) => one.uncertainty_us.as_ref(),
            Self::Paper(_) => None,
        }
    }

    fn figure(&self, of: fn(&LatencyFigures) -> i64) -> Option<String> {
        Some(whole_ms(of(&self.latency()?.figures)))
    }

    fn scenario(&self) -> Option<&'a ScenarioSummary> {
        match self {
            Self::Scenario(one) => Some(one),
            _ => None,
        }
    }

    fn quiet(&self) -> Option<LatencyFigures> {
        let quiet = self.scenario()?.undisturbed.as_ref()?;
        Some(quiet.latency_us?.figures)
    }

    fn floor(&self) -> Option<&'a FloorUs> {
        self.scenario()?.floor_us.as_ref()
    }

    fn paper(&self) -> Option<&'a PaperScenario> {
        match self {
            Self::Paper(one) => Some(one),
            _ => None,
        }
    }
}

/// The table of latencies.
pub(super) fn latency(summary: &Summary) -> Table {
    let (paper, floors) = (&summary.paper, &summary.floors);
    let scenarios = summary.scenarios.iter();
    let rows = scenarios
        .map(|one| (one.into(), Of::Scenario(one)))
        .chain(floors.iter().map(|one| (one.into(), Of::Floor(one))))
        .chain(
            paper
                .scenarios
                .iter()
                .map(|one| (one.into(), Of::Paper(one))),
        );
    Table::of(
        "Latency in milliseconds",
        "From generation to the decoder’s output. ±: by how much the p50 may be wrong in all (k = 2, about 95 %); ≥ where a part of \
         that is unknown. 95 % within this run: the p50’s interval, by a bootstrap over repetitions; another \
         hour or machine may lie outside of it (xrbench pool). From tick: with the time by which stamps were late. Quiet: without seconds in which the machine was disturbed. Floor: the codec alone, in turn with the \
         scenario. Above floor: what the scenario takes more, picture by picture. A p99 wants 200 distinct pictures. The paper’s \
         rows are its own.",
        "scenario",
        rows,
    )
    .number("p50", |of| {
        let paper = || Some(whole_ms(of.paper()?.p50_us));
        of.figure(|of| of.p50).or_else(paper)
    })
    .number("±", |of| {
        let all = in_all(&of.uncertainty()?.p50);
        Some(all.unwrap_or_else(|| "unknown".into()))
    })
    .number("95 % within this run", |of| of.latency()?.p50_ci.map(range_ms))
    .number("p90", |of| {
        let paper = || Some(format!("about {}", whole_ms(of.paper()?.p90_us)));
        of.figure(|of| of.p90).or_else(paper)
    })
    .number("p95", |of| of.figure(|of| of.p95))
    .number("p99", |of| of.latency()?.figures.p99.map(whole_ms))
    .number("p99.9", |of| of.latency()?.p99_9.map(whole_ms))
    .detail()
    .number("max", |of| of.figure(|of| of.max))
    .number("p50 from tick", |of| Some(whole_ms(of.scenario()?.from_tick_us?.p50)))
    .number("p99 from tick", |of| {
        of.scenario()?.from_tick_us?.p99.map(whole_ms)
    })
    .number("σ", |of| match of.paper() {
        Some(paper) => paper.stddev_us.map(whole_ms),
        None => Some(ms(of.latency()?.figures.stddev)),
    })
    .number("quiet p50", |of| Some(whole_ms(of.quiet()?.p50)))
    .number("quiet p99", |of| of.quiet()?.p99.map(whole_ms))
    .number("floor p50", |of| Some(whole_ms(of.floor()?.p50)))
    .number("floor p99", |of| of.floor()?.p99.map(whole_ms))
    .number("above floor", |of| Some(signed_ms(of.floor()?.gap?.difference)))
    .number("95 % of it within this run", |of| interval(of.floor()?.gap?.ci))
    .number("paper p50", |of| {
        let paper = paper.scenario(of.scenario()?.paper)?;
        Some(whole_ms(paper.p50_us))
    })
    .detail()
    .build()
}

/// The steps of a ladder, each against the one before it; none where the scenarios are no steps.
pub(super) fn ladder(summary: &Summary) -> Option<Table> {
    let mut before = None;
    let steps = summary.scenarios.iter().map(|one| {
        let p50 = one.latency_us.map(|latency| latency.figures.p50 as f64);
        let step = (before, p50);
        before = p50.or(before);
        (Row::from(one), step)
    });
    summary.is_ladder().then(|| {
        Table::of(
            "Ladder in milliseconds",
            "The step’s p50, and its change against the step above. The bars’ scale is logarithmic, from 1 ms to 10 s.",
            "step",
            steps,
        )
        .number("p50", |(_, p50)| p50.map(ms))
        .number("change", |(before, p50)| Some(signed_ms((*p50)? - (*before)?)))
        .number("factor", |(before, p50)| {
            let before = before.filter(|before| *before > 0.0)?;
            Some(format!("{:.2}", (*p50)? / before))
        })
        .bar("on a scale", |(_, p50)| p50.map(decades))
        .build()
    })
}

/// A bar of a quarter of the column for each factor of ten above a millisecond.
fn decades(us: f64) -> Bar {
    Bar {
        from: 0.0,
        to: ((us / 1e3).max(1.0).log10() * 25.0).min(100.0),
        at: None,
        zero: None,
    }
}
