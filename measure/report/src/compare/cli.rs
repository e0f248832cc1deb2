//! `xrbench compare A B`.

use std::{io::Write as _, path::PathBuf};

use clap::Args;

use super::{Options, Tolerance, Verdict, compare, show, write_page};
use crate::{export::junit, stdout::printed};

/// Compare two results: is the second one worse?
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  xrbench compare results/before results/after
  xrbench compare results/before results/after --tolerance 0.5ms --html compare.html
  xrbench compare results/before results/after --json | jq '.scenarios[] | {name, verdict}'

Scenarios are matched by name, rounds by number. What decides is by how much a p50 rose beyond the p50 of its floor, so that a \
machine that became slower is no regression: give scenarios a floor. A scenario is a regression if that rise lies above the \
tolerance, with its 95 % interval corrected for the number of scenarios, if it loses more frames (0.5 % of the scheduled) and \
chance does not explain that, or if fewer of its planned repetitions were completed with frames.

Exit codes: 0 equivalent within the tolerance or better, 1 a regression, 3 a folder or a scenario that cannot be compared, \
4 inconclusive: too few repetitions, too much noise, or no floor; 64 wrong usage.")]
pub struct CompareArgs {
    /// The folder of the earlier result
    a: PathBuf,
    /// The folder of the later result
    b: PathBuf,
    /// By how much a p50 may rise beyond its floor's: a share of A's p50, or a time
    #[arg(long, env = "XR_TOLERANCE", value_name = "5%|0.5ms", default_value_t = Tolerance::Percent(5.0))]
    tolerance: Tolerance,
    /// Compare what both have: of results that were not finished too, and without what only the first one has
    #[arg(long, env = "XR_PARTIAL")]
    partial: bool,
    /// Print JSON instead of the table
    #[arg(long, env = "XR_JSON")]
    json: bool,
    /// Write a page that needs no network
    #[arg(long, env = "XR_HTML", value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write JUnit XML: a test case for each scenario
    #[arg(long, env = "XR_JUNIT", value_name = "FILE")]
    junit: Option<PathBuf>,
}

impl CompareArgs {
    /// Compares, writes and prints; says how B does.
    pub fn run(self) -> anyhow::Result<Verdict> {
        let comparison = compare(
            &self.a,
            &self.b,
            Options {
                tolerance: self.tolerance,
                partial: self.partial,
            },
        )?;
        if let Some(path) = &self.html {
            write_page(path, &comparison)?;
        }
        if let Some(path) = &self.junit {
            junit::write(path, "compare", &comparison.cases())?;
        }
        let mut out = printed();
        if self.json {
            serde_json::to_writer_pretty(&mut out, &comparison)?;
            writeln!(out)?;
        } else {
            let width = (!out.is_terminal()).then_some(160);
            write!(out, "{}", show::terminal(&comparison, width))?;
        }
        Ok(comparison.verdict)
    }
}
