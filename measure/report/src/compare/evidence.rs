//! What two results say of one scenario, and the verdict on it beside the others.

use super::{
    comparison::{Change, OwnChangeUs, Repetitions, Verdict},
    options::Options,
};
use crate::summary::{LoadedRepetition, LoadedResult, LoadedScenario, differences};
use stats::{
    Estimate, Outcome, RepetitionFigures, Round, above_zero, cliffs_delta, gap, outcomes, pairs,
};

/// Frames may be lost more by this much, in percent of the scheduled, before it counts.
const LOST_TOLERANCE_PERCENT: f64 = 0.5;

/// A scenario that both results have.
pub(super) struct Evidence {
    /// What is said of it, with the verdict still open.
    change: Change,
    /// The verdict where no interval is needed for it, with its reason.
    settled: Option<(Verdict, String)>,
    /// The change of the p50 beyond its floor's, with the tolerance in microseconds.
    latency: Option<(stats::Change, f64)>,
    /// Lost frames in percent of the scheduled, B minus A, by repetition.
    lost: Option<Estimate>,
}

impl Evidence {
    /// What `a` and `b` say of the scenario `name`; none where one of them has no such scenario.
    pub(super) fn of(
        a: &LoadedResult,
        b: &LoadedResult,
        name: &str,
        options: Options,
    ) -> Option<Self> {
        let (from, to) = (a.scenario(name)?, b.scenario(name)?);
        let (of_a, of_b) = (differences::figures(from), differences::figures(to));
        let pairs = pairs(&of_a, &of_b);
        let p50_a_us = mean(pairs.iter().map(|(a, _)| a.p50));
        let p50_b_us = mean(pairs.iter().map(|(_, b)| b.p50));
        let p99 = pairs.iter().filter_map(|(a, b)| Some(b.p99? - a.p99?));
        let tolerance_us = p50_a_us.map(|p50| options.tolerance.us(p50));
        let own = stats::Change::of(&rounds(a, from, &of_a), &rounds(b, to, &of_b));
        let [lost_a_percent, lost_b_percent] =
            [from, to].map(|of| mean(of.runs.iter().map(lost_percent)));
        let [runs_a, runs_b] = [from, to].map(|of| Repetitions::of(of, options));
        let meta = |of: &LoadedScenario| of.runs.first().map(|run| run.meta.clone());
        let differs = meta(from)
            .zip(meta(to))
            .map_or_else(Vec::new, |(a, b)| differences::settings(&a, &b));
        let wrong = [("A", from), ("B", to)].into_iter().find(|(_, of)| {
            let mut runs = of.runs.iter();
            runs.any(|run| run.measured.negative > 0 || run.meta.clock_off_us() != 0)
        });
        let wrong_clock = wrong.map(|(side, _)| side);
        let change = Change {
            name: name.to_owned(),
            pairs: u32::try_from(pairs.len()).unwrap_or(u32::MAX),
            runs_a,
            runs_b,
            p50_a_us,
            p50_b_us,
            p50_change_us: p50_a_us
                .zip(p50_b_us)
                .map(|(a, b)| differences::tenth(b - a)),
            p99_change_us: mean(p99).map(differences::tenth),
            own_us: own.map(OwnChangeUs::from),
            lost_a_percent,
            lost_b_percent,
            cliffs_delta: cliffs_delta(&pairs),
            tolerance_us,
            verdict: Verdict::Incomparable,
            why: String::new(),
            differs,
        };
        Some(Self {
            settled: settled(&change, [of_a.is_empty(), of_b.is_empty()], wrong_clock)
                .or_else(|| unreported(from, to)),
            change,
            latency: own.zip(tolerance_us),
            lost: lost(from, to),
        })
    }
}

/// What needs no interval: nothing to compare, not like with like, or repetitions that are missing.
fn settled(
    of: &Change,
    [no_a, no_b]: [bool; 2],
    wrong_clock: Option<&str>,
) -> Option<(Verdict, String)> {
    let (a, b) = (of.runs_a, of.runs_b);
    if no_a {
        return Some((Verdict::Incomparable, "no frame was measured in A".into()));
    }
    if no_b {
        return Some((Verdict::Regression, "no frame was measured in B".into()));
    }
    if let Some(side) = wrong_clock {
        let why = format!("the clocks of {side} disagree: its notes say which");
        return Some((Verdict::Incomparable, why));
    }
    if !of.differs.is_empty() {
        let what = of.differs.join(" and ");
        let why = format!("not like with like: {what} differs");
        return Some((Verdict::Incomparable, why));
    }
    if b.is_less_than(a) {
        let why = format!(
            "{} of {} repetitions were completed with frames, of A {} of {}",
            b.whole, b.planned, a.whole, a.planned
        );
        return Some((Verdict::Regression, why));
    }
    (of.pairs == 0).then(|| {
        let why = "no repetition was measured in both";
        (Verdict::Incomparable, why.into())
    })
}

/// What cannot be told because of too many frames nobody knows whether they were shown; none where that is known of enough.
fn unreported(a: &LoadedScenario, b: &LoadedScenario) -> Option<(Verdict, String)> {
    [("A", a), ("B", b)].into_iter().find_map(|(side, of)| {
        let percent = mean(of.runs.iter().map(unreported_percent))?;
        let why = format!(
            "{percent:.2} % of the frames of {side} are unreported, so that its losses and its slowest frames are unknown: its notes say why"
        );
        (percent > LOST_TOLERANCE_PERCENT).then_some((Verdict::Inconclusive, why))
    })
}

/// The verdicts, with what several scenarios ask more of each.
pub(super) fn changes(evidence: Vec<Evidence>) -> Vec<Change> {
    let open = || evidence.iter().filter(|one| one.settled.is_none());
    let latencies: Vec<_> = open().filter_map(|one| one.latency).collect();
    let mut latencies = outcomes(&latencies).into_iter();
    let losses: Vec<_> = open().map(|one| one.lost).collect();
    let mut losses = above_zero(&losses).into_iter();
    evidence
        .into_iter()
        .map(|one| {
            let (verdict, why) = one.settled.unwrap_or_else(|| {
                let outcome = one.latency.and_then(|_| latencies.next());
                let loses = losses.next().unwrap_or(false);
                let more = one.lost.map_or(0.0, |lost| lost.difference);
                judged(
                    &one.change,
                    outcome,
                    (more > LOST_TOLERANCE_PERCENT).then_some(loses),
                )
            });
            Change {
                verdict,
                why,
                ..one.change
            }
        })
        .collect()
}

/// The verdict on a scenario with the outcome of its latency. `loses` says of one that lost more frames whether chance does
/// not explain that.
fn judged(of: &Change, latency: Option<Outcome>, loses: Option<bool>) -> (Verdict, String) {
    let lost = || {
        let (before, after) = (of.lost_a_percent, of.lost_b_percent);
        format!(
            "loses {:.2} % of the frames instead of {:.2} %",
            after.unwrap_or_default(),
            before.unwrap_or_default()
        )
    };
    let (verdict, why) = match (latency, loses) {
        (_, Some(true)) => return (Verdict::Regression, lost()),
        (Some(Outcome::Worse), _) => (Verdict::Regression, "slower beyond the tolerance"),
        (_, Some(false)) => {
            let why = format!("{}, which may be chance: measure more repetitions", lost());
            return (Verdict::Inconclusive, why);
        }
        (None, _) => (
            Verdict::Inconclusive,
            "no floor in both results says what the machine did: give the scenario `floor = {}`",
        ),
        (Some(Outcome::Inconclusive), _) => (
            Verdict::Inconclusive,
            match of.own_us.and_then(|of| of.ci) {
                None => "one round says nothing of the next: measure at least three",
                Some(_) => {
                    "slower beyond the tolerance or not: measure more repetitions, or allow more"
                }
            },
        ),
        (Some(Outcome::Better), _) => (Verdict::Better, "faster"),
        (Some(Outcome::Equivalent), _) => (Verdict::Equivalent, "equivalent within the tolerance"),
        (Some(Outcome::NotWorse), _) => (
            Verdict::Equivalent,
            "not slower beyond the tolerance; faster or not cannot be told",
        ),
    };
    (verdict, why.into())
}

/// The rounds of a scenario that its floor has too, with their p50.
fn rounds(
    of: &LoadedResult,
    scenario: &LoadedScenario,
    repetitions: &[RepetitionFigures],
) -> Vec<Round> {
    let floor = scenario.info.floor.as_deref();
    let floor = floor.and_then(|name| of.scenario(name));
    let floor = floor.map(differences::figures).unwrap_or_default();
    let both = pairs(&floor, repetitions).into_iter();
    both.map(|(floor, one)| Round {
        number: one.repetition,
        scenario: one.p50,
        floor: floor.p50,
        gap: gap(floor, one),
    })
    .collect()
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    (count > 0.0).then(|| sum / count)
}

/// Lost frames of a repetition, in percent of the scheduled. One that was begun and showed nothing lost all of them. Of ours, frames that
/// were shown and could not be read count as well: their pictures were torn.
fn lost_percent(run: &LoadedRepetition) -> f64 {
    let frames = run.measured.judged();
    if frames.scheduled == 0 {
        return 100.0;
    }
    let torn = if run.meta.pipeline.is_reference() {
        0
    } else {
        frames.unread
    };
    (frames.lost + torn) as f64 * 100.0 / frames.scheduled as f64
}

/// Unreported frames of a repetition, in percent of the scheduled.
fn unreported_percent(run: &LoadedRepetition) -> f64 {
    let frames = run.measured.judged();
    frames.unreported as f64 * 100.0 / frames.scheduled.max(1) as f64
}

/// What the lost frames of the repetitions that both began say, B minus A.
fn lost(a: &LoadedScenario, b: &LoadedScenario) -> Option<Estimate> {
    let pairs = a.runs.iter().filter_map(|one| {
        let other = b.runs.iter().find(|other| other.meta.run == one.meta.run)?;
        Some(lost_percent(other) - lost_percent(one))
    });
    Estimate::of(&pairs.collect::<Vec<_>>(), 0.0)
}
