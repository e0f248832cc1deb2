//! Heartbeats to the control plane, and what it has to tell when it answers anew.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use service::Shutdown;
use tokio::sync::mpsc::Sender;
use tokio::time::{MissedTickBehavior, interval};

use super::admission::Rules;
use super::controller::{Controller, Trouble};
use super::machine::Input;
use super::metrics::Metrics;
use super::readiness::{Part, Parts};

/// How often certificate and key are read again.
const RELOAD: Duration = Duration::from_mins(10);

/// The longest that the last heartbeat may take.
const LAST: Duration = Duration::from_millis(500);

/// The sender of an agent's heartbeats.
pub(crate) struct Heart {
    pub(crate) controller: Arc<Controller>,
    pub(crate) inputs: Sender<Input>,
    pub(crate) rules: Arc<ArcSwap<Rules>>,
    pub(crate) parts: Parts,
    pub(crate) metrics: Metrics,
    pub(crate) interval: Duration,
    pub(crate) handover: Duration,
}

impl Heart {
    /// Beats until the shutdown; then once more, so that the cluster counts as there until the next agent speaks for it.
    pub(crate) async fn beat(self, shutdown: Shutdown) {
        let mut beats = interval(self.interval);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut reloads = interval(RELOAD);
        reloads.reset();
        let mut epoch = None;
        loop {
            tokio::select! {
                () = shutdown.fired() => break,
                _ = reloads.tick() => {
                    if let Err(error) = self.controller.reload() {
                        tracing::warn!("what was read before stays in use: {error}");
                    }
                }
                _ = beats.tick() => self.once(&mut epoch).await,
            }
        }
        if epoch.is_some() && !self.handover.is_zero() {
            // The control plane waits for three of them.
            if let Err(trouble) = self.controller.beat(self.handover / 3, LAST).await {
                tracing::warn!("the last heartbeat: {trouble}");
            }
        }
    }

    /// Sends a heartbeat. `epoch` is the control plane's as it was known.
    async fn once(&self, epoch: &mut Option<String>) {
        match self.controller.beat(self.interval, self.interval * 2).await {
            Ok(heard) => {
                self.metrics.heartbeat("heard");
                let is_new = epoch.as_ref() != Some(&heard.epoch);
                if is_new && let Err(trouble) = self.meet(epoch.is_none()).await {
                    // Until this has worked, nothing is said to be accepted.
                    tracing::warn!("the control plane: {trouble}");
                    return;
                }
                *epoch = Some(heard.epoch);
                self.parts.set(Part::Control, None);
                let knows_nothing = heard.was_lost || is_new;
                self.tell(Input::Accepted { knows_nothing }).await;
            }
            Err(Trouble::Refused { status: 409, why }) => {
                self.metrics.heartbeat("refused");
                tracing::warn!("another agent speaks for the cluster: {why}");
                self.parts
                    .set(Part::Control, Some("another agent speaks for the cluster"));
                self.tell(Input::Refused).await;
            }
            Err(trouble) => {
                self.metrics.heartbeat("unanswered");
                tracing::warn!("no heartbeat: {trouble}");
                self.parts
                    .set(Part::Control, Some("the control plane does not answer"));
            }
        }
    }

    /// Asks what the agent has to know of a control plane; at the first time also for what was given before this agent.
    async fn meet(&self, is_first: bool) -> Result<(), Trouble> {
        let pools = self.controller.pools().await?;
        let rules = Rules {
            pools: Some(pools.clone()),
            ..(**self.rules.load()).clone()
        };
        self.rules.store(Arc::new(rules));
        self.tell(Input::Pools(pools)).await;
        if is_first {
            for service in self.controller.own().await? {
                self.tell(Input::Granted(service)).await;
            }
        }
        Ok(())
    }

    async fn tell(&self, input: Input) {
        // Whoever has stopped listening is stopping.
        let _ = self.inputs.send(input).await;
    }
}
