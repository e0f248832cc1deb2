//! Latency over time: the repetitions of a scenario, one after the other.

use plotters::{prelude::*, style::text_anchor::HPos};

use super::{Alt, Area, Axis, Chart, Ink, Margins, Room, Stand, axes, draw, text};
use crate::series::{Bin, Series};

/// The repetitions of a scenario, to be drawn over time.
#[derive(Debug)]
pub(crate) struct OverTime<'a> {
    /// The repetitions in the order of their numbers.
    pub runs: &'a [Series],
    /// The largest latency of the axis, in milliseconds: frames above are arrows at the edge.
    pub top_ms: f64,
    /// The scenario's colour.
    pub ink: Ink,
}

/// The height of the plot's parts, in units.
const PLOT: u32 = 150;
const ABOVE: u32 = 46;
const BELOW: u32 = 60;

/// Draws it: the middle latency of each bin as a line within the band from its smallest to its largest; gaps and disturbed
/// times shaded; lost frames as ticks below the axis; events by their number above.
pub(crate) fn over_time(alt: &Alt, of: &OverTime<'_>) -> anyhow::Result<String> {
    let length: f64 = of.runs.iter().map(|run| run.seconds).sum();
    draw(
        alt,
        |_| PLOT + ABOVE + BELOW,
        |area, room| {
            let x = Axis::until(length.max(0.001), if room.narrow { 4 } else { 10 });
            let y = Axis::until(of.top_ms, 4);
            let margins = Margins {
                top: ABOVE,
                right: 12,
                bottom: BELOW,
                left: if room.narrow { 34 } else { 52 },
            };
            let chart = axes(area, &x, &y, margins)?;
            text(area, (2, 10), "ms", Stand::new(HPos::Left).small())?;
            let bottom = i32::try_from(PLOT + ABOVE + BELOW)? - 10;
            let middle = (i32::try_from(room.width)? / 2, bottom);
            text(
                area,
                middle,
                "seconds measured",
                Stand::new(HPos::Center).small(),
            )?;
            let (mut from, mut badges) = (0.0, Vec::new());
            for run in of.runs {
                let canvas = Canvas {
                    area,
                    chart: &chart,
                    axes: (&x, &y),
                    from,
                };
                canvas.run(run, of, of.runs.len() > 1)?;
                badges.extend(run.events.iter().map(|event| {
                    let (at, _) = canvas.place(event.at_s, 0.0);
                    (at, event.number)
                }));
                from += run.seconds;
            }
            events(area, &badges, room)
        },
    )
}

/// Events: a line where each was, and its number above, pushed aside where another's stands.
fn events(area: &Area<'_>, events: &[(i32, usize)], room: Room) -> anyhow::Result<()> {
    let top = i32::try_from(ABOVE)?;
    let floor = i32::try_from(ABOVE + PLOT)?;
    let last = i32::try_from(room.width)? - 9;
    let places = apart(events.iter().map(|(at, _)| *at), 18, last);
    for ((at, number), badge) in events.iter().zip(places) {
        let line = vec![(badge, top - 11), (*at, top), (*at, floor)];
        area.draw(&PathElement::new(line, Ink::Text.line(1)))?;
        area.draw(&Circle::new((badge, top - 11), 8, Ink::Text.filled()))?;
        let stand = Stand::new(HPos::Center).ink(Ink::Ground).small();
        text(area, (badge, top - 11), &number.to_string(), stand)?;
    }
    Ok(())
}

/// Places `distance` apart, each as near as may be behind where it should be, the last one not after `last`.
fn apart(wanted: impl Iterator<Item = i32>, distance: i32, last: i32) -> Vec<i32> {
    let mut places: Vec<i32> = Vec::new();
    for at in wanted {
        let free = places.last().map_or(i32::MIN, |before| before + distance);
        places.push(at.max(free));
    }
    let mut free = last;
    for place in places.iter_mut().rev() {
        *place = (*place).min(free);
        free = *place - distance;
    }
    places
}

struct Canvas<'a, 'b> {
    area: &'a Area<'b>,
    chart: &'a Chart<'b>,
    axes: (&'a Axis, &'a Axis),
    /// The beginning of the repetition, in seconds.
    from: f64,
}

impl Canvas<'_, '_> {
    fn place(&self, at_s: f64, ms: f64) -> (i32, i32) {
        let (x, y) = self.axes;
        self.chart
            .backend_coord(&(x.at(self.from + at_s), y.at(ms)))
    }

    fn run(&self, run: &Series, of: &OverTime<'_>, numbered: bool) -> anyhow::Result<()> {
        let (left, floor) = self.place(0.0, 0.0);
        let (_, top) = self.place(0.0, of.top_ms);
        let spans = [
            (&run.disturbed, Ink::Quiet.faint(0.3)),
            (&run.gaps, Ink::Gap.faint(0.75)),
        ];
        for (spans, style) in spans {
            // However short one was, it is seen; of those in one place, one is drawn.
            let mut drawn = i32::MIN;
            for (from, to) in spans {
                let (from, to) = (self.place(*from, 0.0).0, self.place(*to, 0.0).0);
                if to <= drawn {
                    continue;
                }
                drawn = to;
                let corners = [(from, top), (to.max(from + 2), floor)];
                self.area.draw(&Rectangle::new(corners, style))?;
            }
        }
        if numbered {
            let edge = vec![(left, top - 22), (left, floor)];
            self.area.draw(&PathElement::new(edge, Ink::Grid.line(1)))?;
            let stand = Stand::new(HPos::Left).small();
            text(self.area, (left + 3, top - 28), &run.run.to_string(), stand)?;
        }
        for part in run.parts() {
            self.part(part, of)?;
        }
        let mut places: Vec<i32> = run
            .lost
            .iter()
            .map(|(at_s, _)| self.place(*at_s, 0.0).0)
            .collect();
        places.dedup();
        for x in places {
            let tick = vec![(x, floor + 1), (x, floor + 7)];
            self.area.draw(&PathElement::new(tick, Ink::Gap.line(2)))?;
        }
        Ok(())
    }

    /// Bins without a gap between them.
    fn part(&self, bins: &[Bin], of: &OverTime<'_>) -> anyhow::Result<()> {
        let line = |value: fn(&Bin) -> f64| {
            bins.iter()
                .map(move |bin| self.place(bin.at_s, value(bin) / 1e3))
        };
        let band: Vec<_> = line(|bin| bin.max_us)
            .chain(line(|bin| bin.min_us).rev())
            .collect();
        self.area.draw(&Polygon::new(band, of.ink.faint(0.35)))?;
        let middle: Vec<_> = line(|bin| bin.p50_us).collect();
        self.area.draw(&PathElement::new(middle, of.ink.line(2)))?;
        for bin in bins.iter().filter(|bin| bin.max_us / 1e3 > of.top_ms) {
            let (x, y) = self.place(bin.at_s, of.top_ms);
            let arrow = vec![(x - 4, y + 7), (x, y), (x + 4, y + 7)];
            self.area.draw(&Polygon::new(arrow, of.ink.filled()))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::Event;

    #[test]
    fn a_bad_hour_makes_no_large_page() {
        let run = Series {
            run: 1,
            seconds: 3_600.0,
            lost: (0..30_000).map(|at| (f64::from(at) * 0.12, 1)).collect(),
            gaps: (0..9_000)
                .map(|at| (f64::from(at) * 0.4, f64::from(at) * 0.4 + 0.12))
                .collect(),
            ..Series::default()
        };
        let alt = Alt {
            id: "t".into(),
            title: "t".into(),
            description: "d".into(),
        };
        let of = OverTime {
            runs: &[run],
            top_ms: 20.0,
            ink: Ink::Series(1),
        };
        let svg = over_time(&alt, &of).expect("drawn");
        assert!(svg.len() < 300_000, "{} bytes", svg.len());
    }

    #[test]
    fn numbers_of_events_stand_apart() {
        let places = apart([10, 12, 14, 80, 99].into_iter(), 18, 100);
        assert_eq!(places, [10, 28, 46, 80, 99]);
        assert_eq!(apart([95, 97].into_iter(), 18, 100), [82, 100]);
    }

    #[test]
    fn what_does_not_fit_is_an_arrow_and_a_gap_breaks_the_line() {
        let bin = |at_s: f64, max_us: f64| Bin {
            at_s,
            min_us: 7_000.0,
            p50_us: 8_000.0,
            max_us,
        };
        let run = Series {
            run: 1,
            seconds: 10.0,
            bins: vec![
                bin(1.0, 9_000.0),
                bin(2.0, 90_000.0),
                bin(8.0, 9_000.0),
                bin(9.0, 9_000.0),
            ],
            gaps: vec![(2.2, 7.8)],
            events: vec![Event {
                number: 7,
                at_s: 2.2,
                what: "killed".into(),
                who: "gateway".into(),
                detail: String::new(),
            }],
            ..Series::default()
        };
        let alt = Alt {
            id: "t".into(),
            title: "t".into(),
            description: "d".into(),
        };
        let of = OverTime {
            runs: &[run],
            top_ms: 20.0,
            ink: Ink::Series(1),
        };
        let svg = over_time(&alt, &of).expect("drawn");
        // Two bands and one arrow, wide and narrow.
        assert_eq!(svg.matches("<polygon").count(), 6, "{svg}");
        assert!(svg.contains("var(--gap)") && svg.contains("\n7\n"), "{svg}");
    }
}
