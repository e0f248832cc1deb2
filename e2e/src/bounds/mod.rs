//! Performance bounds with their figures: `xr-bounds`, which `scripts/bench.sh` runs on optimised programs.

mod crowd;
mod figure;
mod hundred;
mod join;
mod kills;
mod labs;
mod ocr;
mod renderer;
mod result;
mod sampler;
mod stamping;
mod viewers;

use std::path::PathBuf;

use comfy_table::{Table, presets};

pub use figure::{Bound, Figure};

/// What there is to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// Latency, loss and OCR, out of a result of scenarios/one-machine.toml.
    Result,
    /// OCR in workers against one process a strip.
    Ocr,
    /// What stamping, reading and keeping strips cost.
    Stamping,
    /// Twenty viewers of one feed.
    Viewers,
    /// A hundred viewers of one feed, over QUIC and over RTSP.
    Hundred,
    /// Ten thousand connections that want nothing good, beside a stream.
    Crowd,
    /// Viewers who come late to a feed with rare key frames.
    Join,
    /// Twenty kills of each of the three.
    Kills,
    /// Whether known delays come back as those delays.
    Calibration,
    /// Scenarios that are alike, and one that is 2 ms slower.
    Pairs,
}

impl Part {
    const ALL: [Self; 10] = [
        Self::Result,
        Self::Ocr,
        Self::Stamping,
        Self::Viewers,
        Self::Hundred,
        Self::Crowd,
        Self::Join,
        Self::Kills,
        Self::Calibration,
        Self::Pairs,
    ];
}

/// Prints every performance bound with its figure, and fails if one is missed. It wants a quiet machine.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "xr-bounds", version)]
pub struct Args {
    /// Measure only these parts; all of them if not given.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub only: Vec<Part>,

    /// Read this folder of `xrbench run scenarios/one-machine.toml`; without it one is made, in six minutes.
    #[arg(long, value_name = "DIR")]
    pub result: Option<PathBuf>,

    /// Print the figures as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Measures, prints, and says whether every bound holds.
///
/// # Panics
/// If a program does not start, or a measurement cannot be made.
#[expect(clippy::print_stdout, reason = "this is what the program is for")]
pub async fn run(args: Args) -> bool {
    let parts = if args.only.is_empty() {
        Part::ALL.to_vec()
    } else {
        args.only.clone()
    };
    let mut figures = Vec::new();
    for part in parts {
        let new = match part {
            Part::Result => result::measure(args.result.as_deref()).await,
            Part::Ocr => ocr::measure().await,
            Part::Stamping => stamping::measure().await,
            Part::Viewers => viewers::measure().await,
            Part::Hundred => hundred::measure().await,
            Part::Crowd => crowd::measure().await,
            Part::Join => join::measure().await,
            Part::Kills => kills::measure().await,
            Part::Calibration => labs::calibration().await,
            Part::Pairs => labs::pairs().await,
        };
        if !args.json {
            println!("{}\n", table(&new));
        }
        figures.extend(new);
    }
    let missed: Vec<&Figure> = figures.iter().filter(|figure| !figure.holds()).collect();
    if args.json {
        println!(
            "{}",
            serde_json::json!({ "figures": figures, "missed": missed.len() })
        );
    } else if missed.is_empty() {
        println!("every bound holds");
    } else {
        println!(
            "{} bounds are missed:\n{}",
            missed.len(),
            table(missed.iter().copied())
        );
    }
    missed.is_empty()
}

fn table<'a>(figures: impl IntoIterator<Item = &'a Figure>) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_BORDERS_ONLY)
        .set_header(["what", "figure", "bound", ""]);
    for figure in figures {
        table.add_row(figure.row());
    }
    table
}
