//! What each second brought, and the whole so far. Pure.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;
use timeline::frames_csv::FrameRow;
use timeline::hist::LatencyHistogram;
use timeline::{Stage, UnixMicros};

/// Seconds that are kept.
const KEPT: usize = 600;

/// One second.
#[derive(Clone, Debug, Default, Serialize)]
struct Second {
    /// When it ended, microseconds since the Unix epoch.
    to_us: UnixMicros,
    /// Frames whose way became known, by outcome.
    frames: BTreeMap<&'static str, u64>,
    latency_us: Option<Spread>,
    /// Medians in microseconds.
    stages_us: BTreeMap<&'static str, u64>,
}

/// A distribution in three figures, microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
struct Spread {
    p50: u64,
    p99: u64,
    max: u64,
}

/// Everything so far.
#[derive(Debug, Default, Serialize)]
struct Whole {
    frames: BTreeMap<&'static str, u64>,
    latency_us: Option<Spread>,
}

/// A second as the page is told of it, with the whole up to its end.
#[derive(Debug, Serialize)]
struct News<'a> {
    second: &'a Second,
    whole: &'a Whole,
}

/// All that is kept.
#[derive(Debug, Serialize)]
struct All<'a> {
    seconds: &'a VecDeque<Second>,
    whole: &'a Whole,
}

/// The seconds of a collection.
#[derive(Debug, Default)]
pub(super) struct Seconds {
    kept: VecDeque<Second>,
    whole: Whole,
    histogram: LatencyHistogram,
    frames: BTreeMap<&'static str, u64>,
    latency: LatencyHistogram,
    stages: BTreeMap<&'static str, LatencyHistogram>,
}

impl Seconds {
    /// Takes a frame whose way is known.
    pub(super) fn row(&mut self, row: &FrameRow) {
        *self.frames.entry(row.outcome.as_str()).or_default() += 1;
        *self.whole.frames.entry(row.outcome.as_str()).or_default() += 1;
        let Some(latency_us) = row.latency_us() else {
            return;
        };
        self.latency.record(latency_us);
        self.histogram.record(latency_us);
        for stage in Stage::ALL {
            if let Some(us) = row.stage_us(stage) {
                self.stages.entry(stage.as_str()).or_default().record(us);
            }
        }
    }

    /// Ends the second at `now`; it and the whole as JSON.
    pub(super) fn end(&mut self, now: UnixMicros) -> String {
        let stages = std::mem::take(&mut self.stages);
        let second = Second {
            to_us: now,
            frames: std::mem::take(&mut self.frames),
            latency_us: spread(&std::mem::take(&mut self.latency)),
            stages_us: stages
                .iter()
                .filter_map(|(stage, of)| Some((*stage, of.quantile_us(0.5)?)))
                .collect(),
        };
        self.whole.latency_us = spread(&self.histogram);
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        let news = News {
            second: &second,
            whole: &self.whole,
        };
        let text = json(&news);
        self.kept.push_back(second);
        text
    }

    /// All that is kept, as JSON.
    pub(super) fn all(&self) -> String {
        json(&All {
            seconds: &self.kept,
            whole: &self.whole,
        })
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("numbers and fixed words are JSON")
}

fn spread(of: &LatencyHistogram) -> Option<Spread> {
    Some(Spread {
        p50: of.quantile_us(0.5)?,
        p99: of.quantile_us(0.99)?,
        max: of.quantile_us(1.0)?,
    })
}

#[cfg(test)]
mod tests {
    use timeline::frames_csv::Outcome;
    use timeline::{Point, RtpTimestamp};

    use super::*;

    fn shown(generated: u64, decoded: u64) -> FrameRow {
        let mut row = FrameRow::new(RtpTimestamp(0), Outcome::Shown);
        row.set(Point::Generated, UnixMicros(generated));
        row.set(Point::Received, UnixMicros(decoded - 300));
        row.set(Point::Decoded, UnixMicros(decoded));
        row
    }

    #[test]
    fn a_second_has_its_own_frames_and_the_whole_has_all() {
        let mut seconds = Seconds::default();
        seconds.row(&shown(0, 1_500));
        let first: serde_json::Value =
            serde_json::from_str(&seconds.end(UnixMicros(1))).expect("JSON");
        assert_eq!(first["second"]["latency_us"]["p50"], 1_500);
        assert_eq!(first["second"]["stages_us"]["decode"], 300);
        seconds.row(&shown(0, 1_900));
        seconds.row(&shown(0, 1_900));
        let second: serde_json::Value =
            serde_json::from_str(&seconds.end(UnixMicros(2))).expect("JSON");
        assert_eq!(second["second"]["frames"]["shown"], 2);
        assert_eq!(second["second"]["latency_us"]["p50"], 1_900);
        assert_eq!(second["whole"]["frames"]["shown"], 3);
        let all: serde_json::Value = serde_json::from_str(&seconds.all()).expect("JSON");
        assert_eq!(all["seconds"].as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn what_is_kept_is_bounded_and_an_empty_second_has_no_latency() {
        let mut seconds = Seconds::default();
        for second in 0..2 * KEPT as u64 {
            seconds.end(UnixMicros(second));
        }
        let all: serde_json::Value = serde_json::from_str(&seconds.all()).expect("JSON");
        let kept = all["seconds"].as_array().expect("seconds");
        assert_eq!(kept.len(), KEPT);
        assert!(kept[0]["latency_us"].is_null());
    }
}
