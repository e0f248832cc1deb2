//! How long to wait before the next try: doubling, capped, and jittered, so that clients which lost the same server do
//! not come back all at once.

use std::time::Duration;

/// The waits between the tries of one thing. Exactly one layer of a program owns each.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    cap: Duration,
    next: Duration,
    random: fastrand::Rng,
}

impl Backoff {
    /// Waits that begin near `first` and never pass `cap`.
    pub fn new(first: Duration, cap: Duration) -> Self {
        Self::with_seed(first, cap, fastrand::u64(..))
    }

    /// As [`Backoff::new`], with jitter that can be repeated.
    pub fn with_seed(first: Duration, cap: Duration, seed: u64) -> Self {
        let first = first.min(cap);
        Self {
            first,
            cap,
            next: first,
            random: fastrand::Rng::with_seed(seed),
        }
    }

    /// The wait before the next try: between half and all of a bound that doubles with each call.
    pub fn next_delay(&mut self) -> Duration {
        let bound = self.next;
        self.next = bound.saturating_mul(2).min(self.cap);
        bound.mul_f64(0.5 + self.random.f64() / 2.0)
    }

    /// To be called after a success: the next failure waits `first` again.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn waits_stay_between_half_the_bound_and_the_bound(
            first_ms in 1_u64..1_000,
            cap_ms in 1_u64..60_000,
            seed: u64,
        ) {
            let cap = Duration::from_millis(cap_ms);
            let first = Duration::from_millis(first_ms).min(cap);
            let mut backoff = Backoff::with_seed(first, cap, seed);
            let mut bound = first;
            for _ in 0..40 {
                let delay = backoff.next_delay();
                prop_assert!(delay >= bound / 2 && delay <= bound, "{delay:?} of {bound:?}");
                bound = (bound * 2).min(cap);
            }
            backoff.reset();
            prop_assert!(backoff.next_delay() <= first);
        }
    }

    #[test]
    fn two_clients_do_not_wait_alike() {
        let delays = |seed| {
            let mut backoff =
                Backoff::with_seed(Duration::from_millis(100), Duration::from_secs(2), seed);
            (0..5).map(|_| backoff.next_delay()).collect::<Vec<_>>()
        };
        assert_ne!(delays(1), delays(2));
        assert_eq!(delays(1), delays(1));
    }
}
