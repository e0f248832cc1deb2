//! Tests of the collector's state: who is heard, on which clock, and what absurd numbers do not spoil.

use timeline::frames_csv::Outcome;
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

fn name(text: &str) -> ClientName {
    ClientName::new(text).expect("a name")
}

/// A core whose sources share one clock.
fn core() -> Core {
    Core::new(Limits::default(), true)
}

fn post(core: &mut Core, client: &str, reports: &[FrameReport]) -> Taken {
    let arrived = UnixMicros(START + 3_600_000_000);
    core.reports(&name(client), reports, arrived)
        .expect("no clock is awaited")
}

fn shown(rows: &[FrameRow]) -> usize {
    let shown = rows.iter().filter(|row| row.outcome == Outcome::Shown);
    shown.count()
}

#[test]
fn a_repeated_post_adds_nothing_and_a_restarted_client_goes_on() {
    let mut core = core();
    let batch: Vec<_> = (0..10).map(|n| report(n, n)).collect();
    let first = Taken {
        next: 10,
        new: 10,
        ..Taken::default()
    };
    assert_eq!(post(&mut core, "a", &batch), first);
    let again = Taken {
        next: 10,
        repeated: 10,
        ..Taken::default()
    };
    assert_eq!(post(&mut core, "a", &batch), again);
    assert_eq!(
        post(&mut core, "b", &[]),
        Taken::default(),
        "an empty post asks what is wanted"
    );
    assert_eq!(post(&mut core, "a", &[]).next, 10);
    assert_eq!(post(&mut core, "a", &[report(12, 12)]).skipped, 2);
    let anew = Taken {
        next: 1,
        new: 1,
        ..Taken::default()
    };
    assert_eq!(post(&mut core, "a", &[report(0, 20)]), anew);
    assert_eq!(core.progress().shown, 12);
    assert_eq!(core.progress().generated, Some(generated(20)));
}

/// A client that begins anew on a machine whose clock went back is heard.
#[test]
fn a_restarted_client_with_an_earlier_clock_goes_on() {
    let mut core = core();
    let later: Vec<_> = (0..50).map(|n| report(n, 100_000 + n)).collect();
    let earlier: Vec<_> = (0..50).map(|n| report(n, n)).collect();
    assert_eq!(post(&mut core, "a", &later).new, 50);
    assert_eq!(post(&mut core, "a", &earlier).new, 50);
    assert_eq!(shown(&core.finish().0), 100);
}

#[test]
fn absurd_numbers_silence_nobody_and_are_no_samples() {
    let mut core = core();
    let honest: Vec<_> = (0..20).map(|n| report(n, n)).collect();
    assert_eq!(post(&mut core, "a", &honest[..10]).new, 10);
    let absurd = FrameReport {
        sequence: u64::MAX,
        decoded: UnixMicros(u64::MAX),
        ..report(10, 10)
    };
    let of_another_time = FrameReport {
        reading: Reading::Read {
            frame: FrameNumber(u32::MAX),
            generated: UnixMicros(u64::MAX),
        },
        ..absurd
    };
    let of_now = FrameReport {
        sequence: u64::MAX,
        reading: Reading::Unread,
        ..report(10, 1_000)
    };
    let taken = post(&mut core, "a", &[absurd, of_another_time, of_now]);
    assert_eq!((taken.implausible, taken.new, taken.skipped), (2, 1, 0));
    let after = post(&mut core, "a", &honest[10..]);
    assert_eq!((after.new, after.next, after.skipped), (10, 20, 0));
    let (rows, counts) = core.finish();
    assert_eq!(shown(&rows), 20);
    assert_eq!((rows.len(), counts.foreign), (21, 0));
    assert_eq!(core.progress().latency_sum_us, 20 * 10_000);
}

#[test]
fn clients_are_bounded() {
    let mut core = core();
    for n in 0..1_000 {
        core.advance(Duration::from_secs(n));
        post(&mut core, &format!("c{n}"), &[]);
    }
    assert_eq!(core.clients.len(), MAX_CLIENTS);
    assert!(core.clients.contains_key(&name("c999")));
}

#[test]
fn a_frame_is_given_out_once_with_every_point() {
    let mut core = core();
    core.page("renderer", &page(5, 0, &[Point::Generated, Point::Encoded]));
    post(&mut core, "a", &[report(0, 5)]);
    assert!(
        core.take_rows().is_empty(),
        "the streamer has not been heard"
    );
    core.page("streamer", &page(5, 0, &[Point::Ingested, Point::Relayed]));
    let rows = core.take_rows();
    assert_eq!(rows.len(), 1);
    assert!(rows[0].has_every_point() && rows[0].latency_us() == Some(10_000));
    core.page("renderer", &page(6, 0, &[Point::Generated]));
    let (rest, _) = core.finish();
    assert_eq!(
        rest.iter().map(|row| row.outcome).collect::<Vec<_>>(),
        [Outcome::Lost]
    );
}

#[test]
fn two_clients_have_samples_of_their_own() {
    let mut core = core();
    for client in ["a", "b"] {
        let reports: Vec<_> = (0..30).map(|n| report(n, n)).collect();
        assert_eq!(post(&mut core, client, &reports).new, 30);
    }
    let (rows, _) = core.finish();
    for client in ["a", "b"] {
        let of = rows.iter().filter(|row| row.client == Some(name(client)));
        assert_eq!(shown(&of.cloned().collect::<Vec<_>>()), 30);
    }
}

#[test]
fn another_hosts_clock_is_put_right_as_its_times_come_in() {
    let estimate = |offset_us| Estimate {
        offset_us,
        uncertainty_us: 300,
    };
    let mut core = Core::new(Limits::default(), false);
    core.clock("far", estimate(500_000));
    core.clock("here", estimate(40));
    core.clock("a", estimate(0));
    for n in [1, 2] {
        core.page("far", &page(n, 500_000, &[Point::Ingested, Point::Relayed]));
        core.page("here", &page(n, 0, &[Point::Generated, Point::Encoded]));
        // The next offset is for what comes later.
        core.clock("far", estimate(500_000));
        core.clock("here", estimate(-1_000_000));
        post(&mut core, "a", &[report(n, n)]);
        core.clock("here", estimate(40));
    }
    for (n, row) in (1..).zip(core.take_rows()) {
        assert_eq!(row.at(Point::Generated), Some(generated(n)));
        let relayed = UnixMicros(generated(n).0 + 3_000);
        assert_eq!(row.at(Point::Relayed), Some(relayed));
        assert_eq!(row.latency_us(), Some(10_000));
    }
    let known = core.clocks();
    assert_eq!(known.uncertainty_us, 340 + 300);
    assert_eq!(known.sources["far"].offset_us, 500_000);
}

/// Two renderers on two hosts do not share an offset.
#[test]
fn two_renderers_have_two_clocks() {
    let ahead_us = 500_000_u64;
    let mut core = Core::new(Limits::default(), false);
    let estimate = |offset_us| Estimate {
        offset_us,
        uncertainty_us: 50,
    };
    core.clock("one", estimate(0));
    core.clock("two", estimate(ahead_us.cast_signed()));
    core.clock("a", estimate(0));
    // The second one's stamps, and so its keys, are of its own clock.
    let stamped = UnixMicros(generated(2).0 + ahead_us);
    let key = RtpTimestamp::from_generated(stamped);
    let of_two = TracePage {
        crossings: vec![Crossing {
            rtp_timestamp: key,
            point: Point::Generated,
            at: stamped,
        }],
        ..TracePage::default()
    };
    core.page("two", &of_two);
    core.page("one", &page(1, 0, &[Point::Generated]));
    let shown_of_two = FrameReport {
        rtp_timestamp: key,
        reading: Reading::Read {
            frame: FrameNumber(2),
            generated: stamped,
        },
        ..report(1, 2)
    };
    post(&mut core, "a", &[report(0, 1), shown_of_two]);
    let (rows, _) = core.finish();
    let latencies: Vec<_> = rows.iter().map(FrameRow::latency_us).collect();
    assert_eq!(latencies, [Some(10_000); 2]);
}

#[test]
fn reports_wait_for_a_clock_that_is_to_be_asked() {
    let mut core = Core::new(Limits::default(), false);
    core.will_ask("a");
    let arrived = UnixMicros(START + 1_000_000);
    let client = name("a");
    assert_eq!(
        core.reports(&client, &[report(0, 0)], arrived),
        Err(ClockAwaited)
    );
    let sharp = Estimate {
        offset_us: 0,
        uncertainty_us: 5,
    };
    core.clock("a", sharp);
    let taken = core.reports(&client, &[report(0, 0)], arrived);
    assert_eq!(taken.map(|taken| taken.new), Ok(1));
}
