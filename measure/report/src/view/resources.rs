//! What the clusters, the fabric and the network used, beside the paper's figures.

use super::table::{Class, Row, Table};
use crate::summary::{FabricProcess, Network, Nodes, PerCluster, ScenarioSummary, Spread, Summary};

/// The scenarios of clusters, with what these used of processors and of memory.
pub(crate) fn of_clusters(
    summary: &Summary,
) -> impl Iterator<Item = (&ScenarioSummary, PerCluster, PerCluster)> {
    summary.scenarios.iter().filter_map(|one| {
        let of = &one.resources;
        Some((one, of.cpu_percent?, of.memory_percent?))
    })
}

/// CPU and memory of the clusters; without rows where processes ran on the host.
pub(super) fn resources(summary: &Summary) -> Table {
    let [low, high] = summary.paper.memory_percent;
    let rows = of_clusters(summary).map(|of| (of.0.into(), of));
    let tenths = |percent: f64| Some(format!("{percent:.1}"));
    let range = |of: Spread| Some(format!("{:.1} to {:.1}", of.p5, of.p95));
    let paper = |one: &ScenarioSummary| summary.paper.scenario(one.paper);
    Table::of(
        "Processor and memory in percent",
        "Percent of 2 vCPU and 4 GiB a cluster, p50 over seconds, of the pods’ processes only; the paper’s columns are of whole \
         VMs. p5 to p95: of the mean of both clusters. Fabric: the processes of tunnels and WAN, which are in no cluster. From: \
         where the figures were read.",
        "scenario",
        rows,
    )
    .number("CPU A", |(_, cpu, _)| tenths(cpu.a.p50))
    .number("CPU B", |(_, cpu, _)| tenths(cpu.b?.p50))
    .number("CPU mean", |(_, cpu, _)| tenths(cpu.mean.p50))
    .number("p5 to p95", |(_, cpu, _)| range(cpu.mean))
    .number("paper CPU", |(one, ..)| tenths(paper(one)?.cpu_p50_percent))
    .number("memory A", |(_, _, memory)| tenths(memory.a.p50))
    .number("memory B", |(_, _, memory)| tenths(memory.b?.p50))
    .number("memory mean", |(_, _, memory)| tenths(memory.mean.p50))
    .number("p5 to p95 of memory", |(_, _, memory)| range(memory.mean))
    .detail()
    .number("paper memory", |(one, ..)| {
        paper(one).map(|_| format!("{low:.0} to {high:.0}"))
    })
    .number("fabric CPU", |(one, ..)| {
        let fabric = one.resources.fabric_processes.values();
        // Not -0.0, which the sum of nothing is.
        tenths(fabric.map(|of| of.cpu_percent_p50).sum::<f64>() + 0.0)
    })
    .word("limits", |(one, ..)| {
        let limits = &one.resources.limits;
        (!limits.is_empty()).then(|| limits.join(", "))
    })
    .detail()
    .word("from", |(one, ..)| one.resources.resources_source.clone())
    .build()
}

/// CPU and memory of whole nodes; without rows where nobody measured any.
pub(super) fn nodes(summary: &Summary) -> Table {
    let [low, high] = summary.paper.memory_percent;
    let with = summary.scenarios.iter();
    let rows = with.filter_map(|one| Some((one.into(), (one, one.resources.nodes.as_ref()?))));
    let tenths = |percent: f64| Some(format!("{percent:.1}"));
    let paper = |one: &ScenarioSummary| summary.paper.scenario(one.paper);
    Table::of(
        "Whole nodes in percent",
        "Percent of the processors and the memory that the nodes have, p50 over seconds, as their kubelets measured the whole of \
         them: kernel, kubelet and everything else that runs there too, as in the paper’s figures. Nodes that share a machine \
         each say what the machine used.",
        "scenario",
        rows,
    )
    .number("CPU A", |(_, of): &(&ScenarioSummary, &Nodes)| tenths(of.cpu_percent.a.p50))
    .number("CPU B", |(_, of)| tenths(of.cpu_percent.b?.p50))
    .number("CPU mean", |(_, of)| tenths(of.cpu_percent.mean.p50))
    .number("paper CPU", |(one, _)| tenths(paper(one)?.cpu_p50_percent))
    .number("memory A", |(_, of)| tenths(of.memory_percent.a.p50))
    .number("memory B", |(_, of)| tenths(of.memory_percent.b?.p50))
    .number("memory mean", |(_, of)| tenths(of.memory_percent.mean.p50))
    .number("paper memory", |(one, _)| {
        paper(one).map(|_| format!("{low:.0} to {high:.0}"))
    })
    .prose("nodes", |(_, of)| {
        let each = of.each.values().map(|node| {
            let gib = node.memory_bytes as f64 / f64::from(1 << 30);
            format!("{} of {}: {} vCPU, {gib:.1} GiB", node.name, node.cluster, node.cpus)
        });
        Some(each.collect::<Vec<_>>().join("; "))
    })
    .detail()
    .build()
}

/// What each process of the fabric used; without rows where there is none.
pub(super) fn fabric_processes(summary: &Summary) -> Table {
    let rows = of_clusters(summary).flat_map(|(one, ..)| {
        let processes = one.resources.fabric_processes.iter();
        processes.map(|(role, of)| (Row::new(format!("{}, {role}", one.name), Class::Ours), of))
    });
    Table::of(
        "Processes of the fabric",
        "Percent of 2 vCPU and of 4 GiB, p50 over seconds. Packets lost: to a full receive buffer, in all.",
        "scenario, process",
        rows,
    )
    .number("CPU", |of: &&FabricProcess| Some(format!("{:.1}", of.cpu_percent_p50)))
    .unit("%")
    .number("memory", |of| Some(format!("{:.2}", of.memory_percent_p50)))
    .unit("%")
    .number("packets lost", |of| Some(of.udp_rcvbuf_errors.to_string()))
    .build()
}

/// What crossed the links of each cluster's pods; without rows where there is no cluster.
pub(super) fn network(summary: &Summary) -> Table {
    let rows = of_clusters(summary).flat_map(|(one, ..)| {
        let clusters = one.resources.network.iter();
        clusters.map(|(cluster, of)| {
            let name = format!("{}, {}", one.name, cluster.to_uppercase());
            (Row::new(name, Class::Ours), of)
        })
    });
    let mbps = |bps: f64| Some(format!("{:.2}", bps / 1e6));
    Table::of(
        "Network of the pods",
        "p50 over seconds; the last three columns count in all.",
        "scenario, cluster",
        rows,
    )
    .number("received", |of: &&Network| mbps(of.rx_bps))
    .unit("Mbit/s")
    .number("sent", |of| mbps(of.tx_bps))
    .unit("Mbit/s")
    .number("received", |of| Some(format!("{:.0}", of.rx_packets_per_s)))
    .unit("packets/s")
    .number("sent", |of| Some(format!("{:.0}", of.tx_packets_per_s)))
    .unit("packets/s")
    .number("dropped", |of| Some(of.dropped.to_string()))
    .number("full receive buffer", |of| {
        Some(of.udp_rcvbuf_errors.to_string())
    })
    .number("TCP sent again", |of| {
        Some(of.tcp_retransmitted.to_string())
    })
    .build()
}
