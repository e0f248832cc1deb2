//! Who holds the connections of a server, and who must go when all are taken.
//!
//! Those go first whose going costs least: a connection that never sent a request, then one that idles between two
//! requests, then one whose peer neither sends nor takes what is waited for, or that is told of events, which has no end.
//! Having spoken once gives no right to stay.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// When all connections are taken, one whose peer was waited for as long as this makes room, and one that was told of
/// events for as long.
const CROWDED_WAIT: Duration = Duration::from_secs(1);

/// A peer that sends or takes fewer bytes than this is still being waited for.
const PROGRESS_BYTES: u64 = 1024;

/// The bounded set of open connections.
#[derive(Debug)]
pub(super) struct Slots {
    limit: usize,
    begun: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// In the order of arrival.
    open: BTreeMap<u64, Arc<Mark>>,
}

/// What one connection is doing.
#[derive(Debug)]
pub(super) struct Mark {
    begun: Instant,
    /// A whole request has come in at least once.
    spoke: AtomicBool,
    /// Requests that are not answered to the end.
    in_flight: AtomicUsize,
    /// When the last answer ended, in milliseconds since `begun`.
    idle_since: AtomicU64,
    /// Since when it is answered with events, of which there is no last: milliseconds since `begun`, plus one; zero while
    /// it is not.
    endless_since: AtomicU64,
    /// The wait for more of a request's body.
    pub(super) reading: Wait,
    /// The wait for the peer to take what was written.
    pub(super) writing: Wait,
    evicted: CancellationToken,
}

/// A wait for the peer in one direction.
#[derive(Debug, Default)]
pub(super) struct Wait {
    /// Milliseconds since the server began, plus one; zero while nothing is waited for.
    since: AtomicU64,
    moved: AtomicU64,
}

/// One connection's place; dropping it gives the place back.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Arc<Slots>,
    id: u64,
    mark: Arc<Mark>,
}

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct InFlight(Arc<Mark>);

/// What it took to get a place.
#[derive(Debug)]
pub(super) enum Taken {
    Free(Slot),
    /// Another connection was told to go.
    Evicted(Slot),
    /// Every connection is in use, and every peer of theirs keeps up.
    Full,
}

impl Slots {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit: limit.max(1),
            begun: Instant::now(),
            state: Mutex::default(),
        })
    }

    pub(super) fn take(self: &Arc<Self>) -> Taken {
        let mut state = self.state.lock();
        let full = state.open.len() >= self.limit;
        if full {
            let candidates = state.open.iter();
            let dispensable = candidates
                .filter_map(|(id, mark)| Some((mark.dispensable()?, Reverse(*id))))
                .max();
            let Some((_, Reverse(id))) = dispensable else {
                return Taken::Full;
            };
            if let Some(mark) = state.open.remove(&id) {
                mark.evicted.cancel();
            }
        }
        let id = state.next;
        state.next += 1;
        let mark = Arc::new(Mark::new(self.begun));
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

impl Mark {
    fn new(begun: Instant) -> Self {
        Self {
            begun,
            spoke: AtomicBool::default(),
            in_flight: AtomicUsize::default(),
            idle_since: AtomicU64::default(),
            endless_since: AtomicU64::default(),
            reading: Wait::default(),
            writing: Wait::default(),
            evicted: CancellationToken::new(),
        }
    }

    /// Milliseconds since the server began.
    pub(super) fn now_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// How little would be lost with this connection: the class, and the time in it. None for one that must stay.
    fn dispensable(&self) -> Option<(u8, u64)> {
        if !self.spoke.load(Relaxed) {
            return Some((2, 0));
        }
        let waited = self.waited();
        if self.in_flight.load(Relaxed) == 0 && waited.is_zero() {
            let idle = self.now_ms().saturating_sub(self.idle_since.load(Relaxed));
            return Some((1, idle));
        }
        let endless = match self.endless_since.load(Relaxed) {
            0 => 0,
            since => self.now_ms().saturating_sub(since - 1),
        };
        let longest = waited.max(Duration::from_millis(endless));
        let longest_ms = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
        (longest >= CROWDED_WAIT).then_some((0, longest_ms))
    }

    /// How long the peer has been waited for.
    pub(super) fn waited(&self) -> Duration {
        let now = self.now_ms();
        let longest = self.reading.ms(now).max(self.writing.ms(now));
        Duration::from_millis(longest)
    }
}

impl Wait {
    /// The peer is waited for from `now_ms` on, if it was not before.
    pub(super) fn begin(&self, now_ms: u64) {
        if self.since.load(Relaxed) == 0 {
            self.moved.store(0, Relaxed);
            self.since.store(now_ms.saturating_add(1), Relaxed);
        }
    }

    /// The peer sent or took `bytes`.
    pub(super) fn advance(&self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let before = self.moved.fetch_add(bytes, Relaxed);
        if before.saturating_add(bytes) >= PROGRESS_BYTES {
            self.end();
        }
    }

    /// Nothing is waited for.
    pub(super) fn end(&self) {
        self.since.store(0, Relaxed);
    }

    fn ms(&self, now_ms: u64) -> u64 {
        match self.since.load(Relaxed) {
            0 => 0,
            since => now_ms.saturating_sub(since - 1),
        }
    }
}

impl Slot {
    /// To be called with each request; keep what it returns until the answer has ended.
    pub(super) fn begin_request(&self) -> InFlight {
        self.mark.spoke.store(true, Relaxed);
        self.mark.in_flight.fetch_add(1, Relaxed);
        InFlight(Arc::clone(&self.mark))
    }

    /// Whether a request came over this connection before.
    pub(super) fn has_spoken(&self) -> bool {
        self.mark.spoke.load(Relaxed)
    }

    /// What this connection is doing.
    pub(super) fn mark(&self) -> &Arc<Mark> {
        &self.mark
    }

    /// Waits until this connection must make room.
    pub(super) async fn evicted(&self) {
        self.mark.evicted.cancelled().await;
    }
}

impl InFlight {
    /// The answer tells of events for as long as both ends live.
    pub(super) fn has_no_end(&self) {
        let since = self.0.now_ms().saturating_add(1);
        self.0.endless_since.store(since, Relaxed);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.endless_since.store(0, Relaxed);
        self.0.idle_since.store(self.0.now_ms(), Relaxed);
        self.0.in_flight.fetch_sub(1, Relaxed);
        self.0.reading.end();
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

    fn free(slots: &Arc<Slots>) -> Slot {
        match slots.take() {
            Taken::Free(slot) => slot,
            other => panic!("a place is free: {other:?}"),
        }
    }

    fn evicted(slots: &Arc<Slots>) -> Slot {
        match slots.take() {
            Taken::Evicted(slot) => slot,
            other => panic!("somebody goes: {other:?}"),
        }
    }

    fn is_gone(slot: &Slot) -> bool {
        slot.mark.evicted.is_cancelled()
    }

    #[tokio::test(start_paused = true)]
    async fn the_silent_go_first_then_the_idle_and_those_who_are_served_stay() {
        let slots = Slots::new(4);
        let (idle, longer_idle, served, silent) =
            (free(&slots), free(&slots), free(&slots), free(&slots));
        drop(longer_idle.begin_request());
        tokio::time::advance(Duration::from_millis(5)).await;
        drop(idle.begin_request());
        let request = served.begin_request();
        let mut others = Vec::new();
        for gone in [&silent, &longer_idle, &idle] {
            let other = evicted(&slots);
            assert!(is_gone(gone) && !is_gone(&served));
            others.push((other.begin_request(), other));
        }
        assert_eq!(slots.open(), 4);
        assert!(matches!(slots.take(), Taken::Full));
        drop(silent);
        assert!(
            matches!(slots.take(), Taken::Full),
            "an evicted place is not given back twice"
        );
        drop((request, served));
        assert!(matches!(slots.take(), Taken::Free(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_told_of_events_makes_room_after_a_second() {
        let slots = Slots::new(2);
        let (told, served) = (free(&slots), free(&slots));
        let (events, _request) = (told.begin_request(), served.begin_request());
        events.has_no_end();
        assert!(matches!(slots.take(), Taken::Full));
        tokio::time::advance(CROWDED_WAIT).await;
        let _other = evicted(&slots).begin_request();
        assert!(is_gone(&told) && !is_gone(&served));
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_neither_sends_nor_takes_makes_room_after_a_second() {
        let slots = Slots::new(2);
        let (deaf, slow) = (free(&slots), free(&slots));
        let _requests = (deaf.begin_request(), slow.begin_request());
        for slot in [&deaf, &slow] {
            slot.mark.writing.begin(slot.mark.now_ms());
        }
        assert!(matches!(slots.take(), Taken::Full));
        tokio::time::advance(CROWDED_WAIT).await;
        slow.mark.writing.advance(2 * 1024);
        deaf.mark.writing.advance(10);
        assert!(slow.mark.waited().is_zero() && deaf.mark.waited() == CROWDED_WAIT);
        let _third = evicted(&slots);
        assert!(is_gone(&deaf) && !is_gone(&slow));
    }
}
