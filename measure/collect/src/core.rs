//! The state of the collector, without sockets, files or clocks: what was heard, whom it was heard from, what came of it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use timeline::clock_filter::Known;
use timeline::frames_csv::FrameRow;
use timeline::join::{Corrections, Counts, Joiner, Limits, MAX_CLIENTS, MAX_LAG_US};
use timeline::{ClientName, FrameReport, Point, Reading, RtpTimestamp, TracePage, UnixMicros};

use super::clients::{Client, Posted, Rate};
use super::clocks::Clocks;
use super::reporter::{Holder, Reporter};
use result::{ClockMeta, ClockSource, Unreported};

/// What has been shown so far, by all clients together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Pictures that were shown, in all.
    pub shown: u64,
    /// Frames whose stamp was not read.
    pub unread: u64,
    /// When the first picture whose stamp was read had been decoded.
    pub first_shown: Option<UnixMicros>,
    /// The earliest generation time that was shown.
    pub first_generated: Option<UnixMicros>,
    /// The latest generation time that was shown.
    pub generated: Option<UnixMicros>,
    /// How often frames are scheduled, as their numbers tell.
    pub rate: Rate,
    /// The sum of latencies in microseconds, for a live figure.
    pub latency_sum_us: u64,
    /// The number of samples in the sum.
    pub samples: u64,
    /// What clients could not report: the frames are neither known to be shown nor to be lost. At most [`MAX_NAMES`].
    pub unreported: BTreeMap<ClientName, Unreported>,
}

/// What became of the reports of one post.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// The sequence number that is wanted next.
    pub next: u64,
    /// Reports that were new.
    pub new: u64,
    /// Reports that had been taken before.
    pub repeated: u64,
    /// Reports that the client never sent: its queue was full.
    pub skipped: u64,
    /// Reports of times that cannot be: left out.
    pub implausible: u64,
    /// What was wrong with the first of those.
    pub why: Option<&'static str>,
}

/// The reason why a post is not taken, none of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The client's reports are wanted a little later.
    #[error("the client's clock is to be asked, and has not answered yet")]
    ClockAwaited,
    /// The reports would be taken for the other client's.
    #[error("another process reports under this name")]
    Taken,
    /// Each that reports has its place until it is silent.
    #[error("{MAX_CLIENTS} clients report already")]
    Crowded,
    /// More than any client has to report.
    #[error("the client reports more frames than any stream has")]
    TooFast,
    /// The disk does not keep up.
    #[error("{MAX_ROWS} rows wait to be written")]
    Backlog,
}

/// What was known of the clocks at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClocksKnown {
    /// By source: a scraped service, or a client.
    pub sources: BTreeMap<String, ClockMeta>,
    /// By how much a latency may be wrong for those that are known, in microseconds.
    pub uncertainty_us: u64,
}

impl ClocksKnown {
    /// How many clocks have answered.
    pub fn asked(&self) -> usize {
        let clocks = self.sources.values();
        clocks
            .filter(|clock| clock.source == ClockSource::Asked)
            .count()
    }
}

/// Rows that may wait to be written before reports are put off: a quarter of a second of them comes to a few hundred.
pub const MAX_ROWS: usize = 65_536;

/// So many clients' unreported frames are counted: names can be made up.
pub const MAX_NAMES: usize = 1024;

/// How long a client may keep what an earlier collector did not acknowledge.
const POSTED_AGAIN: Duration = Duration::from_mins(10);

/// How long a client that has reported is silent before another may have its place.
const PLACE_KEPT: Duration = Duration::from_mins(1);

/// The state of the collector, without sockets and clocks.
#[derive(Debug)]
pub struct Core {
    joiner: Joiner,
    clients: HashMap<ClientName, Client>,
    clocks: Clocks,
    rows: Vec<FrameRow>,
    progress: Progress,
    now: Duration,
    /// What an earlier collector in the folder has: its clients post again what it could not acknowledge.
    before: HashSet<(ClientName, RtpTimestamp)>,
}

impl Core {
    /// An empty core. With `one_clock`, every source is on this host.
    pub fn new(limits: Limits, one_clock: bool) -> Self {
        Self {
            joiner: Joiner::new(limits),
            clients: HashMap::new(),
            clocks: Clocks::new(one_clock),
            rows: Vec::new(),
            progress: Progress::default(),
            now: Duration::ZERO,
            before: HashSet::new(),
        }
    }

    /// Knows of frames that an earlier collector has written, so that none is taken twice.
    pub fn reported_before(
        &mut self,
        frames: impl IntoIterator<Item = (ClientName, RtpTimestamp)>,
    ) {
        self.before.extend(frames);
    }

    /// Takes what `reporter` posted under a client's name and was read at `arrived`.
    pub fn reports(
        &mut self,
        name: &ClientName,
        reporter: &Reporter,
        reports: &[FrameReport],
        arrived: UnixMicros,
    ) -> Result<Taken, Refused> {
        if self.rows.len() >= MAX_ROWS {
            return Err(Refused::Backlog);
        }
        let next = self.admit(name, reporter, reports.len())?;
        self.joiner.hear(name);
        let Some(last) = reports.last() else {
            return Ok(Taken {
                next,
                ..Taken::default()
            });
        };
        if self.clocks.is_awaited(name.as_str(), self.now) {
            return Err(Refused::ClockAwaited);
        }
        let clocks = Corrections {
            client: self.clocks.apply(name.as_str(), true),
            stamp: self.clocks.of_stamps(),
        };
        let Some(client) = self.clients.get_mut(name) else {
            return Err(Refused::Crowded);
        };
        let mut taken = Taken {
            next: last.sequence.saturating_add(1),
            ..Taken::default()
        };
        let mut unreported = Unreported::default();
        for report in reports {
            let wrong = absurd(report, arrived, clocks);
            if !self.before.is_empty() && self.before.contains(&(name.clone(), key(report))) {
                taken.repeated += 1;
                continue;
            }
            if wrong.is_some() {
                let is_new = client.refuse(report);
                taken.implausible += 1;
                unreported.implausible += u64::from(is_new);
                taken.why = taken.why.or(wrong);
                continue;
            }
            let Posted::New { skipped } = client.post(report) else {
                taken.repeated += 1;
                continue;
            };
            unreported.skipped = unreported.skipped.saturating_add(skipped);
            taken.skipped = taken.skipped.saturating_add(skipped);
            if self.joiner.report(name, report, clocks, &mut self.rows) {
                taken.new += 1;
                client.holder.has_reported = true;
                self.progress.note(report, clocks, arrived);
                self.progress.rate.add(client.follow(report));
            } else {
                taken.implausible += 1;
                unreported.implausible += 1;
                taken.why = taken.why.or(Some(UNTIMELY));
            }
        }
        self.progress.miss(name, unreported);
        Ok(taken)
    }

    /// Finds `reporter` a place under the name, if it may have one. Returns the sequence number that is wanted next.
    fn admit(
        &mut self,
        name: &ClientName,
        reporter: &Reporter,
        reports: usize,
    ) -> Result<u64, Refused> {
        let now = self.now;
        if !self.clients.contains_key(name) {
            if self.clients.len() >= MAX_CLIENTS {
                let silent = self.silent().ok_or(Refused::Crowded)?;
                self.clients.remove(&silent);
                self.joiner.leave(&silent);
            }
            let holder = Holder::new(reporter.clone(), now);
            self.clients.insert(name.clone(), Client::new(holder));
        }
        let client = self.clients.get_mut(name).ok_or(Refused::Crowded)?;
        if !client.holder.is_open_to(reporter, now) {
            return Err(Refused::Taken);
        }
        if !client.holder.allows(reports as u64, now) {
            return Err(Refused::TooFast);
        }
        client.holder.hear(reporter, now);
        Ok(client.next())
    }

    /// The client that makes room for another: one that never reported anything, else one that has not for long.
    fn silent(&self) -> Option<ClientName> {
        let clients = self.clients.iter();
        let silent = clients
            .map(|(name, client)| {
                (
                    client.holder.has_reported,
                    client.holder.silent_for(self.now),
                    name,
                )
            })
            .filter(|(has_reported, silent, _)| !has_reported || *silent >= PLACE_KEPT);
        silent
            .min_by_key(|(has_reported, silent, _)| (*has_reported, std::cmp::Reverse(*silent)))
            .map(|(.., name)| name.clone())
    }

    /// The clock of `source` will be asked: what it posts waits for that.
    pub fn will_ask(&mut self, source: &str) {
        self.clocks.will_ask(source);
    }

    /// The clock of `source` was asked.
    pub fn clock(&mut self, source: &str, known: Known) {
        self.clocks.heard(source, known);
    }

    /// Takes what `source` saw pass.
    pub fn page(&mut self, source: &str, page: &TracePage) {
        let seen = |point: fn(Point) -> bool| page.crossings.iter().any(|one| point(one.point));
        if seen(|point| point == Point::Generated) {
            self.clocks.generates(source);
        }
        if !seen(|point| !point.is_of_a_client()) {
            return;
        }
        let clock = self.clocks.apply(source, false);
        for crossing in &page.crossings {
            self.joiner.crossing(*crossing, clock, &mut self.rows);
        }
    }

    /// Moves time on to `now`, on a clock that never goes back.
    pub fn advance(&mut self, now: Duration) {
        self.now = now;
        if now > POSTED_AGAIN {
            self.before.clear();
        }
        self.joiner.advance(now, &mut self.rows);
    }

    /// The frames whose journey is known as far as it ever will be, on our clock.
    pub fn take_rows(&mut self) -> Vec<FrameRow> {
        std::mem::take(&mut self.rows)
    }

    /// The frames that wait for points of their way, with what is known of each by now.
    pub fn waiting_rows(&self) -> Vec<FrameRow> {
        self.joiner.waiting_rows()
    }

    /// The rest, as it is.
    pub fn finish(&mut self) -> (Vec<FrameRow>, Counts) {
        let joiner = std::mem::replace(
            &mut self.joiner,
            Joiner::new(Limits {
                open: 1,
                ..Limits::default()
            }),
        );
        let counts = joiner.finish(&mut self.rows);
        (self.take_rows(), counts)
    }

    /// What has been shown so far.
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// What could not be joined so far.
    pub fn counts(&self) -> Counts {
        self.joiner.counts()
    }

    /// Frames that wait for their points.
    pub fn waiting(&self) -> usize {
        self.joiner.waiting()
    }

    /// What is known of the clocks by now.
    pub fn clocks(&self) -> ClocksKnown {
        ClocksKnown {
            sources: self.clocks.meta(),
            uncertainty_us: self.clocks.uncertainty_us(),
        }
    }
}

/// The key of the frame that a report is of: its stamp's, where that was read.
fn key(report: &FrameReport) -> RtpTimestamp {
    match report.reading {
        Reading::Read { generated, .. } => RtpTimestamp::from_generated(generated),
        Reading::Unread | Reading::Damaged => report.rtp_timestamp,
    }
}

/// What is told of a picture that came too late or too early to be believed.
const UNTIMELY: &str = "a picture is decoded at most a minute from its generation";

/// What cannot be about a report that was read at `arrived`.
fn absurd(report: &FrameReport, arrived: UnixMicros, clocks: Corrections) -> Option<&'static str> {
    let most = MAX_LAG_US.unsigned_abs();
    if clocks.client.on_our_clock(report.decoded).0 > arrived.0.saturating_add(most) {
        return Some("nobody has decoded what comes a minute from now");
    }
    let far = |at: UnixMicros| at.0.abs_diff(report.decoded.0) > most;
    if far(report.shown) || report.received.is_some_and(far) {
        return Some("a picture is received and shown at most a minute from its decoding");
    }
    None
}

impl Progress {
    /// Counts what a client could not report.
    fn miss(&mut self, name: &ClientName, unreported: Unreported) {
        if unreported == Unreported::default() {
            return;
        }
        if self.unreported.len() < MAX_NAMES || self.unreported.contains_key(name) {
            self.unreported
                .entry(name.clone())
                .or_default()
                .add(unreported);
        }
    }

    fn note(&mut self, report: &FrameReport, clocks: Corrections, arrived: UnixMicros) {
        self.shown += 1;
        let Reading::Read { generated, .. } = report.reading else {
            self.unread += 1;
            return;
        };
        let decoded = clocks.client.on_our_clock(report.decoded);
        let generated = clocks.stamp.on_our_clock(generated);
        self.first_shown.get_or_insert(decoded);
        self.first_generated = Some(
            self.first_generated
                .map_or(generated, |first| first.min(generated)),
        );
        // Nobody has generated what is still to come: one report cannot end a measurement early.
        self.generated = self.generated.max(Some(generated.min(arrived)));
        if let Ok(latency) = u64::try_from(decoded.micros_since(generated)) {
            self.latency_sum_us = self.latency_sum_us.saturating_add(latency);
            self.samples += 1;
        }
    }
}

#[cfg(test)]
#[path = "core_tests.rs"]
mod tests;
