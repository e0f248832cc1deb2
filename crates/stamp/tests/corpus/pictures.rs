//! Where the pictures come from.

use std::io::Read;
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};

use super::codec::{REMEDY, ffmpeg};
use super::{HEIGHT, WIDTH};

/// Endless pictures.
pub(crate) trait Source {
    /// Puts the next one into `i420`, which is of [`WIDTH`] x [`HEIGHT`].
    fn next_into(&mut self, i420: &mut [u8]);
}

/// Big Buck Bunny, over and over.
pub(crate) struct Film {
    decoder: Child,
    pipe: ChildStdout,
}

impl Film {
    pub(crate) fn open() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../media/bigbuckbunny.mp4");
        assert!(
            path.is_file(),
            "{} is missing: run `make media`, which fetches it",
            path.display()
        );
        let mut decoder = ffmpeg()
            .args(["-threads", "1", "-stream_loop", "-1", "-i"])
            .arg(path)
            .args([
                "-an",
                "-vf",
                &format!("scale={WIDTH}:{HEIGHT}"),
                "-fps_mode",
                "passthrough",
            ])
            .args(["-pix_fmt", "yuv420p", "-f", "rawvideo", "-"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect(REMEDY);
        let pipe = decoder.stdout.take().expect("piped above");
        Self { decoder, pipe }
    }
}

impl Source for Film {
    fn next_into(&mut self, i420: &mut [u8]) {
        self.pipe
            .read_exact(i420)
            .expect("ffmpeg decodes the film without end");
    }
}

impl Drop for Film {
    fn drop(&mut self) {
        // It never ends by itself.
        let _ = self.decoder.kill();
        let _ = self.decoder.wait();
    }
}

/// A gradient that moves, under noise that is new in each picture and grows stronger and weaker.
pub(crate) struct Noise {
    random: Vec<u8>,
    state: u64,
    count: usize,
}

impl Noise {
    pub(crate) fn new() -> Self {
        let mut noise = Self {
            random: Vec::with_capacity(2 * WIDTH * HEIGHT),
            state: 0x9e37_79b9_7f4a_7c15,
            count: 0,
        };
        while noise.random.len() < 2 * WIDTH * HEIGHT {
            let bytes = noise.draw().to_le_bytes();
            noise.random.extend_from_slice(&bytes);
        }
        noise
    }

    /// The next number of xorshift64: the same on every run, so that a failure comes back.
    fn draw(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }
}

impl Source for Noise {
    fn next_into(&mut self, i420: &mut [u8]) {
        let room = WIDTH * HEIGHT;
        let from = usize::try_from(self.draw() % room as u64).expect("less than a picture");
        let strength = [4, 12, 25, 50][self.count / 120 % 4];
        let (luma, chroma) = i420.split_at_mut(room);
        let noise = self.random[from..from + room].chunks_exact(WIDTH);
        for (y, (row, noise)) in luma.chunks_exact_mut(WIDTH).zip(noise).enumerate() {
            let moved = (y + 2 * self.count) % 320;
            let grey = u16::try_from(moved.min(320 - moved)).expect("at most 160") + 45;
            for (pixel, &noise) in row.iter_mut().zip(noise) {
                let grey = grey + u16::from(noise) * strength / 128 - strength.min(grey);
                *pixel = u8::try_from(grey).unwrap_or(u8::MAX).clamp(16, 235);
            }
        }
        chroma.fill(128);
        self.count += 1;
    }
}
