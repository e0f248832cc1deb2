//! The two places between the encoder and the connection, and what is dropped when both are taken: pure.
//!
//! Video cannot lose a frame in the middle: every frame up to the next key frame refers to it. So a frame that does not
//! fit is dropped together with all that follow, up to the next key frame, which is asked for at once.

use std::collections::VecDeque;

use crate::metrics::Reason;

/// Frames that may wait for the connection. One is being written; a second keeps the writer busy; a third would be late.
pub(super) const CAPACITY: usize = 2;

/// A frame, as far as the policy looks at it.
pub(super) trait Frame {
    /// Whether decoding can begin here.
    fn is_key(&self) -> bool;
}

/// Frames that wait for the connection.
#[derive(Debug)]
pub(super) struct Outbox<F> {
    waiting: VecDeque<F>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    /// Frames that are not key frames cannot be decoded.
    AwaitsKey,
    Flows,
}

/// The effect of [`Outbox::push`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pushed {
    /// Frames that were dropped, and why.
    pub(super) dropped: Option<(Reason, u64)>,
    /// Whether a key frame must be asked for.
    pub(super) ask: bool,
}

impl<F: Frame> Outbox<F> {
    /// An outbox without a connection: it drops everything.
    pub(super) const fn new() -> Self {
        Self {
            waiting: VecDeque::new(),
            state: State::Closed,
        }
    }

    /// A connection is there: its first frame will be a key frame, which must be asked for.
    pub(super) fn open(&mut self) {
        self.waiting.clear();
        self.state = State::AwaitsKey;
    }

    /// The connection is gone. Gives the number of frames that were waiting for it.
    pub(super) fn close(&mut self) -> u64 {
        self.state = State::Closed;
        let lost = self.waiting.len() as u64;
        self.waiting.clear();
        lost
    }

    /// Takes a frame in, or drops it.
    pub(super) fn push(&mut self, frame: F) -> Pushed {
        let drop = |reason| Pushed {
            dropped: Some((reason, 1)),
            ask: false,
        };
        match self.state {
            State::Closed => drop(Reason::Disconnected),
            State::AwaitsKey if !frame.is_key() => drop(Reason::AwaitingKeyFrame),
            State::Flows if self.waiting.len() >= CAPACITY && !frame.is_key() => {
                self.state = State::AwaitsKey;
                Pushed {
                    ask: true,
                    ..drop(Reason::QueueFull)
                }
            }
            State::AwaitsKey | State::Flows => {
                // A key frame needs none of those before it, and they are late already.
                let stale = if self.waiting.len() >= CAPACITY {
                    self.close()
                } else {
                    0
                };
                self.state = State::Flows;
                self.waiting.push_back(frame);
                Pushed {
                    dropped: (stale > 0).then_some((Reason::QueueFull, stale)),
                    ask: false,
                }
            }
        }
    }

    /// The next frame to write.
    pub(super) fn pop(&mut self) -> Option<F> {
        self.waiting.pop_front()
    }

    /// Whether no frame waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

impl<F: Frame> Default for Outbox<F> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Frame number, and whether it is a key frame.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Plain(u32, bool);

    impl Frame for Plain {
        fn is_key(&self) -> bool {
            self.1
        }
    }

    fn dropped(reason: Reason, frames: u64) -> Pushed {
        Pushed {
            dropped: Some((reason, frames)),
            ask: false,
        }
    }

    #[test]
    fn a_full_outbox_drops_up_to_the_next_key_frame_and_asks_once() {
        let mut outbox = Outbox::new();
        assert_eq!(
            outbox.push(Plain(0, true)),
            dropped(Reason::Disconnected, 1)
        );
        outbox.open();
        assert_eq!(
            outbox.push(Plain(1, false)),
            dropped(Reason::AwaitingKeyFrame, 1)
        );
        assert_eq!(outbox.push(Plain(2, true)), Pushed::default());
        assert_eq!(outbox.push(Plain(3, false)), Pushed::default());
        assert_eq!(
            outbox.push(Plain(4, false)),
            Pushed {
                ask: true,
                ..dropped(Reason::QueueFull, 1)
            }
        );
        assert_eq!(outbox.pop(), Some(Plain(2, true)));
        assert_eq!(
            outbox.push(Plain(5, false)),
            dropped(Reason::AwaitingKeyFrame, 1),
            "room, but 4 is missing"
        );
        assert_eq!(outbox.push(Plain(6, true)), Pushed::default());
        assert_eq!(
            outbox.push(Plain(7, true)),
            dropped(Reason::QueueFull, 2),
            "3 and 6 are late"
        );
        assert_eq!(outbox.pop(), Some(Plain(7, true)));
        assert_eq!(outbox.close(), 0);
    }

    proptest! {
        /// Whatever the connection does, what leaves can be decoded, is in order, never waits behind more than one, and
        /// every frame is accounted for.
        #[test]
        fn what_leaves_can_be_decoded(steps in proptest::collection::vec((0_u8..8, 0_u8..4), 1..300)) {
            let mut outbox = Outbox::new();
            let (mut sent, mut lost, mut number) = (Vec::new(), 0, 0);
            let mut segment_start = 0;
            for (what, pops) in steps {
                match what {
                    0 => { lost += outbox.close(); outbox.open(); segment_start = sent.len(); }
                    1 => lost += outbox.close(),
                    _ => {
                        let pushed = outbox.push(Plain(number, what == 2));
                        number += 1;
                        lost += pushed.dropped.map_or(0, |(_, frames)| frames);
                        prop_assert!(!pushed.ask || pushed.dropped.is_some());
                        prop_assert!(outbox.waiting.len() <= CAPACITY);
                    }
                }
                for _ in 0..pops {
                    if let Some(frame) = outbox.pop() {
                        let follows = sent.len() > segment_start
                            && sent.last().is_some_and(|last: &Plain| last.0 + 1 == frame.0);
                        prop_assert!(frame.1 || follows, "{frame:?} after {:?}", sent.last());
                        sent.push(frame);
                    }
                }
            }
            lost += outbox.close();
            prop_assert_eq!(sent.len() as u64 + lost, u64::from(number));
        }
    }
}
