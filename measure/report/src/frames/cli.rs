//! `xrbench frames DIR...`.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;

use super::{Exported, Wanted, export};
use crate::stdout::printed;
use result::{Pipeline, RunFolder, cannot_write, part_of};

/// Print every frame of results as one table: CSV for R, pandas, a spreadsheet
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  xrbench frames results/mine > frames.csv
  xrbench frames results/mine --kind ours,floor | head -3
  xrbench frames results/mon results/tue results/wed --out frames.csv

A row is a frame at a client, or a frame that no client showed; of a reference it is a picture whose clocks were read. First
come the keys (result, scenario, kind, fabric, transport, repetition, round, disturbed, measured), then the columns of
frames.csv, then the latency and the stages in microseconds. A cell without a value is empty. docs/frames.md has each column.

The latencies of summary.json are those of rows with measured = yes. In Python:
  import pandas
  frames = pandas.read_csv('frames.csv')
  print(frames[frames.measured == 'yes'].groupby(['result', 'scenario']).latency_us.describe())

Exit codes: 0 done, 3 a folder without a result, or with one that was not finished or is damaged, which --partial takes as far as it
goes; 64 wrong usage.")]
pub struct FramesArgs {
    /// The folders of results, as `xrbench run --out DIR` or xr-collector wrote them
    #[arg(required = true)]
    dirs: Vec<PathBuf>,
    /// Write to this file, whole or not at all, instead of standard output
    #[arg(long, env = "XR_FRAMES_OUT", value_name = "FILE")]
    out: Option<PathBuf>,
    /// Only the frames of these pipelines; several with commas between them
    #[arg(
        long,
        env = "XR_KIND",
        value_name = "KIND",
        value_enum,
        value_delimiter = ','
    )]
    kind: Vec<Pipeline>,
    /// Take what there is, of results that were not finished and of damaged ones too; what is left out is said on standard error
    #[arg(long, env = "XR_PARTIAL")]
    partial: bool,
}

impl FramesArgs {
    /// Exports, and says on standard error what was left out.
    pub fn run(self) -> anyhow::Result<()> {
        let wanted = Wanted {
            kinds: self.kind,
            partial: self.partial,
        };
        let exported = match &self.out {
            None => match export(&self.dirs, &wanted, io::stdout().lock()) {
                // Whoever reads has had enough, as `head` has.
                Err(error) if is_closed_pipe(&error) => return Ok(()),
                exported => exported?,
            },
            Some(path) => {
                keep_results(path, &self.dirs)?;
                let exported = write(path, |to| export(&self.dirs, &wanted, to))?;
                let (rows, path) = (exported.rows, path.display());
                writeln!(printed(), "{rows} rows in {path}")?;
                exported
            }
        };
        let mut err = io::stderr().lock();
        for remark in &exported.remarks {
            // There is nowhere left to say that stderr is closed.
            let _ = writeln!(err, "note: {remark}");
        }
        Ok(())
    }
}

/// Whether an export failed because nobody reads it any more.
pub(super) fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let mut causes = error.chain();
    causes.any(|cause| {
        let cause = cause.downcast_ref::<io::Error>();
        cause.is_some_and(|cause| cause.kind() == ErrorKind::BrokenPipe)
    })
}

/// Refuses to replace what a result is read from.
fn keep_results(path: &Path, dirs: &[PathBuf]) -> anyhow::Result<()> {
    let Ok(path) = path.canonicalize() else {
        return Ok(());
    };
    let mut results = dirs.iter().filter_map(|dir| dir.canonicalize().ok());
    let is_of_one = results.any(|root| {
        let folder = RunFolder::new(&root);
        let own = [
            folder.run_json(),
            folder.summary_json(),
            folder.report_html(),
        ];
        path.starts_with(&root) && (path.parent() != Some(root.as_path()) || own.contains(&path))
    });
    anyhow::ensure!(
        !is_of_one,
        "{} is a file of the result itself: choose another name for --out",
        path.display()
    );
    Ok(())
}

/// Writes a file as a stream: a reader sees the old content or the new, never a part. What is no file, as a pipe, is written into.
fn write(
    path: &Path,
    content: impl FnOnce(&mut File) -> anyhow::Result<Exported>,
) -> anyhow::Result<Exported> {
    if path.exists() && !path.is_file() {
        let mut into = File::options()
            .write(true)
            .open(path)
            .with_context(|| cannot_write(path))?;
        return content(&mut into);
    }
    let part = part_of(path);
    let written = || -> anyhow::Result<Exported> {
        let mut file = File::create(&part).with_context(|| cannot_write(path))?;
        let exported = content(&mut file)?;
        file.sync_all()
            .and_then(|()| fs::rename(&part, path))
            .with_context(|| cannot_write(path))?;
        Ok(exported)
    };
    let written = written();
    if written.is_err() {
        // What failed is told; of what it left nothing more can be done.
        let _ = fs::remove_file(&part);
    }
    written
}
