//! The two files that a sampler writes, and their columns; docs/resources.md describes them.

use std::fs::File;
use std::path::Path;

use anyhow::Context as _;

use crate::result::{RepetitionFolder, cannot_write};

/// The columns of `resources.csv`. Processor time, switches and what the network did are counted from the beginning of
/// the process, of its group and of its namespace.
pub(super) const RESOURCES: [&str; 29] = [
    "time_us",
    "role",
    "pid",
    "user_ticks",
    "system_ticks",
    "ticks_hz",
    "cpu_percent",
    "rss_bytes",
    "threads",
    "voluntary_switches",
    "involuntary_switches",
    "cluster",
    "source",
    "elapsed_us",
    "cpu_us",
    "memory_bytes",
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
    "throttled_periods",
    "throttled_us",
];

/// The columns of `host.csv`. Shares are of all processors together.
const HOST: [&str; 11] = [
    "from_us",
    "to_us",
    "steal_percent",
    "programs_percent",
    "foreign_percent",
    "load1",
    "late_us",
    "late_counts",
    "clock_step_us",
    "disturbed",
    "why",
];

#[derive(Debug)]
pub(super) struct Files {
    pub(super) resources: csv::Writer<File>,
    pub(super) host: csv::Writer<File>,
}

impl Files {
    pub(super) fn create(folder: &RepetitionFolder) -> anyhow::Result<Self> {
        Ok(Self {
            resources: create(&folder.resources_csv(), &RESOURCES)?,
            host: create(&folder.host_csv(), &HOST)?,
        })
    }
}

fn create(path: &Path, columns: &[&str]) -> anyhow::Result<csv::Writer<File>> {
    let file = File::create(path).with_context(|| cannot_write(path))?;
    let mut writer = csv::Writer::from_writer(file);
    writer.write_record(columns)?;
    writer.flush().with_context(|| cannot_write(path))?;
    Ok(writer)
}
