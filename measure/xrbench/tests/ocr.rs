//! `xrbench ocr` as people run it: on strips, on video files of both kinds, and on what cannot be read.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use result::rows::{self, OcrRow};
use result::{RUN_VERSION, RepetitionFolder, RepetitionMeta, write_json};
use stamp::{Line, MIN_HEIGHT, MIN_WIDTH, Plane, PlaneMut, Stamp};
use xrbench::reference::Reference;

const START: u64 = 1_795_317_128_000_000;

fn ocr(args: &[&str], path: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xrbench"))
        .arg("ocr")
        .args(args)
        .arg(path)
        .output()
        .expect("xrbench starts")
}

fn json(output: &Output) -> serde_json::Value {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn stamps(number: u32) -> [Stamp; 2] {
    let time_us = START + u64::from(number) * 16_667;
    [time_us, time_us + 7_000 + u64::from(number) * 37].map(|time_us| Stamp {
        frame: number * 13,
        time_us,
    })
}

/// A picture of 640x360 with both stamps in it, in 4:2:0.
fn picture(number: u32) -> Vec<u8> {
    let [generation, consumption] = stamps(number);
    let luma = MIN_WIDTH * MIN_HEIGHT;
    let mut bytes: Vec<u8> = (0..luma * 3 / 2)
        .map(|at| u8::try_from(at % 211).expect("small"))
        .collect();
    let mut plane =
        PlaneMut::new(&mut bytes[..luma], MIN_WIDTH, MIN_HEIGHT, MIN_WIDTH).expect("its size");
    stamp::draw_generation(&mut plane, generation);
    stamp::draw_consumption(&mut plane, consumption);
    for chroma in bytes[luma..].chunks_exact_mut(luma / 4) {
        let (width, height) = (MIN_WIDTH / 2, MIN_HEIGHT / 2);
        stamp::clear_chroma(&mut PlaneMut::new(chroma, width, height, width).expect("its size"));
    }
    bytes
}

fn strips(folder: &Path, numbers: std::ops::Range<u32>) {
    let mut pgm = Vec::new();
    let mut index =
        b"file,image,sequence,rtp_timestamp,frame,generated_us,decoded_us,reading\n".to_vec();
    for (image, number) in numbers.enumerate() {
        let picture = picture(number);
        let plane = Plane::new(&picture, MIN_WIDTH, MIN_HEIGHT, MIN_WIDTH).expect("its size");
        pgm.extend(
            format!(
                "P5\n{} {}\n255\n",
                stamp::STRIP_WIDTH,
                2 * stamp::STRIP_HEIGHT
            )
            .bytes(),
        );
        stamp::strip(&plane, Line::Generation, &mut pgm);
        stamp::strip(&plane, Line::Consumption, &mut pgm);
        let [from, to] = stamps(number);
        writeln!(
            index,
            "strips-00000.pgm,{image},{image},{image},{},{},{},read",
            from.frame, from.time_us, to.time_us
        )
        .expect("written");
    }
    fs::write(folder.join("strips-00000.pgm"), pgm).expect("written");
    fs::write(folder.join("index.csv"), index).expect("written");
}

#[test]
fn strips_are_read_and_agree_with_the_blocks() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    strips(dir.path(), 0..12);
    let said = json(&ocr(&["--json", "--workers", "2"], dir.path()));
    assert_eq!(said[0]["frames"], 12);
    assert_eq!(said[0]["unread"], 0);
    assert_eq!(
        (&said[0]["compared"], &said[0]["disagree"]),
        (&12.into(), &0.into())
    );
    let rows = rows::read::<OcrRow>(&dir.path().join("ocr.csv"))
        .expect("rows")
        .expect("ocr.csv")
        .rows;
    for (number, row) in (0..).zip(&rows) {
        let [from, to] = stamps(number);
        assert_eq!(row.frame, Some(from.frame), "in order");
        assert_eq!(
            (row.generated_us, row.consumed_us),
            (Some(from.time_us), Some(to.time_us))
        );
    }
    let some = json(&ocr(&["--json", "--max", "4"], dir.path()));
    assert_eq!(some[0]["frames"], 4);
}

/// Said before anything is read, which takes minutes.
#[test]
fn rows_without_a_place_are_said_with_the_flag_that_gives_one() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    strips(dir.path(), 0..1);
    let output = ocr(&["--out", "/nowhere/rows.csv"], dir.path());
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    for part in ["/nowhere/rows.csv", "--out FILE.csv", "No such file"] {
        assert!(said.contains(part), "{said}");
    }
    let kept = dir.path().join("rows.csv");
    fs::write(&kept, "kept").expect("written");
    let output = ocr(
        &["--out", kept.to_str().expect("a plain path")],
        &dir.path().join("none"),
    );
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(fs::read_to_string(&kept).expect("there"), "kept");
    let other = dir.path().join("other.csv");
    let output = ocr(
        &["--out", other.to_str().expect("a plain path")],
        &dir.path().join("none"),
    );
    assert_eq!(output.status.code(), Some(1));
    assert!(!other.exists(), "nothing was read");
}

/// What was read changes no figure by itself.
#[test]
fn who_reads_a_result_is_told_what_shows_it() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let meta = RepetitionMeta {
        schema_version: RUN_VERSION,
        ..RepetitionMeta::default()
    };
    let folder = RepetitionFolder::new(dir.path());
    write_json(&folder.meta_json(), &meta).expect("written");
    fs::create_dir(folder.strips()).expect("made");
    strips(&folder.strips(), 0..2);
    let told = |path: &Path| {
        let output = ocr(&[], path);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stderr).contains("`xrbench report`")
    };
    assert!(told(dir.path()));
    assert!(!told(&folder.strips()), "no result has these");
}

#[test]
fn an_index_that_says_otherwise_is_a_failure() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    strips(dir.path(), 0..3);
    let index = dir.path().join("index.csv");
    let text = fs::read_to_string(&index)
        .expect("there")
        .replace(&START.to_string(), &(START + 1).to_string());
    fs::write(&index, text).expect("written");
    let output = ocr(&["--json"], dir.path());
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("disagree"));
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(said[0]["disagree"], 1);
}

/// Runs ffmpeg with `input` on its standard input.
fn ffmpeg(args: &[&str], input: &[u8]) {
    let mut child = Command::new("ffmpeg")
        .args(["-v", "error", "-y"])
        .args(args)
        .stdin(Stdio::piped())
        .spawn()
        .expect("ffmpeg is installed");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(input).expect("ffmpeg reads");
    drop(stdin);
    assert!(child.wait().expect("ffmpeg ends").success());
}

#[test]
fn a_video_that_shows_both_stamps_is_read() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("shown.mkv");
    let pictures: Vec<u8> = (0..10).flat_map(picture).collect();
    let to = path.to_str().expect("a plain path");
    ffmpeg(
        &[
            "-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", "640x360", "-r", "25", "-i", "-",
            "-c:v", "libx264", "-b:v", "6M", to,
        ],
        &pictures,
    );
    let said = json(&ocr(&["--json"], &path));
    assert_eq!(
        (&said[0]["frames"], &said[0]["unread"]),
        (&10.into(), &0.into())
    );
    assert_eq!(
        (&said[0]["compared"], &said[0]["disagree"]),
        (&10.into(), &0.into())
    );
    assert!(PathBuf::from(format!("{to}.ocr.csv")).exists());
}

/// The filters of the reference's renderer and player, one after the other, on one ffmpeg: what it draws is what is read.
#[test]
fn the_clock_that_ffmpeg_draws_is_read_to_the_microsecond() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let strips = dir.path().join("strips-00000.pgm");
    let reference = Reference {
        tuned: false,
        source: "test",
        width: 640,
        height: 360,
        fps: "25".parse().expect("a rate"),
        bitrate_bps: 2_000_000,
        transport: "udp",
        start_us: 0,
    };
    let filter = |command: &[String]| {
        let at = command
            .iter()
            .position(|word| word == "-vf")
            .expect("there");
        command[at + 1].clone()
    };
    let progress = Path::new("/dev/null");
    let render = reference
        .render_command("http://127.0.0.1/", progress)
        .expect("a source");
    let play = reference.play_command("rtsp://127.0.0.1/", &strips, progress);
    let before = now_us();
    ffmpeg(
        &[
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=640x360:rate=25",
            "-frames:v",
            "15",
            "-vf",
            &format!("{},{}", filter(&render), filter(&play)),
            "-fps_mode",
            "passthrough",
            "-c:v",
            "pgm",
            "-f",
            "image2pipe",
            strips.to_str().expect("a plain path"),
        ],
        &[],
    );
    let after = now_us();
    let said = json(&ocr(&["--kind", "clock", "--json"], dir.path()));
    assert_eq!(
        (&said[0]["frames"], &said[0]["unread"]),
        (&15.into(), &0.into())
    );
    for row in rows::read::<OcrRow>(&dir.path().join("ocr.csv"))
        .expect("rows")
        .expect("ocr.csv")
        .rows
    {
        let (from, to) = row.generated_us.zip(row.consumed_us).expect("read");
        assert!(
            before <= from && from <= to && to <= after,
            "{before} {from} {to} {after}"
        );
    }
}

fn now_us() -> u64 {
    service::clock::now().0
}

#[test]
fn what_cannot_be_read_says_what_and_why() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let says = |output: Output, words: &[&str]| {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{text}");
        for word in words {
            assert!(text.contains(word), "{word} is not in {text}");
        }
    };
    says(ocr(&[], dir.path()), &["no strips", "--strips"]);
    let noise = dir.path().join("noise.mkv");
    fs::write(&noise, [7; 4_000]).expect("written");
    says(ocr(&[], &noise), &["ffmpeg cannot read"]);
    says(
        ocr(&[], &dir.path().join("none.mkv")),
        &["none.mkv is no file"],
    );
    let grey = dir.path().join("grey.pgm");
    fs::write(
        &grey,
        [b"P5\n480 64\n255\n".as_slice(), &vec![128; 480 * 64]].concat(),
    )
    .expect("written");
    says(ocr(&[], &grey), &["no image", "--kind stamp"]);
    fs::write(&grey, b"P6\n1 1\n255\nabc").expect("written");
    says(ocr(&[], &grey), &["P5", "grey.pgm"]);
    strips(dir.path(), 0..1);
    let output = Command::new(env!("CARGO_BIN_EXE_xrbench"))
        .arg("ocr")
        .arg(dir.path().join("strips-00000.pgm"))
        .env("TESSDATA_PREFIX", dir.path())
        .output()
        .expect("xrbench starts");
    says(output, &["tesseract-ocr-eng"]);
}
