//! The hidden subcommand that is the WAN's userspace link: the lab starts it where the kernel has no netem.

use anyhow::Context as _;
use clap::Args;
use service::ConfigError;
use testbed::wan::link::{self, LinkArgs};

/// The link's argument, which [`LinkArgs`] writes and reads.
#[derive(Debug, Args)]
pub struct WanLinkArgs {
    /// The two ends of the link and what happens between them, as `xrbench lab --print` shows it
    #[arg(value_name = "JSON")]
    link: String,
}

impl WanLinkArgs {
    /// Carries packets until SIGTERM.
    pub fn run(self) -> anyhow::Result<()> {
        let args = LinkArgs::parse(&self.link).map_err(|why| {
            ConfigError::new(
                link::SUBCOMMAND,
                self.link,
                why.to_string(),
                "Take the argument from `xrbench lab SCENARIO.toml --print`.",
            )
        })?;
        link::serve(&args).context("the WAN link failed")
    }
}
