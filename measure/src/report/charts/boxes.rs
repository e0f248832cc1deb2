//! Latency by scenario.

use plotters::{
    coord::{combinators::LogCoord, types::RangedCoordf64},
    prelude::*,
    style::text_anchor::HPos,
};
use timeline::hist::LatencyHistogram;

use super::{
    Area, FLOOR, FONT, GRID, INK, LABELS, OURS, PAPER, REFERENCE, ROW, draw, label, plain,
};
use crate::{report::ms, summary::Paper};

/// Whose latency a box shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::report) enum Kind {
    /// Our pipeline.
    Ours,
    /// The codec alone.
    Floor,
    /// ffmpeg.
    Reference,
}

/// A row of the box plot.
#[derive(Debug)]
pub(in crate::report) struct BoxRow<'a> {
    /// The scenario.
    pub name: &'a str,
    /// Whose.
    pub kind: Kind,
    /// Its latencies, merged.
    pub histogram: &'a LatencyHistogram,
}

impl BoxRow<'_> {
    fn quantile_ms(&self, at: f64) -> f64 {
        self.histogram.quantile_us(at).unwrap_or(0) as f64 / 1e3
    }
}

/// Latency per scenario on a logarithmic axis: whiskers p1 and p99, box p25 to p75, line p50; the paper's p50 below.
pub(in crate::report) fn boxes(rows: &[BoxRow<'_>], paper: &Paper) -> anyhow::Result<String> {
    let count = rows.len() + paper.scenarios.len();
    let height = ROW * u32::try_from(count)? + 76;
    draw(
        height,
        "Latency per scenario, milliseconds, logarithmic axis",
        |area| {
            let smallest = rows
                .iter()
                .map(|row| row.quantile_ms(0.01))
                .fold(10.0, f64::min);
            let largest = rows
                .iter()
                .map(|row| row.quantile_ms(0.99))
                .chain([paper.p90_us as f64 / 1e3])
                .fold(0.0, f64::max);
            let low = 10_f64.powf(smallest.max(0.05).log10().floor());
            let high = largest * 1.6;
            let mut chart = ChartBuilder::on(area)
                .margin(8)
                .x_label_area_size(42)
                .margin_left(LABELS)
                .margin_right(52)
                .build_cartesian_2d((low..high).log_scale(), 0.0..count as f64)?;
            chart
                .configure_mesh()
                .disable_y_mesh()
                .disable_y_axis()
                .light_line_style(TRANSPARENT)
                .bold_line_style(GRID)
                .axis_style(INK)
                .label_style((FONT, 13).into_font().color(&INK))
                .x_desc("milliseconds, from generation to consumption")
                .x_label_formatter(&|value| plain(*value))
                .draw()?;
            let bound = paper.xr_bound_us as f64 / 1e3;
            chart.draw_series([PathElement::new(
                vec![(bound, 0.0), (bound, count as f64)],
                PAPER.stroke_width(1),
            )])?;
            label(
                area,
                &chart,
                (bound, count as f64),
                "15 ms: the paper's bar for XR",
                HPos::Left,
                (11, PAPER),
            )?;
            for (at, row) in rows.iter().enumerate() {
                one(area, &mut chart, row, (count - at) as f64 - 0.5, low)?;
            }
            for (at, scenario) in paper.scenarios.iter().enumerate() {
                let middle = (paper.scenarios.len() - at) as f64 - 0.5;
                let p50 = scenario.p50_us as f64 / 1e3;
                chart.draw_series([Circle::new((p50, middle), 5, PAPER.filled())])?;
                let number = ms(scenario.p50_us as f64);
                label(area, &chart, (p50, middle), &number, HPos::Left, (12, INK))?;
                let name = format!("paper {}", scenario.name);
                label(area, &chart, (low, middle), &name, HPos::Right, (13, INK))?;
            }
            Ok(())
        },
    )
}

/// The box of one row, about `middle`; what lies below `low` is drawn at it.
fn one(
    area: &Area<'_>,
    chart: &mut Chart<'_>,
    row: &BoxRow<'_>,
    middle: f64,
    low: f64,
) -> anyhow::Result<()> {
    let colour = match row.kind {
        Kind::Ours => OURS,
        Kind::Floor => FLOOR,
        Kind::Reference => REFERENCE,
    };
    let [p1, p25, p50, p75, p99] =
        [0.01, 0.25, 0.5, 0.75, 0.99].map(|at| row.quantile_ms(at).max(low));
    let upright = |at: f64, half: f64| vec![(at, middle - half), (at, middle + half)];
    let thin = colour.stroke_width(2);
    chart.draw_series([
        PathElement::new(vec![(p1, middle), (p99, middle)], thin),
        PathElement::new(upright(p1, 0.15), thin),
        PathElement::new(upright(p99, 0.15), thin),
    ])?;
    let corners = [(p25, middle - 0.3), (p75, middle + 0.3)];
    chart.draw_series([Rectangle::new(corners, colour.filled())])?;
    chart.draw_series([PathElement::new(upright(p50, 0.36), INK.stroke_width(3))])?;
    label(
        area,
        chart,
        (p99, middle),
        &ms(p50 * 1e3),
        HPos::Left,
        (12, INK),
    )?;
    label(area, chart, (low, middle), row.name, HPos::Right, (13, INK))
}

type Chart<'a> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<LogCoord<f64>, RangedCoordf64>>;
