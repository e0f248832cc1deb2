//! How often a renderer is asked for a key frame. Pure: time is an argument.

use std::time::{Duration, Instant};

/// What becomes of a wish for a key frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Ask the renderer now.
    Now,
    /// Ask at this instant, with [`Limiter::due`]: the last request is too recent.
    At(Instant),
    /// A request that will be sent anyway serves this wish too.
    Merged,
}

/// Lets at most one request through per window; a wish inside the window is served at its end, never lost.
#[derive(Debug)]
pub struct Limiter {
    window: Duration,
    last: Option<Instant>,
    waiting: bool,
}

impl Limiter {
    /// At most one request per `window`.
    pub const fn new(window: Duration) -> Self {
        Self {
            window,
            last: None,
            waiting: false,
        }
    }

    /// Somebody wants a key frame.
    pub fn wish(&mut self, now: Instant) -> Verdict {
        if self.waiting {
            return Verdict::Merged;
        }
        let free = self.last.map_or(now, |last| last + self.window);
        if free <= now {
            self.last = Some(now);
            return Verdict::Now;
        }
        self.waiting = true;
        Verdict::At(free)
    }

    /// The instant of [`Verdict::At`] has come: whether the renderer is to be asked.
    pub fn due(&mut self, now: Instant) -> bool {
        if !std::mem::take(&mut self.waiting) {
            return false;
        }
        self.last = Some(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WINDOW: Duration = Duration::from_millis(200);

    #[test]
    fn a_wish_inside_the_window_is_served_at_its_end() {
        let start = Instant::now();
        let mut limiter = Limiter::new(WINDOW);
        assert_eq!(limiter.wish(start), Verdict::Now);
        let inside = start + Duration::from_millis(50);
        assert_eq!(limiter.wish(inside), Verdict::At(start + WINDOW));
        assert_eq!(limiter.wish(inside), Verdict::Merged);
        assert!(limiter.due(start + WINDOW));
        assert!(!limiter.due(start + WINDOW));
        assert_eq!(
            limiter.wish(start + WINDOW),
            Verdict::At(start + 2 * WINDOW)
        );
    }

    proptest! {
        /// Requests are at least a window apart, and every wish has a request at or after it, within a window.
        #[test]
        fn bounded_and_nothing_lost(gaps_ms in proptest::collection::vec(0_u64..400, 1..100)) {
            let start = Instant::now();
            let mut limiter = Limiter::new(WINDOW);
            let (mut now, mut timer, mut wishes, mut requests) = (start, None, Vec::new(), Vec::new());
            for gap in gaps_ms {
                now += Duration::from_millis(gap);
                if let Some(at) = timer.filter(|at| *at <= now) {
                    timer = None;
                    if limiter.due(at) {
                        requests.push(at);
                    }
                }
                wishes.push(now);
                match limiter.wish(now) {
                    Verdict::Now => requests.push(now),
                    Verdict::At(at) => timer = Some(at),
                    Verdict::Merged => {}
                }
            }
            if let Some(at) = timer
                && limiter.due(at)
            {
                requests.push(at);
            }
            for pair in requests.windows(2) {
                prop_assert!(pair[1] >= pair[0] + WINDOW);
            }
            for wish in wishes {
                prop_assert!(requests.iter().any(|request| (wish..=wish + WINDOW).contains(request)));
            }
        }
    }
}
