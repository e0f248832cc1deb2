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

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn all(command: &clap::Command) -> Vec<&clap::Command> {
        let below = command.get_subcommands().flat_map(all);
        std::iter::once(command).chain(below).collect()
    }

    /// A longer line is cut in two where nobody knows the terminal's width, and cannot be pasted.
    #[test]
    fn the_command_line_is_sound_and_examples_can_be_pasted() {
        Cli::command().debug_assert();
        let command = Cli::command();
        for one in all(&command) {
            let help = one.get_after_help().map(ToString::to_string);
            let help = help.unwrap_or_default();
            let long = help
                .lines()
                .find(|line| line.starts_with(' ') && line.len() > 100);
            assert_eq!(long, None, "{}", one.get_name());
        }
    }
}
