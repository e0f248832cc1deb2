//! Tests of: compare.

use std::{fs, io::BufReader, path::PathBuf, time::Duration};

use settings::Span;
use timeline::{
    UnixMicros,
    frames_csv::FrameReader,
    hist::{LatencyHistogram, LogWriter},
};

use super::*;
use crate::{
    export::junit::Outcome,
    summary::tests::{add_floor, frames, move_decoded, result, several},
};
use ::result::{
    ClockCheck, ContentMeta, MachineState, RepetitionMeta, RunFolder, RunState, write_json,
};

const fn within(tolerance: Tolerance) -> Options {
    Options {
        tolerance,
        partial: false,
    }
}

const STRICT: Options = within(Tolerance::Percent(5.0));

const PARTIAL: Options = Options {
    partial: true,
    ..STRICT
};

fn error(a: &Path, b: &Path) -> String {
    let error = compare(a, b, STRICT).expect_err("cannot be compared");
    assert!(error.is::<BadInput>(), "{error:?}");
    error.to_string()
}

/// Two results: in the second `s1` takes so many microseconds more, and its floor so many.
fn sessions(delay_us: u64, floor_us: u64) -> (tempfile::TempDir, PathBuf, PathBuf) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    add_floor(&several(&a, &[("s1", "udp", 0)]), 0);
    let later = several(&b, &[("new", "udp", 0), ("s1", "udp", delay_us)]);
    add_floor(&later, floor_us);
    (dir, a, b)
}

/// Two results of a machine that keeps its speed: the scenario `s1` with such a delay, microseconds, in the second.
fn two(delay_us: u64) -> (tempfile::TempDir, PathBuf, PathBuf) {
    sessions(delay_us, 0)
}

/// A session in which the machine is slower by 14 %: nothing of the code is.
#[test]
fn a_machine_that_became_slower_is_no_regression() {
    let (_dir, a, b) = sessions(670, 620);
    let of = compare(&a, &b, STRICT).expect("two results");
    let one = &of.scenarios[0];
    assert_eq!(
        (of.verdict, one.why.as_str()),
        (Verdict::Equivalent, "equivalent within the tolerance")
    );
    let (own, change) = (
        one.own_us.expect("floors"),
        one.p50_change_us.expect("samples"),
    );
    assert!((620.0..720.0).contains(&change), "{change}");
    assert!(
        (own.floor - 620.0).abs() < 10.0 && own.difference < 120.0,
        "{own:?}"
    );
    assert_eq!(own.rounds, 4);
    assert!(
        of.notes
            .iter()
            .any(|note| note.contains("the codec alone (floor) moved by +0.62 ms"))
    );
    // And a scenario that became slower does not hide behind a machine that became faster.
    let (_dir, a, b) = sessions(500, 0);
    let of = compare(&a, &b, STRICT).expect("two results");
    assert_eq!(of.verdict, Verdict::Regression, "{}", of.scenarios[0].why);
}

#[test]
fn without_a_floor_nobody_knows_what_the_machine_did() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    several(&a, &[("s1", "udp", 0)]);
    several(&b, &[("s1", "udp", 800)]);
    let of = compare(&a, &b, STRICT).expect("two results");
    assert_eq!(of.verdict, Verdict::Inconclusive);
    assert!(
        of.scenarios[0].why.contains("floor = {}"),
        "{}",
        of.scenarios[0].why
    );
    assert!(matches!(
        of.cases()[0].outcome,
        Outcome::Error {
            kind: "inconclusive",
            ..
        }
    ));
}

#[test]
fn what_is_not_alike_is_not_compared() {
    let (_dir, a, b) = two(0);
    change(&b, |meta| meta.transport = "tcp".into());
    let of = compare(&a, &b, STRICT).expect("two results");
    assert_eq!(
        (of.verdict, of.scenarios[0].why.as_str()),
        (
            Verdict::Incomparable,
            "not like with like: transport differs"
        )
    );
}

/// Changes the meta of every repetition of `s1`.
fn change(result: &Path, change: impl Fn(&mut RepetitionMeta)) {
    for run in 1..=4 {
        let at = RunFolder::new(result).repetition("s1", run);
        let mut meta = at.meta().expect("there");
        change(&mut meta);
        write_json(&at.meta_json(), &meta).expect("written");
    }
}

/// A client whose clock is behind looks faster by as much.
#[test]
fn results_of_wrong_clocks_are_not_compared() {
    let (_dir, a, b) = two(0);
    for run in 1..=4 {
        move_decoded(&RunFolder::new(&b).repetition("s1", run), -50_000);
    }
    for (a, b, side) in [(&a, &b, "B"), (&b, &a, "A")] {
        let of = compare(a, b, PARTIAL).expect("two results");
        assert_eq!(of.verdict, Verdict::Incomparable, "{}", of.scenarios[0].why);
        let why = format!("the clocks of {side} disagree: its notes say which");
        assert_eq!(of.scenarios[0].why, why);
    }
    // Off by less than a latency, so that every time is possible.
    let (_dir, a, b) = two(0);
    for run in 1..=4 {
        move_decoded(&RunFolder::new(&b).repetition("s1", run), -1_500);
    }
    let of = compare(&a, &b, STRICT).expect("two results");
    assert_eq!(of.verdict, Verdict::Better, "nobody knows");
    change(&b, |meta| {
        meta.clock_checks = vec![ClockCheck {
            source: "client".into(),
            when: "at the end".into(),
            offset_us: -1_500,
            uncertainty_us: 100,
        }];
    });
    let of = compare(&a, &b, STRICT).expect("two results");
    assert_eq!(of.verdict, Verdict::Incomparable, "{}", of.scenarios[0].why);
}

#[test]
fn rounds_that_show_other_pictures_are_noted() {
    let (_dir, a, b) = two(0);
    let shows = |result: &Path, more: u64, pictures: u64| {
        change(result, |meta| {
            meta.content = Some(ContentMeta {
                start: u64::from(meta.run) * 7 + more,
                start_us: 0,
                pictures: Some(pictures),
            });
        });
    };
    let said = || {
        let of = compare(&a, &b, STRICT).expect("two results");
        let mut notes = of.notes.into_iter();
        notes.find(|note| note.contains("do not show the same"))
    };
    assert_eq!(said(), None, "of no film");
    shows(&a, 0, 132);
    assert!(said().is_some(), "a film and no film");
    shows(&b, 0, 132);
    assert_eq!(said(), None);
    shows(&b, 30, 132);
    let note = said().expect("other stretches");
    assert!(
        note.contains("rounds 1, 2, 3, 4") && note.contains("another stretch of the film"),
        "{note}"
    );
    shows(&b, 0, 900);
    let note = said().expect("another film");
    assert!(note.contains("another film"), "{note}");
}

/// What neither a digest nor the processor's name tells.
#[test]
fn other_codecs_and_settings_of_machines_are_noted() {
    let (_dir, a, b) = two(0);
    for (result, plugin, governor) in [(&a, "1.22.0", "performance"), (&b, "1.24.0", "powersave")] {
        let folder = RunFolder::new(result);
        let mut info = folder.info().expect("run.json");
        info.versions.insert("x264enc".into(), plugin.into());
        let mut state = MachineState::default();
        let settings = &mut state.settings;
        settings.insert("frequency governors".into(), governor.into());
        info.states.push(state);
        write_json(&folder.run_json(), &info).expect("written");
    }
    let of = compare(&a, &b, STRICT).expect("two results");
    for said in [
        "other versions: x264enc \"1.22.0\" and \"1.24.0\"",
        "the machines were not set alike: frequency governors \"performance\" and \"powersave\"",
    ] {
        assert!(of.notes.iter().any(|note| note == said), "{:?}", of.notes);
    }
}

#[test]
fn what_is_slower_beyond_the_tolerance_is_a_regression() {
    let (dir, a, b) = two(800);
    let is = |tolerance: Tolerance| {
        let comparison = compare(&a, &b, within(tolerance)).expect("two results");
        (comparison.verdict, comparison.scenarios[0].why.clone())
    };
    let (verdict, why) = is(Tolerance::Percent(5.0));
    assert_eq!(
        (verdict, why.as_str()),
        (Verdict::Regression, "slower beyond the tolerance")
    );
    let (verdict, why) = is(Tolerance::Time(Span::millis(1)));
    assert_eq!(
        (verdict, why.as_str()),
        (Verdict::Equivalent, "equivalent within the tolerance")
    );
    let comparison = compare(&a, &b, STRICT).expect("two results");
    assert_eq!(comparison.only_in_b, ["new"], "is no reason against B");
    let comparison = compare(&b, &a, PARTIAL).expect("two results");
    assert_eq!(comparison.verdict, Verdict::Better);
    assert_eq!(comparison.only_in_a, ["new"]);
    let one = &comparison.scenarios[0];
    let difference = one.own_us.expect("four rounds");
    assert_eq!((one.pairs, difference.rounds), (4, 4));
    assert!(
        (difference.difference + 800.0).abs() < 20.0,
        "{difference:?}"
    );
    let (p50_a, p50_b) = (
        one.p50_a_us.expect("samples"),
        one.p50_b_us.expect("samples"),
    );
    assert!((p50_b - p50_a - difference.difference).abs() < 1.0);
    drop(dir);
}

#[test]
fn a_result_is_as_good_as_itself() {
    let (_dir, a, _) = two(0);
    let comparison = compare(
        &a,
        &a,
        within(Tolerance::Time(Span(Duration::from_micros(2)))),
    )
    .expect("two results");
    assert_eq!(comparison.verdict, Verdict::Equivalent);
    assert_eq!(comparison.scenarios.len(), 1);
    assert!(
        comparison
            .scenarios
            .iter()
            .all(|one| one.why == "equivalent within the tolerance")
    );
}

#[test]
fn losing_frames_or_all_of_them_is_a_regression() {
    let (_dir, a, b) = two(0);
    let folder = RunFolder::new(&b);
    for run in 1..=4 {
        let at = folder.repetition("s1", run).frames_csv();
        let text = fs::read_to_string(&at).expect("there");
        let kept: Vec<_> = text.lines().take(240 - run as usize).collect();
        fs::write(&at, kept.join("\n") + "\n").expect("written");
    }
    let is = || compare(&a, &b, STRICT).expect("two results");
    let lost = is();
    assert_eq!(lost.verdict, Verdict::Regression);
    assert!(
        lost.scenarios[0]
            .why
            .contains("% of the frames instead of 0.44 %"),
        "{}",
        lost.scenarios[0].why
    );
    for run in 1..=4 {
        let at = folder.repetition("s1", run).frames_csv();
        let text = fs::read_to_string(&at).expect("there");
        fs::write(
            &at,
            text.lines().next().expect("a header").to_owned() + "\n",
        )
        .expect("written");
    }
    let nothing = is();
    assert_eq!(nothing.scenarios[0].why, "no frame was measured in B");
    assert!(matches!(
        nothing.cases()[0].outcome,
        Outcome::Failed {
            kind: "regression",
            ..
        }
    ));
}

/// Leaves a repetition's `frames.csv` its header alone.
fn empty(result: &Path, run: u32) {
    let at = RunFolder::new(result).repetition("s1", run).frames_csv();
    let text = fs::read_to_string(&at).expect("there");
    let head = text.lines().next().expect("a header").to_owned();
    fs::write(&at, head + "\n").expect("written");
}

#[test]
fn repetitions_that_lost_everything_count() {
    let (_dir, a, b) = two(0);
    for run in 2..=4 {
        empty(&b, run);
    }
    let of = compare(&a, &b, STRICT).expect("two results");
    assert_eq!(of.verdict, Verdict::Regression);
    let one = &of.scenarios[0];
    assert_eq!(
        one.why,
        "1 of 4 repetitions were completed with frames, of A 4 of 4"
    );
    assert!(
        one.lost_b_percent
            .is_some_and(|lost| (75.0..76.0).contains(&lost))
    );
    let note = of.notes.iter().find(|note| note.contains("1 of 4 of B"));
    assert!(
        note.is_some_and(|note| note.contains("of the 1 that both have")),
        "{:?}",
        of.notes
    );
    let back = compare(&b, &a, STRICT).expect("two results");
    assert_ne!(back.verdict, Verdict::Regression, "A was the worse one");
}

/// Half of a repetition's frames are in no report that counts: they may have been lost, or the slowest.
#[test]
fn unreported_frames_leave_the_comparison_open() {
    let (_dir, a, b) = two(0);
    let folder = RunFolder::new(&b).repetition("s1", 2);
    let text = fs::read_to_string(folder.frames_csv()).expect("there");
    let lines: Vec<_> = text.lines().collect();
    let half = lines[..lines.len() / 2].join("\n") + "\n";
    fs::write(folder.frames_csv(), half).expect("written");
    let lossy = compare(&a, &b, STRICT).expect("two results").scenarios[0].lost_b_percent;
    assert!(lossy > Some(10.0), "{lossy:?}");

    let mut meta = folder.meta().expect("there");
    meta.set_unreported([(
        "client",
        ::result::Unreported {
            skipped: 0,
            implausible: 1_000,
        },
    )]);
    write_json(&folder.meta_json(), &meta).expect("written");
    for (from, to, side) in [(&a, &b, "B"), (&b, &a, "A")] {
        let of = compare(from, to, STRICT).expect("two results");
        let one = &of.scenarios[0];
        assert_eq!(one.verdict, Verdict::Inconclusive, "{of:#?}");
        let said = format!("of the frames of {side} are unreported");
        assert!(one.why.contains(&said), "{of:#?}");
    }
}

#[test]
fn a_repetition_that_never_began_to_measure_lost_everything() {
    let (_dir, a, b) = two(0);
    let folder = RunFolder::new(&b).repetition("s1", 3);
    let meta = RepetitionMeta {
        first_frame_us: None,
        measured_from_us: None,
        measured_to_us: None,
        complete: false,
        ..folder.meta().expect("there")
    };
    write_json(&folder.meta_json(), &meta).expect("written");
    let of = compare(&a, &b, STRICT).expect("two results");
    assert_eq!(of.verdict, Verdict::Regression);
    let lost = of.scenarios[0].lost_b_percent.expect("begun");
    assert!((25.0..26.0).contains(&lost), "{lost}");
    // One that was not even begun is a planned one that is missing.
    fs::remove_dir_all(folder.root()).expect("removed");
    let result = RunFolder::new(&b);
    let mut info = result.info().expect("run.json");
    info.state = RunState::Failed;
    write_json(&result.run_json(), &info).expect("written");
    let of = compare(&a, &b, STRICT).expect("two results");
    assert_eq!(of.verdict, Verdict::Regression);
    assert_eq!(
        of.scenarios[0].runs_b,
        Repetitions {
            planned: 4,
            whole: 3
        }
    );
    let of = compare(&a, &b, PARTIAL).expect("two results");
    assert_eq!(of.verdict, Verdict::Equivalent, "of what both have");
}

#[test]
fn what_only_a_has_or_nobody_measured_is_not_compared() {
    let (_dir, a, b) = two(0);
    let of = compare(&b, &a, STRICT).expect("two results");
    assert_eq!(of.verdict, Verdict::Incomparable, "A has `new`, B has not");
    let cases = of.cases();
    let missing = cases.iter().find(|case| case.name == "new");
    assert!(missing.is_some_and(
        |case| matches!(case.outcome, Outcome::Error { kind, .. } if kind == "missing")
    ));
    for run in 1..=4 {
        empty(&a, run);
    }
    let of = compare(&a, &b, STRICT).expect("two results");
    assert_eq!(
        (of.verdict, of.scenarios[0].why.as_str()),
        (Verdict::Incomparable, "no frame was measured in A")
    );
    let of = compare(&a, &a, STRICT).expect("two results");
    assert_eq!(of.verdict, Verdict::Incomparable, "nothing is not alike");
}

#[test]
fn an_unfinished_result_is_compared_only_where_that_is_asked_for() {
    let (_dir, a, b) = two(0);
    let folder = RunFolder::new(&b);
    let mut info = folder.info().expect("run.json");
    info.state = RunState::Interrupted;
    write_json(&folder.run_json(), &info).expect("written");
    for of in [error(&a, &b), error(&b, &a)] {
        assert!(
            of.contains("interrupted") && of.contains("--partial"),
            "{of}"
        );
    }
    let of = compare(&a, &b, PARTIAL).expect("two results");
    assert!(
        of.notes
            .iter()
            .any(|note| note.starts_with("B was interrupted"))
    );
}

#[test]
fn frames_that_are_missing_from_their_file_are_no_loss() {
    let (_dir, a, b) = two(0);
    let at = RunFolder::new(&b).repetition("s1", 2);
    let file = BufReader::new(fs::File::open(at.frames_csv()).expect("there"));
    let mut all = LatencyHistogram::new();
    for row in FrameReader::new(file).expect("a header") {
        all.record(row.expect("a row").latency_us().expect("shown"));
    }
    let meta = at.meta().expect("there");
    let mut log = LogWriter::begin(Vec::new(), meta.started_us).expect("begun");
    let (from, to) = (meta.started_us, UnixMicros(meta.started_us.0 + 10_000_000));
    log.write(None, from, to, &all).expect("written");
    fs::write(at.latency_hlog(), log.into_inner()).expect("written");
    assert_eq!(
        compare(&a, &b, STRICT).expect("whole").verdict,
        Verdict::Equivalent
    );
    let text = fs::read_to_string(at.frames_csv()).expect("there");
    let kept: Vec<_> = text.lines().take(50).collect();
    fs::write(at.frames_csv(), kept.join("\n") + "\n").expect("written");
    let of = error(&a, &b);
    assert!(of.contains("has 49 of the 249 measured frames"), "{of}");
}

/// A repetition that is gone from a result was measured once: its absence says nothing of what was measured.
#[test]
fn a_repetition_that_is_gone_is_damage_and_no_loss() {
    let (_dir, a, b) = two(0);
    let at = RunFolder::new(&b).repetition("s1", 2);
    fs::remove_file(at.meta_json()).expect("removed");
    for of in [error(&a, &b), error(&b, &a)] {
        for words in ["is damaged", "no s1/run-2/meta.json", "measure again"] {
            assert!(of.contains(words), "{of}");
        }
    }
    let partial = compare(&a, &b, PARTIAL).expect_err("damaged").to_string();
    assert!(partial.contains("is damaged"), "{partial}");
    fs::remove_dir_all(at.root()).expect("removed");
    assert!(error(&a, &b).contains("no s1/run-2/meta.json"));
    fs::remove_dir_all(at.root().parent().expect("of s1")).expect("removed");
    assert!(error(&a, &b).contains("no s1/run-1/meta.json, and 3 more"));
}

#[test]
fn a_single_repetition_is_never_a_regression() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    result(&a);
    let later = result(&b);
    let slow = [1_500, 300, 40, 9_260, 700];
    frames(&later, "ours-udp-360p25", Pipeline::Ours, 1, slow);
    let at = later.repetition("ours-udp-360p25", 1).frames_csv();
    let text = fs::read_to_string(&at).expect("there");
    let kept: Vec<_> = text.lines().take(200).collect();
    fs::write(&at, kept.join("\n") + "\n").expect("written");
    let comparison = compare(&a, &b, STRICT).expect("two results");
    assert_eq!(comparison.verdict, Verdict::Inconclusive);
    let ours = &comparison.scenarios[0];
    assert!(
        ours.why.contains("% of the frames instead of"),
        "{}",
        ours.why
    );
    let own = ours.own_us.expect("a round");
    assert!(own.difference > 8_000.0 && own.ci.is_none(), "{own:?}");
    assert_eq!(ours.name, "ours-udp-360p25");
    assert_eq!(comparison.scenarios[1].name, "reference-360p25");
}

#[test]
fn what_cannot_be_compared_says_why_and_what_to_do() {
    let (dir, a, _) = two(0);
    let none = error(&a, &dir.path().join("none"));
    assert!(
        none.contains("there is no folder") && none.contains("--out DIR"),
        "{none}"
    );
    let empty = dir.path().join("empty");
    fs::create_dir(&empty).expect("made");
    assert!(error(&empty, &a).contains("run.json"));
    fs::write(empty.join("run.json"), r#"{"schema_version": 7}"#).expect("written");
    let other = error(&a, &empty);
    assert!(
        other.contains("schema_version 7") && other.contains("measure again"),
        "{other}"
    );
    fs::write(empty.join("run.json"), "{").expect("written");
    assert!(error(&a, &empty).contains("no schema_version"));
    let c = dir.path().join("c");
    several(&c, &[("other", "udp", 0)]);
    let nothing = error(&a, &c);
    assert!(
        nothing.contains("has s1") && nothing.contains("has other"),
        "{nothing}"
    );
}

#[test]
fn the_terminal_and_the_page_are_as_they_were_reviewed() {
    let (dir, a, b) = two(800);
    let mut comparison = compare(&a, &b, STRICT).expect("two results");
    // Not the temporary folders.
    comparison.a.folder = "before".into();
    comparison.b.folder = "after".into();
    insta::assert_snapshot!("terminal", show::terminal(&comparison, Some(160)));
    let path = dir.path().join("compare.html");
    write_page(&path, &comparison).expect("written");
    let page = fs::read_to_string(&path).expect("there");
    let (_, body) = page.split_once("</style>").expect("a style sheet");
    insta::assert_snapshot!("page", body);
    assert!(
        !page.contains("src=") && !page.contains("href="),
        "no network"
    );
}
