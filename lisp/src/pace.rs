//! Limits on how often something is done: token buckets, and what was done a short while ago.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::{Duration, Instant};

/// A rate with a burst.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    pub per_second: f64,
    pub burst: f64,
}

/// A token bucket.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    rate: Rate,
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    /// A full bucket.
    pub const fn new(rate: Rate, now: Instant) -> Self {
        Self {
            rate,
            tokens: rate.burst,
            filled: now,
        }
    }

    /// Takes a token, if there is one.
    pub fn take(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.filled = self.filled.max(now);
        self.tokens = (self.tokens + passed * self.rate.per_second).min(self.rate.burst);
        let has_one = self.tokens >= 1.0;
        if has_one {
            self.tokens -= 1.0;
        }
        has_one
    }
}

/// A token bucket for each of a bounded number of sources, and one for all.
///
/// While the table is full of sources that were seen lately, new ones share one more bucket.
#[derive(Debug)]
pub struct Buckets<K> {
    each: Rate,
    all: Bucket,
    strangers: Bucket,
    known: Recent<K, Bucket>,
}

impl<K: Copy + Eq + Hash> Buckets<K> {
    /// Buckets of at most `most` sources.
    pub fn new(each: Rate, all: Rate, most: usize, now: Instant) -> Self {
        Self {
            each,
            all: Bucket::new(all, now),
            strangers: Bucket::new(each, now),
            // As long as the slowest bucket takes to fill: then forgetting it changes nothing.
            known: Recent::new(most, Duration::from_secs_f64(each.burst / each.per_second)),
        }
    }

    /// Takes a token of the source's and one of all's, if there are both.
    pub fn take(&mut self, source: K, now: Instant) -> bool {
        let mut own = match self.known.get(&source, now) {
            Some(bucket) => *bucket,
            None => Bucket::new(self.each, now),
        };
        if !own.take(now) {
            return false;
        }
        (self.known.insert(source, own, now) || self.strangers.take(now)) && self.all.take(now)
    }
}

/// A bounded table of what happened within a time.
#[derive(Debug)]
pub struct Recent<K, V> {
    most: usize,
    memory: Duration,
    values: HashMap<K, (Instant, V)>,
    order: VecDeque<(Instant, K)>,
}

impl<K: Copy + Eq + Hash, V> Recent<K, V> {
    /// Remembers at most `most` things for `memory`.
    pub fn new(most: usize, memory: Duration) -> Self {
        Self {
            most,
            memory,
            values: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    /// The value that is remembered of `key`.
    pub fn get(&mut self, key: &K, now: Instant) -> Option<&V> {
        self.forget(now);
        self.values.get(key).map(|(_, value)| value)
    }

    /// Remembers from now on; false when the table is full.
    pub fn insert(&mut self, key: K, value: V, now: Instant) -> bool {
        self.forget(now);
        if let Some(known) = self.values.get_mut(&key) {
            // Its place in the order is the old one, from which it moves on when that comes up.
            *known = (now, value);
            return true;
        }
        if self.values.len() >= self.most {
            return false;
        }
        self.values.insert(key, (now, value));
        self.order.push_back((now, key));
        true
    }

    fn forget(&mut self, now: Instant) {
        while let Some((queued, key)) = self.order.front().copied() {
            if now.saturating_duration_since(queued) < self.memory {
                return;
            }
            self.order.pop_front();
            let Some((touched, _)) = self.values.get(&key) else {
                continue;
            };
            if now.saturating_duration_since(*touched) < self.memory {
                self.order.push_back((now, key));
            } else {
                self.values.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        per_second: 10.0,
        burst: 5.0,
    };

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let begun = Instant::now();
        let mut bucket = Bucket::new(RATE, begun);
        let taken = |bucket: &mut Bucket, ms| {
            let now = begun + Duration::from_millis(ms);
            (0..20).filter(|_| bucket.take(now)).count()
        };
        assert_eq!(taken(&mut bucket, 0), 5);
        assert_eq!(taken(&mut bucket, 300), 3);
        assert_eq!(
            taken(&mut bucket, 200),
            0,
            "time that goes back gives nothing"
        );
        assert_eq!(taken(&mut bucket, 60_000), 5);
    }

    #[test]
    fn a_crowd_of_strangers_shares_one_bucket_and_does_not_starve_the_known() {
        let begun = Instant::now();
        let plenty = Rate {
            per_second: 1e6,
            burst: 1e6,
        };
        let mut buckets = Buckets::new(RATE, plenty, 10, begun);
        let granted = (0..1000_u32)
            .filter(|source| buckets.take(*source, begun))
            .count();
        assert_eq!(granted, 10 + 5);
        assert!(buckets.take(3, begun));
        let later = begun + Duration::from_secs(1);
        assert!(buckets.take(999, later), "the table has room again");
    }

    #[test]
    fn what_is_renewed_is_remembered_longer() {
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        let mut recent = Recent::new(2, Duration::from_millis(100));
        assert!(recent.insert('a', 1, at(0)) && recent.insert('b', 2, at(10)));
        assert!(!recent.insert('c', 3, at(20)));
        assert!(recent.insert('a', 4, at(90)));
        assert_eq!(recent.get(&'a', at(120)), Some(&4));
        assert_eq!(recent.get(&'b', at(120)), None);
        assert!(recent.insert('c', 5, at(120)));
        assert_eq!(recent.get(&'a', at(400)), None);
    }
}
