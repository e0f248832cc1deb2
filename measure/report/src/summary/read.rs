//! From the files of a repetition to what the statistics take.

use result::{
    RepetitionFolder, ResourcesMeta,
    rows::{self, EventRow, HostRow, ResourceRow},
};
use stats::{
    Disturbances, ProcessSecond, Usage, Window,
    datagrams::{DatagramReading, Datagrams},
    nodes::{self, NodeReading},
    usage::Counters,
};
use timeline::UnixMicros;

/// The rows of a sampler are a second apart, and it writes a last one at the end.
const ROWS_APART_US: u64 = 2_000_000;

/// What `events.csv` says of an event that the scenario asked for.
const ON_PURPOSE: &str = "on purpose";

/// The disturbed seconds; none where nobody watched the machine. `watched` is the time that somebody did.
pub(crate) fn disturbances(
    folder: &RepetitionFolder,
    watched: Option<Window>,
    notes: &mut Vec<String>,
) -> anyhow::Result<Option<Disturbances>> {
    let found = rows::read::<HostRow>(&folder.host_csv())?;
    let ends = found
        .as_ref()
        .map(|found| last(&found.rows, |row| row.to_us));
    let unknown = "whether the machine was disturbed is unknown";
    notes.extend(lacking("host.csv", ends, watched, unknown));
    let Some(found) = found else {
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

/// Something that was done on purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The time of the deed.
    pub at: UnixMicros,
    /// The deed, as the scenario file has it.
    pub what: String,
    /// Whom it was done to.
    pub who: String,
}

/// What was done on purpose in `window`.
pub(super) fn faults(folder: &RepetitionFolder, window: Window) -> anyhow::Result<Vec<Fault>> {
    let events = rows::read::<EventRow>(&folder.events_csv())?.unwrap_or_default();
    let events = events.rows.into_iter();
    let on_purpose =
        events.filter(|row| row.detail == ON_PURPOSE && window.contains(row.time_us.0));
    let faults = on_purpose.map(|row| Fault {
        at: row.time_us,
        what: row.event,
        who: row.who,
    });
    Ok(faults.collect())
}

/// That the run waited in vain for its last frames, in words.
pub(super) fn gave_up(folder: &RepetitionFolder) -> anyhow::Result<Vec<String>> {
    let events = rows::read::<EventRow>(&folder.events_csv())?.unwrap_or_default();
    let events = events.rows.into_iter();
    let given_up = events.filter(|row| row.event == EventRow::GAVE_UP);
    Ok(given_up
        .map(|row| {
            format!(
                "the run gave up waiting for its last frames: {}",
                row.detail
            )
        })
        .collect())
}

/// Every step of the wall clock that a second of the repetition saw, microseconds, in order.
pub(super) fn clock_steps(folder: &RepetitionFolder) -> anyhow::Result<Vec<i64>> {
    let rows = rows::read::<HostRow>(&folder.host_csv())?
        .unwrap_or_default()
        .rows;
    Ok(rows.iter().map(|row| row.clock_step_us).collect())
}

/// What the clusters used in `window`; nothing where there are none. `watched` is the time that somebody kept count.
pub(super) fn usage(
    folder: &RepetitionFolder,
    window: Window,
    watched: Option<Window>,
    meta: Option<&ResourcesMeta>,
    notes: &mut Vec<String>,
) -> anyhow::Result<Usage> {
    let found = rows::read::<ResourceRow>(&folder.resources_csv())?;
    let ends = found
        .as_ref()
        .map(|found| last(&found.rows, |row| row.time_us));
    let unknown = "what the processes used is unknown";
    notes.extend(lacking("resources.csv", ends, watched, unknown));
    let found = found.unwrap_or_default();
    if found.cut_off {
        notes.push(cut_off("resources.csv"));
    }
    let of_nodes = found.rows.iter().filter_map(|row| node(row, meta?));
    let of_nodes: Vec<_> = of_nodes.collect();
    let on_host = meta.is_none() && found.rows.iter().all(|row| row.cluster.is_empty());
    let host = on_host.then(|| Datagrams::lost(&host(&found.rows), window));
    let rows: Vec<_> = found.rows.into_iter().filter_map(process).collect();
    Ok(Usage {
        nodes: nodes::of(&of_nodes, window),
        host: host.flatten(),
        ..Usage::of(&rows, window)
    })
}

/// What UDP of the host's namespace had lost by the end of each second: each of its processes says the same, one a moment after the other.
fn host(rows: &[ResourceRow]) -> Vec<DatagramReading> {
    let passes = rows.chunk_by(|one, two| one.time_us == two.time_us);
    let readings = passes.filter_map(|pass| {
        let last = |counter: fn(&ResourceRow) -> Option<u64>| pass.iter().filter_map(counter).max();
        Some(DatagramReading {
            to_us: pass[0].time_us.0,
            elapsed_us: last(|row| row.elapsed_us)?,
            counted: Datagrams {
                in_errors: last(|row| row.udp_in_errors)?,
                rcvbuf_errors: last(|row| row.udp_rcvbuf_errors)?,
                sndbuf_errors: last(|row| row.udp_sndbuf_errors)?,
                csum_errors: last(|row| row.udp_csum_errors)?,
            },
        })
    });
    readings.collect()
}

/// The reading of a whole node; none where the row is no node's.
fn node(row: &ResourceRow, meta: &ResourcesMeta) -> Option<NodeReading> {
    let of = meta.nodes.get(&row.role)?;
    Some(NodeReading {
        to_us: row.time_us.0,
        elapsed_us: row.elapsed_us?,
        node: row.role.clone(),
        cluster: of.cluster.clone(),
        cpu_millis: row.cpu_percent * 10.0,
        memory_bytes: row.memory_bytes? as f64,
        has_cpu_millis: of.cpu_millis as f64,
        has_memory_bytes: of.memory_bytes as f64,
    })
}

/// The latest time of some rows, microseconds since the Unix epoch.
fn last<T>(rows: &[T], at: fn(&T) -> UnixMicros) -> u64 {
    rows.iter().map(|row| at(row).0).max().unwrap_or(0)
}

/// What a file lacks whose rows end at `ends` (none: it is not there) and should have gone on through `watched`.
fn lacking(
    file: &str,
    ends: Option<u64>,
    watched: Option<Window>,
    unknown: &str,
) -> Option<String> {
    let watched = watched?;
    let Some(ends_us) = ends else {
        return Some(format!("there is no {file}: {unknown}"));
    };
    let begins_us = ends_us.max(watched.from_us);
    let short_us = watched.to_us.saturating_sub(begins_us);
    (short_us > ROWS_APART_US).then(|| {
        let short_s = short_us as f64 / 1e6;
        format!("{file} lacks the last {short_s:.0} measured seconds, of which {unknown}: it was cut off after the run")
    })
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
