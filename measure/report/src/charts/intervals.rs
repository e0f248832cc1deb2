//! Differences with their intervals: what does not touch zero is told apart.

use plotters::{prelude::*, style::text_anchor::HPos};

use super::{Alt, Axis, Ink, Margins, Room, Stand, axes, draw, text, width_of};

/// A difference with its interval.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct IntervalRow {
    /// The two scenarios of the difference.
    pub name: String,
    /// The difference itself.
    pub middle: f64,
    /// The ends of the 95 % confidence interval; none where there is none.
    pub ends: Option<(f64, f64)>,
    /// Whether the difference is told from zero.
    pub told: bool,
}

/// The height of a row: where there is little room, the name stands above.
const fn row(room: Room) -> i32 {
    if room.narrow { 44 } else { 26 }
}

/// Draws differences over one axis with zero on it.
pub(crate) fn intervals(alt: &Alt, unit: &str, rows: &[IntervalRow]) -> anyhow::Result<String> {
    let count = i32::try_from(rows.len())?;
    let names = rows
        .iter()
        .map(|row| width_of(&row.name))
        .max()
        .unwrap_or(0);
    let ends = |row: &IntervalRow| row.ends.unwrap_or((row.middle, row.middle));
    let low = rows.iter().map(|row| ends(row).0).fold(0.0, f64::min);
    let high = rows.iter().map(|row| ends(row).1).fold(0.0, f64::max);
    let height = |room: Room| u32::try_from(count * row(room)).unwrap_or(0) + 62;
    draw(alt, height, |area, room| {
        let left = if room.narrow { 14 } else { names.min(330) + 18 };
        let x = Axis::linear(low, high, if room.narrow { 4 } else { 8 });
        let margins = Margins {
            top: 6,
            right: 24,
            bottom: 50,
            left: u32::try_from(left)?,
        };
        let chart = axes(area, &x, &Axis::columns(1), margins)?;
        let place = |value: f64| chart.backend_coord(&(x.at(value), 0.0)).0;
        let bottom = 6 + count * row(room);
        if !room.narrow {
            let zero = vec![(place(0.0), 6), (place(0.0), bottom)];
            area.draw(&PathElement::new(zero, Ink::Text.line(2)))?;
        }
        let (_, full) = area.dim_in_pixel();
        let below = (i32::try_from(room.width)? / 2, i32::try_from(full)? - 10);
        text(area, below, unit, Stand::new(HPos::Center).small())?;
        for (number, of) in rows.iter().enumerate() {
            let top = 6 + i32::try_from(number)? * row(room);
            let y = if room.narrow {
                text(area, (4, top + 12), &of.name, Stand::new(HPos::Left))?;
                let zero = vec![(place(0.0), top + 23), (place(0.0), top + 42)];
                area.draw(&PathElement::new(zero, Ink::Text.line(2)))?;
                top + 32
            } else {
                let y = top + row(room) / 2;
                text(area, (left - 10, y), &of.name, Stand::new(HPos::Right))?;
                y
            };
            // Told apart: full. Not: hollow, so that the colour is not all there is.
            let ink = if of.told { Ink::Series(1) } else { Ink::Quiet };
            let (from, to) = ends(of);
            let line = vec![(place(from), y), (place(to), y)];
            area.draw(&PathElement::new(line, ink.line(3)))?;
            for end in [from, to] {
                let cap = vec![(place(end), y - 5), (place(end), y + 5)];
                area.draw(&PathElement::new(cap, ink.line(2)))?;
            }
            let at = (place(of.middle), y);
            area.draw(&Circle::new(at, 6, ink.filled()))?;
            if !of.told {
                area.draw(&Circle::new(at, 4, Ink::Ground.filled()))?;
            }
        }
        Ok(())
    })
}
