//! A pool as tables on the terminal.

use std::fmt::Write as _;

use super::{Pool, Pooled};
use crate::{
    terminal::table,
    text::{interval, ms, signed_ms},
    view::{Class, Row, Table},
};

/// How a figure is written.
#[derive(Clone, Copy)]
enum Unit {
    /// A time, as milliseconds.
    Time,
    /// A difference of times, with its sign.
    Difference,
    /// A ratio.
    Ratio,
}

impl Unit {
    fn write(self, value: f64) -> String {
        match self {
            Self::Time => ms(value),
            Self::Difference => signed_ms(value),
            Self::Ratio => format!("{value:.3}"),
        }
    }

    fn range(self, ends: [f64; 2]) -> String {
        let of_times = || interval(Some(ends)).unwrap_or_default();
        match self {
            Self::Difference => of_times(),
            Self::Time | Self::Ratio => {
                let [low, high] = ends.map(|end| self.write(end));
                format!("{low} to {high}")
            }
        }
    }

    /// How far runs lie apart.
    fn spread(self, between: f64) -> String {
        match self {
            Self::Time | Self::Difference => ms(between),
            Self::Ratio => format!("{:.1} %", (between - 1.0) * 100.0),
        }
    }
}

/// The tables with notes; `width` in columns, or the terminal's.
pub(super) fn terminal(pool: &Pool, width: Option<u16>) -> String {
    let mut text = String::new();
    for (number, run) in (1..).zip(&pool.runs) {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{number}: {} ({}, {})",
            run.folder, run.name, run.machine
        );
    }
    text.push('\n');
    text += &table(&times(pool), width);
    text += &table(&differences(pool), width);
    text += &table(&ratios(pool), width);
    if !pool.notes.is_empty() {
        text += "Notes\n";
    }
    for note in &pool.notes {
        let _ = writeln!(text, "  {note}");
    }
    text
}

/// Rows of pooled figures as a table.
fn tabled<'a>(
    caption: &str,
    about: &'static str,
    rows: impl Iterator<Item = (String, &'a Pooled, Unit)>,
) -> Table {
    let rows = rows.map(|(name, of, unit)| (Row::new(name, Class::Ours), (of, unit)));
    Table::of(caption, about, "figure", rows)
        .number("runs", |(of, _)| Some(of.runs.to_string()))
        .number("mean", |(of, unit)| Some(unit.write(of.mean)))
        .number("95 % of the mean", |(of, unit)| Some(unit.range(of.ci)))
        .number("next run, 95 %", |(of, unit)| {
            Some(unit.range(of.prediction))
        })
        .number("σ between runs", |(of, unit)| {
            Some(unit.spread(of.between))
        })
        .number("I²", |(of, _)| Some(format!("{:.0}", of.i2? * 100.0)))
        .unit("%")
        .prose("each run", |(of, unit)| {
            let each = of.each.iter();
            let each =
                each.map(|one| one.map_or_else(|| crate::text::BLANK.into(), |us| unit.write(us)));
            Some(each.collect::<Vec<_>>().join(", "))
        })
        .build()
}

fn times(pool: &Pool) -> Table {
    let rows = pool.scenarios.iter().flat_map(|one| {
        let p50 = (one.name.clone(), &one.p50_us, Unit::Time);
        let gap = one.gap_us.as_ref();
        let gap = gap.map(|of| {
            (
                format!("{} above its floor", one.name),
                of,
                Unit::Difference,
            )
        });
        std::iter::once(p50).chain(gap)
    });
    tabled(
        "The p50 over several runs, in milliseconds",
        "Mean: over runs, each weighed by how sure it is. Next run: where the figure of another run will be (prediction interval). σ between \
         runs: beyond what their repetitions explain; I²: that part of the runs’ spread. Random effects: Paule and Mandel, \
         Hartung and Knapp.",
        rows,
    )
}

fn differences(pool: &Pool) -> Table {
    let rows = pool.differences.iter().flat_map(|one| {
        let names = format!("{}\n→ {}", one.a, one.b);
        let carried = one.carried_us.as_ref();
        let carried = carried.map(|of| (format!("{names}, carried"), of, Unit::Difference));
        std::iter::once((names, &one.p50_us, Unit::Difference)).chain(carried)
    });
    tabled(
        "Differences of the p50 over several runs, in milliseconds",
        "B minus A, in pairs of repetitions within each run. Carried: from encoded to received.",
        rows,
    )
}

fn ratios(pool: &Pool) -> Table {
    let floors = pool.scenarios.iter().filter_map(|one| {
        let name = format!("{} over its floor", one.name);
        Some((name, one.floor_ratio.as_ref()?, Unit::Ratio))
    });
    let pairs = pool.differences.iter().filter_map(|one| {
        let name = format!("{} over\n{}", one.b, one.a);
        Some((name, one.ratio.as_ref()?, Unit::Ratio))
    });
    tabled(
        "Ratios of the p50 over several runs",
        "Geometric means. What processor work adds follows the machine’s speed; a ratio has that on both sides.",
        floors.chain(pairs),
    )
}
