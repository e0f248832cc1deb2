//! The distribution of a latency, and the codec alone beside it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{LoadedScenario, differences::figures};
use stats::{Estimate, Exact, Measured, RESOLUTION_US, Sample, gap, intervals, pairs};

/// Of fewer distinct pictures a p99 is the figure of one or two of them.
pub const MIN_P99_PICTURES: u64 = 200;

/// Of fewer distinct pictures fewer than ten lie above a p99, and its interval says nothing; no more does a p99.9.
const MIN_TAIL_PICTURES: u64 = 1_000;

/// The distribution of a latency, microseconds: values that were measured, none rounded. Negative ones are of clocks that disagree.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LatencyFigures {
    /// The number of samples.
    pub count: u64,
    /// The smallest sample.
    pub min: i64,
    /// Half of the samples are at most this.
    pub p50: i64,
    /// 90 in 100 are at most this.
    pub p90: i64,
    /// 95 in 100 are at most this.
    pub p95: i64,
    /// 99 in 100 are at most this; null below 200 distinct pictures, of which it would be one or two.
    pub p99: Option<i64>,
    /// The largest sample.
    pub max: i64,
    /// The mean of the samples.
    pub mean: f64,
    /// The standard deviation of the samples about their mean.
    pub stddev: f64,
}

/// A latency, microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LatencyUs {
    /// The distribution of the latency.
    #[serde(flatten)]
    pub figures: LatencyFigures,
    /// 999 in 1000 samples are at most this; null below 1000 distinct pictures.
    #[serde(default)]
    pub p99_9: Option<i64>,
    /// The 95 % confidence interval of the p50 within this run (bootstrap over repetitions): another hour or another machine may lie
    /// outside of it, which `xrbench pool` of several runs tells. Null with a single repetition.
    pub p50_ci: Option<[i64; 2]>,
    /// The 95 % confidence interval of the p99 within this run; null with a single repetition or below 1000 distinct pictures.
    pub p99_ci: Option<[i64; 2]>,
}

/// A floor, as it stands beside a scenario.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct FloorUs {
    /// The floor's name.
    pub name: String,
    /// Samples, all repetitions merged.
    pub count: u64,
    /// The latency that half of the frames do not exceed.
    pub p50: i64,
    /// The latency that 90 in 100 frames do not exceed.
    pub p90: i64,
    /// The latency that 99 in 100 frames do not exceed; null below 200 distinct pictures.
    pub p99: Option<i64>,
    /// What the scenario takes more than the floor; null where no round has both.
    pub gap: Option<GapUs>,
    /// The floor without disturbed seconds; null where nobody watched the machine.
    pub undisturbed: Option<UndisturbedFloor>,
    /// The distance of the floor's p50 from the sum of its encode p50 and decode p50; the floor is believed up to 1000.
    pub codec_gap: Option<u64>,
}

/// What a scenario takes more than its floor, microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GapUs {
    /// Rounds that have both.
    pub rounds: u32,
    /// The mean over the rounds of the median over the pictures that both showed in the round.
    pub difference: f64,
    /// The ends of its 95 % confidence interval within this run, over the rounds; null with one round.
    pub ci: Option<[f64; 2]>,
}

/// A floor's figures without the disturbed seconds, microseconds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
pub struct UndisturbedFloor {
    /// The latency that half of the frames do not exceed.
    pub p50: i64,
    /// The latency that 99 in 100 frames do not exceed; null below 200 distinct pictures.
    pub p99: Option<i64>,
}

impl LatencyFigures {
    /// Of samples of so many distinct pictures; none without samples.
    fn of(samples: impl Iterator<Item = Sample>, pictures: u64) -> Option<(Self, Exact)> {
        let exact = Exact::of(samples.map(|sample| sample.latency_us))?;
        let of = Self {
            count: exact.count,
            min: exact.min,
            p50: exact.p50,
            p90: exact.p90,
            p95: exact.p95,
            p99: Some(exact.p99).filter(|_| pictures >= MIN_P99_PICTURES),
            max: exact.max,
            mean: exact.mean,
            stddev: exact.stddev,
        };
        Some((of, exact))
    }
}

impl LatencyUs {
    /// Of the samples of each repetition, which are of so many distinct pictures.
    pub(super) fn of(repetitions: &[&[Sample]], pictures: u64, seed: u64) -> Option<Self> {
        let (figures, exact) = LatencyFigures::of(
            repetitions.iter().flat_map(|one| one.iter().copied()),
            pictures,
        )?;
        let of_95 = intervals(repetitions, seed);
        let tail = pictures >= MIN_TAIL_PICTURES;
        Some(Self {
            figures,
            p99_9: Some(exact.p99_9).filter(|_| tail),
            p50_ci: of_95.p50.map(|ci| around(figures.p50, ci)),
            p99_ci: of_95
                .p99
                .filter(|_| tail)
                .zip(figures.p99)
                .map(|(ci, p99)| around(p99, ci)),
        })
    }
}

impl FloorUs {
    /// The floor `of` beside a scenario.
    pub(super) fn beside(
        scenario: &LoadedScenario,
        of: &LoadedScenario,
        measured: &Measured,
    ) -> Option<Self> {
        let pictures = pictures(of, measured);
        let all = || measured.samples.iter().copied();
        let (figures, _) = LatencyFigures::of(all(), pictures)?;
        let watched = measured.undisturbed.is_some();
        let quiet = all().filter(|sample| watched && !sample.disturbed);
        Some(Self {
            name: of.info.name.clone(),
            count: figures.count,
            p50: figures.p50,
            p90: figures.p90,
            p99: figures.p99,
            gap: GapUs::of(of, scenario),
            undisturbed: LatencyFigures::of(quiet, pictures).map(|(quiet, _)| UndisturbedFloor {
                p50: quiet.p50,
                p99: quiet.p99,
            }),
            codec_gap: measured.codec_gap_us(),
        })
    }
}

impl GapUs {
    fn of(floor: &LoadedScenario, scenario: &LoadedScenario) -> Option<Self> {
        let (floor, scenario) = (figures(floor), figures(scenario));
        let rounds = pairs(&floor, &scenario);
        let gaps: Vec<f64> = rounds.iter().map(|(floor, one)| gap(floor, one)).collect();
        let of = Estimate::of(&gaps, RESOLUTION_US)?;
        let tenth = super::differences::tenth;
        Some(Self {
            rounds: u32::try_from(rounds.len()).unwrap_or(u32::MAX),
            difference: tenth(of.difference),
            ci: of.ci.map(|(low, high)| [tenth(low), tenth(high)]),
        })
    }
}

/// How many distinct pictures a latency is of: as they are numbered, and else as many as there are frames or pictures of the film,
/// whichever are fewer.
pub(super) fn pictures(of: &LoadedScenario, measured: &Measured) -> u64 {
    if !measured.pictures.is_empty() {
        return measured.pictures.len() as u64;
    }
    let film = of.runs.iter().find_map(|run| run.meta.content?.pictures);
    film.unwrap_or(u64::MAX).min(measured.samples.len() as u64)
}

/// An interval that holds its figure: of few repetitions, all that are drawn may lie on one side of it.
fn around(figure: i64, (low, high): (i64, i64)) -> [i64; 2] {
    [low.min(figure), high.max(figure)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(frames: std::ops::Range<u32>, offset: i64) -> Vec<Sample> {
        frames
            .map(|frame| Sample {
                generated_us: u64::from(frame) * 33_333,
                latency_us: 8_000 + i64::from(frame * 7 % 101) + offset,
                disturbed: false,
                frame: Some(frame),
                late_us: None,
            })
            .collect()
    }

    #[test]
    fn a_p99_of_few_pictures_is_no_p99() {
        // Twelve repetitions of the same 120 pictures are 1440 frames.
        let runs: Vec<_> = (0..12).map(|n| run(37..157, n)).collect();
        let runs: Vec<&[Sample]> = runs.iter().map(Vec::as_slice).collect();
        let of = LatencyUs::of(&runs, 120, 1).expect("samples");
        assert_eq!((of.figures.count, of.figures.p99), (1_440, None));
        assert_eq!((of.p99_9, of.p99_ci), (None, None));
        assert!(of.p50_ci.is_some());
        let of = LatencyUs::of(&runs, 1_440, 1).expect("samples");
        assert!(of.figures.p99.is_some() && of.p99_ci.is_some() && of.p99_9.is_some());
    }

    #[test]
    fn figures_are_exact_and_may_be_negative() {
        let two_seconds = run(0..250, 2_122_675 - 8_000);
        let all: Vec<Sample> = two_seconds
            .iter()
            .map(|sample| Sample {
                latency_us: 2_122_675,
                ..*sample
            })
            .collect();
        let of = LatencyUs::of(&[&all], 250, 1).expect("samples").figures;
        assert_eq!(
            (of.p50, of.p99, of.max),
            (2_122_675, Some(2_122_675), 2_122_675)
        );
        let behind = run(0..250, -56_000);
        let of = LatencyUs::of(&[&behind], 250, 1).expect("samples").figures;
        assert!(of.p50 < -47_000 && of.min == -48_000, "{of:?}");
    }
}
