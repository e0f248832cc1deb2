//! The page's drawings, as SVG that takes its colours from the page, so that light, dark and print each fit.

mod boxes;
mod stages;
mod time;

use plotters::{
    coord::{Shift, types::RangedCoordf64},
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

pub(super) use boxes::{BoxRow, Kind, boxes};
pub(super) use stages::{StageRow, waterfall};
pub(super) use time::over_time;

/// Colours that stand for those of the page: each is replaced by a variable of its style sheet.
const INK: RGBColor = RGBColor(1, 1, 1);
const GRID: RGBColor = RGBColor(2, 2, 2);
const OURS: RGBColor = RGBColor(3, 3, 3);
const FLOOR: RGBColor = RGBColor(4, 4, 4);
const REFERENCE: RGBColor = RGBColor(5, 5, 5);
const PAPER: RGBColor = RGBColor(6, 6, 6);
const GAP: RGBColor = RGBColor(7, 7, 7);
const STAGES: [RGBColor; 5] = [
    RGBColor(11, 11, 11),
    RGBColor(12, 12, 12),
    RGBColor(13, 13, 13),
    RGBColor(14, 14, 14),
    RGBColor(15, 15, 15),
];

/// What they are replaced by.
const VARIABLES: [(RGBColor, &str); 12] = [
    (INK, "currentColor"),
    (GRID, "var(--grid)"),
    (OURS, "var(--ours)"),
    (FLOOR, "var(--floor)"),
    (REFERENCE, "var(--reference)"),
    (PAPER, "var(--paper)"),
    (GAP, "var(--gap)"),
    (STAGES[0], "var(--stage-1)"),
    (STAGES[1], "var(--stage-2)"),
    (STAGES[2], "var(--stage-3)"),
    (STAGES[3], "var(--stage-4)"),
    (STAGES[4], "var(--stage-5)"),
];

/// Width of every drawing in its own units; the page scales it.
const WIDTH: u32 = 860;
const LABELS: i32 = 210;
const ROW: u32 = 30;
const FONT: &str = "system-ui, sans-serif";

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A text beside a point of the chart, `anchor` of it 8 units away, vertically centred; in `area`, since it may stand
/// outside of the axes.
fn label<X: Ranged<ValueType = f64>>(
    area: &Area<'_>,
    chart: &ChartContext<'_, SVGBackend<'_>, Cartesian2d<X, RangedCoordf64>>,
    at: (f64, f64),
    text: &str,
    anchor: HPos,
    font: (u32, RGBColor),
) -> anyhow::Result<()> {
    let (points, colour) = font;
    let gap = if matches!(anchor, HPos::Left) { 8 } else { -8 };
    let style = (FONT, points)
        .into_font()
        .color(&colour)
        .pos(Pos::new(anchor, VPos::Center));
    let (x, y) = chart.backend_coord(&at);
    area.draw(&Text::new(text.to_owned(), (x + gap, y), style))?;
    Ok(())
}

/// Draws, and hands the colours over to the page.
fn draw(
    height: u32,
    title: &str,
    paint: impl FnOnce(&Area<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        paint(&area)?;
        area.present()?;
    }
    for (colour, variable) in VARIABLES {
        let written = format!("#{:02X}{:02X}{:02X}", colour.0, colour.1, colour.2);
        svg = svg.replace(&written, variable);
    }
    let opening = format!("<svg width=\"{WIDTH}\" height=\"{height}\" ");
    let scaled = format!("<svg role=\"img\" aria-label=\"{}\" ", escaped(title));
    Ok(svg.replacen(&opening, &scaled, 1))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}

/// A number on an axis.
fn plain(value: f64) -> String {
    if value >= 1.0 || value == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{value}")
    }
}
