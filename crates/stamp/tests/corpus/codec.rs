//! x264 and back: two ffmpeg processes in a row, raw pictures in, raw pictures out.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::{FPS, HEIGHT, WIDTH};

/// What of the decoded picture comes back: the least picture with a stamp, which is all that a reader looks at.
pub(crate) const CROP_WIDTH: usize = stamp::MIN_WIDTH;
pub(crate) const CROP_HEIGHT: usize = stamp::MIN_HEIGHT;

/// A running encoder and decoder.
pub(crate) struct Codec {
    pub(crate) input: Input,
    pub(crate) output: Output,
}

/// Where raw I420 pictures go in.
pub(crate) struct Input {
    pipe: ChildStdin,
    encoder: Child,
}

/// Where decoded pictures come out.
pub(crate) struct Output {
    pipe: ChildStdout,
    decoder: Child,
    picture: Vec<u8>,
}

impl Codec {
    /// Starts both at `mbits` Mbit/s: the renderer's preset and tuning, and a rate held within 100 ms.
    pub(crate) fn start(mbits: u32) -> Self {
        let rate = format!("{mbits}M");
        let window = format!("{}k", mbits * 100);
        let mut encoder = ffmpeg()
            .args(["-f", "rawvideo", "-pix_fmt", "yuv420p"])
            .args([
                "-s",
                &format!("{WIDTH}x{HEIGHT}"),
                "-r",
                &FPS.to_string(),
                "-i",
                "-",
            ])
            .args([
                "-c:v",
                "libx264",
                "-preset",
                "ultrafast",
                "-tune",
                "zerolatency",
                "-threads",
                "1",
            ])
            .args([
                "-g",
                &FPS.to_string(),
                "-b:v",
                &rate,
                "-maxrate",
                &rate,
                "-bufsize",
                &window,
            ])
            .args(["-f", "h264", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect(REMEDY);
        let stream = encoder.stdout.take().expect("piped above");
        let mut decoder = ffmpeg()
            .args(["-threads", "1", "-f", "h264", "-i", "-", "-vf"])
            .arg(format!("crop={CROP_WIDTH}:{CROP_HEIGHT}:0:0"))
            .args([
                "-fps_mode",
                "passthrough",
                "-pix_fmt",
                "yuv420p",
                "-f",
                "rawvideo",
                "-",
            ])
            .stdin(Stdio::from(stream))
            .stdout(Stdio::piped())
            .spawn()
            .expect(REMEDY);
        Self {
            input: Input {
                pipe: encoder.stdin.take().expect("piped above"),
                encoder,
            },
            output: Output {
                pipe: decoder.stdout.take().expect("piped above"),
                decoder,
                picture: vec![0; CROP_WIDTH * CROP_HEIGHT * 3 / 2],
            },
        }
    }
}

impl Input {
    /// Encodes one picture, waiting while the pipe is full.
    pub(crate) fn push(&mut self, i420: &[u8]) {
        self.pipe
            .write_all(i420)
            .expect("the encoder takes pictures; ffmpeg says above why not");
    }

    /// Ends the stream.
    pub(crate) fn finish(mut self) {
        drop(self.pipe);
        let status = self.encoder.wait().expect("a child that was started");
        assert!(
            status.success(),
            "the encoder ended with {status}; ffmpeg says above why"
        );
    }
}

impl Output {
    /// The luma of the next decoded picture, or none at the stream's end.
    pub(crate) fn next(&mut self) -> Option<&[u8]> {
        if let Err(error) = self.pipe.read_exact(&mut self.picture) {
            let status = self.decoder.wait().expect("a child that was started");
            assert!(
                status.success(),
                "the decoder ended with {status} ({error}); ffmpeg says above why"
            );
            return None;
        }
        Some(&self.picture[..CROP_WIDTH * CROP_HEIGHT])
    }
}

/// Said when ffmpeg cannot be started.
pub(crate) const REMEDY: &str = "ffmpeg must be installed: apt-get install ffmpeg, or make deps";

/// A quiet ffmpeg.
pub(crate) fn ffmpeg() -> Command {
    let mut command = Command::new("ffmpeg");
    command.args(["-hide_banner", "-loglevel", "error", "-nostats"]);
    command
}
