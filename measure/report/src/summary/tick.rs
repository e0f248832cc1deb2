//! The latency from the tick at which a frame was due, beside the one from its stamp.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{LoadedScenario, MIN_P99_PICTURES};
use stats::{Exact, Measured};

/// A wall clock that was set by more than this while a repetition went on says nothing of its ticks, microseconds.
const MAX_STEP_US: u64 = 1_000;

/// A latency from the tick at which each frame was due, microseconds. Where the ticks lie is taken from the frame of each repetition
/// that was stamped soonest after its own.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FromTickUs {
    /// The number of samples.
    pub count: u64,
    /// Half of the samples are at most this.
    pub p50: i64,
    /// 90 in 100 are at most this.
    pub p90: i64,
    /// 99 in 100 are at most this; null below 200 distinct pictures.
    pub p99: Option<i64>,
    /// The largest sample.
    pub max: i64,
    /// How long after its tick half of the frames were stamped at most.
    pub late_p50: i64,
    /// How long after its tick 99 in 100 of the frames were stamped at most.
    pub late_p99: i64,
    /// How long after its tick the latest frame was stamped.
    pub late_max: i64,
}

impl FromTickUs {
    pub(super) fn of(one: &LoadedScenario, measured: &Measured, pictures: u64) -> Option<Self> {
        let steps = one.runs.iter().map(|run| run.meta.clock_step_us);
        if steps.map(i64::unsigned_abs).max()? > MAX_STEP_US {
            return None;
        }
        let numbered = measured.samples.iter();
        let samples = || {
            let all = numbered.clone();
            all.filter_map(|sample| Some((sample, sample.late_us?.cast_signed())))
        };
        let of = Exact::of(samples().map(|(sample, late)| sample.latency_us + late))?;
        let late = Exact::of(samples().map(|(_, late)| late))?;
        Some(Self {
            count: of.count,
            p50: of.p50,
            p90: of.p90,
            p99: Some(of.p99).filter(|_| pictures >= MIN_P99_PICTURES),
            max: of.max,
            late_p50: late.p50,
            late_p99: late.p99,
            late_max: late.max,
        })
    }
}
