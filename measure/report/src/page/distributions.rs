//! The whole distribution of the latency, and its tail.

use timeline::hist::LatencyHistogram;

use super::{figure::Figure, merged::MergedScenario};
use crate::{
    charts::{self, Alt, Axis, Curve, Curves},
    summary::Summary,
    text::ms,
};
use result::Pipeline;

/// The distribution function and the tail.
pub(super) fn figures(
    merged: &[MergedScenario<'_>],
    summary: &Summary,
) -> anyhow::Result<Vec<Figure>> {
    let drawn: Vec<_> = merged
        .iter()
        .filter(|one| !one.is(Pipeline::Floor))
        .collect();
    if drawn.is_empty() {
        return Ok(Vec::new());
    }
    let bound_ms = summary.paper.xr_bound_us as f64 / 1e3;
    Ok(vec![cdf(&drawn, bound_ms)?, tail(&drawn)?])
}

fn said(drawn: &[&MergedScenario<'_>], shares: &[(f64, &str)]) -> String {
    let of = |one: &&MergedScenario<'_>| {
        let figures: Vec<String> = shares
            .iter()
            .map(|(share, name)| format!("{name} {}", ms(one.quantile_ms(*share) * 1e3)))
            .collect();
        format!("{}: {}", one.name(), figures.join(", "))
    };
    let all: Vec<String> = drawn.iter().map(of).collect();
    format!("Milliseconds. {}.", all.join("; "))
}

fn cdf(drawn: &[&MergedScenario<'_>], bound_ms: f64) -> anyhow::Result<Figure> {
    let low = smallest(drawn, 0.001);
    let high = largest(drawn, 0.995);
    let (x, x_name) = if high / low.max(1e-3) < 30.0 {
        (Axis::until(high * 1.02, 6), "latency, ms")
    } else {
        (Axis::log(low, high * 1.05), "latency, ms, logarithmic")
    };
    let alt = Alt {
        id: "cdf".into(),
        title: "Share of frames within a latency".into(),
        description: said(
            drawn,
            &[(0.1, "p10"), (0.25, "p25"), (0.5, "p50"), (0.9, "p90")],
        ),
    };
    let of = Curves {
        x,
        x_name: x_name.into(),
        y: Axis::until(100.0, 5),
        y_name: "% of the shown frames".into(),
        lines: drawn
            .iter()
            .map(|one| Curve {
                name: one.name().to_owned(),
                ink: one.ink,
                points: cumulative(&one.measured.all.histogram)
                    .into_iter()
                    .map(|(ms, share)| (ms, share * 100.0))
                    .collect(),
            })
            .collect(),
        bound: Some((bound_ms, format!("{bound_ms} ms"))),
    };
    let caption = "The empirical distribution function of each scenario. Further left is faster; steeper is steadier.";
    Figure::new(alt, caption.into(), |alt| charts::curves(alt, &of))
}

fn tail(drawn: &[&MergedScenario<'_>]) -> anyhow::Result<Figure> {
    let count = drawn
        .iter()
        .map(|one| one.measured.all.histogram.count())
        .max()
        .unwrap_or(0);
    let (low, high) = (smallest(drawn, 0.0), largest(drawn, 1.0));
    let (y, y_name) = if high / low.max(1e-3) < 12.0 {
        (Axis::linear(0.0, high, 6), "ms")
    } else {
        (Axis::log(low * 0.9, high * 1.1), "ms, logarithmic")
    };
    let alt = Alt {
        id: "tail".into(),
        title: "The tail: latency by percentile".into(),
        description: said(
            drawn,
            &[(0.9, "p90"), (0.99, "p99"), (0.999, "p99.9"), (1.0, "max")],
        ),
    };
    let of = Curves {
        x: Axis::percentile(count),
        x_name: "percentile (each nine takes equal room)".into(),
        y,
        y_name: y_name.into(),
        lines: drawn
            .iter()
            .map(|one| Curve {
                name: one.name().to_owned(),
                ink: one.ink,
                points: percentiles(&one.measured.all.histogram),
            })
            .collect(),
        bound: None,
    };
    let caption = "What the slowest frames took. A curve ends at the last percentile that its number of frames can tell.";
    Figure::new(alt, caption.into(), |alt| charts::curves(alt, &of))
}

fn smallest(drawn: &[&MergedScenario<'_>], share: f64) -> f64 {
    drawn
        .iter()
        .map(|one| one.quantile_ms(share))
        .fold(f64::MAX, f64::min)
}

fn largest(drawn: &[&MergedScenario<'_>], share: f64) -> f64 {
    drawn
        .iter()
        .map(|one| one.quantile_ms(share))
        .fold(0.0, f64::max)
}

/// Milliseconds and the share of samples that took at most so long: a staircase.
fn cumulative(histogram: &LatencyHistogram) -> Vec<(f64, f64)> {
    let all = histogram.count().max(1) as f64;
    let mut below = 0;
    let mut points = Vec::new();
    for (us, count) in histogram.buckets() {
        let ms = us as f64 / 1e3;
        points.push((ms, below as f64 / all));
        below += count;
        points.push((ms, below as f64 / all));
    }
    points
}

/// The share of samples, and the milliseconds that it does not exceed; without the very last sample's own step to 1, which
/// has no place on such an axis.
fn percentiles(histogram: &LatencyHistogram) -> Vec<(f64, f64)> {
    let last = 1.0 - 1.0 / histogram.count().max(1) as f64;
    cumulative(histogram)
        .into_iter()
        .map(|(ms, share)| (share.min(last), ms))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_staircase_goes_from_none_to_all() {
        let mut histogram = LatencyHistogram::new();
        for us in [1_000, 1_000, 2_000, 3_000] {
            histogram.record(us);
        }
        let steps = cumulative(&histogram);
        assert_eq!(
            steps.iter().map(|(_, share)| *share).collect::<Vec<_>>(),
            [0.0, 0.5, 0.5, 0.75, 0.75, 1.0]
        );
        assert!((steps[0].0 - 1.0).abs() < 0.01 && (steps[5].0 - 3.0).abs() < 0.01);
        let tail = percentiles(&histogram);
        assert!(tail.iter().all(|(share, _)| *share <= 0.75));
        assert!(
            (tail[5].1 - 3.0).abs() < 0.01,
            "the largest is kept: {tail:?}"
        );
        assert!(cumulative(&LatencyHistogram::new()).is_empty());
    }
}
