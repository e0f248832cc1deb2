//! xr-renderer: a source becomes stamped, encoded video, pushed to a streamer.

use std::process::ExitCode;

use renderer::cli::Args;

fn main() -> ExitCode {
    service::boot::run(|args: &Args| &args.common, renderer::app::run)
}
