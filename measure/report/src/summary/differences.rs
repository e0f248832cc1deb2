//! What differs between the scenarios of one result, each two of them that can be compared.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{LoadedScenario, load::LoadedResult};
use result::{Pipeline, RepetitionMeta};
use stats::{Estimate, RepetitionFigures, cliffs_delta, holm, pairs};

/// A setting in which two scenarios that are compared may differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Setting {
    /// How RTP travelled: with it, like is not compared with like.
    Transport,
    /// What connected the clusters.
    Fabric,
    /// The WAN between the clusters.
    Wan,
    /// The server between renderer and client.
    Server,
}

/// Two scenarios against each other: `b` minus `a`, so that a positive difference says that `b` is slower.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// The scenario that is taken away.
    pub a: String,
    /// The scenario that it is taken from.
    pub b: String,
    /// Repetitions that both scenarios have.
    #[schemars(range(min = 1))]
    pub pairs: u32,
    /// The settings that are not alike in the two.
    pub differs: Vec<Setting>,
    /// The difference of the p50.
    pub p50_us: DifferenceUs,
    /// The difference of the p50 without disturbed seconds; null where nobody watched, or nearly all were disturbed.
    pub quiet_p50_us: Option<DifferenceUs>,
    /// The difference of the p50 from encoded to received: the network and the streamer, without the codec, whose time follows
    /// the machine's. Null where nobody noted both points.
    #[serde(default)]
    pub carried_us: Option<DifferenceUs>,
    /// The difference of the mean.
    pub mean_us: DifferenceUs,
    /// The difference of the p99; null where repetitions have fewer than 200 samples.
    pub p99_us: Option<DifferenceUs>,
    /// The effect size, -1 to 1: how much more often a frame of `b` took longer than one of `a` than the other way round.
    #[schemars(range(min = -1, max = 1))]
    pub cliffs_delta: f64,
}

/// A difference in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DifferenceUs {
    /// The mean difference over the pairs.
    pub difference: f64,
    /// The ends of the 95 % confidence interval within this run: another hour or another machine may lie outside of it, which
    /// `xrbench pool` of several runs tells. Null with a single pair.
    pub ci: Option<[f64; 2]>,
    /// The smallest true difference that such a run calls different in 80 of 100 cases, with the corrections of `p` at their strictest.
    /// What is not distinguishable may be as large. Null with a single pair.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub detectable: Option<f64>,
    /// The probability of such a difference where there is none, by Holm's correction for every difference of this figure in the
    /// result, and for those of the p50 and of what was carried together; null with a single pair.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1))]
    pub p: Option<f64>,
    /// Whether `p` is below 0.05: the interval lies beyond zero, and beyond what the clocks may disagree by. With Holm's
    /// correction, the family-wise error rate of all differences of this figure in a result is at most 5 %, and so is that of its
    /// verdicts, which are of the p50 and of what was carried.
    pub distinguishable: bool,
}

impl DifferenceUs {
    /// As the only one of its kind, with clocks that may disagree by `uncertainty_us`.
    pub fn new(of: Estimate, uncertainty_us: u64) -> Self {
        let uncertainty_us = uncertainty_us as f64;
        Self {
            difference: tenth(of.difference),
            ci: of.ci.map(|(low, high)| [tenth(low), tenth(high)]),
            detectable: detectable(of, 1, uncertainty_us),
            p: of.p(uncertainty_us).map(millionth),
            distinguishable: of.is_distinguishable(uncertainty_us),
        }
    }
}

/// The smallest difference that is found as one of so many.
fn detectable(of: Estimate, several: usize, uncertainty_us: f64) -> Option<f64> {
    Some(tenth(of.detectable(several)? + uncertainty_us))
}

/// A probability in more digits than anyone compares.
fn millionth(p: f64) -> f64 {
    (p * 1e6).round() / 1e6
}

/// How often in 100 results something is called different that is not: 5.
const SIGNIFICANCE: f64 = 0.05;

/// Corrects figures of all differences for their number, each with what it was made of.
fn correct<'a>(
    figures: impl Iterator<Item = Option<(&'a mut DifferenceUs, Estimate)>>,
    uncertainty_us: u64,
) {
    let uncertainty_us = uncertainty_us as f64;
    let told = figures
        .flatten()
        .filter_map(|(one, of)| Some((one.p?, one, of)));
    let mut several: Vec<(f64, &mut DifferenceUs, Estimate)> = told.collect();
    let p: Vec<f64> = several.iter().map(|(p, _, _)| *p).collect();
    let count = several.len();
    for ((_, one, of), p) in several.iter_mut().zip(holm(&p)) {
        one.distinguishable = p < SIGNIFICANCE;
        one.p = Some(millionth(p));
        one.detectable = detectable(*of, count, uncertainty_us);
    }
}

/// Rounded to a tenth of a microsecond, which is already less than a stamp can tell.
pub(crate) fn tenth(us: f64) -> f64 {
    let rounded = (us * 10.0).round() / 10.0;
    // Not -0.0.
    rounded + 0.0
}

impl Difference {
    /// Whether the two send their packets alike, so that the rest is what is compared.
    pub fn is_like_with_like(&self) -> bool {
        !self.differs.contains(&Setting::Transport)
    }
}

/// The figures of each repetition that measured something.
pub(crate) fn figures(one: &LoadedScenario) -> Vec<RepetitionFigures> {
    one.runs
        .iter()
        .filter(|run| run.window.is_some())
        .filter_map(|run| RepetitionFigures::of(run.meta.run, &run.measured))
        .collect()
}

/// Every two scenarios of ours of the same size, rate and bit rate that have a repetition in common.
pub(super) fn of(loaded: &LoadedResult, uncertainty_us: u64) -> Vec<Difference> {
    let ours: Vec<(&LoadedScenario, &RepetitionMeta, Vec<RepetitionFigures>)> = loaded
        .scenarios
        .iter()
        .filter(|one| one.info.pipeline == Pipeline::Ours)
        .filter_map(|one| Some((one, &one.runs.first()?.meta, figures(one))))
        .collect();
    let mut found = Vec::new();
    for (place, (a, of_a, repetitions_a)) in ours.iter().enumerate() {
        for (b, of_b, repetitions_b) in &ours[place + 1..] {
            if !comparable(of_a, of_b) {
                continue;
            }
            let pairs = pairs(repetitions_a, repetitions_b);
            let estimates = Estimates::of(&pairs);
            let us = |of: Option<Estimate>| of.map(|of| DifferenceUs::new(of, uncertainty_us));
            let (Some(p50_us), Some(mean_us), Some(cliffs_delta)) =
                (us(estimates.p50), us(estimates.mean), cliffs_delta(&pairs))
            else {
                continue;
            };
            let difference = Difference {
                a: a.info.name.clone(),
                b: b.info.name.clone(),
                pairs: u32::try_from(pairs.len()).unwrap_or(u32::MAX),
                differs: differs(of_a, of_b),
                p50_us,
                quiet_p50_us: us(estimates.quiet_p50),
                carried_us: us(estimates.carried),
                mean_us,
                p99_us: us(estimates.p99),
                cliffs_delta,
            };
            found.push((difference, estimates));
        }
    }
    // A verdict is of either of the two, so they share one bound.
    let verdicts = found.iter_mut().flat_map(|(one, of)| {
        let p50 = Some(&mut one.p50_us).zip(of.p50);
        [p50, one.carried_us.as_mut().zip(of.carried)]
    });
    correct(verdicts, uncertainty_us);
    let each = found.iter_mut();
    correct(
        each.map(|(one, of)| one.quiet_p50_us.as_mut().zip(of.quiet_p50)),
        uncertainty_us,
    );
    let each = found.iter_mut();
    correct(
        each.map(|(one, of)| Some(&mut one.mean_us).zip(of.mean)),
        uncertainty_us,
    );
    let each = found.iter_mut();
    correct(
        each.map(|(one, of)| one.p99_us.as_mut().zip(of.p99)),
        uncertainty_us,
    );
    found.into_iter().map(|(one, _)| one).collect()
}

/// What the pairs of two scenarios say, figure by figure.
struct Estimates {
    p50: Option<Estimate>,
    quiet_p50: Option<Estimate>,
    carried: Option<Estimate>,
    mean: Option<Estimate>,
    p99: Option<Estimate>,
}

impl Estimates {
    fn of(pairs: &[(&RepetitionFigures, &RepetitionFigures)]) -> Self {
        let of = |figure: fn(&RepetitionFigures) -> Option<f64>| Estimate::of_figure(pairs, figure);
        Self {
            p50: of(|run| Some(run.p50)),
            quiet_p50: of(|run| run.quiet_p50),
            carried: of(|run| run.carried_p50),
            mean: of(|run| Some(run.mean)),
            p99: of(|run| run.p99),
        }
    }
}

/// Whether two scenarios are of the same size, rate and bit rate.
pub(crate) fn comparable(a: &RepetitionMeta, b: &RepetitionMeta) -> bool {
    (a.width, a.height, a.bitrate_bps) == (b.width, b.height, b.bitrate_bps)
        && (a.fps - b.fps).abs() < 1e-6
}

/// Settings that are not alike, for people: size, rate, bit rate, and those of [`Difference::differs`].
pub(crate) fn settings(a: &RepetitionMeta, b: &RepetitionMeta) -> Vec<String> {
    let mut found: Vec<String> = [
        ("size", (a.width, a.height) != (b.width, b.height)),
        ("rate", (a.fps - b.fps).abs() > 1e-6),
        ("bit rate", a.bitrate_bps != b.bitrate_bps),
    ]
    .into_iter()
    .filter(|(_, differs)| *differs)
    .map(|(what, _)| what.to_owned())
    .collect();
    found.extend(differs(a, b).iter().map(Setting::to_string));
    found
}

/// Settings in which two scenarios that are compared differ.
pub(crate) fn differs(a: &RepetitionMeta, b: &RepetitionMeta) -> Vec<Setting> {
    let fabric = |meta: &RepetitionMeta| {
        meta.fabric
            .as_ref()
            .map(|fabric| (fabric.name.clone(), fabric.service.clone()))
    };
    let wan = |meta: &RepetitionMeta| {
        meta.wan
            .as_ref()
            .map(|wan| (wan.preset.clone(), wan.description.clone()))
    };
    [
        (Setting::Transport, a.transport != b.transport),
        (Setting::Fabric, fabric(a) != fabric(b)),
        (Setting::Wan, wan(a) != wan(b)),
        (Setting::Server, a.server != b.server),
    ]
    .into_iter()
    .filter_map(|(setting, differs)| differs.then_some(setting))
    .collect()
}
