//! Tests of the collector's state: who is heard, on which clock, and what absurd numbers do not spoil.

use timeline::clock_filter::Correction;
use timeline::frames_csv::Outcome;
use timeline::{Crossing, FrameNumber};

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

const ARRIVED: UnixMicros = UnixMicros(START + 3_600_000_000);

fn post(core: &mut Core, client: &str, reports: &[FrameReport]) -> Taken {
    core.reports(&name(client), &Reporter::default(), reports, ARRIVED)
        .expect("no clock is awaited")
}

fn process(text: &str) -> Reporter {
    Reporter {
        process: Some(service::Secret::new(text)),
        ..Reporter::default()
    }
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
    assert_eq!(core.progress().unreported[&name("a")].skipped, 2);
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

/// A clock that is hours off for ten frames: they are neither shown, nor lost, nor a gap in the numbers, however often they are posted.
#[test]
fn reports_of_impossible_times_are_counted_once_by_client() {
    for shift in [7_200_000_000_i64, -3_600_000_000] {
        let mut core = core();
        let stepped = |n: u64| {
            let shifted = |at: UnixMicros| UnixMicros(at.0.saturating_add_signed(shift));
            let of = report(n, n);
            FrameReport {
                received: of.received.map(shifted),
                decoded: shifted(of.decoded),
                shown: shifted(of.shown),
                ..of
            }
        };
        let before: Vec<_> = (0..10).map(|n| report(n, n)).collect();
        let wrong: Vec<_> = (10..20).map(stepped).collect();
        let after: Vec<_> = (22..30).map(|n| report(n, n)).collect();
        post(&mut core, "a", &before);
        assert_eq!(post(&mut core, "a", &wrong).implausible, 10);
        post(&mut core, "a", &wrong);
        // Two numbers more are missing, of reports that were never sent.
        post(&mut core, "a", &after);
        post(&mut core, "b", &before);
        let expected = Unreported {
            skipped: 2,
            implausible: 10,
        };
        let progress = core.progress();
        assert_eq!(
            progress.unreported.into_iter().collect::<Vec<_>>(),
            [(name("a"), expected)]
        );
        assert_eq!(progress.shown, 10 + 8 + 10);
    }
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

/// Who never reported makes room at once, who has reported after a minute of silence.
#[test]
fn clients_are_bounded_and_no_crowd_takes_the_place_of_one_that_reports() {
    let mut core = core();
    post(&mut core, "honest", &[report(0, 0)]);
    for n in 0..1_000 {
        post(&mut core, &format!("c{n}"), &[]);
    }
    assert_eq!(core.clients.len(), MAX_CLIENTS);
    assert_eq!(post(&mut core, "honest", &[report(0, 0)]).repeated, 1);
    for n in 0..MAX_CLIENTS as u64 - 1 {
        post(&mut core, &format!("d{n}"), &[report(0, n)]);
    }
    let late =
        |core: &mut Core| core.reports(&name("late"), &process("late"), &[report(0, 1)], ARRIVED);
    assert_eq!(late(&mut core), Err(Refused::Crowded));
    core.advance(PLACE_KEPT);
    assert_eq!(late(&mut core).map(|taken| taken.new), Ok(1));
    assert_eq!(core.clients.len(), MAX_CLIENTS);
}

/// A collector that was killed may have written what it had not acknowledged yet.
#[test]
fn what_an_earlier_collector_has_is_not_taken_again() {
    let mut core = core();
    let written = (0..5).map(|n| (name("a"), report(n, n).rtp_timestamp));
    core.reported_before(written);
    let batch: Vec<_> = (0..10).map(|n| report(n, n)).collect();
    let taken = post(&mut core, "a", &batch);
    assert_eq!((taken.repeated, taken.new, taken.next), (5, 5, 10));
    assert_eq!(post(&mut core, "b", &batch).new, 10, "another client's");
}

/// Reports of another process under the same name change nothing, and its sender is told.
#[test]
fn who_reports_is_who_began() {
    let mut core = core();
    let mut post = |who: &str, n: u64, at: u64| {
        core.advance(Duration::from_secs(at));
        core.reports(&name("a"), &process(who), &[report(n, n)], ARRIVED)
            .map(|taken| taken.new)
    };
    assert_eq!(post("one", 0, 0), Ok(1));
    assert_eq!(post("two", 1, 1), Err(Refused::Taken));
    assert_eq!(post("one", 1, 2), Ok(1));
    // A client that was started again is heard once the earlier one has gone quiet.
    assert_eq!(post("two", 2, 11), Err(Refused::Taken));
    assert_eq!(post("two", 2, 12), Ok(1));
    assert_eq!(post("one", 3, 13), Err(Refused::Taken));
    assert_eq!(shown(&core.finish().0), 3);
}

#[test]
fn nobody_posts_faster_than_a_stream_or_more_than_can_be_written() {
    let mut core = core();
    let mut refused = None;
    for n in 0..100 {
        let batch: Vec<_> = (0..1_000).map(|one| report(n * 1_000 + one, one)).collect();
        let taken = core.reports(&name("a"), &Reporter::default(), &batch, ARRIVED);
        refused = refused.or_else(|| taken.err());
    }
    assert_eq!(refused, Some(Refused::TooFast));
    // Second pictures of a frame wait for nothing but the disk.
    for (n, client) in ["b", "c"].into_iter().enumerate() {
        let batch: Vec<_> = (0..60_000).map(|one| report(one, n as u64)).collect();
        let _ = core.reports(&name(client), &Reporter::default(), &batch, ARRIVED);
    }
    let taken = core.reports(&name("d"), &Reporter::default(), &[report(0, 0)], ARRIVED);
    assert_eq!(taken, Err(Refused::Backlog));
    core.take_rows();
    let taken = core.reports(&name("d"), &Reporter::default(), &[report(0, 0)], ARRIVED);
    assert_eq!(taken.map(|taken| taken.new), Ok(1));
}

/// Such a report is left out, whatever field it is, and the client hears why.
#[test]
fn times_that_cannot_be_are_refused_with_the_reason() {
    let mut core = core();
    let hour = 3_600_000_000;
    let good = report(0, 0);
    let wrong = [
        FrameReport {
            shown: UnixMicros(u64::MAX),
            ..good
        },
        FrameReport {
            received: Some(UnixMicros(0)),
            ..good
        },
        FrameReport {
            decoded: UnixMicros(good.decoded.0 + hour),
            shown: UnixMicros(good.shown.0 + hour),
            received: None,
            ..good
        },
        FrameReport {
            decoded: UnixMicros(ARRIVED.0 + hour),
            ..good
        },
    ];
    for report in wrong {
        let taken = post(&mut core, "a", &[report]);
        assert_eq!((taken.implausible, taken.new), (1, 0), "{report:?}");
        assert!(
            taken.why.is_some_and(|why| why.contains("minute")),
            "{taken:?}"
        );
    }
    assert_eq!(post(&mut core, "a", &[good]).why, None);
    let ahead = FrameReport {
        reading: Reading::Read {
            frame: FrameNumber(9),
            generated: UnixMicros(ARRIVED.0 + 50_000_000),
        },
        decoded: UnixMicros(ARRIVED.0 + 50_000_000),
        shown: UnixMicros(ARRIVED.0 + 50_000_000),
        received: None,
        ..good
    };
    post(&mut core, "a", &[ahead]);
    assert_eq!(
        core.progress().generated,
        Some(ARRIVED),
        "it is not yet later"
    );
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
    let estimate = |offset_us| Known {
        correction: Correction::fixed(offset_us),
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
    let estimate = |offset_us| Known {
        correction: Correction::fixed(offset_us),
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
        core.reports(&client, &Reporter::default(), &[report(0, 0)], arrived),
        Err(Refused::ClockAwaited)
    );
    let sharp = Known {
        correction: Correction::default(),
        uncertainty_us: 5,
    };
    core.clock("a", sharp);
    let taken = core.reports(&client, &Reporter::default(), &[report(0, 0)], arrived);
    assert_eq!(taken.map(|taken| taken.new), Ok(1));
}
