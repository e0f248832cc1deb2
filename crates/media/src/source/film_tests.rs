//! Films that are cut or damaged, and films whose pictures lie on their side or have no square pixels.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::prelude::*;
use settings::SourceSpec;

use super::streams::Streams;
use super::tests::{make, next, size};
use super::{Source, past_end};

fn open(path: &Path, memory_bytes: u64) -> Source {
    crate::init().unwrap();
    Source::open(&SourceSpec::File(path.to_owned()), size(), memory_bytes, 0).unwrap()
}

fn picture(source: &Source) -> Vec<u8> {
    next(source).map_readable().unwrap().to_vec()
}

/// Its first picture comes again after `readable` others, decoded anew or kept in memory.
fn loops_over(path: &Path, readable: std::ops::RangeInclusive<usize>) {
    for memory_bytes in [0, 1 << 30] {
        let source = open(path, memory_bytes);
        let first = picture(&source);
        for round in 0..3 {
            let count = 1 + (0..100).take_while(|_| picture(&source) != first).count();
            assert!(
                readable.contains(&count),
                "{}: {count} pictures in round {round}, {memory_bytes} bytes",
                path.display()
            );
        }
    }
}

#[test]
fn a_film_that_was_cut_is_looped_over_what_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.mp4");
    make(&format!(
        "videotestsrc pattern=ball num-buffers=60 ! video/x-raw,width=640,height=360,framerate=25/1 \
         ! x264enc speed-preset=ultrafast key-int-max=5 bframes=0 ! h264parse ! mp4mux faststart=true ! filesink location={}",
        path.display()
    ));
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() * 6 / 10]).unwrap();
    loops_over(&path, 10..=55);
}

/// How many pictures ffmpeg reads of it.
fn read_by_ffmpeg(path: &Path) -> usize {
    let listed = ffmpeg("-i FILM -map 0:v -f framecrc -", path);
    let listed = String::from_utf8(listed).unwrap();
    listed.lines().filter(|line| line.starts_with("0,")).count()
}

fn overwrite(path: &Path, at: usize, length: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at..at + length].fill(0x5a);
    std::fs::write(path, bytes).unwrap();
}

/// Its decoder fails at each damaged picture, and decodes all others.
#[test]
fn a_film_with_holes_is_looped_over_what_ffmpeg_reads_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hole.mov");
    make(&format!(
        "videotestsrc pattern=ball num-buffers=30 ! video/x-raw,width=640,height=360,framerate=25/1 ! pngenc \
         ! qtmux ! filesink location={}",
        path.display()
    ));
    let length = usize::try_from(path.metadata().unwrap().len()).unwrap();
    overwrite(&path, length / 3, 6_000);
    overwrite(&path, length * 2 / 3, 20);
    let whole = read_by_ffmpeg(&path);
    assert!((15..=28).contains(&whole), "{whole}");
    loops_over(&path, whole..=whole);

    let source = open(&path, 0);
    let unread = source.unread();
    for _ in 0..2 * whole {
        next(&source);
    }
    assert_eq!(unread.pictures(), 30 - whole as u64);
}

/// Its decoder says at the first damaged picture that it fails, and then gives no other one, nor ends.
#[test]
fn a_decoder_that_gives_up_is_begun_anew_at_the_next_key_frame() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hole.mkv");
    ffmpeg(
        "-f lavfi -i testsrc2=s=320x180:r=25:d=2 -c:v libaom-av1 -usage realtime -cpu-used 8 -g 10 -lag-in-frames 0 FILM",
        &path,
    );
    let length = usize::try_from(path.metadata().unwrap().len()).unwrap();
    overwrite(&path, length / 2, 300);
    loops_over(&path, 35..=49);
}

#[test]
fn nothing_is_unread_of_a_whole_film() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("whole.mkv");
    ffmpeg(
        "-f lavfi -i testsrc2=s=320x180:r=25:d=1 -c:v libx264 FILM",
        &path,
    );
    let source = open(&path, 0);
    for _ in 0..60 {
        next(&source);
    }
    assert_eq!(source.unread().pictures(), 0);
}

fn ffmpeg(arguments: &str, path: &Path) -> Vec<u8> {
    let path = path.display().to_string();
    let arguments = arguments.split(' ').map(|word| match word {
        "FILM" => path.as_str(),
        word => word,
    });
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-y"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

/// Its demuxer looks for an end that is not there; what stands before it is a film.
#[test]
fn a_gif_that_was_cut_is_looped_over_what_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.gif");
    ffmpeg("-f lavfi -i testsrc2=s=160x120:r=10:d=4 FILM", &path);
    let bytes = std::fs::read(&path).unwrap();
    // Within a picture, and just before the mark that ends the file.
    for length in [bytes.len() * 6 / 10, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..length]).unwrap();
        let begin = Instant::now();
        loops_over(&path, 15..=40);
        // Who looks for an end waits ten seconds for it, before anything else.
        assert!(begin.elapsed() < Duration::from_secs(10), "it waited");
    }
    std::fs::write(&path, &bytes).unwrap();
    loops_over(&path, 40..=40);
}

/// It ends as a whole one does, and has no list of its pictures: only who reads it knows.
#[test]
fn a_gif_that_was_cut_is_told_from_a_whole_one() {
    crate::init().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.gif");
    ffmpeg("-f lavfi -i testsrc2=s=160x120:r=10:d=4 FILM", &path);
    let bytes = std::fs::read(&path).unwrap();
    for (length, is_cut) in [
        (bytes.len() * 6 / 10, true),
        (bytes.len() - 1, true),
        (bytes.len(), false),
    ] {
        std::fs::write(&path, &bytes[..length]).unwrap();
        let pipeline = gst::Pipeline::new();
        let noted = Streams::default();
        let note = noted.clone();
        let decode = crate::element("decodebin").unwrap();
        let source =
            past_end::file(path.to_str().unwrap(), &decode, move || note.note_cut()).unwrap();
        let sink = crate::element("fakesink").unwrap();
        pipeline.add_many([&source, &decode, &sink]).unwrap();
        source.link(&decode).unwrap();
        let into = sink.static_pad("sink").unwrap();
        decode.connect_pad_added(move |_, pad| {
            pad.link(&into).unwrap();
        });
        pipeline.set_state(gst::State::Playing).unwrap();
        let over = [gst::MessageType::Eos, gst::MessageType::Error];
        let bus = pipeline.bus().unwrap();
        let message = bus.timed_pop_filtered(gst::ClockTime::from_seconds(10), &over);
        pipeline.set_state(gst::State::Null).unwrap();
        assert!(message.is_some(), "{length} bytes have no end");
        assert_eq!(noted.is_cut(), is_cut, "{length} of {} bytes", bytes.len());
    }
}

/// What the reference encodes of a file is what we do, or the two measure different pictures.
#[test]
fn pictures_are_turned_and_stretched_as_ffmpeg_does() {
    let folder = tempfile::tempdir().unwrap();
    let quarters = "-f lavfi -i color=black:s=320x240:r=25:d=1,drawbox=w=160:h=120:color=white:t=fill,drawbox=x=160:y=120:w=160:h=120:color=gray:t=fill";
    for (name, more) in [
        ("square.mp4", ""),
        ("anamorphic.mp4", ",setsar=16/9"),
        ("wide.mp4", ",crop=320:120"),
    ] {
        let film = folder.path().join(name);
        ffmpeg(&format!("{quarters}{more} -c:v libx264 FILM"), &film);
        for turned in ["0", "90", "180", "270"] {
            let film = folder.path().join(format!("{turned}-{name}"));
            let from = folder.path().join(name);
            ffmpeg(
                &format!(
                    "-i {} -c copy -metadata:s:v:0 rotate={turned} FILM",
                    from.display()
                ),
                &film,
            );
            let theirs = ffmpeg(
                "-i FILM -vf scale=640:360,format=yuv420p -frames:v 1 -f rawvideo -",
                &film,
            );
            let ours = picture(&open(&film, 0));
            let luma = 640 * 360;
            let apart = std::iter::zip(&ours[..luma], &theirs[..luma])
                .filter(|(ours, theirs)| ours.abs_diff(**theirs) > 40)
                .count();
            assert!(
                apart < luma / 50,
                "{}: {apart} pixels are not alike",
                film.display()
            );
        }
    }
}
