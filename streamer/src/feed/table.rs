//! All names. Bounded: a name that nobody has fed or watched for long makes room for a new one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::counters::Families;
use super::lease::{Sender, Taken};
use super::name::FeedName;
use super::relay::{Feed, Settings};

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

    /// The feed of `name`, new if need be, with whether it is new.
    pub fn open(&self, name: &FeedName, now: Instant) -> Result<(Arc<Feed>, bool), Full> {
        let mut feeds = self.feeds.lock();
        if let Some(feed) = feeds.get(name) {
            return Ok((Arc::clone(feed), false));
        }
        if feeds.len() >= self.limit {
            return Err(Full(self.limit));
        }
        let feed = Feed::new(name.clone(), &self.settings, self.counters.of(name), now);
        let feed = Arc::new(feed);
        feeds.insert(name.clone(), Arc::clone(&feed));
        Ok((feed, true))
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

    /// Forgets names that nobody has fed for `after` and of which `watched` is false; returns them. If there is no room for
    /// another, the one of them goes at once that was unused longest and belongs to no token that has fed it for a while.
    pub fn expire(
        &self,
        after: Duration,
        now: Instant,
        watched: impl Fn(&FeedName) -> bool,
    ) -> Vec<FeedName> {
        let mut feeds = self.feeds.lock();
        let unused: Vec<_> = feeds
            .values()
            .filter(|feed| !feed.unused(now).is_zero() && !watched(feed.name()))
            .collect();
        let mut old: Vec<_> = unused
            .iter()
            .filter(|feed| feed.unused(now) >= after)
            .map(|feed| feed.name().clone())
            .collect();
        if old.is_empty() && feeds.len() >= self.limit {
            let spare = unused.iter().filter(|feed| !feed.is_established());
            let longest = spare.max_by_key(|feed| feed.unused(now));
            old.extend(longest.map(|feed| feed.name().clone()));
        }
        for name in &old {
            feeds.remove(name);
            self.counters.forget(name);
            self.settings.traces.forget(name.as_str());
        }
        old
    }
}
