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
use result::{
    Pipeline, RepetitionFolder, RepetitionMeta, RunFolder, RunInfo, ScenarioInfo,
    rows::{self, Agreement, OcrRow, RowStatus},
    write_json,
};

pub(super) const START: u64 = 1_795_000_000_000_000;
pub(super) const SECOND: u64 = 1_000_000;

/// A result as `xrbench run` leaves it: ours with its floor, and ffmpeg, of ten seconds each.
pub(crate) fn result(root: &std::path::Path) -> RunFolder {
    fs::create_dir_all(root).expect("a folder");
    let folder = RunFolder::new(root);
    let scenario = |name: &str, pipeline, floor: Option<&str>, runs| ScenarioInfo {
        name: name.into(),
        pipeline,
        floor: floor.map(Into::into),
        runs,
        ..ScenarioInfo::default()
    };
    let info = RunInfo {
        schema_version: ::result::RUN_VERSION,
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

/// A result of scenarios of ours, by name, transport and delay in microseconds, four repetitions each.
pub(crate) fn several(root: &std::path::Path, scenarios: &[(&str, &str, u64)]) -> RunFolder {
    fs::create_dir_all(root).expect("a folder");
    let folder = RunFolder::new(root);
    let infos = scenarios.iter().map(|(name, _, _)| ScenarioInfo {
        name: (*name).into(),
        pipeline: Pipeline::Ours,
        runs: 4,
        ..ScenarioInfo::default()
    });
    let info = RunInfo {
        schema_version: ::result::RUN_VERSION,
        name: "several".into(),
        state: RunState::Finished,
        started_us: UnixMicros(START),
        scenarios: infos.collect(),
        ..RunInfo::default()
    };
    write_json(&folder.run_json(), &info).expect("run.json");
    for (place, (name, transport, delay_us)) in scenarios.iter().enumerate() {
        for run in 1..=4_u32 {
            // Each round has a level of its own, which all scenarios share, and each repetition a little of its own.
            let own = [[0, 13, 5, 9], [8, 2, 11, 4], [3, 12, 7, 6]];
            let round = u64::from(run) * 700 + own[place % 3][run as usize - 1];
            let stages = [1_500 + round, 300, 40, 260 + delay_us, 700];
            frames(&folder, name, Pipeline::Ours, run, stages);
            let at = folder.repetition(name, run);
            let meta = RepetitionMeta {
                transport: (*transport).into(),
                ..at.meta().expect("there")
            };
            write_json(&at.meta_json(), &meta).expect("meta.json");
        }
    }
    folder
}

/// Gives every scenario of [`several`] a floor, which this session's machine makes slower by so many microseconds.
pub(crate) fn add_floor(folder: &RunFolder, slower_us: u64) {
    let mut info = folder.info().expect("run.json");
    for one in &mut info.scenarios {
        one.floor = Some("floor".into());
    }
    info.scenarios.insert(
        0,
        ScenarioInfo {
            name: "floor".into(),
            pipeline: Pipeline::Floor,
            runs: 4,
            ..ScenarioInfo::default()
        },
    );
    write_json(&folder.run_json(), &info).expect("run.json");
    for run in 1..=4 {
        let encode_us = 1_500 + u64::from(run) * 700 + slower_us;
        frames(
            folder,
            "floor",
            Pipeline::Floor,
            run,
            [encode_us, 0, 0, 0, 700],
        );
    }
}

fn begin(folder: &RunFolder, name: &str, pipeline: Pipeline, run: u32) -> RepetitionMeta {
    let at = folder.repetition(name, run);
    at.create().expect("folders");
    let meta = RepetitionMeta {
        schema_version: ::result::RUN_VERSION,
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
        ..RepetitionMeta::default()
    };
    write_json(&at.meta_json(), &meta).expect("meta.json");
    let mut host = String::from("from_us,to_us,steal_percent,disturbed\n");
    for second in 0..10 {
        let from = START + second * SECOND;
        writeln!(host, "{from},{},0.0,{}", from + SECOND, second == 4).expect("a String takes all");
    }
    fs::write(at.host_csv(), host).expect("host.csv");
    fs::write(at.resources_csv(), resources()).expect("resources.csv");
    meta
}

/// The runner's own rows.
fn resources() -> String {
    let mut text = String::from("time_us,role,pid,cpu_percent\n");
    for second in 0..=10 {
        let at_us = START + second * SECOND;
        writeln!(text, "{at_us},xrbench,1,2.00").expect("a String takes all");
    }
    text
}

/// Writes a repetition of 249 frames in ten seconds, each with these stages.
pub(crate) fn frames(
    folder: &RunFolder,
    name: &str,
    pipeline: Pipeline,
    run: u32,
    stages_us: [u64; 5],
) {
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
        ocr.push(OcrRow {
            file: "strips-00000.pgm".into(),
            image: u64::from(number),
            generated_us: Some(generated.0),
            consumed_us: Some(time),
            latency_us: Some(time - generated.0),
            status: RowStatus::Read,
            blocks: Agreement::Yes,
            ..OcrRow::default()
        });
    }
    if meta.pipeline == Pipeline::Ours {
        rows::write(&at.ocr_csv(), &ocr).expect("ocr.csv");
    }
}

fn clocks(folder: &RunFolder) {
    begin(folder, "reference-360p25", Pipeline::Reference, 1);
    let at = folder.repetition("reference-360p25", 1);
    let rows: Vec<_> = (0..250_u64)
        .map(|number| OcrRow {
            file: "strips-00000.pgm".into(),
            image: number,
            generated_us: Some(START + number * 40_000),
            latency_us: Some(1_900_000 + number % 9 * 10_000),
            status: if number == 7 {
                RowStatus::Unread
            } else {
                RowStatus::Read
            },
            ..OcrRow::default()
        })
        .collect();
    rows::write(&at.ocr_csv(), &rows).expect("ocr.csv");
}

pub(super) fn summary() -> (Summary, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let folder = result(dir.path());
    (build(&load(&folder).expect("a result")), dir)
}

#[test]
fn what_is_written_fits_the_committed_schema() {
    let (mut summary, dir) = summary();
    let more = tempfile::tempdir().expect("a temporary folder");
    let several = several(more.path(), &[("s1", "udp", 0), ("s2", "tcp", 500)]);
    let several = build(&load(&several).expect("a result"));
    summary.scenarios.extend(several.scenarios);
    summary.differences = several.differences;
    summary.scenarios[0].freezes.as_mut().expect("ours").times = vec![FreezeAt {
        run: 1,
        at_us: 2,
        length_us: 200_000,
        disturbed: false,
    }];
    summary.calibration = Some(Instrument {
        at_us: UnixMicros(START),
        slope: 1.0007,
        slope_error: 0.002,
        worst_residual_us: 170.4,
        residual_margin_us: 61.2,
        hold_error_us: Some(90.0),
        slope_margin: 0.0035,
        holds: true,
        wan_backend: "userspace".into(),
        other_programs: vec!["xr-client".into()],
    });
    let schema: Value = serde_json::from_str(include_str!("../../../../docs/summary.schema.json"))
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
        |value: &mut Value| value["schema_version"] = 1.into(),
        |value: &mut Value| value["scenarios"][0]["notes"][0] = "text alone".into(),
        |value: &mut Value| value["scenarios"][0]["runs"]["planned"] = Value::Null,
        |value: &mut Value| value["calibration"]["worst_residual_us"] = "0.17 ms".into(),
        |value: &mut Value| value["calibration"]["typo"] = 1.into(),
        |value: &mut Value| value["differences"][0]["p50_us"]["ci"] = 1.into(),
        |value: &mut Value| value["scenarios"][0]["freezes"]["times"][0]["run"] = 0.into(),
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
    assert!(latency.p99 > Some(11_000), "{latency:?}");
    assert_eq!(ours.pictures, Some(249));
    let quiet = ours.undisturbed.as_ref().expect("watched");
    assert!(quiet.latency_us.expect("samples").figures.p99 < Some(4_000));
    assert_eq!(quiet.frames.scheduled, 225);
    let floor = ours.floor_us.as_ref().expect("alternated");
    assert_eq!(floor.count, 3 * 249);
    assert!(floor.p50 < latency.p50 && floor.codec_gap < Some(100));
    let gap = floor.gap.expect("a round");
    assert_eq!((gap.rounds, gap.difference, gap.ci), (1, 600.0, None));
    assert_eq!(ours.first_frame_us, Some(120_000));
    assert_eq!(
        (ours.ocr.frames, ours.ocr.compared, ours.ocr.disagree),
        (249, 249, 0)
    );
    let share = ours.codec_share.expect("stages");
    assert!((0.7..0.95).contains(&share), "{share}");
    let reference = summary.scenario("reference-360p25").expect("there");
    assert_eq!((reference.ocr.frames, reference.ocr.unread), (250, 1));
    assert_eq!((reference.frames.shown, reference.frames.unread), (250, 1));
    assert!(reference.stages_us.is_none());
    assert_eq!(summary.comparisons.len(), 1);
    assert!(summary.comparisons[0].p50_ratio > 500.0);
    assert!(summary.check().is_ok());
}

/// Moves the consumption of every frame by so many microseconds.
pub(crate) fn move_decoded(at: &RepetitionFolder, by_us: i64) {
    let rows = fs::read(at.frames_csv()).expect("there");
    let rows = timeline::frames_csv::FrameReader::new(rows.as_slice()).expect("a header");
    let mut writer =
        FrameWriter::begin(File::create(at.frames_csv()).expect("created")).expect("header");
    for row in rows {
        let mut row = row.expect("a row");
        let decoded = row.at(Point::Decoded).expect("set").0;
        row.set(
            Point::Decoded,
            UnixMicros(decoded.saturating_add_signed(by_us)),
        );
        writer.write(&row).expect("written");
    }
}

/// The client's clock is 50 ms behind: every frame was decoded before it was generated.
#[test]
fn impossible_times_are_no_result() {
    let (summary, dir) = summary();
    assert!(summary.check().is_ok());
    let folder = RunFolder::new(dir.path());
    let at = folder.repetition("ours-udp-360p25", 1);
    let meta = at.meta().expect("there");
    move_decoded(&at, -50_000);
    let summary = build(&load(&folder).expect("a result"));
    let ours = summary.scenario("ours-udp-360p25").expect("there");
    assert!(ours.latency_us.expect("samples").figures.p50 < -46_000);
    assert_eq!(ours.clocks.negative, 249);
    assert_eq!(ours.points.expect("ours").out_of_order, 249);
    let finding = ours.finding().expect("no result");
    assert_eq!(finding.kind, FindingKind::Clocks);
    assert!(summary.check().is_err());
    let said = |kind| ours.notes.iter().filter(move |note| note.kind == kind);
    assert!(said(NoteKind::Clock).any(|note| note.text.contains("before they were generated")));

    // A clock that is off and leaves every time possible.
    let checked = RepetitionMeta {
        clock_checks: vec![result::ClockCheck {
            source: "client".into(),
            when: "at the end".into(),
            offset_us: 40_000,
            uncertainty_us: 120,
        }],
        ..meta
    };
    write_json(&at.meta_json(), &checked).expect("written");
    move_decoded(&at, 90_000);
    let summary = build(&load(&folder).expect("a result"));
    let ours = summary.scenario("ours-udp-360p25").expect("there");
    assert_eq!((ours.clocks.negative, ours.clocks.off_us), (0, 39_880));
    assert_eq!(
        ours.finding().map(|finding| finding.kind),
        Some(FindingKind::Clocks)
    );
    let mut notes = ours.notes.iter();
    let said = "the clock of client was 40.000 ± 0.120 ms ahead of xrbench's, at the end";
    assert!(
        notes.any(|note| note.text.contains(said)),
        "{:#?}",
        ours.notes
    );
}

#[test]
fn what_clusters_used_fits_the_schema_too() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let folder = result(dir.path());
    let at = folder.repetition("ours-udp-360p25", 1);
    let mut text = String::from(
        "time_us,role,pid,cpu_percent,voluntary_switches,involuntary_switches,cluster,source,elapsed_us,memory_bytes,\
         rx_bytes,rx_packets,tx_bytes,tx_packets,throttled_us\n",
    );
    for second in 0..=10 {
        let (at_us, bytes) = (START + second * SECOND, 1_000 * second);
        for (role, cluster, cpu) in [
            ("client", "a", 86),
            ("streamer", "b", 40),
            ("wan", "fabric", 6),
        ] {
            let link = if cluster == "fabric" {
                ",,,".into()
            } else {
                format!("{bytes},{second},{bytes},{second}")
            };
            writeln!(
                text,
                "{at_us},{role},7,{cpu}.0,{second},0,{cluster},proc,1000000,42949673,{link},{bytes}"
            )
            .expect("a String takes all");
        }
    }
    fs::write(at.resources_csv(), text).expect("resources.csv");
    let summary = build(&load(&folder).expect("a result"));
    let ours = summary.scenario("ours-udp-360p25").expect("there");
    let cpu = ours.resources.cpu_percent.expect("two clusters");
    assert_eq!(
        (cpu.a.p50, cpu.b.expect("two").p50, cpu.mean.p50),
        (43.0, 20.0, 31.5)
    );
    assert!(
        ours.notes
            .iter()
            .any(|note| note.text.contains("processes only"))
    );
    let written = serde_json::to_value(&summary).expect("JSON");
    let of = &written["scenarios"][0];
    assert_eq!(of["memory_percent"]["mean"]["p50"], 1.0, "{of}");
    assert_eq!(of["network"]["a"]["rx_bps"], 8_000.0);
    assert_eq!(of["fabric_processes"]["wan"]["cpu_percent_p50"], 3.0);
    assert_eq!(of["oversubscribed"], true, "a machine of no cores");
    assert_eq!(written["scenarios"][1]["cpu_percent"], Value::Null);
    let schema: Value = serde_json::from_str(include_str!("../../../../docs/summary.schema.json"))
        .expect("the schema is JSON");
    let schema = jsonschema::validator_for(&schema).expect("the schema is one");
    let errors: Vec<_> = schema
        .iter_errors(&written)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let again: Summary = serde_json::from_value(written).expect("it is read back");
    assert_eq!(again.scenarios[0].resources, ours.resources);
}

#[test]
fn what_was_seen_is_in_it() {
    let (summary, dir) = summary();
    let ours = summary.scenario("ours-udp-360p25").expect("there");
    let display = ours.display.expect("frames.csv");
    assert_eq!((display.pictures, display.frozen), (249, 0));
    // Slower by 9 ms of 40: none is late.
    assert_eq!((display.late, display.over_xr_bound), (0, 0));
    // The lost frame makes one interval of 80 ms instead of 40, which is no freeze.
    let freezes = ours.freezes.as_ref().expect("frames.csv");
    assert_eq!((freezes.count, freezes.longer_than_us), (0, 190_000));
    let jitter = display.jitter_us.expect("pictures");
    assert!((2_000.0..4_000.0).contains(&jitter.stddev), "{jitter:?}");
    let goodput = ours.goodput.expect("frames");
    assert!((goodput.frames_per_s - 24.9).abs() < 1e-9);
    assert_eq!(goodput.target_bps, Some(2e6 * 249.0 / 250.0));
    assert_eq!(ours.disturbed_seconds, Some(1.0));
    let quiet = dir.path().join("ours-udp-360p25/run-1/host.csv");
    fs::write(&quiet, "from_us,to_us,disturbed\n1,2,false\n").expect("written");
    let folder = RunFolder::new(dir.path());
    let without = build(&load(&folder).expect("a result"));
    let without = without.scenario("ours-udp-360p25").expect("there");
    assert!(without.disturbed_seconds.is_some_and(f64::is_sign_positive));
    let reference = summary.scenario("reference-360p25").expect("there");
    assert!(reference.freezes.is_none() && reference.display.is_none());
    assert_eq!(reference.goodput.expect("strips").target_bps, None);
}

#[test]
fn a_freeze_says_in_which_run_and_when() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let folder = result(dir.path());
    let at = folder.repetition("ours-udp-360p25", 1);
    let text = fs::read_to_string(at.frames_csv()).expect("there");
    let gone = |line: &&str| {
        let number = line.split(',').next().and_then(|cell| cell.parse().ok());
        number.is_some_and(|number: u32| (110..120).contains(&number))
    };
    let kept: Vec<_> = text.lines().filter(|line| !gone(line)).collect();
    let kept = kept.join("\n") + "\n";
    fs::write(at.frames_csv(), kept).expect("written");
    let summary = build(&load(&folder).expect("a result"));
    let freezes = summary
        .scenario("ours-udp-360p25")
        .expect("there")
        .freezes
        .clone();
    let freezes = freezes.expect("frames.csv");
    assert_eq!((freezes.count, freezes.disturbed), (1, 1));
    let one = freezes.times[0];
    assert_eq!((one.run, one.length_us), (1, freezes.longest_us));
    assert!((4_360_000..4_380_000).contains(&one.at_us), "{one:?}");
    assert!(one.length_us.abs_diff(440_000) < 1_000, "{one:?}");
}

#[test]
fn scenarios_of_a_result_are_compared_in_pairs() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let folder = several(
        dir.path(),
        &[("s1", "udp", 0), ("s2", "udp", 500), ("s3", "tcp", 0)],
    );
    let summary = build(&load(&folder).expect("a result"));
    let of: Vec<_> = summary
        .differences
        .iter()
        .map(|one| (one.a.as_str(), one.b.as_str()))
        .collect();
    assert_eq!(of, [("s1", "s2"), ("s1", "s3"), ("s2", "s3")]);
    let [slower, alike, _] = &summary.differences[..] else {
        panic!("three");
    };
    assert_eq!(slower.pairs, 4);
    assert!(
        slower.p50_us.distinguishable && slower.quiet_p50_us.is_some_and(|of| of.distinguishable)
    );
    let [low, high] = slower.p50_us.ci.expect("four pairs");
    // The rounds spread by more than two milliseconds; the pairs do not have that.
    assert!(
        low < 500.0 && 500.0 < high && high - low < 40.0,
        "{low} {high}"
    );
    assert!(slower.cliffs_delta > 0.5, "{}", slower.cliffs_delta);
    assert!(slower.p99_us.is_some(), "249 samples a run");
    assert!(slower.is_like_with_like() && slower.differs.is_empty());
    assert!(!alike.p50_us.distinguishable);
    assert_eq!(alike.differs, [Setting::Transport]);
    let p50 = summary
        .scenario("s1")
        .expect("there")
        .latency_us
        .expect("samples");
    let [low, high] = p50.p50_ci.expect("forty seconds");
    let p50 = p50.figures.p50;
    assert!(
        low < p50 - 1_000 && p50 + 1_000 < high,
        "runs differ: {low} {high}"
    );
}
