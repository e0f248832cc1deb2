//! What a repetition's frames say, as counts and merged histograms. Pure: rows and times come in, figures go out.
//!
//! A frame belongs to the time at which it was generated. Repetitions are merged by adding counts and histograms, never
//! by averaging percentiles.

#![warn(missing_docs)]

mod bootstrap;
mod change;
pub mod datagrams;
mod display;
mod exact;
mod frames;
pub mod host;
pub mod judged;
pub mod nodes;
mod paired;
mod pool;
mod quantile;
mod schedule;
mod stages;
mod tick;
pub mod usage;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use timeline::{Stage, hist::LatencyHistogram};

pub use bootstrap::{Intervals, intervals};
pub use change::{Change, Outcome, Round, above_zero, outcomes};
pub use display::{Display, Freeze, Picture, XR_BOUND_US, freeze_us, long_gaps};
pub use exact::Exact;
pub use frames::{FromOcr, FromRows};
pub use host::Disturbances;
pub use paired::{
    Estimate, RESOLUTION_US, RunFigures, cliffs_delta, gap, holm, one_sided_95, pairs,
};
pub use pool::{Pooled, RunEstimate, pool};
pub use quantile::{quantile, weighted_quantile};
pub use stages::Stages;
pub use usage::{ProcessSecond, Usage};

/// A microsecond interval of the wall clock, its end not in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Microseconds since the Unix epoch.
    pub from_us: u64,
    /// Microseconds since the Unix epoch.
    pub to_us: u64,
}

impl Window {
    /// Whether `at_us` is in it.
    pub const fn contains(self, at_us: u64) -> bool {
        self.from_us <= at_us && at_us < self.to_us
    }

    /// The interval of so many microseconds that ends at `to_us`.
    pub(crate) const fn ending(to_us: u64, length_us: u64) -> Self {
        Self {
            from_us: to_us.saturating_sub(length_us),
            to_us,
        }
    }

    /// How many seconds of it lie in `other`.
    pub(crate) fn overlap_s(self, other: Self) -> f64 {
        let both = Self {
            from_us: self.from_us.max(other.from_us),
            to_us: self.to_us.min(other.to_us),
        };
        both.seconds()
    }

    /// The length of the window in seconds.
    pub const fn seconds(self) -> f64 {
        self.to_us.saturating_sub(self.from_us) as f64 / 1e6
    }
}

/// Frames by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// The renderer's ticks in the measured time: frames that it stamped, and those that are missing between and beside them.
    pub scheduled: u64,
    /// Distinct frames that the renderer stamped; unknown for ffmpeg, which does not say.
    pub generated: Option<u64>,
    /// Distinct frames that were shown: by RTP timestamp, or, for ffmpeg, by generation time and the ticks that unread pictures fill.
    pub shown: u64,
    /// Lost frames: scheduled minus shown and unreported; frames that were never produced are among them.
    pub lost: u64,
    /// Missing frames of which reports never came: neither known to be shown nor to be lost.
    pub unreported: u64,
    /// Of the shown frames, those whose stamp could not be read or was not believed: shown, and no sample.
    pub unread: u64,
    /// Pictures of which packets never came.
    pub damaged: u64,
    /// Pictures of frames that had been shown before.
    pub duplicate: u64,
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.generated = if *self == Self::default() {
            other.generated
        } else {
            self.generated
                .zip(other.generated)
                .map(|(one, two)| one + two)
        };
        self.scheduled += other.scheduled;
        self.shown += other.shown;
        self.lost += other.lost;
        self.unreported += other.unreported;
        self.unread += other.unread;
        self.damaged += other.damaged;
        self.duplicate += other.duplicate;
    }
}

/// The latency of one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Generation, microseconds since the Unix epoch.
    pub generated_us: u64,
    /// The latency in microseconds; negative where clocks disagree.
    pub latency_us: i64,
    /// Whether the machine was disturbed in that second.
    pub disturbed: bool,
    /// Its number; none of ffmpeg's, which have none.
    pub frame: Option<u32>,
    /// How long after its tick it was stamped, microseconds, beyond the frame that was stamped soonest after its own; none without
    /// a number.
    pub late_us: Option<u64>,
}

/// The stretch of a film that a repetition shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// The picture of the film that frame 0 shows.
    pub start: u64,
    /// Pictures of the film, which follow its last one again; none where nobody counted them.
    pub pictures: Option<u64>,
}

impl Content {
    /// The picture that the frame `number` shows.
    fn picture(self, number: u32) -> u64 {
        let place = self.start + u64::from(number);
        self.pictures
            .map_or(place, |pictures| place % pictures.max(1))
    }
}

/// Frames and their latency.
#[derive(Clone, Debug, Default)]
pub struct Latency {
    /// Frames by what became of them.
    pub frames: Counts,
    /// The latency of those that were read, in microseconds.
    pub histogram: LatencyHistogram,
    /// Measured seconds that these frames are of.
    pub seconds: f64,
}

impl Latency {
    fn merge(&mut self, other: &Self) {
        self.frames.add(&other.frames);
        // Two histograms of a run's size cannot overflow one.
        let _: Result<(), _> = self.histogram.merge(&other.histogram);
        self.seconds += other.seconds;
    }
}

/// One repetition's figures, or several merged.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// The latency of every measured frame.
    pub all: Latency,
    /// The latency in seconds in which the machine was not disturbed; none where nobody watched the machine.
    pub undisturbed: Option<Latency>,
    /// Where the time went; empty for ffmpeg.
    pub stages: Stages,
    /// Samples that are no latency: frames that were decoded before they were generated, by clocks that disagree.
    pub negative: u64,
    /// Lost frames that had come whole to the client.
    pub came: u64,
    /// Every sample, in the order of generation within a repetition.
    pub samples: Vec<Sample>,
    /// What the clusters used; empty where there are none.
    pub usage: Usage,
    /// The distinct pictures of the source that the samples are of; empty for ffmpeg, which does not number its frames.
    pub pictures: BTreeSet<u64>,
    /// The display intervals and freezes; none for ffmpeg, whose strips do not say when they were shown.
    pub display: Option<Display>,
    /// The frames of each client that reported under a name.
    pub clients: BTreeMap<String, Counts>,
}

impl Measured {
    /// Adds another repetition of the same scenario.
    pub fn merge(&mut self, other: Self) {
        let first = self.all.seconds == 0.0 && self.samples.is_empty();
        if first {
            *self = other;
            return;
        }
        self.all.merge(&other.all);
        self.undisturbed = match (self.undisturbed.take(), &other.undisturbed) {
            (Some(mut one), Some(two)) => {
                one.merge(two);
                Some(one)
            }
            _ => None,
        };
        self.stages.merge(&other.stages);
        self.came += other.came;
        self.negative += other.negative;
        self.samples.extend(other.samples);
        self.pictures.extend(other.pictures);
        self.usage.merge(other.usage);
        for (client, frames) in &other.clients {
            self.clients.entry(client.clone()).or_default().add(frames);
        }
        self.display = match (self.display.take(), &other.display) {
            (Some(mut one), Some(two)) => {
                one.merge(two);
                Some(one)
            }
            _ => None,
        };
    }

    /// The frames by which a loss is judged: those of undisturbed seconds, where there are any.
    pub fn judged(&self) -> &Counts {
        let quiet = self.undisturbed.as_ref().map(|quiet| &quiet.frames);
        quiet
            .filter(|frames| frames.scheduled > 0)
            .unwrap_or(&self.all.frames)
    }

    /// The figures of every measured frame; none without samples.
    pub fn figures(&self) -> Option<Exact> {
        Exact::of(self.samples.iter().map(|sample| sample.latency_us))
    }

    /// Of a floor: how far its p50 is from the sum of its own encode p50 and decode p50, in microseconds. The figures of a
    /// floor are believed below 1000.
    pub fn codec_gap_us(&self) -> Option<u64> {
        let encode = self.stages.figures(Stage::Encode)?;
        let decode = self.stages.figures(Stage::Decode)?;
        Some(self.figures()?.p50.abs_diff(encode.p50 + decode.p50))
    }
}

/// Largest gap between a floor's p50 and its parts for the floor to be believed, in microseconds.
pub const MAX_FLOOR_GAP_US: u64 = 1_000;

#[cfg(test)]
mod change_tests;
#[cfg(test)]
mod film_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod validity_tests;
