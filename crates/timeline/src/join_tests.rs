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
    for point in Point::ALL {
        row.set(point, at(n, point));
    }
    row
}

fn play(joiner: &mut Joiner, heard: impl IntoIterator<Item = Heard>) -> Vec<FrameRow> {
    let mut rows = Vec::new();
    for heard in heard {
        match heard {
            Heard::Crossing(crossing) => joiner.crossing(crossing, &mut rows),
            Heard::Report(report) => joiner.report(&report, &mut rows),
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
            received: None,
            decoded: UnixMicros(generated.0 + 40_000),
            shown: UnixMicros(generated.0 + 40_000),
        };
        joiner.report(&report, &mut rows);
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
    joiner.report(
        &FrameReport {
            rtp_timestamp: key(8),
            ..report(7)
        },
        &mut rows,
    );
    joiner.report(
        &FrameReport {
            reading: Reading::Unread,
            ..report(9)
        },
        &mut rows,
    );
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
