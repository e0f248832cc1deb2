//! What the clusters used, as percentiles over the seconds that were measured.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Note, NoteKind};
use result::{MachineState, ResourcesMeta};
use stats::{
    datagrams::Datagrams,
    nodes::{NodeShare, NodesSecond},
    usage::{CLUSTER, ClusterSecond, FabricSecond, NetworkSecond, Usage},
    weighted_quantile,
};

/// What the clusters of a scenario used: their pods' processes only, over all measured seconds, disturbed ones too. Null
/// where the processes ran on the host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Resources {
    /// Processor use in percent of a cluster's 2 vCPU: 100 is both of them busy.
    pub cpu_percent: Option<PerCluster>,
    /// Memory in percent of a cluster's 4 GiB.
    pub memory_percent: Option<PerCluster>,
    /// Context switches a second.
    pub switches_per_s: Option<PerCluster>,
    /// Traffic of the pods' links, by cluster.
    #[serde(default)]
    pub network: BTreeMap<String, Network>,
    /// Gateways, tunnels and the WAN, by role; no cluster's figures have them.
    #[serde(default)]
    pub fabric_processes: BTreeMap<String, FabricProcess>,
    /// The source of the figures: `cgroup-v2`, `cgroup-v1`, `cadvisor`, `proc`, or several.
    pub resources_source: Option<String>,
    /// The limits that held for each cluster: `cpu`, `memory`.
    #[serde(default)]
    #[schemars(extend("items" = json!({ "enum": ["cpu", "memory"] })))]
    pub limits: Vec<String>,
    /// Whether the machine has fewer cores than the clusters are given.
    pub oversubscribed: Option<bool>,
    /// The missing cores in words; null where none are missing.
    pub oversubscribed_why: Option<String>,
    /// Seconds for which a limit held the processors back, by cluster, summed over cores.
    #[serde(default)]
    #[schemars(extend("additionalProperties" = json!({ "type": "number", "minimum": 0 })))]
    pub throttled_s: BTreeMap<String, f64>,
    /// Whole nodes, with everything that runs on them, as the paper's figures are; null where nobody measured any.
    #[serde(default)]
    pub nodes: Option<Nodes>,
    /// What UDP of the host lost, of all its programs; null where the processes ran in clusters, and where nobody counted.
    #[serde(default)]
    pub host_udp: Option<HostUdp>,
}

/// Datagrams that UDP of the host lost in the measured time, those of every program on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HostUdp {
    /// Datagrams that no socket took, for whatever reason.
    pub in_errors: u64,
    /// Datagrams that found the receiving socket's buffer full.
    pub rcvbuf_errors: u64,
    /// Datagrams that found the sending socket's buffer full.
    pub sndbuf_errors: u64,
    /// Datagrams with a wrong checksum.
    pub csum_errors: u64,
}

impl From<Datagrams> for HostUdp {
    fn from(lost: Datagrams) -> Self {
        Self {
            in_errors: lost.in_errors,
            rcvbuf_errors: lost.rcvbuf_errors,
            sndbuf_errors: lost.sndbuf_errors,
            csum_errors: lost.csum_errors,
        }
    }
}

/// What the nodes of the clusters used, in percent of what these nodes have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Nodes {
    /// Processor use of all nodes of a cluster together.
    pub cpu_percent: PerCluster,
    /// Memory of all nodes of a cluster together.
    pub memory_percent: PerCluster,
    /// Each node, by its role in `resources.csv`.
    pub each: BTreeMap<String, Node>,
}

/// A node of a cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Node {
    /// The node's name in its cluster.
    pub name: String,
    /// The cluster: `a` or `b`.
    pub cluster: String,
    /// Processors that the node has.
    #[schemars(range(min = 0))]
    pub cpus: f64,
    /// Memory that the node has, in bytes.
    pub memory_bytes: u64,
    /// Processor use in percent of those.
    pub cpu_percent: Spread,
    /// Memory in percent of that.
    pub memory_percent: Spread,
}

/// A figure of each cluster.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PerCluster {
    /// Cluster A.
    pub a: Spread,
    /// Cluster B; null where everything is in one.
    pub b: Option<Spread>,
    /// The mean of both in each second; of cluster A alone where there is one.
    pub mean: Spread,
}

/// How a figure is spread over seconds. Each is a value that was seen: the smallest that so many seconds do not exceed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Spread {
    /// The value that 5 in 100 seconds do not exceed.
    #[schemars(range(min = 0))]
    pub p5: f64,
    /// The value that a quarter of the seconds do not exceed.
    #[schemars(range(min = 0))]
    pub p25: f64,
    /// The value that half of the seconds do not exceed.
    #[schemars(range(min = 0))]
    pub p50: f64,
    /// The value that three quarters of the seconds do not exceed.
    #[schemars(range(min = 0))]
    pub p75: f64,
    /// The value that 95 in 100 seconds do not exceed.
    #[schemars(range(min = 0))]
    pub p95: f64,
    /// The largest value.
    #[schemars(range(min = 0))]
    pub max: f64,
}

/// What crossed the links of a cluster's pods, all of them together; Ethernet headers included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Network {
    /// Received bits a second, p50 over seconds.
    #[schemars(range(min = 0))]
    pub rx_bps: f64,
    /// Sent bits a second, p50 over seconds.
    #[schemars(range(min = 0))]
    pub tx_bps: f64,
    /// Received packets a second, p50 over seconds.
    #[schemars(range(min = 0))]
    pub rx_packets_per_s: f64,
    /// Sent packets a second, p50 over seconds.
    #[schemars(range(min = 0))]
    pub tx_packets_per_s: f64,
    /// Packets that the links dropped, in all.
    pub dropped: u64,
    /// Datagrams that no socket took, for whatever reason, in all.
    pub udp_in_errors: u64,
    /// Datagrams that found the receiving socket's buffer full, in all.
    pub udp_rcvbuf_errors: u64,
    /// Datagrams that found the sending socket's buffer full, in all.
    pub udp_sndbuf_errors: u64,
    /// Datagrams with a wrong checksum, in all.
    pub udp_csum_errors: u64,
    /// TCP segments that were sent again, in all.
    pub tcp_retransmitted: u64,
}

/// What a process of the fabric used; p50 over seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FabricProcess {
    /// Processor use in percent of 2 vCPU, as that of a cluster.
    #[schemars(range(min = 0))]
    pub cpu_percent_p50: f64,
    /// Memory in percent of 4 GiB.
    #[schemars(range(min = 0))]
    pub memory_percent_p50: f64,
    /// Datagrams that found the receiving socket's buffer full, in all: packets that a tunnel lost.
    #[serde(default)]
    pub udp_rcvbuf_errors: u64,
}

impl Spread {
    /// The spread of some values, each with what it weighs; none of no value.
    pub fn of(values: impl IntoIterator<Item = (f64, f64)>) -> Option<Self> {
        let mut values: Vec<(f64, f64)> = values.into_iter().collect();
        values.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        let at = |percent: usize| {
            // Beyond that it is noise, and makes the file hard to read.
            weighted_quantile(&values, percent * 10).map(|value| (value * 1e3).round() / 1e3)
        };
        Some(Self {
            p5: at(5)?,
            p25: at(25)?,
            p50: at(50)?,
            p75: at(75)?,
            p95: at(95)?,
            max: at(100)?,
        })
    }
}

/// What was used on a machine of so many cores, and what a reader must know of it.
pub(super) fn resources(
    usage: &Usage,
    meta: Option<&ResourcesMeta>,
    cores: u32,
) -> (Resources, Vec<Note>) {
    let nodes = meta.and_then(|meta| nodes(usage, meta));
    let Some(first) = usage.seconds.first() else {
        let only_nodes = Resources {
            nodes,
            host_udp: usage.host.map(HostUdp::from),
            ..Resources::default()
        };
        return (only_nodes, meta.into_iter().filter_map(lacking).collect());
    };
    let per_cluster = |figure: fn(&ClusterSecond) -> f64| {
        let seconds = &usage.seconds;
        Some(PerCluster {
            a: Spread::of(seconds.iter().map(|of| (figure(&of.a), of.measured_s)))?,
            b: Spread::of(
                seconds
                    .iter()
                    .filter_map(|of| Some((figure(of.b.as_ref()?), of.measured_s))),
            ),
            mean: Spread::of(seconds.iter().map(|of| (of.mean(figure), of.measured_s)))?,
        })
    };
    let clusters: u32 = if first.b.is_some() { 2 } else { 1 };
    let given = clusters * CLUSTER.cpu_millis / 1_000;
    // Where kubelets were asked, the cores of this machine are not the clusters'.
    let asks_kubelets = meta.is_some_and(|meta| meta.kubelets);
    let oversubscribed = !asks_kubelets && cores < given;
    let resources = Resources {
        cpu_percent: per_cluster(|of| of.cpu_percent),
        memory_percent: per_cluster(|of| of.memory_percent),
        switches_per_s: per_cluster(|of| of.switches_per_s),
        network: by_cluster(usage, |seconds| network(&seconds)),
        fabric_processes: fabric(usage),
        resources_source: Some(usage.sources.iter().cloned().collect::<Vec<_>>().join(" and ")),
        limits: meta.map(|meta| meta.limited.clone()).unwrap_or_default(),
        oversubscribed: (!asks_kubelets).then_some(oversubscribed),
        oversubscribed_why: oversubscribed.then(|| {
            format!(
                "oversubscribed: clusters that are given {given} vCPU in all, and the fabric, share {cores} cores; the paper's \
                 had theirs to themselves"
            )
        }),
        throttled_s: by_cluster(usage, |seconds| {
            let all: u64 = seconds.iter().map(|(second, _)| second.throttled_us).sum();
            (all > 0).then_some(all as f64 / 1e6)
        }),
        nodes,
        host_udp: None,
    };
    let notes = notes(&resources, meta);
    (resources, notes)
}

/// What whole nodes used; none where none was measured in cluster A.
fn nodes(usage: &Usage, meta: &ResourcesMeta) -> Option<Nodes> {
    let seconds = &usage.nodes;
    let has_b = seconds.iter().any(|second| second.b.is_some());
    let per_cluster = |figure: fn(&NodeShare) -> f64| {
        let of = |share: fn(&NodesSecond) -> Option<NodeShare>| {
            let of_each = |of: &NodesSecond| Some((figure(&share(of)?), of.measured_s));
            Spread::of(seconds.iter().filter_map(of_each))
        };
        Some(PerCluster {
            a: of(|second| second.a)?,
            b: of(|second| second.b),
            mean: Spread::of(
                seconds
                    .iter()
                    .filter_map(|of| Some((of.mean(has_b, figure)?, of.measured_s))),
            )?,
        })
    };
    let each = meta.nodes.iter().filter_map(|(role, of)| {
        let shares = |figure: fn(&NodeShare) -> f64| {
            let of_each = move |of: &NodesSecond| Some((figure(of.each.get(role)?), of.measured_s));
            Spread::of(seconds.iter().filter_map(of_each))
        };
        let node = Node {
            name: of.name.clone(),
            cluster: of.cluster.clone(),
            cpus: of.cpu_millis as f64 / 1e3,
            memory_bytes: of.memory_bytes,
            cpu_percent: shares(|share| share.cpu_percent)?,
            memory_percent: shares(|share| share.memory_percent)?,
        };
        Some((role.clone(), node))
    });
    Some(Nodes {
        cpu_percent: per_cluster(|share| share.cpu_percent)?,
        memory_percent: per_cluster(|share| share.memory_percent)?,
        each: each.collect(),
    })
}

fn by_cluster<T>(
    usage: &Usage,
    figure: impl Fn(Vec<(ClusterSecond, f64)>) -> Option<T>,
) -> BTreeMap<String, T> {
    let seconds = usage.seconds.iter();
    let a = seconds.clone().map(|of| (of.a, of.measured_s)).collect();
    let b = seconds
        .filter_map(|of| Some((of.b?, of.measured_s)))
        .collect();
    [("a", a), ("b", b)]
        .into_iter()
        .filter_map(|(name, seconds)| Some((name.to_owned(), figure(seconds)?)))
        .collect()
}

fn network(seconds: &[(ClusterSecond, f64)]) -> Option<Network> {
    let seconds = seconds
        .iter()
        .filter_map(|(of, weight)| Some((of.network?, *weight)));
    let seconds: Vec<(NetworkSecond, f64)> = seconds.collect();
    let p50 = |figure: fn(&NetworkSecond) -> f64| {
        let values = seconds.iter().map(|(of, weight)| (figure(of), *weight));
        Some(Spread::of(values)?.p50)
    };
    let all = |figure: fn(&NetworkSecond) -> u64| seconds.iter().map(|(of, _)| figure(of)).sum();
    Some(Network {
        rx_bps: p50(|of| of.rx_bps)?,
        tx_bps: p50(|of| of.tx_bps)?,
        rx_packets_per_s: p50(|of| of.rx_packets_per_s)?,
        tx_packets_per_s: p50(|of| of.tx_packets_per_s)?,
        dropped: all(|of| of.dropped),
        udp_in_errors: all(|of| of.udp_in_errors),
        udp_rcvbuf_errors: all(|of| of.udp_rcvbuf_errors),
        udp_sndbuf_errors: all(|of| of.udp_sndbuf_errors),
        udp_csum_errors: all(|of| of.udp_csum_errors),
        tcp_retransmitted: all(|of| of.tcp_retransmitted),
    })
}

fn fabric(usage: &Usage) -> BTreeMap<String, FabricProcess> {
    let mut roles: BTreeMap<&String, Vec<(&FabricSecond, f64)>> = BTreeMap::new();
    for second in &usage.seconds {
        for (role, of) in &second.fabric {
            roles.entry(role).or_default().push((of, second.measured_s));
        }
    }
    roles
        .into_iter()
        .map(|(role, seconds)| {
            let p50 = |figure: fn(&FabricSecond) -> f64| {
                let values = seconds.iter().map(|(of, weight)| (figure(of), *weight));
                Spread::of(values).unwrap_or_default().p50
            };
            let of = FabricProcess {
                cpu_percent_p50: p50(|of| of.cpu_percent),
                memory_percent_p50: p50(|of| of.memory_percent),
                udp_rcvbuf_errors: seconds.iter().map(|(of, _)| of.udp_rcvbuf_errors).sum(),
            };
            (role.clone(), of)
        })
        .collect()
}

/// What a reader must know of a floor whose repetitions had other limits than the clusters of its scenario.
pub(super) fn unlike_floor(limits: &[String], floor: Option<&ResourcesMeta>) -> Option<Note> {
    let floor = floor.map_or(&[][..], |meta| &meta.limited);
    let free: Vec<_> = limits.iter().filter(|one| !floor.contains(one)).collect();
    (!free.is_empty()).then(|| {
        let free = free.into_iter().map(String::as_str).collect::<Vec<_>>();
        let text = format!(
            "the floor was measured without the clusters' limits of {}",
            free.join(" and ")
        );
        Note::new(NoteKind::Floor, text)
    })
}

fn notes(resources: &Resources, meta: Option<&ResourcesMeta>) -> Vec<Note> {
    let mut notes = vec![Note::new(
        NoteKind::Resources,
        format!(
            "CPU and memory are of the pods' processes only, in percent of {} vCPU and {} GiB a cluster, from {}; the paper's \
         are of whole VMs{}",
            CLUSTER.cpu_millis / 1_000,
            CLUSTER.memory_bytes >> 30,
            resources.resources_source.as_deref().unwrap_or("nowhere"),
            if resources.nodes.is_some() {
                ", as those of whole nodes are"
            } else {
                ""
            },
        ),
    )];
    if resources.cpu_percent.is_some_and(|of| of.b.is_none()) {
        notes.push(Note::new(
            NoteKind::Resources,
            "one cluster: the mean of CPU and memory is cluster a's alone",
        ));
    }
    let oversubscribed = resources.oversubscribed_why.as_deref();
    notes.extend(oversubscribed.map(|why| Note::new(NoteKind::Oversubscribed, why)));
    for (cluster, seconds) in &resources.throttled_s {
        notes.push(Note::new(
            NoteKind::Throttled,
            format!(
                "cluster {cluster} was throttled: its processor limit held it back for {seconds:.2} s in all"
            ),
        ));
    }
    for (cluster, network) in &resources.network {
        if network.udp_rcvbuf_errors > 0 {
            notes.push(Note::new(
                NoteKind::Buffers,
                format!(
                    "cluster {cluster}: {} datagrams found a full receive buffer",
                    network.udp_rcvbuf_errors
                ),
            ));
        }
    }
    for (role, process) in &resources.fabric_processes {
        if process.udp_rcvbuf_errors > 0 {
            notes.push(Note::new(NoteKind::Buffers, format!(
                "{role}: packets lost to a full receive buffer, because the machine was too busy to carry the tunnel: {}",
                process.udp_rcvbuf_errors
            )));
        }
    }
    notes.extend(meta.and_then(lacking));
    notes
}

/// The name of the limit among the settings of a machine's state.
const LARGEST_RECEIVE_BUFFER: &str = "largest receive buffer";

/// What a reader must know of datagrams that the host's own UDP lost, on a machine that was set like this.
pub(super) fn host_note(resources: &Resources, states: &[MachineState]) -> Option<Note> {
    let lost = resources.host_udp.filter(|lost| lost.rcvbuf_errors > 0)?;
    let mut limits = states.iter().rev();
    let limit = limits.find_map(|state| state.settings.get(LARGEST_RECEIVE_BUFFER));
    let limit = limit.map_or_else(String::new, |bytes| {
        format!(" (net.core.rmem_max was {bytes} bytes)")
    });
    let text = format!(
        "{} datagrams found a full receive buffer on this host{limit}: their frames are torn or lost by this machine, and not by a \
         network. Where `xrbench doctor` calls net.core.rmem_max too small, set it as it says; else a program was too slow to empty its \
         buffer: take a smaller size, rate or bit rate, or a machine that does nothing else. Datagrams of other programs are among them",
        lost.rcvbuf_errors
    );
    Some(Note::new(NoteKind::Buffers, text))
}

/// What is not known, or does not hold; none where nothing is missing.
fn lacking(meta: &ResourcesMeta) -> Option<Note> {
    let missing = (!meta.missing.is_empty()).then(|| meta.missing.join("; "))?;
    Some(if meta.kubelets {
        Note::new(NoteKind::Resources, format!("not known: {missing}"))
    } else {
        let text = format!("control groups lack {missing} (root has them on most machines)");
        Note::new(NoteKind::ControlGroups, text)
    })
}

#[cfg(test)]
#[path = "resources_tests.rs"]
mod tests;
