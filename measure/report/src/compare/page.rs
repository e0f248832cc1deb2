//! The comparison as one page without network.

use anyhow::Context as _;
use minijinja::{Environment, value::Serde};
use serde::Serialize;

use super::{
    comparison::{Comparison, Verdict},
    table,
};

/// What the template is filled with.
#[derive(Serialize)]
struct Page<'a> {
    comparison: &'a Comparison,
    rows: Vec<Row>,
    verdict: &'static str,
}

/// A row of the table, as texts.
#[derive(Serialize)]
struct Row {
    class: &'static str,
    cells: Vec<String>,
    bar: Option<Bar>,
}

/// A difference and its interval, drawn; in percent of the drawing's width.
#[derive(Serialize)]
struct Bar {
    low: f64,
    width: f64,
    at: f64,
}

/// The page.
pub(super) fn render(comparison: &Comparison) -> anyhow::Result<String> {
    let mut environment = Environment::new();
    environment
        .add_template("compare.html", include_str!("page.html"))
        .context("the page's template is wrong")?;
    let furthest = comparison
        .scenarios
        .iter()
        .filter_map(|one| one.p50_us)
        .flat_map(|of| {
            let ends = of.ci.unwrap_or([of.difference; 2]);
            [ends[0].abs(), ends[1].abs(), of.difference.abs()]
        })
        .fold(1.0, f64::max);
    let place = |us: f64| 50.0 + us / furthest * 48.0;
    let rows = comparison
        .scenarios
        .iter()
        .map(|one| Row {
            class: class(one.verdict),
            cells: table::row(one),
            bar: one.p50_us.map(|of| {
                let [low, high] = of.ci.unwrap_or([of.difference; 2]);
                Bar {
                    low: place(low),
                    width: place(high) - place(low),
                    at: place(of.difference),
                }
            }),
        })
        .collect();
    let page = Page {
        comparison,
        rows,
        verdict: match comparison.verdict {
            Verdict::Same => "B is not worse than A",
            Verdict::Better => "B is better than A",
            Verdict::Regression => "B is worse than A: a regression",
            Verdict::Incomparable => "B cannot be compared with A",
        },
    };
    let template = environment.get_template("compare.html")?;
    Ok(template.render(Serde(&page))?)
}

const fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Same => "same",
        Verdict::Better => "better",
        Verdict::Regression => "regression",
        Verdict::Incomparable => "incomparable",
    }
}
