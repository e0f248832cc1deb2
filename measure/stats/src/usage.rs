//! What the clusters used, second by second.
//!
//! A second counts by the part of it that lies in the measured window: a reading that comes late makes one long second and one short
//! one, and the ones at the edges have something of the warm-up or of the end. Disturbed seconds are among them: what a cluster used
//! is what it used, whoever else was at work.

use std::collections::{BTreeMap, BTreeSet};

use super::Window;
use super::datagrams::Datagrams;
use super::nodes::NodesSecond;

/// What a cluster has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClusterSize {
    /// Processors, in thousandths of one.
    pub cpu_millis: u32,
    /// Memory in use, in bytes.
    pub memory_bytes: u64,
}

/// A cluster of the paper (arXiv 2405.00558); percentages are of it, whatever the machine has.
pub const CLUSTER: ClusterSize = ClusterSize {
    cpu_millis: 2_000,
    memory_bytes: 4 << 30,
};

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
    /// Bits received a second, Ethernet headers included.
    pub rx_bps: f64,
    /// Bits sent a second, Ethernet headers included.
    pub tx_bps: f64,
    /// Packets received a second.
    pub rx_packets_per_s: f64,
    /// Packets sent a second.
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

impl NetworkSecond {
    /// What is counted and is no rate.
    const fn counts(&mut self) -> [&mut u64; 6] {
        [
            &mut self.dropped,
            &mut self.udp_in_errors,
            &mut self.udp_rcvbuf_errors,
            &mut self.udp_sndbuf_errors,
            &mut self.udp_csum_errors,
            &mut self.tcp_retransmitted,
        ]
    }

    fn add(&mut self, other: &Self) {
        self.rx_bps += other.rx_bps;
        self.tx_bps += other.tx_bps;
        self.rx_packets_per_s += other.rx_packets_per_s;
        self.tx_packets_per_s += other.tx_packets_per_s;
        self.dropped += other.dropped;
        self.udp_in_errors += other.udp_in_errors;
        self.udp_rcvbuf_errors += other.udp_rcvbuf_errors;
        self.udp_sndbuf_errors += other.udp_sndbuf_errors;
        self.udp_csum_errors += other.udp_csum_errors;
        self.tcp_retransmitted += other.tcp_retransmitted;
    }
}

/// One second of the lab.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UsageSecond {
    /// The end of the second, microseconds since the Unix epoch.
    pub to_us: u64,
    /// Seconds of it that were measured: what it weighs.
    pub measured_s: f64,
    /// The use of cluster A.
    pub a: ClusterSecond,
    /// The use of cluster B; none where everything is in one cluster.
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

    /// Leaves that part of what was counted in it; rates are what they are.
    fn count_part(&mut self, part: f64) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a part of a count, which is far below 2^53"
        )]
        let of = |count: &mut u64| *count = (*count as f64 * part).round() as u64;
        for cluster in [Some(&mut self.a), self.b.as_mut()].into_iter().flatten() {
            of(&mut cluster.throttled_us);
            if let Some(network) = &mut cluster.network {
                network.counts().into_iter().for_each(of);
            }
        }
        let fabric = self.fabric.values_mut();
        fabric.for_each(|process| of(&mut process.udp_rcvbuf_errors));
    }
}

/// What the clusters used while it was measured, in one repetition or several.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    /// In order of time within a repetition; empty where there are no clusters.
    pub seconds: Vec<UsageSecond>,
    /// Where the figures came from: `cgroup-v2`, `cgroup-v1`, `cadvisor`, `proc`.
    pub sources: BTreeSet<String>,
    /// What whole nodes used; empty where nobody measured any.
    pub nodes: Vec<NodesSecond>,
    /// What UDP of the host lost; none where the processes ran in clusters, and where nobody counted.
    pub host: Option<Datagrams>,
}

impl Usage {
    /// Of what each process used, in the order of time.
    pub fn of(rows: &[ProcessSecond], window: Window) -> Self {
        let has_b = rows.iter().any(|row| row.cluster == "b");
        let mut before = Before::default();
        let mut usage = Self::default();
        for pass in rows.chunk_by(|one, two| one.to_us == two.to_us) {
            // Counters go on whether or not the second is of interest.
            let mut second = second(pass, has_b, &mut before);
            let of = Window::ending(pass[0].to_us, pass[0].elapsed_us);
            second.measured_s = of.overlap_s(window);
            if second.measured_s > 0.0 {
                second.count_part(second.measured_s / of.seconds());
                usage.seconds.push(second);
                usage
                    .sources
                    .extend(pass.iter().map(|row| row.source.clone()));
            }
        }
        usage
    }

    /// Adds the use of another repetition.
    pub fn merge(&mut self, other: Self) {
        self.seconds.extend(other.seconds);
        self.sources.extend(other.sources);
        self.nodes.extend(other.nodes);
        if let Some(other) = other.host {
            self.host.get_or_insert_default().add(other);
        }
    }
}

/// What a process of a cluster or of the fabric used up to the end of a second.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProcessSecond {
    /// The second's end, microseconds since the Unix epoch.
    pub to_us: u64,
    /// The length of the interval by the monotonic clock, in microseconds.
    pub elapsed_us: u64,
    /// The role of the process.
    pub role: String,
    /// The process number.
    pub pid: u32,
    /// The cluster of the process: `a` or `b`; anything else is the fabric.
    pub cluster: String,
    /// Where processor time and memory come from: `cgroup-v2`, `cgroup-v1`, `cadvisor`, `proc`.
    pub source: String,
    /// Percent of one core in this second.
    pub cpu_percent: f64,
    /// Memory in bytes at the second's end.
    pub memory_bytes: u64,
    /// What is counted from the process's beginning; none where nobody counts it.
    pub counters: Counters,
}

/// Counters that are taken from second to second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Bytes that its pod received.
    pub rx_bytes: Option<u64>,
    /// Packets that its pod received.
    pub rx_packets: Option<u64>,
    /// Packets that its pod's link dropped on receiving.
    pub rx_dropped: Option<u64>,
    /// Bytes that its pod sent.
    pub tx_bytes: Option<u64>,
    /// Packets that its pod sent.
    pub tx_packets: Option<u64>,
    /// Packets that its pod's link dropped on sending.
    pub tx_dropped: Option<u64>,
    /// Datagrams that no socket took.
    pub udp_in_errors: Option<u64>,
    /// Datagrams that found the receiving socket's buffer full.
    pub udp_rcvbuf_errors: Option<u64>,
    /// Datagrams that found the sending socket's buffer full.
    pub udp_sndbuf_errors: Option<u64>,
    /// Datagrams with a wrong checksum.
    pub udp_csum_errors: Option<u64>,
    /// TCP segments that were sent again.
    pub tcp_retransmitted: Option<u64>,
    /// For how long its cluster's limit held processors back, in microseconds.
    pub throttled_us: Option<u64>,
    /// Switches from one of its living threads to another thread.
    pub switches: Option<u64>,
}

/// By process, or by pod or cluster, and name: the last value of each counter.
#[derive(Debug, Default)]
struct Before(BTreeMap<(String, &'static str), u64>);

impl Before {
    /// How far a counter came since the last second; nothing the first time. It began anew where it fell.
    fn advance(&mut self, whose: &str, name: &'static str, now: Option<u64>) -> u64 {
        self.step(whose, name, now).map_or(
            0,
            |(before, now)| {
                if before <= now { now - before } else { now }
            },
        )
    }

    /// The growth of a counter that falls where a part of what it counts has ended.
    fn growth(&mut self, whose: &str, name: &'static str, now: Option<u64>) -> u64 {
        self.step(whose, name, now)
            .map_or(0, |(before, now)| now.saturating_sub(before))
    }

    fn step(&mut self, whose: &str, name: &'static str, now: Option<u64>) -> Option<(u64, u64)> {
        let now = now?;
        let before = self.0.insert((whose.to_owned(), name), now)?;
        Some((before, now))
    }
}

fn second(pass: &[ProcessSecond], has_b: bool, before: &mut Before) -> UsageSecond {
    let mut second = UsageSecond {
        to_us: pass[0].to_us,
        b: has_b.then(ClusterSecond::default),
        ..UsageSecond::default()
    };
    let elapsed_s = pass[0].elapsed_us.max(1) as f64 / 1e6;
    // One that was restarted in this second has two rows, and its group's memory stands in both.
    let mut memory: BTreeMap<&str, f64> = BTreeMap::new();
    for row in pass {
        let cpu_percent = row.cpu_percent * 1_000.0 / f64::from(CLUSTER.cpu_millis);
        let memory_percent = row.memory_bytes as f64 / CLUSTER.memory_bytes as f64 * 100.0;
        let of_role = memory.entry(&row.role).or_default();
        let more = (memory_percent - *of_role).max(0.0);
        *of_role += more;
        let now = &row.counters;
        // A process's switches are counted for each process, what limits a cluster once for all of its pods.
        let process = format!("{} {}", row.role, row.pid);
        let switches = before.growth(&process, "switches", now.switches);
        let throttled_us = before.advance(&row.cluster, "throttled_us", now.throttled_us);
        let mut of_pod = |name, now| before.advance(&row.role, name, now);
        let counted = NetworkSecond {
            rx_bps: of_pod("rx_bytes", now.rx_bytes) as f64 / elapsed_s * 8.0,
            tx_bps: of_pod("tx_bytes", now.tx_bytes) as f64 / elapsed_s * 8.0,
            rx_packets_per_s: of_pod("rx_packets", now.rx_packets) as f64 / elapsed_s,
            tx_packets_per_s: of_pod("tx_packets", now.tx_packets) as f64 / elapsed_s,
            dropped: of_pod("rx_dropped", now.rx_dropped) + of_pod("tx_dropped", now.tx_dropped),
            udp_in_errors: of_pod("udp_in_errors", now.udp_in_errors),
            udp_rcvbuf_errors: of_pod("udp_rcvbuf_errors", now.udp_rcvbuf_errors),
            udp_sndbuf_errors: of_pod("udp_sndbuf_errors", now.udp_sndbuf_errors),
            udp_csum_errors: of_pod("udp_csum_errors", now.udp_csum_errors),
            tcp_retransmitted: of_pod("tcp_retransmitted", now.tcp_retransmitted),
        };
        let cluster = match (row.cluster.as_str(), &mut second.b) {
            ("a", _) => &mut second.a,
            ("b", Some(b)) => b,
            _ => {
                let process = second.fabric.entry(row.role.clone()).or_default();
                process.cpu_percent += cpu_percent;
                process.memory_percent += more;
                process.udp_rcvbuf_errors += counted.udp_rcvbuf_errors;
                continue;
            }
        };
        cluster.cpu_percent += cpu_percent;
        cluster.memory_percent += more;
        cluster.switches_per_s += switches as f64 / elapsed_s;
        cluster.throttled_us += throttled_us;
        if now.rx_bytes.is_some() {
            cluster.network.get_or_insert_default().add(&counted);
        }
    }
    second
}

#[cfg(test)]
#[path = "usage_tests.rs"]
mod tests;
