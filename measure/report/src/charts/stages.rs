//! Where the time goes.

use plotters::{prelude::*, style::text_anchor::HPos};
use timeline::Stage;

use super::{Alt, Axis, Ink, Margins, Room, Stand, axes, draw, text, width_of};
use crate::{summary::StageUs, text::ms};

/// A row of the waterfall: the stages of a scenario.
#[derive(Debug)]
pub(crate) struct StageRow<'a> {
    pub name: &'a str,
    /// The stages in the order of [`Stage::ALL`]; none where unknown.
    pub stages: [Option<&'a StageUs>; 5],
    /// The time in place of stages 2 to 4, where a server between keeps no trace.
    pub carried: Option<&'a StageUs>,
}

impl StageRow<'_> {
    /// The sum of the stages' means, in milliseconds.
    fn total_ms(&self) -> f64 {
        self.bars().map(|(_, _, mean_ms)| mean_ms).sum()
    }

    /// The parts of the bar in order: colour, number, mean in milliseconds.
    fn bars(&self) -> impl Iterator<Item = (Ink, String, f64)> {
        let stage = |number: usize| {
            let of = self.stages[number]?;
            Some((Ink::Stage(number), (number + 1).to_string(), of.mean / 1e3))
        };
        let carried = self
            .carried
            .map(|of| (Ink::Quiet, "2–4".to_owned(), of.mean / 1e3));
        let before_last = (0..4).map(stage);
        before_last.chain([carried, stage(4)]).flatten()
    }
}

/// The height of a row: where there is little room, the name stands above its bar.
const fn row(room: Room) -> i32 {
    if room.narrow { 46 } else { 34 }
}

/// The legend's lines: all five stages on one, or three and two.
const fn legend(room: Room) -> u32 {
    if room.narrow { 44 } else { 26 }
}

/// Draws the stages' means, one after the other.
pub(crate) fn waterfall(alt: &Alt, rows: &[StageRow<'_>]) -> anyhow::Result<String> {
    let count = i32::try_from(rows.len())?;
    let longest = rows.iter().map(StageRow::total_ms).fold(0.0, f64::max);
    let names = rows.iter().map(|row| width_of(row.name)).max().unwrap_or(0);
    let height = |room: Room| legend(room) + u32::try_from(count * row(room)).unwrap_or(0) + 58;
    draw(alt, height, |area, room| {
        let mut at = (4, 12);
        for (number, stage) in Stage::ALL.into_iter().enumerate() {
            if room.narrow && number == 3 {
                at = (4, at.1 + 20);
            }
            let swatch = [(at.0, at.1 - 7), (at.0 + 14, at.1 + 7)];
            area.draw(&Rectangle::new(swatch, Ink::Stage(number).filled()))?;
            let name = format!("{} {}", number + 1, stage.as_str());
            text(area, (at.0 + 20, at.1), &name, Stand::new(HPos::Left))?;
            at.0 += 110;
        }
        let left = if room.narrow { 4 } else { names.min(250) + 10 };
        let margins = Margins {
            top: legend(room),
            right: 54,
            bottom: 50,
            left: u32::try_from(left)?,
        };
        let x = Axis::until(longest * 1.02, if room.narrow { 4 } else { 8 });
        let chart = axes(area, &x, &Axis::columns(1), margins)?;
        let (_, bottom) = area.dim_in_pixel();
        let below = (i32::try_from(room.width)? / 2, i32::try_from(bottom)? - 10);
        let stand = Stand::new(HPos::Center).small();
        text(area, below, "mean, ms", stand)?;
        for (number, of) in rows.iter().enumerate() {
            let top = i32::try_from(legend(room))? + i32::try_from(number)? * row(room);
            let (from_y, to_y) = if room.narrow {
                text(area, (4, top + 12), of.name, Stand::new(HPos::Left))?;
                (top + 22, top + 42)
            } else {
                let middle = top + row(room) / 2;
                text(area, (left - 8, middle), of.name, Stand::new(HPos::Right))?;
                (middle - 11, middle + 11)
            };
            let mut from = 0.0;
            for (ink, name, mean) in of.bars() {
                let (x0, _) = chart.backend_coord(&(x.at(from), 0.0));
                from += mean;
                let (x1, _) = chart.backend_coord(&(x.at(from), 0.0));
                let corners = [(x0, from_y), (x1, to_y)];
                area.draw(&Rectangle::new(corners, ink.filled()))?;
                if x1 - x0 > 3 {
                    // A line of the page between neighbours, and the stage's number: colour is not all there is.
                    let edge = vec![(x1, from_y), (x1, to_y)];
                    area.draw(&PathElement::new(edge, Ink::Ground.line(1)))?;
                }
                if x1 - x0 > 8 + 6 * i32::try_from(name.chars().count())? {
                    let stand = Stand::new(HPos::Center).ink(Ink::Ground).small();
                    let middle = (i32::midpoint(x0, x1), i32::midpoint(from_y, to_y));
                    text(area, middle, &name, stand)?;
                }
            }
            let (end, _) = chart.backend_coord(&(x.at(from), 0.0));
            let beside = (end + 6, i32::midpoint(from_y, to_y));
            text(area, beside, &ms(from * 1e3), Stand::new(HPos::Left))?;
        }
        Ok(())
    })
}
