//! Bars with their deviation: a bar for each kind of cluster, as in the paper's Figure 4.

use plotters::{prelude::*, style::text_anchor::HPos};

use super::{Alt, Axis, Ink, LETTERS, Margins, Stand, axes, draw, lines, text};

/// A bar chart from zero.
#[derive(Debug)]
pub(crate) struct Bars {
    /// The axis of the values.
    pub axis: Axis,
    /// The text above the axis.
    pub unit: String,
    /// The bars from left to right.
    pub of: Vec<Bar>,
    /// A range of values that is shaded across all bars, with its name.
    pub range: Option<((f64, f64), String)>,
}

/// A mean with its standard deviation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bar {
    /// The name below the axis.
    pub name: String,
    pub mean: f64,
    /// The standard deviation, drawn up and down from the mean; absent where there is only one value.
    pub deviation: Option<f64>,
    pub ink: Ink,
    /// The text above the bar.
    pub label: String,
}

/// Draws the bars.
pub(crate) fn bars(alt: &Alt, of: &Bars) -> anyhow::Result<String> {
    draw(
        alt,
        |_| 360,
        |area, room| {
            let margins = Margins {
                top: 40,
                right: 12,
                bottom: 66,
                left: if room.narrow { 38 } else { 52 },
            };
            let x = Axis::columns(of.of.len());
            let chart = axes(area, &x, &of.axis, margins)?;
            text(area, (2, 12), &of.unit, Stand::new(HPos::Left).small())?;
            let place = |x: f64, value: f64| chart.backend_coord(&(x, of.axis.at(value)));
            let (left, bottom) = place(0.0, 0.0);
            let (right, _) = place(of.of.len() as f64, 0.0);
            if let Some(((low, high), name)) = &of.range {
                let corners = [(left, place(0.0, *high).1), (right, place(0.0, *low).1)];
                area.draw(&Rectangle::new(corners, Ink::Paper.faint(0.12)))?;
                let stand = Stand::new(HPos::Right).ink(Ink::Paper).small();
                text(area, (right - 4, corners[0].1 - 9), name, stand)?;
            }
            let letters = usize::try_from((right - left) / 8).unwrap_or(1) / of.of.len().max(1);
            for (at, bar) in of.of.iter().enumerate() {
                let (from, top) = place(at as f64 + 0.2, bar.mean);
                let (to, _) = place(at as f64 + 0.8, bar.mean);
                let corners = [(from, top), (to, bottom)];
                area.draw(&Rectangle::new(corners, bar.ink.faint(0.35)))?;
                area.draw(&Rectangle::new(corners, bar.ink.line(2)))?;
                let middle = i32::midpoint(from, to);
                let mut above = top;
                if let Some(deviation) = bar.deviation {
                    let (_, low) = place(0.0, bar.mean - deviation);
                    let (_, high) = place(0.0, bar.mean + deviation);
                    above = high;
                    for (a, b) in [
                        ((middle, low), (middle, high)),
                        ((middle - 6, low), (middle + 6, low)),
                        ((middle - 6, high), (middle + 6, high)),
                    ] {
                        area.draw(&PathElement::new(vec![a, b], Ink::Text.line(2)))?;
                    }
                }
                text(
                    area,
                    (middle, above - 11),
                    &bar.label,
                    Stand::new(HPos::Center),
                )?;
                let mut y = bottom + 15;
                for line in lines(&bar.name, letters.max(4)) {
                    text(
                        area,
                        (middle, y),
                        line.trim_end(),
                        Stand::new(HPos::Center).small(),
                    )?;
                    y += i32::try_from(LETTERS - 1)?;
                }
            }
            Ok(())
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bar_has_its_mean_and_the_range_its_name() {
        let alt = Alt {
            id: "b".into(),
            title: "t".into(),
            description: "d".into(),
        };
        let bar = |name: &str, deviation| Bar {
            name: name.into(),
            mean: 180.0,
            deviation,
            ink: Ink::Series(0),
            label: "180".into(),
        };
        let of = Bars {
            axis: Axis::linear(0.0, 300.0, 6),
            unit: "s".into(),
            of: vec![bar("kubeadm, 1 node", Some(12.0)), bar("k3s, 1 node", None)],
            range: Some(((150.0, 270.0), "the paper".into())),
        };
        let svg = bars(&alt, &of).expect("drawn");
        assert_eq!(svg.matches("180").count(), 4, "two bars, wide and narrow");
        assert!(svg.contains("the paper") && svg.contains("kubeadm"));
    }
}
