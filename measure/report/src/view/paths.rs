//! What a frame crosses on its way, and what served it.

use super::table::{Row, Table};
use crate::summary::{ScenarioSummary, Summary};
use result::FabricMeta;

/// A row for each scenario of clusters, with what connects them.
fn rows(summary: &Summary) -> impl Iterator<Item = (Row, (&ScenarioSummary, &FabricMeta))> {
    let scenarios = summary.scenarios.iter();
    scenarios.filter_map(|one| Some((one.into(), (one, one.fabric.as_ref()?))))
}

/// What connects the clusters; without rows where processes ran on the host.
pub(super) fn fabrics(summary: &Summary) -> Table {
    Table::of(
        "Fabrics",
        "Which implementation served. MTU: the largest IP packet that crosses whole, in bytes.",
        "scenario",
        rows(summary),
    )
    .word("fabric", |(_, fabric)| Some(fabric.name.clone()))
    .prose("served by", |(_, fabric)| Some(fabric.backend.clone()))
    .word("service", |(_, fabric)| Some(fabric.service.clone()))
    .number("MTU", |(_, fabric)| Some(fabric.mtu?.to_string()))
    .word("RTP over", |(one, _)| Some(one.transport.clone()))
    .build()
}

/// The WAN between the clusters; without rows where processes ran on the host.
pub(super) fn wans(summary: &Summary) -> Table {
    Table::of(
        "Wide area network",
        "Crossings: how often a frame crosses it on its way from the renderer to the client. Late: how much later than asked a \
         WAN in user space handed packets on, p50 / p99 of the worst repetition.",
        "scenario",
        rows(summary),
    )
    .number("crossings", |(_, fabric)| Some(fabric.wan_crossings.to_string()))
    .word("WAN", |(one, _)| Some(one.wan.as_ref()?.preset.clone()))
    .prose("which does", |(one, _)| Some(one.wan.as_ref()?.description.clone()))
    .word("served by", |(one, _)| Some(one.wan.as_ref()?.backend.to_string()))
    .number("late", |(one, _)| {
        let wan = one.wan.as_ref()?;
        Some(format!("{} / {}", wan.late_p50_us?, wan.late_p99_us?))
    })
    .unit("µs")
    .build()
}
