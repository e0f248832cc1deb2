//! The state of the collector, without sockets, files or clocks: what was heard, whom it was heard from, what came of it.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use timeline::clock_exchange::{Estimate, on_our_clock};
use timeline::frames_csv::FrameRow;
use timeline::join::{Counts, Joiner, Limits, MAX_CLIENTS, MAX_LAG_US, Offsets};
use timeline::{ClientName, FrameReport, Point, Reading, TracePage, UnixMicros};

use super::clients::{Client, Posted, Rate};
use super::clocks::Clocks;
use result::ClockMeta;

/// What has been shown so far, by all clients together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
}

/// The client's clock is to be asked and has not answered yet: its reports are wanted a little later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockAwaited;

/// What was known of the clocks at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClocksKnown {
    /// By source: a scraped service, or a client.
    pub sources: BTreeMap<String, ClockMeta>,
    /// By how much a latency may be wrong for those that are known, in microseconds.
    pub uncertainty_us: u64,
}

/// The state of the collector, without sockets and clocks.
#[derive(Debug)]
pub struct Core {
    joiner: Joiner,
    clients: HashMap<ClientName, Client>,
    clocks: Clocks,
    rows: Vec<FrameRow>,
    progress: Progress,
    now: Duration,
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
        }
    }

    /// Takes what a client posted and was read at `arrived`.
    pub fn reports(
        &mut self,
        name: &ClientName,
        reports: &[FrameReport],
        arrived: UnixMicros,
    ) -> Result<Taken, ClockAwaited> {
        if self.clocks.is_awaited(name.as_str(), self.now) {
            return Err(ClockAwaited);
        }
        self.joiner.hear(name);
        let offsets = Offsets {
            client_us: self.clocks.apply(name.as_str(), true),
            stamp_us: self.clocks.stamp_us(),
        };
        let now = self.now;
        let client = known(&mut self.clients, name);
        client.heard = now;
        let mut taken = Taken {
            next: reports
                .last()
                .map_or_else(|| client.next(), |last| last.sequence.saturating_add(1)),
            ..Taken::default()
        };
        let latest = arrived.0.saturating_add(MAX_LAG_US.unsigned_abs());
        for report in reports {
            // Nobody has decoded what comes a minute from now.
            if on_our_clock(report.decoded, offsets.client_us).0 > latest {
                taken.implausible += 1;
                continue;
            }
            let Posted::New { skipped } = client.post(report) else {
                taken.repeated += 1;
                continue;
            };
            taken.skipped = taken.skipped.saturating_add(skipped);
            if self.joiner.report(name, report, offsets, &mut self.rows) {
                taken.new += 1;
                self.progress.note(report, offsets);
                self.progress.rate.add(client.follow(report));
            } else {
                taken.implausible += 1;
            }
        }
        Ok(taken)
    }

    /// The clock of `source` will be asked: what it posts waits for that.
    pub fn will_ask(&mut self, source: &str) {
        self.clocks.will_ask(source);
    }

    /// The clock of `source` was asked.
    pub fn clock(&mut self, source: &str, estimate: Estimate) {
        self.clocks.heard(source, estimate);
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
        let offset_us = self.clocks.apply(source, false);
        for crossing in &page.crossings {
            self.joiner.crossing(*crossing, offset_us, &mut self.rows);
        }
    }

    /// Moves time on to `now`, on a clock that never goes back.
    pub fn advance(&mut self, now: Duration) {
        self.now = now;
        self.joiner.advance(now, &mut self.rows);
    }

    /// The frames whose journey is known as far as it ever will be, on our clock.
    pub fn take_rows(&mut self) -> Vec<FrameRow> {
        std::mem::take(&mut self.rows)
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
        self.progress
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

/// A client, whose place another may have to give it: the one that was silent longest.
fn known<'a>(clients: &'a mut HashMap<ClientName, Client>, name: &ClientName) -> &'a mut Client {
    if !clients.contains_key(name) && clients.len() >= MAX_CLIENTS {
        let silent = clients
            .iter()
            .min_by_key(|(_, client)| client.heard)
            .map(|(name, _)| name.clone());
        silent.and_then(|name| clients.remove(&name));
    }
    clients.entry(name.clone()).or_default()
}

impl Progress {
    fn note(&mut self, report: &FrameReport, offsets: Offsets) {
        self.shown += 1;
        let Reading::Read { generated, .. } = report.reading else {
            self.unread += 1;
            return;
        };
        let decoded = on_our_clock(report.decoded, offsets.client_us);
        let generated = on_our_clock(generated, offsets.stamp_us);
        self.first_shown.get_or_insert(decoded);
        self.first_generated = Some(
            self.first_generated
                .map_or(generated, |first| first.min(generated)),
        );
        self.generated = self.generated.max(Some(generated));
        if let Ok(latency) = u64::try_from(decoded.micros_since(generated)) {
            self.latency_sum_us = self.latency_sum_us.saturating_add(latency);
            self.samples += 1;
        }
    }
}

#[cfg(test)]
#[path = "core_tests.rs"]
mod tests;
