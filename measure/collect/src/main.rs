//! xr-collector: clients' reports and services' traces, joined frame by frame.

use std::process::ExitCode;

use collect::cli::{self, CollectArgs};

fn main() -> ExitCode {
    service::boot::run(|args: &CollectArgs| &args.common, cli::run)
}
