//! Where frames come from, whatever becomes of them: the source is opened, and the producer runs until its time is over.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use media::producer::Producer;
use media::source::{Source, Unread};
use service::Shutdown;
use tokio::sync::mpsc;

use crate::cli::Args;
use crate::metrics::{Metrics, Outcome, Reason};

/// How long the encoder may take to give out what it holds.
const DRAIN: Duration = Duration::from_millis(700);

/// How often it is looked whether the source keeps up.
const LOOK: Duration = Duration::from_secs(1);

/// Ticks without a picture of the source after which it is called slow: fewer are the start of a film's next round.
const SLOW_TICKS: u64 = 10;

/// Opens the source in a thread of its own, since it waits for the first picture; none if the program is told to end before.
pub(crate) async fn open(args: &Args, shutdown: &Shutdown) -> anyhow::Result<Option<Source>> {
    let (spec, size) = (args.video.source.clone(), args.video.size);
    let start = args.video.source_start;
    let memory_bytes = u64::from(args.source_memory_mb) * 1_000_000;
    let opening =
        tokio::task::spawn_blocking(move || Source::open(&spec, size, memory_bytes, start));
    let opened = tokio::select! {
        opened = opening => opened,
        // The thread ends with the process: a device that does not open cannot be waited for.
        () = shutdown.fired() => {
            tracing::info!(source = %args.video.source, "told to end before the source gave a picture");
            return Ok(None);
        }
    };
    opened
        .context("the source's thread ended early")?
        .map(Some)
        .with_context(|| format!("cannot open --source {}", args.video.source))
}

/// Where the ops port is.
pub(crate) fn ops_address(args: &Args) -> SocketAddr {
    args.common
        .ops
        .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 9091)))
}

/// Lets the producer run until its time is over, then lets the encoder give out what it holds.
pub(crate) async fn produce(
    producer: Producer,
    mut ended: mpsc::Receiver<Result<(), String>>,
    duration: Option<Duration>,
    (metrics, unread): (&Metrics, &Unread),
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let over = async {
        match duration {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    let result = tokio::select! {
        result = ended.recv() => {
            if let Some(Ok(())) = result {
                tracing::info!("the source has ended, and the renderer with it");
            }
            result
        }
        () = watch_source(metrics, unread) => None,
        () = async { tokio::select! { () = over => {}, () = shutdown.fired() => {} } } => {
            producer.control().stop();
            let last = shutdown.grace("encoder", DRAIN, ended.recv());
            last.await.flatten()
        }
    };
    // Stopping a pipeline waits for its thread, which may be asleep until the next tick.
    let stopped = tokio::task::spawn_blocking(move || drop(producer)).await;
    metrics.source_unread(unread.pictures());
    stopped.context("the producer did not stop")?;
    match result {
        Some(Err(cause)) => Err(anyhow::anyhow!(cause).context("rendering failed")),
        _ => Ok(()),
    }
}

/// Says once that the source gives too few pictures, and counts those that it cannot read. It never returns.
async fn watch_source(metrics: &Metrics, unread: &Unread) {
    let mut ticks = tokio::time::interval(LOOK);
    let mut said = false;
    loop {
        ticks.tick().await;
        metrics.source_unread(unread.pictures());
        let without = metrics.lost(Reason::SourceBehind);
        if without >= SLOW_TICKS && !said {
            said = true;
            let of = metrics.total(Outcome::Generated) + metrics.total(Outcome::Skipped);
            tracing::warn!(
                "the source had no picture for {without} of {of} ticks: it gives fewer than --fps asks for, or this machine is too slow \
                 for it. Lower --fps or --size, or let a film be kept in memory (--source-memory-mb)"
            );
        }
    }
}
