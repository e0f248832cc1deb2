//! Any bytes as what clients post and services answer, and any reports and crossings in any order: what is read is written and
//! read again as it was, every report is counted once, and every one that was taken is given out as one row.
#![no_main]

use std::time::Duration;

use collect::core::Core;
use collect::reporter::Reporter;
use collect::reports;
use libfuzzer_sys::fuzz_target;
use timeline::clock_exchange::{Estimate, Exchange, ServerTimes};
use timeline::frames_csv::Outcome;
use timeline::join::Limits;
use timeline::{
    ClientName, Crossing, FrameNumber, FrameReport, Point, Reading, RtpTimestamp, TracePage,
    UnixMicros,
};

const START: u64 = 1_763_000_000_000_000;

/// Small, so that short inputs come to it.
const LIMITS: Limits = Limits {
    open: 16,
    remembered: 32,
    patience: Duration::from_secs(30),
    memory: Duration::from_secs(60),
};

/// More sources than a collector tells apart.
const SOURCES: u8 = 70;

/// A time of a schedule, of any microsecond near it, or one that cannot be.
fn time(number: u32) -> UnixMicros {
    let low = u64::from(number & 0x3fff_ffff);
    UnixMicros(match number >> 30 {
        0 => START + (low & 0x3f) * 16_667,
        1 => START + low / 4,
        2 => low,
        _ => u64::MAX - low,
    })
}

/// A collector, and what must come out of it.
struct Collector {
    core: Core,
    taken: u64,
    rows: Vec<timeline::frames_csv::FrameRow>,
}

impl Collector {
    fn post(&mut self, source: u8, reports: &[FrameReport]) {
        let name = ClientName::new(&source_name(source)).expect("a name");
        let arrived = UnixMicros(START + 10_000_000);
        if let Ok(taken) = self.core.reports(&name, &Reporter::default(), reports, arrived) {
            let counted = taken.new + taken.repeated + taken.implausible;
            assert_eq!(counted, reports.len() as u64);
            self.taken += taken.new;
        }
    }

    fn check(&mut self) {
        assert!(self.core.waiting() <= LIMITS.open);
        self.rows.append(&mut self.core.take_rows());
    }
}

fn source_name(source: u8) -> String {
    format!("source-{}", source % SOURCES)
}

fuzz_target!(|input: (bool, Vec<(u8, u8, [u32; 4])>, &[u8])| {
    let (one_clock, steps, bytes) = input;
    let mut collector = Collector {
        core: Core::new(LIMITS, one_clock),
        taken: 0,
        rows: Vec::new(),
    };

    if let Ok(read) = reports::parse(bytes) {
        let lines: Vec<_> = read
            .iter()
            .map(|report| serde_json::to_string(report).expect("JSON"))
            .collect();
        assert_eq!(
            reports::parse(lines.join("\n").as_bytes()).as_ref(),
            Ok(&read)
        );
        collector.post(0, &read);
    }
    if let Ok(page) = serde_json::from_slice::<TracePage>(bytes) {
        let text = serde_json::to_vec(&page).expect("JSON");
        let again: TracePage = serde_json::from_slice(&text).expect("as it was written");
        assert_eq!(again, page);
        collector.core.page("service", &page);
    }
    if let Ok(name) = serde_json::from_slice::<ClientName>(bytes) {
        assert_eq!(ClientName::new(name.as_str()).as_ref(), Ok(&name));
    }

    for (kind, source, [a, b, c, d]) in steps {
        let (first, second) = (time(a), time(b));
        match kind % 8 {
            0..=2 => {
                let report = FrameReport {
                    sequence: u64::from(d),
                    rtp_timestamp: RtpTimestamp::from_generated(first),
                    reading: match kind % 8 {
                        0 => Reading::Unread,
                        _ => Reading::Read {
                            frame: FrameNumber(c),
                            generated: first,
                        },
                    },
                    received: (c % 2 == 0).then_some(time(c)),
                    decoded: second,
                    shown: time(d),
                };
                collector.post(source, &[report, report]);
            }
            3..=4 => {
                let crossing = |point, at| Crossing {
                    rtp_timestamp: RtpTimestamp::from_generated(first),
                    point,
                    at,
                };
                let point = Point::ALL[usize::from(kind / 8) % Point::ALL.len()];
                let page = TracePage {
                    crossings: vec![crossing(Point::Generated, first), crossing(point, second)],
                    ..TracePage::default()
                };
                collector.core.page(&source_name(source), &page);
            }
            5 => collector
                .core
                .advance(Duration::from_micros(first.0 % (1 << 40))),
            6 => collector.core.will_ask(&source_name(source)),
            _ => {
                let exchange = Exchange {
                    sent: first,
                    server: ServerTimes {
                        received_us: time(c),
                        transmitted_us: time(d),
                    },
                    answered: second,
                };
                let forged = Estimate {
                    offset_us: (u64::from(c) << 32 | u64::from(d)).cast_signed(),
                    uncertainty_us: first.0,
                };
                let estimate = exchange.estimate().unwrap_or(forged);
                collector.core.clock(&source_name(source), estimate.into());
            }
        }
        collector.check();
    }

    assert_eq!(collector.core.progress().shown, collector.taken);
    let (rest, _) = collector.core.finish();
    collector.rows.extend(rest);
    let shown = collector
        .rows
        .iter()
        .filter(|row| row.outcome != Outcome::Lost);
    assert_eq!(shown.count() as u64, collector.taken);
    assert!(
        collector
            .rows
            .iter()
            .all(|row| (row.outcome == Outcome::Lost) == row.client.is_none())
    );
    let _ = collector.core.clocks();
});
