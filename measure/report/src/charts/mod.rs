//! The page's drawings, as SVG that takes its colours from the page, so that light, dark and print each fit.
//!
//! plotters draws with colours that stand for those of the page; each is replaced by a variable of its style sheet. Each
//! drawing is made twice, wide and narrow, so that a phone gets letters of the same size; the style sheet shows one.

mod axis;
mod bars;
mod boxes;
mod curves;
mod intervals;
mod stages;
mod time;

use plotters::{
    coord::{Shift, types::RangedCoordf64},
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

pub(super) use axis::Axis;
pub(super) use bars::{Bar, Bars, bars};
pub(super) use boxes::{Boxed, Boxes, Column, Line, Mark, boxes};
pub(super) use curves::{Curve, Curves, curves};
pub(super) use intervals::{IntervalRow, intervals};
pub(super) use stages::{StageRow, waterfall};
pub(super) use time::{OverTime, over_time};

/// How many scenarios have a colour and a dash of their own; the next begins again.
pub(super) const SERIES: usize = 8;

/// A colour of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    /// Text and what stands for the middle.
    Text,
    /// Lines behind the figures.
    Grid,
    /// The page itself: what separates neighbours.
    Ground,
    /// The papers' figures.
    Paper,
    /// Where no frame was shown.
    Gap,
    /// Where the machine was disturbed; floors.
    Quiet,
    /// The scenario of that number, from 0.
    Series(usize),
    /// The stage of that number, from 0.
    Stage(usize),
}

impl Ink {
    /// The colour that stands for it while plotters draws: no two inks have the same.
    fn stand_in(self) -> RGBColor {
        let number = |base: usize, of: usize, count: usize| {
            u8::try_from(base + of % count).unwrap_or(u8::MAX)
        };
        let byte = match self {
            Self::Text => 1,
            Self::Grid => 2,
            Self::Ground => 3,
            Self::Paper => 4,
            Self::Gap => 5,
            Self::Quiet => 6,
            Self::Stage(of) => number(11, of, 5),
            Self::Series(of) => number(21, of, SERIES),
        };
        RGBColor(byte, byte, byte)
    }

    /// The name of the colour in the style sheet.
    fn variable(self) -> String {
        match self {
            Self::Text => "currentColor".into(),
            Self::Grid => "var(--grid)".into(),
            Self::Ground => "var(--ground)".into(),
            Self::Paper => "var(--paper)".into(),
            Self::Gap => "var(--gap)".into(),
            Self::Quiet => "var(--quiet)".into(),
            Self::Stage(of) => format!("var(--stage-{})", of % 5 + 1),
            Self::Series(of) => format!("var(--k{})", of % SERIES + 1),
        }
    }

    fn all() -> impl Iterator<Item = Self> {
        [
            Self::Text,
            Self::Grid,
            Self::Ground,
            Self::Paper,
            Self::Gap,
            Self::Quiet,
        ]
        .into_iter()
        .chain((0..5).map(Self::Stage))
        .chain((0..SERIES).map(Self::Series))
    }

    fn filled(self) -> ShapeStyle {
        self.stand_in().filled()
    }

    fn faint(self, opacity: f64) -> ShapeStyle {
        self.stand_in().mix(opacity).filled()
    }

    fn line(self, width: u32) -> ShapeStyle {
        self.stand_in().stroke_width(width)
    }
}

/// The name of a drawing, and what it shows in words.
#[derive(Clone, Debug)]
pub(super) struct Alt {
    /// An id that is unique in the page.
    pub id: String,
    /// The name of the drawing.
    pub title: String,
    /// A description for those who do not see the drawing.
    pub description: String,
}

/// How much room a drawing has. Its units are those of the letters, about a pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    width: u32,
    /// Whether the drawing is for a phone.
    narrow: bool,
}

const WIDE: Room = Room {
    width: 880,
    narrow: false,
};
const NARROW: Room = Room {
    width: 360,
    narrow: true,
};

/// The size of letters: plotters divides by 1.24.
const LETTERS: u32 = 16;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// Draws for both rooms, and hands the colours over to the page.
fn draw(
    alt: &Alt,
    height: impl Fn(Room) -> u32,
    paint: impl Fn(&Area<'_>, Room) -> anyhow::Result<()>,
) -> anyhow::Result<String> {
    let mut both = String::new();
    for room in [WIDE, NARROW] {
        let mut svg = String::new();
        let height = height(room);
        {
            let area = SVGBackend::with_string(&mut svg, (room.width, height)).into_drawing_area();
            paint(&area, room)?;
            area.present()?;
        }
        for ink in Ink::all() {
            let RGBColor(red, green, blue) = ink.stand_in();
            svg = svg.replace(&format!("#{red:02X}{green:02X}{blue:02X}"), &ink.variable());
        }
        // What is the same for every drawing is in the style sheet.
        svg = svg
            .replace(" opacity=\"1\"", "")
            .replace(" font-family=\"sans-serif\"", "");
        let class = if room.narrow { "narrow" } else { "wide" };
        let id = format!("{}-{class}", alt.id);
        let head = format!(
            "<svg class=\"{class}\" role=\"img\" aria-labelledby=\"{id}-t\" aria-describedby=\"{id}-d\" \
             viewBox=\"0 0 {} {height}\"><title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>",
            room.width,
            escaped(&alt.title),
            escaped(&alt.description)
        );
        let body = svg.split_once('>').map_or("", |(_, body)| body);
        both.push_str(&head);
        both.push_str(body);
    }
    Ok(both)
}

/// The room around the plot, for axes and labels.
#[derive(Clone, Copy, Debug)]
struct Margins {
    top: u32,
    right: u32,
    bottom: u32,
    left: u32,
}

/// A chart with its grid and labels: those of its axes, since plotters labels no axis with values of one's own.
fn axes<'a>(area: &Area<'a>, x: &Axis, y: &Axis, margins: Margins) -> anyhow::Result<Chart<'a>> {
    let chart = ChartBuilder::on(area)
        .margin_top(margins.top)
        .margin_right(margins.right)
        .x_label_area_size(margins.bottom)
        .y_label_area_size(margins.left)
        .build_cartesian_2d(x.ends(), y.ends())?;
    let grid = |from: (f64, f64), to: (f64, f64)| {
        let line = vec![chart.backend_coord(&from), chart.backend_coord(&to)];
        area.draw(&PathElement::new(line, Ink::Grid.line(1)))
    };
    let (left, right) = (x.ends().start, x.ends().end);
    let (bottom, top) = (y.ends().start, y.ends().end);
    grid((left, bottom), (right, bottom))?;
    for key in y.keys() {
        grid((left, key), (right, key))?;
        let (at, height) = chart.backend_coord(&(left, key));
        text(
            area,
            (at - 7, height),
            &y.text(key),
            Stand::new(HPos::Right),
        )?;
    }
    for key in x.keys() {
        grid((key, bottom), (key, top))?;
        let (at, height) = chart.backend_coord(&(key, bottom));
        text(
            area,
            (at, height + 16),
            &x.text(key),
            Stand::new(HPos::Center),
        )?;
    }
    Ok(chart)
}

/// The position of a text relative to its point.
#[derive(Clone, Copy)]
struct Stand {
    anchor: HPos,
    ink: Ink,
    size: u32,
}

impl Stand {
    const fn new(anchor: HPos) -> Self {
        Self {
            anchor,
            ink: Ink::Text,
            size: LETTERS,
        }
    }

    const fn ink(self, ink: Ink) -> Self {
        Self { ink, ..self }
    }

    const fn small(self) -> Self {
        Self {
            size: LETTERS - 1,
            ..self
        }
    }
}

/// A text at a place of the area, vertically centred.
fn text(area: &Area<'_>, at: (i32, i32), text: &str, stand: Stand) -> anyhow::Result<()> {
    let style = ("sans-serif", stand.size)
        .into_font()
        .color(&stand.ink.stand_in())
        .pos(Pos::new(stand.anchor, VPos::Center));
    area.draw(&Text::new(text.to_owned(), at, style))?;
    Ok(())
}

/// The approximate width of a text, in units.
#[expect(
    clippy::cast_possible_truncation,
    reason = "texts are names of at most a few dozen letters"
)]
fn width_of(text: &str) -> i32 {
    (text.chars().count() as f64 * 7.2) as i32
}

/// A name in lines of at most `most` letters, broken at its hyphens and spaces where that is possible.
fn lines(name: &str, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in name.split_inclusive(['-', ' ', '_']) {
        match lines.last_mut() {
            Some(last) if last.chars().count() + part.trim_end().chars().count() <= most => {
                last.push_str(part);
            }
            _ => lines.push(part.to_owned()),
        }
    }
    lines
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_inks_are_drawn_alike() {
        let mut seen = std::collections::HashSet::new();
        for ink in Ink::all() {
            let RGBColor(red, green, blue) = ink.stand_in();
            assert!(seen.insert((red, green, blue)), "{ink:?}");
        }
        assert_eq!(Ink::Series(SERIES).variable(), Ink::Series(0).variable());
    }

    #[test]
    fn a_drawing_has_a_name_and_no_colour_of_its_own() {
        let alt = Alt {
            id: "f".into(),
            title: "Latency & <more>".into(),
            description: "\"None\"".into(),
        };
        let svg = draw(
            &alt,
            |_| 100,
            |area, _| {
                for ink in Ink::all() {
                    area.draw(&Circle::new((1, 1), 2, ink.filled()))?;
                    area.draw(&Circle::new((1, 1), 2, ink.faint(0.3)))?;
                }
                text(area, (5, 5), "<a>", Stand::new(HPos::Left))
            },
        )
        .expect("drawn");
        assert_eq!(svg.matches("role=\"img\"").count(), 2, "wide and narrow");
        assert_eq!(svg.matches("<svg").count(), svg.matches("</svg>").count());
        assert!(svg.contains("Latency &amp; &lt;more>") && svg.contains("&quot;None&quot;"));
        assert!(!svg.contains("=\"#"), "a colour is left in {svg}");
    }

    #[test]
    fn long_names_break_where_they_have_a_seam() {
        assert_eq!(
            lines("s5-nodeport-remote", 11),
            ["s5-", "nodeport-", "remote"]
        );
        assert_eq!(lines("s5-nodeport-remote", 12), ["s5-nodeport-", "remote"]);
        assert_eq!(lines("short", 3), ["short"]);
    }
}
