//! The paper's Figure 6 beside ours: processor and memory of the clusters.

use serde::Serialize;

use super::{figure::Figure, merged::Merged, table::Table};
use crate::charts::{self, Alt, Axis, Boxed, Boxes, Column, Ink, Mark};
use crate::summary::{PerCluster, ScenarioSummary, Spread, Summary};

/// The section.
#[derive(Debug, Serialize)]
pub(super) struct Resources {
    figures: Vec<Figure>,
    table: Table,
    /// What processes of the fabric used; empty without any.
    fabric: Table,
    network: Table,
}

/// The section; none where processes ran on the host, in no cluster.
pub(super) fn resources(
    merged: &[Merged<'_>],
    summary: &Summary,
) -> anyhow::Result<Option<Resources>> {
    let with: Vec<(&ScenarioSummary, PerCluster, PerCluster)> = summary
        .scenarios
        .iter()
        .filter_map(|one| {
            let of = &one.resources;
            Some((one, of.cpu_percent?, of.memory_percent?))
        })
        .collect();
    if with.is_empty() {
        return Ok(None);
    }
    let ink = |name: &str| {
        let found = merged.iter().find(|one| one.name() == name);
        found.map_or(Ink::Quiet, |one| one.ink)
    };
    let cpu_mark = |one: &ScenarioSummary| {
        let p50 = summary.paper.scenario(one.paper)?.cpu_p50_percent;
        Some(Mark {
            value: Some(p50),
            range: None,
            label: format!("{p50:.1}"),
        })
    };
    let [low, high] = summary.paper.memory_percent;
    let memory_mark = |one: &ScenarioSummary| {
        summary.paper.scenario(one.paper)?;
        Some(Mark {
            value: None,
            range: Some((low, high)),
            label: format!("{low:.0}–{high:.0}"),
        })
    };
    let cpu: Vec<_> = with
        .iter()
        .map(|(one, cpu, _)| column(one, cpu, ink(&one.name), cpu_mark(one)))
        .collect();
    let memory: Vec<_> = with
        .iter()
        .map(|(one, _, memory)| column(one, memory, ink(&one.name), memory_mark(one)))
        .collect();
    Ok(Some(Resources {
        figures: vec![
            figure(
                "f6-cpu",
                "Processor, processes only, beside the paper’s whole VMs",
                "% of 2 vCPU a cluster",
                cpu,
                "The paper’s Figure 6 beside ours. Boxes: A and B, the pods’ processes of each cluster; mean, of both in the \
                 same second. Box: p25 to p75, with the p50 as its bar; whiskers: p5 and p95 of the seconds. Diamond: the \
                 paper’s p50, of whole VMs (kernel, kubelet and control plane too; the mean of both clusters in s2 to s5). They \
                 stand side by side and measure different things.",
            )?,
            figure(
                "f6-memory",
                "Memory, processes only, beside the paper’s whole VMs",
                "% of 4 GiB a cluster",
                memory,
                "The same for memory. The paper gives a range for all of its scenarios, 62 to 70 % of whole VMs.",
            )?,
        ],
        table: table(summary, &with),
        fabric: fabric(&with),
        network: network(&with),
    }))
}

fn column(one: &ScenarioSummary, of: &PerCluster, ink: Ink, mark: Option<Mark>) -> Column {
    let of_spread = |spread: Spread, letter, label: bool| Boxed {
        five: [spread.p5, spread.p25, spread.p50, spread.p75, spread.p95],
        ink,
        label: if label {
            format!("{:.1}", spread.p50)
        } else {
            String::new()
        },
        letter: Some(letter),
    };
    let boxes = match of.b {
        None => vec![of_spread(of.a, "A", true)],
        Some(b) => vec![
            of_spread(of.a, "A", false),
            of_spread(b, "B", false),
            of_spread(of.mean, "mean", true),
        ],
    };
    Column {
        name: one.name.clone(),
        boxes,
        marks: mark.into_iter().collect(),
    }
}

fn figure(
    id: &str,
    title: &str,
    unit: &str,
    columns: Vec<Column>,
    caption: &str,
) -> anyhow::Result<Figure> {
    let of_boxes = columns.iter().flat_map(|column| &column.boxes);
    let of_marks = columns.iter().flat_map(|column| &column.marks);
    let high = of_boxes
        .map(|one| one.five[4])
        .chain(of_marks.filter_map(|mark| mark.value.or_else(|| mark.range.map(|range| range.1))))
        .fold(1.0, f64::max);
    let said: Vec<String> = columns.iter().map(in_words).collect();
    let alt = Alt {
        id: id.into(),
        title: title.into(),
        description: format!("p50 in percent. {}.", said.join("; ")),
    };
    let of = Boxes {
        axis: Axis::linear(0.0, high * 1.08, 5),
        unit: unit.into(),
        columns,
        lines: Vec::new(),
    };
    Ok(Figure {
        id: format!("{id}-figure"),
        svg: charts::boxes(&alt, &of)?,
        title: title.into(),
        caption: caption.into(),
    })
}

fn in_words(column: &Column) -> String {
    let ours = column
        .boxes
        .iter()
        .map(|one| format!("{} {:.1}", one.letter.unwrap_or_default(), one.five[2]));
    let paper = column
        .marks
        .iter()
        .map(|mark| format!("the paper {}", mark.label));
    let all: Vec<String> = ours.chain(paper).collect();
    format!("{}: {}", column.name, all.join(", "))
}

fn table(summary: &Summary, with: &[(&ScenarioSummary, PerCluster, PerCluster)]) -> Table {
    let heads = [
        "CPU A",
        "CPU B",
        "CPU mean",
        "p5 to p95",
        "paper CPU",
        "memory A",
        "memory B",
        "memory mean",
        "p5 to p95",
        "paper memory",
        "limits",
        "from",
    ];
    let mut table = Table::new("scenario", &heads);
    let [low, high] = summary.paper.memory_percent;
    for (one, cpu, memory) in with {
        let paper = summary.paper.scenario(one.paper);
        let mut cells = p50s(cpu);
        cells.push(paper.map_or_else(String::new, |paper| format!("{:.1}", paper.cpu_p50_percent)));
        cells.extend(p50s(memory));
        cells.push(paper.map_or_else(String::new, |_| format!("{low:.0} to {high:.0}")));
        cells.push(if one.resources.limits.is_empty() {
            "none".into()
        } else {
            one.resources.limits.join(", ")
        });
        cells.push(one.resources.resources_source.clone().unwrap_or_default());
        table.push(one.name.clone(), "ours", cells);
    }
    table
}

/// p50 of A, B and the mean, and the spread of the mean.
fn p50s(of: &PerCluster) -> Vec<String> {
    vec![
        format!("{:.1}", of.a.p50),
        of.b.map_or_else(String::new, |b| format!("{:.1}", b.p50)),
        format!("{:.1}", of.mean.p50),
        format!("{:.1} to {:.1}", of.mean.p5, of.mean.p95),
    ]
}

fn fabric(with: &[(&ScenarioSummary, PerCluster, PerCluster)]) -> Table {
    let mut table = Table::new("scenario, process", &["CPU", "memory", "packets lost"]);
    for (one, _, _) in with {
        for (role, used) in &one.resources.fabric_processes {
            table.push(
                format!("{}, {role}", one.name),
                "ours",
                vec![
                    format!("{:.1}", used.cpu_percent_p50),
                    format!("{:.2}", used.memory_percent_p50),
                    used.udp_rcvbuf_errors.to_string(),
                ],
            );
        }
    }
    table
}

fn network(with: &[(&ScenarioSummary, PerCluster, PerCluster)]) -> Table {
    let heads = [
        "received Mbit/s",
        "sent Mbit/s",
        "received packets/s",
        "sent packets/s",
        "dropped",
        "full receive buffer",
        "TCP sent again",
    ];
    let mut table = Table::new("scenario, cluster", &heads);
    for (one, _, _) in with {
        for (cluster, of) in &one.resources.network {
            table.push(
                format!("{}, {}", one.name, cluster.to_uppercase()),
                "ours",
                vec![
                    format!("{:.2}", of.rx_bps / 1e6),
                    format!("{:.2}", of.tx_bps / 1e6),
                    format!("{:.0}", of.rx_packets_per_s),
                    format!("{:.0}", of.tx_packets_per_s),
                    of.dropped.to_string(),
                    of.udp_rcvbuf_errors.to_string(),
                    of.tcp_retransmitted.to_string(),
                ],
            );
        }
    }
    table
}
