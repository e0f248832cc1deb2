//! What the clusters used, second by second, from `resources.csv`.
//!
//! A second belongs to the measured window if its middle does. Disturbed seconds are among them: what a cluster used is what
//! it used, whoever else was at work.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Context as _;
use testbed::cgroup::Limits;

use super::Window;

/// A cluster of the paper has 2 vCPU and 4 GB (arXiv 2405.00558); percentages are of these, whatever the machine has.
pub const CLUSTER: Limits = Limits::PAPER;

/// Shorter ones are the rest at a repetition's end, in which processes end and give their memory back; in microseconds.
const MIN_SECOND_US: u64 = 900_000;

/// What one cluster's pods used in one second, all of them together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ClusterSecond {
    /// In percent of [`CLUSTER`]'s processors.
    pub cpu_percent: f64,
    /// In percent of [`CLUSTER`]'s memory, at the second's end.
    pub memory_percent: f64,
    /// Switches from one thread to another, wanted and not, a second.
    pub switches_per_s: f64,
    /// What crossed the links of its pods; none where they have none of their own.
    pub network: Option<NetworkSecond>,
    /// For how long its limit held its processors back, in microseconds.
    pub throttled_us: u64,
}

/// What crossed the links of a cluster's pods in one second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct NetworkSecond {
    /// Received, in bits a second, Ethernet headers included.
    pub rx_bps: f64,
    /// Sent.
    pub tx_bps: f64,
    /// Received, in packets a second.
    pub rx_packets_per_s: f64,
    /// Sent.
    pub tx_packets_per_s: f64,
    /// Packets that the links dropped, both ways.
    pub dropped: u64,
    /// Datagrams that no socket took, for whatever reason.
    pub udp_in_errors: u64,
    /// Datagrams that found the receiving socket's buffer full.
    pub udp_rcvbuf_errors: u64,
    /// Datagrams that found the sending socket's buffer full.
    pub udp_sndbuf_errors: u64,
    /// Datagrams with a wrong checksum.
    pub udp_csum_errors: u64,
    /// TCP segments that were sent again.
    pub tcp_retransmitted: u64,
}

/// One second of the lab.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UsageSecond {
    /// Its end, microseconds since the Unix epoch.
    pub to_us: u64,
    /// Cluster A.
    pub a: ClusterSecond,
    /// Cluster B; none where everything is in one.
    pub b: Option<ClusterSecond>,
    /// The fabric's processes, by role.
    pub fabric: BTreeMap<String, FabricSecond>,
}

/// What a process of the fabric used in one second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FabricSecond {
    /// In percent of [`CLUSTER`]'s processors.
    pub cpu_percent: f64,
    /// In percent of [`CLUSTER`]'s memory, at the second's end.
    pub memory_percent: f64,
    /// Datagrams of its namespace that found the receiving socket's buffer full: packets that a tunnel lost.
    pub udp_rcvbuf_errors: u64,
}

impl UsageSecond {
    /// A figure of this second, the mean of both clusters; of the one where there is one.
    pub fn mean(&self, figure: impl Fn(&ClusterSecond) -> f64) -> f64 {
        match &self.b {
            Some(b) => f64::midpoint(figure(&self.a), figure(b)),
            None => figure(&self.a),
        }
    }
}

/// What the clusters used while it was measured, in one repetition or several.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    /// In order of time within a repetition; empty where there are no clusters.
    pub seconds: Vec<UsageSecond>,
    /// Where the figures came from: `cgroup-v2`, `cgroup-v1`, `proc`.
    pub sources: BTreeSet<String>,
}

impl Usage {
    /// Reads `resources.csv`; nothing where there is none, or none with clusters.
    pub fn read(path: &Path, window: Window) -> anyhow::Result<Self> {
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self::parse(&text, window))
    }

    /// Adds another repetition.
    pub fn merge(&mut self, other: Self) {
        self.seconds.extend(other.seconds);
        self.sources.extend(other.sources);
    }

    fn parse(text: &str, window: Window) -> Self {
        // A crash may cut the last line off.
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        let mut reader = csv::ReaderBuilder::new().from_reader(whole.as_bytes());
        let Ok(headers) = reader.headers().cloned() else {
            return Self::default();
        };
        let rows: Vec<Row> = reader
            .records()
            .filter_map(|record| Row::of(&headers, &record.ok()?))
            .collect();
        let has_b = rows.iter().any(|row| row.cluster == "b");
        let mut counters = BTreeMap::new();
        let mut usage = Self::default();
        for pass in rows.chunk_by(|one, two| one.at_us == two.at_us) {
            // Counters go on whether or not the second is of interest.
            let second = second(pass, has_b, &mut counters);
            let middle = pass[0].at_us.saturating_sub(pass[0].elapsed_us / 2);
            if window.contains(middle) && pass[0].elapsed_us >= MIN_SECOND_US {
                usage.seconds.push(second);
                usage
                    .sources
                    .extend(pass.iter().map(|row| row.source.clone()));
            }
        }
        usage
    }
}

/// The counters of `resources.csv` that are taken from second to second, by column.
const COUNTERS: [&str; 13] = [
    "rx_bytes",
    "rx_packets",
    "rx_dropped",
    "tx_bytes",
    "tx_packets",
    "tx_dropped",
    "udp_in_errors",
    "udp_rcvbuf_errors",
    "udp_sndbuf_errors",
    "udp_csum_errors",
    "tcp_retransmitted",
    "throttled_us",
    "switches",
];

/// A line of a process that belongs to a cluster or to the fabric.
struct Row {
    at_us: u64,
    elapsed_us: u64,
    role: String,
    pid: u64,
    cluster: String,
    source: String,
    cpu_percent: f64,
    memory_bytes: u64,
    counters: [Option<u64>; COUNTERS.len()],
}

impl Row {
    fn of(headers: &csv::StringRecord, record: &csv::StringRecord) -> Option<Self> {
        let text = |name: &str| {
            let place = headers.iter().position(|header| header == name)?;
            record.get(place)
        };
        let number = |name: &str| text(name)?.parse::<u64>().ok();
        let cluster = text("cluster").filter(|cluster| !cluster.is_empty())?;
        let switches = number("voluntary_switches")
            .zip(number("involuntary_switches"))
            .map(|(one, two)| one + two);
        Some(Self {
            at_us: number("time_us")?,
            elapsed_us: number("elapsed_us")?,
            role: text("role")?.to_owned(),
            pid: number("pid")?,
            cluster: cluster.to_owned(),
            source: text("source")?.to_owned(),
            cpu_percent: text("cpu_percent")?.parse().ok()?,
            memory_bytes: number("memory_bytes")?,
            counters: COUNTERS.map(|name| match name {
                "switches" => switches,
                name => number(name),
            }),
        })
    }
}

/// By process, or by pod or cluster: the last value of each counter.
type Counters = BTreeMap<(String, &'static str), u64>;

/// How far a counter came since the last second; nothing the first time, and from zero where it began anew.
/// Switches are those of living threads: where there are fewer, a thread has ended.
fn advance(counters: &mut Counters, whose: String, name: &'static str, now: Option<u64>) -> u64 {
    let Some(now) = now else {
        return 0;
    };
    match counters.insert((whose, name), now) {
        Some(before) if before <= now => now - before,
        Some(_) if name == "switches" => 0,
        Some(_) => now,
        None => 0,
    }
}

fn second(pass: &[Row], has_b: bool, counters: &mut Counters) -> UsageSecond {
    let mut second = UsageSecond {
        to_us: pass[0].at_us,
        b: has_b.then(ClusterSecond::default),
        ..UsageSecond::default()
    };
    let elapsed_s = pass[0].elapsed_us.max(1) as f64 / 1e6;
    let cpu_percent = |row: &Row| row.cpu_percent * 1_000.0 / f64::from(CLUSTER.cpu_millis);
    let memory_percent = |row: &Row| row.memory_bytes as f64 / CLUSTER.memory_bytes as f64 * 100.0;
    // One that was restarted in this second has two lines, and its group's memory stands in both.
    let mut memory: BTreeMap<&str, f64> = BTreeMap::new();
    for row in pass {
        let of_role = memory.entry(&row.role).or_default();
        let more = (memory_percent(row) - *of_role).max(0.0);
        *of_role += more;
        let count = COUNTERS.map(|name| {
            let now = row.counters[place(name)];
            let whose = match name {
                // What limits a cluster is counted once for all of its pods, a process's switches for each process.
                "throttled_us" => row.cluster.clone(),
                "switches" => format!("{} {}", row.role, row.pid),
                _ => row.role.clone(),
            };
            advance(counters, whose, name, now)
        });
        let of = |name| count[place(name)];
        let cluster = match (row.cluster.as_str(), &mut second.b) {
            ("a", _) => &mut second.a,
            ("b", Some(b)) => b,
            _ => {
                let process = second.fabric.entry(row.role.clone()).or_default();
                process.cpu_percent += cpu_percent(row);
                process.memory_percent += more;
                process.udp_rcvbuf_errors += of("udp_rcvbuf_errors");
                continue;
            }
        };
        cluster.cpu_percent += cpu_percent(row);
        cluster.memory_percent += more;
        cluster.switches_per_s += of("switches") as f64 / elapsed_s;
        cluster.throttled_us += of("throttled_us");
        if row.counters[place("rx_bytes")].is_none() {
            continue;
        }
        let rate = |name| of(name) as f64 / elapsed_s;
        let network = cluster.network.get_or_insert_default();
        network.rx_bps += rate("rx_bytes") * 8.0;
        network.tx_bps += rate("tx_bytes") * 8.0;
        network.rx_packets_per_s += rate("rx_packets");
        network.tx_packets_per_s += rate("tx_packets");
        network.dropped += of("rx_dropped") + of("tx_dropped");
        network.udp_in_errors += of("udp_in_errors");
        network.udp_rcvbuf_errors += of("udp_rcvbuf_errors");
        network.udp_sndbuf_errors += of("udp_sndbuf_errors");
        network.udp_csum_errors += of("udp_csum_errors");
        network.tcp_retransmitted += of("tcp_retransmitted");
    }
    second
}

/// Where a counter stands in [`COUNTERS`].
fn place(name: &str) -> usize {
    COUNTERS
        .iter()
        .position(|one| *one == name)
        .expect("every name in this file is one of them")
}

#[cfg(test)]
#[path = "usage_tests.rs"]
mod tests;
