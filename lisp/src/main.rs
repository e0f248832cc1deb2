//! xr-lisp: the mapping system, tunnel router and agent of LISP between clusters.

use std::process::ExitCode;

use lisp::cli::{self, Cli};

fn main() -> ExitCode {
    service::boot::run(Cli::common, cli::run)
}
