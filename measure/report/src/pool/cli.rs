//! `xrbench pool A B C`.

use std::{io::Write as _, path::PathBuf};

use clap::Args;

use super::{pool, show};
use crate::stdout::printed;

/// Pool several runs of the same scenarios: their mean, their spread, and where the next one will be
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  xrbench pool results/monday results/tuesday results/wednesday
  xrbench pool results/hour-* --json | jq '.differences[] | {a, b, next: .p50_us.prediction}'

The intervals of one run know what its repetitions did; what another hour, machine or build does is in the spread between runs only. \
Scenarios are matched by name. With two or three runs the prediction interval is wide, because so few say little of a spread: give \
as many as there are.

Exit codes: 0 done, 3 a folder that cannot be read or no scenario that two runs have; 64 wrong usage.")]
pub struct PoolArgs {
    /// The folders of at least two results
    #[arg(required = true, num_args = 2..)]
    dirs: Vec<PathBuf>,
    /// Pool what was measured, of results that were not finished too
    #[arg(long, env = "XR_PARTIAL")]
    partial: bool,
    /// Print JSON instead of the tables
    #[arg(long, env = "XR_JSON")]
    json: bool,
}

impl PoolArgs {
    /// Pools and prints.
    pub fn run(self) -> anyhow::Result<()> {
        let pool = pool(&self.dirs, self.partial)?;
        let mut out = printed();
        if self.json {
            serde_json::to_writer_pretty(&mut out, &pool)?;
            writeln!(out)?;
        } else {
            let width = (!out.is_terminal()).then_some(160);
            write!(out, "{}", show::terminal(&pool, width))?;
        }
        Ok(())
    }
}
