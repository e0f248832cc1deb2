//! Tests of: the table of frames.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use clap::Parser as _;
use timeline::frames_csv::{COLUMNS, FrameRow, FrameWriter, Outcome, Phase};
use timeline::hist::{LatencyHistogram, LogWriter};
use timeline::{ClientName, Point, RtpTimestamp, Stage, UnixMicros};

use super::*;
use crate::summary::tests::{add_floor, result, several};
use ::result::{
    Pipeline, RUN_VERSION, RepetitionFolder, RepetitionMeta, RunFolder, RunInfo, RunState,
    ScenarioInfo, write_json,
};
use stats::Exact;

type Row = BTreeMap<String, String>;

fn all() -> Wanted {
    Wanted::default()
}

fn text(dirs: &[&Path], wanted: &Wanted) -> (String, Exported) {
    let dirs: Vec<PathBuf> = dirs.iter().map(|dir| dir.to_path_buf()).collect();
    let mut to = Vec::new();
    let exported = export(&dirs, wanted, &mut to).expect("a table");
    (String::from_utf8(to).expect("text"), exported)
}

fn table(dirs: &[&Path], wanted: &Wanted) -> Vec<Row> {
    let (text, exported) = text(dirs, wanted);
    let rows: Vec<Row> = csv::Reader::from_reader(text.as_bytes())
        .deserialize()
        .collect::<Result<_, _>>()
        .expect("rows as long as the header");
    assert_eq!(rows.len() as u64, exported.rows);
    rows
}

fn refused(dir: &Path) -> String {
    let mut to = Vec::<u8>::new();
    let error = export(&[dir.to_owned()], &all(), &mut to).expect_err("refused");
    assert!(error.is::<BadInput>(), "{error:?}");
    assert!(to.is_empty(), "before anything is written");
    error.to_string()
}

fn number(row: &Row, column: &str) -> Option<i64> {
    let cell = &row[column];
    (!cell.is_empty()).then(|| cell.parse().expect("a number"))
}

/// The names in the first column of a table under this heading.
fn documented(heading: &str) -> Vec<&'static str> {
    let docs = include_str!("../../../../docs/frames.md");
    let (_, section) = docs.split_once(heading).expect("its heading");
    let (_, table) = section
        .split_once("| column | unit | meaning | empty |")
        .expect("a table");
    let lines = table.lines().skip(2);
    let rows = lines.map_while(|line| line.strip_prefix("| `")?.split_once("` |"));
    let rows: Vec<_> = rows.collect();
    for (name, rest) in &rows {
        assert_eq!(rest.split(" | ").count(), 3, "{name}: {rest}");
    }
    rows.iter().map(|(name, _)| *name).collect()
}

#[test]
fn docs_name_every_column_in_its_order() {
    assert_eq!(documented("\n## frames.csv\n"), COLUMNS);
    let own = rows::columns::<TidyRow<'_>>();
    assert_eq!(documented("\n## The table of `xrbench frames`\n"), own);
    // Its own word for disturbed stands for both.
    let of_file = COLUMNS.iter().filter(|column| **column != "disturbed");
    let kept = own
        .iter()
        .filter(|column| COLUMNS.contains(&column.as_str()));
    let kept: Vec<_> = kept.filter(|column| *column != "disturbed").collect();
    assert_eq!(kept, of_file.collect::<Vec<_>>());
    let behind = own.iter().rev().take(6).rev();
    let stages = Stage::ALL.map(|stage| format!("{}_us", stage.as_str()));
    let derived: Vec<_> = std::iter::once("latency_us".to_owned())
        .chain(stages)
        .collect();
    assert_eq!(behind.cloned().collect::<Vec<_>>(), derived);
}

/// Whoever computes the summary's figures from the table gets the summary's.
#[test]
fn the_table_s_figures_are_the_summary_s() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let folder = result(dir.path());
    let rows = table(&[dir.path()], &all());
    let summary = crate::write(&folder).expect("a summary");
    let figures = |name: &str, quiet: bool| {
        let of = rows.iter().filter(|row| {
            row["scenario"] == name
                && row["measured"] == "yes"
                && (!quiet || row["disturbed"] == "no")
        });
        Exact::of(of.filter_map(|row| number(row, "latency_us"))).expect("samples")
    };
    for one in &summary.scenarios {
        let of = figures(&one.name, false);
        let latency = one.latency_us.expect("samples").figures;
        assert_eq!(
            (of.p50, of.p90, of.max),
            (latency.p50, latency.p90, latency.max)
        );
        let quiet = one.undisturbed.as_ref().and_then(|quiet| quiet.latency_us);
        let quiet = quiet.expect("watched").figures;
        assert_eq!(figures(&one.name, true).max, quiet.max, "{}", one.name);
        assert!(
            of.max > quiet.max || one.pipeline.is_reference(),
            "{}",
            one.name
        );
        let shown = rows.iter().filter(|row| row["scenario"] == one.name);
        let shown = shown.filter(|row| row["measured"] == "yes");
        let shown = shown.filter(|row| ["shown", "unread"].contains(&row["outcome"].as_str()));
        assert_eq!(shown.count() as u64, one.frames.shown, "{}", one.name);
    }
    for one in &summary.floors {
        let latency = one.latency_us.expect("samples").figures;
        assert_eq!(figures(&one.name, false).p50, latency.p50, "{}", one.name);
    }
    for kind in ["floor", "ours", "reference"] {
        let of = rows.iter().filter(|row| row["kind"] == kind);
        assert!(of.count() >= 249, "{kind}");
    }
    for row in rows.iter().filter(|row| row["kind"] == "ours") {
        let stages = [
            "encode_us",
            "feed_us",
            "relay_us",
            "deliver_us",
            "decode_us",
        ];
        let sum: i64 = stages.iter().filter_map(|stage| number(row, stage)).sum();
        assert_eq!(number(row, "latency_us"), Some(sum), "{row:?}");
        assert_eq!((row["round"].as_str(), row["fabric"].as_str()), ("1", ""));
    }
    let unread = rows
        .iter()
        .find(|row| row["outcome"] == "unread")
        .expect("one");
    assert_eq!(unread["kind"], "reference");
    for column in [
        "frame",
        "rtp_timestamp",
        "generated_us",
        "decoded_us",
        "latency_us",
    ] {
        assert_eq!(unread[column], "", "{column}");
    }
}

#[test]
fn results_and_kinds_are_told_apart_and_names_are_quoted() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (a, b) = (dir.path().join("a, then"), dir.path().join("b"));
    add_floor(
        &several(&a, &[("s \"1\"", "udp", 0), ("s2", "tcp", 500)]),
        0,
    );
    add_floor(&several(&b, &[("s2", "udp", 0)]), 0);
    let rows = table(&[&a, &b], &all());
    assert_eq!(rows.len(), 249 * 4 * 5);
    let of = |result: &Path, scenario: &str, repetition: &str| {
        let result = result.display().to_string();
        let of = rows.iter().filter(|row| {
            row["result"] == result
                && row["scenario"] == scenario
                && row["repetition"] == repetition
        });
        of.collect::<Vec<_>>()
    };
    for (result, scenario) in [(&a, "s \"1\""), (&a, "s2"), (&a, "floor"), (&b, "s2")] {
        for repetition in ["1", "2", "3", "4"] {
            let of = of(result, scenario, repetition);
            assert_eq!(of.len(), 249, "{scenario}");
            assert!(of.iter().all(|row| row["round"] == repetition));
        }
    }
    assert_eq!(of(&a, "s2", "1")[0]["transport"], "tcp");
    let floors = Wanted {
        kinds: vec![Pipeline::Floor],
        ..all()
    };
    let floors = table(&[&a, &b], &floors);
    assert_eq!(floors.len(), 249 * 4 * 2);
    assert!(floors.iter().all(|row| row["kind"] == "floor"));
    let error = export(&[b.clone(), b.join("../b")], &all(), io::sink()).expect_err("twice");
    assert!(error.to_string().contains("was given twice"), "{error}");
}

/// A result as xr-collector writes it: of two clients, killed while two rows waited.
fn collected(root: &Path) -> RepetitionFolder {
    let folder = RunFolder::new(root);
    let info = RunInfo {
        schema_version: RUN_VERSION,
        scenarios: vec![ScenarioInfo {
            name: "collected".into(),
            runs: 1,
            ..ScenarioInfo::default()
        }],
        state: RunState::Finished,
        ..RunInfo::default()
    };
    let at = folder.repetition("collected", 1);
    at.create().expect("folders");
    write_json(&folder.run_json(), &info).expect("run.json");
    let meta = RepetitionMeta {
        scenario: "collected".into(),
        run: 1,
        transport: "unknown".into(),
        fps: 25.0,
        collected: true,
        complete: true,
        measured_from_us: Some(UnixMicros(1_000_000)),
        measured_to_us: Some(UnixMicros(9_000_000)),
        ..RepetitionMeta::default()
    };
    write_json(&at.meta_json(), &meta).expect("meta.json");
    let row = |n: u32, client: &str| {
        let mut row = FrameRow::new(RtpTimestamp(n), Outcome::Shown);
        let at = u64::from(n) * 40_000;
        row.set(Point::Generated, UnixMicros(at));
        row.set(Point::Decoded, UnixMicros(at + 7_000));
        row.phase = (at >= 1_000_000).then_some(Phase::Measured);
        row.client = ClientName::new(client).ok();
        row
    };
    for (path, numbers) in [(at.frames_csv(), 20..40), (at.frames_open_csv(), 40..41)] {
        let file = File::create(path).expect("made");
        let mut writer = FrameWriter::begin(file).expect("a header");
        for n in numbers {
            for client in ["a", "b"] {
                writer.write(&row(n, client)).expect("written");
            }
        }
    }
    at
}

#[test]
fn a_collected_result_is_a_table_too() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    collected(dir.path());
    let rows = table(&[dir.path()], &all());
    assert_eq!(rows.len(), 42, "those that waited as well");
    for row in &rows {
        for column in [
            "fabric",
            "transport",
            "round",
            "disturbed",
            "frame",
            "encode_us",
        ] {
            assert_eq!(row[column], "", "{column}");
        }
        let measured = number(row, "generated_us") >= Some(1_000_000);
        assert_eq!(row["measured"], if measured { "yes" } else { "no" });
        assert_eq!(
            (row["kind"].as_str(), number(row, "latency_us")),
            ("ours", Some(7_000))
        );
    }
    let of_a = rows.iter().filter(|row| row["client"] == "a");
    assert_eq!(of_a.count(), 21);
}

#[test]
fn what_is_not_whole_is_refused_unless_that_is_asked_for() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let root = dir.path();
    let folder = several(root, &[("s1", "udp", 0)]);
    let at = folder.repetition("s1", 2);
    let partial = Wanted {
        partial: true,
        ..all()
    };
    let taken = || {
        let (_, exported) = text(&[root], &partial);
        (exported.rows, exported.remarks.join("; "))
    };
    assert_eq!(taken(), (4 * 249, String::new()));

    let mut info = folder.info().expect("run.json");
    info.state = RunState::Interrupted;
    write_json(&folder.run_json(), &info).expect("run.json");
    let said = refused(root);
    assert!(
        said.contains("interrupted") && said.contains("--partial"),
        "{said}"
    );
    assert_eq!(taken().0, 4 * 249);
    info.state = RunState::Finished;
    write_json(&folder.run_json(), &info).expect("run.json");

    // A line that is none.
    let whole = fs::read_to_string(at.frames_csv()).expect("there");
    fs::write(at.frames_csv(), whole.clone() + "1,2,x,,,,,,,shown,,,\n").expect("written");
    let said = refused(root);
    assert!(
        said.contains("s1, run 2: frames.csv: line 251, column"),
        "{said}"
    );
    let (rows, remarks) = taken();
    assert_eq!(rows, 4 * 249);
    assert!(
        remarks.contains("s1/run-2: 1 lines of frames.csv"),
        "{remarks}"
    );

    // Cut off, which the histograms beside it tell.
    let mut of = LatencyHistogram::new();
    (0..249).for_each(|_| of.record(3_000));
    let mut log = LogWriter::begin(Vec::new(), UnixMicros(0)).expect("begun");
    log.write(None, UnixMicros(0), UnixMicros(10_000_000), &of)
        .expect("written");
    fs::write(at.latency_hlog(), log.into_inner()).expect("written");
    let cut: Vec<_> = whole.lines().take(50).collect();
    fs::write(at.frames_csv(), cut.join("\n") + "\n").expect("written");
    let said = refused(root);
    assert!(said.contains("has 49 of the 249 measured frames"), "{said}");
    assert_eq!(taken().0, 3 * 249 + 49);

    fs::remove_file(at.frames_csv()).expect("removed");
    assert!(refused(root).contains("s1, run 2: there is no frames.csv"));
    let (rows, remarks) = taken();
    assert_eq!(rows, 3 * 249);
    assert!(remarks.contains("s1/run-2: has no frames.csv"), "{remarks}");
    fs::remove_dir_all(at.root()).expect("removed");
    let said = refused(root);
    assert!(said.contains("there is no s1/run-2/meta.json"), "{said}");
    assert_eq!(taken().0, 3 * 249);
    let none = export(&[root.join("none")], &partial, io::sink()).expect_err("no folder");
    assert!(none.is::<BadInput>(), "{none:?}");
}

#[test]
fn strips_that_nobody_read_are_said() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let folder = result(dir.path());
    let at = folder.repetition("reference-360p25", 1);
    fs::remove_file(at.ocr_csv()).expect("removed");
    let (text, exported) = text(&[dir.path()], &all());
    assert!(!text.contains("reference-360p25"));
    let [remark] = &exported.remarks[..] else {
        panic!("{exported:?}");
    };
    assert!(remark.contains("xrbench ocr"), "{remark}");
}

/// A reader that has had enough.
#[derive(Debug)]
struct Closed {
    after: usize,
}

impl Write for Closed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.after = self
            .after
            .checked_sub(bytes.len())
            .ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Rows leave as they are read, and a pipe that is closed ends the export.
#[test]
fn a_closed_pipe_is_told_from_other_failures() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    several(dir.path(), &[("s1", "udp", 0)]);
    let dirs = [dir.path().to_owned()];
    let error = export(&dirs, &all(), Closed { after: 70_000 }).expect_err("closed");
    assert!(cli::is_closed_pipe(&error), "{error:?}");
    let error = export(&[dir.path().join("none")], &all(), io::sink()).expect_err("none");
    assert!(!cli::is_closed_pipe(&error), "{error:?}");
}

#[test]
fn a_file_is_replaced_whole_and_no_file_of_a_result_is() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let root = dir.path().join("result");
    let folder = several(&root, &[("s1", "udp", 0)]);
    let run = |out: &Path| {
        let words = [
            "frames".as_ref(),
            root.as_os_str(),
            "--out".as_ref(),
            out.as_os_str(),
        ];
        let command = Command::try_parse_from(words).expect("arguments");
        command.frames.run()
    };
    for out in [dir.path().join("frames.csv"), root.join("frames.csv")] {
        fs::write(&out, "before").expect("written");
        run(&out).expect("exported");
        let text = fs::read_to_string(&out).expect("there");
        assert_eq!(text.lines().count(), 1 + 4 * 249);
    }
    let at = folder.repetition("s1", 1);
    for own in [at.frames_csv(), folder.run_json()] {
        let before = fs::read(&own).expect("there");
        let error = run(&own).expect_err("its own").to_string();
        assert!(error.contains("file of the result itself"), "{error}");
        assert_eq!(fs::read(&own).expect("there"), before);
    }
    fs::remove_file(at.frames_csv()).expect("removed");
    let out = dir.path().join("frames.csv");
    let before = fs::read(&out).expect("there");
    run(&out).expect_err("damaged");
    assert_eq!(fs::read(&out).expect("there"), before);
    let left = fs::read_dir(dir.path()).expect("there").count();
    assert_eq!(left, 2, "no part of a file");
}

#[derive(clap::Parser)]
struct Command {
    #[command(flatten)]
    frames: cli::FramesArgs,
}
