//! The state of the collector, without sockets, files or clocks: what was heard, whom it was heard from, what came of it.

use std::collections::HashMap;
use std::time::Duration;

use timeline::clock_exchange::Estimate;
use timeline::frames_csv::{FrameRow, Outcome};
use timeline::join::{Counts, Joiner, Limits};
use timeline::{FrameReport, Point, Reading, TracePage, UnixMicros};

/// Clients that are remembered, so that a repeated post is not taken for new frames. The one that was silent longest goes.
const MAX_CLIENTS: usize = 64;

/// What a run waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Pictures that were shown, in all.
    pub shown: u64,
    /// Those of them whose stamp was not read.
    pub unread: u64,
    /// When the first picture whose stamp was read had been decoded.
    pub first_shown: Option<UnixMicros>,
    /// The latest generation time that was shown.
    pub generated: Option<UnixMicros>,
    /// The sum and number of latencies, in microseconds, for a live figure.
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
}

#[derive(Debug)]
struct Client {
    next: u64,
    last: UnixMicros,
    heard: Duration,
}

/// The collector's state.
#[derive(Debug)]
pub struct Core {
    joiner: Joiner,
    clients: HashMap<String, Client>,
    rows: Vec<FrameRow>,
    /// How far the clock of the service that sees each point is from ours; none on one host.
    offsets: [Option<Estimate>; 6],
    progress: Progress,
    now: Duration,
}

impl Core {
    /// An empty one.
    pub fn new(limits: Limits) -> Self {
        Self {
            joiner: Joiner::new(limits),
            clients: HashMap::new(),
            rows: Vec::new(),
            offsets: [None; 6],
            progress: Progress::default(),
            now: Duration::ZERO,
        }
    }

    /// Takes what a client posted.
    pub fn reports(&mut self, client: &str, reports: &[FrameReport]) -> Taken {
        if !self.clients.contains_key(client) && self.clients.len() >= MAX_CLIENTS {
            let silent = self
                .clients
                .iter()
                .min_by_key(|(_, client)| client.heard)
                .map(|(name, _)| name.clone());
            silent.and_then(|name| self.clients.remove(&name));
        }
        let now = self.now;
        let known = self.clients.entry(client.to_owned()).or_insert(Client {
            next: 0,
            last: UnixMicros(0),
            heard: now,
        });
        known.heard = now;
        let mut taken = Taken::default();
        for report in reports {
            // A client that was started again under its old name counts from 0 again, in later times.
            if report.sequence < known.next && report.decoded <= known.last {
                taken.repeated += 1;
                continue;
            }
            taken.skipped += report.sequence.saturating_sub(known.next);
            known.next = report.sequence.saturating_add(1);
            known.last = known.last.max(report.decoded);
            taken.new += 1;
            self.progress.note(report);
            self.joiner.report(report, &mut self.rows);
        }
        taken.next = known.next;
        taken
    }

    /// Takes what a service saw pass, with the estimate of its clock where it is on another host.
    pub fn page(&mut self, page: &TracePage, clock: Option<Estimate>) {
        for crossing in &page.crossings {
            self.offsets[crossing.point as usize] = clock;
            self.joiner.crossing(*crossing, &mut self.rows);
        }
    }

    /// It is `now`, on a clock that never goes back.
    pub fn advance(&mut self, now: Duration) {
        self.now = now;
        self.joiner.advance(now, &mut self.rows);
    }

    /// The frames whose journey is known as far as it ever will be, on our clock.
    pub fn take_rows(&mut self) -> Vec<FrameRow> {
        let mut rows = std::mem::take(&mut self.rows);
        for row in &mut rows {
            self.on_our_clock(row);
        }
        rows
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

    /// What a run waits for.
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

    /// The uncertainty of a latency in microseconds: that of both clocks that it is the difference of.
    pub fn uncertainty_us(&self) -> u64 {
        let of =
            |point: Point| self.offsets[point as usize].map_or(0, |clock| clock.uncertainty_us);
        of(Point::Generated).saturating_add(of(Point::Decoded))
    }

    fn on_our_clock(&self, row: &mut FrameRow) {
        for (at, offset) in row.points.iter_mut().zip(self.offsets) {
            if let (Some(at), Some(offset)) = (at, offset) {
                *at = ours(offset, *at);
            }
        }
        if let (Some(shown), Some(offset)) = (&mut row.shown, self.offsets[Point::Decoded as usize])
        {
            *shown = ours(offset, *shown);
        }
    }
}

/// An offset that may well be none is taken for none: two readings of one host's clock must stay what they are.
fn ours(clock: Estimate, at: UnixMicros) -> UnixMicros {
    if clock.offset_us.unsigned_abs() > clock.uncertainty_us {
        clock.to_ours(at)
    } else {
        at
    }
}

impl Progress {
    fn note(&mut self, report: &FrameReport) {
        self.shown += 1;
        let Reading::Read { generated, .. } = report.reading else {
            self.unread += 1;
            return;
        };
        self.first_shown.get_or_insert(report.decoded);
        self.generated = self.generated.max(Some(generated));
        if let Ok(latency) = u64::try_from(report.decoded.micros_since(generated)) {
            self.latency_sum_us = self.latency_sum_us.saturating_add(latency);
            self.samples += 1;
        }
    }
}

/// Whether a row is a sample of the latency.
pub fn is_sample(row: &FrameRow) -> bool {
    row.outcome == Outcome::Shown
}

#[cfg(test)]
mod tests {
    use timeline::{Crossing, FrameNumber, RtpTimestamp};

    use super::*;

    const START: u64 = 1_763_000_000_000_000;

    fn generated(n: u64) -> UnixMicros {
        UnixMicros(START + n * 16_667)
    }

    fn report(sequence: u64, n: u64) -> FrameReport {
        let decoded = UnixMicros(generated(n).0 + 10_000);
        FrameReport {
            sequence,
            rtp_timestamp: RtpTimestamp::from_generated(generated(n)),
            reading: Reading::Read {
                frame: FrameNumber(u32::try_from(n).expect("small")),
                generated: generated(n),
            },
            received: Some(UnixMicros(decoded.0 - 2_000)),
            decoded,
            shown: decoded,
        }
    }

    fn page(n: u64, ahead_us: u64, points: &[Point]) -> TracePage {
        let crossings = points.iter().map(|&point| Crossing {
            rtp_timestamp: RtpTimestamp::from_generated(generated(n)),
            point,
            at: UnixMicros(generated(n).0 + 1_000 * point as u64 + ahead_us),
        });
        TracePage {
            crossings: crossings.collect(),
            ..TracePage::default()
        }
    }

    #[test]
    fn a_repeated_post_adds_nothing_and_a_restarted_client_goes_on() {
        let mut core = Core::new(Limits::default());
        let batch: Vec<_> = (0..10).map(|n| report(n, n)).collect();
        assert_eq!(
            core.reports("a", &batch),
            Taken {
                next: 10,
                new: 10,
                ..Taken::default()
            }
        );
        assert_eq!(
            core.reports("a", &batch),
            Taken {
                next: 10,
                repeated: 10,
                ..Taken::default()
            }
        );
        assert_eq!(
            core.reports("b", &[]),
            Taken::default(),
            "an empty post asks what is wanted"
        );
        assert_eq!(core.reports("a", &[report(12, 12)]).skipped, 2);
        assert_eq!(
            core.reports("a", &[report(0, 20)]),
            Taken {
                next: 1,
                new: 1,
                ..Taken::default()
            }
        );
        assert_eq!(core.progress().shown, 12);
        assert_eq!(core.progress().generated, Some(generated(20)));
    }

    #[test]
    fn clients_are_bounded() {
        let mut core = Core::new(Limits::default());
        for n in 0..1_000 {
            core.advance(Duration::from_secs(n));
            core.reports(&format!("c{n}"), &[]);
        }
        assert_eq!(core.clients.len(), MAX_CLIENTS);
        assert!(core.clients.contains_key("c999"));
    }

    #[test]
    fn a_frame_is_given_out_once_with_every_point() {
        let mut core = Core::new(Limits::default());
        core.page(&page(5, 0, &[Point::Generated, Point::Encoded]), None);
        core.reports("a", &[report(0, 5)]);
        assert!(
            core.take_rows().is_empty(),
            "the streamer has not been heard"
        );
        core.page(&page(5, 0, &[Point::Ingested, Point::Relayed]), None);
        let rows = core.take_rows();
        assert_eq!(rows.len(), 1);
        assert!(rows[0].has_every_point() && rows[0].latency_us() == Some(10_000));
        core.page(&page(6, 0, &[Point::Generated]), None);
        let (rest, _) = core.finish();
        assert_eq!(
            rest.iter().map(|row| row.outcome).collect::<Vec<_>>(),
            [Outcome::Lost]
        );
    }

    #[test]
    fn another_hosts_clock_is_put_right_and_our_own_is_left_alone() {
        let far = Estimate {
            offset_us: 500_000,
            uncertainty_us: 300,
        };
        let here = Estimate {
            offset_us: 40,
            uncertainty_us: 60,
        };
        let mut core = Core::new(Limits::default());
        core.page(
            &page(1, 500_000, &[Point::Ingested, Point::Relayed]),
            Some(far),
        );
        core.page(&page(1, 0, &[Point::Generated, Point::Encoded]), Some(here));
        core.reports("a", &[report(0, 1)]);
        let rows = core.take_rows();
        assert_eq!(rows[0].at(Point::Generated), Some(generated(1)));
        assert_eq!(
            rows[0].at(Point::Relayed),
            Some(UnixMicros(generated(1).0 + 3_000))
        );
        assert_eq!(core.uncertainty_us(), 60);
    }
}
