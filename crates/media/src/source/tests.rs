//! Sources over real files and real pipelines.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::prelude::*;

use super::*;

pub(super) const SIZE: (u32, u32) = (640, 360);

pub(super) fn size() -> VideoSize {
    VideoSize::new(SIZE.0, SIZE.1).unwrap()
}

/// Runs a launch line to its end: how the test's files are made.
pub(super) fn make(line: &str) {
    crate::init().unwrap();
    let pipeline = gst::parse::launch(line).unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let message = pipeline.bus().unwrap().timed_pop_filtered(
        gst::ClockTime::from_seconds(30),
        &[gst::MessageType::Eos, gst::MessageType::Error],
    );
    assert_eq!(message.unwrap().type_(), gst::MessageType::Eos, "{line}");
    pipeline.set_state(gst::State::Null).unwrap();
}

/// A film of `frames` pictures, no two alike, with sound.
fn film(folder: &Path, name: &str, frames: u32, mux: &str) -> PathBuf {
    let path = folder.join(name);
    make(&format!(
        "videotestsrc pattern=ball num-buffers={frames} \
         ! video/x-raw,width=640,height=360,framerate=25/1,format=I420 ! x264enc speed-preset=ultrafast key-int-max=5 ! h264parse ! {mux} name=mux \
         ! filesink location={} audiotestsrc num-buffers=20 ! audioconvert ! avenc_aac ! aacparse ! mux.",
        path.display()
    ));
    path
}

/// Far beyond what a picture takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

pub(super) fn open(spec: &str) -> Result<Source, SourceError> {
    crate::init().unwrap();
    Source::open(&spec.parse().unwrap(), size(), 0, 0)
}

pub(super) fn next(source: &Source) -> gst::Buffer {
    let begin = Instant::now();
    loop {
        match source.take() {
            Taken::Picture(picture) => return picture,
            Taken::NotYet => assert!(begin.elapsed() < PATIENCE, "no picture in {PATIENCE:?}"),
            Taken::Over(result) => panic!("the source ended: {result:?}"),
        }
        std::thread::yield_now();
    }
}

/// Decoded anew in each round, and kept in memory: the same pictures in the same order, each once a round.
#[test]
fn a_film_is_looped_and_every_picture_is_ours_alone() {
    let folder = tempfile::tempdir().unwrap();
    let film = film(folder.path(), "film.mkv", 30, "matroskamux");
    let spec = format!("file:{}", film.display()).parse().unwrap();
    let mut rounds = Vec::new();
    for memory_bytes in [0, 29 * 640 * 360 * 3 / 2, 30 * 640 * 360 * 3 / 2] {
        let source = Source::open(&spec, size(), memory_bytes, 0).unwrap();
        let mut round = Vec::new();
        for _ in 0..90 {
            let mut picture = next(&source);
            assert_eq!(picture.size(), 640 * 360 * 3 / 2);
            let ours = picture.get_mut().expect("nobody else holds it");
            let mut pixels = ours.map_writable().unwrap();
            round.push(pixels.to_vec());
            // As the stamp does: the next round must not show it.
            pixels.fill(0);
        }
        rounds.extend(round.chunks(30).map(<[_]>::to_vec));
    }
    assert!(rounds[0].windows(2).all(|pair| pair[0] != pair[1]));
    assert!(rounds.iter().all(|round| *round == rounds[0]));
}

/// The picture that frame 0 shows is the one that was asked for, and the film's first one comes after its last.
#[test]
fn a_film_begins_at_any_of_its_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let film = film(folder.path(), "film.mp4", 30, "mp4mux");
    let spec = format!("file:{}", film.display()).parse().unwrap();
    let pixels = |source: &Source| next(source).map_readable().unwrap().to_vec();
    let whole = Source::open(&spec, size(), 0, 0).unwrap();
    let film: Vec<_> = (0..30).map(|_| pixels(&whole)).collect();
    for (memory_bytes, start) in [(0, 12), (30 * 640 * 360 * 3 / 2, 12), (0, 29), (0, 42)] {
        let source = Source::open(&spec, size(), memory_bytes, start).unwrap();
        for number in 0..40 {
            let picture = (usize::try_from(start).unwrap() + number) % 30;
            assert!(
                pixels(&source) == film[picture],
                "frame {number} from {start}"
            );
        }
    }
    // A tick that passed has a picture that nobody sees.
    let source = Source::open(&spec, size(), 0, 0).unwrap();
    assert!(pixels(&source) == film[0]);
    while source.pictures.ready() < 4 {
        std::thread::yield_now();
    }
    source.skip(2);
    assert!(pixels(&source) == film[3]);
}

#[test]
fn a_film_without_an_index_is_looped_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("raw.h264");
    make(&format!(
        "videotestsrc num-buffers=12 ! video/x-raw,width=640,height=360,framerate=25/1 ! x264enc ! filesink location={}",
        path.display()
    ));
    let source = open(&format!("file:{}", path.display())).unwrap();
    for _ in 0..40 {
        next(&source);
    }
}

#[test]
fn the_test_pattern_moves() {
    let source = open("test").unwrap();
    let (one, other) = (next(&source), next(&source));
    assert_ne!(
        one.map_readable().unwrap().as_slice(),
        other.map_readable().unwrap().as_slice()
    );
}

#[test]
fn a_launch_line_ends_or_goes_on_as_it_says() {
    let source =
        open("gst:videotestsrc num-buffers=2 ! video/x-raw,width=320,height=240,format=RGB")
            .unwrap();
    next(&source);
    next(&source);
    let begin = Instant::now();
    let over = loop {
        match source.take() {
            Taken::Over(result) => break result,
            other => assert!(begin.elapsed() < PATIENCE, "{other:?}"),
        }
        std::thread::yield_now();
    };
    assert_eq!(over, Ok(()));
}

/// A demultiplexer has no pads yet when the line is read.
#[test]
fn a_launch_line_may_take_a_file_apart() {
    let dir = tempfile::tempdir().unwrap();
    let path = film(dir.path(), "film.mkv", 10, "matroskamux");
    let line = format!(
        "gst:filesrc location={} ! matroskademux name=d  d.video_0 ! h264parse ! avdec_h264 ! videoconvert",
        path.display()
    );
    let source = open(&line).unwrap();
    for _ in 0..5 {
        next(&source);
    }
    // The same without a name for anything.
    let line = format!(
        "gst:filesrc location={} ! decodebin ! videoconvert",
        path.display()
    );
    next(&open(&line).unwrap());
}

#[test]
fn a_live_launch_line_keeps_only_the_newest_picture() {
    // More pictures than any source keeps ready.
    let line = "gst:videotestsrc is-live=true num-buffers=40 ! video/x-raw,framerate=100/1";
    let source = open(line).unwrap();
    let begin = Instant::now();
    while !source.pictures.is_over() {
        assert!(begin.elapsed() < PATIENCE, "older ones make no room");
        std::thread::yield_now();
    }
    assert!(matches!(source.take(), Taken::Picture(_)), "the newest");
    assert!(matches!(source.take(), Taken::Over(Ok(()))), "and no other");
}

#[test]
fn wrong_files_are_refused_with_cause_and_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("noise.mp4"), vec![0x9e; 20_000]).unwrap();
    std::fs::write(at("empty.mp4"), []).unwrap();
    make(&format!(
        "audiotestsrc num-buffers=50 ! wavenc ! filesink location={}",
        at("tone.wav").display()
    ));
    // A picture file that ends before its first picture does.
    make(&format!(
        "videotestsrc num-buffers=1 ! video/x-raw,width=640,height=360 ! pngenc ! filesink location={}",
        at("whole.png").display()
    ));
    let bytes = std::fs::read(at("whole.png")).unwrap();
    std::fs::write(at("half.png"), &bytes[..bytes.len() / 2]).unwrap();
    let whole = film(folder.path(), "whole.mp4", 30, "mp4mux");
    let bytes = std::fs::read(whole).unwrap();
    // The index of an mp4 stands at its end.
    std::fs::write(at("half.mp4"), &bytes[..bytes.len() / 2]).unwrap();

    let refusal = |path: &Path| open(&format!("file:{}", path.display())).unwrap_err();
    let cases = [
        (at("none.mp4"), "No such file", "name a readable"),
        (folder.path().to_owned(), "not a file", "name a readable"),
        (at("noise.mp4"), "broken or no video", "ffprobe"),
        (at("empty.mp4"), "broken or no video", "ffprobe"),
        (at("half.mp4"), "broken or no video", "ffprobe"),
        (at("half.png"), "half.png is broken", "ffprobe"),
        (at("tone.wav"), "no video, only audio/", "video stream"),
    ];
    for (path, cause, remedy) in cases {
        let text = refusal(&path).to_string();
        assert!(text.contains(cause) && text.contains(remedy), "{text}");
        assert!(text.contains(path.to_str().unwrap()), "{text}");
    }
}

/// A title card before the film: which of the two is meant is not ours to guess.
#[test]
fn a_picture_before_the_film_is_not_taken_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("still-first.mkv");
    make(&format!(
        "videotestsrc num-buffers=1 ! video/x-raw,width=320,height=240,framerate=25/1 ! jpegenc ! matroskamux name=mux \
         ! filesink location={} videotestsrc num-buffers=30 ! video/x-raw,width=640,height=360,framerate=25/1 ! x264enc \
         ! h264parse ! mux.",
        path.display()
    ));
    let text = open(&format!("file:{}", path.display()))
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("2 video streams") && text.contains("640x360"),
        "{text}"
    );
}

#[test]
fn wrong_launch_lines_are_refused_with_cause_and_remedy() {
    for (line, cause) in [
        ("nosuchelement", "nosuchelement"),
        ("videotestsrc ! fakesink", "could not link fakesink"),
        ("audiotestsrc", "not raw video"),
        (
            "filesrc location=/nonexistent ! decodebin",
            "decodebin' fails: ",
        ),
        ("filesrc location=/nonexistent ! decodebin", "/nonexistent"),
    ] {
        let text = open(&format!("gst:{line}")).unwrap_err().to_string();
        assert!(
            text.contains(cause) && text.contains("gst-launch-1.0"),
            "{line}: {text}"
        );
    }
}

/// The line is repeated in errors, and elements repeat addresses in what they say.
#[test]
fn a_launch_line_that_fails_tells_no_password() {
    let nobody = "location=rtsp://me:secret@127.0.0.1:9/a user-id=me user-pw=secret";
    for line in [
        format!("rtspsrc {nobody} ! nosuchelement"),
        format!("rtspsrc {nobody} no-such-property=1 ! decodebin"),
        format!("rtspsrc {nobody} ! decodebin"),
        format!("rtspsrc {nobody} ! fakesink"),
    ] {
        let error = open(&format!("gst:{line}")).unwrap_err();
        for said in [error.to_string(), format!("{error:?}")] {
            assert!(!said.contains("secret"), "{said}");
            assert!(said.contains("rtsp://***@127.0.0.1:9/a"), "{said}");
        }
    }
}
