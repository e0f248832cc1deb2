//! How sure a p50 is: a block bootstrap.
//!
//! Neighbouring frames are alike (one disturbance slows many), so single frames must not be drawn as if each were news:
//! what is drawn, with replacement, are whole seconds.

use super::Sample;

/// Drawings.
const ROUNDS: usize = 1_000;

/// Below this many seconds an interval says nothing.
const MIN_BLOCKS: usize = 5;

/// The interval in which the p50 lies with 95 % confidence, in microseconds; none below 5 seconds of samples.
///
/// `seed` makes it repeatable. Seconds of different repetitions are different blocks, since their times differ.
pub fn p50_interval(samples: &[Sample], seed: u64) -> Option<(i64, i64)> {
    let second = |sample: &Sample| sample.generated_us / 1_000_000;
    let mut seconds: Vec<u64> = samples.iter().map(second).collect();
    seconds.sort_unstable();
    seconds.dedup();
    if seconds.len() < MIN_BLOCKS {
        return None;
    }
    // Each sample with the block that it is of, by latency: a drawing then only weighs blocks and walks along.
    let mut ordered: Vec<(i64, usize)> = samples
        .iter()
        .map(|sample| {
            let block = seconds.binary_search(&second(sample)).unwrap_or(0);
            (sample.latency_us, block)
        })
        .collect();
    ordered.sort_unstable();
    let mut sizes = vec![0_u64; seconds.len()];
    for (_, block) in &ordered {
        sizes[*block] += 1;
    }
    let mut random = fastrand::Rng::with_seed(seed);
    let mut medians = Vec::with_capacity(ROUNDS);
    let mut weights = vec![0_u64; seconds.len()];
    for _ in 0..ROUNDS {
        weights.fill(0);
        let mut total = 0;
        for _ in 0..seconds.len() {
            let block = random.usize(..seconds.len());
            weights[block] += 1;
            total += sizes[block];
        }
        let half = total.div_ceil(2);
        let mut passed = 0;
        let middle = ordered.iter().find(|(_, block)| {
            passed += weights[*block];
            passed >= half
        });
        medians.extend(middle.map(|(latency, _)| *latency));
    }
    medians.sort_unstable();
    let at = |share: usize| medians.get(medians.len() * share / 1_000).copied();
    Some((at(25)?, at(975)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(latency: impl Fn(u64) -> i64, seconds: u64) -> Vec<Sample> {
        (0..seconds * 60)
            .map(|frame| Sample {
                generated_us: frame * 1_000_000 / 60,
                latency_us: latency(frame),
                disturbed: false,
            })
            .collect()
    }

    #[test]
    fn a_constant_is_certain() {
        assert_eq!(
            p50_interval(&samples(|_| 8_000, 10), 1),
            Some((8_000, 8_000))
        );
    }

    #[test]
    fn it_holds_the_middle_and_is_repeatable() {
        let noisy = samples(
            |frame| 7_000 + i64::try_from(frame * 7_919 % 2_000).expect("small"),
            60,
        );
        let (low, high) = p50_interval(&noisy, 7).expect("enough");
        assert!(
            low <= 8_000 && 8_000 <= high && high - low < 200,
            "{low} {high}"
        );
        assert_eq!(p50_interval(&noisy, 7), Some((low, high)));
    }

    #[test]
    fn seconds_that_differ_make_it_wide() {
        // Half of the seconds at 5 ms, half at 10 ms: single frames would feign certainty, whole seconds do not.
        let uneven = samples(|frame| if frame / 60 % 2 == 0 { 5_000 } else { 10_000 }, 21);
        assert_eq!(p50_interval(&uneven, 3), Some((5_000, 10_000)));
    }

    #[test]
    fn too_little_says_nothing() {
        assert_eq!(p50_interval(&samples(|_| 1, 4), 1), None);
        assert_eq!(p50_interval(&[], 1), None);
    }
}
