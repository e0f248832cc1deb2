//! The figures of an experiment with outages: a table for people, a document for programs.

use std::io::Write as _;
use std::path::Path;

use anyhow::bail;
use comfy_table::{Table, presets};
use serde::Serialize;

use super::outage::{Parts, Spread};

/// The layout of the document.
const SCHEMA: u32 = 1;

/// The measurements of a row: what was done, in which way, and the outages that came of it.
#[derive(Debug)]
pub(crate) struct Cell {
    labels: [&'static str; 2],
    parts: Vec<Parts>,
    lost: Vec<u64>,
    failed: usize,
    paper_ms: Option<(f64, f64)>,
    bound_ms: Option<f64>,
    mapping_bound_ms: Option<f64>,
}

impl Cell {
    /// A row without figures yet.
    pub(crate) const fn new(labels: [&'static str; 2]) -> Self {
        Self {
            labels,
            parts: Vec::new(),
            lost: Vec::new(),
            failed: 0,
            paper_ms: None,
            bound_ms: None,
            mapping_bound_ms: None,
        }
    }

    /// The same with a paper's figures: the whole outage, and the mapping's share.
    pub(crate) const fn with_paper(mut self, paper_ms: Option<(f64, f64)>) -> Self {
        self.paper_ms = paper_ms;
        self
    }

    /// The same with bounds of medians: of the whole outage, and of the mapping.
    pub(crate) const fn with_bounds(mut self, all: Option<f64>, mapping: Option<f64>) -> Self {
        self.bound_ms = all;
        self.mapping_bound_ms = mapping;
        self
    }

    fn row(&self) -> Row {
        let of = |part: fn(&Parts) -> f64| Spread::of(self.parts.iter().map(part));
        let (total_ms, mapping_ms) = (of(Parts::total_ms), of(|parts| parts.mapping_ms));
        let holds = |bound: Option<f64>, found: f64| bound.is_none_or(|bound| found <= bound);
        let is_bound = self.bound_ms.is_some() || self.mapping_bound_ms.is_some();
        let held = holds(self.bound_ms, total_ms.median)
            && holds(self.mapping_bound_ms, mapping_ms.median);
        Row {
            what: self.labels[0],
            way: self.labels[1],
            runs: self.parts.len(),
            failed: self.failed,
            total_ms,
            detection_ms: of(|parts| parts.detection_ms),
            mapping_ms,
            connection_ms: of(|parts| parts.connection_ms),
            lost: Spread::of(self.lost.iter().map(|lost| *lost as f64)),
            paper_total_ms: self.paper_ms.map(|(total, _)| total),
            paper_mapping_ms: self.paper_ms.map(|(_, mapping)| mapping),
            bound_ms: self.bound_ms,
            mapping_bound_ms: self.mapping_bound_ms,
            holds: (is_bound && !self.parts.is_empty()).then_some(held),
        }
    }
}

/// A row with its figures.
#[derive(Debug, Serialize)]
struct Row {
    what: &'static str,
    way: &'static str,
    runs: usize,
    failed: usize,
    total_ms: Spread,
    detection_ms: Spread,
    mapping_ms: Spread,
    connection_ms: Spread,
    lost: Spread,
    paper_total_ms: Option<f64>,
    paper_mapping_ms: Option<f64>,
    bound_ms: Option<f64>,
    mapping_bound_ms: Option<f64>,
    /// Whether every bound holds; none where there is none.
    holds: Option<bool>,
}

/// The document of figures, as JSON.
#[derive(Debug, Serialize)]
struct Document<'a> {
    schema: u32,
    experiment: &'a str,
    /// The meaning of the column `what`.
    what: &'a str,
    note: &'a str,
    cells: Vec<Row>,
}

/// Rows of figures.
#[derive(Debug)]
pub(crate) struct Report {
    experiment: &'static str,
    what: &'static str,
    note: &'static str,
    cells: Vec<Cell>,
}

impl Report {
    /// Figures of an experiment; `what` is what its rows differ in beside the way, `note` is printed below.
    pub(crate) const fn new(
        experiment: &'static str,
        what: &'static str,
        note: &'static str,
    ) -> Self {
        Self {
            experiment,
            what,
            note,
            cells: Vec::new(),
        }
    }

    /// Adds a row.
    pub(crate) fn add(&mut self, cell: Cell) {
        self.cells.push(cell);
    }

    fn cell(&mut self, labels: [&str; 2]) -> Option<&mut Cell> {
        self.cells.iter_mut().find(|cell| cell.labels == labels)
    }

    /// A measurement has found this.
    pub(crate) fn measured(&mut self, labels: [&str; 2], parts: Parts, lost: u64) {
        if let Some(cell) = self.cell(labels) {
            cell.parts.push(parts);
            cell.lost.push(lost);
        }
    }

    /// A measurement has found nothing.
    pub(crate) fn failed(&mut self, labels: [&str; 2]) {
        if let Some(cell) = self.cell(labels) {
            cell.failed += 1;
        }
    }

    /// Prints the figures, and writes both forms of them into the folder; an error where nothing was measured.
    pub(crate) fn print(&self, folder: &Path, as_json: bool) -> anyhow::Result<()> {
        if self.cells.iter().all(|cell| cell.parts.is_empty()) {
            bail!("nothing was measured; what failed is said above");
        }
        let (json, table) = (self.json()?, self.table());
        std::fs::write(folder.join("summary.json"), &json)?;
        std::fs::write(folder.join("tables.txt"), &table)?;
        let text = if as_json { json } else { table };
        // Whoever closed our stdout does not want it.
        let _ = std::io::stdout().lock().write_all(text.as_bytes());
        Ok(())
    }

    fn json(&self) -> anyhow::Result<String> {
        let document = Document {
            schema: SCHEMA,
            experiment: self.experiment,
            what: self.what,
            note: self.note,
            cells: self.cells.iter().map(Cell::row).collect(),
        };
        Ok(serde_json::to_string_pretty(&document)? + "\n")
    }

    fn table(&self) -> String {
        let what = self.what.to_uppercase();
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header([
            what.as_str(),
            "WAY",
            "RUNS",
            "TOTAL, MS",
            "MIN..P90..MAX",
            "DETECTION",
            "MAPPING",
            "CONNECTION",
            "LOST",
            "PAPER",
            "BOUND",
        ]);
        for row in self.cells.iter().map(Cell::row) {
            table.add_row(row.texts());
        }
        format!(
            "{}\n\nMedians of the repetitions. The parts of one repetition sum to its total; medians need not.\n{}\n",
            table.trim_fmt(),
            self.note
        )
    }
}

impl Row {
    fn texts(&self) -> [String; 11] {
        let ms = |value: f64| {
            if value < 10.0 {
                format!("{value:.1}")
            } else {
                format!("{value:.0}")
            }
        };
        let runs = match self.failed {
            0 => self.runs.to_string(),
            failed => format!("{} ({failed} failed)", self.runs),
        };
        let bounds = [
            self.bound_ms.map(|bound| format!("{bound:.0}")),
            self.mapping_bound_ms
                .map(|bound| format!("mapping {bound:.0}")),
        ];
        let bounds: Vec<_> = bounds.into_iter().flatten().collect();
        let verdict = match self.holds {
            Some(true) => format!("{}: holds", bounds.join(", ")),
            Some(false) => format!("{}: MISSED", bounds.join(", ")),
            None => String::new(),
        };
        let paper = self.paper_total_ms.zip(self.paper_mapping_ms);
        let paper = paper.map_or_else(String::new, |(all, mapping)| {
            format!("{all:.0}, mapping {mapping:.0}")
        });
        let total = &self.total_ms;
        [
            self.what.to_owned(),
            self.way.to_owned(),
            runs,
            ms(total.median),
            format!("{}..{}..{}", ms(total.min), ms(total.p90), ms(total.max)),
            ms(self.detection_ms.median),
            ms(self.mapping_ms.median),
            ms(self.connection_ms.median),
            format!("{:.0}", self.lost.median),
            paper,
            verdict,
        ]
    }
}

/// How much of the intervals of others is over at a repetition's fault, from 0 to 1: spread evenly, however many repetitions there are.
pub(crate) fn phase(repetition: u16) -> f64 {
    // The golden ratio's fraction: each value falls into the longest gap of those before.
    (f64::from(repetition) * 0.618_033_988_749_895).fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(detection_ms: f64, mapping_ms: f64) -> Parts {
        Parts {
            detection_ms,
            mapping_ms,
            connection_ms: 4.0,
        }
    }

    fn report() -> Report {
        let labels = ["service-killed", "publication"];
        let mut report = Report::new("recovery", "fault", "A note.");
        report.add(Cell::new(labels).with_bounds(Some(300.0), Some(10.0)));
        report.add(Cell::new(["service-killed", "paper"]).with_paper(Some((1200.0, 360.0))));
        for detection_ms in [100.0, 150.0, 120.0] {
            report.measured(labels, parts(detection_ms, 1.5), 24);
        }
        report.failed(["service-killed", "paper"]);
        report
    }

    #[test]
    fn a_row_has_medians_the_paper_and_whether_bounds_hold() {
        let mut report = report();
        let table = report.table();
        let row = |name: &str, table: &str| {
            let row = table.lines().find(|line| line.contains(name)).unwrap();
            row.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            row("publication", &table),
            "service-killed publication 3 126 106..156..156 120 1.5 4.0 24 300, mapping 10: holds"
        );
        assert!(row("paper", &table).contains("0 (1 failed)"), "{table}");
        assert!(
            row("paper", &table).ends_with("1200, mapping 360"),
            "{table}"
        );
        for _ in 0..3 {
            report.measured(["service-killed", "publication"], parts(100.0, 11.0), 24);
        }
        assert_eq!(report.cells[0].row().holds, Some(true));
        report.measured(["service-killed", "publication"], parts(100.0, 11.0), 24);
        assert_eq!(report.cells[0].row().holds, Some(false), "of the mapping");
        assert_eq!(report.cells[1].row().holds, None);
    }

    #[test]
    fn the_document_has_what_the_table_has() {
        let json: serde_json::Value = serde_json::from_str(&report().json().unwrap()).unwrap();
        assert_eq!(json["cells"][0]["total_ms"]["p90"], 155.5);
        assert_eq!(json["cells"][0]["holds"], true);
        assert_eq!(json["cells"][1]["failed"], 1);
        assert_eq!(json["cells"][1]["paper_total_ms"], 1200.0);
    }

    #[test]
    fn phases_are_spread() {
        let mut phases: Vec<_> = (1..=30).map(phase).collect();
        phases.sort_by(f64::total_cmp);
        let gaps = phases.windows(2).map(|pair| pair[1] - pair[0]);
        assert!(gaps.fold(0.0, f64::max) < 0.06);
    }
}
