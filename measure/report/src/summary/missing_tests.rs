//! Tests of what of a result is missing, and of how that is said.

use std::fs;

use serde_json::Value;
use timeline::UnixMicros;

use super::tests::{SECOND, START, result, several, summary};
use super::*;
use result::{RepetitionMeta, RunFolder, RunState, write_json};

/// Interrupted after eight seconds: nobody waited for what was on its way.
#[test]
fn an_interrupted_repetition_ends_with_the_last_frame_that_was_shown() {
    let (_, dir) = summary();
    let folder = RunFolder::new(dir.path());
    let at = folder.repetition("ours-udp-360p25", 1);
    let text = fs::read_to_string(at.frames_csv()).expect("there");
    let mut shown = 0;
    let rows = text.lines().map(|line| {
        shown += 1;
        if shown > 200 {
            line.replace(",shown,", ",lost,")
        } else {
            line.to_owned()
        }
    });
    let rows: Vec<String> = rows.collect();
    fs::write(at.frames_csv(), rows.join("\n") + "\n").expect("written");
    let meta = RepetitionMeta {
        measured_to_us: Some(UnixMicros(START + 9 * SECOND)),
        complete: false,
        ..at.meta().expect("there")
    };
    write_json(&at.meta_json(), &meta).expect("meta.json");
    let summary = build(&load(&folder).expect("a result"));
    let ours = summary.scenario("ours-udp-360p25").expect("there").frames;
    assert_eq!((ours.scheduled, ours.shown, ours.lost), (200, 199, 1));
}

#[test]
fn a_result_that_was_cut_off_says_so_and_keeps_what_it_has() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let folder = result(dir.path());
    let at = folder.repetition("ours-udp-360p25", 1);
    let meta = RepetitionMeta {
        measured_to_us: None,
        complete: false,
        ..at.meta().expect("there")
    };
    write_json(&at.meta_json(), &meta).expect("written");
    let text = fs::read_to_string(at.frames_csv()).expect("there");
    fs::write(at.frames_csv(), &text[..text.len() / 2]).expect("written");
    fs::remove_file(folder.repetition("reference-360p25", 1).ocr_csv()).expect("removed");
    let summary = build(&load(&folder).expect("a result"));
    let ours = summary.scenario("ours-udp-360p25").expect("there");
    assert!((115..130).contains(&ours.frames.shown), "{:?}", ours.frames);
    assert!(
        ours.notes
            .iter()
            .any(|note| note.text.contains("not completed"))
    );
    let error = summary.check().expect_err("the reference has no sample");
    assert!(error.to_string().contains("reference-360p25"), "{error}");
}

#[test]
fn what_was_planned_and_is_missing_is_said() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let folder = several(dir.path(), &[("s1", "udp", 0), ("s2", "udp", 500)]);
    let at = folder.repetition("s1", 2);
    let meta = RepetitionMeta {
        measured_from_us: None,
        measured_to_us: None,
        complete: false,
        ..at.meta().expect("there")
    };
    write_json(&at.meta_json(), &meta).expect("written");
    fs::remove_dir_all(folder.root().join("s2")).expect("removed");
    let mut info = folder.info().expect("run.json");
    info.state = RunState::Failed;
    write_json(&folder.run_json(), &info).expect("written");
    let summary = build(&load(&folder).expect("a result"));
    let [one, two] = &summary.scenarios[..] else {
        panic!("both were planned");
    };
    assert_eq!(
        one.runs,
        Runs {
            planned: 4,
            begun: 4,
            completed: 3,
            whole: 3
        }
    );
    let note = one
        .notes
        .iter()
        .find(|note| note.text.contains("3 of 4 planned"));
    assert!(
        note.is_some_and(|note| note.text.contains("no percentile, interval or difference")),
        "{:?}",
        one.notes
    );
    assert_eq!((two.runs.planned, two.runs.begun), (4, 0));
    assert_eq!(two.finding().map(|of| of.kind), Some(FindingKind::NotBegun));
    let error = summary.check().expect_err("a part is missing").to_string();
    assert!(
        error.contains("s1: 3 of 4") && error.contains("s2: none of 4"),
        "{error}"
    );
    let schema: Value = serde_json::from_str(include_str!("../../../../docs/summary.schema.json"))
        .expect("the schema is JSON");
    let written = serde_json::to_value(&summary).expect("JSON");
    assert!(jsonschema::is_valid(&schema, &written));
}

/// What was measured and is gone is not what was never begun.
#[test]
fn what_was_deleted_is_damage() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let folder = result(dir.path());
    let (ours, floor) = ("ours-udp-360p25", "floor-640x360-25");
    let finding = |name: &str| {
        let summary = build(&load(&folder).expect("a result"));
        let error = summary.check().expect_err("damaged").to_string();
        let mut found = summary.findings();
        let (_, finding) = found.find(|(of, _)| *of == name).expect("a finding");
        assert_eq!(finding.kind, FindingKind::Damaged, "{}", finding.text);
        assert!(error.contains(&finding.text), "{error}");
        finding.text
    };
    fs::remove_file(folder.repetition(ours, 1).meta_json()).expect("removed");
    let said = finding(ours);
    for words in [
        "the result is damaged",
        "no ours-udp-360p25/run-1/meta.json",
        "measure again",
    ] {
        assert!(said.contains(words), "{said}");
    }
    fs::remove_file(folder.repetition(floor, 2).frames_csv()).expect("removed");
    assert!(finding(floor).contains("run 2: there is no frames.csv"));
    fs::remove_dir_all(folder.root().join(floor)).expect("removed");
    let said = finding(floor);
    assert!(
        said.contains("no floor-640x360-25/run-1/meta.json, and 2 more"),
        "{said}"
    );
}

/// The remarks of one kind on the scenario of ours.
fn notes(folder: &RunFolder, kind: NoteKind) -> Vec<String> {
    let summary = build(&load(folder).expect("a result"));
    let ours = summary.scenario("ours-udp-360p25").expect("there");
    let notes = ours.notes.iter().filter(|note| note.kind == kind);
    notes.map(|note| note.text.clone()).collect()
}

#[test]
fn a_file_that_was_deleted_or_cut_off_is_said() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let folder = result(dir.path());
    let at = folder.repetition("ours-udp-360p25", 1);
    let said = || notes(&folder, NoteKind::Files);
    assert_eq!(said(), [""; 0]);
    for (path, lacks) in [
        (at.host_csv(), "host.csv lacks the last 7 measured seconds"),
        (
            at.resources_csv(),
            "resources.csv lacks the last 8 measured seconds",
        ),
    ] {
        let whole = fs::read_to_string(&path).expect("there");
        fs::remove_file(&path).expect("removed");
        let [missing] = &said()[..] else {
            panic!("{:?}", said());
        };
        assert!(missing.contains("there is no "), "{missing}");
        let begun: Vec<_> = whole.lines().take(4).collect();
        fs::write(&path, begun.join("\n") + "\n").expect("written");
        let [short] = &said()[..] else {
            panic!("{:?}", said());
        };
        assert!(short.contains(lacks), "{short}");
        fs::write(&path, whole).expect("written");
    }
    // Whoever collects from clients that come and go watches no machine.
    for path in [at.host_csv(), at.resources_csv()] {
        fs::remove_file(path).expect("removed");
    }
    let meta = RepetitionMeta {
        collected: true,
        ..at.meta().expect("there")
    };
    write_json(&at.meta_json(), &meta).expect("written");
    assert_eq!(said(), [""; 0]);
}

#[test]
fn strips_that_nobody_read_are_no_loss() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let folder = result(dir.path());
    let at = folder.repetition("reference-360p25", 1);
    fs::remove_file(at.ocr_csv()).expect("removed");
    fs::write(at.strips().join("strips-00000.pgm"), "P5").expect("written");
    let summary = build(&load(&folder).expect("a result"));
    let reference = summary.scenario("reference-360p25").expect("planned");
    let finding = reference.finding().expect("not read");
    assert_eq!(finding.kind, FindingKind::NotRead);
    assert!(finding.text.contains("xrbench ocr"), "{}", finding.text);
    assert_eq!(reference.frames.lost, 0);
}
