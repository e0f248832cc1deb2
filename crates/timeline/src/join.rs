//! Puts a frame's journey together: crossings from every service's trace and the client's reports, in any order, become
//! one [`FrameRow`] a frame.
//!
//! The key is the RTP timestamp, which is the generation time, so a crossing whose time is more than [`MAX_LAG_US`] from
//! its own key belongs to another stream and is left out. The key repeats after 13 hours: long after a frame is forgotten.
//! Restarts need no care, because keys go on where frame numbers begin again.
//!
//! Memory: at most [`Limits::open`] frames of some 100 bytes and [`Limits::remembered`] keys of some 20; with the default
//! limits, hash tables at their fullest included, under 16 MB.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::frames_csv::{FrameRow, Outcome};
use crate::{Crossing, FrameReport, Point, Reading, RtpTimestamp, UnixMicros};

/// The longest time from generation to a point, either way to allow for clocks that disagree: one minute.
pub const MAX_LAG_US: i64 = 60_000_000;

/// The bounds of a [`Joiner`].
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Frames that wait for their points. When they are all taken, the oldest is given out as it is.
    pub open: usize,
    /// Frames given out that are still known, so that what comes late is not taken for a new frame.
    pub remembered: usize,
    /// How long a frame waits for its points, from the first that was heard of it.
    pub patience: Duration,
    /// How long a frame given out is known: less than the 13 hours after which keys repeat.
    pub memory: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            open: 16_384,
            remembered: 262_144,
            patience: Duration::from_secs(30),
            memory: Duration::from_hours(6),
        }
    }
}

/// What could not be joined, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Crossings whose time and key contradict each other: another stream's.
    pub foreign: u64,
    /// Crossings of a frame that had been given out already, repetitions included.
    pub late_crossings: u64,
    /// Reports of a frame that had been given out as lost. It is given out again, as shown.
    pub late_reports: u64,
    /// Frames given out early, because [`Limits::open`] was reached.
    pub evicted: u64,
    /// Frames that no renderer's trace and no report named: forgotten.
    pub nameless: u64,
    /// Reports whose stamp and RTP timestamp name different frames. The stamp is believed, and `received` is left empty.
    pub mismatched: u64,
}

/// A frame that waits for its points.
#[derive(Clone, Copy, Debug)]
struct Open {
    row: FrameRow,
    reported: bool,
    since: Duration,
    /// Tells this frame from an earlier one of the same key.
    serial: u64,
}

/// What is known of a frame that was given out.
#[derive(Clone, Copy, Debug)]
struct Done {
    shown: bool,
    serial: u64,
}

/// The joiner. Rows come out in no particular order, each as soon as its every point is known, or its patience ends.
#[derive(Debug)]
pub struct Joiner {
    limits: Limits,
    now: Duration,
    serial: u64,
    open: HashMap<RtpTimestamp, Open>,
    /// Keys in the order in which they were opened; some are closed already.
    queue: VecDeque<(RtpTimestamp, u64)>,
    done: HashMap<RtpTimestamp, Done>,
    forget: VecDeque<(RtpTimestamp, u64, Duration)>,
    counts: Counts,
}

impl Joiner {
    /// An empty one.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits: Limits {
                open: limits.open.max(1),
                ..limits
            },
            now: Duration::ZERO,
            serial: 0,
            open: HashMap::new(),
            queue: VecDeque::new(),
            done: HashMap::new(),
            forget: VecDeque::new(),
            counts: Counts::default(),
        }
    }

    /// Takes a crossing that a service saw.
    pub fn crossing(&mut self, crossing: Crossing, rows: &mut Vec<FrameRow>) {
        let Crossing {
            rtp_timestamp: key,
            point,
            at,
        } = crossing;
        if lag_us(key, at).abs() > MAX_LAG_US {
            self.counts.foreign += 1;
            return;
        }
        if self.done.contains_key(&key) {
            self.counts.late_crossings += 1;
            return;
        }
        let open = self.open(key, rows);
        // What a report or an earlier crossing said stays.
        open.row.points[point as usize].get_or_insert(at);
        self.close_if_whole(key, rows);
    }

    /// Takes a report of the client. Whoever can get the same report twice leaves out the second.
    pub fn report(&mut self, report: &FrameReport, rows: &mut Vec<FrameRow>) {
        let mut said = FrameRow::from_report(report);
        if let Reading::Read { generated, .. } = report.reading {
            let key = RtpTimestamp::from_generated(generated);
            if key != report.rtp_timestamp {
                self.counts.mismatched += 1;
                said.rtp_timestamp = key;
                said.points[Point::Received as usize] = None;
            }
        }
        let key = said.rtp_timestamp;
        match self.done.get_mut(&key) {
            Some(done) if done.shown => {
                said.outcome = Outcome::Duplicate;
                rows.push(said);
                return;
            }
            Some(done) => {
                done.shown = true;
                self.counts.late_reports += 1;
                rows.push(said);
                return;
            }
            None => {}
        }
        let open = self.open(key, rows);
        if open.reported {
            said.outcome = Outcome::Duplicate;
            rows.push(said);
            return;
        }
        open.reported = true;
        let crossed = open.row.points;
        open.row = said;
        for (point, crossed) in open.row.points.iter_mut().zip(crossed) {
            *point = point.or(crossed);
        }
        self.close_if_whole(key, rows);
    }

    /// It is `now`, on any clock that never goes back. Gives out every frame whose patience has ended.
    pub fn advance(&mut self, now: Duration, rows: &mut Vec<FrameRow>) {
        self.now = self.now.max(now);
        while let Some((key, serial)) = self.queue.front().copied() {
            let waits = self.open.get(&key).filter(|open| open.serial == serial);
            if waits.is_some_and(|open| self.now.saturating_sub(open.since) < self.limits.patience)
            {
                break;
            }
            self.queue.pop_front();
            if waits.is_some() {
                self.close(key, rows);
            }
        }
        while self
            .forget
            .front()
            .is_some_and(|(_, _, until)| *until <= self.now)
        {
            self.forget_oldest();
        }
    }

    /// Gives out every frame that still waits, as it is, oldest first.
    pub fn finish(mut self, rows: &mut Vec<FrameRow>) -> Counts {
        while let Some((key, serial)) = self.queue.pop_front() {
            if self
                .open
                .get(&key)
                .is_some_and(|open| open.serial == serial)
            {
                self.close(key, rows);
            }
        }
        self.counts
    }

    /// What could not be joined so far.
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// How many frames wait.
    pub fn waiting(&self) -> usize {
        self.open.len()
    }

    fn open(&mut self, key: RtpTimestamp, rows: &mut Vec<FrameRow>) -> &mut Open {
        if !self.open.contains_key(&key) {
            self.make_room(rows);
            self.queue.push_back((key, self.serial));
        }
        let (since, serial) = (self.now, self.serial);
        self.open.entry(key).or_insert_with(|| {
            self.serial += 1;
            Open {
                row: FrameRow::new(key, Outcome::Lost),
                reported: false,
                since,
                serial,
            }
        })
    }

    fn make_room(&mut self, rows: &mut Vec<FrameRow>) {
        // Frames that closed early leave their place in the queue behind, which must not outgrow its own bound.
        while self.open.len() >= self.limits.open || self.queue.len() >= 2 * self.limits.open {
            let Some((key, serial)) = self.queue.pop_front() else {
                break;
            };
            if self
                .open
                .get(&key)
                .is_some_and(|open| open.serial == serial)
            {
                self.counts.evicted += 1;
                self.close(key, rows);
            }
        }
    }

    fn close_if_whole(&mut self, key: RtpTimestamp, rows: &mut Vec<FrameRow>) {
        if self
            .open
            .get(&key)
            .is_some_and(|open| open.reported && open.row.has_every_point())
        {
            self.close(key, rows);
        }
    }

    fn close(&mut self, key: RtpTimestamp, rows: &mut Vec<FrameRow>) {
        let Some(open) = self.open.remove(&key) else {
            return;
        };
        if open.reported || open.row.at(Point::Generated).is_some() {
            rows.push(open.row);
        } else {
            self.counts.nameless += 1;
        }
        while self.forget.len() >= self.limits.remembered {
            self.forget_oldest();
            if self.limits.remembered == 0 {
                return;
            }
        }
        self.done.insert(
            key,
            Done {
                shown: open.reported,
                serial: open.serial,
            },
        );
        self.forget
            .push_back((key, open.serial, self.now + self.limits.memory));
    }

    fn forget_oldest(&mut self) {
        if let Some((key, serial, _)) = self.forget.pop_front()
            && self
                .done
                .get(&key)
                .is_some_and(|done| done.serial == serial)
        {
            self.done.remove(&key);
        }
    }
}

/// From the generation time that is in `key` to `at`, in microseconds, taken around the wrap.
fn lag_us(key: RtpTimestamp, at: UnixMicros) -> i64 {
    i64::from(RtpTimestamp::from_generated(at).ticks_since(key)) * 100 / 9
}

#[cfg(test)]
#[path = "join_tests.rs"]
mod tests;
