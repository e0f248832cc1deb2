//! The frames of a video file, through the ffmpeg command: this program links no media framework.

use std::{
    io::{BufReader, Read as _},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use anyhow::{Context as _, bail};
use stamp::{Line, MIN_HEIGHT, MIN_WIDTH, Plane, STRIP_HEIGHT, STRIP_WIDTH};

use super::{
    pgm::{Image, PgmReader},
    rule::Kind,
    table::IndexRow,
};

/// The width of a line's band in the reference's pictures, in pixels.
pub const BAND_WIDTH: u32 = 320;

/// The height of a line's band in pixels; generation is above consumption.
pub const BAND_HEIGHT: u32 = 32;

/// A frame of the file.
pub(super) struct Frame {
    /// Both lines, generation above consumption.
    pub strip: Image,
    /// What the blocks say, where they are read.
    pub blocks: Option<IndexRow>,
}

/// Frames in the file's order.
pub(super) struct Frames {
    ffmpeg: Child,
    images: PgmReader<BufReader<ChildStdout>>,
    kind: Kind,
    expected: u64,
}

impl Frames {
    /// Starts ffmpeg on `path`.
    pub(super) fn open(path: &Path, kind: Kind) -> anyhow::Result<Self> {
        let (width, height) = match kind {
            Kind::Stamp => (MIN_WIDTH, MIN_HEIGHT),
            Kind::Clock => (BAND_WIDTH as usize, 2 * BAND_HEIGHT as usize),
        };
        if !path.is_file() {
            bail!("{} is no file", path.display());
        }
        let expected = count(path).unwrap_or(0);
        // The luma plane as it is, without a change of range; each picture once.
        let filter = format!("format=yuv420p,extractplanes=y,crop={width}:{height}:0:0");
        let mut ffmpeg = Command::new("ffmpeg")
            .args(["-hide_banner", "-nostdin", "-loglevel", "error", "-i"])
            .arg(path)
            .args(["-map", "0:v:0", "-vf", &filter])
            .args([
                "-fps_mode",
                "passthrough",
                "-c:v",
                "pgm",
                "-f",
                "image2pipe",
                "-",
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start ffmpeg: install the package ffmpeg")?;
        let images = ffmpeg.stdout.take().context("ffmpeg has no output")?;
        Ok(Self {
            ffmpeg,
            images: PgmReader::new(BufReader::with_capacity(1 << 16, images)),
            kind,
            expected,
        })
    }

    /// How many frames there are, by the file's own account; 0 where it does not say.
    pub(super) const fn expected(&self) -> u64 {
        self.expected
    }

    /// Fails where ffmpeg did.
    pub(super) fn end(mut self) -> anyhow::Result<()> {
        let mut said = String::new();
        if let Some(stderr) = self.ffmpeg.stderr.take() {
            stderr.take(4_096).read_to_string(&mut said)?;
        }
        if self.ffmpeg.wait()?.success() {
            return Ok(());
        }
        bail!(
            "ffmpeg cannot read the video, or it is smaller than the stamp: {}",
            said.trim()
        )
    }
}

impl Iterator for Frames {
    type Item = anyhow::Result<Frame>;

    fn next(&mut self) -> Option<Self::Item> {
        let image = match self.images.next()? {
            Ok(image) => image,
            Err(error) => return Some(Err(error.into())),
        };
        Some(Ok(match self.kind {
            Kind::Clock => Frame {
                strip: image,
                blocks: None,
            },
            Kind::Stamp => cut(&image),
        }))
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        drop(self.ffmpeg.kill());
        drop(self.ffmpeg.wait());
    }
}

/// Cuts the lines out of the upper left corner of a picture, and reads its blocks.
fn cut(image: &Image) -> Frame {
    let mut strip = Image {
        width: STRIP_WIDTH,
        height: 2 * STRIP_HEIGHT,
        pixels: Vec::new(),
    };
    let plane = Plane::new(&image.pixels, image.width, image.height, image.width);
    let Ok(plane) = plane else {
        strip.pixels.resize(strip.width * strip.height, u8::MAX);
        return Frame {
            strip,
            blocks: None,
        };
    };
    for line in [Line::Generation, Line::Consumption] {
        stamp::strip(&plane, line, &mut strip.pixels);
    }
    let blocks = stamp::read_blocks(&plane).ok().map(IndexRow::from_blocks);
    Frame { strip, blocks }
}

/// The number of frames that the file's index gives.
fn count(path: &Path) -> Option<u64> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v:0", "-count_packets"])
        .args(["-show_entries", "stream=nb_read_packets", "-of", "csv=p=0"])
        .arg(path)
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.trim().trim_end_matches(',').parse().ok()
}
