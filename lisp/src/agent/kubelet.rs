//! A kubelet that is played: when it would notice that a pod is gone or hangs, by the intervals that Kubernetes has.
//!
//! What the API server, the controller of `EndpointSlices` and their watches take after that, tens of milliseconds, is not played.

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::machine::Target;
use super::prober::probe;

/// How often a kubelet lists its containers (the period of its generic PLEG).
const RELIST: Duration = Duration::from_secs(1);

/// How long the answer to a readiness probe may take, by default.
const PATIENCE: Duration = Duration::from_secs(1);

/// A kubelet with one pod.
#[derive(Clone, Debug)]
pub(super) struct Kubelet {
    /// The pod's process.
    pub(super) pid: u32,
    /// The page of its readiness probe.
    pub(super) page: Target,
    pub(super) period: Duration,
    /// Probes without an answer after which the pod is not ready.
    pub(super) failures: u32,
    /// How much of each interval is over at the beginning, from 0 to 1.
    pub(super) phase: f64,
}

impl Kubelet {
    /// Comes back once the pod is not ready any more, as far as a kubelet would know.
    pub(super) async fn until_unready(self) {
        tokio::select! {
            () = self.until_gone() => {}
            () = self.until_silent() => {}
        }
    }

    fn ticks(&self, every: Duration) -> tokio::time::Interval {
        let first = Instant::now() + every.mul_f64(1.0 - self.phase.clamp(0.0, 1.0));
        let mut ticks = interval_at(first, every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks
    }

    async fn until_gone(&self) {
        let process = PathBuf::from(format!("/proc/{}", self.pid));
        let mut relists = self.ticks(RELIST);
        while process.exists() {
            relists.tick().await;
        }
    }

    async fn until_silent(&self) {
        let mut probes = self.ticks(self.period);
        let mut silent = 0;
        while silent < self.failures {
            probes.tick().await;
            silent = if probe(&self.page, PATIENCE).await {
                0
            } else {
                silent + 1
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_process_that_is_gone_is_noticed_and_one_that_is_silent_after_its_probes() {
        let kubelet = |pid| Kubelet {
            pid,
            // Nobody listens there.
            page: Target {
                address: ([127, 0, 0, 1], 9).into(),
                path: None,
            },
            period: Duration::from_millis(20),
            failures: 3,
            phase: 0.25,
        };
        kubelet(u32::MAX).until_gone().await;
        let own = kubelet(std::process::id());
        let looked = tokio::time::timeout(Duration::from_millis(50), own.until_gone()).await;
        assert!(looked.is_err(), "this process is there");
        let begun = Instant::now();
        own.until_silent().await;
        assert!(begun.elapsed() >= Duration::from_millis(15 + 2 * 20));
    }
}
