//! One client's reports: which of them are new, and how many it never sent.

use std::collections::{HashSet, VecDeque};

use timeline::{FrameReport, Reading};

use super::reporter::Holder;

/// Reports of a client that are known again when it posts them again: more than it posts at a time.
const REMEMBERED: usize = 8_192;

/// The longest gap that is taken for reports that the client dropped: hours of them. A longer one is another count.
const MAX_GAP: u64 = 1_000_000;

/// What a report is known by: its number, and the time of its picture, which a client that begins anew does not repeat.
type Mark = (u64, u64);

/// What is known of a client.
#[derive(Debug)]
pub(super) struct Client {
    /// Who reports under its name.
    pub(super) holder: Holder,
    next: u64,
    /// Reports since the last one that counted whose times cannot be: their numbers are no gap.
    refused: u64,
    marks: HashSet<Mark>,
    oldest: VecDeque<Mark>,
    /// Number and generation time of the last frame whose stamp was read.
    last: Option<(u32, u64)>,
}

/// Ticks of a schedule, and the time that they took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    ticks: u64,
    us: u64,
}

impl Rate {
    /// More of the same schedule.
    pub(super) fn add(&mut self, more: Self) {
        self.ticks = self.ticks.saturating_add(more.ticks);
        self.us = self.us.saturating_add(more.us);
    }

    /// Frames a second, to a thousandth; 0 while nothing is known.
    pub fn fps(&self) -> f64 {
        if self.us == 0 {
            return 0.0;
        }
        (self.ticks as f64 * 1e9 / self.us as f64).round() / 1e3
    }
}

/// What a report is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Posted {
    /// The report is new; so many numbers were skipped right before it.
    New {
        /// Reports that the client never sent: its queue was full.
        skipped: u64,
    },
    /// The report was posted before.
    Again,
}

impl Client {
    /// One that has reported nothing yet.
    pub(super) fn new(holder: Holder) -> Self {
        Self {
            holder,
            next: 0,
            refused: 0,
            marks: HashSet::new(),
            oldest: VecDeque::new(),
            last: None,
        }
    }

    /// The number that would follow the last report.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// How far a frame lies after the last one in its schedule: numbers are ticks. Nothing where the renderer began anew.
    pub(super) fn follow(&mut self, report: &FrameReport) -> Rate {
        let Reading::Read { frame, generated } = report.reading else {
            return Rate::default();
        };
        let last = self.last.replace((frame.0, generated.0));
        let step = last.and_then(|(number, at)| {
            let ticks = u64::from(frame.0.checked_sub(number)?);
            let us = generated.0.checked_sub(at)?;
            // From one frame a second to 500: what is beyond is another schedule.
            let is_one = ticks > 0 && (2_000..=1_000_000).contains(&(us / ticks));
            is_one.then_some(Rate { ticks, us })
        });
        step.unwrap_or_default()
    }

    /// Counts a report that a client posted. Numbers only count gaps: a client that begins anew, or one absurd number, makes
    /// nothing that follows a repetition.
    pub(super) fn post(&mut self, report: &FrameReport) -> Posted {
        if !self.remember(report) {
            return Posted::Again;
        }
        let gap = report.sequence.saturating_sub(self.next);
        self.next = report.sequence.saturating_add(1);
        let refused = std::mem::take(&mut self.refused);
        Posted::New {
            skipped: if gap > MAX_GAP {
                0
            } else {
                gap.saturating_sub(refused)
            },
        }
    }

    /// Leaves out a report whose times cannot be; its number, which may be as wrong, counts no gap. Returns whether the report is new.
    pub(super) fn refuse(&mut self, report: &FrameReport) -> bool {
        let is_new = self.remember(report);
        self.refused += u64::from(is_new);
        is_new
    }

    /// Knows the report from now on, among the last ones. Returns whether it is new.
    fn remember(&mut self, report: &FrameReport) -> bool {
        let mark = (report.sequence, report.decoded.0);
        if !self.marks.insert(mark) {
            return false;
        }
        self.oldest.push_back(mark);
        if self.oldest.len() > REMEMBERED
            && let Some(oldest) = self.oldest.pop_front()
        {
            self.marks.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use timeline::{Reading, RtpTimestamp, UnixMicros};

    use super::*;
    use crate::reporter::Reporter;

    fn client() -> Client {
        Client::new(Holder::new(Reporter::default(), Duration::ZERO))
    }

    fn report(sequence: u64, decoded: u64) -> FrameReport {
        FrameReport {
            sequence,
            rtp_timestamp: RtpTimestamp(7),
            reading: Reading::Unread,
            received: None,
            decoded: UnixMicros(decoded),
            shown: UnixMicros(decoded),
        }
    }

    const NEW: Posted = Posted::New { skipped: 0 };

    #[test]
    fn what_is_posted_again_is_known_and_gaps_are_counted() {
        let mut client = client();
        assert_eq!(client.post(&report(0, 1_000)), NEW);
        assert_eq!(client.post(&report(1, 2_000)), NEW);
        assert_eq!(client.post(&report(0, 1_000)), Posted::Again);
        assert_eq!(client.post(&report(1, 2_000)), Posted::Again);
        assert_eq!(client.post(&report(4, 5_000)), Posted::New { skipped: 2 });
        assert_eq!(client.next(), 5);
    }

    #[test]
    fn a_client_that_begins_anew_is_heard_whatever_its_clock_says() {
        let mut client = client();
        for n in 0..100 {
            assert_eq!(client.post(&report(n, 1_000_000 + n)), NEW);
        }
        for n in 0..100 {
            assert_eq!(client.post(&report(n, n)), NEW, "an hour earlier");
        }
    }

    #[test]
    fn an_absurd_number_makes_nobody_deaf_and_skips_nothing() {
        let mut client = client();
        assert_eq!(client.post(&report(0, 1_000)), NEW);
        assert_eq!(client.post(&report(u64::MAX, u64::MAX)), NEW);
        assert_eq!(client.post(&report(u64::MAX, u64::MAX - 1)), NEW);
        for n in 1..100 {
            assert_eq!(client.post(&report(n, 1_000 + n)), NEW);
        }
    }

    #[test]
    fn the_rate_is_told_by_the_numbers_of_frames() {
        let mut client = client();
        let mut rate = Rate::default();
        let frames = (0..300_u32).filter(|n| n % 7 != 3).chain(0..100);
        for (n, number) in frames.enumerate() {
            // The renderer begins anew after some of them, a minute later.
            let begun = if n < 257 { 0 } else { 60_000_000 };
            let generated = UnixMicros(begun + u64::from(number) * 1_001_000 / 60);
            let shown = FrameReport {
                reading: Reading::Read {
                    frame: timeline::FrameNumber(number),
                    generated,
                },
                ..report(0, 0)
            };
            rate.add(client.follow(&shown));
        }
        assert!((rate.fps() - 59.940).abs() < 0.001, "{}", rate.fps());
    }

    #[test]
    fn memory_is_bounded() {
        let mut client = client();
        for n in 0..3 * REMEMBERED as u64 {
            assert_eq!(client.post(&report(n, n)), NEW);
        }
        assert_eq!(client.marks.len(), REMEMBERED);
        assert_eq!(client.oldest.len(), REMEMBERED);
    }
}
