//! Where pictures come from: a file, a test pattern, or a GStreamer launch line.
//!
//! ```text
//! filesrc -> decodebin -> videoconvert -> videoflip -> videoconvertscale -> I420, asked size -> appsink ~copy~> read-ahead queue ~> take()
//! ```
//!
//! Pictures are decoded, scaled and copied ahead of time into buffers of our own, at low priority, so that neither a slow
//! decode nor the start of the next round of a looped file costs a tick, and a stamp is never drawn into a picture that a
//! decoder still predicts from.

mod error;
mod film;
mod past_end;
mod read_ahead;
mod reader;
mod resume;
mod round;
mod streams;
mod swallowed;

use std::sync::Arc;

use gstreamer as gst;
use gstreamer::prelude::*;

pub use error::SourceError;
pub use read_ahead::Taken;

use settings::{SourceSpec, VideoSize};

/// An open source: its pictures are I420 of the asked size.
#[derive(Debug)]
pub struct Source {
    pipeline: gst::Pipeline,
    pictures: Arc<read_ahead::ReadAhead>,
}

impl Source {
    /// Opens `spec` and waits until its first picture is there, at most ten seconds and the time that passing over pictures takes.
    /// The first `start` pictures are passed over, once. A file whose pictures take at most `memory_bytes` is decoded once and
    /// looped from memory; a longer one is decoded anew in each round.
    pub fn open(
        spec: &SourceSpec,
        size: VideoSize,
        memory_bytes: u64,
        start: u64,
    ) -> Result<Self, SourceError> {
        let pictures = Arc::new(read_ahead::ReadAhead::new(size, start));
        let pipeline = reader::start(spec, size, &pictures, memory_bytes)?;
        let source = Self { pipeline, pictures };
        source.pictures.wait_for_first(spec)?;
        Ok(source)
    }

    /// Passes over pictures whose ticks have passed, so that frame numbers go on naming pictures: as many as are ready, but for
    /// one. A source with a time of its own has passed over them already.
    pub fn skip(&self, ticks: u64) {
        self.pictures.skip(ticks);
    }

    /// How many pictures of the film cannot be read, asked whenever somebody wants to know.
    pub fn unread(&self) -> Unread {
        Unread(Arc::clone(&self.pictures))
    }

    /// The next picture, if one is ready. It never waits. The buffer belongs to the caller alone.
    pub fn take(&self) -> Taken {
        self.pictures.take()
    }
}

/// What a source could not read of its film. It outlives the source.
#[derive(Clone, Debug)]
pub struct Unread(Arc<read_ahead::ReadAhead>);

impl Unread {
    /// Pictures of one round of the film that could not be read, or more: 0 before the first round is over, and of a whole film.
    pub fn pictures(&self) -> u64 {
        self.0.unread()
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
mod film_tests;
#[cfg(test)]
mod tests;
