//! Latency over time, in bins narrow enough to see a gap and few enough to draw. A bin keeps its smallest and its largest
//! value: drawing fewer points hides none.

use crate::summary::LoadedRepetition;
use stats::{Sample, Window, freeze_us, long_gaps, quantile};

/// No bin is narrower, in microseconds: at 25 frames a second it holds several.
const MIN_BIN_US: u64 = 200_000;

/// A repetition over time.
#[derive(Debug, Default)]
pub(super) struct Series {
    pub run: u32,
    /// The length of the measured time.
    pub seconds: f64,
    /// The bins that have samples.
    pub bins: Vec<Bin>,
    /// Freezes: times without a new picture, in seconds from the start.
    pub gaps: Vec<(f64, f64)>,
    /// Where frames were lost, in seconds from the start, and how many.
    pub lost: Vec<(f64, u64)>,
    /// Disturbed times, in seconds from the start.
    pub disturbed: Vec<(f64, f64)>,
    /// The events of the repetition.
    pub events: Vec<Event>,
}

/// A stretch of time with the latencies of its frames.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bin {
    /// The middle of the bin, in seconds from the start.
    pub at_s: f64,
    /// The smallest latency, in microseconds.
    pub min_us: f64,
    /// The median latency.
    pub p50_us: f64,
    /// The largest latency.
    pub max_us: f64,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Event {
    /// The number of the event in the drawing.
    pub number: usize,
    /// Seconds from the start of measuring.
    pub at_s: f64,
    pub what: String,
    /// The process or host of the event.
    pub who: String,
    /// Details, as `events.csv` has them.
    pub detail: String,
}

impl Series {
    /// The bins, cut where a gap lies between two.
    pub(super) fn parts(&self) -> impl Iterator<Item = &[Bin]> {
        self.bins.chunk_by(|one, two| {
            !self
                .gaps
                .iter()
                .any(|(from, to)| one.at_s <= *to && two.at_s >= *from && to - from > 0.3)
        })
    }

    /// The disturbed seconds of the repetition.
    pub(super) fn disturbed_s(&self) -> f64 {
        self.disturbed.iter().map(|(from, to)| to - from).sum()
    }

    /// The longest freeze, in seconds; 0 without any.
    pub(super) fn longest_gap_s(&self) -> f64 {
        self.gaps
            .iter()
            .map(|(from, to)| to - from)
            .fold(0.0, f64::max)
    }
}

/// The series of a repetition in at most `bins` bins; none without samples. Its events are not in it yet.
pub(super) fn series(run: &LoadedRepetition, bins: u64) -> Option<Series> {
    let window = run.window?;
    let length = window.to_us.saturating_sub(window.from_us);
    let samples = &run.measured.samples;
    if samples.is_empty() || length == 0 {
        return None;
    }
    let at_s = |at_us: u64| at_us.saturating_sub(window.from_us) as f64 / 1e6;
    let disturbed = run
        .disturbances
        .as_ref()
        .map_or_else(Vec::new, |disturbances| {
            disturbances
                .spans()
                .iter()
                .filter(|span| span.to_us > window.from_us && span.from_us < window.to_us)
                .map(|span| (at_s(span.from_us), at_s(span.to_us.min(window.to_us))))
                .collect()
        });
    Some(Series {
        run: run.meta.run,
        seconds: window.seconds(),
        bins: binned(samples, window, (length / bins.max(1)).max(MIN_BIN_US)),
        // As the summary counts them; what ffmpeg showed is known from its readings alone.
        gaps: run
            .measured
            .display
            .as_ref()
            .map_or_else(
                || freezes(samples, window, freeze_us(run.meta.fps)),
                |display| {
                    let freezes = display.freezes.iter();
                    freezes.map(|one| (one.from_us, one.to_us)).collect()
                },
            )
            .into_iter()
            .map(|(from, to)| (at_s(from), at_s(to)))
            .collect(),
        lost: lost(samples, 1e6 / run.meta.fps.max(1.0))
            .into_iter()
            .map(|(at, count)| (at_s(at), count))
            .collect(),
        disturbed,
        events: Vec::new(),
    })
}

fn binned(samples: &[Sample], window: Window, width: u64) -> Vec<Bin> {
    let bin_of = |sample: &Sample| sample.generated_us.saturating_sub(window.from_us) / width;
    samples
        .chunk_by(|one, two| bin_of(one) == bin_of(two))
        .map(|chunk| {
            let mut latencies: Vec<i64> = chunk.iter().map(|sample| sample.latency_us).collect();
            latencies.sort_unstable();
            Bin {
                at_s: (bin_of(&chunk[0]) * width + width / 2) as f64 / 1e6,
                min_us: latencies[0] as f64,
                p50_us: quantile(&latencies, 500).unwrap_or_default() as f64,
                max_us: latencies[latencies.len() - 1] as f64,
            }
        })
        .collect()
}

/// Freezes between two pictures as they were shown, and before the first and after the last.
fn freezes(samples: &[Sample], window: Window, longest_us: u64) -> Vec<(u64, u64)> {
    let mut shown: Vec<u64> = samples
        .iter()
        .map(|sample| sample.generated_us.saturating_add_signed(sample.latency_us))
        .collect();
    shown.sort_unstable();
    // The first frame of the window is shown a latency after the window's beginning.
    let usual = samples
        .first()
        .map_or(0, |sample| sample.latency_us.max(0).cast_unsigned());
    let mut edges = vec![window.from_us + usual];
    edges.extend(shown);
    edges.push(window.to_us + usual);
    long_gaps(edges, longest_us).collect()
}

/// Where frames are missing between two that were shown, and how many.
fn lost(samples: &[Sample], frame_us: f64) -> Vec<(u64, u64)> {
    samples
        .windows(2)
        .filter_map(|pair| {
            let apart = pair[1].generated_us.saturating_sub(pair[0].generated_us);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a positive number of frames, far below 2^53"
            )]
            let frames = (apart as f64 / frame_us).round() as u64;
            (frames > 1).then(|| (pair[0].generated_us + apart / 2, frames - 1))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use result::{RepetitionMeta, rows::Audit};
    use stats::{Measured, Window};

    fn run(samples: Vec<Sample>) -> LoadedRepetition {
        LoadedRepetition {
            meta: RepetitionMeta {
                fps: 60.0,
                run: 3,
                ..RepetitionMeta::default()
            },
            measured: Measured {
                samples,
                ..Measured::default()
            },
            window: Some(Window {
                from_us: 0,
                to_us: 10_000_000,
            }),
            ocr: Audit::default(),
            disturbances: None,
            notes: Vec::new(),
            faults: Vec::new(),
            damaged: false,
        }
    }

    fn samples(shown: impl Fn(u64) -> bool) -> Vec<Sample> {
        (0..600_u64)
            .filter(|number| shown(*number))
            .map(|number| Sample {
                generated_us: number * 1_000_000 / 60,
                latency_us: 8_000 + i64::try_from(number % 3).expect("small"),
                disturbed: false,
                frame: None,
                late_us: None,
            })
            .collect()
    }

    #[test]
    fn a_gap_is_where_no_frame_was_shown() {
        let run = run(samples(|number| !(120..180).contains(&number)));
        let series = series(&run, 360).expect("samples");
        assert_eq!(series.gaps.len(), 1);
        let (from, to) = series.gaps[0];
        assert!(
            (from - 1.99).abs() < 0.02 && (to - 3.0).abs() < 0.02,
            "{from} {to}"
        );
        assert_eq!(series.lost.len(), 1);
        assert_eq!(series.lost[0].1, 60);
        assert_eq!((series.run, series.bins.len()), (3, 45));
        assert_eq!(series.parts().count(), 2);
        assert!(
            series
                .bins
                .iter()
                .all(|bin| bin.min_us >= 8_000.0 && bin.max_us <= 8_002.0)
        );
    }

    #[test]
    fn fewer_bins_hide_no_extreme() {
        let mut samples = samples(|_| true);
        samples[317].latency_us = 250_000;
        samples[318].latency_us = 2;
        let series = series(&run(samples), 1).expect("samples");
        assert_eq!(series.bins.len(), 1);
        assert!((series.bins[0].max_us - 250_000.0).abs() < 1e-9);
        assert!((series.bins[0].min_us - 2.0).abs() < 1e-9);
    }

    #[test]
    fn a_single_lost_frame_is_no_freeze() {
        let series = series(&run(samples(|number| number != 300)), 360).expect("samples");
        assert!(series.gaps.is_empty());
        assert_eq!(series.lost.len(), 1);
        assert!(super::series(&run(Vec::new()), 360).is_none());
    }
}
