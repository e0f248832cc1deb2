//! The hidden subcommand that is the WAN's userspace link: the lab starts it where the kernel has no netem.

use anyhow::Context as _;
use clap::Args;
use service::ConfigError;
use testbed::wan::link::{self, LinkArgs};

/// The link's own arguments, which [`LinkArgs`] writes and reads.
#[derive(Debug, Args)]
pub struct WanLinkArgs {
    /// --interface wan0 --a NETNS --b NETNS [--mtu 1500] [--seed 0] [--a-to-b DIRECTION] [--b-to-a DIRECTION]
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

impl WanLinkArgs {
    /// Carries packets until SIGTERM.
    pub fn run(self) -> anyhow::Result<()> {
        let args = LinkArgs::parse(&self.args).map_err(|why| {
            ConfigError::new(
                link::SUBCOMMAND,
                self.args.join(" "),
                why.to_string(),
                "Whoever starts it takes the arguments from LinkArgs::to_args",
            )
        })?;
        link::serve(&args).context("the WAN link failed")
    }
}
