//! Puts a frame's journey together: crossings from every service's trace and the client's reports, in any order, become
//! one [`FrameRow`] for each client that showed a frame, and one for a frame that none did.
//!
//! The key is the RTP timestamp, which is the generation time, so what is more than [`MAX_LAG_US`] from its own key belongs
//! to another stream, or to a clock that is not set, and is left out. The key repeats after 13 hours: long after a frame is
//! forgotten. Restarts need no care, because keys go on where frame numbers begin again.
//!
//! Every time is put on the collector's clock as it comes in, by the [`Correction`] that its source has then.
//!
//! Memory: at most [`Limits::open`] frames of some 150 bytes and a row for each of their clients, and [`Limits::remembered`]
//! keys of some 30; with the default limits and one client, hash tables at their fullest included, under 24 MB.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::time::Duration;

use crate::clock_filter::Correction;
use crate::frames_csv::{FrameRow, Outcome};
use crate::{ClientName, Crossing, FrameReport, Point, Reading, RtpTimestamp, UnixMicros};

/// The longest time from generation to a point, either way to allow for clocks that disagree: one minute.
pub const MAX_LAG_US: i64 = 60_000_000;

/// Clients that are told apart at a time. The one that was silent longest makes room for another.
pub const MAX_CLIENTS: usize = 64;

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
    /// Reports of pictures that were decoded more than [`MAX_LAG_US`] from their generation: of a clock that is not set, or
    /// forged. They are left out.
    pub implausible: u64,
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

impl fmt::Display for Counts {
    /// What there is any of, in words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [
            (self.foreign, "crossings of other streams"),
            (self.implausible, "implausible reports"),
            (self.late_crossings, "late crossings"),
            (self.late_reports, "late reports"),
            (self.evicted, "frames given out early"),
            (self.nameless, "crossings of frames that nobody named"),
            (
                self.mismatched,
                "stamps of another frame than their packets",
            ),
        ];
        let mut before = "";
        for (count, what) in counts.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, "{before}{count} {what}")?;
            before = ", ";
        }
        if before.is_empty() {
            f.write_str("everything could be joined")?;
        }
        Ok(())
    }
}

/// What puts the times of a report on our clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Corrections {
    /// The correction of the client's clock.
    pub client: Correction,
    /// The correction of the clock that the stamps are drawn from, as far as it is known before the renderer's trace is.
    pub stamp: Correction,
}

/// A set of clients, by their slots.
type Slots = u64;

/// A client that reports.
#[derive(Clone, Debug)]
struct Client {
    name: ClientName,
    /// When it was heard last; none once it has left.
    heard: Option<Duration>,
}

/// A frame that waits for its points, or for clients that may still report it.
#[derive(Clone, Debug)]
struct Open {
    /// When it passed the points that services see.
    crossed: [Option<UnixMicros>; 6],
    /// Rows of clients that wait for some of these.
    rows: Vec<FrameRow>,
    /// Who has reported it.
    shown_by: Slots,
    since: Duration,
    /// Tells this frame from an earlier one of the same key.
    serial: u64,
}

/// What is known of a frame that was given out.
#[derive(Clone, Copy, Debug)]
struct Done {
    shown_by: Slots,
    serial: u64,
}

/// Joins crossings and reports into one row for each frame and client. Rows come out in no particular order, each as soon as
/// its every point is known, or its patience ends.
#[derive(Debug)]
pub struct Joiner {
    limits: Limits,
    now: Duration,
    serial: u64,
    /// By slot, at most [`MAX_CLIENTS`].
    clients: Vec<Client>,
    open: HashMap<RtpTimestamp, Open>,
    /// Keys in the order in which they were opened; some are closed already.
    queue: VecDeque<(RtpTimestamp, u64)>,
    done: HashMap<RtpTimestamp, Done>,
    forget: VecDeque<(RtpTimestamp, u64, Duration)>,
    counts: Counts,
}

impl Joiner {
    /// A joiner that waits for nothing yet.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits: Limits {
                open: limits.open.max(1),
                ..limits
            },
            now: Duration::ZERO,
            serial: 0,
            clients: Vec::new(),
            open: HashMap::new(),
            queue: VecDeque::new(),
            done: HashMap::new(),
            forget: VecDeque::new(),
            counts: Counts::default(),
        }
    }

    /// Takes a crossing that a service saw, whose clock `clock` puts right. Points of a client are left out: they
    /// are in its reports.
    pub fn crossing(&mut self, crossing: Crossing, clock: Correction, rows: &mut Vec<FrameRow>) {
        let Crossing {
            rtp_timestamp: key,
            point,
            at,
        } = crossing;
        if point.is_of_a_client() {
            return;
        }
        // The key is the generation time itself, on the clock that both were read from.
        let belongs = if point == Point::Generated {
            RtpTimestamp::from_generated(at) == key
        } else {
            lag_us(key, clock.on_our_clock(at)).abs() <= MAX_LAG_US
        };
        if !belongs {
            self.counts.foreign += 1;
            return;
        }
        if self.done.contains_key(&key) {
            self.counts.late_crossings += 1;
            return;
        }
        let open = self.open(key, rows);
        // What an earlier crossing said stays.
        open.crossed[point as usize].get_or_insert_with(|| clock.on_our_clock(at));
        let crossed = open.crossed;
        for mut row in open.rows.extract_if(.., |row| is_whole(row, &crossed)) {
            fill(&mut row, &crossed);
            rows.push(row);
        }
        self.close_if_whole(key, rows);
    }

    /// Takes a report of `client`. Whoever can get the same report twice leaves out the second. Returns whether it was
    /// plausible.
    pub fn report(
        &mut self,
        client: &ClientName,
        report: &FrameReport,
        clocks: Corrections,
        rows: &mut Vec<FrameRow>,
    ) -> bool {
        let mut said = FrameRow::from_report(report);
        said.client = Some(client.clone());
        let clients = [&mut said.points[Point::Received as usize], &mut said.shown];
        for at in clients.into_iter().flatten() {
            *at = clocks.client.on_our_clock(*at);
        }
        let decoded = clocks.client.on_our_clock(report.decoded);
        said.set(Point::Decoded, decoded);
        if let Reading::Read { generated, .. } = report.reading {
            let ours = clocks.stamp.on_our_clock(generated);
            if decoded.0.abs_diff(ours.0) > MAX_LAG_US.unsigned_abs() {
                self.counts.implausible += 1;
                return false;
            }
            said.set(Point::Generated, ours);
            let key = RtpTimestamp::from_generated(generated);
            if key != report.rtp_timestamp {
                self.counts.mismatched += 1;
                said.rtp_timestamp = key;
                said.points[Point::Received as usize] = None;
            }
        }
        let key = said.rtp_timestamp;
        let slot = self.hear(client);
        if let Some(done) = self.done.get_mut(&key) {
            if done.shown_by & slot != 0 {
                said.outcome = Outcome::Duplicate;
            } else if done.shown_by == 0 {
                self.counts.late_reports += 1;
            }
            done.shown_by |= slot;
            rows.push(said);
            return true;
        }
        let open = self.open(key, rows);
        if open.shown_by & slot != 0 {
            said.outcome = Outcome::Duplicate;
            rows.push(said);
            return true;
        }
        open.shown_by |= slot;
        if is_whole(&said, &open.crossed) {
            fill(&mut said, &open.crossed);
            rows.push(said);
        } else {
            open.rows.push(said);
        }
        self.close_if_whole(key, rows);
        true
    }

    /// Knows of a client before it reports a frame, so that frames wait for its reports of them. Returns its slot.
    pub fn hear(&mut self, client: &ClientName) -> u64 {
        let now = self.now;
        let known = self.clients.iter().position(|known| known.name == *client);
        let place = known.unwrap_or_else(|| self.admit(client));
        if let Some(known) = self.clients.get_mut(place) {
            known.heard = Some(now);
        }
        1 << place
    }

    /// No frame waits for this client any more, and it is the first to make room for another.
    pub fn leave(&mut self, client: &ClientName) {
        for known in &mut self.clients {
            if known.name == *client {
                known.heard = None;
            }
        }
    }

    fn admit(&mut self, client: &ClientName) -> usize {
        let new = Client {
            name: client.clone(),
            heard: Some(self.now),
        };
        if self.clients.len() < MAX_CLIENTS {
            self.clients.push(new);
            return self.clients.len() - 1;
        }
        let silent = (0..self.clients.len())
            .min_by_key(|place| self.clients[*place].heard)
            .unwrap_or(0);
        self.clients[silent] = new;
        // What the one before it showed, this one did not.
        let others = !(1_u64 << silent);
        for open in self.open.values_mut() {
            open.shown_by &= others;
        }
        for done in self.done.values_mut() {
            done.shown_by &= others;
        }
        silent
    }

    /// The clients that may still report a frame: those that have been heard of late.
    fn present(&self) -> Slots {
        let heard = self.clients.iter().enumerate();
        let is_present = |heard| self.now.saturating_sub(heard) < self.limits.patience;
        heard
            .filter(|(_, client)| client.heard.is_some_and(is_present))
            .fold(0, |slots, (place, _)| slots | 1 << place)
    }

    /// Moves the joiner's time on to `now`, on any clock that never goes back. Gives out every frame whose patience has
    /// ended.
    pub fn advance(&mut self, now: Duration, rows: &mut Vec<FrameRow>) {
        self.now = self.now.max(now);
        while let Some((key, serial)) = self.queue.front().copied() {
            let waits = self.open.get(&key).filter(|open| open.serial == serial);
            if waits.is_some_and(|open| self.now.saturating_sub(open.since) < self.limits.patience)
            {
                break;
            }
            let waits = waits.is_some();
            self.queue.pop_front();
            if waits {
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

    /// The rows that closing every waiting frame would give out, oldest first, with what is known of each by now.
    pub fn waiting_rows(&self) -> Vec<FrameRow> {
        let mut rows = Vec::new();
        for (key, serial) in &self.queue {
            let open = self.open.get(key).filter(|open| open.serial == *serial);
            if let Some(open) = open {
                rows.extend(lost(*key, open));
                rows.extend(open.rows.iter().cloned().map(|row| filled(row, open)));
            }
        }
        rows
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
                crossed: [None; 6],
                rows: Vec::new(),
                shown_by: 0,
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

    /// Closes a frame of which everything is known: by the services, and by every client that is there.
    fn close_if_whole(&mut self, key: RtpTimestamp, rows: &mut Vec<FrameRow>) {
        let present = self.present();
        let whole = self.open.get(&key).is_some_and(|open| {
            let crossed = Point::ALL
                .into_iter()
                .filter(|point| *point != Point::Generated && !point.is_of_a_client())
                .all(|point| open.crossed[point as usize].is_some());
            crossed && open.rows.is_empty() && open.shown_by != 0 && present & !open.shown_by == 0
        });
        if whole {
            self.close(key, rows);
        }
    }

    fn close(&mut self, key: RtpTimestamp, rows: &mut Vec<FrameRow>) {
        let Some(open) = self.open.remove(&key) else {
            return;
        };
        let lost = lost(key, &open);
        self.counts.nameless += u64::from(open.shown_by == 0 && lost.is_none());
        rows.extend(lost);
        rows.extend(open.rows.iter().cloned().map(|row| filled(row, &open)));
        while self.forget.len() >= self.limits.remembered {
            self.forget_oldest();
            if self.limits.remembered == 0 {
                return;
            }
        }
        let done = Done {
            shown_by: open.shown_by,
            serial: open.serial,
        };
        self.done.insert(key, done);
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

/// Whether every point of a row is known once it is [filled](fill).
fn is_whole(row: &FrameRow, crossed: &[Option<UnixMicros>; 6]) -> bool {
    let mut points = row.points.iter().zip(crossed);
    points.all(|(said, crossed)| said.or(*crossed).is_some())
}

/// Puts into a row what the services saw. The stamp's time is the renderer's, who also says whose clock it was read from.
fn fill(row: &mut FrameRow, crossed: &[Option<UnixMicros>; 6]) {
    for (said, crossed) in row.points.iter_mut().zip(crossed) {
        *said = crossed.or(*said);
    }
}

/// The row with what the services saw of its frame.
fn filled(mut row: FrameRow, open: &Open) -> FrameRow {
    fill(&mut row, &open.crossed);
    row
}

/// The row of a frame that a renderer generated and nobody reported.
fn lost(key: RtpTimestamp, open: &Open) -> Option<FrameRow> {
    let is_lost = open.shown_by == 0 && open.crossed[Point::Generated as usize].is_some();
    is_lost.then(|| filled(FrameRow::new(key, Outcome::Lost), open))
}

/// From the generation time that is in `key` to `at`, in microseconds, taken around the wrap.
fn lag_us(key: RtpTimestamp, at: UnixMicros) -> i64 {
    i64::from(RtpTimestamp::from_generated(at).ticks_since(key)) * 100 / 9
}

#[cfg(test)]
#[path = "join_tests.rs"]
mod tests;
