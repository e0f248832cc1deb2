//! The figures of several runs, one beside the other, and together.

use serde::Serialize;

use crate::summary::{
    LoadedResult, LoadedScenario,
    differences::{comparable, differs, figures, tenth},
};
use result::Pipeline;
use stats::{Estimate, RESOLUTION_US, RepetitionFigures, RunEstimate, gap, pairs as rounds};

/// What several runs say of one figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pooled {
    /// The figure of each run, in their order; null where a run does not have it.
    pub each: Vec<Option<f64>>,
    /// Runs that have it.
    pub runs: usize,
    /// The mean over the runs, each weighed by how sure it is.
    pub mean: f64,
    /// The 95 % confidence interval of that mean, over runs.
    pub ci: [f64; 2],
    /// The standard deviation between runs, beyond what their repetitions explain; of a ratio as a factor, 1 for none.
    pub between: f64,
    /// The part of the runs' spread that their repetitions do not explain, 0 to 1; null where a run has a single repetition.
    pub i2: Option<f64>,
    /// The 95 % prediction interval: where the next run of its kind will be.
    pub prediction: [f64; 2],
}

/// A scenario in several runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScenarioPool {
    /// The name of the scenario.
    pub name: String,
    /// The pipeline that it measured.
    pub pipeline: Pipeline,
    /// The p50, as the mean over a run's repetitions, microseconds.
    pub p50_us: Pooled,
    /// What it takes more than its floor, picture by picture, microseconds; null where fewer than two runs have both.
    pub gap_us: Option<Pooled>,
    /// The scenario's p50 over its floor's p50; null as above.
    pub floor_ratio: Option<Pooled>,
}

/// Two scenarios against each other in several runs: `b` minus `a`, and `b` over `a`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PairPool {
    /// The scenario that is taken away.
    pub a: String,
    /// The scenario that it is taken from.
    pub b: String,
    /// The settings that are not alike in the two, in any of the runs.
    pub differs: Vec<String>,
    /// The difference of the p50, microseconds.
    pub p50_us: Pooled,
    /// The difference of the p50 from encoded to received, microseconds; null where fewer than two runs have it.
    pub carried_us: Option<Pooled>,
    /// The p50 of `b` over that of `a`: what processor work adds follows the machine's speed, and the ratio has that on both sides.
    pub ratio: Option<Pooled>,
}

/// The ends and figures of a pool in whatever its estimates are in, shown through `shown`.
fn pooled(each: &[Option<RunEstimate>], shown: fn(f64) -> f64) -> Option<Pooled> {
    let known: Vec<RunEstimate> = each.iter().copied().flatten().collect();
    let of = stats::pool(&known)?;
    Some(Pooled {
        each: each
            .iter()
            .map(|one| Some(shown(one.as_ref()?.value)))
            .collect(),
        runs: of.runs,
        mean: shown(of.mean),
        ci: [shown(of.ci.0), shown(of.ci.1)],
        between: shown(of.between),
        i2: of.i2.map(|i2| (i2 * 1e4).round() / 1e4),
        prediction: [shown(of.prediction.0), shown(of.prediction.1)],
    })
}

/// Of logarithms, the factor that they are of.
fn factor(log: f64) -> f64 {
    (log.exp() * 1e6).round() / 1e6
}

/// The mean of what repetitions or rounds of one run say; none without one.
fn of_run(values: &[f64], resolution: f64) -> Option<RunEstimate> {
    let of = Estimate::of(values, resolution)?;
    Some(RunEstimate {
        value: of.difference,
        error: of.error(),
    })
}

/// The natural logarithm of `b` over `a`, where both are times.
fn log_ratio(a: f64, b: f64) -> Option<f64> {
    (a > 0.0 && b > 0.0).then(|| (b / a).ln())
}

/// The scenarios that at least two runs measured, in the order of the first run that has them.
pub(super) fn scenarios(runs: &[LoadedResult]) -> Vec<ScenarioPool> {
    let mut names: Vec<&str> = Vec::new();
    for one in runs.iter().flat_map(|run| &run.scenarios) {
        if !names.contains(&one.info.name.as_str()) {
            names.push(&one.info.name);
        }
    }
    names
        .into_iter()
        .filter_map(|name| scenario(runs, name))
        .collect()
}

fn scenario(runs: &[LoadedResult], name: &str) -> Option<ScenarioPool> {
    let pipeline = runs
        .iter()
        .find_map(|run| run.scenario(name))?
        .info
        .pipeline;
    let p50 = |run: &LoadedResult| {
        let p50: Vec<f64> = figures(run.scenario(name)?)
            .iter()
            .map(|one| one.p50)
            .collect();
        of_run(&p50, RESOLUTION_US)
    };
    let p50: Vec<_> = runs.iter().map(p50).collect();
    // Rounds that have the scenario and its floor.
    let both: Vec<Option<(Vec<RepetitionFigures>, Vec<RepetitionFigures>)>> = runs
        .iter()
        .map(|run| {
            let one = run.scenario(name)?;
            let floor = run.scenario(one.info.floor.as_deref()?)?;
            Some((figures(floor), figures(one)))
        })
        .collect();
    let of_rounds = |of: fn(&RepetitionFigures, &RepetitionFigures) -> Option<f64>,
                     resolution: f64| {
        let each = both.iter().map(|both| {
            let (floor, one) = both.as_ref()?;
            let values = rounds(floor, one).into_iter();
            let values: Vec<f64> = values.filter_map(|(floor, one)| of(floor, one)).collect();
            of_run(&values, resolution)
        });
        each.collect::<Vec<_>>()
    };
    let ratio = of_rounds(|floor, one| log_ratio(floor.p50, one.p50), 0.0);
    Some(ScenarioPool {
        name: name.to_owned(),
        pipeline,
        p50_us: pooled(&p50, tenth)?,
        gap_us: pooled(
            &of_rounds(|floor, one| Some(gap(floor, one)), RESOLUTION_US),
            tenth,
        ),
        floor_ratio: pooled(&ratio, factor),
    })
}

/// Every two scenarios of ours that can be compared within at least two runs.
pub(super) fn pairs(runs: &[LoadedResult]) -> Vec<PairPool> {
    let mut names: Vec<(&str, &str)> = Vec::new();
    for run in runs {
        let ours =
            |one: &&LoadedScenario| one.info.pipeline == Pipeline::Ours && !one.runs.is_empty();
        let ours: Vec<_> = run.scenarios.iter().filter(ours).collect();
        for (place, a) in ours.iter().enumerate() {
            for b in &ours[place + 1..] {
                let (a, b) = (a.info.name.as_str(), b.info.name.as_str());
                if !names.contains(&(a, b)) && !names.contains(&(b, a)) {
                    names.push((a, b));
                }
            }
        }
    }
    names
        .into_iter()
        .filter_map(|(a, b)| pair(runs, a, b))
        .collect()
}

fn pair(runs: &[LoadedResult], a: &str, b: &str) -> Option<PairPool> {
    let mut settings: Vec<String> = Vec::new();
    let both: Vec<Option<(Vec<RepetitionFigures>, Vec<RepetitionFigures>)>> = runs
        .iter()
        .map(|run| {
            let (a, b) = (run.scenario(a)?, run.scenario(b)?);
            let (of_a, of_b) = (&a.runs.first()?.meta, &b.runs.first()?.meta);
            if !comparable(of_a, of_b) {
                return None;
            }
            for setting in differs(of_a, of_b) {
                let setting = setting.to_string();
                if !settings.contains(&setting) {
                    settings.push(setting);
                }
            }
            Some((figures(a), figures(b)))
        })
        .collect();
    let of = |figure: fn(&RepetitionFigures, &RepetitionFigures) -> Option<f64>,
              resolution: f64| {
        let each = both.iter().map(|both| {
            let (a, b) = both.as_ref()?;
            let values: Vec<f64> = rounds(a, b)
                .into_iter()
                .filter_map(|(a, b)| figure(a, b))
                .collect();
            of_run(&values, resolution)
        });
        each.collect::<Vec<_>>()
    };
    let p50 = of(|a, b| Some(b.p50 - a.p50), RESOLUTION_US);
    let carried = of(|a, b| Some(b.carried_p50? - a.carried_p50?), RESOLUTION_US);
    let ratio = of(|a, b| log_ratio(a.p50, b.p50), 0.0);
    Some(PairPool {
        a: a.to_owned(),
        b: b.to_owned(),
        p50_us: pooled(&p50, tenth)?,
        carried_us: pooled(&carried, tenth),
        ratio: pooled(&ratio, factor),
        differs: settings,
    })
}
