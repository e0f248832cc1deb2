//! Figures as text: files of comma-separated values, and tables of medians for people.

use std::collections::BTreeMap;

use super::contender::Contender;
use super::load::Throughput;

/// The conditions of one cell of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cell {
    /// Whether links merge and segment packets.
    pub offloads: bool,
    /// The far end: the router's host, or the pod behind.
    pub target: &'static str,
    /// Length of a frame, in bytes.
    pub frame: u16,
    /// The contender that is measured.
    pub contender: Contender,
}

/// Throughput by cell and repetition; a repetition whose load did not come to an end is missing.
pub(crate) type Throughputs = BTreeMap<Cell, Runs>;

/// Throughput by repetition.
pub(crate) type Runs = BTreeMap<u16, Throughput>;

/// Latency of every repetition: the median added to a packet's way, in microseconds, by contender.
pub(crate) type Latencies = BTreeMap<Contender, Vec<f64>>;

/// The middle value; of an even number, the mean of the two in the middle. Zero of none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        length if length % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// The table of throughput: a row for each cell, with the ratios within repetitions to those who have to be beaten.
pub(crate) fn throughput(all: &Throughputs) -> String {
    let mut text = String::from(
        "links      to    frame  contender       runs   Mbit/s   packets/s  cores   of plain     of oor  of wireguard-go\n",
    );
    for (cell, runs) in all {
        let of =
            |field: fn(&Throughput) -> f64| median(&runs.values().map(field).collect::<Vec<_>>());
        let ratio = |contender| ratio(runs, all.get(&Cell { contender, ..*cell }));
        text += &format!(
            "{:<9}  {:<4}  {:>5}  {:<14}  {:>4}  {:>7.0}  {:>10.0}  {:>5.2}  {:>9}  {:>9}  {:>15}\n",
            if cell.offloads { "offloads" } else { "plain" },
            cell.target,
            cell.frame,
            cell.contender.name(),
            runs.len(),
            of(|run| run.mbit_s),
            of(|run| run.packets_s),
            of(|run| run.cores),
            ratio(Contender::Plain),
            ratio(Contender::Oor),
            ratio(Contender::WireguardGo),
        );
    }
    text
}

/// The median of the ratios within each repetition; a dash when there is nothing to compare with.
fn ratio(runs: &Runs, others: Option<&Runs>) -> String {
    let Some(others) = others else {
        return "-".to_owned();
    };
    let pairs = runs
        .iter()
        .filter_map(|(repetition, run)| Some((run, others.get(repetition)?)));
    let ratios: Vec<_> = pairs
        .map(|(run, other)| run.mbit_s / other.mbit_s)
        .collect();
    format!("{:.2}", median(&ratios))
}

/// The table of latency.
pub(crate) fn latency(all: &Latencies) -> String {
    let mut text = String::from(
        "contender       added to a packet's way, p50, us: median, least and most of the repetitions\n",
    );
    for (contender, added) in all.iter().filter(|(_, added)| !added.is_empty()) {
        let least = added.iter().copied().fold(f64::INFINITY, f64::min);
        let most = added.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        text += &format!(
            "{:<14}  {:>8.1}  {least:>8.1}  {most:>8.1}\n",
            contender.name(),
            median(added)
        );
    }
    text
}

/// The row of a measurement of throughput in data.csv, below [`DATA_HEAD`].
pub(crate) fn data_row(repetition: u16, cell: &Cell, found: &Throughput) -> String {
    let Cell {
        offloads,
        target,
        frame,
        contender,
    } = cell;
    let Throughput {
        mbit_s,
        packets_s,
        cores,
        retransmits,
    } = found;
    format!(
        "{repetition},{},{offloads},{target},{frame},{mbit_s:.3},{packets_s:.0},{cores:.3},{retransmits}\n",
        contender.name()
    )
}

/// The first line of data.csv.
pub(crate) const DATA_HEAD: &str =
    "repetition,contender,link_offloads,target,frame_bytes,mbit_s,packets_s,cores,retransmits\n";

/// The first line of latency.csv.
pub(crate) const LATENCY_HEAD: &str =
    "repetition,contender,round_trip_p50_us,round_trip_p99_us,added_one_way_p50_us\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_ratios_are_of_repetitions() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(&[4.0, 1.0]) - 2.5).abs() < f64::EPSILON);
        let runs = |mbits: [f64; 3]| -> Runs {
            let of = |mbit_s| Throughput {
                mbit_s,
                ..Throughput::default()
            };
            (1..).zip(mbits.map(of)).collect()
        };
        let cell = |contender| Cell {
            offloads: false,
            target: "pod",
            frame: 256,
            contender,
        };
        let all = Throughputs::from([
            (cell(Contender::Single), runs([10.0, 40.0, 90.0])),
            (cell(Contender::Oor), runs([1.0, 2.0, 3.0])),
        ]);
        let text = throughput(&all);
        let row = text.lines().find(|line| line.contains("single")).unwrap();
        assert!(row.contains("  20.00 ") && row.ends_with('-'), "{row}");
    }
}
