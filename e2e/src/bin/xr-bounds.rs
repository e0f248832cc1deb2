//! Prints every performance bound with its figure; exits 1 if one is missed.

use std::process::ExitCode;

use clap::Parser as _;

#[tokio::main]
async fn main() -> ExitCode {
    if e2e::bounds::run(e2e::bounds::Args::parse()).await {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
