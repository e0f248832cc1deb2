//! What several runs say together: a random-effects model, in which the runs differ by more than their own repetitions explain.
//!
//! The variance between the runs is that of Paule and Mandel (*Journal of Research of the National Bureau of Standards* 87(5), 1982),
//! which does better than `DerSimonian` and Laird's with few runs (Veroniki et al., *Research Synthesis Methods* 7(1), 2016). The
//! interval of the mean is Hartung and Knapp's (*Statistics in Medicine* 20(24), 2001), with Student's t over the runs, and no
//! narrower than the runs' own errors (Röver et al., *BMC Medical Research Methodology* 15:99, 2015). The prediction interval says
//! where the next run will be (`IntHout` et al., *BMJ Open* 6:e010247, 2016), with what its own repetitions will leave unsure.

use super::paired::t_975;

/// Halvings of the search for the variance between runs.
const STEPS: usize = 200;

/// What one run says of a figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RunEstimate {
    /// The figure.
    pub value: f64,
    /// Its standard error by the run's repetitions; none of a single one.
    pub error: Option<f64>,
}

/// What several runs say of a figure together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pooled {
    /// Runs that have the figure.
    pub runs: usize,
    /// The mean over the runs, each weighed by how sure it is.
    pub mean: f64,
    /// The 95 % confidence interval of the mean over all runs that might be made.
    pub ci: (f64, f64),
    /// The standard deviation between runs, beyond what their repetitions explain.
    pub between: f64,
    /// The part of the runs' spread that their repetitions do not explain, 0 to 1; none where a run has one repetition.
    pub i2: Option<f64>,
    /// Where the figure of a next run with as many repetitions will be, in 95 of 100 cases.
    pub prediction: (f64, f64),
}

/// Runs together; none of fewer than two. Where one of them has no error of its own, all that repetitions do is taken for what runs do.
pub fn pool(runs: &[RunEstimate]) -> Option<Pooled> {
    if runs.len() < 2 {
        return None;
    }
    let errors: Option<Vec<f64>> = runs.iter().map(|run| run.error).collect();
    let variances: Vec<f64> = match &errors {
        Some(errors) => errors.iter().map(|error| error * error).collect(),
        None => vec![0.0; runs.len()],
    };
    let freedom = runs.len() as f64 - 1.0;
    let between = between(runs, &variances, freedom);
    let Weighed { mean, sum, squares } = Weighed::of(runs, &variances, between);
    let error = (squares / freedom).max(1.0) / sum;
    let half = t_975(freedom) * error.sqrt();
    // The next run is as unsure of itself as these are.
    let own = variances.iter().sum::<f64>() / runs.len() as f64;
    let next = t_975(freedom) * (between + error + own).sqrt();
    let fixed = Weighed::of(runs, &variances, 0.0).squares;
    let i2 = if fixed > freedom {
        1.0 - freedom / fixed
    } else {
        0.0
    };
    Some(Pooled {
        runs: runs.len(),
        mean,
        ci: (mean - half, mean + half),
        between: between.sqrt(),
        i2: errors.map(|_| i2),
        prediction: (mean - next, mean + next),
    })
}

/// The weighted mean, with the sum of the weights and the weighted sum of the squares about it.
struct Weighed {
    mean: f64,
    sum: f64,
    squares: f64,
}

impl Weighed {
    fn of(runs: &[RunEstimate], variances: &[f64], between: f64) -> Self {
        // A run that is sure beyond any measure would have all of the weight.
        let least = f64::MIN_POSITIVE.sqrt();
        let weight = |variance: &f64| 1.0 / (variance + between).max(least);
        let both = || runs.iter().zip(variances.iter().map(weight));
        let sum: f64 = both().map(|(_, weight)| weight).sum();
        let mean = both().map(|(run, weight)| run.value * weight).sum::<f64>() / sum;
        let off = |run: &RunEstimate| (run.value - mean).powi(2);
        Self {
            mean,
            sum,
            squares: both().map(|(run, weight)| off(run) * weight).sum(),
        }
    }
}

/// The variance between runs with which they spread as much as they should: the generalised Q is its degrees of freedom.
fn between(runs: &[RunEstimate], variances: &[f64], freedom: f64) -> f64 {
    let excess = |between: f64| Weighed::of(runs, variances, between).squares - freedom;
    if excess(0.0) <= 0.0 {
        return 0.0;
    }
    let values = runs.iter().map(|run| run.value);
    let (least, most) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), one| {
        (low.min(one), high.max(one))
    });
    // With as much as the whole spread, squared, each term is below one.
    let (mut low, mut high) = (0.0, (most - least).powi(2).max(f64::MIN_POSITIVE));
    for _ in 0..STEPS {
        let middle = f64::midpoint(low, high);
        if excess(middle) > 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(of: &[(f64, f64)]) -> Vec<RunEstimate> {
        let run = |(value, error): &(f64, f64)| RunEstimate {
            value: *value,
            error: Some(*error),
        };
        of.iter().map(run).collect()
    }

    /// Three hours of one machine (s2 - s3, ms): each hour was surer than it was right.
    #[test]
    fn hours_that_do_not_meet_spread() {
        let of = pool(&runs(&[(2.06, 0.184), (2.14, 0.125), (1.64, 0.059)])).expect("three");
        assert!((1.8..2.0).contains(&of.mean), "{of:?}");
        assert!((0.2..0.35).contains(&of.between), "{of:?}");
        assert!(of.i2.is_some_and(|i2| (0.8..0.92).contains(&i2)), "{of:?}");
        let (low, high) = of.prediction;
        assert!(low < 0.9 && high > 2.9, "{of:?}");
        let (ci_low, ci_high) = of.ci;
        assert!(low < ci_low && ci_high < high, "{of:?}");
    }

    #[test]
    fn alike_errors_make_it_students() {
        // Mean 3, standard deviation 1.581; 1 % of that is the runs' own.
        let of = pool(&runs(&[1.0, 2.0, 3.0, 4.0, 5.0].map(|value| (value, 0.1)))).expect("five");
        assert!((of.mean - 3.0).abs() < 1e-9 && (of.between.powi(2) - 2.49).abs() < 1e-6);
        let half = 2.776_45 * (2.5_f64 / 5.0).sqrt();
        assert!((of.ci.1 - 3.0 - half).abs() < 1e-3, "{of:?}");
        let next = 2.776_45 * (2.49_f64 + 0.5 + 0.01).sqrt();
        assert!((of.prediction.1 - 3.0 - next).abs() < 1e-3, "{of:?}");
    }

    #[test]
    fn runs_that_agree_are_as_sure_as_their_repetitions() {
        let of = pool(&runs(&[(5.0, 0.3), (5.05, 0.3), (4.98, 0.3)])).expect("three");
        assert!(of.between < 1e-9 && of.i2 == Some(0.0), "{of:?}");
        let half = 4.302_65 * 0.3 / 3.0_f64.sqrt();
        assert!((of.ci.1 - of.mean - half).abs() < 1e-3, "{of:?}");
    }

    #[test]
    fn a_run_of_one_repetition_has_no_error_of_its_own() {
        let mut all = runs(&[(1.0, 0.1), (2.0, 0.1), (3.0, 0.1)]);
        all[1].error = None;
        let of = pool(&all).expect("three");
        assert!((of.between - 1.0).abs() < 1e-6 && of.i2.is_none(), "{of:?}");
        assert_eq!(pool(&all[..1]), None);
        let same = pool(&runs(&[(7.0, 0.0), (7.0, 0.0)])).expect("two");
        assert!(
            (same.mean - 7.0).abs() < 1e-12 && same.ci.1 - same.ci.0 < 1e-6,
            "{same:?}"
        );
    }

    /// Of 400 made-up pools of three to six runs, the interval holds the truth and the prediction the next run as often as they say.
    #[test]
    fn what_is_promised_of_the_next_run_holds() {
        let mut random = fastrand::Rng::with_seed(11);
        let mut normal = || (0..12).map(|_| random.f64()).sum::<f64>() - 6.0;
        for (count, sessions, own) in [(3, 300.0, 60.0), (6, 300.0, 300.0), (4, 0.0, 100.0)] {
            let (mut held, mut foretold) = (0, 0);
            for _ in 0..400 {
                let mut run = || {
                    let level = sessions * normal();
                    let repetitions: Vec<f64> = (0..8).map(|_| level + own * normal()).collect();
                    let mean = repetitions.iter().sum::<f64>() / 8.0;
                    let squares: f64 = repetitions.iter().map(|one| (one - mean).powi(2)).sum();
                    RunEstimate {
                        value: mean,
                        error: Some((squares / 7.0 / 8.0).sqrt()),
                    }
                };
                let all: Vec<_> = (0..count).map(|_| run()).collect();
                let of = pool(&all).expect("several");
                held += u32::from(of.ci.0 <= 0.0 && 0.0 <= of.ci.1);
                let next = run().value;
                foretold += u32::from(of.prediction.0 <= next && next <= of.prediction.1);
            }
            println!("{count} runs: {held} and {foretold} of 400");
            // 380 are expected; three standard deviations of chance are 13, and few runs know little of their own spread.
            assert!(
                held >= 360 && foretold >= 350,
                "{count} runs: {held} {foretold}"
            );
        }
    }
}
