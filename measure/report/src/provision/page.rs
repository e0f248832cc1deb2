//! `provision.html`: one file that needs no network and no script.

use result::provision::{ProvisionInfo, Transition};
use serde::Serialize;

use super::figures::{CellFigures, mean_and_deviation, simulated};
use super::tables;
use crate::charts::{self, Alt, Axis, Bar, Bars, Curve, Curves, Ink};
use crate::page::figure::Figure;
use crate::templates;
use crate::view::Table;

/// The range of the means in the paper's Figure 4, in seconds.
const PAPER_S: (f64, f64) = (150.0, 270.0);

/// The values that the template is filled with.
#[derive(Serialize)]
struct Page<'a> {
    info: &'a ProvisionInfo,
    started: String,
    simulated: Option<String>,
    provisioning: Table,
    steps: Table,
    failures: Table,
    figures: Vec<Figure>,
}

/// The text of the page.
pub(super) fn render(info: &ProvisionInfo, of: &[CellFigures]) -> anyhow::Result<String> {
    let drawn: Vec<_> = of.iter().filter(|one| one.ready > 0).collect();
    let page = Page {
        info,
        started: result::date::to_the_minute(info.started_us),
        simulated: simulated(info),
        provisioning: tables::provisioning(info, of),
        steps: tables::steps(info, of),
        failures: tables::failures(of),
        figures: if drawn.is_empty() {
            Vec::new()
        } else {
            vec![bars(info, &drawn)?, ecdf(info, &drawn)?]
        },
    };
    templates::render("provision.html", &page)
}

fn title(info: &ProvisionInfo, what: &str) -> String {
    if info.simulated.is_some() {
        format!("Simulated: {what}")
    } else {
        what.to_owned()
    }
}

fn highest(drawn: &[&CellFigures]) -> f64 {
    let all = drawn
        .iter()
        .filter_map(|one| one.to(Transition::ControlPlaneNodeReady).last());
    all.map(|us| *us as f64 / 1e6).fold(PAPER_S.1, f64::max)
}

fn bars(info: &ProvisionInfo, drawn: &[&CellFigures]) -> anyhow::Result<Figure> {
    let bars: Vec<Bar> = drawn
        .iter()
        .enumerate()
        .filter_map(|(place, one)| {
            let (mean, deviation) = mean_and_deviation(one.to(Transition::ControlPlaneNodeReady))?;
            Some(Bar {
                name: one.cell.to_string(),
                mean,
                deviation,
                ink: Ink::Series(place),
                label: format!("{mean:.0}"),
            })
        })
        .collect();
    let said: Vec<_> = bars
        .iter()
        .map(|bar| format!("{}: {}", bar.name, bar.label))
        .collect();
    let alt = Alt {
        id: "f4".into(),
        title: title(info, "Time until the control plane is ready"),
        description: format!("Means in seconds. {}.", said.join("; ")),
    };
    let of = Bars {
        axis: Axis::linear(0.0, highest(drawn) * 1.08, 6),
        unit: "s".into(),
        of: bars,
        range: Some((PAPER_S, "the paper: 150 to 270 s".into())),
    };
    let caption = "The paper’s Figure 4: the mean, and the standard deviation up and down from it, of the time until a node of the \
                   control plane is ready. Shaded: the range of the paper’s means.";
    Figure::new(alt, caption.into(), |alt| charts::bars(alt, &of))
}

fn ecdf(info: &ProvisionInfo, drawn: &[&CellFigures]) -> anyhow::Result<Figure> {
    let staircase = |us: &[u64]| {
        let all = us.len() as f64;
        us.iter()
            .enumerate()
            .flat_map(|(below, us)| {
                let at = *us as f64 / 1e6;
                [
                    (at, below as f64 / all * 100.0),
                    (at, (below + 1) as f64 / all * 100.0),
                ]
            })
            .collect()
    };
    let alt = Alt {
        id: "ecdf".into(),
        title: title(info, "Share of clusters whose control plane is ready"),
        description: "The empirical distribution functions; the table has their quartiles.".into(),
    };
    let of = Curves {
        x: Axis::until(highest(drawn) * 1.05, 6),
        x_name: "s".into(),
        y: Axis::until(100.0, 5),
        y_name: "% of the clusters".into(),
        lines: drawn
            .iter()
            .enumerate()
            .map(|(place, one)| Curve {
                name: one.cell.to_string(),
                ink: Ink::Series(place),
                points: staircase(one.to(Transition::ControlPlaneNodeReady)),
            })
            .collect(),
        bound: None,
    };
    let caption = "Steps of ten seconds and more are those in which controllers look again.";
    Figure::new(alt, caption.into(), |alt| charts::curves(alt, &of))
}
