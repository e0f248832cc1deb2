//! xr-streamer: see the crate documentation of the library beside it.

use std::process::ExitCode;

use streamer::app;
use streamer::args::Args;

fn main() -> ExitCode {
    service::boot::run(|args: &Args| &args.common, app::run)
}
