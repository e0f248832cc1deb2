//! From the files of a repetition to what the statistics take.

use result::{
    RepetitionFolder,
    rows::{self, HostRow, ResourceRow},
};
use stats::{Disturbances, ProcessSecond, Usage, Window, usage::Counters};

/// The disturbed seconds; none where nobody watched the machine.
pub(super) fn disturbances(
    folder: &RepetitionFolder,
    notes: &mut Vec<String>,
) -> anyhow::Result<Option<Disturbances>> {
    let Some(found) = rows::read::<HostRow>(&folder.host_csv())? else {
        return Ok(None);
    };
    if found.cut_off {
        notes.push(cut_off("host.csv"));
    }
    let disturbed = found.rows.into_iter().filter(|row| row.disturbed);
    let spans = disturbed.map(|row| Window {
        from_us: row.from_us.0,
        to_us: row.to_us.0,
    });
    Ok(Some(Disturbances::new(spans.collect())))
}

/// What the clusters used in `window`; nothing where there are none.
pub(super) fn usage(
    folder: &RepetitionFolder,
    window: Window,
    notes: &mut Vec<String>,
) -> anyhow::Result<Usage> {
    let found = rows::read::<ResourceRow>(&folder.resources_csv())?.unwrap_or_default();
    if found.cut_off {
        notes.push(cut_off("resources.csv"));
    }
    let rows: Vec<_> = found.rows.into_iter().filter_map(process).collect();
    Ok(Usage::of(&rows, window))
}

fn cut_off(file: &str) -> String {
    format!("{file} ends in the middle of a line, which was left out")
}

/// The second of a process; none where the process is in no cluster.
fn process(row: ResourceRow) -> Option<ProcessSecond> {
    (!row.cluster.is_empty()).then_some(())?;
    Some(ProcessSecond {
        to_us: row.time_us.0,
        elapsed_us: row.elapsed_us?,
        role: row.role,
        pid: row.pid,
        cluster: row.cluster,
        source: row.source,
        cpu_percent: row.cpu_percent,
        memory_bytes: row.memory_bytes?,
        counters: Counters {
            rx_bytes: row.rx_bytes,
            rx_packets: row.rx_packets,
            rx_dropped: row.rx_dropped,
            tx_bytes: row.tx_bytes,
            tx_packets: row.tx_packets,
            tx_dropped: row.tx_dropped,
            udp_in_errors: row.udp_in_errors,
            udp_rcvbuf_errors: row.udp_rcvbuf_errors,
            udp_sndbuf_errors: row.udp_sndbuf_errors,
            udp_csum_errors: row.udp_csum_errors,
            tcp_retransmitted: row.tcp_retransmitted,
            throttled_us: row.throttled_us,
            switches: row
                .voluntary_switches
                .zip(row.involuntary_switches)
                .map(|(one, two)| one + two),
        },
    })
}
