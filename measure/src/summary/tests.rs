//! Tests of: summary.

use std::{
    fmt::Write as _,
    fs::{self, File},
};

use serde_json::Value;
use timeline::{
    FrameNumber, Point, RtpTimestamp, UnixMicros,
    frames_csv::{FrameRow, FrameWriter, Outcome, Phase},
};

use super::*;
use crate::{
    folder::{Pipeline, RunFolder, RunInfo, RunMeta, ScenarioInfo, write_json},
    ocr::table::{self, Agreement, Row, RowStatus},
};

const START: u64 = 1_795_000_000_000_000;
const SECOND: u64 = 1_000_000;

/// A result as `xrbench run` leaves it: ours with its floor, and ffmpeg, of ten seconds each.
pub(crate) fn result(root: &std::path::Path) -> RunFolder {
    let folder = RunFolder::new(root);
    let scenario = |name: &str, pipeline, floor: Option<&str>, runs| ScenarioInfo {
        name: name.into(),
        pipeline,
        floor: floor.map(Into::into),
        runs,
    };
    let info = RunInfo {
        schema_version: 1,
        name: "small".into(),
        state: RunState::Finished,
        started_us: UnixMicros(START),
        ended_us: Some(UnixMicros(START + 60 * SECOND)),
        seed: 1,
        scenarios: vec![
            scenario("floor-640x360-25", Pipeline::Floor, None, 3),
            scenario(
                "ours-udp-360p25",
                Pipeline::Ours,
                Some("floor-640x360-25"),
                1,
            ),
            scenario("reference-360p25", Pipeline::Reference, None, 1),
        ],
        ..RunInfo::default()
    };
    write_json(&folder.run_json(), &info).expect("run.json");
    for run in 1..=3 {
        frames(
            &folder,
            "floor-640x360-25",
            Pipeline::Floor,
            run,
            [1_500, 0, 0, 0, 700],
        );
    }
    frames(
        &folder,
        "ours-udp-360p25",
        Pipeline::Ours,
        1,
        [1_500, 300, 40, 260, 700],
    );
    clocks(&folder);
    folder
}

fn begin(folder: &RunFolder, name: &str, pipeline: Pipeline, run: u32) -> RunMeta {
    let at = folder.repetition(name, run);
    at.create().expect("folders");
    let meta = RunMeta {
        schema_version: 1,
        scenario: name.into(),
        run,
        pipeline,
        width: 640,
        height: 360,
        fps: 25.0,
        bitrate_bps: 2_000_000,
        transport: "udp".into(),
        started_us: UnixMicros(START - 2 * SECOND),
        client_started_us: Some(UnixMicros(START - SECOND)),
        first_frame_us: Some(UnixMicros(START - 880_000)),
        measured_from_us: Some(UnixMicros(START)),
        measured_to_us: Some(UnixMicros(START + 10 * SECOND)),
        complete: true,
        ..RunMeta::default()
    };
    write_json(&at.meta_json(), &meta).expect("meta.json");
    let mut host = String::from("from_us,to_us,steal_percent,disturbed\n");
    for second in 0..10 {
        let from = START + second * SECOND;
        writeln!(host, "{from},{},0.0,{}", from + SECOND, second == 4).expect("a String takes all");
    }
    fs::write(at.host_csv(), host).expect("host.csv");
    meta
}

fn frames(folder: &RunFolder, name: &str, pipeline: Pipeline, run: u32, stages_us: [u64; 5]) {
    let meta = begin(folder, name, pipeline, run);
    let at = folder.repetition(name, run);
    let mut writer =
        FrameWriter::begin(File::create(at.frames_csv()).expect("created")).expect("header");
    let mut ocr = Vec::new();
    for number in 0..250_u32 {
        if number == 60 {
            continue;
        }
        let generated = UnixMicros(START + u64::from(number) * 40_000);
        let mut row = FrameRow::new(RtpTimestamp::from_generated(generated), Outcome::Shown);
        row.frame = Some(FrameNumber(number));
        row.phase = Some(Phase::Measured);
        let mut time = generated.0;
        // A little slower now and then, and much slower where the machine was disturbed.
        let slow = u64::from(number % 7) * 90
            + if (100..125).contains(&number) {
                9_000
            } else {
                0
            };
        row.set(Point::Generated, generated);
        for (point, took) in Point::ALL.into_iter().skip(1).zip(stages_us) {
            time += took + if point == Point::Encoded { slow } else { 0 };
            row.set(point, UnixMicros(time));
        }
        writer.write(&row).expect("written");
        ocr.push(Row {
            file: "strips-00000.pgm".into(),
            image: u64::from(number),
            generated_us: Some(generated.0),
            consumed_us: Some(time),
            latency_us: Some(time - generated.0),
            status: RowStatus::Read,
            blocks: Agreement::Yes,
            ..Row::default()
        });
    }
    if meta.pipeline == Pipeline::Ours {
        table::write(&at.ocr_csv(), &ocr).expect("ocr.csv");
    }
}

fn clocks(folder: &RunFolder) {
    begin(folder, "reference-360p25", Pipeline::Reference, 1);
    let at = folder.repetition("reference-360p25", 1);
    let rows: Vec<_> = (0..250_u64)
        .map(|number| Row {
            file: "strips-00000.pgm".into(),
            image: number,
            generated_us: Some(START + number * 40_000),
            latency_us: Some(1_900_000 + number % 9 * 10_000),
            status: if number == 7 {
                RowStatus::Unread
            } else {
                RowStatus::Read
            },
            ..Row::default()
        })
        .collect();
    table::write(&at.ocr_csv(), &rows).expect("ocr.csv");
}

fn summary() -> (Summary, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let folder = result(dir.path());
    (build(&load(&folder).expect("a result")), dir)
}

#[test]
fn what_is_written_fits_the_committed_schema() {
    let (summary, dir) = summary();
    let schema: Value = serde_json::from_str(include_str!("../../../docs/summary.schema.json"))
        .expect("the schema is JSON");
    let schema = jsonschema::validator_for(&schema).expect("the schema is one");
    let path = dir.path().join("summary.json");
    write_json(&path, &summary).expect("written");
    let written: Value = serde_json::from_slice(&fs::read(&path).expect("there")).expect("JSON");
    let errors: Vec<_> = schema
        .iter_errors(&written)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
    // And it says no to what it should not know.
    for break_it in [
        |value: &mut Value| value["scenarios"][0]["latency_us"]["p50"] = "8 ms".into(),
        |value: &mut Value| value["scenarios"][0]["frames"]["lost"] = (-1).into(),
        |value: &mut Value| value["scenarios"][0]["typo"] = 1.into(),
        |value: &mut Value| value["schema_version"] = 2.into(),
    ] {
        let mut broken = written.clone();
        break_it(&mut broken);
        assert!(!schema.is_valid(&broken));
    }
}

#[test]
fn figures_are_of_what_was_measured() {
    let (summary, _dir) = summary();
    let ours = summary.scenario("ours-udp-360p25").expect("there");
    assert_eq!(
        (ours.frames.scheduled, ours.frames.shown, ours.frames.lost),
        (250, 249, 1)
    );
    let latency = ours.latency_us.expect("samples").figures;
    assert!((2_800..3_340).contains(&latency.p50), "{}", latency.p50);
    assert!(latency.p99 > 11_000, "{}", latency.p99);
    let quiet = ours.undisturbed.as_ref().expect("watched");
    assert!(quiet.latency_us.expect("samples").figures.p99 < 4_000);
    assert_eq!(quiet.frames.scheduled, 225);
    let floor = ours.floor_us.as_ref().expect("alternated");
    assert_eq!(floor.count, 3 * 249);
    assert!(floor.p50 < latency.p50 && floor.codec_gap < Some(100));
    assert_eq!(ours.first_frame_us, Some(120_000));
    assert_eq!(
        (ours.ocr.frames, ours.ocr.compared, ours.ocr.disagree),
        (249, 249, 0)
    );
    let share = ours.codec_share.expect("stages");
    assert!((0.7..0.95).contains(&share), "{share}");
    let reference = summary.scenario("reference-360p25").expect("there");
    assert_eq!((reference.ocr.frames, reference.ocr.unread), (250, 1));
    assert_eq!(reference.frames.shown, 250);
    assert!(reference.stages_us.is_none());
    assert_eq!(summary.comparisons.len(), 1);
    assert!(summary.comparisons[0].p50_ratio > 500.0);
    assert!(summary.check().is_ok());
}

#[test]
fn a_result_that_was_cut_off_says_so_and_keeps_what_it_has() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let folder = result(dir.path());
    let at = folder.repetition("ours-udp-360p25", 1);
    let meta = RunMeta {
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
    assert!(ours.notes.iter().any(|note| note.contains("not completed")));
    let error = summary.check().expect_err("the reference has no sample");
    assert!(error.to_string().contains("reference-360p25"), "{error}");
}
