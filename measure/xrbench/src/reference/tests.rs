//! Tests of: reference.

use super::*;

fn defaults() -> Reference<'static> {
    Reference {
        tuned: false,
        source: "file:media/bigbuckbunny.mp4",
        width: 640,
        height: 360,
        fps: "25".parse().expect("a rate"),
        bitrate_bps: 2_000_000,
        transport: "udp",
        start_us: 0,
    }
}

#[test]
fn a_round_begins_where_it_is_drawn() {
    let reference = Reference {
        start_us: 1_480_000,
        ..defaults()
    };
    let line = reference.render_command("http://h/feeds/x", Path::new("p"));
    let line = line.expect("a source that ffmpeg reads").join(" ");
    assert!(
        line.contains("-stream_loop -1 -ss 1480000us -i file:media/"),
        "{line}"
    );
}

/// A folder that `--out "$(date +%T) run"` makes has colons, which would end the name of a protocol.
#[test]
fn every_path_is_a_name_to_ffmpeg() {
    let reference = Reference {
        source: "file:12:30 film.mp4",
        ..defaults()
    };
    let folder = Path::new("13:05:00 run");
    let progress = folder.join("renderer.progress");
    let render = reference.render_command("http://h/feeds/x", &progress);
    let play = reference.play_command("rtsp://h/x", &folder.join("strips.pgm"), &progress);
    let words = [render.expect("a source that ffmpeg reads"), play].concat();
    let paths: Vec<_> = words
        .iter()
        .filter(|word| word.contains("13:05") || word.contains("12:30"))
        .collect();
    assert_eq!(paths.len(), 4);
    assert!(
        paths.iter().all(|path| path.starts_with("file:1")),
        "{paths:?}"
    );
}

fn quoted(command: &[String]) -> String {
    command
        .iter()
        .map(|word| {
            if word.contains([' ', '\'', '\\', '(', '*']) {
                format!("\"{}\"", word.replace('\\', "\\\\"))
            } else {
                word.clone()
            }
        })
        .collect::<Vec<_>>()
        .join(" ")
}

/// The page that people copy command lines from shows exactly what is run.
#[test]
fn the_committed_command_lines_are_the_ones_that_are_run() {
    let page = include_str!("../../../../docs/reference.md");
    for tuned in [false, true] {
        let reference = Reference {
            tuned,
            ..defaults()
        };
        let render = reference
            .render_command(
                "http://127.0.0.1:8080/feeds/reference",
                Path::new("render.progress"),
            )
            .expect("a source that ffmpeg reads");
        let play = reference.play_command(
            "rtsp://127.0.0.1:8554/reference",
            Path::new("strips/strips-00000.pgm"),
            Path::new("play.progress"),
        );
        for command in [render, play] {
            let line = quoted(&command);
            assert!(page.contains(&line), "docs/reference.md lacks:\n{line}");
        }
    }
}

#[test]
fn only_what_ffmpeg_can_read_is_a_source() {
    for source in ["gst:videotestsrc", "file:", "", "https://example.org/x"] {
        let reference = Reference {
            source,
            ..defaults()
        };
        let error = reference
            .render_command("http://127.0.0.1/feeds/x", Path::new("p"))
            .expect_err("no source of ffmpeg");
        assert!(error.to_string().contains(&format!("{source:?}")));
    }
    let small = Reference {
        width: 160,
        ..defaults()
    };
    assert!(
        small
            .render_command("http://127.0.0.1/", Path::new("p"))
            .is_err()
    );
}
