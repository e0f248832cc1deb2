//! The order of a measurement of the data plane, and its files.

use std::fs::File;
use std::io::Write as _;

use anyhow::Context as _;
use service::Shutdown;

use super::args::DataArgs;
use super::contender::Contender;
use super::layout::TUNNEL;
use super::load;
use super::network::TestNetwork;
use super::pingpong;
use super::table::{self, Cell, Latencies, Throughputs, median};

/// The targets of load: the place, its address, and its word in the tables.
const TARGETS: [(&str, &str, &str); 2] = [("b", "10.96.0.1", "host"), ("pod", "10.96.0.10", "pod")];

/// Measures, until the end or a signal.
pub(crate) fn data(args: &DataArgs, shutdown: &Shutdown) -> anyhow::Result<()> {
    let create = |name: &str, head: &str| {
        let path = args.out.join(name);
        let mut file =
            File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        file.write_all(head.as_bytes())?;
        anyhow::Ok(file)
    };
    std::fs::create_dir_all(&args.out)
        .with_context(|| format!("cannot make the folder {}", args.out.display()))?;
    let folder = args.out.canonicalize()?;
    let mut data = create("data.csv", table::DATA_HEAD)?;
    let mut latency = create("latency.csv", table::LATENCY_HEAD)?;
    let (mut throughputs, mut latencies) = (Throughputs::new(), Latencies::new());
    for repetition in 1..=args.repetitions {
        let mut plain_us = None;
        for contender in order(&args.contenders, repetition) {
            if shutdown.has_fired() {
                break;
            }
            tracing::info!(repetition, contender = contender.name(), "measuring");
            for offloads in [false, true] {
                let network = TestNetwork::make(&TUNNEL, offloads, std::env::current_exe()?)?;
                let _tunnel = contender.start(&network, &folder)?;
                if !offloads {
                    let (p50, p99) = round_trips(&network, args.pings)?;
                    // The plain way comes first in each repetition, so that what others add is against the same minute.
                    if contender == Contender::Plain {
                        plain_us = Some(p50);
                    }
                    let added = plain_us.map(|plain: f64| (p50 - plain) / 2.0);
                    let text = added.map_or_else(String::new, |added| format!("{added:.1}"));
                    let name = contender.name();
                    let row = format!("{repetition},{name},{p50:.1},{p99:.1},{text}\n");
                    latency.write_all(row.as_bytes())?;
                    latencies.entry(contender).or_default().extend(added);
                }
                if args.only_latency {
                    break;
                }
                // Links with offloads carry packets of any length: one length is enough.
                let longest = args.sizes.iter().max().copied();
                let sizes = args
                    .sizes
                    .iter()
                    .copied()
                    .filter(|size| !offloads || Some(*size) == longest);
                for frame in sizes {
                    for (place, address, target) in TARGETS {
                        if shutdown.has_fired() {
                            break;
                        }
                        let (seconds, streams) = (args.seconds, args.streams);
                        let found = load::run(&network, place, address, frame, seconds, streams);
                        let found = match found {
                            Ok(found) => found,
                            Err(error) => {
                                let contender = contender.name();
                                tracing::warn!(contender, frame, target, "left out: {error:#}");
                                continue;
                            }
                        };
                        let cell = Cell {
                            offloads,
                            target,
                            frame,
                            contender,
                        };
                        data.write_all(table::data_row(repetition, &cell, &found).as_bytes())?;
                        throughputs
                            .entry(cell)
                            .or_default()
                            .insert(repetition, found);
                    }
                }
            }
        }
    }
    let text = format!(
        "{}\n{}",
        table::throughput(&throughputs),
        table::latency(&latencies)
    );
    std::fs::write(args.out.join("tables.txt"), &text)?;
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    Ok(())
}

/// The contenders of a repetition: the plain way first, as all others are compared with it, and the others in turn.
fn order(all: &[Contender], repetition: u16) -> Vec<Contender> {
    let plain = all
        .iter()
        .copied()
        .filter(|contender| *contender == Contender::Plain);
    let mut others: Vec<_> = all
        .iter()
        .copied()
        .filter(|contender| *contender != Contender::Plain)
        .collect();
    if !others.is_empty() {
        let turn = usize::from(repetition) % others.len();
        others.rotate_left(turn);
    }
    plain.chain(others).collect()
}

/// p50 and p99 of round trips from the client to the pod, in microseconds.
fn round_trips(network: &TestNetwork, count: usize) -> anyhow::Result<(f64, f64)> {
    let mut trips = pingpong::round_trips(network, count)?;
    trips.sort_by(f64::total_cmp);
    let p99 = trips
        .get(trips.len() * 99 / 100)
        .copied()
        .unwrap_or_default();
    Ok((median(&trips), p99))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everyone_is_first_behind_the_plain_way_in_turn() {
        let seconds: Vec<_> = (0..4)
            .map(|repetition| order(&Contender::ALL, repetition)[1])
            .collect();
        assert_eq!(
            seconds,
            [
                Contender::Single,
                Contender::Offload,
                Contender::Oor,
                Contender::WireguardGo
            ]
        );
        assert!((0..9).all(|repetition| order(&Contender::ALL, repetition)[0] == Contender::Plain));
    }
}
