//! Box plots: a column for each scenario, as in the paper's Figures 5 and 6.

use plotters::{prelude::*, style::text_anchor::HPos};

use super::{
    Alt, Area, Axis, Chart, Ink, LETTERS, Margins, Room, Stand, axes, draw, lines, text, width_of,
};

/// A box plot: columns over one axis of values.
#[derive(Debug)]
pub(crate) struct Boxes {
    /// The axis of the values.
    pub axis: Axis,
    /// The unit of the values, written above the axis.
    pub unit: String,
    /// The columns from left to right.
    pub columns: Vec<Column>,
    /// Lines across all columns.
    pub lines: Vec<Line>,
}

/// A column of boxes and marks, for a scenario.
#[derive(Debug)]
pub(crate) struct Column {
    /// The name below the axis.
    pub name: String,
    /// The boxes side by side.
    pub boxes: Vec<Boxed>,
    /// Marks to the right of the boxes, or where these would be.
    pub marks: Vec<Mark>,
}

/// A distribution as a box with whiskers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Boxed {
    /// The lower whisker, the lower edge, the bar, the upper edge, the upper whisker.
    pub five: [f64; 5],
    pub ink: Ink,
    /// The text above the upper whisker.
    pub label: String,
    /// The text below the axis, where a column has several boxes.
    pub letter: Option<&'static str>,
}

/// A figure of the paper: its median, a range, or both.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mark {
    /// The median, drawn as a diamond.
    pub value: Option<f64>,
    /// The ends of a line.
    pub range: Option<(f64, f64)>,
    /// The text below diamond and line.
    pub label: String,
}

/// A line at a value, across all columns.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub value: f64,
    /// The text beside the line.
    pub label: String,
}

/// Letters of a name's line that a column has room for.
const fn letters(room: Room, columns: usize) -> usize {
    let columns = if columns == 0 { 1 } else { columns };
    let left = if room.narrow { 88 } else { 98 };
    let most = (room.width as usize - left) / columns * 10 / 78;
    if most < 4 { 4 } else { most }
}

/// Draws a box plot.
pub(crate) fn boxes(alt: &Alt, of: &Boxes) -> anyhow::Result<String> {
    let names = |room: Room| {
        of.columns
            .iter()
            .map(|column| lines(&column.name, letters(room, of.columns.len())).len())
            .max()
            .unwrap_or(1)
    };
    let lettered = of
        .columns
        .iter()
        .any(|column| column.boxes.iter().any(|one| one.letter.is_some()));
    let below = |room: Room| {
        let rows = names(room) + usize::from(lettered);
        u32::try_from(rows).unwrap_or(1) * (LETTERS - 1) + 14
    };
    draw(
        alt,
        |room| if room.narrow { 300 } else { 320 } + below(room),
        |area, room| {
            let margins = Margins {
                top: 34,
                right: if of.lines.is_empty() { 6 } else { 46 },
                bottom: below(room),
                left: if room.narrow { 42 } else { 52 },
            };
            let chart = axes(area, &Axis::columns(of.columns.len()), &of.axis, margins)?;
            text(area, (2, 10), &of.unit, Stand::new(HPos::Left).small())?;
            for line in &of.lines {
                across(area, &chart, of, line)?;
            }
            for (at, column) in of.columns.iter().enumerate() {
                one(area, &chart, of, (at, column), room)?;
            }
            Ok(())
        },
    )
}

fn across(area: &Area<'_>, chart: &Chart<'_>, of: &Boxes, line: &Line) -> anyhow::Result<()> {
    if line.value > of.axis.high() {
        return Ok(());
    }
    let y = of.axis.at(line.value);
    let (left, height) = chart.backend_coord(&(0.0, y));
    let (right, _) = chart.backend_coord(&(of.columns.len() as f64, y));
    // Dashes by hand: the boxes' lines are solid.
    for from in (left..right).step_by(9) {
        area.draw(&PathElement::new(
            vec![(from, height), ((from + 5).min(right), height)],
            Ink::Paper.line(2),
        ))?;
    }
    let stand = Stand::new(HPos::Left).ink(Ink::Paper).small();
    text(area, (right + 4, height), &line.label, stand)
}

/// A column, in the units of the drawing.
fn one(
    area: &Area<'_>,
    chart: &Chart<'_>,
    of: &Boxes,
    (at, column): (usize, &Column),
    room: Room,
) -> anyhow::Result<()> {
    let place = |x: f64, value: f64| chart.backend_coord(&(at as f64 + x, of.axis.at(value)));
    let slots = column.boxes.len() + usize::from(!column.marks.is_empty());
    let share = 1.0 / slots.max(1) as f64;
    let x_of = |slot: usize| 0.06 + (slot as f64 + 0.5) * share * 0.88;
    let (left, bottom) = place(0.0, f64::MIN);
    let (right, _) = place(1.0, f64::MIN);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a part of a column's width, which fits"
    )]
    let half = ((f64::from(right - left) * share * 0.3) as i32).clamp(3, 22);
    for (slot, boxed) in column.boxes.iter().enumerate() {
        let (x, _) = place(x_of(slot), 1.0);
        let [low, from, middle, to, high] = boxed.five.map(|value| place(0.0, value).1);
        for (a, b) in [
            ((x, low), (x, from)),
            ((x, to), (x, high)),
            ((x - half / 2, low), (x + half / 2, low)),
            ((x - half / 2, high), (x + half / 2, high)),
        ] {
            area.draw(&PathElement::new(vec![a, b], boxed.ink.line(2)))?;
        }
        let corners = [(x - half, to), (x + half, from.max(to + 1))];
        area.draw(&Rectangle::new(corners, boxed.ink.faint(0.3)))?;
        area.draw(&Rectangle::new(corners, boxed.ink.line(2)))?;
        let bar = vec![(x - half - 2, middle), (x + half + 2, middle)];
        area.draw(&PathElement::new(bar, Ink::Text.line(2)))?;
        let stand = Stand::new(HPos::Center);
        text(area, (x, high - 11), &boxed.label, stand)?;
        if let Some(letter) = boxed.letter {
            text(area, (x, bottom + 14), letter, stand.small())?;
        }
    }
    for mark in &column.marks {
        let (x, _) = place(x_of(column.boxes.len()), 1.0);
        let mut lowest = i32::MIN;
        if let Some(range) = mark.range {
            let (low, high) = (place(0.0, range.0).1, place(0.0, range.1).1);
            lowest = low;
            for (a, b) in [
                ((x, low), (x, high)),
                ((x - 5, low), (x + 5, low)),
                ((x - 5, high), (x + 5, high)),
            ] {
                area.draw(&PathElement::new(vec![a, b], Ink::Paper.line(2)))?;
            }
        }
        if let Some(value) = mark.value {
            let (_, y) = place(0.0, value);
            lowest = lowest.max(y + 4);
            let diamond = vec![(x - 6, y), (x, y - 6), (x + 6, y), (x, y + 6)];
            area.draw(&Polygon::new(diamond, Ink::Paper.filled()))?;
        }
        let stand = Stand::new(HPos::Center).ink(Ink::Paper);
        let most = i32::try_from(room.width)? - width_of(&mark.label) / 2 - 4;
        text(area, (x.min(most), lowest + 13), &mark.label, stand)?;
    }
    let first = bottom
        + if column.boxes.iter().any(|one| one.letter.is_some()) {
            31
        } else {
            15
        };
    let mut y = first;
    for line in lines(&column.name, letters(room, of.columns.len())) {
        text(
            area,
            (i32::midpoint(left, right), y),
            line.trim_end(),
            Stand::new(HPos::Center).small(),
        )?;
        y += i32::try_from(LETTERS - 1)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_and_the_paper_beside_it_are_drawn() {
        let alt = Alt {
            id: "b".into(),
            title: "t".into(),
            description: "d".into(),
        };
        let column = |name: &str, p50: f64| Column {
            name: name.into(),
            boxes: vec![Boxed {
                five: [p50 - 1.0, p50 - 0.5, p50, p50 + 0.5, p50 + 2.0],
                ink: Ink::Series(1),
                label: format!("{p50:.1}"),
                letter: None,
            }],
            marks: vec![Mark {
                value: Some(762.0),
                range: Some((762.0, 1000.0)),
                label: "762".into(),
            }],
        };
        let of = Boxes {
            axis: Axis::log(1.0, 2000.0),
            unit: "ms".into(),
            columns: vec![column("s1-single", 7.5), column("s2-liqo-local", 8.5)],
            lines: vec![Line {
                value: 15.0,
                label: "15 ms".into(),
            }],
        };
        let svg = boxes(&alt, &of).expect("drawn");
        for word in [
            "7.5",
            "8.5",
            "762",
            "15 ms",
            "liqo-",
            "var(--paper)",
            "var(--k2)",
        ] {
            assert!(svg.contains(word), "{word} is missing in {svg}");
        }
    }
}
