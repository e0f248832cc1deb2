//! Who holds the connections of a server, and who must go when they are all taken.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

/// The bounded set of open connections.
#[derive(Debug)]
pub(super) struct Slots {
    limit: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// In the order of arrival.
    open: BTreeMap<u64, Arc<Mark>>,
}

#[derive(Debug, Default)]
struct Mark {
    /// A whole request has come in at least once.
    spoke: AtomicBool,
    evicted: CancellationToken,
}

/// The place of one connection; dropping it gives the place back.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Arc<Slots>,
    id: u64,
    mark: Arc<Mark>,
}

/// What it took to get a place.
#[derive(Debug)]
pub(super) enum Taken {
    Free(Slot),
    /// The oldest silent connection was told to go.
    Evicted(Slot),
    /// Every connection is in use by somebody who sent a request.
    Full,
}

impl Slots {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit: limit.max(1),
            state: Mutex::default(),
        })
    }

    pub(super) fn take(self: &Arc<Self>) -> Taken {
        let mut state = self.state.lock();
        let full = state.open.len() >= self.limit;
        if full {
            let silent = state
                .open
                .iter()
                .find(|(_, mark)| !mark.spoke.load(Ordering::Relaxed));
            let Some((&id, mark)) = silent else {
                return Taken::Full;
            };
            mark.evicted.cancel();
            state.open.remove(&id);
        }
        let id = state.next;
        state.next += 1;
        let mark = Arc::new(Mark::default());
        state.open.insert(id, Arc::clone(&mark));
        let slot = Slot {
            slots: Arc::clone(self),
            id,
            mark,
        };
        if full {
            Taken::Evicted(slot)
        } else {
            Taken::Free(slot)
        }
    }

    pub(super) fn open(&self) -> usize {
        self.state.lock().open.len()
    }
}

impl Slot {
    /// To be called with each request: whoever sent one is never evicted.
    pub(super) fn speak(&self) {
        self.mark.spoke.store(true, Ordering::Relaxed);
    }

    /// Waits until this connection must make room.
    pub(super) async fn evicted(&self) {
        self.mark.evicted.cancelled().await;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.state.lock().open.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_silent_one_makes_room_and_speakers_stay() {
        let slots = Slots::new(2);
        let Taken::Free(speaker) = slots.take() else {
            panic!("the first place is free")
        };
        speaker.speak();
        let Taken::Free(silent) = slots.take() else {
            panic!("the second place is free")
        };
        let Taken::Evicted(third) = slots.take() else {
            panic!("the silent one goes")
        };
        assert!(silent.mark.evicted.is_cancelled() && !speaker.mark.evicted.is_cancelled());
        assert_eq!(slots.open(), 2);
        third.speak();
        assert!(matches!(slots.take(), Taken::Full));
        drop(silent);
        assert!(
            matches!(slots.take(), Taken::Full),
            "an evicted place is not given back twice"
        );
        drop(third);
        assert!(matches!(slots.take(), Taken::Free(_)));
    }
}
