//! A timer that shows how late this machine wakes a thread that nothing of ours can hold up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How often it is due: often enough that no pause of the machine of the limit's length goes unseen.
const EVERY: Duration = Duration::from_millis(5);

/// A timer that measures how late it is. Dropping it ends its thread.
#[derive(Debug)]
pub struct LateTimer {
    worst_us: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    real_time: bool,
}

impl LateTimer {
    /// Starts it, at real-time priority where that is allowed.
    pub fn start() -> std::io::Result<Self> {
        let worst_us = Arc::new(AtomicU64::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let (tell, told) = mpsc::sync_channel(1);
        let (worst, stopped) = (Arc::clone(&worst_us), Arc::clone(&stop));
        thread::Builder::new()
            .name("late timer".into())
            .spawn(move || {
                // Whoever started it waits for this.
                let _ = tell.send(become_real_time());
                let mut due = Instant::now() + EVERY;
                while !stopped.load(Ordering::Relaxed) {
                    thread::sleep(due.saturating_duration_since(Instant::now()));
                    let late = Instant::now().saturating_duration_since(due);
                    worst.fetch_max(
                        u64::try_from(late.as_micros()).unwrap_or(u64::MAX),
                        Ordering::Relaxed,
                    );
                    due = Instant::now() + EVERY;
                }
            })?;
        let real_time = told.recv().unwrap_or(false);
        Ok(Self {
            worst_us,
            stop,
            real_time,
        })
    }

    /// Whether its lateness is the machine's alone.
    pub const fn is_real_time(&self) -> bool {
        self.real_time
    }

    /// The worst lateness since the last call, in microseconds.
    pub fn take_worst_us(&self) -> u64 {
        self.worst_us.swap(0, Ordering::Relaxed)
    }
}

impl Drop for LateTimer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Below the WAN's link, which this project wants on time first.
const PRIORITY: i32 = 10;

/// Puts this thread before every ordinary one; false where that is not allowed.
pub fn become_real_time() -> bool {
    testbed::real_time::schedule(PRIORITY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_is_seen_and_taken() {
        let timer = LateTimer::start().expect("started");
        let seen = (0..2_000).any(|_| {
            thread::sleep(Duration::from_millis(1));
            timer.take_worst_us() > 0
        });
        assert!(seen, "no timer is ever exactly on time");
    }
}
