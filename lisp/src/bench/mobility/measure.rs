//! The command line of `xr-lisp bench mobility`, the order of the measurement, and its files.

use std::path::PathBuf;

use service::Shutdown;
use service::args::whole;

use crate::bench::raw::Raw;
use crate::bench::report::{Cell, Report, phase};

use super::once::{Move, Way, once};

const EXPLAINED: &str = "\
A client with a tunnel router, a cluster with one, and a control plane are namespaces of this machine, made anew for each measurement and \
gone with it. The client sends a request every 5 ms. Then it moves, and the time from the last answer before to the first one after is taken \
apart:
  detection   until the client's tunnel router has the new address, or the other one the client
  mapping     until the cluster's tunnel router sends there
  connection  until the first answer

Examples:
  What docs/lisp.md shows, in some five minutes:
    xr-lisp bench mobility --out mobility
  For a program:
    xr-lisp bench mobility --repetitions 3 --json | jq .cells

It takes root, iproute2 and ethtool.";

/// The note below the table.
const NOTE: &str = "The second paper has no figure for this.";

/// The arguments of `xr-lisp bench mobility`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXPLAINED)]
pub struct MobilityArgs {
    /// Folder of the raw data: mobility.csv, events.csv, answers.csv; made if it is not there
    #[arg(long, value_name = "DIR", default_value = "bench-lisp-mobility")]
    out: PathBuf,
    /// Repetitions, each of every move in every way
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = whole::<u16>(1..=u16::MAX))]
    repetitions: u16,
    /// What moves
    #[arg(long = "move", value_name = "MOVE", value_delimiter = ',', value_enum, default_values_t = Move::ALL)]
    moves: Vec<Move>,
    /// In which ways; another tunnel router that the client comes to is told by a publication alone
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
    let cells = cells(&args.moves, &args.ways);
    for (moves, way) in &cells {
        report.add(Cell::new([moves.name(), way.name()]));
    }
    for repetition in 1..=args.repetitions {
        for &(moves, way) in &cells {
            if shutdown.has_fired() {
                break;
            }
            let labels = [moves.name(), way.name()];
            tracing::info!(repetition, moves = labels[0], way = labels[1], "measuring");
            let folder = raw.scratch()?;
            let phase = phase(repetition);
            match once(program.clone(), &folder, (moves, way), phase, shutdown) {
                Ok(seen) => {
                    raw.write(repetition, labels, &seen)?;
                    report.measured(labels, seen.parts, seen.moments.lost);
                }
                Err(_) if shutdown.has_fired() => break,
                Err(error) => {
                    tracing::warn!(moves = labels[0], way = labels[1], "failed: {error:#}");
                    report.failed(labels);
                }
            }
        }
    }
    report.print(&args.out, args.json)
}

/// The measurements of a repetition: every move in every way that it is told in, once.
fn cells(moves: &[Move], ways: &[Way]) -> Vec<(Move, Way)> {
    let mut cells = Vec::new();
    for one in moves {
        for way in ways.iter().filter(|way| one.is_told_by(**way)) {
            if !cells.contains(&(*one, *way)) {
                cells.push((*one, *way));
            }
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_are_told_in_the_ways_that_there_are() {
        let all = cells(&Move::ALL, &Way::ALL);
        let wanted = [
            (Move::OtherAddress, Way::Publication),
            (Move::OtherAddress, Way::Smr),
            (Move::OtherRouter, Way::Publication),
        ];
        assert_eq!(all, wanted);
        assert!(cells(&[Move::OtherRouter], &[Way::Smr]).is_empty());
    }
}
