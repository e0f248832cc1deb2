//! Distributions as lines: how many frames took at most how long.

use plotters::{prelude::*, style::text_anchor::HPos};

use super::{Alt, Area, Axis, Ink, Margins, Room, Stand, axes, draw, text, width_of};

/// Curves over the same axes.
#[derive(Debug)]
pub(crate) struct Curves {
    /// The horizontal axis.
    pub x: Axis,
    /// The text below the horizontal axis.
    pub x_name: String,
    /// The vertical axis.
    pub y: Axis,
    /// The text above the vertical axis.
    pub y_name: String,
    /// The curves, one for each scenario.
    pub lines: Vec<Curve>,
    /// A vertical line at a value of x, with its name.
    pub bound: Option<(f64, String)>,
}

/// A curve with its entry in the legend.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Curve {
    /// The name in the legend.
    pub name: String,
    /// The colour, which decides the dash too.
    pub ink: Ink,
    /// The points in values of the axes, from left to right.
    pub points: Vec<(f64, f64)>,
}

/// The legend's entries with their places, and the height that it needs.
fn legend(curves: &[Curve], room: Room) -> (Vec<(i32, i32)>, u32) {
    let (mut x, mut y) = (4, 14);
    let width = i32::try_from(room.width).unwrap_or(i32::MAX);
    let mut places = Vec::new();
    for curve in curves {
        let needs = 34 + width_of(&curve.name) + 16;
        if x > 4 && x + needs > width {
            (x, y) = (4, y + 18);
        }
        places.push((x, y));
        x += needs;
    }
    (places, u32::try_from(y + 12).unwrap_or(26))
}

/// Draws curves over their axes.
pub(crate) fn curves(alt: &Alt, of: &Curves) -> anyhow::Result<String> {
    draw(
        alt,
        |room| 300 + legend(&of.lines, room).1,
        |area, room| {
            let (places, top) = legend(&of.lines, room);
            for (curve, (x, y)) in of.lines.iter().zip(places) {
                let line = vec![(x, y), (x + 28, y)];
                area.draw(&PathElement::new(line, curve.ink.line(3)))?;
                text(area, (x + 34, y), &curve.name, Stand::new(HPos::Left))?;
            }
            let margins = Margins {
                top: top + 24,
                right: if room.narrow { 14 } else { 22 },
                bottom: 50,
                left: if room.narrow { 38 } else { 52 },
            };
            let chart = axes(area, &of.x, &of.y, margins)?;
            let small = Stand::new(HPos::Left).small();
            text(area, (2, i32::try_from(top)? + 8), &of.y_name, small)?;
            let (_, height) = area.dim_in_pixel();
            let middle = i32::try_from(room.width)? / 2;
            text(
                area,
                (middle, i32::try_from(height)? - 10),
                &of.x_name,
                Stand::new(HPos::Center).small(),
            )?;
            if let Some((value, name)) = &of.bound
                && *value <= of.x.high()
            {
                bound(area, &chart, of, (*value, name))?;
            }
            for curve in &of.lines {
                let points: Vec<_> = curve
                    .points
                    .iter()
                    .map(|(x, y)| chart.backend_coord(&(of.x.at(*x), of.y.at(*y))))
                    .collect();
                area.draw(&PathElement::new(thinned(points), curve.ink.line(2)))?;
            }
            Ok(())
        },
    )
}

fn bound(
    area: &Area<'_>,
    chart: &super::Chart<'_>,
    of: &Curves,
    (value, name): (f64, &str),
) -> anyhow::Result<()> {
    let (x, bottom) = chart.backend_coord(&(of.x.at(value), of.y.at(f64::MIN)));
    let (_, top) = chart.backend_coord(&(of.x.at(value), of.y.at(of.y.high())));
    for from in (top..bottom).step_by(9) {
        let line = vec![(x, from), (x, (from + 5).min(bottom))];
        area.draw(&PathElement::new(line, Ink::Paper.line(2)))?;
    }
    let (right, _) = chart.backend_coord(&(of.x.at(f64::MAX), of.y.at(0.0)));
    let (anchor, beside) = if right - x > width_of(name) + 8 {
        (HPos::Left, x + 6)
    } else {
        (HPos::Right, x - 6)
    };
    let stand = Stand::new(anchor).ink(Ink::Paper).small();
    text(area, (beside, bottom - 14), name, stand)
}

/// Leaves out points that lie on another.
fn thinned(mut points: Vec<(i32, i32)>) -> Vec<(i32, i32)> {
    points.dedup();
    points
}
