//! The frames of a video file, through the ffmpeg command: this program links no media framework.

use std::{
    ffi::OsString,
    io::{BufReader, Read as _},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use anyhow::{Context as _, bail};
use serde::Deserialize;
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
    ///
    /// # Errors
    /// Also where the file has several videos: a picture before the film would be taken for it.
    pub(super) fn open(path: &Path, kind: Kind) -> anyhow::Result<Self> {
        let (width, height) = match kind {
            Kind::Stamp => (MIN_WIDTH, MIN_HEIGHT),
            Kind::Clock => (BAND_WIDTH as usize, 2 * BAND_HEIGHT as usize),
        };
        if !path.is_file() {
            bail!("{} is no file", path.display());
        }
        let expected = expected(path, (width, height))?;
        // The luma plane as it is, without a change of range; each picture once.
        let filter = format!("format=yuv420p,extractplanes=y,crop={width}:{height}:0:0");
        let mut ffmpeg = Command::new("ffmpeg")
            .args(["-hide_banner", "-nostdin", "-loglevel", "error", "-i"])
            .arg(ffmpeg_file(path))
            .args(["-map", "0:V:0", "-vf", &filter])
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
        bail!("ffmpeg cannot read the video: {}", said.trim())
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

/// What ffprobe prints.
#[derive(Deserialize)]
struct Probed {
    streams: Vec<Stream>,
}

#[derive(Deserialize)]
struct Stream {
    codec_name: Option<String>,
    width: u32,
    height: u32,
    nb_read_packets: Option<String>,
    #[serde(default)]
    side_data_list: Vec<SideData>,
}

/// What a container says of a stream beside it.
#[derive(Deserialize)]
struct SideData {
    /// Degrees by which a player turns the picture.
    rotation: Option<f64>,
}

impl Stream {
    /// Whether a player shows the picture standing on what is stored as its side, as ffmpeg does.
    fn is_on_its_side(&self) -> bool {
        let mut turns = self.side_data_list.iter().filter_map(|data| data.rotation);
        turns.any(|degrees| (degrees.abs() - 90.0).rem_euclid(180.0) < 1.0)
    }

    /// The size of the picture as it is shown.
    fn shown(&self) -> (usize, usize) {
        let (width, height) = (self.width as usize, self.height as usize);
        if self.is_on_its_side() {
            (height, width)
        } else {
            (width, height)
        }
    }

    /// Whether the shown picture has so many pixels across and down.
    fn has_room(&self, (width, height): (usize, usize)) -> bool {
        let (across, down) = self.shown();
        across >= width && down >= height
    }

    fn described(&self) -> String {
        format!(
            "{} {}x{} of {} pictures",
            self.codec_name.as_deref().unwrap_or("unknown"),
            self.width,
            self.height,
            self.nb_read_packets.as_deref().unwrap_or("unknown")
        )
    }
}

/// How many frames the film of a file has, as ffprobe counts them; 0 where it does not say.
fn expected(path: &Path, least: (usize, usize)) -> anyhow::Result<u64> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "V", "-count_packets"])
        .args([
            "-show_entries",
            "stream=codec_name,width,height,nb_read_packets:stream_side_data=rotation",
        ])
        .args(["-of", "json"])
        .arg(ffmpeg_file(path))
        .output();
    // What ffprobe cannot read ffmpeg cannot either, and that says why.
    let Some(output) = output.ok().filter(|output| output.status.success()) else {
        return Ok(0);
    };
    pictures(&output.stdout, path, least)
}

/// How many frames the film of `path` has by what ffprobe printed of it; 0 where that does not say. Covers, which files mark
/// as such, are no videos.
///
/// # Errors
/// Also where the film has no room for the lines, `least` pixels wide and high: ffmpeg would name its own filters.
pub fn pictures(printed: &[u8], path: &Path, least: (usize, usize)) -> anyhow::Result<u64> {
    let Ok(Probed { streams }) = serde_json::from_slice(printed) else {
        return Ok(0);
    };
    match streams.as_slice() {
        [] => bail!(
            "{} has no video: give a recording that shows both stamps",
            path.display()
        ),
        [film] if !film.has_room(least) => bail!(
            "{} is {}x{}{}, and the stamps of a recording at its own size need {}x{}: record the whole picture, without scaling it",
            path.display(),
            film.shown().0,
            film.shown().1,
            if film.is_on_its_side() {
                ", turned as the file says"
            } else {
                ""
            },
            least.0,
            least.1
        ),
        [film] => Ok(film
            .nb_read_packets
            .as_deref()
            .and_then(|packets| packets.parse().ok())
            .unwrap_or(0)),
        several => {
            let several: Vec<_> = several.iter().map(Stream::described).collect();
            bail!(
                "{} has several videos ({}), and nothing says which shows the stamps: keep that one, as in \
                 `ffmpeg -i FILE -map 0:V:1 -c copy film.mkv`",
                path.display(),
                several.join(", ")
            )
        }
    }
}

/// A path as ffmpeg takes it: a colon in a name would otherwise end a protocol's, and a dash begin an option.
pub fn ffmpeg_file(path: &Path) -> OsString {
    let mut name = OsString::from("file:");
    name.push(path);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ffmpeg(folder: &Path, args: &str) {
        let status = Command::new("ffmpeg")
            .current_dir(folder)
            .args(["-v", "error"])
            .args(args.split(' '))
            .status();
        assert!(status.expect("ffmpeg is installed").success(), "{args}");
    }

    /// A film of twelve pictures with a still before it, as `name`.
    fn with_a_still(name: &str, more: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let source = "-f lavfi -i testsrc2=size=";
        ffmpeg(
            dir.path(),
            &format!("{source}320x240 -frames:v 1 still.jpg"),
        );
        ffmpeg(
            dir.path(),
            &format!("{source}640x360 -frames:v 12 -c:v libx264 film.mp4"),
        );
        let join = "-i still.jpg -i film.mp4 -map 0 -map 1 -c copy";
        ffmpeg(dir.path(), &format!("{join}{more} file:{name}"));
        dir
    }

    #[test]
    fn a_cover_is_not_taken_for_the_film() {
        let dir = with_a_still("12:30.mp4", " -disposition:v:0 attached_pic");
        let path = dir.path().join("12:30.mp4");
        let mut frames = Frames::open(&path, Kind::Stamp).expect("the film");
        assert_eq!(frames.expected(), 12);
        let shown = frames.by_ref().map(|frame| frame.expect("a picture"));
        assert_eq!(shown.count(), 12);
        frames.end().expect("ffmpeg read it");
    }

    #[test]
    fn a_file_of_several_videos_is_refused_and_they_are_named() {
        let dir = with_a_still("still-first.mkv", "");
        let path = dir.path().join("still-first.mkv");
        let Err(error) = Frames::open(&path, Kind::Stamp) else {
            panic!("two of them");
        };
        let said = error.to_string();
        assert!(
            said.contains("mjpeg 320x240 of 1 pictures, h264 640x360 of 12 pictures"),
            "{said}"
        );
    }

    #[test]
    fn what_has_no_stamps_is_refused_without_ffmpegs_own_names() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        ffmpeg(
            dir.path(),
            "-f lavfi -i testsrc2=size=320x240 -frames:v 2 -c:v libx264 small.mp4",
        );
        ffmpeg(dir.path(), "-f lavfi -i sine -t 1 sound.wav");
        ffmpeg(
            dir.path(),
            "-f lavfi -i testsrc2=size=640x360 -frames:v 2 -c:v libx264 lying.mp4",
        );
        ffmpeg(
            dir.path(),
            "-i lying.mp4 -c copy -metadata:s:v rotate=90 turned.mp4",
        );
        for (name, why) in [
            (
                "turned.mp4",
                "is 360x640, turned as the file says, and the stamps",
            ),
            ("small.mp4", "is 320x240, and the stamps"),
            ("sound.wav", "has no video"),
        ] {
            let Err(error) = Frames::open(&dir.path().join(name), Kind::Stamp) else {
                panic!("{name} has no stamps");
            };
            let said = error.to_string();
            assert!(said.contains(why) && !said.contains("Parsed"), "{said}");
        }
    }
}
