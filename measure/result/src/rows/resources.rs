//! A row of `resources.csv`; `docs/resources.md` describes its columns.

use serde::{Deserialize, Serialize};
use timeline::UnixMicros;

use super::hundredths;

/// What a process used up to the end of a second. Processor time, switches and what the network did are counted from the
/// beginning of the process, of its control group and of its namespace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ResourceRow {
    /// The second's end, microseconds since the Unix epoch.
    pub time_us: UnixMicros,
    /// The role of the process.
    pub role: String,
    /// The process number.
    pub pid: u32,
    /// Processor time in programs, in ticks, from `/proc`.
    pub user_ticks: Option<u64>,
    /// Processor time in the kernel, in ticks, from `/proc`.
    pub system_ticks: Option<u64>,
    /// Scheduler ticks of `/proc` a second.
    pub ticks_hz: Option<u64>,
    /// Percent of one core in this second, from the source.
    #[serde(serialize_with = "hundredths")]
    pub cpu_percent: f64,
    /// Resident memory in bytes, from `/proc`.
    pub rss_bytes: Option<u64>,
    /// Threads, from `/proc`.
    pub threads: Option<u64>,
    /// Switches that its living threads asked for.
    pub voluntary_switches: Option<u64>,
    /// Switches that its living threads did not ask for.
    pub involuntary_switches: Option<u64>,
    /// The cluster that the process counts to: `a`, `b` or `fabric`; empty for none.
    #[serde(default)]
    pub cluster: String,
    /// The source of the figures: `cgroup-v2`, `cgroup-v1`, `cadvisor` or `proc`.
    #[serde(default)]
    pub source: String,
    /// Microseconds since the last sample, by the monotonic clock.
    pub elapsed_us: Option<u64>,
    /// Processor time in microseconds, from the source.
    pub cpu_us: Option<u64>,
    /// Memory in bytes, from the source.
    pub memory_bytes: Option<u64>,
    /// Received by the pod's link.
    pub rx_bytes: Option<u64>,
    /// Received by the pod's link.
    pub rx_packets: Option<u64>,
    /// Dropped by the pod's link on receiving.
    pub rx_dropped: Option<u64>,
    /// Sent by the pod's link.
    pub tx_bytes: Option<u64>,
    /// Sent by the pod's link.
    pub tx_packets: Option<u64>,
    /// Dropped by the pod's link on sending.
    pub tx_dropped: Option<u64>,
    /// Datagrams that no socket took, for whatever reason.
    pub udp_in_errors: Option<u64>,
    /// Datagrams that found the receiving socket's buffer full.
    pub udp_rcvbuf_errors: Option<u64>,
    /// Datagrams that found the sending socket's buffer full.
    pub udp_sndbuf_errors: Option<u64>,
    /// Datagrams with a wrong checksum.
    pub udp_csum_errors: Option<u64>,
    /// TCP segments that were sent again.
    pub tcp_retransmitted: Option<u64>,
    /// Periods in which the cluster met its processor limit.
    pub throttled_periods: Option<u64>,
    /// For how long that limit held its processors back, in microseconds.
    pub throttled_us: Option<u64>,
}
