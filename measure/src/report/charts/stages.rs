//! Where the time goes.

use plotters::{
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};
use timeline::Stage;

use super::{FONT, GRID, INK, LABELS, ROW, STAGES, draw, label, plain};
use crate::{report::ms, summary::StageUs};

/// A row of the waterfall.
#[derive(Debug)]
pub(in crate::report) struct StageRow<'a> {
    /// The scenario.
    pub name: &'a str,
    /// In the order of [`Stage::ALL`]; none where unknown.
    pub stages: [Option<&'a StageUs>; 5],
}

/// Where the time goes: the stages' means, one after the other.
pub(in crate::report) fn waterfall(rows: &[StageRow<'_>]) -> anyhow::Result<String> {
    let height = ROW * u32::try_from(rows.len())? + 100;
    draw(height, "Stages of the latency, mean milliseconds", |area| {
        let total = |row: &StageRow<'_>| {
            row.stages
                .iter()
                .flatten()
                .map(|stage| stage.mean / 1e3)
                .sum::<f64>()
        };
        let longest = rows.iter().map(total).fold(0.0, f64::max);
        let count = rows.len() as f64;
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .margin_top(32)
            .x_label_area_size(42)
            .margin_left(LABELS)
            .margin_right(52)
            .build_cartesian_2d(0.0..(longest * 1.02).max(0.001), 0.0..count)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(INK)
            .label_style((FONT, 13).into_font().color(&INK))
            .x_desc("milliseconds, mean")
            .x_label_formatter(&|value| plain(*value))
            .draw()?;
        for (at, row) in rows.iter().enumerate() {
            let middle = count - at as f64 - 0.5;
            let mut from = 0.0;
            for (stage, colour) in row.stages.iter().zip(STAGES) {
                let Some(stage) = stage else {
                    continue;
                };
                let to = from + stage.mean / 1e3;
                chart.draw_series([Rectangle::new(
                    [(from, middle - 0.32), (to, middle + 0.32)],
                    colour.filled(),
                )])?;
                from = to;
            }
            label(
                area,
                &chart,
                (from, middle),
                &ms(from * 1e3),
                HPos::Left,
                (12, INK),
            )?;
            label(
                area,
                &chart,
                (0.0, middle),
                row.name,
                HPos::Right,
                (13, INK),
            )?;
        }
        // The legend, above the plot.
        let mut left = LABELS;
        for (stage, colour) in Stage::ALL.into_iter().zip(STAGES) {
            area.draw(&Rectangle::new(
                [(left, 10), (left + 14, 24)],
                colour.filled(),
            ))?;
            let style = (FONT, 13)
                .into_font()
                .color(&INK)
                .pos(Pos::new(HPos::Left, VPos::Center));
            area.draw(&Text::new(stage.as_str(), (left + 20, 17), style))?;
            left += 96;
        }
        Ok(())
    })
}
