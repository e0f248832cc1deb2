//! Latency over time, in bins narrow enough to see a gap and few enough to draw.

use crate::{stats::Sample, summary::LoadedRun};

/// Bins of a drawing at most.
const MAX_BINS: u64 = 360;

/// No bin is narrower, in microseconds: at 25 frames a second it holds several.
const MIN_BIN_US: u64 = 200_000;

/// A repetition over time.
#[derive(Debug, Default)]
pub(super) struct Series {
    /// Length in seconds.
    pub seconds: f64,
    /// Those that have samples.
    pub bins: Vec<Bin>,
    /// Times without a shown frame, in seconds from the start: at least two bins, and longer than 5 frames.
    pub gaps: Vec<(f64, f64)>,
    /// Disturbed times, in seconds from the start.
    pub disturbed: Vec<(f64, f64)>,
}

/// One bin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bin {
    /// Its middle, in seconds from the start.
    pub at_s: f64,
    /// The middle latency, in microseconds.
    pub p50_us: f64,
    /// The largest, in microseconds.
    pub max_us: f64,
}

/// The series of a repetition; none without samples.
pub(super) fn series(run: &LoadedRun) -> Option<Series> {
    let window = run.window?;
    let length = window.to_us.saturating_sub(window.from_us);
    let width = (length / MAX_BINS).max(MIN_BIN_US);
    let samples = &run.measured.samples;
    if samples.is_empty() || length == 0 {
        return None;
    }
    let at_s = |at_us: u64| at_us.saturating_sub(window.from_us) as f64 / 1e6;
    let bin_of = |sample: &Sample| sample.generated_us.saturating_sub(window.from_us) / width;
    let bins = samples
        .chunk_by(|one, two| bin_of(one) == bin_of(two))
        .map(|chunk| {
            let mut latencies: Vec<i64> = chunk.iter().map(|sample| sample.latency_us).collect();
            latencies.sort_unstable();
            Bin {
                at_s: (bin_of(&chunk[0]) * width + width / 2) as f64 / 1e6,
                p50_us: latencies[latencies.len() / 2] as f64,
                max_us: latencies[latencies.len() - 1] as f64,
            }
        })
        .collect();
    let frame_us = 1e6 / run.meta.fps.max(1.0);
    let mut edges = vec![window.from_us];
    edges.extend(samples.iter().map(|sample| sample.generated_us));
    edges.push(window.to_us);
    let gaps = edges
        .windows(2)
        .filter(|pair| pair[1].saturating_sub(pair[0]) as f64 > (5.0 * frame_us).max(250_000.0))
        .map(|pair| (at_s(pair[0]), at_s(pair[1])))
        .collect();
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
        seconds: window.seconds(),
        bins,
        gaps,
        disturbed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        folder::RunMeta,
        ocr::Audit,
        stats::{Measured, Window},
    };

    #[test]
    fn a_gap_is_where_no_frame_was_shown() {
        let samples = (0..600_u64)
            .filter(|number| !(120..180).contains(number))
            .map(|number| Sample {
                generated_us: number * 1_000_000 / 60,
                latency_us: 8_000 + i64::try_from(number % 3).expect("small"),
                disturbed: false,
            })
            .collect();
        let run = LoadedRun {
            meta: RunMeta {
                fps: 60.0,
                ..RunMeta::default()
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
        };
        let series = series(&run).expect("samples");
        assert_eq!(series.gaps.len(), 1);
        let (from, to) = series.gaps[0];
        assert!(
            (from - 1.98).abs() < 0.02 && (to - 3.0).abs() < 0.02,
            "{from} {to}"
        );
        assert_eq!(series.bins.len(), 45);
        assert!(
            series
                .bins
                .iter()
                .all(|bin| bin.p50_us >= 8_000.0 && bin.max_us <= 8_002.0)
        );
    }
}
