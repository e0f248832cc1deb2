//! Labs on this kernel: each test starts this program again, which enters namespaces and does its part there.

mod acts;
mod outside;
mod signals;
mod small;
mod traces;

use std::process::ExitCode;

use testbed::local::isolate::{self, Entered, Terminal};

/// Names the act that this program is to play inside.
const ACT: &str = "XR_TESTBED_ACT";

#[expect(clippy::print_stderr, reason = "its parent reads it there")]
fn main() -> ExitCode {
    let Ok(act) = std::env::var(ACT) else {
        return outside::run();
    };
    match isolate::enter(Terminal::Shared, || Ok(None)) {
        Ok(Entered::Ended(code)) => ExitCode::from(code),
        Ok(Entered::Inside(isolation, _)) => acts::play(&act, isolation),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(70)
        }
    }
}
