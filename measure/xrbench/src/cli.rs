//! The command line of xrbench.

use clap::{Parser, Subcommand};
use service::logs::{Filter, Format};

use crate::calibrate::cli::CalibrateArgs;
use crate::doctor::DoctorArgs;
use crate::lab::LabArgs;
use crate::lisp_agent::LispAgentArgs;
use crate::run::RunArgs;
use crate::run::place::kube::clean::CleanArgs;
use crate::wan::WanLinkArgs;
use ocr::cli::{OcrArgs, WorkerArgs};
use provision::cli::ProvisionArgs;
use report::cli::ReportArgs;
use report::compare::cli::CompareArgs;
use report::frames::cli::FramesArgs;
use report::pool::cli::PoolArgs;

const EXAMPLES: &str = "\
Examples:
  xrbench doctor                              what this machine has and lacks, and the remedy
  xrbench run scenarios/quick.toml            measure; prints a table, writes a folder
  xrbench lab scenarios/quick.toml            a shell in two clusters on this machine
  xrbench calibrate                           how far this machine's latencies can be believed
  xrbench provision k8s/capi/figure-4.toml    how long Cluster API takes to bring up clusters
  xrbench report results/one-machine-...      show a result again
  xrbench compare results/before results/now  is the second one worse?
  xrbench pool results/hour-*                 several runs together, and where the next one will be
  xrbench frames results/mine > frames.csv    every frame of every scenario, for statistics programs
  source <(xrbench completions bash)          completions, for this shell

Services that run already, as pods do, are measured by another program: xr-collector --help.

Exit codes: 0 done, 1 failed or a regression, 3 results that cannot be compared, 4 nobody can tell which is worse, 64 the command line or a scenario file is wrong, 130 Ctrl-C.";

/// Measures the latency of every frame of an XR video pipeline, end to end and stage by stage.
#[derive(Debug, Parser)]
#[command(name = "xrbench", version, propagate_version = true, after_help = EXAMPLES)]
pub struct Cli {
    /// What to log on stderr: error, warn, info, debug, trace, off, or directives such as info,collect=debug
    #[arg(
        long,
        env = "XR_LOG",
        value_name = "LEVEL",
        help_heading = "Operation",
        default_value = "warn,xrbench=info,collect=info,ocr=info,report=info,provision=info",
        global = true
    )]
    pub log: Filter,
    /// How log lines are written
    #[arg(
        long,
        env = "XR_LOG_FORMAT",
        value_name = "FORMAT",
        help_heading = "Operation",
        value_enum,
        default_value_t,
        global = true
    )]
    pub log_format: Format,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands of xrbench.
#[derive(Debug, Subcommand)]
pub enum Command {
    Run(Box<RunArgs>),
    Clean(CleanArgs),
    Lab(LabArgs),
    Calibrate(CalibrateArgs),
    Provision(ProvisionArgs),
    /// Read the stamps of a result's strips, a folder of strips, or a video file, by OCR
    Ocr(OcrArgs),
    /// Read strips for another xrbench
    #[command(hide = true)]
    OcrWorker(WorkerArgs),
    /// Carry the packets of a lab's WAN
    #[command(hide = true)]
    WanLink(WanLinkArgs),
    /// Speak for a cluster of a lab of LISP
    #[command(hide = true)]
    LispAgent(LispAgentArgs),
    /// Show a result again: tables, summary.json, report.html
    Report(ReportArgs),
    Compare(CompareArgs),
    Pool(PoolArgs),
    Frames(FramesArgs),
    Doctor(DoctorArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use testbed::local::capabilities::Capabilities;

    use super::*;
    use crate::run::place::lab_plan::{self, LabCapabilities};
    use crate::scenario::{Fabric, Scenario};

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
        assert!(
            Cli::try_parse_from([
                "xrbench",
                "run",
                "x.toml",
                "--set",
                "a=b",
                "--only",
                "c",
                "--dry-run"
            ])
            .is_ok()
        );
        assert!(Cli::try_parse_from(["xrbench", "ocr-worker"]).is_ok());
        let command = Cli::command();
        let log = command.get_arguments().find(|arg| arg.get_id() == "log");
        let shown = log.expect("a flag").get_default_values()[0].to_string_lossy();
        for own in ["xrbench", "collect", "ocr", "report", "provision"] {
            assert!(shown.contains(&format!("{own}=info")), "{shown}");
        }
        let link = ["xrbench", testbed::wan::link::SUBCOMMAND, "{}"];
        assert!(Cli::try_parse_from(link).is_ok());
    }

    /// A longer line is cut in two where nobody knows the terminal's width, and cannot be pasted.
    #[test]
    fn examples_can_be_pasted_and_flags_stand_under_their_heading() {
        let command = Cli::command();
        let run = command.find_subcommand("run").expect("a command");
        for one in command.get_subcommands().chain([&command]) {
            let help = one.get_after_help().map(ToString::to_string);
            let help = help.unwrap_or_default();
            let long = help
                .lines()
                .find(|line| line.starts_with(' ') && line.len() > 100);
            assert_eq!(long, None, "{}", one.get_name());
        }
        let mut arguments = run.get_arguments();
        let no_ocr = arguments.find(|arg| arg.get_id() == "no_ocr");
        assert_eq!(no_ocr.expect("a flag").get_help_heading(), None);
    }

    /// What a lab of LISP starts of this program, this program understands.
    #[test]
    fn agents_of_a_lab_are_started_as_they_can_be() {
        let own = std::path::Path::new("xrbench");
        let capabilities = LabCapabilities::of(&Capabilities::default(), own, own, 0);
        let scenario = Scenario {
            fabric: Fabric::Lisp,
            standby: true,
            ..Scenario::default()
        };
        let lab = lab_plan::plan(&scenario, &capabilities, 0).expect("a lab");
        let daemons = lab.built.topology.daemons.iter();
        let agents: Vec<_> = daemons
            .filter(|one| one.role.starts_with("lisp-agent"))
            .collect();
        assert_eq!(agents.len(), 2);
        for agent in agents {
            let words = ["xrbench"].into_iter().map(ToOwned::to_owned);
            let parsed = Cli::try_parse_from(words.chain(agent.args.iter().cloned()));
            parsed.unwrap_or_else(|error| panic!("{error}"));
        }
    }
}
