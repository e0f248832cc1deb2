//! Latency over time.

use plotters::prelude::*;

use super::{FLOOR, FONT, GAP, GRID, INK, OURS, REFERENCE, draw, plain};
use crate::report::series::Series;

/// One repetition over time: the middle latency of each bin as a line, the largest as dots; gaps and disturbed times are
/// shaded.
pub(in crate::report) fn over_time(title: &str, series: &Series) -> anyhow::Result<String> {
    draw(190, title, |area| {
        let top = series
            .bins
            .iter()
            .map(|bin| bin.max_us / 1e3)
            .fold(0.0, f64::max)
            * 1.08;
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .x_label_area_size(38)
            .y_label_area_size(58)
            .margin_right(16)
            .build_cartesian_2d(0.0..series.seconds.max(0.001), 0.0..top.max(0.001))?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(INK)
            .y_labels(5)
            .label_style((FONT, 13).into_font().color(&INK))
            .x_desc("seconds")
            .y_desc("ms")
            .x_label_formatter(&|value| plain(*value))
            .y_label_formatter(&|value| plain(*value))
            .draw()?;
        for (spans, colour, opacity) in
            [(&series.disturbed, FLOOR, 0.25), (&series.gaps, GAP, 0.45)]
        {
            chart.draw_series(spans.iter().map(|(from, to)| {
                Rectangle::new([(*from, 0.0), (*to, top)], colour.mix(opacity).filled())
            }))?;
        }
        chart.draw_series(
            series
                .bins
                .iter()
                .map(|bin| Circle::new((bin.at_s, bin.max_us / 1e3), 1, REFERENCE.filled())),
        )?;
        // The line is broken where there was nothing to show.
        for part in series.bins.chunk_by(|one, two| {
            !series
                .gaps
                .iter()
                .any(|(from, to)| one.at_s <= *to && two.at_s >= *from && to - from > 0.3)
        }) {
            chart.draw_series([PathElement::new(
                part.iter()
                    .map(|bin| (bin.at_s, bin.p50_us / 1e3))
                    .collect::<Vec<_>>(),
                OURS.stroke_width(2),
            )])?;
        }
        Ok(())
    })
}
