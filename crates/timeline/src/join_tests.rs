//! Tests of the joiner: whatever the order, every frame comes out once, and nothing foreign gets in.

use proptest::prelude::*;

use super::*;
use crate::FrameNumber;

const START_US: u64 = 1_763_000_000_000_000;

/// What the joiner hears.
#[derive(Clone, Copy, Debug)]
enum Heard {
    Crossing(Crossing),
    Report(FrameReport),
}

fn generated(n: u32) -> UnixMicros {
    UnixMicros(START_US + u64::from(n) * 16_667)
}

fn key(n: u32) -> RtpTimestamp {
    RtpTimestamp::from_generated(generated(n))
}

/// Point `p` of frame `n`: 2 ms after the one before.
fn at(n: u32, point: Point) -> UnixMicros {
    UnixMicros(generated(n).0 + 2_000 * point as u64)
}

fn crossing(n: u32, point: Point) -> Heard {
    Heard::Crossing(Crossing {
        rtp_timestamp: key(n),
        point,
        at: at(n, point),
    })
}

fn report(n: u32) -> FrameReport {
    FrameReport {
        sequence: u64::from(n),
        rtp_timestamp: key(n),
        reading: Reading::Read {
            frame: FrameNumber(n),
            generated: generated(n),
        },
        received: Some(at(n, Point::Received)),
        decoded: at(n, Point::Decoded),
        shown: UnixMicros(at(n, Point::Decoded).0 + 300),
    }
}

/// Everything about a frame that was shown.
fn journey(n: u32) -> Vec<Heard> {
    let services = [
        Point::Generated,
        Point::Encoded,
        Point::Ingested,
        Point::Relayed,
    ];
    services
        .into_iter()
        .map(|point| crossing(n, point))
        .chain([Heard::Report(report(n))])
        .collect()
}

fn whole_row(n: u32) -> FrameRow {
    let mut row = FrameRow::from_report(&report(n));
    row.client = Some(client("a"));
    for point in Point::ALL {
        row.set(point, at(n, point));
    }
    row
}

fn client(name: &str) -> ClientName {
    ClientName::new(name).unwrap()
}

fn tell(joiner: &mut Joiner, name: &str, report: &FrameReport, rows: &mut Vec<FrameRow>) {
    assert!(joiner.report(&client(name), report, Corrections::default(), rows));
}

fn play(joiner: &mut Joiner, heard: impl IntoIterator<Item = Heard>) -> Vec<FrameRow> {
    let mut rows = Vec::new();
    for heard in heard {
        match heard {
            Heard::Crossing(crossing) => {
                joiner.crossing(crossing, Correction::default(), &mut rows);
            }
            Heard::Report(report) => tell(joiner, "a", &report, &mut rows),
        }
    }
    rows
}

fn by_key(mut rows: Vec<FrameRow>) -> Vec<FrameRow> {
    rows.sort_by_key(|row| (row.at(Point::Generated), row.shown));
    rows
}

fn garbage() -> impl Strategy<Value = Heard> {
    (
        any::<u32>(),
        prop::sample::select(&Point::ALL),
        any::<u64>(),
    )
        .prop_map(|(key, point, at)| {
            Heard::Crossing(Crossing {
                rtp_timestamp: RtpTimestamp(key),
                point,
                at: UnixMicros(at),
            })
        })
}

proptest! {
    /// In any order, with every crossing heard twice and garbage between, each frame comes out once and whole.
    #[test]
    fn any_order_gives_every_frame_once(
        all in (1_u32..40).prop_flat_map(|frames| {
            let heard = (0..frames).flat_map(journey).flat_map(|heard| match heard {
                Heard::Crossing(_) => vec![heard, heard],
                Heard::Report(_) => vec![heard],
            });
            (Just(frames), Just(heard.collect::<Vec<_>>()).prop_shuffle())
        }),
        noise in prop::collection::vec((any::<prop::sample::Index>(), garbage()), 0..40),
    ) {
        let (frames, mut heard) = all;
        let keys: Vec<_> = (0..frames).map(key).collect();
        for (place, garbage) in noise {
            // One garbage crossing in some hundred million hits a real frame's key; it would be no garbage.
            if !matches!(garbage, Heard::Crossing(c) if keys.contains(&c.rtp_timestamp)) {
                heard.insert(place.index(heard.len()), garbage);
            }
        }
        let mut joiner = Joiner::new(Limits::default());
        let mut rows = play(&mut joiner, heard);
        rows.retain(|row| keys.contains(&row.rtp_timestamp));
        prop_assert_eq!(by_key(rows), (0..frames).map(whole_row).collect::<Vec<_>>());
        let mut rest = Vec::new();
        joiner.finish(&mut rest);
        prop_assert!(rest.iter().all(|row| row.outcome == Outcome::Lost && !keys.contains(&row.rtp_timestamp)));
    }

    /// However much is heard, however small the limits, memory stays bounded and every report comes out.
    #[test]
    fn memory_is_bounded(
        open in 0_usize..8,
        remembered in 0_usize..8,
        heard in prop::collection::vec(
            prop_oneof![
                (0_u32..30, prop::sample::select(&Point::ALL)).prop_map(|(n, point)| crossing(n, point)),
                (0_u32..30).prop_map(|n| Heard::Report(report(n))),
                garbage(),
            ],
            0..200,
        ),
        step_ms in 0_u64..2_000,
    ) {
        let limits = Limits {
            open,
            remembered,
            patience: Duration::from_secs(3),
            memory: Duration::from_secs(9),
        };
        let mut joiner = Joiner::new(limits);
        let mut rows = Vec::new();
        let reports = heard.iter().filter(|heard| matches!(heard, Heard::Report(_))).count();
        for (step, heard) in (0_u32..).zip(heard) {
            rows.extend(play(&mut joiner, [heard]));
            joiner.advance(Duration::from_millis(step_ms) * step, &mut rows);
            prop_assert!(joiner.open.len() <= open.max(1));
            prop_assert!(joiner.queue.len() <= 2 * open.max(1));
            prop_assert!(joiner.done.len() <= remembered && joiner.forget.len() <= remembered);
        }
        joiner.finish(&mut rows);
        prop_assert_eq!(rows.iter().filter(|row| row.outcome != Outcome::Lost).count(), reports);
    }
}

#[test]
fn a_frame_shown_twice_is_a_duplicate_whether_it_waits_or_is_done() {
    for services in [0, 4] {
        let mut heard = journey(5);
        heard.drain(services..4);
        let again = FrameReport {
            sequence: 6,
            shown: UnixMicros(report(5).shown.0 + 16_667),
            ..report(5)
        };
        heard.push(Heard::Report(again));
        let mut joiner = Joiner::new(Limits::default());
        let mut rows = play(&mut joiner, heard);
        joiner.finish(&mut rows);
        let outcomes: Vec<_> = by_key(rows).iter().map(|row| row.outcome).collect();
        assert_eq!(outcomes, [Outcome::Shown, Outcome::Duplicate]);
    }
}

#[test]
fn patience_ends_and_what_comes_late_is_counted_or_given_out() {
    let mut joiner = Joiner::new(Limits::default());
    let mut rows = play(
        &mut joiner,
        [crossing(1, Point::Generated), crossing(1, Point::Encoded)],
    );
    joiner.advance(Duration::from_secs(29), &mut rows);
    assert!(rows.is_empty());
    joiner.advance(Duration::from_secs(30), &mut rows);
    assert_eq!(
        rows.iter().map(|row| row.outcome).collect::<Vec<_>>(),
        [Outcome::Lost]
    );
    assert_eq!(rows[0].at(Point::Encoded), Some(at(1, Point::Encoded)));
    let late = play(
        &mut joiner,
        [
            crossing(1, Point::Relayed),
            Heard::Report(report(1)),
            Heard::Report(report(1)),
        ],
    );
    let outcomes: Vec<_> = late.iter().map(|row| row.outcome).collect();
    assert_eq!(outcomes, [Outcome::Shown, Outcome::Duplicate]);
    assert_eq!(
        (joiner.counts().late_crossings, joiner.counts().late_reports),
        (1, 1)
    );
}

#[test]
fn a_restart_repeats_frame_numbers_but_not_keys() {
    let mut joiner = Joiner::new(Limits::default());
    let mut rows = play(&mut joiner, journey(0));
    let restarted = journey(900).into_iter().map(|heard| match heard {
        Heard::Report(report) => Heard::Report(FrameReport {
            reading: Reading::Read {
                frame: FrameNumber(0),
                generated: generated(900),
            },
            ..report
        }),
        crossing @ Heard::Crossing(_) => crossing,
    });
    rows.extend(play(&mut joiner, restarted));
    let told: Vec<_> = rows.iter().map(|row| (row.frame, row.outcome)).collect();
    assert_eq!(told, [(Some(FrameNumber(0)), Outcome::Shown); 2]);
}

#[test]
fn the_wrap_of_the_key_is_no_gap() {
    // Frames on both sides of the instant at which the RTP timestamp begins again.
    let wrap_us = (START_US / 47_721_858_845 + 1) * 47_721_858_845;
    let mut joiner = Joiner::new(Limits::default());
    let mut rows = Vec::new();
    let mut keys = Vec::new();
    for n in 0..20 {
        let generated = UnixMicros(wrap_us - 166_670 + n * 16_667);
        let key = RtpTimestamp::from_generated(generated);
        keys.push(key.0);
        for point in Point::ALL {
            let at = UnixMicros(generated.0 + 8_000 * point as u64);
            joiner.crossing(
                Crossing {
                    rtp_timestamp: key,
                    point,
                    at,
                },
                Correction::default(),
                &mut rows,
            );
        }
        let report = FrameReport {
            sequence: n,
            rtp_timestamp: key,
            reading: Reading::Read {
                frame: FrameNumber(1),
                generated,
            },
            received: Some(UnixMicros(generated.0 + 32_000)),
            decoded: UnixMicros(generated.0 + 40_000),
            shown: UnixMicros(generated.0 + 40_000),
        };
        tell(&mut joiner, "a", &report, &mut rows);
    }
    assert!(!keys.is_sorted(), "the wrap was hit");
    assert_eq!(rows.len(), 20);
    assert!(
        rows.iter()
            .all(|row| row.has_every_point() && row.latency_us() == Some(40_000))
    );
    assert_eq!(joiner.counts(), Counts::default());
}

#[test]
fn the_same_key_half_a_day_later_is_another_frame() {
    let mut joiner = Joiner::new(Limits::default());
    let mut rows = play(&mut joiner, journey(3));
    joiner.advance(Duration::from_hours(13), &mut rows);
    rows.extend(play(&mut joiner, journey(3)));
    assert_eq!(rows, [whole_row(3), whole_row(3)]);
}

#[test]
fn a_foreign_crossing_is_counted_and_left_out() {
    let mut joiner = Joiner::new(Limits::default());
    let foreign = Crossing {
        at: UnixMicros(START_US + 3_600_000_000),
        rtp_timestamp: key(0),
        point: Point::Relayed,
    };
    let mut rows = play(
        &mut joiner,
        [Heard::Crossing(foreign), crossing(1, Point::Ingested)],
    );
    assert_eq!((joiner.waiting(), joiner.counts().foreign), (1, 1));
    joiner.advance(Duration::from_mins(1), &mut rows);
    assert!(
        rows.is_empty(),
        "nobody said that frame 1 was ever generated"
    );
    assert_eq!(joiner.counts().nameless, 1);
}

#[test]
fn the_stamp_is_believed_over_the_packets() {
    let mut joiner = Joiner::new(Limits::default());
    let mut rows = Vec::new();
    let mismatched = FrameReport {
        rtp_timestamp: key(8),
        ..report(7)
    };
    let unread = FrameReport {
        reading: Reading::Unread,
        ..report(9)
    };
    tell(&mut joiner, "a", &mismatched, &mut rows);
    tell(&mut joiner, "a", &unread, &mut rows);
    assert_eq!(joiner.counts().mismatched, 1);
    joiner.finish(&mut rows);
    assert_eq!(
        (rows[0].rtp_timestamp, rows[0].at(Point::Received)),
        (key(7), None)
    );
    assert_eq!(
        (rows[1].rtp_timestamp, rows[1].outcome, rows[1].frame),
        (key(9), Outcome::Unread, None)
    );
}

/// The report of frame `n` by a client that had it `later_us` after others.
fn report_of(n: u32, later_us: u64) -> FrameReport {
    let frame = report(n);
    FrameReport {
        received: frame.received.map(|at| UnixMicros(at.0 + later_us)),
        decoded: UnixMicros(frame.decoded.0 + later_us),
        shown: UnixMicros(frame.shown.0 + later_us),
        ..frame
    }
}

fn shown_by(rows: &[FrameRow]) -> Vec<(Option<&str>, Outcome, Option<i64>)> {
    let told = rows.iter().map(|row| {
        let client = row.client.as_ref().map(ClientName::as_str);
        (client, row.outcome, row.latency_us())
    });
    told.collect()
}

#[test]
fn every_client_has_a_row_of_its_own_with_what_the_services_saw() {
    for services_first in [true, false] {
        let mut joiner = Joiner::new(Limits::default());
        for name in ["a", "b"] {
            joiner.hear(&client(name));
        }
        let crossings: Vec<_> = journey(4).into_iter().take(4).collect();
        let mut rows = Vec::new();
        if services_first {
            rows.extend(play(&mut joiner, crossings.clone()));
        }
        tell(&mut joiner, "a", &report_of(4, 0), &mut rows);
        if services_first {
            assert_eq!(rows.len(), 1, "the row of a waits for nobody");
            tell(&mut joiner, "b", &report_of(4, 3_000), &mut rows);
        } else {
            tell(&mut joiner, "b", &report_of(4, 3_000), &mut rows);
            rows.extend(play(&mut joiner, crossings));
        }
        assert_eq!(joiner.waiting(), 0, "both have reported");
        assert_eq!(
            shown_by(&rows),
            [
                (Some("a"), Outcome::Shown, Some(10_000)),
                (Some("b"), Outcome::Shown, Some(13_000)),
            ]
        );
        assert!(rows.iter().all(FrameRow::has_every_point));
        tell(&mut joiner, "b", &report_of(4, 20_000), &mut rows);
        assert_eq!(rows[2].outcome, Outcome::Duplicate, "b's own, twice");
    }
}

#[test]
fn a_frame_waits_for_no_client_that_is_silent() {
    let mut joiner = Joiner::new(Limits::default());
    let mut rows = Vec::new();
    joiner.hear(&client("gone"));
    joiner.advance(Duration::from_secs(31), &mut rows);
    rows.extend(play(&mut joiner, journey(2)));
    assert_eq!((rows.len(), joiner.waiting()), (1, 0));
}

/// A client in the slot of one that went has shown nothing of what the other showed.
#[test]
fn more_clients_than_slots_take_the_place_of_the_silent_ones() {
    let mut joiner = Joiner::new(Limits::default());
    let mut rows = Vec::new();
    for n in 0..200_u64 {
        joiner.advance(Duration::from_millis(n), &mut rows);
        tell(&mut joiner, &format!("c{n}"), &report_of(1, n), &mut rows);
    }
    assert_eq!(joiner.clients.len(), MAX_CLIENTS);
    joiner.finish(&mut rows);
    assert_eq!(rows.len(), 200);
    assert!(rows.iter().all(|row| row.outcome == Outcome::Shown));
}

#[test]
fn each_source_is_put_on_our_clock_by_its_own_offset() {
    let mut joiner = Joiner::new(Limits::default());
    let mut rows = Vec::new();
    // The renderer is right, the streamer half a second ahead, the client a quarter behind.
    for (point, offset_us) in [
        (Point::Generated, 0),
        (Point::Encoded, 0),
        (Point::Ingested, 500_000),
        (Point::Relayed, 500_000),
    ] {
        let theirs = Crossing {
            rtp_timestamp: key(3),
            point,
            at: UnixMicros(at(3, point).0.strict_add_signed(offset_us)),
        };
        joiner.crossing(theirs, Correction::fixed(offset_us), &mut rows);
    }
    let behind = |at: UnixMicros| UnixMicros(at.0 - 250_000);
    let theirs = FrameReport {
        received: report(3).received.map(behind),
        decoded: behind(report(3).decoded),
        shown: behind(report(3).shown),
        ..report(3)
    };
    let clocks = Corrections {
        client: Correction::fixed(-250_000),
        stamp: Correction::default(),
    };
    assert!(joiner.report(&client("a"), &theirs, clocks, &mut rows));
    assert_eq!(rows, [whole_row(3)]);
}

/// The renderer's trace says whose clock the stamp was read from; until it is known, the caller's guess stands.
#[test]
fn a_stamp_is_put_on_our_clock_too() {
    let ahead = |at: UnixMicros| UnixMicros(at.0 + 2_000_000);
    let stamped = FrameReport {
        rtp_timestamp: RtpTimestamp::from_generated(ahead(generated(3))),
        reading: Reading::Read {
            frame: FrameNumber(3),
            generated: ahead(generated(3)),
        },
        ..report(3)
    };
    for (heard, stamp_us, latency_us) in [
        (true, 0, 10_000),
        (false, 2_000_000, 10_000),
        (false, 0, -1_990_000),
    ] {
        let mut joiner = Joiner::new(Limits::default());
        let mut rows = Vec::new();
        if heard {
            let crossing = Crossing {
                rtp_timestamp: stamped.rtp_timestamp,
                point: Point::Generated,
                at: ahead(generated(3)),
            };
            joiner.crossing(crossing, Correction::fixed(2_000_000), &mut rows);
        }
        let clocks = Corrections {
            client: Correction::default(),
            stamp: Correction::fixed(stamp_us),
        };
        assert!(joiner.report(&client("a"), &stamped, clocks, &mut rows));
        joiner.finish(&mut rows);
        assert_eq!(rows[0].latency_us(), Some(latency_us));
    }
}

#[test]
fn a_picture_of_another_time_is_counted_and_left_out() {
    let mut joiner = Joiner::new(Limits::default());
    let mut rows = Vec::new();
    for decoded in [0, START_US + 61_000_000, u64::MAX] {
        let absurd = FrameReport {
            decoded: UnixMicros(decoded),
            ..report(0)
        };
        assert!(!joiner.report(&client("a"), &absurd, Corrections::default(), &mut rows));
    }
    assert_eq!(joiner.counts().implausible, 3);
    tell(&mut joiner, "a", &report(0), &mut rows);
    joiner.finish(&mut rows);
    assert_eq!(shown_by(&rows), [(Some("a"), Outcome::Shown, Some(10_000))]);
}

#[test]
fn counts_are_told_in_words() {
    assert_eq!(Counts::default().to_string(), "everything could be joined");
    let some = Counts {
        foreign: 2,
        evicted: 1,
        ..Counts::default()
    };
    assert_eq!(
        some.to_string(),
        "2 crossings of other streams, 1 frames given out early"
    );
}
