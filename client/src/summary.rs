//! What the client says of a whole run: counts, latency, first frame, as a table and as JSON.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;
use settings::Transport;
use timeline::hist::{Figures, LatencyHistogram};

use crate::track::Verdict;

/// Collects samples, one picture at a time.
#[derive(Debug, Default)]
pub struct Totals {
    latency: LatencyHistogram,
    last_us: Option<i64>,
    changes_sum_us: u64,
    changes: u64,
    counts: Counts,
}

/// How many pictures had which outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Frames shown, each counted once.
    pub shown: u64,
    /// Pictures whose stamp could not be read.
    pub unread: u64,
    /// Pictures of which packets never came.
    pub damaged: u64,
    /// Pictures that had been shown before.
    pub duplicate: u64,
    /// Shown frames whose stamp lies after the clock: the two hosts' clocks disagree. They are no samples.
    pub negative: u64,
    /// Shown frames that took longer than a minute: each is a sample of a minute, which is the most that is told apart.
    pub over_a_minute: u64,
}

impl Totals {
    /// Adds one shown picture; `latency_us` is the consumption time minus the generation time of a picture that was read.
    pub fn add(&mut self, verdict: Verdict, latency_us: Option<i64>) {
        match verdict {
            Verdict::Unread => self.counts.unread += 1,
            Verdict::Damaged => self.counts.damaged += 1,
            Verdict::Duplicate => self.counts.duplicate += 1,
            Verdict::Shown => {
                self.counts.shown += 1;
                match latency_us {
                    Some(micros) if micros >= 0 => self.sample(micros),
                    Some(_) => self.counts.negative += 1,
                    None => {}
                }
            }
        }
    }

    fn sample(&mut self, micros: i64) {
        self.latency.record(micros);
        if let Some(last) = self.last_us.replace(micros) {
            self.changes_sum_us += micros.abs_diff(last);
            self.changes += 1;
        }
    }

    /// The counts so far.
    pub fn counts(&self) -> Counts {
        Counts {
            over_a_minute: self.latency.clamped(),
            ..self.counts
        }
    }

    /// The distribution so far; none without a sample.
    pub fn latency(&self) -> Option<Figures> {
        self.latency.figures()
    }

    /// The mean difference between the latencies of two successive frames, in microseconds.
    pub fn mean_latency_change_us(&self) -> Option<f64> {
        (self.changes > 0).then(|| self.changes_sum_us as f64 / self.changes as f64)
    }
}

/// What a run was, as `--json` prints it.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    pub url: String,
    /// The transport of the last session that carried packets.
    pub transport: Option<Transport>,
    /// Width and height of the pictures.
    pub size: Option<(u32, u32)>,
    /// From the first frame to the end, in seconds.
    pub played_s: f64,
    /// From the process's start to its first decoded frame, in microseconds.
    pub first_frame_us: Option<u64>,
    /// Frames by outcome.
    pub frames: FramesOut,
    /// The end-to-end latency of the shown frames.
    pub latency_us: Option<Figures>,
    /// Mean difference of successive latencies, in microseconds.
    pub mean_latency_change_us: Option<f64>,
    /// Mean processor time that the streaming thread spent on a picture after its decoding, in microseconds.
    pub player_us: Option<f64>,
    /// RTP packets received and lost.
    pub packets: Packets,
    /// Sessions opened after the first one that carried packets.
    pub reconnects: u64,
    /// What was written, and what was not.
    pub records: Records,
}

/// Outcomes by frame number.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct FramesOut {
    #[serde(flatten)]
    pub counts: Counts,
    /// Numbers missing between the first and the last frame shown.
    pub missing_numbers: u64,
    /// Frames that came and were not decoded, because the client was behind the stream: their numbers are missing.
    pub behind: u64,
    /// How often the renderer began to count again.
    pub renderer_restarts: u64,
}

/// RTP packets by fate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Packets {
    /// Passed to the decoder.
    pub received: u64,
    /// Missing by RTP sequence number.
    pub lost: u64,
    /// Came after the jitter buffer had given them up.
    pub late: u64,
}

/// Records of frames, by fate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Records {
    /// Rows written to the frames file.
    pub rows_written: u64,
    /// Rows that a full queue or a full disk cost.
    pub rows_dropped: u64,
    /// Records that the collector took.
    pub posted: u64,
    /// Records that did not fit the queue while the collector was away, or were still queued at the end.
    pub post_dropped: u64,
    pub strips_kept: u64,
    /// Strips that a full queue or a full disk cost.
    pub strips_dropped: u64,
    /// Pictures shown by the window or written to the recording.
    pub screened: u64,
    /// Pictures that the window or the encoder was too slow for.
    pub screen_dropped: u64,
}

impl Summary {
    /// The table for people.
    pub fn table(&self) -> String {
        let mut out = String::new();
        let transport = self.transport.map_or("none", Transport::as_str);
        let size = self
            .size
            .map_or_else(String::new, |(width, height)| format!(", {width}x{height}"));
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "{} over {transport}{size}, {:.1} s",
            self.url, self.played_s
        );

        let mut table = Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY);
        let frames = self.frames;
        let mut row = |name: &str, value: String| {
            table.add_row(vec![name.to_owned(), value]);
        };
        row("frames shown", frames.counts.shown.to_string());
        row("frame numbers missing", frames.missing_numbers.to_string());
        if frames.behind > 0 {
            row(
                "frames not decoded",
                format!("{}: the client was behind", frames.behind),
            );
        }
        row("frames unread", frames.counts.unread.to_string());
        row("frames damaged", frames.counts.damaged.to_string());
        row("frames repeated", frames.counts.duplicate.to_string());
        if frames.counts.negative > 0 {
            row(
                "frames from the future",
                format!("{}: the clocks disagree", frames.counts.negative),
            );
        }
        if frames.counts.over_a_minute > 0 {
            row(
                "frames over a minute",
                format!("{}: a sample of 60 s each", frames.counts.over_a_minute),
            );
        }
        row(
            "first frame",
            self.first_frame_us
                .map_or_else(|| "-".to_owned(), |us| millis(us as f64)),
        );
        if let Some(latency) = self.latency_us {
            row("latency p50", millis(latency.p50 as f64));
            row("latency p90", millis(latency.p90 as f64));
            row("latency p95", millis(latency.p95 as f64));
            row("latency p99", millis(latency.p99 as f64));
            row("latency max", millis(latency.max as f64));
            row("latency mean", millis(latency.mean));
            row("latency stddev", millis(latency.stddev));
        }
        if let Some(change) = self.mean_latency_change_us {
            row("mean latency change", millis(change));
        }
        row(
            "packets",
            format!(
                "{} ({} lost, {} late)",
                self.packets.received, self.packets.lost, self.packets.late
            ),
        );
        row("reconnects", self.reconnects.to_string());
        for (name, dropped) in [
            ("rows dropped", self.records.rows_dropped),
            ("records dropped", self.records.post_dropped),
            ("strips dropped", self.records.strips_dropped),
            ("pictures not displayed", self.records.screen_dropped),
        ] {
            if dropped > 0 {
                row(name, dropped.to_string());
            }
        }
        if let Some(column) = table.column_mut(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let _ = writeln!(out, "{table}");
        out
    }
}

fn millis(micros: f64) -> String {
    format!("{:.2} ms", micros / 1_000.0)
}

#[cfg(test)]
mod tests {
    use timeline::hist::MAX_US;

    use super::*;

    fn totals(samples: &[i64]) -> Totals {
        let mut totals = Totals::default();
        for &sample in samples {
            totals.add(Verdict::Shown, Some(sample));
        }
        totals
    }

    #[test]
    fn the_arithmetic_is_that_of_the_textbook() {
        let totals = totals(&[1_000, 2_000, 3_000, 4_000, 5_000]);
        let latency = totals.latency().unwrap();
        assert_eq!(latency.count, 5);
        assert_eq!(latency.p50 / 10, 300, "three significant digits");
        assert!((latency.mean - 3_000.0).abs() < 3.0);
        assert!((latency.stddev - 2_000_000_f64.sqrt()).abs() < 3.0);
        assert!((totals.mean_latency_change_us().unwrap() - 1_000.0).abs() < 1e-9);
        assert!(latency.max.abs_diff(5_000) <= 5);
    }

    #[test]
    fn only_read_and_new_frames_are_samples() {
        let mut totals = totals(&[1_000]);
        totals.add(Verdict::Unread, None);
        totals.add(Verdict::Duplicate, Some(900_000));
        totals.add(Verdict::Shown, Some(-5));
        assert_eq!(
            totals.counts(),
            Counts {
                shown: 2,
                unread: 1,
                damaged: 0,
                duplicate: 1,
                negative: 1,
                over_a_minute: 0,
            }
        );
        assert_eq!(totals.latency().unwrap().count, 1);
    }

    #[test]
    fn nothing_shown_has_no_latency_and_what_is_longer_than_a_minute_is_counted() {
        assert!(Totals::default().latency().is_none());
        let totals = totals(&[i64::MAX, 90_000_000, 7_300]);
        assert_eq!(totals.latency().unwrap().max, MAX_US);
        assert_eq!(totals.counts().over_a_minute, 2);
        let summary = Summary {
            frames: FramesOut {
                counts: totals.counts(),
                ..FramesOut::default()
            },
            latency_us: totals.latency(),
            ..summary()
        };
        let told = summary.table();
        assert!(told.contains("2: a sample of 60 s each"), "{told}");
        let json = serde_json::to_value(&summary).unwrap();
        assert_eq!(json["frames"]["over_a_minute"], 2, "{json}");
    }

    fn summary() -> Summary {
        Summary {
            url: "rtsp://h/n".to_owned(),
            transport: Some(Transport::Udp),
            size: Some((1280, 720)),
            played_s: 10.0,
            first_frame_us: Some(123_456),
            frames: FramesOut::default(),
            latency_us: totals(&[7_300]).latency(),
            mean_latency_change_us: None,
            player_us: Some(120.0),
            packets: Packets::default(),
            reconnects: 0,
            records: Records::default(),
        }
    }

    #[test]
    fn the_table_names_what_was_dropped_and_hides_what_was_not() {
        let mut summary = summary();
        let table = summary.table();
        assert!(
            table.contains("rtsp://h/n over udp, 1280x720, 10.0 s"),
            "{table}"
        );
        assert!(
            table.contains("123.46 ms") && table.contains("7.30 ms"),
            "{table}"
        );
        assert!(
            !table.contains("dropped") && !table.contains("over a minute"),
            "{table}"
        );
        summary.records.strips_dropped = 3;
        assert!(summary.table().contains("strips dropped"));
    }
}
