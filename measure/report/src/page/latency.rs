//! The verdict, and the paper's Figure 5 beside ours.

use serde::Serialize;

use super::{figure::Figure, merged::MergedScenario};
use crate::{
    charts::{self, Alt, Axis, Boxed, Boxes, Column, Line, Mark},
    summary::{PaperScenario, PartsUs, Summary},
    text::{in_all, ms},
};
use result::Pipeline;

/// The verdict on a scenario: whether it meets the latency that the paper asks for.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Verdict {
    pub name: String,
    /// The p50 in milliseconds.
    pub p50: String,
    /// How unsure the p50 is in all, behind its sign; none without one.
    pub uncertainty: Option<String>,
    /// The class in the style sheet: `met`, `half` or `missed`.
    pub class: &'static str,
    pub word: &'static str,
    pub sentence: String,
}

/// The verdict on each scenario that is no floor.
pub(super) fn verdicts(merged: &[MergedScenario<'_>], summary: &Summary) -> Vec<Verdict> {
    let bound_us = summary.paper.xr_bound_us;
    merged
        .iter()
        .filter(|one| !one.is(Pipeline::Floor))
        .map(|one| {
            let buckets = one.measured.all.histogram.buckets();
            let within: u64 = buckets
                .filter(|(us, _)| *us <= bound_us)
                .map(|(_, count)| count)
                .sum();
            let frames = one.measured.all.frames;
            // Frames that were never shown were not shown in time.
            let of = frames.scheduled.max(one.measured.all.histogram.count());
            let (class, word) = judge(within, of);
            let scenario = summary.scenario(one.name());
            let uncertain = scenario.and_then(|of| of.uncertainty_us.as_ref());
            Verdict {
                name: one.name().to_owned(),
                p50: ms(one.quantile_ms(0.5) * 1e3),
                uncertainty: uncertain.map(|of| plus_minus(&of.p50)),
                class,
                word,
                sentence: format!(
                    "{} of the scheduled frames within {} ms",
                    share(within, of),
                    bound_us as f64 / 1e3
                ),
            }
        })
        .collect()
}

/// An uncertainty as people write it behind its figure.
fn plus_minus(of: &PartsUs) -> String {
    in_all(of).map_or_else(|| "± unknown".into(), |all| format!("± {all} ms"))
}

/// Met: 99 frames in 100 came in time. Half: one in two did.
const fn judge(within: u64, of: u64) -> (&'static str, &'static str) {
    if of > 0 && within * 100 >= of * 99 {
        ("met", "met by 99\u{a0}% of the frames")
    } else if of > 0 && within * 2 >= of {
        ("half", "met by half of the frames, not by 99\u{a0}%")
    } else {
        ("missed", "missed")
    }
}

/// A share in percent, never rounded up to all of them.
fn share(part: u64, of: u64) -> String {
    let percent = part as f64 / of.max(1) as f64 * 100.0;
    if part < of && percent > 99.99 {
        "more than 99.99\u{a0}%".into()
    } else if part == of {
        "100\u{a0}%".into()
    } else {
        format!("{percent:.2}\u{a0}%")
    }
}

/// The box plots: everything beside the paper's figures, and ours alone on an axis of its own.
pub(super) fn figures(
    merged: &[MergedScenario<'_>],
    summary: &Summary,
) -> anyhow::Result<Vec<Figure>> {
    let paper = &summary.paper;
    let of_paper = paper.scenarios.iter();
    let paper_p90_us = of_paper.map(|one| one.p90_us as f64).fold(0.0, f64::max);
    let bound_ms = paper.xr_bound_us as f64 / 1e3;
    let bound = Line {
        value: bound_ms,
        label: format!("{bound_ms} ms"),
    };
    let mut columns: Vec<Column> = merged
        .iter()
        .map(|one| Column {
            name: one.name().to_owned(),
            boxes: vec![boxed(one)],
            marks: summary
                .paper
                .scenario(one.paper())
                .map(mark)
                .into_iter()
                .collect(),
        })
        .collect();
    let (low, high) = merged
        .iter()
        .fold((f64::MAX, paper_p90_us / 1e3), |(low, high), one| {
            (
                low.min(one.quantile_ms(0.01)),
                high.max(one.quantile_ms(0.99)),
            )
        });
    // Where no scenario is one of the paper's, its single cluster is what one machine compares with.
    if columns.iter().all(|column| column.marks.is_empty())
        && let Some(single) = paper.scenarios.first()
    {
        columns.push(Column {
            name: format!("paper {}", single.name),
            boxes: Vec::new(),
            marks: vec![mark(single)],
        });
    }
    let both = Boxes {
        axis: Axis::log(floor_of(low), high * 1.9),
        unit: "ms, logarithmic".into(),
        columns,
        lines: vec![bound.clone()],
    };
    let said = |among: &mut dyn Iterator<Item = &MergedScenario<'_>>| -> String {
        let figures: Vec<String> = among
            .map(|one| {
                let paper = summary
                    .paper
                    .scenario(one.paper())
                    .map_or_else(String::new, |scenario| {
                        format!(" (the paper {})", ms(scenario.p50_us as f64))
                    });
                format!("{} {}{paper}", one.name(), ms(one.quantile_ms(0.5) * 1e3))
            })
            .collect();
        format!("p50 in milliseconds: {}.", figures.join(", "))
    };
    let alt = Alt {
        id: "f5".into(),
        title: "Latency per scenario, ours and the paper’s".into(),
        description: said(&mut merged.iter()),
    };
    let spreads = paper.scenarios.iter().filter_map(|one| {
        let stddev = ms(one.stddev_us? as f64);
        Some(format!(
            "the standard deviation of its scenario {} is {stddev} ms",
            one.number
        ))
    });
    let stddev = spreads.collect::<Vec<_>>().join(", ");
    let caption = format!(
        "The paper’s Figure 5 beside ours. Box: p25 to p75, with the p50 as its bar and its number; whiskers: p1 and p99. \
         Diamond: the paper’s p50; the line above it reaches to its p90, about {} ms; {stddev}. Dashed: the {bound_ms} ms that \
         the paper asks for. The axis is logarithmic: from 1 to 10 is as far as from 10 to 100.",
        ms(paper_p90_us)
    );
    let mut figures = vec![Figure::new(alt, caption, |alt| charts::boxes(alt, &both))?];
    let ours: Vec<_> = merged.iter().filter(|one| one.is(Pipeline::Ours)).collect();
    if !ours.is_empty() {
        let described = said(&mut ours.iter().copied());
        figures.push(alone(&ours, bound, (described, above(&ours, summary)))?);
    }
    Ok(figures)
}

/// Ours alone, from 0, so that lengths can be compared.
fn alone(
    ours: &[&MergedScenario<'_>],
    bound: Line,
    (description, above): (String, String),
) -> anyhow::Result<Figure> {
    let high = ours
        .iter()
        .map(|one| one.quantile_ms(0.99))
        .fold(bound.value * 1.1, f64::max);
    let alt = Alt {
        id: "f5b".into(),
        title: "Latency per scenario, ours alone".into(),
        description,
    };
    let of = Boxes {
        axis: Axis::linear(0.0, high, 6),
        unit: "ms".into(),
        columns: ours
            .iter()
            .map(|one| Column {
                name: one.name().to_owned(),
                boxes: vec![boxed(one)],
                marks: Vec::new(),
            })
            .collect(),
        lines: vec![bound],
    };
    let caption =
        format!("The same boxes on an even axis from 0, so that lengths can be compared.{above}");
    Figure::new(alt, caption, |alt| charts::boxes(alt, &of))
}

/// How far above ours the paper's medians lie; nothing where no scenario is one of its.
fn above(ours: &[&MergedScenario<'_>], summary: &Summary) -> String {
    let ratios = ours.iter().filter_map(|one| {
        let paper = summary.paper.scenario(one.paper())?;
        let p50 = one.quantile_ms(0.5);
        (p50 > 0.0).then(|| paper.p50_us as f64 / 1e3 / p50)
    });
    let (low, high) = ratios.fold((f64::MAX, 0.0), |(low, high): (f64, f64), ratio| {
        (low.min(ratio), high.max(ratio))
    });
    if high == 0.0 {
        String::new()
    } else {
        format!(" The paper’s medians lie {low:.0} to {high:.0} times as high.")
    }
}

/// A round value at or below `low`, so that the axis begins with a label.
fn floor_of(low: f64) -> f64 {
    let power = 10_f64.powf(low.max(0.01).log10().floor());
    [5.0, 2.0]
        .into_iter()
        .map(|digit| digit * power)
        .find(|value| *value <= low * 0.9)
        .unwrap_or(power)
}

fn boxed(one: &MergedScenario<'_>) -> Boxed {
    Boxed {
        five: [0.01, 0.25, 0.5, 0.75, 0.99].map(|at| one.quantile_ms(at)),
        ink: one.ink,
        label: ms(one.quantile_ms(0.5) * 1e3),
        letter: None,
    }
}

fn mark(scenario: &PaperScenario) -> Mark {
    let p50 = scenario.p50_us as f64 / 1e3;
    Mark {
        value: Some(p50),
        range: Some((p50, scenario.p90_us as f64 / 1e3)),
        label: ms(scenario.p50_us as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_counts_what_was_never_shown() {
        assert_eq!(judge(990, 1_000).0, "met");
        assert_eq!(judge(989, 1_000).0, "half");
        assert_eq!(judge(500, 1_000).0, "half");
        assert_eq!(judge(499, 1_000).0, "missed");
        assert_eq!(judge(0, 0).0, "missed");
        assert_eq!(share(99_999, 100_000), "more than 99.99\u{a0}%");
        assert_eq!(share(7, 7), "100\u{a0}%");
        assert_eq!(share(1, 3), "33.33\u{a0}%");
    }

    #[test]
    fn an_axis_begins_at_a_round_value_below_the_smallest() {
        for (low, begins) in [(7.2, 5.0), (2.0, 1.0), (0.31, 0.2), (12.0, 10.0)] {
            assert!(
                (floor_of(low) - begins).abs() < 1e-9,
                "{low}: {}",
                floor_of(low)
            );
        }
    }
}
