//! What differs between two scenarios: paired by repetition, with an interval.
//!
//! Repetition k of one scenario and repetition k of the other were run in the same round, minutes apart at most and in a drawn
//! order: what the machine does over the hours is in both, and their difference does not have it. A pair gives one number, and
//! the interval is Student's over these numbers. Whatever makes a repetition's figure unsure, the frames within its
//! seconds, the seconds within the repetition, the repetition among others, is in the spread of the pairs, so nothing has to be
//! assumed about how frames depend on one another. Two scenarios that are alike are called different in at most 5 of 100 cases, which
//! `validity_tests.rs` tries out.

use std::collections::BTreeMap;

use statrs::distribution::{ContinuousCDF as _, StudentsT};

use super::{Measured, quantile};

/// No interval is narrower, in microseconds: what a stamp can tell.
pub const RESOLUTION_US: f64 = 1.0;

/// Below this many samples, or distinct pictures where they are numbered, the p99 of a repetition is its largest value, and no p99.
const MIN_P99_SAMPLES: usize = 200;

/// Below this many frames that two repetitions have both, the median of their differences says little.
const MIN_COMMON_FRAMES: usize = 30;

/// Below this many undisturbed samples a repetition has no quiet p50.
const MIN_QUIET_SAMPLES: usize = 30;

/// What one repetition says, in microseconds, exact and not from a histogram.
#[derive(Clone, Debug, PartialEq)]
pub struct RepetitionFigures {
    /// The number of the repetition, from 1.
    pub repetition: u32,
    /// Half of its samples are at most this.
    pub p50: f64,
    /// The mean of its samples.
    pub mean: f64,
    /// 99 in 100 are at most this; none below 200 samples or distinct pictures.
    pub p99: Option<f64>,
    /// The p50 without disturbed seconds; none where nobody watched the machine, or nearly all were disturbed.
    pub quiet_p50: Option<f64>,
    /// The p50 from encoded to received, what the network and the streamer took; none where nobody noted both.
    pub carried_p50: Option<f64>,
    /// Lost frames, percent of the scheduled.
    pub lost_percent: f64,
    /// The latencies of the repetition, ascending.
    pub latencies: Vec<i64>,
    /// The latency of each numbered frame, by number.
    pub frames: BTreeMap<u32, i64>,
}

impl RepetitionFigures {
    /// The latencies of a repetition; none without samples.
    pub fn of(repetition: u32, measured: &Measured) -> Option<Self> {
        let mut latencies: Vec<i64> = measured
            .samples
            .iter()
            .map(|sample| sample.latency_us)
            .collect();
        latencies.sort_unstable();
        let mut quiet: Vec<i64> = measured
            .samples
            .iter()
            .filter(|sample| measured.undisturbed.is_some() && !sample.disturbed)
            .map(|sample| sample.latency_us)
            .collect();
        quiet.sort_unstable();
        let frames = measured.all.frames;
        let pictures = match measured.pictures.len() {
            0 => latencies.len(),
            numbered => numbered,
        };
        Some(Self {
            repetition,
            p50: quantile(&latencies, 500)? as f64,
            mean: latencies.iter().map(|us| *us as f64).sum::<f64>() / latencies.len() as f64,
            p99: quantile(&latencies, 990)
                .filter(|_| latencies.len().min(pictures) >= MIN_P99_SAMPLES)
                .map(|us| us as f64),
            quiet_p50: quantile(&quiet, 500)
                .filter(|_| quiet.len() >= MIN_QUIET_SAMPLES)
                .map(|us| us as f64),
            carried_p50: measured.stages.carried().map(|of| of.p50 as f64),
            lost_percent: frames.lost as f64 * 100.0 / frames.scheduled.max(1) as f64,
            latencies,
            frames: measured
                .samples
                .iter()
                .filter_map(|sample| Some((sample.frame?, sample.latency_us)))
                .collect(),
        })
    }
}

/// What a repetition took more than the floor of its round, microseconds: the median over the frames of the same number, which show
/// the same picture at the same place between key frames. Where too few have a number that both have, the difference of the
/// medians.
pub fn gap(floor: &RepetitionFigures, scenario: &RepetitionFigures) -> f64 {
    let numbered = scenario.frames.iter();
    let mut gaps: Vec<i64> = numbered
        .filter_map(|(number, latency)| Some(latency - floor.frames.get(number)?))
        .collect();
    gaps.sort_unstable();
    quantile(&gaps, 500)
        .filter(|_| gaps.len() >= MIN_COMMON_FRAMES)
        .map_or(scenario.p50 - floor.p50, |us| us as f64)
}

/// Repetitions of the same number, in the order of the numbers.
pub fn pairs<'a>(
    a: &'a [RepetitionFigures],
    b: &'a [RepetitionFigures],
) -> Vec<(&'a RepetitionFigures, &'a RepetitionFigures)> {
    a.iter()
        .filter_map(|one| {
            Some((
                one,
                b.iter().find(|other| other.repetition == one.repetition)?,
            ))
        })
        .collect()
}

/// A difference with what is known of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The mean over the pairs.
    pub difference: f64,
    /// The 95 % confidence interval; none with a single pair.
    pub ci: Option<(f64, f64)>,
    /// What `ci` is made of.
    student: Option<Student>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Student {
    /// The standard error of the mean difference.
    error: f64,
    /// One less than the pairs.
    freedom: f64,
}

impl Estimate {
    /// Of the differences of the pairs; none without one. `least` is the half width below which no interval goes.
    pub fn of(differences: &[f64], least: f64) -> Option<Self> {
        if differences.is_empty() {
            return None;
        }
        let count = differences.len() as f64;
        let mean = differences.iter().sum::<f64>() / count;
        let freedom = count - 1.0;
        if differences.len() < 2 {
            return Some(Self {
                difference: mean,
                ci: None,
                student: None,
            });
        }
        let squares: f64 = differences.iter().map(|one| (one - mean).powi(2)).sum();
        let half = (t_975(freedom) * (squares / freedom / count).sqrt()).max(least);
        Some(Self {
            difference: mean,
            ci: Some((mean - half, mean + half)),
            student: Some(Student {
                error: half / t_975(freedom),
                freedom,
            }),
        })
    }

    /// Of a figure in microseconds of each pair; none where no pair has it on both sides.
    pub fn of_figure(
        pairs: &[(&RepetitionFigures, &RepetitionFigures)],
        figure: impl Fn(&RepetitionFigures) -> Option<f64>,
    ) -> Option<Self> {
        let differences: Vec<f64> = pairs
            .iter()
            .filter_map(|(a, b)| Some(figure(b)? - figure(a)?))
            .collect();
        Self::of(&differences, RESOLUTION_US)
    }

    /// Whether it is told from zero, and from what the clocks may disagree by (`uncertainty`, in the same unit).
    pub fn is_distinguishable(&self, uncertainty: f64) -> bool {
        self.ci
            .is_some_and(|(low, high)| low > uncertainty || high < -uncertainty)
    }

    /// How probable a difference this far beyond `uncertainty` is where there is none, in either direction: below 0.05 where
    /// [`Self::is_distinguishable`]. None with a single pair.
    pub fn p(&self, uncertainty: f64) -> Option<f64> {
        let beyond = (self.difference.abs() - uncertainty).max(0.0);
        self.tail(beyond).map(|tail| (2.0 * tail).min(1.0))
    }

    /// How probable a difference this far above `bound` is where it is `bound` at most. None with a single pair.
    pub fn p_above(&self, bound: f64) -> Option<f64> {
        self.tail(self.difference - bound)
    }

    /// The standard error of the difference; none with a single pair.
    pub fn error(&self) -> Option<f64> {
        Some(self.student?.error)
    }

    /// The smallest true difference that is told from zero in 80 of 100 cases, as one of `several` that a correction for their number
    /// asks the most of; none with a single pair.
    pub fn detectable(&self, several: usize) -> Option<f64> {
        let Student { error, freedom } = self.student?;
        let t = student(freedom);
        let asked = t.inverse_cdf(1.0 - 0.025 / several.max(1) as f64);
        Some((asked + t.inverse_cdf(0.8)) * error)
    }

    /// How probable it is to be so far above the truth.
    fn tail(&self, beyond: f64) -> Option<f64> {
        let Student { error, freedom } = self.student?;
        if error <= 0.0 {
            return Some(if beyond > 0.0 { 0.0 } else { 1.0 });
        }
        Some(student(freedom).sf(beyond / error))
    }
}

/// Of the probabilities of several tests, those that Holm's correction makes of them: where the ones below 0.05 are taken for
/// differences, a false one is among them in at most 5 of 100 cases, however many tests there are and however they depend on
/// one another (Holm, *Scandinavian Journal of Statistics* 6(2), 1979). In the order given.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|one, other| p[*one].total_cmp(&p[*other]));
    let mut adjusted = vec![0.0; p.len()];
    let mut least: f64 = 0.0;
    for (rank, place) in order.into_iter().enumerate() {
        // Adjusted p-values are monotone (Holm).
        least = least.max((p[place] * (p.len() - rank) as f64).min(1.0));
        adjusted[place] = least;
    }
    adjusted
}

/// Cliff's delta: how much more often a frame of `b` took longer than one of `a` than the other way round, from -1 to 1; the
/// mean over the pairs. It describes how far the distributions lie apart, without a unit and whatever their form; it says
/// nothing of how sure that is, which is the interval's. None without a pair.
pub fn cliffs_delta(pairs: &[(&RepetitionFigures, &RepetitionFigures)]) -> Option<f64> {
    if pairs.is_empty() {
        return None;
    }
    let sum: f64 = pairs
        .iter()
        .map(|(a, b)| delta(&a.latencies, &b.latencies))
        .sum();
    Some(sum / pairs.len() as f64)
}

/// Of two ascending, non-empty lists.
fn delta(a: &[i64], b: &[i64]) -> f64 {
    let (mut below, mut up_to) = (0, 0);
    let mut sum = 0.0;
    for value in b {
        while a.get(below).is_some_and(|other| other < value) {
            below += 1;
        }
        up_to = up_to.max(below);
        while a.get(up_to).is_some_and(|other| other <= value) {
            up_to += 1;
        }
        // Those below it, minus those above it.
        sum += below as f64 - (a.len() - up_to) as f64;
    }
    sum / (a.len() as f64 * b.len() as f64)
}

/// The 97.5th percentile of Student's t with so many degrees of freedom, at least 1.
///
/// # Panics
/// Never: a location of 0 and a scale of 1 make such a distribution with any positive freedom.
pub(super) fn t_975(freedom: f64) -> f64 {
    student(freedom).inverse_cdf(0.975)
}

/// The 95th percentile of Student's t with so many degrees of freedom, at least 1: what a one-sided test of 5 % asks for.
pub fn one_sided_95(freedom: f64) -> f64 {
    student(freedom).inverse_cdf(0.95)
}

fn student(freedom: f64) -> StudentsT {
    StudentsT::new(0.0, 1.0, freedom.max(1.0)).expect("positive scale and freedom")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repetition(number: u32, latencies: &[i64]) -> RepetitionFigures {
        let mut ascending = latencies.to_vec();
        ascending.sort_unstable();
        RepetitionFigures {
            repetition: number,
            p50: quantile(&ascending, 500).expect("samples") as f64,
            mean: 0.0,
            p99: None,
            quiet_p50: None,
            carried_p50: None,
            lost_percent: 0.0,
            latencies: ascending,
            frames: BTreeMap::new(),
        }
    }

    #[test]
    fn the_interval_is_students() {
        // Table values: t(0.975) is 12.706 with 1 degree of freedom, 2.365 with 7.
        assert!((t_975(1.0) - 12.706).abs() < 0.001);
        assert!((t_975(7.0) - 2.365).abs() < 0.001);
        // Mean 3, standard deviation 1.581, five pairs: 3 ± 2.776 x 1.581 / 2.236.
        let of = Estimate::of(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.0).expect("pairs");
        let (low, high) = of.ci.expect("five");
        assert!((of.difference - 3.0).abs() < 1e-9);
        assert!(
            (low - 1.037).abs() < 0.001 && (high - 4.963).abs() < 0.001,
            "{low} {high}"
        );
        assert!(of.is_distinguishable(1.0) && !of.is_distinguishable(1.1));
        // Both say the same of every uncertainty: t is 4.243 with 4 degrees of freedom.
        assert!(of.p(1.0).is_some_and(|p| p < 0.05) && of.p(1.1).is_some_and(|p| p > 0.05));
        assert!(of.p(0.0).is_some_and(|p| (p - 0.0132).abs() < 1e-4));
        assert_eq!(of.p(9.0), Some(1.0));
        // t(0.975) is 2.776 and t(0.8) 0.941 with 4 degrees of freedom; t(0.9975) is 5.598.
        let close = |several, us: f64| {
            of.detectable(several)
                .is_some_and(|of| (of - us).abs() < 2e-3)
        };
        assert!(
            close(1, 3.717 * std::f64::consts::FRAC_1_SQRT_2)
                && close(10, 6.539 * std::f64::consts::FRAC_1_SQRT_2),
            "{of:?}"
        );
    }

    #[test]
    fn a_single_pair_is_no_evidence_and_no_pair_nothing() {
        let single = Estimate::of(&[900.0], 1.0).expect("a pair");
        assert_eq!((single.difference, single.ci), (900.0, None));
        assert!(!single.is_distinguishable(0.0));
        assert_eq!(single.p(0.0), None);
        assert_eq!(Estimate::of(&[], 1.0), None);
    }

    #[test]
    fn holm_asks_more_of_each_of_many() {
        // A worked example: 0.005 x 4, 0.01 x 3, 0.03 x 2, and 0.04 x 1 raised to the one before.
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (one, expected) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((one - expected).abs() < 1e-12, "{adjusted:?}");
        }
        assert_eq!(holm(&[0.6, 0.7]), [1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }

    #[test]
    fn nothing_is_surer_than_a_stamp_can_tell() {
        let same = Estimate::of(&[0.5, 0.5, 0.5], 1.0).expect("pairs");
        assert_eq!(same.ci, Some((-0.5, 1.5)));
        assert!(!same.is_distinguishable(0.0));
    }

    #[test]
    fn what_the_machine_did_to_both_is_not_in_the_difference() {
        // Each round is a millisecond slower than the one before; b is 100 us slower in each, give or take 10.
        let a: Vec<_> = (1..=4)
            .map(|k| repetition(k, &[8_000 + i64::from(k) * 1_000]))
            .collect();
        let b: Vec<_> = (1..=4)
            .map(|k| repetition(k, &[8_100 + i64::from(k) * 1_000 + i64::from(k % 2) * 10]))
            .collect();
        let of = Estimate::of_figure(&pairs(&a, &b), |one| Some(one.p50)).expect("pairs");
        let (low, high) = of.ci.expect("four");
        assert!(low > 80.0 && high < 130.0, "{low} {high}");
        assert_eq!(
            pairs(&a, &b[1..]).len(),
            3,
            "only the rounds that both have"
        );
        assert_eq!(Estimate::of_figure(&pairs(&a, &b), |one| one.p99), None);
    }

    #[test]
    fn a_floor_is_compared_by_the_pictures_that_both_show() {
        // Each picture has its own cost; the scenario shows the film ten pictures further on, and takes 700 us more.
        let cost = |number: u32| 5_000 + i64::from(number) * 10;
        let of = |from: u32, more: i64| {
            let numbers = from..from + 120;
            let latencies: Vec<i64> = numbers.clone().map(|n| cost(n) + more).collect();
            RepetitionFigures {
                frames: numbers.zip(latencies.iter().copied()).collect(),
                ..repetition(1, &latencies)
            }
        };
        let (floor, scenario) = (of(0, 0), of(10, 700));
        assert!((gap(&floor, &scenario) - 700.0).abs() < 1e-9);
        assert!(
            (scenario.p50 - floor.p50 - 800.0).abs() < 1e-9,
            "of other pictures"
        );
        // Two in common are too few.
        assert!((gap(&floor, &of(118, 700)) - 1_880.0).abs() < 1e-9);
    }

    #[test]
    fn cliffs_delta_is_the_difference_of_two_shares() {
        assert!((delta(&[1, 2, 3], &[4, 5]) - 1.0).abs() < 1e-9);
        assert!((delta(&[4, 5], &[1, 2, 3]) + 1.0).abs() < 1e-9);
        // Of 4 x 4, ties count for neither.
        assert!(delta(&[1, 2, 2, 3], &[1, 2, 2, 3]).abs() < 1e-9);
        // 2 > 1, 2 < 3, 4 > 1, 4 > 3.
        assert!((delta(&[1, 3], &[2, 4]) - 0.5).abs() < 1e-9);
    }
}
