//! The handshakes of TLS that are under way: of one peer, of all, and how many begin in a second. Whoever comes when there are enough waits.
//!
//! A peer waits behind its own handshakes before it waits among others, and no more of it than may be under way stand there: one that
//! begins as many as it likes delays a stranger by those few.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use roq::peer::Peer;
use service::http::Pace;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until};

/// Handshakes of one peer at a time.
const PER_PEER: usize = 8;

/// Handshakes at a time, as many as over QUIC.
const IN_ALL: usize = 128;

/// Handshakes that begin in a second. With a key of RSA each costs a millisecond, so that they take a fifth of a processor; all
/// connections that a streamer has by default come back within three seconds.
const PER_SECOND: u32 = 200;

/// How many of them may begin at once.
const BURST: u32 = 64;

/// Who may begin a handshake.
#[derive(Debug)]
pub(super) struct Handshakes {
    peers: Mutex<HashMap<Peer, OfPeer>>,
    in_all: Semaphore,
    pace: tokio::sync::Mutex<Pace>,
}

/// A peer with handshakes.
#[derive(Debug)]
struct OfPeer {
    room: Arc<Semaphore>,
    /// Handshakes of it, those that wait included.
    present: usize,
}

/// A handshake that is under way, or waits; dropping it lets another begin.
#[derive(Debug)]
struct Present<'a> {
    of: &'a Handshakes,
    peer: Peer,
}

/// A handshake that is under way; dropping it lets another begin.
#[derive(Debug)]
pub(super) struct UnderWay<'a> {
    _of_peer: Option<OwnedSemaphorePermit>,
    _in_all: Option<SemaphorePermit<'a>>,
    _present: Present<'a>,
}

impl Handshakes {
    /// None is under way at `now`.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            peers: Mutex::default(),
            in_all: Semaphore::new(IN_ALL),
            pace: Pace::new(PER_SECOND, BURST, now).into(),
        }
    }

    /// Waits until `peer` may begin another handshake.
    pub(super) async fn begin(&self, peer: Peer) -> UnderWay<'_> {
        let (present, room) = self.arrive(peer);
        // No semaphore here is ever closed.
        let of_peer = room.acquire_owned().await.ok();
        let in_all = self.in_all.acquire().await.ok();
        let mut pace = self.pace.lock().await;
        // The turn is taken when it has come: a peer that is gone by then takes none.
        while let Some(turn) = pace.next(Instant::now()) {
            sleep_until(turn).await;
        }
        pace.take(Instant::now());
        UnderWay {
            _of_peer: of_peer,
            _in_all: in_all,
            _present: present,
        }
    }

    fn arrive(&self, peer: Peer) -> (Present<'_>, Arc<Semaphore>) {
        let mut peers = self.peers.lock();
        let of_peer = peers.entry(peer).or_insert_with(|| OfPeer {
            room: Arc::new(Semaphore::new(PER_PEER)),
            present: 0,
        });
        of_peer.present += 1;
        let room = Arc::clone(&of_peer.room);
        (Present { of: self, peer }, room)
    }
}

impl Drop for Present<'_> {
    fn drop(&mut self) {
        let mut peers = self.of.peers.lock();
        if let Some(of_peer) = peers.get_mut(&self.peer) {
            of_peer.present -= 1;
            if of_peer.present == 0 {
                peers.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt as _;
    use tokio::time::advance;

    use super::*;

    fn peer(number: u8) -> Peer {
        Peer::of([192, 0, 2, number].into())
    }

    fn at_once(handshakes: &Handshakes, number: u8) -> Option<UnderWay<'_>> {
        handshakes.begin(peer(number)).now_or_never()
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_with_many_handshakes_waits_and_others_do_not() {
        let handshakes = Handshakes::new(Instant::now());
        advance(Duration::from_secs(1)).await;
        let mut of_one = Vec::new();
        for _ in 0..PER_PEER {
            of_one.push(at_once(&handshakes, 1).expect("it has room"));
        }
        assert!(at_once(&handshakes, 1).is_none());
        let other = at_once(&handshakes, 2).expect("it has none yet");
        of_one.pop();
        let again = at_once(&handshakes, 1).expect("one is over");
        drop((of_one, other, again));
        assert!(handshakes.peers.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn all_peers_together_have_a_bound() {
        let handshakes = Handshakes::new(Instant::now());
        let mut all = Vec::new();
        for number in 0..IN_ALL {
            let peer = peer(u8::try_from(number / PER_PEER).expect("few"));
            all.push(handshakes.begin(peer).await);
        }
        advance(Duration::from_secs(1)).await;
        assert!(at_once(&handshakes, 99).is_none());
        all.pop();
        assert!(at_once(&handshakes, 99).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn they_begin_at_a_pace_and_who_went_takes_no_turn() {
        let handshakes = Handshakes::new(Instant::now());
        advance(Duration::from_secs(1)).await;
        let begun = Instant::now();
        for _ in 0..BURST {
            drop(handshakes.begin(peer(1)).await);
        }
        assert_eq!(begun.elapsed(), Duration::ZERO);
        for _ in 0..PER_SECOND {
            drop(handshakes.begin(peer(1)).await);
        }
        let took = begun.elapsed();
        let second = Duration::from_secs(1);
        assert!(took >= second && took < second + second / 10, "{took:?}");
        for _ in 0..100 {
            assert!(at_once(&handshakes, 2).is_none());
        }
        let begun = Instant::now();
        drop(handshakes.begin(peer(3)).await);
        assert!(begun.elapsed() < Duration::from_millis(10));
    }
}
