//! The fabrics on this kernel: packets from the pods of a lab to its streamer and back, and what crosses the WAN meanwhile.
//!
//! Each test starts this program again, which enters namespaces and plays its act there.

mod acts;
mod labs;
mod pcap;
mod talk;

use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Failed, Trial};
use testbed::local::isolate::{self, Entered, Terminal};

/// Names the act that this program is to play inside.
const ACT: &str = "XR_FABRIC_ACT";

fn main() -> ExitCode {
    let Ok(act) = std::env::var(ACT) else {
        let arguments = Arguments::from_args();
        return libtest_mimic::run(&arguments, trials()).exit_code();
    };
    match isolate::enter(Terminal::Shared, || Ok(None)) {
        Ok(Entered::Ended(code)) => ExitCode::from(code),
        Ok(Entered::Inside(..)) => {
            acts::play(&act);
            ExitCode::SUCCESS
        }
        Err(error) => panic!("{error}"),
    }
}

fn trials() -> Vec<Trial> {
    let trial = |act: &'static str| {
        Trial::test(act, move || {
            let program = std::env::current_exe()?;
            let output = Command::new(program).env(ACT, act).output()?;
            if output.status.success() {
                return Ok(());
            }
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            Err(Failed::from(format!("{}\n{text}", output.status)))
        })
    };
    acts::ALL.iter().map(|(name, _)| trial(name)).collect()
}
