//! What happens to each picture: read, judge, stamp, show, report. It runs in the streaming thread and outlives
//! sessions; everything slow is behind a queue.

use std::sync::Arc;

use gstreamer_video::prelude::*;
use media::decode::Picture;
use nix::time::ClockId;
use parking_lot::{Mutex, MutexGuard};
use service::clock;
use service::trace::TraceRing;
use stamp::{Line, Plane, PlaneMut, STRIP_HEIGHT, STRIP_WIDTH, Stamp};
use timeline::frames_csv::{FrameRow, Outcome};
use timeline::{FrameNumber, FrameReport, Point, Reading, RtpTimestamp, UnixMicros};
use tokio::sync::watch;

use crate::frames::Rows;
use crate::metrics::Metrics;
use crate::rekey::Rekey;
use crate::screen::Screen;
use crate::strips::{Keeper, Selection, Strip};
use crate::summary::{FramesOut, Totals};
use crate::track::{Tracker, Verdict};
use crate::upload::Posts;

/// Rows of a picture that the stamp reaches into: three rows of blocks and two lines.
const STAMP_ROWS: usize = 48 + 2 * STRIP_HEIGHT;

/// The number on the consumption stamp of a frame whose own could not be read.
const UNKNOWN_FRAME: u32 = Stamp::FRAMES - 1;

/// Where pictures and their records go.
#[derive(Debug, Default)]
pub struct Outputs {
    pub rows: Option<Rows>,
    pub posts: Option<Posts>,
    /// Strips, and which are kept.
    pub strips: Option<(Keeper, Selection)>,
    /// A window or a recording.
    pub screen: Option<Screen>,
}

/// What the player knows of the run so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Played {
    /// When the first picture was decoded.
    pub first: Option<UnixMicros>,
    /// When the last picture was decoded.
    pub last: Option<UnixMicros>,
    /// Width and height of the last picture.
    pub size: Option<(u32, u32)>,
}

/// Reads, stamps, shows and reports pictures.
#[derive(Debug)]
pub struct Player {
    outputs: Outputs,
    metrics: Metrics,
    trace: TraceRing,
    first_frame: watch::Sender<Option<UnixMicros>>,
    tracker: Tracker,
    rekey: Rekey,
    totals: Totals,
    played: Played,
    sequence: u64,
    /// Where the consumption line is drawn for a strip: the picture itself still belongs to the decoder.
    canvas: Vec<u8>,
}

/// A player that sessions share.
#[derive(Clone, Debug)]
pub struct SharedPlayer(Arc<Mutex<Player>>);

impl SharedPlayer {
    pub fn new(player: Player) -> Self {
        Self(Arc::new(Mutex::new(player)))
    }

    /// The player, when no other thread has it.
    pub fn lock(&self) -> MutexGuard<'_, Player> {
        self.0.lock()
    }
}

impl Player {
    /// A player that has seen nothing; `first_frame` is told when the first picture comes.
    pub fn new(
        outputs: Outputs,
        metrics: Metrics,
        trace: TraceRing,
        first_frame: watch::Sender<Option<UnixMicros>>,
    ) -> Self {
        Self {
            outputs,
            metrics,
            trace,
            first_frame,
            tracker: Tracker::default(),
            rekey: Rekey::default(),
            totals: Totals::default(),
            played: Played::default(),
            sequence: 0,
            canvas: vec![0; STRIP_WIDTH * STAMP_ROWS],
        }
    }

    /// Reads, judges, stamps and hands on one picture.
    pub fn picture(&mut self, picture: &Picture<'_>) {
        let begun = thread_cpu_ns();
        let luma = picture.luma();
        let origin = picture.origin;
        let reading = match &luma {
            _ if origin.is_some_and(|origin| origin.damaged) => Reading::Damaged,
            Some(luma) => read(luma),
            None => Reading::Unread,
        };
        let verdict = self.judge(reading);
        let of_packets = origin.map(|origin| origin.rtp_timestamp);
        let rtp_timestamp = self.key(of_packets, reading, verdict);
        self.trace
            .push(rtp_timestamp, Point::Decoded, picture.decoded);

        let stamp = consumption(reading, picture.decoded);
        if let Some(screen) = &mut self.outputs.screen {
            screen.show(picture, stamp);
        }
        let shown = clock::now();

        let report = FrameReport {
            sequence: self.sequence,
            rtp_timestamp,
            reading,
            received: origin.and_then(|origin| origin.received),
            decoded: picture.decoded,
            shown,
        };
        self.sequence += 1;
        if let Some(luma) = &luma {
            self.keep_strip(luma, &report, stamp);
        }
        self.report(&report, verdict);
        self.note(picture, &report, verdict);
        self.metrics
            .player_ns
            .inc_by(thread_cpu_ns().saturating_sub(begun));
    }

    fn judge(&mut self, reading: Reading) -> Verdict {
        let missing = self.tracker.missing();
        let verdict = self.tracker.judge(reading);
        self.metrics.frame(verdict);
        self.metrics
            .frames_missing
            .inc_by(self.tracker.missing().saturating_sub(missing));
        verdict
    }

    /// The frame's key: that of its packets; without them, or where all of them are rewritten, that of its stamp.
    fn key(
        &mut self,
        of_packets: Option<RtpTimestamp>,
        reading: Reading,
        verdict: Verdict,
    ) -> RtpTimestamp {
        let of_stamp = match reading {
            Reading::Read { generated, .. } => Some(RtpTimestamp::from_generated(generated)),
            Reading::Unread | Reading::Damaged => None,
        };
        let (Some(packets), Some(stamp)) = (of_packets, of_stamp) else {
            return of_packets.or(of_stamp).unwrap_or_default();
        };
        if packets != stamp && self.metrics.key_mismatches.inc() == 0 {
            tracing::warn!(
                %packets,
                %stamp,
                "RTP timestamps are not those that the stamps imply: something on the way rewrites them, or the renderer \
                 is not xr-renderer. The latency stands; what happened between renderer and client cannot be told"
            );
        }
        self.rekey.key(packets, stamp, verdict == Verdict::Shown)
    }

    fn keep_strip(&mut self, luma: &Plane<'_>, report: &FrameReport, stamp: Stamp) {
        let Some((keeper, selection)) = &mut self.outputs.strips else {
            return;
        };
        if !selection.take(report.reading) {
            return;
        }
        let mut pixels = Vec::with_capacity(2 * STRIP_WIDTH * STRIP_HEIGHT);
        stamp::strip(luma, Line::Generation, &mut pixels);
        if let Ok(mut canvas) =
            PlaneMut::new(&mut self.canvas, STRIP_WIDTH, STAMP_ROWS, STRIP_WIDTH)
        {
            stamp::draw_consumption(&mut canvas, stamp);
            stamp::strip(&canvas.as_plane(), Line::Consumption, &mut pixels);
        }
        keeper.keep(Strip {
            pixels,
            sequence: report.sequence,
            rtp_timestamp: report.rtp_timestamp,
            reading: report.reading,
            decoded: report.decoded,
        });
    }

    fn report(&self, report: &FrameReport, verdict: Verdict) {
        if let Some(rows) = &self.outputs.rows {
            let mut row = FrameRow::from_report(report);
            if verdict == Verdict::Duplicate {
                row.outcome = Outcome::Duplicate;
            }
            rows.push(row);
        }
        if let Some(posts) = &self.outputs.posts {
            posts.push(*report);
        }
    }

    fn note(&mut self, picture: &Picture<'_>, report: &FrameReport, verdict: Verdict) {
        let latency_us = match report.reading {
            Reading::Read { generated, .. } => {
                if verdict == Verdict::Shown {
                    service::latency::observe(&self.metrics.latency, generated, report.decoded);
                }
                Some(report.decoded.micros_since(generated))
            }
            Reading::Unread | Reading::Damaged => None,
        };
        self.totals.add(verdict, latency_us);
        self.played.last = Some(report.decoded);
        self.played.size = Some((picture.frame.width(), picture.frame.height()));
        if self.played.first.is_none() {
            self.played.first = Some(report.decoded);
            self.first_frame.send_replace(self.played.first);
        }
    }

    /// The latency and the counts so far.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Outcomes by frame number so far.
    pub fn frames(&self) -> FramesOut {
        FramesOut {
            counts: self.totals.counts(),
            missing_numbers: self.tracker.missing(),
            behind: self.metrics.behind(),
            renderer_restarts: self.tracker.restarts(),
        }
    }

    /// When and what was played so far.
    pub fn played(&self) -> Played {
        self.played
    }

    /// Lets go of every output, so that whoever writes them can come to an end. What is played later goes nowhere.
    pub fn take_outputs(&mut self) -> Outputs {
        std::mem::take(&mut self.outputs)
    }
}

/// Processor time of this thread: unlike the wall clock it does not count what other threads do meanwhile.
fn thread_cpu_ns() -> u64 {
    let time = ClockId::CLOCK_THREAD_CPUTIME_ID
        .now()
        .expect("Linux counts the processor time of every thread");
    let (seconds, nanos) = (time.tv_sec().unsigned_abs(), time.tv_nsec().unsigned_abs());
    seconds * 1_000_000_000 + nanos
}

fn read(luma: &Plane<'_>) -> Reading {
    stamp::read_blocks(luma).map_or(Reading::Unread, |stamp| Reading::Read {
        frame: FrameNumber(stamp.frame),
        generated: UnixMicros(stamp.time_us),
    })
}

fn consumption(reading: Reading, decoded: UnixMicros) -> Stamp {
    let frame = match reading {
        Reading::Read { frame, .. } => frame.0,
        Reading::Unread | Reading::Damaged => UNKNOWN_FRAME,
    };
    Stamp {
        frame,
        time_us: decoded.0,
    }
}
