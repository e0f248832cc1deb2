//! The tables of a provisioning experiment.

use result::provision::{ProvisionInfo, Transition};
use stats::quantile;
use strum::IntoEnumIterator as _;

use super::figures::{CellFigures, mean_and_deviation, seconds};
use crate::view::{Class, Row, Table};

fn rows(of: &[CellFigures]) -> impl Iterator<Item = (Row, &CellFigures)> {
    of.iter()
        .map(|one| (Row::new(one.cell.to_string(), Class::Ours), one))
}

fn median(us: &[u64]) -> Option<String> {
    quantile(us, 500).map(seconds)
}

fn range(us: &[u64], low: usize, high: usize) -> Option<String> {
    Some(format!(
        "{} to {}",
        seconds(quantile(us, low)?),
        seconds(quantile(us, high)?)
    ))
}

fn caption(info: &ProvisionInfo, what: &str) -> String {
    if info.simulated.is_some() {
        format!("{what} (simulated)")
    } else {
        what.to_owned()
    }
}

/// How long each kind of cluster took.
pub(super) fn provisioning(info: &ProvisionInfo, of: &[CellFigures]) -> Table {
    Table::of(
        &caption(info, "Provisioning in seconds"),
        "From the Cluster’s acceptance by the API server, by the watcher’s own clock. Node ready: a node of the control plane is \
         ready, the paper’s “control plane ready” (Cluster API 1.3); available: today’s. All: every node is ready. Deletion: until \
         the Cluster is gone. The paper’s means lie between 150 and 270 s.",
        "clusters",
        rows(of),
    )
    .number("ready", |one| Some(format!("{} of {}", one.ready, one.planned)))
    .number("node ready p50", |one| median(one.to(Transition::ControlPlaneNodeReady)))
    .number("p25 to p75", |one| range(one.to(Transition::ControlPlaneNodeReady), 250, 750))
    .number("mean ± σ", |one| {
        let (mean, deviation) = mean_and_deviation(one.to(Transition::ControlPlaneNodeReady))?;
        let deviation = deviation.map_or(String::new(), |of| format!(" ± {of:.1}"));
        Some(format!("{mean:.1}{deviation}"))
    })
    .number("available p50", |one| median(one.to(Transition::ControlPlaneAvailable)))
    .number("all p50", |one| median(one.to(Transition::AllNodesReady)))
    .number("all, least to most", |one| range(one.to(Transition::AllNodesReady), 0, 1000))
    .number("deletion p50", |one| median(&one.deletion_us))
    .number("manifests p50, ms", |one| quantile(&one.generation_us, 500).map(crate::text::whole_ms))
    .build()
}

/// How long each step took.
pub(super) fn steps(info: &ProvisionInfo, of: &[CellFigures]) -> Table {
    let table = Table::of(
        &caption(info, "Steps in seconds, medians"),
        "From one step to the next, in the order of the columns.",
        "clusters",
        rows(of),
    );
    Transition::iter()
        .fold(table, |table, step| {
            let title = step.to_string().replace('_', " ");
            table.number(&title, |one| {
                one.step_us.get(&step).and_then(|us| median(us))
            })
        })
        .build()
}

/// The clusters that did not become ready.
pub(super) fn failures(of: &[CellFigures]) -> Table {
    let all = of.iter().flat_map(|one| &one.failures);
    let rows = all.map(|(name, why)| (Row::new(name, Class::Regression), why));
    Table::of(
        "Clusters that did not become ready",
        "Their times are in no figure.",
        "cluster",
        rows,
    )
    .prose("why", |why| Some((*why).clone()))
    .build()
}
