//! The reference pipeline: the command lines of an unmodified ffmpeg that renders, and of one that plays.
//!
//! This is the papers' own method. The renderer draws its wall clock into the picture, encodes, and sends MPEG-TS over
//! HTTP to xr-streamer; the player takes RTSP from it, draws its own wall clock below, and writes both lines as a strip.
//! Latency is known from OCR alone ([`ocr::rule`]). `docs/reference.md` shows the whole command lines; a test
//! holds it to what is built here.
//!
//! Microseconds with ffmpeg 5.1: `settb=AVTB,setpts=RTCTIME` makes the frame's timestamp the wall clock at the moment
//! when the frame passes that filter, `%{pts\:flt}` draws it in seconds with six decimals, and `setpts=N/(FPS*TB)` gives
//! the frame a timestamp that an encoder accepts again.

mod pace;

use std::path::Path;

use ocr::{BAND_HEIGHT, BAND_WIDTH, ffmpeg_file};
pub use pace::pace;
use settings::FrameRate;

/// The font of both lines, in Debian's package `fonts-dejavu-core`.
pub const FONT: &str = "/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf";

/// The font's size in pixels: 17 characters fill the band, with white on all sides.
const FONT_SIZE: u32 = 28;

/// ffmpeg's speed below which a run counts as overloaded: it could not keep its own pace.
pub const SUSTAINED_PACE: f64 = 0.99;

/// The command lines of a reference.
#[derive(Clone, Copy, Debug)]
pub struct Reference<'a> {
    /// The best that plain ffmpeg can do, instead of its defaults.
    pub tuned: bool,
    /// Where pictures come from: `file:PATH` (looped) or `test`.
    pub source: &'a str,
    /// Picture width in pixels.
    pub width: u32,
    /// Picture height in pixels.
    pub height: u32,
    pub fps: FrameRate,
    /// The encoder's target in bits a second. It counts for the tuned run; libx264's default is a constant quality.
    pub bitrate_bps: u64,
    /// How RTP travels: `udp` or `tcp`.
    pub transport: &'a str,
    /// The time in the film at which it begins, microseconds.
    pub start_us: u64,
}

/// The reason why a scenario cannot be run with ffmpeg.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReferenceError {
    /// The source is one of GStreamer's.
    #[error("source {value:?} is not one that ffmpeg reads: write file:PATH or test")]
    Source {
        /// The source as it was written.
        value: String,
    },
    /// A picture of that size has no room for the lines.
    #[error("{width}x{height} has no room for the clock's lines: at least {BAND_WIDTH}x{}", 2 * BAND_HEIGHT)]
    Size { width: u32, height: u32 },
}

impl Reference<'_> {
    /// The renderer: `feed` is the streamer's URL of the feed, `progress` the file that [`pace()`] reads.
    pub fn render_command(
        &self,
        feed: &str,
        progress: &Path,
    ) -> Result<Vec<String>, ReferenceError> {
        let mut command = begin(progress);
        command.extend(self.input()?);
        command.extend(words("-an -vf"));
        command.push(format!(
            "scale={}:{},fps={},format=yuv420p,{}",
            self.width,
            self.height,
            self.fps,
            clock(0, self.fps)
        ));
        command.extend(words("-c:v libx264"));
        if self.tuned {
            command.extend(words("-preset ultrafast -tune zerolatency"));
            let (rate, gop) = (
                self.bitrate_bps.to_string(),
                self.fps.as_f64().ceil().to_string(),
            );
            command.extend(["-b:v".into(), rate.clone(), "-maxrate".into(), rate]);
            // One frame's worth of buffer would starve key frames; a tenth of a second lets them through.
            command.extend(["-bufsize".into(), (self.bitrate_bps / 10).to_string()]);
            command.extend(["-g".into(), gop]);
            command.extend(words(
                "-muxdelay 0 -muxpreload 0 -flush_packets 1 -tcp_nodelay 1",
            ));
        }
        command.extend(words("-f mpegts -method PUT"));
        command.push(feed.into());
        Ok(command)
    }

    /// The player: `url` is the stream's RTSP URL, `strips` the file for its strips, `progress` the file that [`pace()`]
    /// reads.
    pub fn play_command(&self, url: &str, strips: &Path, progress: &Path) -> Vec<String> {
        let mut command = begin(progress);
        if self.tuned {
            command.extend(words(
                "-fflags nobuffer -flags low_delay -probesize 32 -analyzeduration 0 -max_delay 0 -reorder_queue_size 0",
            ));
        }
        command.extend(["-rtsp_transport".into(), self.transport.into()]);
        command.extend(["-i".into(), url.into()]);
        command.extend(words("-an -vf"));
        command.push(format!(
            "{},crop={BAND_WIDTH}:{}:0:0,format=gray",
            clock(BAND_HEIGHT, self.fps),
            2 * BAND_HEIGHT
        ));
        // Each decoded picture once: by default ffmpeg repeats and drops pictures to keep a rate.
        command.extend(words("-fps_mode passthrough -c:v pgm -f image2pipe -y"));
        command.push(name(strips));
        command
    }

    fn input(&self) -> Result<Vec<String>, ReferenceError> {
        let (width, height) = (self.width, self.height);
        if width < BAND_WIDTH || height < 2 * BAND_HEIGHT {
            return Err(ReferenceError::Size { width, height });
        }
        match self.source.split_once(':') {
            Some(("file", path)) if !path.is_empty() => Ok([
                words("-re -stream_loop -1").as_slice(),
                &self.start(),
                &["-i".to_owned(), name(Path::new(path))],
            ]
            .concat()),
            None if self.source == "test" => Ok([
                words("-re -f lavfi -i").as_slice(),
                &[format!("testsrc2=size={width}x{height}:rate={}", self.fps)],
            ]
            .concat()),
            _ => Err(ReferenceError::Source {
                value: self.source.to_owned(),
            }),
        }
    }
}

impl Reference<'_> {
    /// Where in the film it begins; nothing for its start.
    fn start(&self) -> Vec<String> {
        if self.start_us == 0 {
            return Vec::new();
        }
        vec!["-ss".to_owned(), format!("{}us", self.start_us)]
    }
}

/// What both begin with. Standard input is not theirs to read.
fn begin(progress: &Path) -> Vec<String> {
    let mut command = words("ffmpeg -hide_banner -nostdin -nostats -loglevel warning -progress");
    command.push(name(progress));
    command
}

/// A path as ffmpeg takes it.
fn name(path: &Path) -> String {
    ffmpeg_file(path).to_string_lossy().into_owned()
}

/// A white band at row `top` with the wall clock in it.
fn clock(top: u32, fps: FrameRate) -> String {
    let text_top = top + (BAND_HEIGHT - FONT_SIZE * 3 / 4) / 2;
    format!(
        "settb=AVTB,setpts=RTCTIME,drawbox=x=0:y={top}:w={BAND_WIDTH}:h={BAND_HEIGHT}:color=white:t=fill,\
         drawtext=fontfile={FONT}:fontsize={FONT_SIZE}:fontcolor=black:x=12:y={text_top}:text='%{{pts\\:flt}}',\
         setpts=N/({fps}*TB)"
    )
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
