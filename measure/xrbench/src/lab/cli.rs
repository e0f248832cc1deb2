//! `xrbench lab`'s command line.

use std::path::PathBuf;

use service::ConfigError;

use crate::scenario::{self, File, Overrides};

const EXAMPLES: &str = "\
Examples:
  xrbench lab scenarios/quick.toml --print         every link, address, route and rule, as text
  xrbench lab scenarios/quick.toml --scenario s2-liqo-local --in gateway-a
  xrbench lab scenarios/quick.toml --scenario s4-liqo-remote --in client -- ip route get 10.2.0.10
  xrbench lab scenarios/quick.toml --scenario s2-liqo-local --pcap wan-a=wan.pcap

In the shell, not in a COMMAND given here, `lab-in NAME COMMAND` runs a command in any other pod or node, such as \
`lab-in node-a tcpdump -ni wan0`. \
The lab ends with the shell.
Exit codes: those of the shell or the command; 64 wrong usage; 1 the lab could not be brought up.";

/// Bring a scenario's lab up, and open a shell in one of its pods or nodes
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct LabArgs {
    /// The scenario file, in TOML
    #[arg(value_name = "SCENARIO.toml")]
    pub scenario_file: PathBuf,
    /// Which of its scenarios [default: the first that has a fabric]
    #[arg(long, env = "XR_SCENARIO", value_name = "NAME")]
    pub scenario: Option<String>,
    /// Change a key of the file; may be given several times
    #[arg(long, env = "XR_SET", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// The pod, node or gateway that the shell is in
    #[arg(
        long = "in",
        env = "XR_IN",
        value_name = "NAME",
        default_value = "client"
    )]
    pub place: String,
    /// Print the lab, and bring nothing up
    #[arg(long, env = "XR_PRINT")]
    pub print: bool,
    /// Capture packets at a point of the lab into a file while the shell is open; --print lists the points
    #[arg(long, env = "XR_PCAP", value_name = "POINT=FILE")]
    pub pcap: Vec<String>,
    /// What to run instead of a shell
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

impl LabArgs {
    /// The scenario that is asked for.
    pub(super) fn find(&self) -> anyhow::Result<(File, usize)> {
        let overrides = Overrides {
            set: self.set.clone(),
            only: self.scenario.iter().cloned().collect(),
            only_origin: "--scenario (XR_SCENARIO)",
        };
        let file = scenario::load(&self.scenario_file, &overrides)?;
        let at = file.scenario.iter().position(|one| one.fabric.is_lab());
        let at = at.ok_or_else(|| {
            ConfigError::new(
                "SCENARIO.toml",
                self.scenario_file.display().to_string(),
                "none of its scenarios has a fabric, so there is no lab",
                "Give scenarios/quick.toml, or add --set fabric=liqo.",
            )
        })?;
        Ok((file, at))
    }
}
