//! Whether comparisons of two results hold what they promise: results are made up, as machines and films make them.
//!
//! A session (one result) has a speed of its own, which floor and scenarios share; a round shows a stretch of the film, which is the
//! same in both results, and has a level of its own; each repetition has an offset of its own. The seed is fixed.

use super::{validity_tests::normal, *};

/// Scenarios of each comparison.
const SCENARIOS: usize = 5;

/// A result of `rounds` rounds: for each scenario its rounds. `gap` is what it takes beside the codec, microseconds.
fn result(
    machine: Machine,
    rounds: u32,
    speed: f64,
    gap: f64,
    slower: f64,
    random: &mut fastrand::Rng,
) -> Vec<Vec<Round>> {
    let mut scenarios = vec![Vec::new(); SCENARIOS];
    for number in 1..=rounds {
        // The stretch of the film, drawn from the file's seed and so the same in every result.
        let film = 600.0 * f64::from(number * 7 % 5) / 4.0;
        let level = machine.round * normal(random);
        let mut of = |work: f64, delay: f64| {
            (work + film + level + machine.repetition * normal(random)) * speed + delay
        };
        let floor = of(5_500.0, 0.0);
        for (place, rounds) in scenarios.iter_mut().enumerate() {
            let (work, delay) = if machine.scales {
                (gap, 0.0)
            } else {
                (0.0, gap)
            };
            let own = if place == 0 { slower } else { 0.0 };
            let scenario = of(5_500.0 + work, delay) + own;
            rounds.push(Round {
                number,
                scenario,
                floor,
                gap: scenario - floor,
            });
        }
    }
    scenarios
}

/// How machines behave, microseconds.
#[derive(Clone, Copy, Debug)]
struct Machine {
    /// Standard deviation of the speed from session to session.
    session: f64,
    round: f64,
    repetition: f64,
    /// Whether what a scenario takes beside the codec follows the machine's speed.
    scales: bool,
}

/// Of `trials` comparisons: those that call any scenario worse, and those that call the first one so.
fn worse(machine: Machine, rounds: u32, gap: f64, slower: f64, trials: u32) -> (u32, u32) {
    let mut random = fastrand::Rng::with_seed(20_261_127);
    let (mut any, mut first) = (0, 0);
    for _ in 0..trials {
        let [of_a, of_b] = [0.0, slower].map(|slower| {
            let speed = (1.0 + machine.session * normal(&mut random)).max(0.5);
            result(machine, rounds, speed, gap, slower, &mut random)
        });
        let changes: Vec<_> = of_a
            .iter()
            .zip(&of_b)
            .map(|(a, b)| {
                let before = a.iter().map(|one| one.scenario).sum::<f64>() / a.len() as f64;
                (Change::of(a, b).expect("rounds"), before * 0.05)
            })
            .collect();
        let found = outcomes(&changes);
        any += u32::from(found.contains(&Outcome::Worse));
        first += u32::from(found[0] == Outcome::Worse);
    }
    (any, first)
}

/// Hours apart, and built of the same code.
#[test]
fn the_same_code_is_called_worse_in_five_of_a_hundred_comparisons_at_most() {
    for session in [0.0, 0.02, 0.07, 0.14] {
        for scales in [false, true] {
            for (round, repetition) in [(600.0, 250.0), (0.0, 60.0), (300.0, 400.0)] {
                for gap in [800.0, 3_400.0, 40_000.0] {
                    let machine = Machine {
                        session,
                        round,
                        repetition,
                        scales,
                    };
                    for rounds in [1, 2, 3, 8, 12] {
                        let (any, _) = worse(machine, rounds, gap, 0.0, 200);
                        // Ten are promised; one standard deviation of chance is three.
                        assert!(
                            any <= 13,
                            "{machine:?}, {gap}, {rounds} rounds: {any} of 200"
                        );
                        if rounds == 1 {
                            assert_eq!(any, 0);
                        }
                    }
                }
            }
        }
    }
}

/// What the promise costs: the difference that has to be found is.
#[test]
fn a_tenth_more_is_found() {
    for session in [0.0, 0.02] {
        let machine = Machine {
            session,
            round: 300.0,
            repetition: 60.0,
            scales: false,
        };
        for (rounds, least) in [(8, 180), (12, 190)] {
            let (_, found) = worse(machine, rounds, 2_500.0, 800.0, 200);
            assert!(
                found >= least,
                "{machine:?}, {rounds} rounds: {found} of 200"
            );
        }
    }
}
