//! Whether the intervals hold what they promise over a film: what a codec takes depends on the picture and on key frames, a round shows
//! a stretch of the film that is drawn, and the pictures of a short film come again and again. The machines are those of
//! `validity_tests`; the seed is fixed.

use super::{
    validity_tests::{FRAMES_A_SECOND, MACHINES, Machine, normal, repetition},
    *,
};

/// Repetitions of a scenario whose intervals are tried out.
const REPETITIONS: [usize; 5] = [1, 2, 3, 8, 12];

/// A key frame each second.
const GOP: u64 = FRAMES_A_SECOND;

/// Shorter than a repetition, which shows each picture twice or three times, and longer than one.
const FILMS: [u64; 2] = [132, 1_440];

/// What the picture of a frame costs more than others, microseconds, in a stretch that begins with the picture `start`.
fn cost(pictures: u64, start: u64, frame: u64) -> f64 {
    let picture = (start + frame) % pictures;
    let scene = 1_400.0 * (std::f64::consts::TAU * picture as f64 / pictures as f64).cos();
    let own = (picture * 7_919 % 1_009) as f64 - 504.0;
    let key = if frame.is_multiple_of(GOP) {
        5_000.0
    } else {
        0.0
    };
    scene + own + key
}

/// The samples of a repetition of five seconds, by its number, which shows the film from the picture `start` on, but for the first
/// `from` frames.
fn shown(
    machine: Machine,
    level: f64,
    number: usize,
    (pictures, start, from): (u64, u64, u64),
    random: &mut fastrand::Rng,
) -> Vec<Sample> {
    let second = number as u64 * 100;
    let mut samples = repetition(machine, level, 5, second, true, random);
    for (sample, frame) in samples.iter_mut().zip(from..) {
        #[expect(clippy::cast_possible_truncation, reason = "some milliseconds")]
        let more = cost(pictures, start, frame) as i64;
        sample.latency_us += more;
        sample.frame = u32::try_from(frame).ok();
    }
    samples
}

fn figures(number: usize, samples: Vec<Sample>) -> RepetitionFigures {
    let measured = Measured {
        samples,
        ..Measured::default()
    };
    RepetitionFigures::of(u32::try_from(number).expect("a few"), &measured).expect("samples")
}

/// How often, of 400 made-up results of two scenarios that are alike, the p50 and the p99 are called different after so many
/// rounds of [`REPETITIONS`].
fn called_different(machine: Machine, pictures: u64) -> [[u32; 2]; REPETITIONS.len()] {
    let mut random = fastrand::Rng::with_seed(20_240_508);
    let mut different = [[0; 2]; REPETITIONS.len()];
    for _ in 0..400 {
        let mut both = [Vec::new(), Vec::new()];
        for number in 1..=12 {
            let level = 8_000.0 + machine.round * normal(&mut random);
            let start = random.u64(..pictures);
            for repetitions in &mut both {
                let samples = shown(machine, level, number, (pictures, start, 0), &mut random);
                repetitions.push(figures(number, samples));
            }
        }
        let [a, b] = both;
        for (counts, repetitions) in different.iter_mut().zip(REPETITIONS) {
            let pairs = pairs(&a[..repetitions], &b[..repetitions]);
            let of: [fn(&RepetitionFigures) -> Option<f64>; 2] =
                [|one| Some(one.p50), |one| one.p99];
            for (count, figure) in counts.iter_mut().zip(of) {
                let of = Estimate::of_figure(&pairs, figure).expect("pairs");
                *count += u32::from(of.is_distinguishable(0.0));
                // Both say the same: a table and its correction for many cannot part.
                assert_eq!(
                    of.p(0.0).is_some_and(|p| p < 0.05),
                    of.is_distinguishable(0.0)
                );
            }
        }
    }
    different
}

#[test]
fn alike_is_called_different_in_five_of_a_hundred_cases_at_most() {
    for (which, machine) in MACHINES.into_iter().enumerate() {
        for pictures in FILMS {
            for (counts, repetitions) in called_different(machine, pictures)
                .into_iter()
                .zip(REPETITIONS)
            {
                let [p50, p99] = counts;
                println!(
                    "machine {which}, {pictures} pictures, {repetitions} repetitions: {p50} and {p99} of 400"
                );
                if repetitions == 1 {
                    assert_eq!(counts, [0, 0], "one round says nothing of the next");
                    continue;
                }
                // 20 are expected of an exact interval; three standard deviations of chance are 13.
                assert!(
                    p50 <= 33 && p99 <= 33,
                    "machine {which}, {pictures} pictures, {repetitions} repetitions: {p50} and {p99} of 400"
                );
                assert!(p50 > 0, "an interval that never misses is of no use");
            }
        }
    }
}

/// The p50 of every stretch that a round may show, over very many rounds.
fn true_p50(machine: Machine, pictures: u64, random: &mut fastrand::Rng) -> i64 {
    let mut latencies = Vec::new();
    for number in 0..1_000 {
        let level = 8_000.0 + machine.round * normal(random);
        let start = random.u64(..pictures);
        let samples = shown(machine, level, number, (pictures, start, 0), random);
        latencies.extend(samples.iter().map(|sample| sample.latency_us));
    }
    latencies.sort_unstable();
    quantile(&latencies, 500).expect("samples")
}

#[test]
fn the_interval_of_a_p50_holds_that_of_the_film() {
    // Each of its rounds shows a fifth of it.
    let pictures = FILMS[1];
    for (which, machine) in MACHINES.into_iter().enumerate() {
        let mut random = fastrand::Rng::with_seed(77);
        let truth = true_p50(machine, pictures, &mut random);
        let trials = 40;
        let mut held = [0; REPETITIONS.len()];
        for trial in 0..trials {
            let samples: Vec<_> = (0..12)
                .map(|number| {
                    let level = 8_000.0 + machine.round * normal(&mut random);
                    let start = random.u64(..pictures);
                    shown(machine, level, number, (pictures, start, 0), &mut random)
                })
                .collect();
            let samples: Vec<&[Sample]> = samples.iter().map(Vec::as_slice).collect();
            for (held, repetitions) in held.iter_mut().zip(REPETITIONS) {
                let of = intervals(&samples[..repetitions], trial);
                assert_eq!(
                    of.p50.is_some(),
                    repetitions > 1,
                    "one repetition has no interval"
                );
                let holds = |(low, high)| low <= truth && truth <= high;
                *held += u32::from(of.p50.is_some_and(holds));
            }
        }
        println!("machine {which}: {held:?} of {trials} for {REPETITIONS:?} repetitions");
        // 38 are expected; three standard deviations of chance are 4.
        let least = held[1..].iter().min().expect("several");
        assert!(*least >= 34, "machine {which}: {held:?}");
    }
}

/// A scenario begins to measure three seconds later than its floor, and so shows other pictures: their medians differ, and nothing but the
/// film is slower. Frame by frame it is as fast.
#[test]
fn a_floor_that_shows_other_pictures_is_no_faster() {
    let (machine, pictures) = (MACHINES[1], FILMS[1]);
    let mut random = fastrand::Rng::with_seed(1);
    let (mut by_median, mut by_picture) = (0, 0);
    for _ in 0..200 {
        let (mut medians, mut gaps) = (Vec::new(), Vec::new());
        for number in 1..=8 {
            let [floor, scenario] = [0, 3 * GOP].map(|from| {
                let stretch = (pictures, 0, from);
                figures(
                    number,
                    shown(machine, 8_000.0, number, stretch, &mut random),
                )
            });
            medians.push(scenario.p50 - floor.p50);
            gaps.push(gap(&floor, &scenario));
        }
        let found = |gaps: &[f64]| {
            let of = Estimate::of(gaps, RESOLUTION_US).expect("rounds");
            u32::from(of.is_distinguishable(0.0))
        };
        by_median += found(&medians);
        by_picture += found(&gaps);
    }
    println!("{by_median} of 200 by medians, {by_picture} by pictures");
    assert!(
        by_median > 150,
        "{by_median} of 200: nothing to guard against"
    );
    // Ten are expected; three standard deviations of chance are 9.
    assert!(by_picture <= 19, "{by_picture} of 200");
}
