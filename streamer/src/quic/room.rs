//! The viewers of one name: each frame is framed once for all of them.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Instant;

use parking_lot::Mutex;
use roq::frame::Frame;
use roq::send::Sender;
use timeline::Point;

use crate::feed::Feed;
use crate::feed::name::FeedName;
use crate::feed::outlet::{Numbered, Outlet};

/// The viewers of one name.
#[derive(Debug)]
pub(super) struct Room {
    feed: Arc<Feed>,
    viewers: Mutex<Vec<Arc<Sender>>>,
}

impl Outlet for Room {
    fn push(&self, numbered: &Numbered) {
        let frame = Arc::new(Frame::new(numbered.key, &numbered.packets));
        let relayed = service::clock::now();
        self.feed
            .trace()
            .push(numbered.timestamp, Point::Relayed, relayed);
        // Not under the lock: a viewer may come meanwhile.
        let viewers = self.viewers.lock().clone();
        let now = Instant::now();
        let asked = viewers.iter().filter(|viewer| viewer.push(&frame, now));
        if asked.count() > 0 {
            self.feed.wish_keyframe();
        }
    }
}

impl Room {
    pub(super) fn enter(&self, viewer: &Arc<Sender>) {
        self.viewers.lock().push(Arc::clone(viewer));
    }

    pub(super) fn leave(&self, viewer: &Arc<Sender>) {
        self.viewers
            .lock()
            .retain(|kept| !Arc::ptr_eq(kept, viewer));
    }
}

/// The rooms that somebody is in.
#[derive(Debug, Default)]
pub(super) struct Rooms(Mutex<HashMap<FeedName, Weak<Room>>>);

impl Rooms {
    /// The room of `feed`, which gets its frames for as long as the room is kept.
    pub(super) fn of(&self, feed: &Arc<Feed>) -> Arc<Room> {
        let mut rooms = self.0.lock();
        let room = rooms.get(feed.name()).and_then(Weak::upgrade);
        // A name that was forgotten and has come again is another feed.
        if let Some(room) = room.filter(|room| Arc::ptr_eq(&room.feed, feed)) {
            return room;
        }
        let room = Arc::new(Room {
            feed: Arc::clone(feed),
            viewers: Mutex::default(),
        });
        feed.attach(&room);
        rooms.retain(|_, room| room.strong_count() > 0);
        rooms.insert(feed.name().clone(), Arc::downgrade(&room));
        room
    }
}
