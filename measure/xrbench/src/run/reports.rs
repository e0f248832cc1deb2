//! Where the frames of a repetition are joined: by a collector in this process, or by one that is a pod, whose result is
//! streamed here.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::Arc;

use service::Shutdown;
use service::ops::{Ops, OpsServer};
use timeline::UnixMicros;
use timeline::join::Limits;
use tokio::sync::watch;

use super::place::Place;
use super::place::kube::Follower;
use super::repetition::Repetition;
use collect::core::{ClocksKnown, Progress};
use collect::files::Paths;
use collect::{Collector, MAX_BYTES, Start};

/// The collector of a repetition.
#[derive(Debug)]
pub(super) enum Reports {
    /// With the port by which its metrics are scraped, if they are.
    Here(Collector, Option<OpsServer>),
    Pod(Follower),
}

impl Reports {
    /// Starts to collect into the repetition's folder.
    pub(super) async fn start(
        repetition: &mut Repetition<'_>,
        place: &Place,
    ) -> anyhow::Result<Self> {
        let events = repetition.events.clone();
        let reports = match place {
            Place::Kube(kube) => Self::Pod(kube.follow(&repetition.context.live)?),
            Place::Host(_) | Place::Lab(_) => {
                let start = Start {
                    listen: place.collector(),
                    origin: "the run's own collector".to_owned(),
                    tls: None,
                    paths: Paths::of(&repetition.folder),
                    limits: Limits::default(),
                    one_clock: place.shares_our_clock(),
                    measure_all: false,
                    token: Some(repetition.token.clone()),
                    reported: VecDeque::new(),
                    max_bytes: MAX_BYTES,
                    live: Arc::clone(&repetition.context.live),
                    on_event: Box::new(move |what, whom, detail| events.now(what, whom, detail)),
                    stop: Shutdown::new(),
                };
                let mut ops = Ops::new("xrbench");
                let collector = Collector::start(start, &mut ops.registry)?;
                let context = repetition.context;
                let mut server = None;
                if context.scraping.is_some() {
                    let any = (Ipv4Addr::LOCALHOST, 0).into();
                    let ops = ops.bind(any, context.shutdown).await?;
                    repetition.scraped("collector", ops.local_addr());
                    server = Some(ops);
                }
                Self::Here(collector, server)
            }
        };
        repetition.fails_with(reports.failure());
        Ok(reports)
    }

    /// The collector in this process, which pulls the services' traces.
    pub(super) const fn here(&self) -> Option<&Collector> {
        match self {
            Self::Here(collector, _) => Some(collector),
            Self::Pod(_) => None,
        }
    }

    /// What has been shown so far; changes can be waited for.
    pub(super) fn progress(&self) -> watch::Receiver<Progress> {
        match self {
            Self::Here(collector, _) => collector.progress(),
            Self::Pod(follower) => follower.progress(),
        }
    }

    fn failure(&self) -> watch::Receiver<Option<String>> {
        match self {
            Self::Here(collector, _) => collector.failure(),
            Self::Pod(follower) => follower.failure(),
        }
    }

    /// The clock in which frames are told, minus this machine's, in microseconds.
    pub(super) fn offset_us(&self) -> i64 {
        match self {
            Self::Here(..) => 0,
            Self::Pod(follower) => follower.offset_us(),
        }
    }

    /// Frames generated from now on are measured; who streams has the end of the repetition to judge that.
    pub(super) fn measure_from(&self, from: UnixMicros) {
        match self {
            Self::Here(collector, _) => collector.measure_from(from),
            Self::Pod(_) => {}
        }
    }

    /// Every program has ended: what waits is written. Returns what was counted, in words, and the clocks.
    pub(super) async fn finish(self) -> anyhow::Result<(String, ClocksKnown)> {
        match self {
            Self::Here(collector, ops) => {
                if let Some(ops) = ops {
                    ops.stop().await;
                }
                let (counts, clocks) = collector.finish().await?;
                Ok((counts.to_string(), clocks))
            }
            Self::Pod(follower) => {
                let progress = follower.progress();
                let clocks = follower.finish().await?;
                let Progress { shown, unread, .. } = progress.borrow().clone();
                let told = format!(
                    "{shown} frames shown, {unread} of them unread, by a collector that is a pod"
                );
                Ok((told, clocks))
            }
        }
    }
}
