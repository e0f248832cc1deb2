//! The end of sessions that have timed out, in a thread of its own: stopping a media may take a while, and one that does not stop
//! holds up all others, which is said.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::rtsp::server::Server;

/// How often sessions expire.
const INTERVAL: Duration = Duration::from_millis(200);

/// Longer than it takes to stop all medias, on a machine that does something else.
const PATIENCE: Duration = Duration::from_secs(10);

/// The thread's rounds, as others see them. Clones are of the same thread.
#[derive(Clone, Debug, Default)]
pub struct Rounds(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// When the present round began; none between two.
    began: Option<Instant>,
    said: bool,
}

impl Rounds {
    fn begin(&self, now: Instant) {
        *self.0.lock() = State {
            began: Some(now),
            said: false,
        };
    }

    fn end(&self) {
        self.0.lock().began = None;
    }

    /// How long a round has taken that takes too long, once for each.
    pub fn overdue(&self, now: Instant) -> Option<Duration> {
        let mut state = self.0.lock();
        let taken = now.saturating_duration_since(state.began?);
        let says = taken >= PATIENCE && !state.said;
        state.said |= says;
        says.then_some(taken)
    }
}

/// Ends sessions until the sender is dropped; the task ends with that. From the start, since later no thread may be had.
pub fn start(server: Server, rounds: Rounds) -> std::io::Result<(Sender<()>, JoinHandle<()>)> {
    let (running, ended) = channel();
    let (lives, gone) = oneshot::channel::<()>();
    std::thread::Builder::new()
        .name("sessions".into())
        .spawn(move || {
            let _lives = lives;
            while ended.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                let now = Instant::now();
                rounds.begin(now);
                server.expire_sessions(now);
                rounds.end();
            }
        })?;
    let gone = tokio::spawn(async move {
        // Nothing is sent: the thread has ended.
        let _ = gone.await;
    });
    Ok((running, gone))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_that_does_not_end_is_said_once() {
        let (rounds, start) = (Rounds::default(), Instant::now());
        assert_eq!(rounds.overdue(start + 2 * PATIENCE), None);
        rounds.begin(start);
        assert_eq!(rounds.overdue(start + PATIENCE / 2), None);
        assert_eq!(rounds.overdue(start + PATIENCE), Some(PATIENCE));
        assert_eq!(rounds.overdue(start + 2 * PATIENCE), None);
        rounds.end();
        assert_eq!(rounds.overdue(start + 3 * PATIENCE), None);
        rounds.begin(start);
        assert_eq!(rounds.overdue(start + PATIENCE), Some(PATIENCE));
    }
}
