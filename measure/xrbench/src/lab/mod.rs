//! `xrbench lab`: the lab of a scenario without its video, to look at and to try things in.

mod cli;
mod shell;

use std::io::Write as _;

use anyhow::Context as _;
use service::{Shutdown, clock};
use testbed::local::capabilities::Capabilities;
use testbed::local::lab::{Lab, Options};
use testbed::local::print;
use testbed::{Placement, Testbed};

pub use self::cli::LabArgs;
use crate::run::place::lab_plan::{self, LabCapabilities, LabPlan};
use crate::run::programs;
use crate::scenario::Scenario;

/// Prints the lab: no namespace is made.
pub fn show(args: &LabArgs) -> anyhow::Result<()> {
    let (file, at) = args.find()?;
    let planned = planned(&file.scenario[at], file.seed)?;
    let mut text = print::text(&planned.built.topology);
    text.push_str("\ncapture points (--pcap)\n");
    for (name, end) in &planned.built.reach.captures {
        text.push_str(&format!(
            "  {name}: {} in {}\n",
            end.interface, end.namespace
        ));
    }
    let reach = &planned.built.reach;
    text.push_str(&format!(
        "\nfeeds go to {}, viewers to rtsp://{}, over {}; packets of at most {} bytes pass\n",
        reach.feed, reach.rtsp, planned.transport, reach.mtu_bytes
    ));
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush().context("cannot write to stdout")
}

fn planned(scenario: &Scenario, seed: u64) -> anyhow::Result<LabPlan> {
    let (own, lisp) = (programs::own()?, programs::lisp(None)?);
    let capabilities = LabCapabilities::of(&Capabilities::detect(), &own, &lisp, 0);
    lab_plan::plan(scenario, &capabilities, seed)
}

/// Brings the lab up and opens the shell; the exit code is the shell's.
pub async fn run(args: LabArgs, shutdown: Shutdown) -> anyhow::Result<u8> {
    let (file, at) = args.find()?;
    let planned = planned(&file.scenario[at], file.seed)?;
    let logs = tempfile::tempdir().context("cannot make a folder for logs")?;
    let testbed = Testbed::new(Placement::Host, clock::now, |event| {
        tracing::debug!(?event, "fabric");
    });
    let lab = Lab::up(&planned.built.topology, Options::new(testbed, logs.path()))
        .await
        .context("cannot bring the lab up")?;
    let ended = shell::open(&args, &planned, &lab, &shutdown).await;
    lab.down().await.context("cannot take the lab down")?;
    ended
}
