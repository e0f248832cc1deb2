//! Whether the intervals hold what they promise: results are made up, with a known difference, as a real machine makes them.
//!
//! A round (one repetition of each scenario) has a level of its own, which both share; a repetition has an offset of its own,
//! and once in a while a bad one; its seconds are correlated; its frames are correlated within a second and skewed, with a
//! burst of slow ones now and then. The seed is fixed.

use super::*;

pub(super) const FRAMES_A_SECOND: u64 = 60;

/// How the made-up machine behaves, in microseconds.
#[derive(Clone, Copy)]
pub(super) struct Machine {
    /// Standard deviation from round to round.
    pub(super) round: f64,
    /// Standard deviation from repetition to repetition within a round.
    pub(super) repetition: f64,
    /// Standard deviation of the seconds, which hand 0.8 of their level to the next.
    pub(super) second: f64,
}

pub(super) const MACHINES: [Machine; 3] = [
    // Noisy neighbours: everything varies.
    Machine {
        round: 600.0,
        repetition: 250.0,
        second: 300.0,
    },
    // Repetitions alike: only what happens within them.
    Machine {
        round: 0.0,
        repetition: 0.0,
        second: 400.0,
    },
    // Seconds alike: each repetition has its own level, for good.
    Machine {
        round: 300.0,
        repetition: 400.0,
        second: 5.0,
    },
];

/// A normal deviate.
pub(super) fn normal(random: &mut fastrand::Rng) -> f64 {
    let (one, two) = (random.f64().max(1e-12), random.f64());
    (-2.0 * one.ln()).sqrt() * (std::f64::consts::TAU * two).cos()
}

/// One repetition's samples; `skewed` adds bursts that only ever make frames slower.
pub(super) fn repetition(
    machine: Machine,
    level: f64,
    seconds: u64,
    start: u64,
    skewed: bool,
    random: &mut fastrand::Rng,
) -> Vec<Sample> {
    let bad = if skewed && random.u32(..20) == 0 {
        1_500.0
    } else {
        0.0
    };
    let level = level + bad + machine.repetition * normal(random);
    let mut second_level = machine.second * normal(random);
    let mut samples = Vec::new();
    for second in 0..seconds {
        second_level = 0.8 * second_level + 0.6 * machine.second * normal(random);
        let burst = if skewed && random.u32(..10) == 0 {
            4_000.0
        } else {
            0.0
        };
        let mut frame_level = 0.0;
        for frame in 0..FRAMES_A_SECOND {
            frame_level = 0.7 * frame_level + 150.0 * normal(random);
            let slow = if frame < 10 { burst } else { 0.0 };
            #[expect(clippy::cast_possible_truncation, reason = "some milliseconds")]
            samples.push(Sample {
                generated_us: (start + second) * 1_000_000 + frame * 1_000_000 / FRAMES_A_SECOND,
                latency_us: (level + second_level + frame_level + slow) as i64,
                disturbed: false,
                frame: None,
                late_us: None,
            });
        }
    }
    samples
}

/// Two scenarios of `repetitions` repetitions of 5 s, the second slower by `shift`.
fn scenarios(
    machine: Machine,
    repetitions: u32,
    shift: f64,
    random: &mut fastrand::Rng,
) -> [Vec<RepetitionFigures>; 2] {
    let mut both = [Vec::new(), Vec::new()];
    for number in 1..=repetitions {
        let round = 8_000.0 + machine.round * normal(random);
        for (figures, level) in both.iter_mut().zip([round, round + shift]) {
            let measured = Measured {
                samples: repetition(machine, level, 5, u64::from(number) * 100, true, random),
                ..Measured::default()
            };
            figures.extend(RepetitionFigures::of(number, &measured));
        }
    }
    both
}

/// How many of `trials` made-up results call the p50 (or p99) different, and the half widths, ascending.
fn called_different(
    machine: Machine,
    repetitions: u32,
    shift: f64,
    trials: usize,
    p99: bool,
) -> (usize, Vec<f64>) {
    let mut random = fastrand::Rng::with_seed(20_240_508);
    let mut halves = Vec::new();
    let mut different = 0;
    for _ in 0..trials {
        let [a, b] = scenarios(machine, repetitions, shift, &mut random);
        let figure = |one: &RepetitionFigures| if p99 { one.p99 } else { Some(one.p50) };
        let of = Estimate::of_figure(&pairs(&a, &b), figure).expect("pairs");
        different += usize::from(of.is_distinguishable(0.0));
        let (low, high) = of.ci.expect("several pairs");
        halves.push((high - low) / 2.0);
    }
    halves.sort_by(f64::total_cmp);
    (different, halves)
}

#[test]
fn alike_is_called_different_in_five_of_a_hundred_cases_at_most() {
    for (which, machine) in MACHINES.into_iter().enumerate() {
        for (repetitions, p99) in [(8, false), (8, true), (3, false)] {
            let (different, _) = called_different(machine, repetitions, 0.0, 400, p99);
            println!("machine {which}, {repetitions} repetitions, p99 {p99}: {different} of 400");
            // 20 are expected of an exact interval; three standard deviations of chance are 13.
            assert!(
                different <= 33,
                "machine {which}, {repetitions} repetitions: {different} of 400"
            );
            assert!(different > 0, "an interval that never misses is of no use");
        }
    }
}

/// Five scenarios that are alike, each against each: results in which anything at all is called different.
#[test]
fn of_ten_differences_none_is_called_so_falsely_in_95_of_100_results() {
    for (which, machine) in MACHINES.into_iter().enumerate() {
        let mut random = fastrand::Rng::with_seed(1_979);
        let (mut alone, mut corrected) = (0, 0);
        for _ in 0..200 {
            let mut scenarios = vec![Vec::new(); 5];
            for number in 1..=8 {
                let round = 8_000.0 + machine.round * normal(&mut random);
                for figures in &mut scenarios {
                    let start = u64::from(number) * 100;
                    let samples = repetition(machine, round, 5, start, true, &mut random);
                    let measured = Measured {
                        samples,
                        ..Measured::default()
                    };
                    figures.extend(RepetitionFigures::of(number, &measured));
                }
            }
            let mut p = Vec::new();
            for (place, a) in scenarios.iter().enumerate() {
                for b in &scenarios[place + 1..] {
                    let of = Estimate::of_figure(&pairs(a, b), |one| Some(one.p50));
                    p.extend(of.and_then(|of| of.p(0.0)));
                }
            }
            assert_eq!(p.len(), 10);
            alone += u32::from(p.iter().any(|p| *p < 0.05));
            corrected += u32::from(holm(&p).iter().any(|p| *p < 0.05));
        }
        println!("machine {which}: {alone} of 200 without correction, {corrected} with it");
        // Ten are expected of an exact correction; three standard deviations of chance are 9.
        assert!(corrected <= 19, "machine {which}: {corrected} of 200");
        assert!(
            alone > 25,
            "machine {which}: {alone} of 200, nothing to correct"
        );
    }
}

/// What pairing and the unit are for: the same data by frames are called different nearly always.
#[test]
fn frames_as_units_would_call_alike_different() {
    let mut random = fastrand::Rng::with_seed(1);
    let mut different = 0;
    for _ in 0..100 {
        let [a, b] = scenarios(MACHINES[0], 8, 0.0, &mut random);
        let error = |repetitions: &[RepetitionFigures]| {
            let all: Vec<f64> = repetitions
                .iter()
                .flat_map(|one| one.latencies.iter().map(|us| *us as f64))
                .collect();
            let mean = all.iter().sum::<f64>() / all.len() as f64;
            let squares: f64 = all.iter().map(|us| (us - mean).powi(2)).sum();
            (mean, squares / (all.len() as f64).powi(2))
        };
        let ((a, of_a), (b, of_b)) = (error(&a), error(&b));
        different += u32::from((b - a).abs() > 1.96 * (of_a + of_b).sqrt());
    }
    assert!(different > 60, "{different} of 100");
}

#[test]
fn two_milliseconds_are_found_to_within_half_of_one() {
    // 12 pairs give half a millisecond where the differences of the pairs spread by 0.78 or less.
    let machine = Machine {
        round: 600.0,
        repetition: 200.0,
        second: 300.0,
    };
    let (found, halves) = called_different(machine, 12, 2_000.0, 200, false);
    println!("{found} of 200, half width {} us", halves[100]);
    assert!(found >= 196, "{found} of 200");
    assert!(halves[100] < 500.0, "half width {} us", halves[100]);
}

#[test]
fn the_interval_of_a_p50_holds_it() {
    for (which, machine) in MACHINES.into_iter().enumerate() {
        for repetitions in [2, 3, 8] {
            let mut random = fastrand::Rng::with_seed(77);
            let trials = 60;
            let mut held = 0;
            let mut halves = Vec::new();
            for trial in 0..trials {
                let samples: Vec<_> = (0..repetitions)
                    .map(|number| {
                        let level = 8_000.0 + machine.round * normal(&mut random);
                        repetition(machine, level, 5, number * 100, false, &mut random)
                    })
                    .collect();
                let samples: Vec<&[Sample]> = samples.iter().map(Vec::as_slice).collect();
                let (low, high) = intervals(&samples, trial).p50.expect("enough");
                held += u32::from(low <= 8_000 && 8_000 <= high);
                halves.push(high - low);
            }
            halves.sort_unstable();
            println!(
                "machine {which}, {repetitions} repetitions: {held} of {trials}, half {}",
                halves[30] / 2
            );
            // 57 are expected; three standard deviations of chance are 5.
            assert!(
                held >= 52,
                "machine {which}, {repetitions} repetitions: {held} of {trials}"
            );
        }
    }
}
