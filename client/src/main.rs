//! xr-client: plays a stream, stamps each frame as it is shown, reports every frame.

use std::process::ExitCode;

use client::cli::Args;

fn main() -> ExitCode {
    service::boot::run(|args: &Args| &args.common, client::app::run)
}
