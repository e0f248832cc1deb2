//! How sure a percentile is: a bootstrap over repetitions.
//!
//! Neighbouring frames are alike (one disturbance slows many), and so are the seconds of one repetition (its processes, its
//! memory, its place on the processors are drawn once). Neither must be drawn as if each were news. What is drawn, with
//! replacement, are whole repetitions. The spread of repetitions has that of their seconds and frames in it: to draw seconds as
//! well would count it twice, and of a film that every repetition shows it would take pictures, which are always the same, for
//! chance.
//!
//! A bootstrap over few units is too narrow: it knows neither that the spread of n units is that of n - 1, nor that a spread
//! seen in few is itself unsure. The interval is therefore stretched about its middle by what Student's t asks for beyond the
//! normal distribution (the correction of Hesterberg, The American Statistician 69(4), 2015), and is never narrower than
//! Student's of the repetitions' own percentiles.

use super::{Sample, paired::t_975, quantile};

/// Resamplings of one bootstrap.
const ROUNDS: usize = 1_000;

/// Below this many samples a p99 hangs on fewer than ten of them, and its interval says nothing.
const MIN_P99_SAMPLES: usize = 1_000;

/// Of a normal distribution, 95 in 100 lie within this many standard deviations.
const Z_975: f64 = 1.959_963_985;

/// Where percentiles lie with 95 % confidence, microseconds, lower and upper end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Intervals {
    /// The interval of the p50; none below two repetitions.
    pub p50: Option<(i64, i64)>,
    /// The interval of the p99; none below two repetitions or 1000 samples.
    pub p99: Option<(i64, i64)>,
}

/// The intervals of the percentiles of `repetitions` together. `seed` makes them repeatable.
///
/// One repetition has none: how much the next would differ is not known from it, however many seconds it has.
pub fn intervals(repetitions: &[&[Sample]], seed: u64) -> Intervals {
    let Some(units) = Units::of(repetitions) else {
        return Intervals::default();
    };
    let (middle, draws) = units.draws(seed);
    let stretch = units.stretch();
    let interval = |which: usize| {
        let mut ascending: Vec<i64> = draws.iter().map(|draw| draw[which]).collect();
        ascending.sort_unstable();
        let (low, high) = middle_95(&ascending)?;
        let centre = middle[which] as f64;
        let away = |end: i64| centre + (end - middle[which]) as f64 * stretch;
        let half = units.student_half(which);
        let (from, to) = (away(low).min(centre - half), away(high).max(centre + half));
        // A latency below nothing is none, unless clocks disagree.
        let from = if low < 0 { from } else { from.max(0.0) };
        Some((round(from), round(to)))
    };
    Intervals {
        p50: interval(0),
        p99: interval(1).filter(|_| units.ordered.len() >= MIN_P99_SAMPLES),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "latencies are below a minute, and so are their sums"
)]
fn round(us: f64) -> i64 {
    us.round() as i64
}

/// Without the lowest and the highest 2.5 in 100 of ascending values.
fn middle_95(ascending: &[i64]) -> Option<(i64, i64)> {
    Some((quantile(ascending, 25)?, quantile(ascending, 975)?))
}

/// What is drawn from.
struct Units {
    /// Samples of each repetition.
    sizes: Vec<u64>,
    /// Each sample with the repetition that it is of, by latency: a drawing then only weighs repetitions and walks along.
    ordered: Vec<(i64, usize)>,
}

impl Units {
    fn of(repetitions: &[&[Sample]]) -> Option<Self> {
        let repetitions = repetitions.iter().filter(|samples| !samples.is_empty());
        let sizes: Vec<u64> = repetitions
            .clone()
            .map(|samples| samples.len() as u64)
            .collect();
        let samples = repetitions.enumerate().flat_map(|(repetition, samples)| {
            let latencies = samples.iter().map(|sample| sample.latency_us);
            latencies.map(move |latency_us| (latency_us, repetition))
        });
        let mut ordered: Vec<(i64, usize)> = samples.collect();
        ordered.sort_unstable();
        (sizes.len() > 1).then_some(Self { sizes, ordered })
    }

    /// What few repetitions ask for beyond the drawn interval.
    fn stretch(&self) -> f64 {
        let repetitions = self.sizes.len() as f64;
        t_975(repetitions - 1.0) / Z_975 * (repetitions / (repetitions - 1.0)).sqrt()
    }

    /// Half of Student's interval of the repetitions' own percentiles: the pooled percentile of three repetitions moves in steps
    /// that may be smaller than they differ by.
    fn student_half(&self, which: usize) -> f64 {
        let mut weights = vec![0; self.sizes.len()];
        let own = (0..self.sizes.len()).map(|repetition| {
            weights.fill(0);
            weights[repetition] = 1;
            self.percentiles(&weights)[which] as f64
        });
        let own: Vec<f64> = own.collect();
        let repetitions = own.len() as f64;
        let mean = own.iter().sum::<f64>() / repetitions;
        let squares: f64 = own.iter().map(|value| (value - mean).powi(2)).sum();
        t_975(repetitions - 1.0) * (squares / (repetitions - 1.0) / repetitions).sqrt()
    }

    /// The p50 and p99 of all samples, and those of each drawing.
    fn draws(&self, seed: u64) -> ([i64; 2], Vec<[i64; 2]>) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut weights = vec![1; self.sizes.len()];
        let middle = self.percentiles(&weights);
        let draws = (0..ROUNDS)
            .map(|_| {
                self.draw(&mut random, &mut weights);
                self.percentiles(&weights)
            })
            .collect();
        (middle, draws)
    }

    /// How often each repetition is in one drawing.
    fn draw(&self, random: &mut fastrand::Rng, weights: &mut [u64]) {
        weights.fill(0);
        for _ in 0..weights.len() {
            weights[random.usize(..self.sizes.len())] += 1;
        }
    }

    /// The p50 and the p99 of the samples, each as often as its repetition is.
    fn percentiles(&self, weights: &[u64]) -> [i64; 2] {
        let total: u64 = weights
            .iter()
            .zip(&self.sizes)
            .map(|(weight, size)| weight * size)
            .sum();
        let (half, most) = (total.div_ceil(2), (total * 99).div_ceil(100));
        let (mut passed, mut p50, mut last) = (0, None, 0);
        for (latency, repetition) in &self.ordered {
            passed += weights[*repetition];
            last = *latency;
            if passed >= half && p50.is_none() {
                p50 = Some(last);
            }
            if passed >= most {
                break;
            }
        }
        [p50.unwrap_or(last), last]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `seconds` seconds of 60 frames, from second `from` on.
    fn samples(latency: impl Fn(u64) -> i64, from: u64, seconds: u64) -> Vec<Sample> {
        (0..seconds * 60)
            .map(|frame| Sample {
                generated_us: from * 1_000_000 + frame * 1_000_000 / 60,
                latency_us: latency(frame),
                disturbed: false,
                frame: None,
                late_us: None,
            })
            .collect()
    }

    /// The intervals of samples that `repetitions` repetitions share.
    fn of(samples: &[Sample], repetitions: usize, seed: u64) -> Intervals {
        let repetitions: Vec<&[Sample]> = samples.chunks(samples.len() / repetitions).collect();
        intervals(&repetitions, seed)
    }

    #[test]
    fn a_constant_is_certain() {
        let constant = samples(|_| 8_000, 0, 20);
        let both = of(&constant, 2, 1);
        assert_eq!(both.p50, Some((8_000, 8_000)));
        assert_eq!(both.p99, Some((8_000, 8_000)), "1200 samples");
    }

    #[test]
    fn it_holds_the_middle_and_is_repeatable() {
        let latency = |frame: u64| 7_000 + i64::try_from(frame * 7_919 % 2_000).expect("small");
        let noisy = samples(latency, 0, 64);
        let (low, high) = of(&noisy, 8, 7).p50.expect("enough");
        assert!(
            low <= 8_000 && 8_000 <= high && high - low < 200,
            "{low} {high}"
        );
        assert_eq!(of(&noisy, 8, 7).p50, Some((low, high)));
        let (low, high) = of(&noisy, 8, 7).p99.expect("3840 samples");
        assert!(
            low <= 8_980 && (8_980..9_100).contains(&high),
            "{low} {high}"
        );
    }

    #[test]
    fn seconds_that_differ_make_it_wide() {
        // Half of the seconds at 5 ms, half at 10 ms: single frames would feign certainty, whole seconds do not.
        let uneven = samples(
            |frame| if frame / 60 % 2 == 0 { 5_000 } else { 10_000 },
            0,
            21,
        );
        let (low, high) = of(&uneven, 3, 3).p50.expect("enough");
        assert!(low <= 5_000 && high >= 10_000, "{low} {high}");
    }

    #[test]
    fn repetitions_that_differ_make_it_wide_however_long_they_are() {
        let repetition = |number: u64| {
            let offset = i64::try_from(number * 200).expect("small");
            samples(
                move |frame| 8_000 + offset + i64::from(frame % 7 == 0),
                number * 100,
                60,
            )
        };
        let repetitions: Vec<_> = (0..4).map(repetition).collect();
        let repetitions: Vec<&[Sample]> = repetitions.iter().map(Vec::as_slice).collect();
        let (low, high) = intervals(&repetitions, 5).p50.expect("enough");
        // Student's t of the four: 8300 ± 3.18 x 258 / 2.
        assert!(
            (7_500..8_100).contains(&low) && (8_500..9_100).contains(&high),
            "{low} {high}"
        );
    }

    #[test]
    fn too_little_says_nothing() {
        assert_eq!(of(&samples(|_| 1, 0, 4), 1, 1), Intervals::default());
        assert_eq!(intervals(&[], 1), Intervals::default());
        let few = of(&samples(|_| 1, 0, 10), 2, 1);
        assert_eq!((few.p50, few.p99), (Some((1, 1)), None), "600 samples");
    }

    /// Twelve repetitions of the same film, whose last pictures cost 3 ms more than its first, and which differ by some 0.1 ms:
    /// what every repetition shows is no reason to be unsure.
    #[test]
    fn pictures_that_every_repetition_shows_make_it_no_wider() {
        let own = [0, 150, -90, 40, 210, -160, 80, -20, 120, -110, 60, -50];
        let repetition = |own: i64| {
            let of_film = |frame: u64| i64::try_from(frame * 12).expect("small");
            samples(move |frame| 8_000 + own + of_film(frame), 0, 4)
        };
        let repetitions: Vec<_> = own.into_iter().map(repetition).collect();
        let repetitions: Vec<&[Sample]> = repetitions.iter().map(Vec::as_slice).collect();
        let (low, high) = intervals(&repetitions, 5).p50.expect("enough");
        // Student's of the twelve: 2.20 x 114 / sqrt(12) = 72 on each side.
        assert!((80..220).contains(&(high - low)), "{low} {high}");
    }

    #[test]
    fn a_single_repetition_says_nothing_of_the_next() {
        let long = samples(|frame| i64::from(frame % 7 == 0), 0, 600);
        assert_eq!(intervals(&[&long], 1), Intervals::default());
    }
}
