//! The command line of `xr-lisp bench mobility`, the order of the measurement, and its files.

use std::path::PathBuf;

use service::Shutdown;

use crate::bench::raw::Raw;
use crate::bench::report::{Cell, Report, phase};

use super::once::{Way, once};

const EXPLAINED: &str = "\
A client with a tunnel router, a cluster with one, and a control plane are namespaces of this machine, made anew for each measurement and
gone with it. The client sends a request every 5 ms. Then the interface of its tunnel router gets another address in the place of the one
that it had, as when a device comes into another network, and the time from the last answer before to the first one after is taken apart:
  detection   until the client's tunnel router has the new address
  mapping     until the cluster's tunnel router sends there
  connection  until the first answer

Examples:
  What docs/lisp.md shows, in some three minutes:
    xr-lisp bench mobility --out mobility
  For a program:
    xr-lisp bench mobility --repetitions 3 --json | jq .cells

It takes root, iproute2 and ethtool.";

/// What stands below the table.
const NOTE: &str = "The second paper has no figure for this.";

/// The one thing that is done.
const MOVE: &str = "other-address";

/// What `xr-lisp bench mobility` is told.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXPLAINED)]
pub struct MobilityArgs {
    /// Folder of the raw data: mobility.csv, events.csv, answers.csv; made if it is not there
    #[arg(long, value_name = "DIR", default_value = "bench-lisp-mobility")]
    out: PathBuf,
    /// Repetitions, each in every way
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..))]
    repetitions: u16,
    /// In which ways
    #[arg(long = "way", value_name = "WAY", value_delimiter = ',', value_enum, default_values_t = Way::ALL)]
    ways: Vec<Way>,
    /// The figures as one document of JSON, in the place of the table
    #[arg(long)]
    json: bool,
}

/// Measures until the end or a signal.
pub fn run(args: &MobilityArgs, shutdown: &Shutdown) -> anyhow::Result<()> {
    let program = std::env::current_exe()?;
    let mut raw = Raw::create(&args.out, "mobility.csv", "move")?;
    let mut report = Report::new("mobility", "move", NOTE);
    for way in &args.ways {
        report.add(Cell::new([MOVE, way.name()]));
    }
    for repetition in 1..=args.repetitions {
        for way in &args.ways {
            if shutdown.has_fired() {
                break;
            }
            tracing::info!(repetition, way = way.name(), "measuring");
            let folder = raw.scratch()?;
            let labels = [MOVE, way.name()];
            let phase = phase(repetition);
            match once(program.clone(), &folder, *way, phase, shutdown) {
                Ok(seen) => {
                    raw.write(repetition, labels, &seen)?;
                    report.measured(labels, seen.parts, seen.moments.lost);
                }
                Err(_) if shutdown.has_fired() => break,
                Err(error) => {
                    tracing::warn!(way = way.name(), "failed: {error:#}");
                    report.failed(labels);
                }
            }
        }
    }
    report.print(&args.out, args.json)
}
