//! What a viewer has not been sent yet, and when it is let go: a frame that would come too late is worth nothing, and
//! whatever builds on it neither, up to the next key frame. Pure: time is an argument.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::frame::Frame;

/// The most frames that wait, however young they are.
const FRAMES_MAX: usize = 64;

/// The frames of one viewer that wait to be sent, oldest first.
#[derive(Debug)]
pub struct Backlog {
    patience: Duration,
    waiting: VecDeque<Waiting>,
    /// Nothing goes before the next key frame.
    skipping: bool,
    /// Counts how often everything was let go, so that whoever sends a frame can see that it is among it.
    cuts: u64,
}

/// A frame that waits.
#[derive(Clone, Debug)]
pub struct Waiting {
    pub frame: Arc<Frame>,
    pub since: Instant,
    cuts: u64,
}

/// What became of a frame, and of those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Frames that were let go.
    pub dropped: usize,
    /// A key frame is needed.
    pub ask: bool,
}

impl Backlog {
    /// Nothing waits yet. A frame that has waited for longer than `patience` is let go.
    pub const fn new(patience: Duration) -> Self {
        Self {
            patience,
            waiting: VecDeque::new(),
            // A decoder can begin with nothing else.
            skipping: true,
            cuts: 0,
        }
    }

    /// Takes `frame`, which came at `now`.
    pub fn offer(&mut self, frame: Arc<Frame>, now: Instant) -> Verdict {
        let oldest = self.waiting.front();
        let stale = oldest
            .is_some_and(|oldest| now.saturating_duration_since(oldest.since) > self.patience);
        let mut verdict = Verdict::default();
        if stale || self.waiting.len() >= FRAMES_MAX {
            verdict = self.cut();
        }
        if frame.is_key() {
            (self.skipping, verdict.ask) = (false, false);
        }
        if self.skipping {
            verdict.dropped += 1;
        } else {
            self.waiting.push_back(Waiting {
                frame,
                since: now,
                cuts: self.cuts,
            });
        }
        verdict
    }

    /// Lets go of all that waits: a frame before it was lost.
    pub fn cut(&mut self) -> Verdict {
        self.skipping = true;
        self.cuts += 1;
        Verdict {
            dropped: std::mem::take(&mut self.waiting).len(),
            ask: true,
        }
    }

    /// The frame that is to be sent, or is being sent.
    pub fn next(&self) -> Option<Waiting> {
        self.waiting.front().cloned()
    }

    /// Whether `sending` was let go meanwhile.
    pub const fn is_cut(&self, sending: &Waiting) -> bool {
        sending.cuts != self.cuts
    }

    /// `sent` is on its way.
    pub fn sent(&mut self, sent: &Waiting) {
        if !self.is_cut(sent) {
            self.waiting.pop_front();
        }
    }

    /// Whether exactly one frame waits, which no other holds up.
    pub fn is_alone(&self) -> bool {
        self.waiting.len() == 1
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PATIENCE: Duration = Duration::from_millis(100);

    fn frame(key: bool) -> Arc<Frame> {
        Arc::new(Frame::new(key, &[]))
    }

    #[test]
    fn nothing_goes_before_a_key_frame() {
        let (mut backlog, now) = (Backlog::new(PATIENCE), Instant::now());
        let dropped = Verdict {
            dropped: 1,
            ask: false,
        };
        assert_eq!(backlog.offer(frame(false), now), dropped);
        assert!(backlog.next().is_none());
        assert_eq!(backlog.offer(frame(true), now), Verdict::default());
        assert_eq!(backlog.offer(frame(false), now), Verdict::default());
        let first = backlog.next().unwrap();
        assert!(first.frame.is_key());
        backlog.sent(&first);
        assert!(!backlog.next().unwrap().frame.is_key());
    }

    #[test]
    fn what_waits_too_long_goes_whole_up_to_the_next_key_frame() {
        let (mut backlog, start) = (Backlog::new(PATIENCE), Instant::now());
        backlog.offer(frame(true), start);
        let sending = backlog.next().unwrap();
        backlog.offer(frame(false), start + PATIENCE);
        assert!(!backlog.is_cut(&sending));
        let late = start + PATIENCE + Duration::from_millis(1);
        let all = Verdict {
            dropped: 3,
            ask: true,
        };
        assert_eq!(backlog.offer(frame(false), late), all);
        assert!(backlog.is_cut(&sending));
        backlog.sent(&sending);
        assert!(backlog.next().is_none());
        assert_eq!(backlog.offer(frame(false), late).dropped, 1);
        assert_eq!(backlog.offer(frame(true), late), Verdict::default());
    }

    #[test]
    fn a_key_frame_that_comes_late_is_none_to_ask_for() {
        let (mut backlog, start) = (Backlog::new(PATIENCE), Instant::now());
        backlog.offer(frame(true), start);
        let verdict = backlog.offer(frame(true), start + 2 * PATIENCE);
        assert_eq!(
            verdict,
            Verdict {
                dropped: 1,
                ask: false
            }
        );
        assert!(backlog.is_alone());
    }

    proptest! {
        /// Each frame is sent or counted as dropped, in order; after a gap comes a key frame, and no more wait than may.
        #[test]
        fn every_frame_has_one_end(steps in prop::collection::vec((any::<bool>(), 0_u64..150, 0_usize..3), 1..300)) {
            let (mut backlog, mut now) = (Backlog::new(PATIENCE), Instant::now());
            let (mut offered, mut dropped, mut sent) = (0, 0, 0);
            for (key, wait_ms, sends) in steps {
                now += Duration::from_millis(wait_ms);
                let verdict = backlog.offer(frame(key), now);
                prop_assert!(!verdict.ask || backlog.next().is_none());
                (offered, dropped) = (offered + 1, dropped + verdict.dropped);
                prop_assert!(backlog.waiting.len() <= FRAMES_MAX);
                for _ in 0..sends {
                    if let Some(next) = backlog.next() {
                        backlog.sent(&next);
                        sent += 1;
                    }
                }
            }
            prop_assert_eq!(offered, dropped + sent + backlog.waiting.len());
        }
    }
}
