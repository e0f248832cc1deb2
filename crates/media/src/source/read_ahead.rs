//! The bounded queue between the thread that decodes and the thread that keeps time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use gstreamer as gst;
use parking_lot::{Condvar, Mutex};

use super::error::SourceError;
use settings::{SourceSpec, VideoSize};

/// Pictures kept ready: a quarter of a second at 60 a second, longer than the start of a file's next round takes.
const MAX_PICTURES: usize = 16;
/// The most memory that they may take; large pictures are fewer.
const MAX_BYTES: u64 = 64 << 20;
/// The fewest: below it every hiccup of the decoder costs a tick.
const MIN_PICTURES: u64 = 4;
/// How long a source may take until its first picture.
const PATIENCE: Duration = Duration::from_secs(10);
/// How much longer for each picture that is passed over: a large one's decoding.
const PASSING: Duration = Duration::from_millis(30);

/// What a source gave when it was asked for its next picture.
#[derive(Debug)]
pub enum Taken {
    Picture(gst::Buffer),
    /// The source is behind: there is none yet.
    NotYet,
    /// There will be none any more: the end of the stream, or a failure.
    Over(Result<(), SourceError>),
}

#[derive(Debug)]
pub(super) struct ReadAhead {
    state: Mutex<State>,
    /// Signalled at every change.
    changed: Condvar,
    capacity: usize,
    start: u64,
}

#[derive(Debug, Default)]
struct State {
    pictures: VecDeque<gst::Buffer>,
    over: Option<Result<(), SourceError>>,
    closed: bool,
    /// The source has a time of its own: only its newest picture counts.
    live: bool,
    /// Pictures that are still to be passed over before the first one that counts.
    before: u64,
    /// Pictures of a round that could not be read.
    unread: u64,
}

impl ReadAhead {
    /// A queue that passes over its first `start` pictures.
    pub(super) fn new(size: VideoSize, start: u64) -> Self {
        let bytes = u64::from(size.width()) * u64::from(size.height()) * 3 / 2;
        let fitting = (MAX_BYTES / bytes).max(MIN_PICTURES);
        let capacity =
            usize::try_from(fitting).map_or(MAX_PICTURES, |fitting| fitting.min(MAX_PICTURES));
        Self {
            state: Mutex::new(State {
                before: start,
                ..State::default()
            }),
            start,
            changed: Condvar::new(),
            capacity,
        }
    }

    pub(super) fn set_live(&self) {
        self.state.lock().live = true;
    }

    /// Appends a picture, waiting for room; a live source's older pictures make room instead. False once closed.
    pub(super) fn push(&self, picture: gst::Buffer) -> bool {
        let mut state = self.state.lock();
        if state.before > 0 {
            state.before -= 1;
            return !state.closed;
        }
        if state.live {
            state.pictures.clear();
        }
        while state.pictures.len() >= self.capacity && !state.closed {
            self.changed.wait(&mut state);
        }
        if state.closed {
            return false;
        }
        state.pictures.push_back(picture);
        self.changed.notify_all();
        true
    }

    /// No further pictures will come; those that are here are still taken.
    pub(super) fn end(&self, result: Result<(), SourceError>) {
        let mut state = self.state.lock();
        state.over.get_or_insert(result);
        self.changed.notify_all();
    }

    /// Nobody takes pictures any more.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.pictures.clear();
        self.changed.notify_all();
    }

    /// Whether the next picture waits until another one is taken.
    pub(super) fn is_full(&self) -> bool {
        self.state.lock().pictures.len() >= self.capacity
    }

    /// Pictures of each round that cannot be read, as far as that is known.
    pub(super) fn unread(&self) -> u64 {
        self.state.lock().unread
    }

    /// So many pictures of the round that is over could not be read.
    pub(super) fn note_unread(&self, count: u64) {
        self.state.lock().unread = count;
    }

    /// Whether nobody takes pictures any more.
    pub(super) fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    pub(super) fn take(&self) -> Taken {
        let mut state = self.state.lock();
        let Some(picture) = state.pictures.pop_front() else {
            return state.over.clone().map_or(Taken::NotYet, Taken::Over);
        };
        self.changed.notify_all();
        Taken::Picture(picture)
    }

    /// Drops the oldest pictures, `count` at most, and never the last that is ready, nor any of a live source.
    pub(super) fn skip(&self, count: u64) {
        let mut state = self.state.lock();
        let ready = state.pictures.len().saturating_sub(1);
        if !state.live {
            let count = usize::try_from(count).map_or(ready, |count| count.min(ready));
            state.pictures.drain(..count);
            self.changed.notify_all();
        }
    }

    /// Pictures that can be taken at once.
    #[cfg(test)]
    pub(super) fn ready(&self) -> usize {
        self.state.lock().pictures.len()
    }

    /// Whether the source has given its last picture.
    #[cfg(test)]
    pub(super) fn is_over(&self) -> bool {
        self.state.lock().over.is_some()
    }

    /// Waits until a picture is there, or until it is clear that none will be.
    pub(super) fn wait_for_first(&self, spec: &SourceSpec) -> Result<(), SourceError> {
        let passing = u32::try_from(self.start).unwrap_or(u32::MAX);
        let patience = PATIENCE + PASSING.saturating_mul(passing);
        let deadline = Instant::now() + patience;
        let mut state = self.state.lock();
        loop {
            if !state.pictures.is_empty() {
                return Ok(());
            }
            let silent = || SourceError::Silent {
                source_name: spec.to_string(),
                seconds: patience.as_secs(),
                remedy: remedy(spec),
            };
            if let Some(over) = &state.over {
                return over.clone().and_then(|()| Err(silent()));
            }
            if Instant::now() >= deadline {
                return Err(silent());
            }
            self.changed.wait_until(&mut state, deadline);
        }
    }
}

/// What helps who named a source that says nothing.
fn remedy(spec: &SourceSpec) -> String {
    match spec {
        SourceSpec::File(path) => format!(
            "if this machine is not busy, make a file of what ffmpeg can read of it: ffmpeg -i '{}' whole.mkv",
            path.display()
        ),
        _ => "try it alone: gst-launch-1.0 shows where it stops".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_named_a_file_is_not_told_to_try_a_launch_line() {
        let remedy = |spec: &str| remedy(&spec.parse().unwrap());
        let of_file = remedy("file:/films/cut.gif");
        assert!(of_file.contains("ffmpeg -i '/films/cut.gif'"), "{of_file}");
        assert!(remedy("gst:videotestsrc").contains("gst-launch-1.0"));
    }
}
