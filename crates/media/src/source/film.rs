//! A short film, kept in memory after its first round: from then on a picture costs a copy instead of a decode.

use std::sync::Arc;

use gstreamer as gst;
use gstreamer::prelude::*;
use parking_lot::Mutex;

use super::read_ahead::ReadAhead;

/// The pictures of the first round, as long as they fit. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Film(Arc<Mutex<Kept>>);

#[derive(Debug)]
struct Kept {
    pictures: Vec<gst::Buffer>,
    /// What is left of the memory that may be used.
    room_bytes: u64,
    /// Whether every picture so far is here.
    whole: bool,
}

impl Film {
    pub(super) fn new(room_bytes: u64) -> Self {
        Self(Arc::new(Mutex::new(Kept {
            pictures: Vec::new(),
            room_bytes,
            whole: room_bytes > 0,
        })))
    }

    /// Keeps a copy of the next picture of the first round; if it does not fit, the film is not kept at all.
    pub(super) fn keep(&self, picture: &gst::BufferRef) {
        let mut kept = self.0.lock();
        if !kept.whole {
            return;
        }
        let room = kept.room_bytes.checked_sub(picture.size() as u64);
        if let (Some(room), Ok(copy)) = (room, picture.copy_deep()) {
            kept.room_bytes = room;
            kept.pictures.push(copy);
        } else {
            kept.whole = false;
            kept.pictures = Vec::new();
        }
    }

    /// The round is over: the pictures, if all of them are here.
    pub(super) fn take(&self) -> Option<Vec<gst::Buffer>> {
        let mut kept = self.0.lock();
        let pictures = std::mem::take(&mut kept.pictures);
        let whole = std::mem::replace(&mut kept.whole, false);
        (whole && !pictures.is_empty()).then_some(pictures)
    }
}

/// Gives copies of `pictures` round after round, until nobody takes them any more.
pub(super) fn play(pictures: &[gst::Buffer], pool: &gst::BufferPool, to: &ReadAhead) {
    for picture in pictures.iter().cycle() {
        let Some(copy) = copy(picture, pool) else {
            tracing::error!("no memory for a picture: the source stops");
            return;
        };
        if !to.push(copy) {
            return;
        }
    }
}

fn copy(picture: &gst::BufferRef, pool: &gst::BufferPool) -> Option<gst::Buffer> {
    let mut ours = pool.acquire_buffer(None).ok()?;
    let from = picture.map_readable().ok()?;
    ours.get_mut()?.copy_from_slice(0, &from).ok()?;
    Some(ours)
}
