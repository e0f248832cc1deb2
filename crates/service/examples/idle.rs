//! The smallest program of the house: it opens its ops port, says so, and waits for a signal.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use service::args::Common;
use service::ops::Ops;
use service::{ConfigError, Shutdown, boot, ready};

/// Does nothing until it is told to stop.
#[derive(Debug, Parser)]
#[command(name = "idle", version, mut_arg("ops", |arg| arg.default_value("127.0.0.1:0")))]
struct Args {
    #[command(flatten)]
    common: Common,
    /// How long draining takes, in milliseconds; at most a minute.
    #[arg(long, env = "XR_DRAIN_MS", value_name = "MS")]
    drain_ms: u64,
    /// How many lines to log once it is ready, at the level debug.
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    log_lines: u64,
    /// How many refusals to log, at the level info.
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    refusals: u64,
    /// Panic once they are logged.
    #[arg(long)]
    panic: bool,
}

fn main() -> ExitCode {
    boot::run(|args: &Args| &args.common, run)
}

async fn run(args: Args, shutdown: Shutdown) -> anyhow::Result<()> {
    if args.drain_ms > 60_000 {
        let remedy = "Give at most 60000.";
        return Err(ConfigError::new(
            "--drain-ms (XR_DRAIN_MS)",
            args.drain_ms.to_string(),
            "too long",
            remedy,
        )
        .into());
    }
    let address = args.common.ops.context("the ops port has a default")?;
    let ops = Ops::new("idle");
    let ready = ops.ready.clone();
    let server = ops.bind(address, &shutdown).await?;
    ready.set_ready();
    ready::announce("idle", &[("ops", server.local_addr().to_string())]);
    for line in 0..args.log_lines {
        tracing::debug!(line, "nothing is done, and every line of the log says so");
    }
    for refusal in 0..args.refusals {
        tracing::info!(refusal, "somebody was refused");
    }
    assert!(!args.panic, "it was asked to");
    shutdown.fired().await;
    tokio::time::sleep(Duration::from_millis(args.drain_ms)).await;
    server.stop().await;
    Ok(())
}
