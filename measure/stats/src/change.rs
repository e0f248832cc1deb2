//! Whether a scenario became slower between two results, when the machine may have become slower too.
//!
//! Within a result, repetition k of a scenario and repetition k of its floor (the codec alone) are of one round. What the scenario
//! takes more than its floor has the machine's speed in that session taken out, as far as the codec has it. The change of
//! that, from one result to the other, is a difference in differences: one number for each round that both results have, and
//! Student's interval over these numbers.
//!
//! What a scenario does beside the codec may follow the machine as the codec does (a userspace tunnel), or not at all (the delay of
//! a WAN), and nothing tells which. So the interval is widened by what the machine may explain or hide of that part, as far as
//! the floors tell how much slower or faster it became.

use super::{Estimate, RESOLUTION_US, holm};

/// One side of an interval of 95 %, for all scenarios that are compared together.
const ERROR: f64 = 0.025;

/// One round of one result, microseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Round {
    /// The number of the round, from 1.
    pub number: u32,
    /// The figure of the scenario.
    pub scenario: f64,
    /// The same figure of its floor.
    pub floor: f64,
    /// What the scenario takes more than its floor, over the same pictures.
    pub gap: f64,
}

/// The change of a scenario beyond that of its floor, from result A to result B, microseconds: positive where B is slower.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// Rounds that both results have.
    pub rounds: u32,
    /// The difference in differences, over the rounds.
    own: Estimate,
    /// The change of the floor: the mean over the rounds.
    pub floor: f64,
    /// What a slower machine may explain of the change besides.
    explained: f64,
    /// What a faster machine may hide of it.
    hidden: f64,
}

impl Change {
    /// From the rounds of A to those of B; none without a common one.
    pub fn of(a: &[Round], b: &[Round]) -> Option<Self> {
        let pairs: Vec<(Round, Round)> = a
            .iter()
            .filter_map(|one| Some((*one, *b.iter().find(|other| other.number == one.number)?)))
            .collect();
        let gaps: Vec<f64> = pairs.iter().map(|(a, b)| b.gap - a.gap).collect();
        let own = Estimate::of(&gaps, RESOLUTION_US)?;
        let mean =
            |of: fn(&(Round, Round)) -> f64| pairs.iter().map(of).sum::<f64>() / pairs.len() as f64;
        let floor_a = mean(|(a, _)| a.floor);
        let floors: Vec<f64> = pairs.iter().map(|(a, b)| b.floor - a.floor).collect();
        let floor = Estimate::of(&floors, RESOLUTION_US)?;
        // By so much of itself the machine may have become slower: by what was seen, and by what that is unsure of.
        let most = |seen: f64| (seen + floor.error().unwrap_or(0.0)).max(0.0) / floor_a.max(1.0);
        let beside = mean(|(a, _)| a.gap).max(0.0);
        Some(Self {
            rounds: u32::try_from(pairs.len()).unwrap_or(u32::MAX),
            own,
            floor: floor.difference,
            explained: most(floor.difference) * beside,
            hidden: most(-floor.difference) * beside,
        })
    }

    /// The mean over the rounds.
    pub const fn mean(&self) -> f64 {
        self.own.difference
    }

    /// The interval of 95 %, with what the machine may explain; none with a single round.
    pub fn interval(&self) -> Option<(f64, f64)> {
        let (low, high) = self.own.ci?;
        Some((low - self.explained, high + self.hidden))
    }

    /// How probable a change this far above `tolerance` is where it is `tolerance` at most; none with a single round.
    fn p_above(&self, tolerance: f64) -> Option<f64> {
        self.own.p_above(tolerance + self.explained)
    }
}

/// Whether B is worse than A.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Slower by more than the tolerance.
    Worse,
    /// Faster.
    Better,
    /// Neither slower nor faster by more than the tolerance.
    Equivalent,
    /// Not slower by more than the tolerance, and perhaps faster.
    NotWorse,
    /// Slower by more than the tolerance or not: the rounds do not tell.
    Inconclusive,
}

/// The outcome of each change with its tolerance in microseconds. Of all of them together, one that is not slower by more
/// than its tolerance is called worse in at most 5 of 100 comparisons (Holm's correction), however the machine's speed changed; a single
/// round never is.
pub fn outcomes(changes: &[(Change, f64)]) -> Vec<Outcome> {
    let p: Vec<f64> = changes
        .iter()
        .map(|(change, tolerance)| change.p_above(*tolerance).unwrap_or(1.0))
        .collect();
    changes
        .iter()
        .zip(holm(&p))
        .map(|((change, tolerance), p)| match change.interval() {
            None => Outcome::Inconclusive,
            Some(_) if p < ERROR => Outcome::Worse,
            Some((_, high)) if high > *tolerance => Outcome::Inconclusive,
            Some((_, high)) if high < 0.0 => Outcome::Better,
            Some((low, _)) if low < -tolerance => Outcome::NotWorse,
            Some(_) => Outcome::Equivalent,
        })
        .collect()
}

/// Which of several differences lie above zero, none falsely in 97.5 of 100 cases (Holm's correction).
pub fn above_zero(differences: &[Option<Estimate>]) -> Vec<bool> {
    let p: Vec<f64> = differences
        .iter()
        .map(|one| one.and_then(|one| one.p_above(0.0)).unwrap_or(1.0))
        .collect();
    holm(&p).into_iter().map(|p| p < ERROR).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(values: &[(f64, f64)]) -> Vec<Round> {
        (1..)
            .zip(values)
            .map(|(number, (scenario, floor))| Round {
                number,
                scenario: *scenario,
                floor: *floor,
                gap: scenario - floor,
            })
            .collect()
    }

    const A: [(f64, f64); 4] = [
        (8_000.0, 5_500.0),
        (8_120.0, 5_590.0),
        (7_930.0, 5_440.0),
        (8_060.0, 5_530.0),
    ];

    fn outcome(a: &[(f64, f64)], b: &[(f64, f64)]) -> Outcome {
        let change = Change::of(&rounds(a), &rounds(b)).expect("rounds");
        outcomes(&[(change, 400.0)])[0]
    }

    #[test]
    fn a_slower_machine_is_no_slower_scenario() {
        let slower = A.map(|(scenario, floor)| (scenario * 1.14, floor * 1.14));
        let change = Change::of(&rounds(&A), &rounds(&slower)).expect("rounds");
        assert!((change.floor - 772.0).abs() < 5.0, "{change:?}");
        // Of 2.5 ms beside the codec, 0.35 may be the machine's.
        let (low, high) = change.interval().expect("four");
        assert!(low < 0.0 && high < 400.0, "{low} {high}");
        assert_eq!(outcome(&A, &slower), Outcome::Equivalent);
        // With most of the latency beside the codec, which follows the machine or does not.
        let far = A.map(|(scenario, floor)| (scenario + 40_000.0, floor));
        let still = far.map(|(scenario, floor)| (scenario + floor * 0.14, floor * 1.14));
        let moved = far.map(|(scenario, floor)| (scenario * 1.14, floor * 1.14));
        assert_eq!(outcome(&far, &still), Outcome::NotWorse);
        assert_ne!(outcome(&far, &moved), Outcome::Worse);
    }

    #[test]
    fn a_slower_scenario_does_not_hide_behind_a_faster_machine() {
        let slower = A.map(|(scenario, floor)| (scenario * 1.1, floor));
        assert_eq!(outcome(&A, &slower), Outcome::Worse);
        assert_eq!(outcome(&slower, &A), Outcome::Better);
        let hidden = slower.map(|(scenario, floor)| (scenario * 0.9, floor * 0.9));
        assert_ne!(outcome(&A, &hidden), Outcome::Equivalent);
    }

    #[test]
    fn a_single_round_and_a_wide_interval_decide_nothing() {
        assert_eq!(
            outcome(&A[..1], &[(20_000.0, 5_500.0)]),
            Outcome::Inconclusive
        );
        let wild = [
            (9_000.0, 5_500.0),
            (7_200.0, 5_590.0),
            (9_500.0, 5_440.0),
            (7_600.0, 5_530.0),
        ];
        assert_eq!(outcome(&A, &wild), Outcome::Inconclusive);
        assert_eq!(outcome(&A, &A), Outcome::Equivalent);
        let other = Round {
            number: 9,
            scenario: 1.0,
            floor: 1.0,
            gap: 0.0,
        };
        assert_eq!(Change::of(&rounds(&A), &[other]), None);
    }

    #[test]
    fn many_scenarios_ask_more_of_each() {
        // One of them alone would be called worse.
        let barely = [
            (8_500.0, 5_500.0),
            (8_720.0, 5_590.0),
            (8_440.0, 5_440.0),
            (8_600.0, 5_530.0),
        ];
        let of = |b| (Change::of(&rounds(&A), &rounds(b)).expect("rounds"), 400.0);
        assert_eq!(outcomes(&[of(&barely)]), [Outcome::Worse]);
        let several: Vec<_> = std::iter::repeat_n(of(&A), 9)
            .chain([of(&barely)])
            .collect();
        assert_eq!(outcomes(&several)[9], Outcome::Inconclusive);
    }
}
