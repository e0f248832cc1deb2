//! From the command line to the experiment.

use std::time::Duration;

use service::Shutdown;

use super::args::{BenchArgs, What};
use super::{creation, keeper, measure, mobility, pingpong, recovery, serve, stream};
use crate::agent;

/// Measures, or is a part of what is measured, until its end or a signal.
pub async fn run(args: BenchArgs, shutdown: Shutdown) -> anyhow::Result<()> {
    match args.what {
        What::Data(args) => blocking(move || measure::data(&args, &shutdown)).await,
        What::Recovery(args) => blocking(move || recovery::run(&args, &shutdown)).await,
        What::Mobility(args) => blocking(move || mobility::run(&args, &shutdown)).await,
        What::Creation(args) => creation::run(args, shutdown).await,
        What::Echo { listen } => blocking(move || pingpong::echo(listen)).await,
        What::Ping {
            to,
            count,
            patience_ms,
        } => {
            let patience = Duration::from_millis(patience_ms.into());
            blocking(move || pingpong::ping(to, count, patience)).await
        }
        What::Agent(args) => agent::run_given(*args, shutdown).await,
        What::Serve(args) => serve::run(args, shutdown).await,
        What::Stream(args) => stream::run(args, shutdown).await,
        What::Keeper(args) => keeper::run(args, shutdown).await,
    }
}

async fn blocking(
    work: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
) -> anyhow::Result<()> {
    tokio::task::spawn_blocking(work).await?
}
