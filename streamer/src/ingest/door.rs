//! Who may feed which name: the one door of all feeds, whichever way they come.

use std::sync::Arc;
use std::time::Instant;

use service::{Secret, Shutdown};
use settings::FeedTransport;
use tokio::sync::mpsc;

use super::refusal::Refusal;
use crate::feed::lease::Sender;
use crate::feed::name::FeedName;
use crate::feed::parameters::ParameterSets;
use crate::feed::table::Table;
use crate::feed::{Claim, Feed};
use crate::metrics::Metrics;
use crate::rtsp::viewers::Viewers;

/// What feeds are taken in with.
#[derive(Clone, Debug)]
pub struct Ingest {
    pub table: Arc<Table>,
    pub viewers: Viewers,
    pub metrics: Metrics,
    /// Told of each new name.
    pub opened: mpsc::UnboundedSender<Arc<Feed>>,
    /// What every feed must carry, if anything.
    pub token: Option<Secret>,
    /// When to stop.
    pub shutdown: Shutdown,
}

impl Ingest {
    /// Whether this streamer takes what `sender` sends.
    pub fn admit(&self, sender: &Sender) -> Result<(), Refusal> {
        match (&self.token, &sender.token) {
            (Some(wanted), Some(given)) if wanted != given => {
                Err(Refusal::Unauthorised("another token"))
            }
            (Some(_), None) => Err(Refusal::Unauthorised("no token")),
            _ => Ok(()),
        }
    }

    /// Whether `sender` could feed `name`, as far as can be said before it does.
    pub fn check(&self, name: &FeedName, sender: &Sender) -> Result<(), Refusal> {
        let checked = self.table.check(name, sender, Instant::now());
        checked.map_err(|why| Refusal::unavailable(name, why))
    }

    /// Gives `name` to `sender`, whose feed came by `transport`.
    pub fn claim(
        &self,
        name: &FeedName,
        sender: Sender,
        sets: &ParameterSets,
        transport: FeedTransport,
    ) -> Result<Claim, Refusal> {
        let now = Instant::now();
        let claimed = self.table.claim(name, sender, now);
        let (mut claim, new) = claimed.map_err(|why| Refusal::unavailable(name, why))?;
        claim.announce(sets);
        if new {
            // Nobody listens any more only when the streamer stops.
            let _ = self.opened.send(Arc::clone(claim.feed()));
        }
        self.metrics.feed_begins(transport);
        tracing::info!(feed = %name, transport = transport.as_str(), "feed begins");
        Ok(claim)
    }

    /// Counts a feed that was refused or ended.
    pub fn count(&self, refusal: &Refusal) {
        if let Some(reason) = refusal.reason() {
            self.metrics.refuse(reason);
        }
    }
}
