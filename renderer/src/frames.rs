//! Where frames come from, whatever becomes of them: the source is opened, and the producer runs until its time is over.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use media::producer::Producer;
use media::source::Source;
use service::Shutdown;
use tokio::sync::mpsc;

use crate::cli::Args;

/// How long the encoder may take to give out what it holds.
const DRAIN: Duration = Duration::from_millis(700);

/// Opens the source in a thread of its own, since it waits for the first picture.
pub(crate) async fn open(args: &Args) -> anyhow::Result<Source> {
    let (spec, size) = (args.video.source.clone(), args.video.size);
    let start = args.video.source_start;
    let memory_bytes = u64::from(args.source_memory_mb) * 1_000_000;
    let opened =
        tokio::task::spawn_blocking(move || Source::open(&spec, size, memory_bytes, start)).await;
    opened
        .context("the source's thread ended early")?
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
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let over = async {
        match duration {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    let result = tokio::select! {
        result = ended.recv() => result,
        () = async { tokio::select! { () = over => {}, () = shutdown.fired() => {} } } => {
            producer.control().stop();
            let last = shutdown.grace("encoder", DRAIN, ended.recv());
            last.await.flatten()
        }
    };
    // Stopping a pipeline waits for its thread, which may be asleep until the next tick.
    let stopped = tokio::task::spawn_blocking(move || drop(producer)).await;
    stopped.context("the producer did not stop")?;
    match result {
        Some(Err(cause)) => Err(anyhow::anyhow!(cause).context("rendering failed")),
        _ => Ok(()),
    }
}
