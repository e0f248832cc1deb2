//! Tests of: stats.

use proptest::prelude::*;
use timeline::{
    ClientName, FrameNumber, Point, RtpTimestamp, Stage, UnixMicros,
    frames_csv::{FrameRow, Outcome, Phase},
};

use super::*;

const START: u64 = 1_795_000_000_000_000;
const WINDOW: Window = Window {
    from_us: START,
    to_us: START + 10_000_000,
};

/// Frame `number` of 60 a second, with stages of 4000, 300, 50, 250 and 900 microseconds.
fn row(number: u32, outcome: Outcome) -> FrameRow {
    let generated = UnixMicros(START + u64::from(number) * 1_000_000 / 60);
    let mut row = FrameRow::new(RtpTimestamp::from_generated(generated), outcome);
    row.phase = Some(Phase::Measured);
    let mut at = generated.0;
    for (point, after) in Point::ALL.into_iter().zip([0, 4_000, 300, 50, 250, 900]) {
        at += after;
        row.set(point, UnixMicros(at));
    }
    if outcome == Outcome::Shown {
        row.frame = Some(FrameNumber(number));
    }
    row
}

fn measure(rows: &[FrameRow], disturbances: Option<&Disturbances>) -> Measured {
    let mut from = FromRows::new(WINDOW, disturbances);
    for row in rows {
        from.push(row);
    }
    from.close(60.0)
}

#[test]
fn frames_are_counted_by_what_became_of_them() {
    let mut rows: Vec<_> = (0..600).map(|number| row(number, Outcome::Shown)).collect();
    rows.remove(17);
    rows[20] = row(21, Outcome::Lost);
    rows[30] = row(31, Outcome::Unread);
    rows[35] = row(36, Outcome::Damaged);
    rows.push(row(40, Outcome::Duplicate));
    rows.push(row(41, Outcome::Shown));
    let mut warmup = row(0, Outcome::Shown);
    warmup.frame = Some(FrameNumber(4_000));
    warmup.phase = Some(Phase::Warmup);
    rows.push(warmup);
    let mut late = row(600, Outcome::Shown);
    late.phase = None;
    rows.push(late);
    let measured = measure(&rows, None);
    assert_eq!(
        measured.all.frames,
        Counts {
            scheduled: 600,
            generated: Some(599),
            shown: 597,
            lost: 3,
            unreported: 0,
            unread: 1,
            damaged: 1,
            duplicate: 2,
        }
    );
    assert_eq!(measured.samples.len(), 596);
    assert!(measured.undisturbed.is_none(), "nobody watched");
}

#[test]
fn stages_sum_to_the_latency_and_say_what_is_codec() {
    let rows: Vec<_> = (0..600).map(|number| row(number, Outcome::Shown)).collect();
    let measured = measure(&rows, None);
    let stages = &measured.stages;
    assert_eq!((stages.complete(), stages.out_of_order), (600, 0));
    let share = stages.codec_share().expect("samples");
    assert!((share - 4_900.0 / 5_500.0).abs() < 1e-9, "{share}");
    let sum: i64 = Stage::ALL
        .into_iter()
        .filter_map(|stage| Some(stages.figures(stage)?.p50))
        .sum();
    let p50 = measured.figures().expect("samples").p50;
    assert_eq!(sum, p50);
    assert!(
        measured.codec_gap_us().expect("both") > 500,
        "the path's 600 us are missing"
    );
}

#[test]
fn a_frame_without_a_point_is_a_sample_but_not_complete() {
    let mut missing = row(5, Outcome::Shown);
    missing.points[Point::Relayed as usize] = None;
    let measured = measure(&[row(4, Outcome::Shown), missing], None);
    assert_eq!(measured.samples.len(), 2);
    assert_eq!(measured.stages.complete(), 1);
}

/// A tenth of the frames took 30 ms, and where they were relayed is unknown.
#[test]
fn the_means_of_stages_sum_to_that_of_the_frames_that_have_them_all() {
    let rows: Vec<_> = (0..600)
        .map(|number| {
            let mut row = row(number, Outcome::Shown);
            if number.is_multiple_of(10) {
                row.points[Point::Relayed as usize] = None;
                let decoded = row.at(Point::Decoded).expect("set").0 + 24_500;
                row.set(Point::Decoded, UnixMicros(decoded));
            }
            row
        })
        .collect();
    let measured = measure(&rows, None);
    let figures = Stage::ALL.map(|stage| measured.stages.figures(stage).expect("complete ones"));
    assert_eq!(figures.map(|of| of.count), [540; 5]);
    let sum: f64 = figures.iter().map(|of| of.mean).sum();
    assert!((sum - 5_500.0).abs() < 1e-6, "{sum}");
    // Behind a server that keeps no trace no frame has every point, and what is known is of all.
    let behind: Vec<_> = rows
        .into_iter()
        .map(|mut row| {
            row.points[Point::Relayed as usize] = None;
            row
        })
        .collect();
    let stages = measure(&behind, None).stages;
    let count = |of: Option<Exact>| of.map(|of| of.count);
    assert_eq!(count(stages.figures(Stage::Decode)), Some(600));
    assert_eq!(count(stages.figures(Stage::Relay)), None);
    assert_eq!(count(stages.carried()), Some(600));
}

/// Two repetitions that took 25.601 and 25.607 ms from encoded to received are of one bucket of a histogram, and not alike.
#[test]
fn what_was_carried_is_exact() {
    let of = |more: u64| {
        let rows: Vec<_> = (0..300)
            .map(|number| {
                let mut row = row(number, Outcome::Shown);
                for point in [Point::Received, Point::Decoded] {
                    let at = row.at(point).expect("set").0 + more;
                    row.set(point, UnixMicros(at));
                }
                row
            })
            .collect();
        RepetitionFigures::of(1, &measure(&rows, None)).expect("samples")
    };
    let p50 = |more| of(more).carried_p50;
    assert_eq!((p50(25_001), p50(25_007)), (Some(25_601.0), Some(25_607.0)));
}

/// The stamp of some pictures cannot be read: they were shown, and nothing is lost.
#[test]
fn an_unread_picture_is_a_frame_that_was_shown() {
    let unread = |number: u32| (200..230).contains(&number);
    let rows = (0..600).map(|number| {
        let outcome = if unread(number) {
            Outcome::Unread
        } else {
            Outcome::Shown
        };
        row(number, outcome)
    });
    let mut rows: Vec<_> = rows.collect();
    // Shown again, unread both times; and again, of a frame that was read.
    rows.extend([row(200, Outcome::Unread), row(100, Outcome::Unread)]);
    let second = Window {
        from_us: START + 3_000_000,
        to_us: START + 4_000_000,
    };
    let disturbances = Disturbances::new(vec![second]);
    let measured = measure(&rows, Some(&disturbances));
    let frames = measured.all.frames;
    assert_eq!((frames.shown, frames.lost), (600, 0));
    assert_eq!((frames.unread, frames.duplicate), (30, 2));
    assert_eq!(measured.samples.len(), 570);
    let quiet = measured.undisturbed.expect("watched").frames;
    assert_eq!((quiet.shown, quiet.lost), (540, 0));
    assert_eq!((quiet.unread, quiet.duplicate), (0, 1));
    // And so it is of ffmpeg.
    let picture = |n: u64| Some((START + n * 40_000, 800_000)).filter(|_| n % 10 != 3);
    let all = FromOcr::measure(
        &(0..250).map(picture).collect::<Vec<_>>(),
        WINDOW,
        None,
        25.0,
    )
    .all;
    assert_eq!((all.frames.lost, all.frames.unread), (0, 25));
}

/// The client could not send a hundred of its reports: nobody knows what became of those frames.
#[test]
fn a_report_that_never_came_is_no_loss() {
    let of = |unreported| {
        let counts = UnreportedCounts {
            all: unreported,
            ..UnreportedCounts::default()
        };
        let mut from = FromRows::new(WINDOW, None).unreported(counts);
        for number in (0..600).filter(|number| !(100..200).contains(number) && *number != 300) {
            from.push(&row(number, Outcome::Shown));
        }
        let frames = from.close(60.0).all.frames;
        (frames.shown, frames.lost, frames.unreported)
    };
    assert_eq!(of(0), (499, 101, 0));
    assert_eq!(of(100), (499, 1, 100));
    assert_eq!(of(900), (499, 0, 101));
}

/// What one client could not report hides no loss of another.
#[test]
fn a_report_of_another_client_that_never_came_is_no_excuse() {
    let counts = UnreportedCounts {
        all: 100,
        clients: [("a".to_owned(), 100)].into(),
    };
    let mut from = FromRows::new(WINDOW, None).unreported(counts);
    for client in ["a", "b"] {
        for number in (0..600).filter(|number| !(100..200).contains(number)) {
            from.push(&FrameRow {
                client: ClientName::new(client).ok(),
                ..row(number, Outcome::Shown)
            });
        }
    }
    let clients = from.close(60.0).clients;
    let of = |name: &str| (clients[name].lost, clients[name].unreported);
    assert_eq!((of("a"), of("b")), ((0, 100), (100, 0)));
}

/// ffmpeg repeats a picture whose stamp cannot be read: that shows no other frame, and hides no loss.
#[test]
fn an_unread_repeat_hides_no_loss() {
    let mut readings: Vec<_> = (0..250_u64)
        .filter(|n| *n != 100)
        .map(|n| Some((START + n * 40_000, 800_000)))
        .collect();
    for _ in 0..3 {
        readings.insert(50, None);
    }
    let frames = FromOcr::measure(&readings, WINDOW, None, 25.0).all.frames;
    assert_eq!((frames.shown, frames.lost), (249, 1));
    assert_eq!((frames.unread, frames.duplicate), (0, 3));
}

#[test]
fn disturbed_seconds_are_left_out_of_the_second_figure() {
    let second = |n: u64| Window {
        from_us: START + n * 1_000_000,
        to_us: START + (n + 1) * 1_000_000,
    };
    let disturbances = Disturbances::new(vec![second(3), second(7)]);
    // Half of the frames of second 3 are lost.
    let rows: Vec<_> = (0..600)
        .filter(|number| !(180..210).contains(number))
        .map(|number| row(number, Outcome::Shown))
        .collect();
    let measured = measure(&rows, Some(&disturbances));
    assert_eq!(measured.all.frames.lost, 30);
    let quiet = measured.undisturbed.expect("watched");
    assert_eq!((quiet.frames.scheduled, quiet.frames.lost), (480, 0));
    assert_eq!(quiet.histogram.count(), 480);
    assert!((quiet.seconds - 8.0).abs() < 1e-9);
}

#[test]
fn a_latency_that_reaches_into_a_disturbed_second_is_no_loss() {
    // Every frame is shown, 600 ms after its generation.
    let rows: Vec<_> = (0..600)
        .map(|number| {
            let mut row = row(number, Outcome::Shown);
            let late = row.at(Point::Decoded).expect("set").0 + 594_500;
            row.set(Point::Decoded, UnixMicros(late));
            row
        })
        .collect();
    let busy = Disturbances::new(vec![Window {
        from_us: START + 5_000_000,
        to_us: START + 10_000_000,
    }]);
    let quiet = measure(&rows, Some(&busy)).undisturbed.expect("watched");
    assert_eq!(
        (
            quiet.frames.scheduled,
            quiet.frames.shown,
            quiet.frames.lost
        ),
        (300, 300, 0)
    );
    let quiet_samples = quiet.histogram.count();
    assert!(
        (260..=265).contains(&quiet_samples),
        "{quiet_samples}: what ended in a disturbed second is not quiet"
    );
    // And a loss in a quiet second is not made good by frames that only end in it.
    let busy = Disturbances::new(vec![Window {
        from_us: START,
        to_us: START + 5_000_000,
    }]);
    let quiet = measure(&rows[..582], Some(&busy))
        .undisturbed
        .expect("watched");
    assert_eq!((quiet.frames.scheduled, quiet.frames.lost), (300, 18));
}

/// A reference takes seconds: a picture that was generated in a quiet one may have crossed a disturbed one.
#[test]
fn a_reference_s_latency_is_disturbed_by_any_moment_of_it() {
    let readings: Vec<_> = (0..250_u64)
        .map(|n| Some((START + n * 40_000, 2_100_000)))
        .collect();
    let busy = Disturbances::new(vec![Window {
        from_us: START + 5_000_000,
        to_us: START + 6_000_000,
    }]);
    let measured = FromOcr::measure(&readings, WINDOW, Some(&busy), 25.0);
    let quiet = measured.undisturbed.expect("watched");
    let frames = quiet.frames;
    assert_eq!((frames.scheduled, frames.shown, frames.lost), (225, 225, 0));
    // Those of 2.1 s before it as well, of which each reached it.
    let met = |at_us: u64| (START + 2_900_000..START + 6_000_000).contains(&at_us);
    let disturbed = readings.iter().flatten().filter(|(at_us, _)| met(*at_us));
    assert_eq!(quiet.histogram.count(), 250 - disturbed.count() as u64);
    for sample in &measured.samples {
        assert_eq!(sample.disturbed, met(sample.generated_us), "{sample:?}");
    }
}

#[test]
fn ffmpeg_is_known_from_its_clock_alone() {
    let picture = |n: u64, latency| Some((START + n * 40_000, latency));
    let mut rows: Vec<_> = (0..250).map(|n| picture(n, 800_000)).collect();
    rows[9] = None;
    rows[10] = None;
    rows.push(picture(249, 840_000));
    rows.push(picture(251, 9));
    let measured = FromOcr::measure(&rows, WINDOW, None, 25.0);
    assert_eq!(
        measured.all.frames,
        Counts {
            scheduled: 250,
            generated: None,
            shown: 250,
            lost: 0,
            unreported: 0,
            unread: 2,
            damaged: 0,
            duplicate: 1,
        }
    );
    let figures = measured.figures().expect("samples");
    assert_eq!(figures.count, 248);
    assert_eq!(figures.max, 800_000);
}

proptest! {
    /// Percentiles of repetitions together are those of all their samples, whatever is in which.
    #[test]
    fn merging_is_measuring_together(latencies in prop::collection::vec(0..50_000_u64, 1..80), cut in 0..80_usize) {
        let rows: Vec<_> = (0..).zip(&latencies).map(|(number, latency)| {
            let mut row = row(number, Outcome::Shown);
            let generated = row.at(Point::Generated).expect("set").0;
            row.set(Point::Decoded, UnixMicros(generated + latency));
            row
        }).collect();
        let (one, two) = rows.split_at(cut.min(rows.len()));
        let mut merged = Measured::default();
        merged.merge(measure(one, None));
        merged.merge(measure(two, None));
        prop_assert_eq!(&merged.all.histogram, &measure(&rows, None).all.histogram);
        prop_assert_eq!(merged.samples.len(), rows.len());
    }

    /// Whatever rows come, the counts fit together.
    #[test]
    fn counts_fit_together(rows in prop::collection::vec((0..700_u32, 0..5_usize), 0..300)) {
        let outcomes = [Outcome::Shown, Outcome::Unread, Outcome::Damaged, Outcome::Duplicate, Outcome::Lost];
        let rows: Vec<_> = rows.into_iter().map(|(number, outcome)| row(number, outcomes[outcome])).collect();
        let measured = measure(&rows, None);
        let frames = measured.all.frames;
        prop_assert_eq!(frames.shown + frames.lost, frames.scheduled);
        prop_assert!(frames.shown <= frames.generated.unwrap_or(0));
        prop_assert_eq!(measured.figures().map_or(0, |figures| figures.count), frames.shown - frames.unread);
    }
}

fn shown_by(client: &str, number: u32) -> FrameRow {
    let mut row = row(number, Outcome::Shown);
    row.client = ClientName::new(client).ok();
    row
}

/// A frame that two clients show is a sample of each, and a frame of each that is scheduled.
#[test]
fn frames_of_two_clients_are_not_taken_for_one() {
    let mut rows: Vec<_> = (0..600).map(|number| shown_by("a", number)).collect();
    rows.extend((0..590).map(|number| shown_by("b", number)));
    rows.push(shown_by("b", 3));
    let measured = measure(&rows, None);
    let frames = measured.all.frames;
    assert_eq!((frames.scheduled, frames.generated), (1_200, Some(1_200)));
    assert_eq!(
        (frames.shown, frames.lost, frames.duplicate),
        (1_190, 10, 1)
    );
    assert_eq!(measured.samples.len(), 1_190);
    assert_eq!(
        (measured.clients["a"].shown, measured.clients["a"].lost),
        (600, 0)
    );
    assert_eq!(
        (measured.clients["b"].shown, measured.clients["b"].lost),
        (590, 10)
    );
    let display = measured.display.expect("pictures");
    assert_eq!((display.pictures, display.frozen), (1_191, 1));
    assert!((measured.all.seconds - 10.0).abs() < 1e-9);
}

/// Who came late and left early lost nothing before and after.
#[test]
fn a_client_that_comes_and_goes_is_owed_what_lies_between() {
    let mut from = FromRows::new(WINDOW, None).collected(true);
    for number in 0..600 {
        from.push(&shown_by("a", number));
        if (100..200).contains(&number) && number != 150 {
            from.push(&shown_by("b", number));
        }
    }
    let measured = from.close(60.0);
    let of_b = measured.clients["b"];
    assert_eq!(
        (of_b.scheduled, of_b.generated, of_b.shown, of_b.lost),
        (100, Some(100), 99, 1)
    );
    assert_eq!(measured.clients["a"].lost, 0);
    assert_eq!(measured.display.expect("pictures").freezes, []);
}

#[test]
fn clients_of_two_streams_are_owed_their_own_frames() {
    let mut from = FromRows::new(WINDOW, None).collected(true);
    for number in 0..100 {
        from.push(&shown_by("a", number));
        let mut other = shown_by("b", number);
        let generated = other.at(Point::Generated).expect("set").0 + 5_000;
        other.set(Point::Generated, UnixMicros(generated));
        other.rtp_timestamp = RtpTimestamp::from_generated(UnixMicros(generated));
        from.push(&other);
    }
    let frames = from.close(60.0).all.frames;
    assert_eq!((frames.scheduled, frames.shown, frames.lost), (200, 200, 0));
}

/// The streamer's clock is 3 ms behind in some frames, and the client's 50 ms in one.
#[test]
fn impossible_times_are_counted_and_not_taken_for_none() {
    let mut rows: Vec<_> = (0..100).map(|number| row(number, Outcome::Shown)).collect();
    for row in &mut rows[10..15] {
        let relayed = row.at(Point::Relayed).expect("set").0;
        row.set(Point::Ingested, UnixMicros(relayed + 3_000));
    }
    let generated = rows[40].at(Point::Generated).expect("set").0;
    rows[40].set(Point::Decoded, UnixMicros(generated - 50_000));
    let measured = measure(&rows, None);
    assert_eq!((measured.negative, measured.stages.out_of_order), (1, 6));
    assert!(
        measured
            .samples
            .iter()
            .any(|sample| sample.latency_us == -50_000)
    );
}

/// Lost on the way is one thing, and come and not shown another.
#[test]
fn frames_that_came_and_were_not_shown_are_told_apart() {
    let mut came = row(7, Outcome::Lost);
    came.points[Point::Decoded as usize] = None;
    let mut lost = came.clone();
    lost.points[Point::Received as usize] = None;
    lost.rtp_timestamp.0 += 1;
    let measured = measure(&[row(6, Outcome::Shown), came, lost], None);
    assert_eq!((measured.came, measured.all.frames.shown), (1, 1));
}

/// Samples of a short film are many, and its pictures few.
#[test]
fn pictures_are_counted_beside_frames() {
    let film = |start| Content {
        start,
        pictures: Some(132),
    };
    let of = |numbers: std::ops::Range<u32>, content| {
        let mut from = FromRows::new(WINDOW, None).content(content);
        for number in numbers {
            from.push(&row(number, Outcome::Shown));
        }
        from.close(60.0)
    };
    assert_eq!(of(37..157, film(0)).pictures.len(), 120);
    assert_eq!(of(0..600, film(7)).pictures.len(), 132);
    let mut merged = Measured::default();
    for _ in 0..12 {
        merged.merge(of(37..157, film(0)));
    }
    assert_eq!((merged.samples.len(), merged.pictures.len()), (1_440, 120));
    merged.merge(of(37..157, film(100)));
    assert_eq!(merged.pictures.len(), 132, "another stretch");
}

/// A renderer that begins anew counts from 0 again: its frames are others.
#[test]
fn a_restarted_renderer_repeats_numbers_and_no_frames() {
    let again = |number: u32| {
        let mut row = row(number, Outcome::Shown);
        row.frame = Some(FrameNumber(number % 300));
        row
    };
    let rows: Vec<_> = (0..600).map(again).collect();
    let frames = measure(&rows, None).all.frames;
    assert_eq!((frames.shown, frames.duplicate), (600, 0));
}
