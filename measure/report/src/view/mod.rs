//! What a summary shows, before anyone lays it out: each table and each sentence is made here, once, for the terminal and for the
//! page. Drawings are the page's own.

mod differences;
mod frames;
mod instrument;
mod latency;
mod notes;
mod paths;
mod resources;
mod stages;
mod table;
mod uncertainty;

use serde::Serialize;

use crate::summary::Summary;

pub(crate) use differences::{chosen, is_of_fabrics};
pub(crate) use notes::Note;
pub(crate) use resources::of_clusters;
pub(crate) use table::{Bar, Cell, Class, Kind, Row, Table};

/// The tables and sentences of a summary. A table without rows is not shown.
#[derive(Debug, Serialize)]
pub(crate) struct View {
    /// What failed or is missing.
    pub findings: Vec<String>,
    pub latency: Table,
    /// How unsure the latencies are, in parts; for pages.
    pub uncertainty: Table,
    pub comparisons: Vec<String>,
    pub ladder: Option<Table>,
    pub differences: Table,
    pub stages: Table,
    pub frames: Table,
    pub seen: Table,
    pub resources: Table,
    pub nodes: Table,
    pub fabric_processes: Table,
    pub network: Table,
    pub crossings: Vec<String>,
    pub fabrics: Table,
    pub wans: Table,
    /// How wrong the instrument is.
    pub instrument: String,
    pub lacked: Vec<String>,
    pub notes: Vec<Note>,
}

impl View {
    pub(crate) fn of(summary: &Summary) -> Self {
        let findings = summary.findings();
        Self {
            findings: findings
                .map(|(name, finding)| format!("{name}: {}", finding.text))
                .collect(),
            latency: latency::latency(summary),
            uncertainty: uncertainty::uncertainty(summary),
            comparisons: notes::comparisons(summary),
            ladder: latency::ladder(summary),
            differences: differences::differences(summary),
            stages: stages::stages(summary),
            frames: frames::frames(summary),
            seen: frames::seen(summary),
            resources: resources::resources(summary),
            nodes: resources::nodes(summary),
            fabric_processes: resources::fabric_processes(summary),
            network: resources::network(summary),
            crossings: notes::crossings(summary),
            fabrics: paths::fabrics(summary),
            wans: paths::wans(summary),
            instrument: instrument::line(summary),
            lacked: notes::lacked(summary),
            notes: notes::notes(summary),
        }
    }
}

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;
