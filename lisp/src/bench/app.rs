//! From the command line to the experiment.

use std::time::Duration;

use service::Shutdown;

use super::args::{BenchArgs, BenchCommand};
use super::{creation, keeper, measure, mobility, pingpong, recovery, serve, stream};
use crate::agent;

/// Measures, or is a part of what is measured, until its end or a signal.
pub async fn run(args: BenchArgs, shutdown: Shutdown) -> anyhow::Result<()> {
    match args.command {
        BenchCommand::Data(args) => blocking(move || measure::data(&args, &shutdown)).await,
        BenchCommand::Recovery(args) => blocking(move || recovery::run(&args, &shutdown)).await,
        BenchCommand::Mobility(args) => blocking(move || mobility::run(&args, &shutdown)).await,
        BenchCommand::Creation(args) => creation::run(args, shutdown).await,
        BenchCommand::Echo { listen } => blocking(move || pingpong::echo(listen)).await,
        BenchCommand::Ping {
            to,
            count,
            patience_ms,
        } => {
            let patience = Duration::from_millis(patience_ms.into());
            blocking(move || pingpong::ping(to, count, patience)).await
        }
        BenchCommand::Agent(args) => agent::run_given(*args, shutdown).await,
        BenchCommand::Serve(args) => serve::run(args, shutdown).await,
        BenchCommand::Stream(args) => stream::run(args, shutdown).await,
        BenchCommand::Keeper(args) => keeper::run(args, shutdown).await,
    }
}

async fn blocking(
    work: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
) -> anyhow::Result<()> {
    tokio::task::spawn_blocking(work).await?
}
