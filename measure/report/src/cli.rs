//! `xrbench report DIR`.

use std::{io::Write as _, path::PathBuf};

use anyhow::Context as _;
use clap::Args;

use crate::export::{junit, perfdash};
use crate::{files, provision, stdout::printed};
use result::RunFolder;
use result::provision::ProvisionFolder;

/// `xrbench report`'s arguments.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  xrbench report results/mine           the tables; writes summary.json and report.html again
  xrbench report results/mine --json | jq '.scenarios[] | {name, p50: .latency_us.p50}'
  xrbench report results/mine --junit junit.xml --perfdash perfdash.json

Figures on the terminal are milliseconds; in summary.json microseconds (docs/summary.schema.json).
Exits 1 when something that was planned was not measured, and with --junit when any case has not passed.")]
pub struct ReportArgs {
    /// The folder of a result, as `xrbench run --out DIR` or `xrbench provision --out DIR` wrote it
    dir: PathBuf,
    /// Print summary.json instead of the tables
    #[arg(long, env = "XR_JSON")]
    json: bool,
    /// Write the percentiles in the schema of Kubernetes' perfdash
    #[arg(long, env = "XR_PERFDASH", value_name = "FILE")]
    perfdash: Option<PathBuf>,
    /// Write JUnit XML: a case for each scenario. It is an error where a planned repetition is missing or showed nothing, and
    /// fails with more than 0.5 % of its frames lost on undisturbed seconds, or where the machine was too slow for it
    #[arg(long, env = "XR_JUNIT", value_name = "FILE")]
    junit: Option<PathBuf>,
}

impl ReportArgs {
    /// Sums the result up, writes its files, and prints.
    pub fn run(self) -> anyhow::Result<()> {
        let provisioning = ProvisionFolder::new(&self.dir);
        if provisioning.info_json().exists() {
            anyhow::ensure!(
                !self.json && self.perfdash.is_none() && self.junit.is_none(),
                "{} is of `xrbench provision`: its clusters.csv and transitions.csv are for programs; leave --json, --perfdash and \
                 --junit out",
                self.dir.display()
            );
            return provision::show(&provisioning, &mut printed());
        }
        let folder = RunFolder::new(self.dir);
        let (loaded, summary) = files::read(&folder)?;
        // What can be shown is shown, also of a folder that is somebody else's.
        let saved = files::save(&folder, &loaded, &summary);
        let mut out = printed();
        if self.json {
            serde_json::to_writer_pretty(&mut out, &summary)?;
            writeln!(out)?;
        } else {
            let width = (!out.is_terminal()).then_some(160);
            write!(out, "{}", crate::terminal(&summary, width))?;
            if saved.is_ok() {
                writeln!(out, "\npage: {}", folder.report_html().display())?;
            }
        }
        saved.context("shown, and not written: copy the folder to where you may write")?;
        if let Some(path) = &self.perfdash {
            perfdash::write(path, &summary)?;
        }
        if let Some(path) = &self.junit {
            junit::write(path, &summary.name, &junit::cases(&summary))?;
        }
        summary.check()?;
        if self.junit.is_some() {
            let bad: Vec<_> = summary
                .findings()
                .map(|(name, finding)| format!("{name}: {}", finding.text))
                .collect();
            anyhow::ensure!(bad.is_empty(), "{}", bad.join("; "));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::summary::tests::result;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        report: ReportArgs,
    }

    #[test]
    fn what_cannot_be_written_is_shown() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let folder = result(dir.path());
        std::fs::create_dir_all(folder.summary_json().join("in the way")).expect("made");
        let path = dir.path().display().to_string();
        let command = Command::try_parse_from(["report", &path, "--json"]).expect("arguments");
        let error = format!(
            "{:#}",
            command.report.run().expect_err("it cannot be written")
        );
        assert!(error.contains("shown, and not written"), "{error}");
        assert!(error.contains("summary.json"), "{error}");
    }
}
