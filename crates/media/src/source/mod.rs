//! Where pictures come from: a file, a test pattern, or a GStreamer launch line.
//!
//! ```text
//! filesrc -> decodebin -> videoconvertscale -> I420, asked size -> appsink ~copy~> read-ahead queue ~> take()
//! ```
//!
//! Pictures are decoded, scaled and copied ahead of time into buffers of our own, at low priority, so that neither a slow
//! decode nor the start of the next round of a looped file costs a tick, and a stamp is never drawn into a picture that a
//! decoder still predicts from.

mod film;
mod read_ahead;
mod reader;
mod spec;
mod streams;
mod swallowed;

use std::sync::Arc;

use gstreamer as gst;
use gstreamer::prelude::*;

pub use read_ahead::Taken;
pub use spec::{SourceSpec, SpecError};

use crate::units::VideoSize;

/// Why a source gives no pictures: what is wrong with it, and what would help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The file cannot be read.
    #[error("cannot read {path}: {cause}; name a readable video file")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system says.
        cause: String,
    },
    /// The file has sound and no picture.
    #[error(
        "{path} has no video, only {streams}; name a file with a video stream (ffprobe lists them)"
    )]
    NoVideo {
        /// The file.
        path: String,
        /// What it has instead.
        streams: String,
    },
    /// The file's video is in a codec that this machine does not decode.
    #[error(
        "this machine has no decoder for {codec}, which is what {path} holds; install gstreamer1.0-libav and gstreamer1.0-plugins-bad, or convert the file: ffmpeg -i IN -c:v libx264 OUT.mp4"
    )]
    NoDecoder {
        /// The file.
        path: String,
        /// The codec.
        codec: String,
    },
    /// The file is no media file, or is damaged.
    #[error("{path} is broken or no video file: {cause}; check that it plays: ffprobe {path}")]
    Broken {
        /// The file, or the launch line.
        path: String,
        /// What the demuxer or decoder says.
        cause: String,
    },
    /// The launch line cannot be built.
    #[error(
        "the launch line '{line}' cannot be built: {cause}; it must end in raw video, as in gst:videotestsrc pattern=ball, and gst-launch-1.0 shows what is wrong with it"
    )]
    Launch {
        /// The launch line.
        line: String,
        /// What GStreamer says.
        cause: String,
    },
    /// Nothing came, and nothing failed.
    #[error(
        "{source_name} gave no picture within {seconds} s; try it alone: gst-launch-1.0 shows where it stops"
    )]
    Silent {
        /// The source.
        source_name: String,
        /// How long was waited.
        seconds: u64,
    },
    /// The machine lacks what a source needs.
    #[error("{0}")]
    Pipeline(String),
}

impl From<crate::Error> for SourceError {
    fn from(error: crate::Error) -> Self {
        Self::Pipeline(error.to_string())
    }
}

/// An open source: its pictures are I420 of the asked size.
#[derive(Debug)]
pub struct Source {
    pipeline: gst::Pipeline,
    pictures: Arc<read_ahead::ReadAhead>,
}

impl Source {
    /// Opens `spec` and waits until its first picture is there, at most ten seconds. A file whose pictures take at most
    /// `memory_bytes` is decoded once and looped from memory; a longer one is decoded anew in each round.
    pub fn open(
        spec: &SourceSpec,
        size: VideoSize,
        memory_bytes: u64,
    ) -> Result<Self, SourceError> {
        let pictures = Arc::new(read_ahead::ReadAhead::new(size));
        let pipeline = reader::start(spec, size, &pictures, memory_bytes)?;
        let source = Self { pipeline, pictures };
        source.pictures.wait_for_first(spec)?;
        Ok(source)
    }

    /// The next picture, if one is ready. It never waits. The buffer belongs to the caller alone.
    pub fn take(&self) -> Taken {
        self.pictures.take()
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.pictures.close();
        // The reader's thread waits on the bus: this wakes it, and it stops the pipeline.
        let _ = self.pipeline.post_message(reader::stop_message());
    }
}

#[cfg(test)]
mod tests;
