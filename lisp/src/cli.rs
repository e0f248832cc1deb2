//! The command line of xr-lisp: one program, a subcommand for each of its parts.

use service::Shutdown;
use service::args::Common;

use crate::agent::{self, AgentArgs};
use crate::bench::{self, BenchArgs};
use crate::control::{self, ControlArgs, ShowArgs};
use crate::xtr::{self, XtrArgs};

/// LISP between clusters: a service keeps one address wherever its pods run.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "xr-lisp", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Command {
    Control(Box<ControlArgs>),
    Agent(Box<AgentArgs>),
    Show(ShowArgs),
    Xtr(XtrArgs),
    Bench(BenchArgs),
}

impl Cli {
    /// The arguments that every program has.
    pub fn common(&self) -> &Common {
        match &self.command {
            Command::Control(args) => &args.common,
            Command::Agent(args) => &args.common,
            Command::Show(args) => &args.common,
            Command::Xtr(args) => &args.common,
            Command::Bench(args) => &args.common,
        }
    }
}

/// Runs the part that was asked for.
pub async fn run(cli: Cli, shutdown: Shutdown) -> anyhow::Result<()> {
    match cli.command {
        Command::Control(args) => control::run(*args, shutdown).await,
        Command::Agent(args) => agent::run(*args, shutdown).await,
        Command::Show(args) => control::show(args).await,
        Command::Xtr(args) => xtr::run(args, shutdown).await,
        Command::Bench(args) => bench::run(args, shutdown).await,
    }
}
