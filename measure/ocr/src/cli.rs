//! `xrbench ocr`.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    num::NonZero,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use settings::whole;

use super::{
    bench,
    folder::{Options, read_repetition, read_strips, read_video},
    rule::{Kind, Known},
    worker,
};
use result::rows::{self, Audit, OcrRow};
use result::{RepetitionFolder, RunFolder};
use stats::quantile;

/// `xrbench ocr`'s arguments.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  xrbench ocr results/mine             every repetition of a result; writes its ocr.csv files again
  xrbench report results/mine          makes the figures anew from them
  xrbench ocr strips/                  what `xr-client --strips strips/` kept; writes strips/ocr.csv
  xrbench ocr recording.mkv            a video with both stamps; writes recording.mkv.ocr.csv
  xrbench ocr --kind clock shown.mkv   a video with ffmpeg's clock in it (docs/reference.md)
  xrbench ocr --bench                  how fast this machine reads, and one tesseract a strip

Rows: file, image, rtp_timestamp, both texts, frame, generated_us, consumed_us, latency_us (microseconds), status \
(read or unread), why, and whether the blocks say the same (yes, no, na).")]
pub struct OcrArgs {
    /// A result, a repetition, a folder of strips, a strips file (.pgm), or a video file
    #[arg(required_unless_present = "bench")]
    path: Option<PathBuf>,
    /// What the lines are; results know it themselves
    #[arg(long, value_enum, default_value = "stamp", env = "XR_OCR_KIND")]
    kind: Kind,
    /// Workers, one Tesseract each [default: one a core]
    #[arg(long, env = "XR_OCR_WORKERS")]
    workers: Option<NonZero<usize>>,
    /// Read at most this many images, spread evenly; 0 for all
    #[arg(long, default_value_t = 0, env = "XR_OCR_MAX", value_parser = whole::<u64>(0..=u64::MAX))]
    max: u64,
    /// Where the rows go, instead of beside what was read
    #[arg(long, value_name = "FILE.csv", env = "XR_OCR_OUT")]
    out: Option<PathBuf>,
    /// Print the counts as JSON
    #[arg(long, env = "XR_JSON")]
    json: bool,
    /// Measure the speed of reading instead
    #[arg(long, env = "XR_BENCH", conflicts_with = "path")]
    bench: bool,
    /// Rounds of the measurement
    #[arg(long, env = "XR_ROUNDS", default_value_t = 3, value_parser = whole::<u32>(0..=u32::MAX))]
    rounds: u32,
}

/// The arguments of a worker, which xrbench starts itself.
#[derive(Clone, Copy, Debug, Args)]
pub struct WorkerArgs {
    /// What the lines are
    #[arg(long, value_enum, default_value = "stamp")]
    kind: Kind,
}

impl WorkerArgs {
    /// Works until standard input ends.
    pub fn run(self) -> anyhow::Result<()> {
        worker::run(self.kind)
    }
}

/// What was read from one folder or file, and how sure it is.
#[derive(Debug, Serialize)]
struct OcrReport {
    path: PathBuf,
    #[serde(flatten)]
    audit: Audit,
    /// Microseconds, of the images that were read; the middle one.
    latency_p50_us: Option<u64>,
    rows: PathBuf,
    /// Whether it is a repetition of a result, whose figures are made of these rows.
    #[serde(skip)]
    of_result: bool,
}

impl OcrArgs {
    /// Reads, writes the rows, and prints what came of it.
    ///
    /// # Errors
    /// Also when not a single image could be read, and when digits and blocks disagree on any.
    pub fn run(self) -> anyhow::Result<()> {
        let mut options = Options::here()?;
        options.workers = self.workers.unwrap_or(options.workers);
        options.max_images = self.max;
        if self.bench {
            return self.print_bench(&bench::run(&options, self.rounds.max(1))?);
        }
        let path = self.path.as_deref().context("name what to read")?;
        let bar = ProgressBar::new_spinner().with_style(ProgressStyle::with_template(
            "{spinner} {pos} images, {per_sec}",
        )?);
        let said = self.read(path, &options, |images| bar.set_position(images))?;
        bar.finish_and_clear();
        let mut out = io::stdout().lock();
        if self.json {
            writeln!(out, "{}", serde_json::to_string_pretty(&said)?)?;
        } else {
            for said in &said {
                let Audit {
                    frames,
                    unread,
                    compared,
                    disagree,
                } = said.audit;
                let p50 = match said.latency_p50_us {
                    Some(us) => format!("{:.3} ms", us as f64 / 1e3),
                    None => "unknown".into(),
                };
                writeln!(
                    out,
                    "{}: {frames} images, {unread} unread; {compared} compared with the blocks, {disagree} disagree; latency p50 {p50}; rows in {}",
                    said.path.display(),
                    said.rows.display()
                )?;
            }
        }
        if said.iter().any(|said| said.of_result) {
            // Of a result's rows nothing is seen before; stdout is for what was read.
            writeln!(
                io::stderr(),
                "the figures of the result are as before: `xrbench report` of its folder makes them anew"
            )?;
        }
        let sum = |of: fn(&Audit) -> u64| said.iter().map(|said| of(&said.audit)).sum::<u64>();
        ensure!(
            sum(|audit| audit.frames) > sum(|audit| audit.unread),
            "no image of {} could be read: does it show both stamps, at the size at which they were drawn and at the top left, as a \
             recording has them that was neither scaled nor cropped; and is --kind {} what they are?",
            path.display(),
            self.kind.as_str()
        );
        ensure!(
            sum(|audit| audit.disagree) == 0,
            "digits and blocks disagree: the rows with `no` in the column `blocks`"
        );
        Ok(())
    }

    fn read(
        &self,
        path: &Path,
        options: &Options,
        mut done: impl FnMut(u64),
    ) -> anyhow::Result<Vec<OcrReport>> {
        let run = RunFolder::new(path);
        let one = RepetitionFolder::new(path);
        let repetitions = if run.run_json().is_file() {
            run.repetitions()?
                .into_iter()
                .map(|(_, folder)| folder)
                .collect()
        } else if one.meta_json().is_file() {
            vec![one]
        } else {
            return Ok(vec![self.read_alone(path, options, done)?]);
        };
        let mut said = Vec::new();
        for folder in repetitions {
            let kept = fs::read_dir(folder.strips()).is_ok_and(|mut files| files.next().is_some());
            if !kept {
                continue;
            }
            let audit = read_repetition(&folder, options, &mut done)?;
            let rows = rows::read(&folder.ocr_csv())?.unwrap_or_default().rows;
            said.push(OcrReport {
                path: folder.root().to_owned(),
                audit,
                latency_p50_us: middle(&rows),
                rows: folder.ocr_csv(),
                of_result: true,
            });
        }
        if said.is_empty() {
            bail!("no repetition of {} kept strips", path.display());
        }
        Ok(said)
    }

    fn read_alone(
        &self,
        path: &Path,
        options: &Options,
        done: impl FnMut(u64),
    ) -> anyhow::Result<OcrReport> {
        let beside = || {
            if path.is_dir() {
                path.join("ocr.csv")
            } else {
                PathBuf::from(format!("{}.ocr.csv", path.display()))
            }
        };
        let to = self.out.clone().unwrap_or_else(beside);
        // Reading takes minutes, whose fruits would have no place.
        may_write(&to).with_context(|| {
            let to = to.display();
            format!("cannot write {to}; name another file with --out FILE.csv (XR_OCR_OUT)")
        })?;
        let strips = path.is_dir() || path.extension().is_some_and(|extension| extension == "pgm");
        let rows = if strips {
            read_strips(path, self.kind, Known::default(), options, done)?
        } else {
            read_video(path, self.kind, options, done)?
        };
        rows::write(&to, &rows)?;
        Ok(OcrReport {
            path: path.to_owned(),
            audit: Audit::of(&rows),
            latency_p50_us: middle(&rows),
            rows: to,
            of_result: false,
        })
    }

    fn print_bench(&self, rates: &bench::Rates) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        if self.json {
            writeln!(out, "{}", serde_json::to_string_pretty(rates)?)?;
        } else {
            writeln!(
                out,
                "ocr: {:.0} strips/s by workers, {:.1} strips/s by one tesseract process a strip: ratio {:.1}; {:.2} % of images read right",
                rates.pool_strips_per_s,
                rates.process_strips_per_s,
                rates.ratio,
                rates.read_percent
            )?;
        }
        Ok(())
    }
}

/// Whether the file can be written; what it holds stays.
fn may_write(path: &Path) -> io::Result<()> {
    let is_new = !path.exists();
    OpenOptions::new().append(true).create(true).open(path)?;
    if is_new {
        fs::remove_file(path)?;
    }
    Ok(())
}

fn middle(rows: &[OcrRow]) -> Option<u64> {
    let mut latencies: Vec<_> = rows.iter().filter_map(|row| row.latency_us).collect();
    latencies.sort_unstable();
    quantile(&latencies, 500)
}
