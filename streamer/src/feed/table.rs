//! All names. Bounded: a name that nobody has fed or watched for long makes room for a new one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::counters::Families;
use super::lease::{Sender, Taken};
use super::name::FeedName;
use super::relay::{Claim, Feed, Settings};

/// There are as many names as the streamer keeps, and all are in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} names are in use, which is this streamer's limit")]
pub struct Full(pub usize);

/// A reason for which a name cannot be fed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// Somebody else has it.
    #[error(transparent)]
    Taken(#[from] Taken),
    /// The feed would be one too many.
    #[error(transparent)]
    Full(#[from] Full),
}

/// The names that this streamer knows.
#[derive(Debug)]
pub struct Table {
    feeds: Mutex<BTreeMap<FeedName, Arc<Feed>>>,
    limit: usize,
    settings: Settings,
    counters: Families,
}

impl Table {
    /// An empty table of at most `limit` names.
    pub fn new(limit: usize, settings: Settings, counters: Families) -> Self {
        Self {
            feeds: Mutex::default(),
            limit,
            settings,
            counters,
        }
    }

    /// The feed of `name`, if it was ever fed.
    pub fn find(&self, name: &FeedName) -> Option<Arc<Feed>> {
        self.feeds.lock().get(name).cloned()
    }

    /// Gives `name` to `sender`, with whether the name is new. Nothing forgets the name in between.
    pub fn claim(
        &self,
        name: &FeedName,
        sender: Sender,
        now: Instant,
    ) -> Result<(Claim, bool), Unavailable> {
        let mut feeds = self.feeds.lock();
        if let Some(feed) = feeds.get(name) {
            return Ok((feed.claim(sender, now)?, false));
        }
        if feeds.len() >= self.limit {
            return Err(Full(self.limit).into());
        }
        let feed = Feed::new(name.clone(), &self.settings, self.counters.of(name), now);
        let feed = Arc::new(feed);
        let claim = feed.claim(sender, now)?;
        feeds.insert(name.clone(), feed);
        Ok((claim, true))
    }

    /// Every feed, by name.
    pub fn all(&self) -> Vec<Arc<Feed>> {
        self.feeds.lock().values().cloned().collect()
    }

    /// Whether `sender` could feed `name`, as far as can be said before it does.
    pub fn check(&self, name: &FeedName, sender: &Sender, now: Instant) -> Result<(), Unavailable> {
        let feeds = self.feeds.lock();
        match feeds.get(name) {
            Some(feed) if !feed.is_open_to(sender, now) => Err(Taken.into()),
            None if feeds.len() >= self.limit => Err(Full(self.limit).into()),
            _ => Ok(()),
        }
    }

    /// Whether `feed` is what its name stands for, and was not forgotten.
    pub fn holds(&self, feed: &Arc<Feed>) -> bool {
        let feeds = self.feeds.lock();
        feeds
            .get(feed.name())
            .is_some_and(|held| Arc::ptr_eq(held, feed))
    }

    /// Forgets names that nobody has fed for `after` and of which `watched` is false; returns them. If there is no room for
    /// another, the one of them goes at once that was unused longest and belongs to no token that has fed it for a while.
    pub fn expire(
        &self,
        after: Duration,
        now: Instant,
        watched: impl Fn(&FeedName) -> bool,
    ) -> Vec<Arc<Feed>> {
        let mut feeds = self.feeds.lock();
        let unused: Vec<_> = feeds
            .values()
            .filter(|feed| !feed.unused(now).is_zero() && !watched(feed.name()))
            .collect();
        let mut old: Vec<_> = unused
            .iter()
            .filter(|feed| feed.unused(now) >= after)
            .map(|feed| Arc::clone(feed))
            .collect();
        if old.is_empty() && feeds.len() >= self.limit {
            let spare = unused.iter().filter(|feed| !feed.is_established());
            let longest = spare.max_by_key(|feed| feed.unused(now));
            old.extend(longest.map(|feed| Arc::clone(feed)));
        }
        for feed in &old {
            let name = feed.name();
            feeds.remove(name);
            self.counters.forget(name);
            self.settings.traces.forget(name.as_str());
        }
        old
    }
}

#[cfg(test)]
mod tests {
    use service::trace::Traces;

    use super::*;

    const FORGET: Duration = Duration::from_secs(1);

    fn table() -> Table {
        let settings = Settings {
            stall: FORGET,
            keyframe_window: FORGET,
            traces: Traces::new(8),
        };
        Table::new(2, settings, Families::default())
    }

    #[tokio::test]
    async fn a_name_that_comes_back_is_not_the_one_that_was_forgotten() {
        let (table, start) = (table(), Instant::now());
        let name = FeedName::new("room").expect("a name");
        let claim = || table.claim(&name, Sender::default(), start);
        let (first, is_new) = claim().expect("there is room");
        let old = Arc::clone(first.feed());
        assert!(is_new && table.holds(&old));
        drop(first);
        let later = Instant::now() + FORGET;
        let forgotten = table.expire(FORGET, later, |_| false);
        assert!(Arc::ptr_eq(&forgotten[0], &old) && !table.holds(&old));
        let (second, is_new) = claim().expect("there is room");
        assert!(is_new && table.holds(second.feed()) && !table.holds(&old));
    }

    /// Whoever was given a name has it, though names are forgotten as soon as nobody feeds them.
    #[tokio::test]
    async fn a_name_that_was_given_is_not_forgotten() {
        let table = Arc::new(table());
        let name = FeedName::new("room").expect("a name");
        let forgetting = Arc::clone(&table);
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let forgets = std::thread::spawn(move || {
            while stopped.try_recv().is_err() {
                let later = Instant::now() + FORGET;
                forgetting.expire(FORGET, later, |_| false);
            }
        });
        for _ in 0..20_000 {
            let claimed = table.claim(&name, Sender::default(), Instant::now());
            let (claim, _) = claimed.expect("nobody else wants it");
            assert!(table.holds(claim.feed()));
        }
        stop.send(()).expect("it waits for it");
        forgets.join().expect("it ends");
    }
}
