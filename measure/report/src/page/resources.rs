//! The paper's Figure 6 beside ours: processor and memory of the clusters.

use super::{figure::Figure, merged::MergedScenario};
use crate::charts::{self, Alt, Axis, Boxed, Boxes, Column, Ink, Mark};
use crate::summary::{PerCluster, ScenarioSummary, Spread, Summary};
use crate::view::of_clusters;

/// Processor and memory; none where processes ran on the host, in no cluster.
pub(super) fn figures(
    merged: &[MergedScenario<'_>],
    summary: &Summary,
) -> anyhow::Result<Vec<Figure>> {
    let with: Vec<_> = of_clusters(summary).collect();
    if with.is_empty() {
        return Ok(Vec::new());
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
    let cpu = with
        .iter()
        .map(|(one, cpu, _)| column(one, cpu, ink(&one.name), cpu_mark(one)));
    let memory = with
        .iter()
        .map(|(one, _, memory)| column(one, memory, ink(&one.name), memory_mark(one)));
    Ok(vec![
        figure(
            "f6-cpu",
            "Processor, processes only, beside the paper’s whole VMs",
            "% of 2 vCPU a cluster",
            cpu.collect(),
            "The paper’s Figure 6 beside ours. Boxes: A and B, the pods’ processes of each cluster; mean, of both in the \
             same second. Box: p25 to p75, with the p50 as its bar; whiskers: p5 and p95 of the seconds. Diamond: the \
             paper’s p50, of whole VMs (kernel, kubelet and control plane too; the mean of both clusters in s2 to s5). They \
             stand side by side and measure different things.",
        )?,
        figure(
            "f6-memory",
            "Memory, processes only, beside the paper’s whole VMs",
            "% of 4 GiB a cluster",
            memory.collect(),
            "The same for memory. The paper gives a range for all of its scenarios, 62 to 70 % of whole VMs.",
        )?,
    ])
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
    Figure::new(alt, caption.into(), |alt| charts::boxes(alt, &of))
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
