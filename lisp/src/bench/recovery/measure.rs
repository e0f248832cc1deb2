//! The order of the measurement, its files, and what it prints.

use service::Shutdown;

use crate::bench::raw::Raw;
use crate::bench::report::{Cell, Report, phase};

use super::args::RecoveryArgs;
use super::once::once;
use super::way::{Fault, Way};

/// The note below the table.
const NOTE: &str = "The paper's figures are its Figure 10: 1.2 s, of which the mapping took 30 %, and 1.55 s with DNS, of which it took 36 %. \
     Detection in the ways paper and paper-dns is played.";

/// Measures until the end or a signal.
pub fn run(args: &RecoveryArgs, shutdown: &Shutdown) -> anyhow::Result<()> {
    let program = std::env::current_exe()?;
    let mut raw = Raw::create(&args.out, "recovery.csv", "fault")?;
    let mut report = Report::new("recovery", "fault", NOTE);
    let cells = cells(&args.ways, &args.faults);
    for (way, fault) in &cells {
        report.add(cell(*way, *fault));
    }
    for repetition in 1..=args.repetitions {
        let phase = phase(repetition);
        // Whatever else the machine does meets all of them alike.
        let turn = usize::from(repetition) % cells.len().max(1);
        let (later, first) = cells.split_at(turn);
        for &(way, fault) in first.iter().chain(later) {
            if shutdown.has_fired() {
                break;
            }
            let (fault_name, way_name) = (fault.name(), way.name());
            tracing::info!(repetition, fault = fault_name, way = way_name, "measuring");
            let folder = raw.scratch()?;
            let labels = [fault_name, way_name];
            let cell = (way, fault);
            let settings = args.settings();
            match once(program.clone(), &folder, cell, settings, phase, shutdown) {
                Ok(seen) => {
                    raw.write(repetition, labels, &seen)?;
                    report.measured(labels, seen.parts, seen.moments.lost);
                }
                Err(_) if shutdown.has_fired() => break,
                Err(error) => {
                    tracing::warn!(fault = fault_name, way = way_name, "failed: {error:#}");
                    report.failed(labels);
                }
            }
        }
    }
    report.print(&args.out, args.json)
}

/// The measurements of a repetition: every way with every fault that it sees, once.
fn cells(ways: &[Way], faults: &[Fault]) -> Vec<(Way, Fault)> {
    let mut cells = Vec::new();
    for fault in faults {
        for way in ways.iter().filter(|way| way.sees(*fault)) {
            if !cells.contains(&(*way, *fault)) {
                cells.push((*way, *fault));
            }
        }
    }
    cells
}

fn cell(way: Way, fault: Fault) -> Cell {
    let (total, mapping) = way.bounds_ms(fault);
    let paper = way.paper_ms().filter(|_| fault == Fault::ServiceKilled);
    Cell::new([fault.name(), way.name()])
        .with_paper(paper)
        .with_bounds(total, mapping)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_meet_the_faults_that_they_see() {
        let all = cells(&Way::ALL, &Fault::ALL);
        assert_eq!(all.len(), 4 * 3 + 2 + 1 + 1);
        assert!(all.contains(&(Way::Probing, Fault::ClusterCut)));
        assert!(!all.contains(&(Way::Probing, Fault::NodeCut)));
        let twice = cells(&[Way::Dns, Way::Dns], &[Fault::NodeCut]);
        assert_eq!(twice, [(Way::Dns, Fault::NodeCut)]);
    }
}
