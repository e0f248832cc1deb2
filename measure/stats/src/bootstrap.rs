//! How sure a percentile is: a block bootstrap in two steps, runs and then seconds.
//!
//! Neighbouring frames are alike (one disturbance slows many), and so are the seconds of one run (its processes, its memory,
//! its place on the processors are drawn once). Single frames must therefore not be drawn as if each were news. What is drawn,
//! with replacement, are whole runs, and within each drawn run blocks of successive seconds, long enough to keep what one
//! second hands to the next.
//!
//! A bootstrap over few units is too narrow: it knows neither that the spread of n units is that of n - 1, nor that a spread
//! seen in few is itself unsure. The interval is therefore stretched about its middle by what Student's t asks for beyond the
//! normal distribution (the correction of Hesterberg, The American Statistician 69(4), 2015).

use std::ops::Range;

use super::{Sample, paired::t_975, quantile};

/// Resamplings of one bootstrap.
const ROUNDS: usize = 1_000;

/// Below this many seconds an interval says nothing.
const MIN_SECONDS: usize = 5;

/// Below this many samples a p99 hangs on fewer than ten of them, and its interval says nothing.
const MIN_P99_SAMPLES: usize = 1_000;

/// Of a normal distribution, 95 in 100 lie within this many standard deviations.
const Z_975: f64 = 1.959_963_985;

/// Where percentiles lie with 95 % confidence, microseconds, lower and upper end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Intervals {
    /// The interval of the p50; none below 5 seconds of samples.
    pub p50: Option<(i64, i64)>,
    /// The interval of the p99; none below 5 seconds or 1000 samples.
    pub p99: Option<(i64, i64)>,
}

/// The intervals of the percentiles of `runs` together. `seed` makes them repeatable.
///
/// With one run the interval is that of this run only: how much the next would differ is not known from it.
pub fn intervals(runs: &[&[Sample]], seed: u64) -> Intervals {
    let Some(blocks) = Blocks::of(runs) else {
        return Intervals::default();
    };
    let (middle, draws) = blocks.draws(seed);
    let stretch = blocks.stretch();
    let interval = |which: usize| {
        let mut ascending: Vec<i64> = draws.iter().map(|draw| draw[which]).collect();
        ascending.sort_unstable();
        let (low, high) = middle_95(&ascending)?;
        let away = |end: i64| middle[which] as f64 + (end - middle[which]) as f64 * stretch;
        // A latency below nothing is none, unless clocks disagree.
        let low = if low < 0 {
            away(low)
        } else {
            away(low).max(0.0)
        };
        Some((round(low), round(away(high))))
    };
    Intervals {
        p50: interval(0),
        p99: interval(1).filter(|_| blocks.ordered.len() >= MIN_P99_SAMPLES),
    }
}

/// The interval, in microseconds, of the p50 of `other` minus that of `one`, each a single run: from the seconds within them
/// alone. What differs from run to run is not in it. None below 5 seconds of samples in either.
pub fn p50_change(one: &[Sample], other: &[Sample], seed: u64) -> Option<(f64, f64)> {
    let (from, to) = (Blocks::of(&[one])?, Blocks::of(&[other])?);
    let stretch = from.stretch().max(to.stretch());
    let (from_middle, from) = from.draws(seed);
    let (to_middle, to) = to.draws(seed.wrapping_add(1));
    let middle = to_middle[0] - from_middle[0];
    let mut drawn: Vec<i64> = from.iter().zip(&to).map(|(a, b)| b[0] - a[0]).collect();
    drawn.sort_unstable();
    let (low, high) = middle_95(&drawn)?;
    let away = |end: i64| middle as f64 + (end - middle) as f64 * stretch;
    Some((away(low), away(high)))
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
struct Blocks {
    /// Each run's seconds, as places in `sizes`.
    runs: Vec<Range<usize>>,
    /// Samples of each second.
    sizes: Vec<u64>,
    /// Each sample with the second that it is of, by latency: a drawing then only weighs seconds and walks along.
    ordered: Vec<(i64, usize)>,
}

impl Blocks {
    fn of(runs: &[&[Sample]]) -> Option<Self> {
        let mut blocks = Self {
            runs: Vec::new(),
            sizes: Vec::new(),
            ordered: Vec::new(),
        };
        for samples in runs.iter().filter(|samples| !samples.is_empty()) {
            let second = |sample: &Sample| sample.generated_us / 1_000_000;
            let mut seconds: Vec<u64> = samples.iter().map(second).collect();
            seconds.sort_unstable();
            seconds.dedup();
            let first = blocks.sizes.len();
            blocks.runs.push(first..first + seconds.len());
            blocks.sizes.resize(first + seconds.len(), 0);
            for sample in *samples {
                let place = first + seconds.binary_search(&second(sample)).unwrap_or(0);
                blocks.sizes[place] += 1;
                blocks.ordered.push((sample.latency_us, place));
            }
        }
        blocks.ordered.sort_unstable();
        (blocks.sizes.len() >= MIN_SECONDS).then_some(blocks)
    }

    /// What few units ask for beyond the drawn interval: units are runs, or, of a single one, its seconds.
    fn stretch(&self) -> f64 {
        let units = match self.runs.len() {
            1 => self.sizes.len(),
            runs => runs,
        };
        let units = units.max(2) as f64;
        t_975(units - 1.0) / Z_975 * (units / (units - 1.0)).sqrt()
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

    /// How often each second is in one drawing.
    fn draw(&self, random: &mut fastrand::Rng, weights: &mut [u64]) {
        weights.fill(0);
        for _ in 0..self.runs.len() {
            let run = self.runs[random.usize(..self.runs.len())].clone();
            let length = block_seconds(run.len());
            let mut drawn = 0;
            while drawn < run.len() {
                // The run's end is followed by its start, so that every second is as likely as any other.
                let from = random.usize(..run.len());
                for step in 0..length.min(run.len() - drawn) {
                    weights[run.start + (from + step) % run.len()] += 1;
                    drawn += 1;
                }
            }
        }
    }

    /// The p50 and the p99 of the samples, each as often as its second is.
    fn percentiles(&self, weights: &[u64]) -> [i64; 2] {
        let total: u64 = weights
            .iter()
            .zip(&self.sizes)
            .map(|(weight, size)| weight * size)
            .sum();
        let (half, most) = (total.div_ceil(2), (total * 99).div_ceil(100));
        let (mut passed, mut p50, mut last) = (0, None, 0);
        for (latency, second) in &self.ordered {
            passed += weights[*second];
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

/// How many successive seconds are drawn together: the cube root of their number, as is usual for the bootstrap of a series.
fn block_seconds(seconds: usize) -> usize {
    (1..=seconds)
        .find(|side| side * side * side >= seconds)
        .unwrap_or(1)
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
            })
            .collect()
    }

    fn p50(samples: &[Sample], seed: u64) -> Option<(i64, i64)> {
        intervals(&[samples], seed).p50
    }

    #[test]
    fn a_constant_is_certain() {
        let constant = samples(|_| 8_000, 0, 10);
        assert_eq!(p50(&constant, 1), Some((8_000, 8_000)));
        let both = intervals(&[&constant, &samples(|_| 8_000, 90, 10)], 1);
        assert_eq!(both.p50, Some((8_000, 8_000)));
        assert_eq!(both.p99, Some((8_000, 8_000)), "1200 samples");
    }

    #[test]
    fn it_holds_the_middle_and_is_repeatable() {
        let latency = |frame: u64| 7_000 + i64::try_from(frame * 7_919 % 2_000).expect("small");
        let noisy = samples(latency, 0, 60);
        let (low, high) = p50(&noisy, 7).expect("enough");
        assert!(
            low <= 8_000 && 8_000 <= high && high - low < 200,
            "{low} {high}"
        );
        assert_eq!(p50(&noisy, 7), Some((low, high)));
        let (low, high) = intervals(&[&noisy], 7).p99.expect("3600 samples");
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
        let (low, high) = p50(&uneven, 3).expect("enough");
        assert!(low <= 5_000 && high >= 10_000, "{low} {high}");
    }

    #[test]
    fn runs_that_differ_make_it_wide_however_long_they_are() {
        let run = |number: u64| {
            let offset = i64::try_from(number * 200).expect("small");
            samples(
                move |frame| 8_000 + offset + i64::from(frame % 7 == 0),
                number * 100,
                60,
            )
        };
        let runs: Vec<_> = (0..4).map(run).collect();
        let runs: Vec<&[Sample]> = runs.iter().map(Vec::as_slice).collect();
        let (low, high) = intervals(&runs, 5).p50.expect("enough");
        // Student's t of the four: 8300 ± 3.18 x 258 / 2.
        assert!(
            (7_500..8_100).contains(&low) && (8_500..9_100).contains(&high),
            "{low} {high}"
        );
    }

    #[test]
    fn a_difference_of_single_runs_is_found_within_their_seconds() {
        let noise = |frame: u64| i64::try_from(frame * 7_919 % 500).expect("small");
        let one = samples(|frame| 8_000 + noise(frame), 0, 20);
        let other = samples(|frame| 8_400 + noise(frame + 3), 50, 20);
        let (low, high) = p50_change(&one, &other, 1).expect("enough");
        assert!(low < 400.0 && 400.0 < high && low > 300.0, "{low} {high}");
        assert_eq!(p50_change(&one, &other[..60], 1), None, "one second");
    }

    #[test]
    fn too_little_says_nothing() {
        assert_eq!(intervals(&[&samples(|_| 1, 0, 4)], 1), Intervals::default());
        assert_eq!(intervals(&[], 1), Intervals::default());
        assert_eq!(
            intervals(&[&samples(|_| 1, 0, 10)], 1).p99,
            None,
            "600 samples"
        );
    }

    #[test]
    fn blocks_grow_with_the_run() {
        assert_eq!([1, 5, 8, 30, 1_800].map(block_seconds), [1, 2, 2, 4, 13]);
    }
}
