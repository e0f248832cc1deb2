//! What a viewer saw, as `summary.json` says it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{LoadedRepetition, LoadedScenario};
use result::Pipeline;
use stats::{Display, Freeze, Measured, freeze_us};

/// No more freezes are listed, so that a stream that stutters for hours does not fill the file; the longest are.
const MAX_LISTED: usize = 50;

/// Times without a new picture that are longer than three frame intervals, or than one by 150 ms, over all repetitions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Freezes {
    /// Freezes, all repetitions together.
    pub count: u64,
    /// The lengths of the freezes together, microseconds.
    pub total_us: u64,
    /// The length of the longest freeze, microseconds; 0 without any.
    pub longest_us: u64,
    /// Freezes with a disturbed second in them.
    pub disturbed: u64,
    /// The length above which a time without a new picture is a freeze, microseconds: three frame intervals, or 150 ms more than one,
    /// whichever is longer.
    pub longer_than_us: u64,
    /// The 50 longest freezes, in the order of repetition and time.
    #[schemars(length(max = MAX_LISTED))]
    pub times: Vec<FreezeAt>,
}

/// A time without a new picture, in one repetition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FreezeAt {
    /// The number of the repetition, from 1.
    #[schemars(range(min = 1))]
    pub run: u32,
    /// The beginning of the freeze, microseconds from the beginning of measuring.
    pub at_us: u64,
    /// The length of the freeze in microseconds.
    pub length_us: u64,
    /// Whether a second of the freeze was disturbed.
    pub disturbed: bool,
}

/// The evenness of the pictures, over all repetitions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DisplayFigures {
    /// Pictures of measured frames, repeated ones among them.
    pub pictures: u64,
    /// Pictures that showed the same frame as the one right before.
    pub frozen: u64,
    /// Frames with a latency of more than one frame interval above their repetition's p50: the next one was due before them.
    pub late: u64,
    /// Frames with a latency above what the paper asks of a system for XR.
    pub over_xr_bound: u64,
    /// The unevenness of the times between two new pictures; null without two pictures.
    pub jitter_us: Option<JitterUs>,
}

/// The unevenness of the times between two successive new pictures, microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JitterUs {
    /// The standard deviation of the times.
    #[schemars(range(min = 0))]
    pub stddev: f64,
    /// The distance from a frame interval that 99 in 100 of the times do not exceed.
    pub p99: u64,
    /// The interarrival jitter of RFC 3550, at the display: the mean of its running value; null without two frames that were
    /// read.
    pub rfc3550: Option<f64>,
}

/// The frames and the bit rate that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Goodput {
    /// Distinct frames shown in a second.
    #[schemars(range(min = 0))]
    pub frames_per_s: f64,
    /// The encoder's target times the share of the scheduled frames that were shown, bits a second: frames differ in size, and
    /// none is weighed. Null where the encoder has no target.
    #[schemars(range(min = 0))]
    pub target_bps: Option<f64>,
}

impl Freezes {
    pub(super) fn of(one: &LoadedScenario) -> Option<Self> {
        let displays = displays(one)?;
        let mut freezes = Self {
            count: 0,
            total_us: 0,
            longest_us: 0,
            disturbed: 0,
            longer_than_us: freeze_us(one.runs.first()?.meta.fps),
            times: Vec::new(),
        };
        for (run, display) in displays {
            let from_us = run.window.map_or(0, |window| window.from_us);
            for freeze in &display.freezes {
                freezes.take(run.meta.run, from_us, freeze);
            }
        }
        freezes
            .times
            .sort_by_key(|freeze| std::cmp::Reverse(freeze.length_us));
        freezes.times.truncate(MAX_LISTED);
        freezes
            .times
            .sort_by_key(|freeze| (freeze.run, freeze.at_us));
        Some(freezes)
    }

    fn take(&mut self, run: u32, from_us: u64, freeze: &Freeze) {
        self.count += 1;
        self.total_us += freeze.length_us();
        self.longest_us = self.longest_us.max(freeze.length_us());
        self.disturbed += u64::from(freeze.disturbed);
        self.times.push(FreezeAt {
            run,
            at_us: freeze.from_us.saturating_sub(from_us),
            length_us: freeze.length_us(),
            disturbed: freeze.disturbed,
        });
    }
}

/// Each repetition that measured with what was seen of it; none where that is not known of all.
fn displays(one: &LoadedScenario) -> Option<Vec<(&LoadedRepetition, &Display)>> {
    let runs = one.runs.iter().filter(|run| run.window.is_some());
    let known: Option<Vec<_>> = runs
        .map(|run| Some((run, run.measured.display.as_ref()?)))
        .collect();
    known.filter(|runs| !runs.is_empty())
}

impl DisplayFigures {
    pub(super) fn of(measured: &Measured) -> Option<Self> {
        let display = measured.display.as_ref()?;
        Some(Self {
            pictures: display.pictures,
            frozen: display.frozen,
            late: display.late,
            over_xr_bound: display.over_bound,
            jitter_us: display.interval_stddev_us().and_then(|stddev| {
                Some(JitterUs {
                    stddev,
                    p99: display.deviation.quantile_us(0.99)?,
                    rfc3550: display.rfc3550_jitter_us(),
                })
            }),
        })
    }
}

impl Goodput {
    pub(super) fn of(one: &LoadedScenario, measured: &Measured) -> Option<Self> {
        let all = &measured.all;
        if all.seconds <= 0.0 || all.frames.scheduled == 0 {
            return None;
        }
        let bitrate = one.runs.first().map(|run| run.meta.bitrate_bps);
        // ffmpeg's defaults aim at a quality, not at a rate.
        let target = bitrate.filter(|bps| *bps > 0 && one.info.pipeline != Pipeline::Reference);
        let share = all.frames.shown as f64 / all.frames.scheduled as f64;
        Some(Self {
            frames_per_s: all.frames.shown as f64 / all.seconds,
            target_bps: target.map(|bps| bps as f64 * share),
        })
    }
}

/// Disturbed seconds of the measured time; none where a repetition was not watched.
pub(super) fn disturbed_seconds(one: &LoadedScenario) -> Option<f64> {
    let mut runs = one
        .runs
        .iter()
        .filter_map(|run| Some((run.window?, run)))
        .peekable();
    runs.peek()?;
    let seconds: Option<f64> = runs
        .map(|(window, run)| Some(run.disturbances.as_ref()?.seconds_in(window)))
        .sum();
    // The sum of nothing is -0.
    seconds.map(|seconds| seconds + 0.0)
}
/// Seconds for people: whole ones without a point, and never "0" of a time that was there.
pub(crate) fn seconds(of: f64) -> String {
    match of {
        0.0 => "0".to_owned(),
        of if of < 0.1 => "less than 0.1".to_owned(),
        of if (of - of.round()).abs() < 0.05 => format!("{of:.0}"),
        of => format!("{of:.1}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_time_is_not_none() {
        let said = [0.0, 0.04, 0.3, 1.96, 2.04, 12.5].map(seconds);
        assert_eq!(said, ["0", "less than 0.1", "0.3", "2", "2", "12.5"]);
    }
}
