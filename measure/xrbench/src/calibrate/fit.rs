//! Whether a known delay comes back as that delay: a line through (delay on the wire, latency). Pure.

use result::{Fit, Step};
use stats::one_sided_95;

/// What one repetition measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The delay that was asked for, in microseconds.
    pub set_us: f64,
    /// The p50 of the delay as captured on the wire, in microseconds.
    pub wire_us: f64,
    /// The p50 of the frames' latency, in microseconds.
    pub latency_us: f64,
}

/// Fits a line through latencies over delays; none below three repetitions of two delays.
pub fn fit(points: &[Point]) -> Option<Fit> {
    let n = points.len() as f64;
    let mean = |of: fn(&Point) -> f64| points.iter().map(of).sum::<f64>() / n;
    let (wire, latency) = (mean(|p| p.wire_us), mean(|p| p.latency_us));
    let spread: f64 = points.iter().map(|p| (p.wire_us - wire).powi(2)).sum();
    if points.len() < 3 || spread <= 0.0 {
        return None;
    }
    let with: f64 = points
        .iter()
        .map(|p| (p.wire_us - wire) * (p.latency_us - latency))
        .sum();
    let slope = with / spread;
    let off = |p: &Point| p.latency_us - latency - slope * (p.wire_us - wire);
    let squares: f64 = points.iter().map(|p| off(p).powi(2)).sum();
    let slope_error = (squares / (n - 2.0) / spread).sqrt();

    let slope_margin = one_sided_95(n - 2.0) * slope_error;

    let mut steps = steps(points);
    let residual_margin_us = residual_margin(points, &steps);
    let own_us = steps.iter().map(|step| step.residual_us).sum::<f64>() / steps.len() as f64;
    for step in &mut steps {
        step.residual_us -= own_us;
    }
    let worst_residual_us = steps
        .iter()
        .map(|step| step.residual_us.abs())
        .fold(0.0, f64::max);
    Some(Fit {
        slope,
        slope_error,
        slope_margin,
        own_us,
        worst_residual_us,
        residual_margin_us,
        steps,
    })
}

/// How far the mean of a delay's repetitions may be from the true one: by how much repetitions of one delay differ, all delays
/// together, and one-sided at 95 %. Of one repetition each, infinite: nothing is sure.
fn residual_margin(points: &[Point], steps: &[Step]) -> f64 {
    let off = |p: &Point| {
        let step = steps
            .iter()
            .find(|step| step.set_us.total_cmp(&p.set_us).is_eq());
        step.map_or(0.0, |step| p.latency_us - p.wire_us - step.residual_us)
    };
    let squares: f64 = points.iter().map(|p| off(p).powi(2)).sum();
    let freedom = points.len() as f64 - steps.len() as f64;
    let fewest = steps.iter().map(|step| step.runs).min().unwrap_or(0);
    if freedom < 1.0 || fewest == 0 {
        return f64::MAX;
    }
    one_sided_95(freedom) * (squares / freedom / f64::from(fewest)).sqrt()
}

/// The repetitions of each delay, with latency minus delay for a residual.
fn steps(points: &[Point]) -> Vec<Step> {
    let mut sorted = points.to_vec();
    sorted.sort_by(|a, b| a.set_us.total_cmp(&b.set_us));
    sorted
        .chunk_by(|a, b| a.set_us.total_cmp(&b.set_us).is_eq())
        .map(|same| {
            let mean = |of: fn(&Point) -> f64| same.iter().map(of).sum::<f64>() / same.len() as f64;
            let (wire_us, latency_us) = (mean(|p| p.wire_us), mean(|p| p.latency_us));
            Step {
                set_us: same[0].set_us,
                wire_us,
                latency_us,
                residual_us: latency_us - wire_us,
                runs: u32::try_from(same.len()).unwrap_or(u32::MAX),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(latency: impl Fn(f64, f64) -> f64) -> Vec<Point> {
        let mut points = Vec::new();
        for set_us in [0.0, 1e3, 5e3, 5e4] {
            for run in [-1.0, 1.0] {
                let wire_us = set_us + 60.0;
                points.push(Point {
                    set_us,
                    wire_us,
                    latency_us: latency(wire_us, run),
                });
            }
        }
        points
    }

    #[test]
    fn an_instrument_that_adds_nothing_has_slope_one() {
        let fit = fit(&points(|wire, run| 4_000.0 + wire + run * 20.0)).expect("enough");
        assert!((fit.slope - 1.0).abs() < 1e-9, "{fit:?}");
        assert!(
            (fit.own_us - 4_000.0).abs() < 1e-6 && fit.worst_residual_us < 1e-6,
            "{fit:?}"
        );
        assert!(fit.slope_error > 0.0 && fit.slope_error < 0.001, "{fit:?}");
        assert!(fit.slope_holds() && fit.residual_holds(), "{fit:?}");
        assert_eq!(
            fit.steps.iter().map(|step| step.runs).collect::<Vec<_>>(),
            [2; 4]
        );
    }

    #[test]
    fn one_that_stretches_time_is_found_out() {
        let fit = fit(&points(|wire, _| 4_000.0 + wire * 1.02)).expect("enough");
        assert!((fit.slope - 1.02).abs() < 1e-9, "{fit:?}");
        assert!(fit.worst_residual_us > 500.0, "{fit:?}");
    }

    /// An estimate that happens to lie within its bound bears nothing out where it might as well lie outside.
    #[test]
    fn a_bound_is_borne_out_by_equivalence() {
        let unsure =
            fit(&points(|wire, run| 4_000.0 + wire * 1.0095 + run * 300.0)).expect("enough");
        assert!(
            (unsure.slope - 1.0).abs() < 0.01 && !unsure.slope_holds(),
            "{unsure:?}"
        );
        // 424 us between repetitions, two of each delay: 300 on the mean of each, times t(0.95) of 2.13 with 4 degrees of freedom.
        assert!(
            (unsure.residual_margin_us - 639.5).abs() < 1.0,
            "{unsure:?}"
        );
        let spread = fit(&points(|wire, run| 4_000.0 + wire + run * 200.0)).expect("enough");
        assert!(
            spread.worst_residual_us < 1e-6 && !spread.residual_holds(),
            "{spread:?}"
        );
    }

    #[test]
    fn too_little_fits_no_line() {
        assert_eq!(fit(&points(|wire, _| wire)[..2]), None);
        assert_eq!(fit(&[]), None);
    }
}
