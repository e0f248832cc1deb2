//! `xrbench report DIR`.

use std::{
    io::{self, IsTerminal as _, Write as _},
    path::PathBuf,
};

use clap::Args;

use crate::{folder::RunFolder, report};

/// `xrbench report`'s arguments.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  xrbench report results/mine                    the tables; writes summary.json and report.html again
  xrbench report results/mine --json | jq '.scenarios[] | {name, p50: .latency_us.p50}'

Figures on the terminal are milliseconds; in summary.json microseconds (docs/summary.schema.json).
Exits 1 when a scenario has no sample.")]
pub struct ReportArgs {
    /// The folder of a result, as `xrbench run --out DIR` wrote it
    dir: PathBuf,
    /// Print summary.json instead of the tables
    #[arg(long, env = "XR_JSON")]
    json: bool,
}

impl ReportArgs {
    /// Sums the result up, writes its files, and prints.
    pub fn run(self) -> anyhow::Result<()> {
        let folder = RunFolder::new(self.dir);
        let summary = report::write(&folder)?;
        let mut out = io::stdout().lock();
        if self.json {
            serde_json::to_writer_pretty(&mut out, &summary)?;
            writeln!(out)?;
        } else {
            let width = (!out.is_terminal()).then_some(160);
            write!(out, "{}", report::terminal(&summary, width))?;
            writeln!(out, "\npage: {}", folder.report_html().display())?;
        }
        summary.check()
    }
}
