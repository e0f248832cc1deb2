//! The figures of the creation of Services: a table for people, a document for programs.

use std::io::Write as _;
use std::path::Path;

use anyhow::bail;
use comfy_table::{Table, presets};
use serde::Serialize;

use super::moments::Parts;
use crate::bench::outage::Spread;

/// The layout of the document.
const SCHEMA: u32 = 1;

/// The bound of the median of LISP's own part, in milliseconds.
const LISP_BOUND_MS: f64 = 20.0;

/// The note below the table.
const NOTE: &str = "Medians of the repetitions, ms. Of one repetition, the first three sum to the total, and so do the next three; medians need not.\n\
     The paper's Figure 8 has some 1200 ms in all, of which Kubernetes took some 70 % and the control plane of LISP some 13 %.";

/// The measurements beside so many services.
#[derive(Debug)]
pub(super) struct Cell {
    pub(super) services: u16,
    pub(super) parts: Vec<Parts>,
    pub(super) failed: usize,
    /// From the first to the last registration of those that were added, and how many those were.
    pub(super) added: usize,
    pub(super) adding_s: f64,
    /// Memory of the programs that were started, in KiB.
    pub(super) memory_kib: Vec<(&'static str, u64)>,
}

/// A cell with its figures.
#[derive(Debug, Serialize)]
struct Row {
    services: u16,
    runs: usize,
    failed: usize,
    total_ms: Spread,
    create_to_get_id_ms: Spread,
    get_id_to_map_register_ms: Spread,
    map_register_to_complete_ms: Spread,
    kubernetes_ms: Spread,
    lisp_ms: Spread,
    transfer_ms: Spread,
    lisp_bound_ms: f64,
    /// Whether the bound holds; none where nothing was measured.
    holds: Option<bool>,
    added_services: usize,
    adding_s: f64,
    control_kib: Option<u64>,
    agent_kib: Option<u64>,
}

/// The document of figures, as JSON.
#[derive(Debug, Serialize)]
struct Document<'a> {
    schema: u32,
    experiment: &'a str,
    kubernetes: &'a str,
    note: &'a str,
    cells: Vec<Row>,
}

impl Cell {
    fn row(&self) -> Row {
        let of = |part: fn(&Parts) -> f64| Spread::of(self.parts.iter().map(part));
        let memory = |name: &str| {
            let mut all = self.memory_kib.iter();
            all.find(|(who, _)| *who == name).map(|(_, kib)| *kib)
        };
        let lisp_ms = of(|parts| parts.lisp);
        Row {
            services: self.services,
            runs: self.parts.len(),
            failed: self.failed,
            total_ms: of(Parts::total),
            create_to_get_id_ms: of(|parts| parts.create_to_id),
            get_id_to_map_register_ms: of(|parts| parts.id_to_register),
            map_register_to_complete_ms: of(|parts| parts.register_to_complete),
            kubernetes_ms: of(|parts| parts.kubernetes),
            lisp_ms,
            transfer_ms: of(|parts| parts.transfer),
            lisp_bound_ms: LISP_BOUND_MS,
            holds: (!self.parts.is_empty()).then_some(lisp_ms.median <= LISP_BOUND_MS),
            added_services: self.added,
            adding_s: self.adding_s,
            control_kib: memory("control"),
            agent_kib: memory("agent"),
        }
    }
}

impl Row {
    fn texts(&self) -> [String; 14] {
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
        let mib = |kib: Option<u64>| {
            kib.map_or_else(String::new, |kib| format!("{:.1}", kib as f64 / 1024.0))
        };
        let added = match self.added_services {
            0 => String::new(),
            added => format!("{added} in {:.1} s", self.adding_s),
        };
        let verdict = match self.holds {
            Some(true) => format!("{LISP_BOUND_MS:.0}: holds"),
            Some(false) => format!("{LISP_BOUND_MS:.0}: MISSED"),
            None => String::new(),
        };
        let total = &self.total_ms;
        [
            self.services.to_string(),
            runs,
            ms(total.median),
            format!("{}..{}..{}", ms(total.min), ms(total.p90), ms(total.max)),
            ms(self.create_to_get_id_ms.median),
            ms(self.get_id_to_map_register_ms.median),
            ms(self.map_register_to_complete_ms.median),
            ms(self.kubernetes_ms.median),
            ms(self.lisp_ms.median),
            ms(self.transfer_ms.median),
            verdict,
            added,
            mib(self.control_kib),
            mib(self.agent_kib),
        ]
    }
}

fn json(kubernetes: &str, cells: &[Cell]) -> anyhow::Result<String> {
    let document = Document {
        schema: SCHEMA,
        experiment: "creation",
        kubernetes,
        note: NOTE,
        cells: cells.iter().map(Cell::row).collect(),
    };
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

fn table(kubernetes: &str, cells: &[Cell]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header([
        "SERVICES",
        "RUNS",
        "TOTAL, MS",
        "MIN..P90..MAX",
        "CREATE-GETID",
        "GETID-MAPREG",
        "MAPREG-COMPLETE",
        "KUBERNETES",
        "LISP",
        "TRANSFER",
        "LISP'S BOUND",
        "ADDED BEFORE",
        "CONTROL, MIB",
        "AGENT, MIB",
    ]);
    for row in cells.iter().map(Cell::row) {
        table.add_row(row.texts());
    }
    format!("{}\n\nKubernetes {kubernetes}. {NOTE}\n", table.trim_fmt())
}

/// Prints the figures, and writes both forms of them into the folder; an error where nothing was measured.
pub(super) fn print(
    kubernetes: &str,
    cells: &[Cell],
    folder: &Path,
    as_json: bool,
) -> anyhow::Result<()> {
    if cells.iter().all(|cell| cell.parts.is_empty()) {
        bail!("nothing was measured; what failed is said above");
    }
    let (json, table) = (json(kubernetes, cells)?, table(kubernetes, cells));
    std::fs::write(folder.join("summary.json"), &json)?;
    std::fs::write(folder.join("tables.txt"), &table)?;
    let text = if as_json { json } else { table };
    // Whoever closed our stdout does not want it.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells() -> Vec<Cell> {
        let parts = |lisp| Parts {
            create_to_id: 16.0,
            id_to_register: 26.0,
            register_to_complete: 2.0,
            kubernetes: 40.0 - lisp,
            lisp,
            transfer: 4.0,
        };
        let cell = |services, lisp: f64| Cell {
            services,
            parts: vec![parts(lisp), parts(lisp + 1.0), parts(lisp + 2.0)],
            failed: 0,
            added: usize::from(services) - 1,
            adding_s: 2.5,
            memory_kib: vec![("control", 10_240), ("agent", 20_480)],
        };
        let nothing = Cell {
            parts: Vec::new(),
            failed: 2,
            ..cell(1000, 0.0)
        };
        vec![cell(1, 6.0), cell(100, 19.5), nothing]
    }

    #[test]
    fn a_row_has_medians_growth_and_whether_the_bound_holds() {
        let table = table("v1.33.1", &cells());
        let row = |name: &str| {
            let row = table
                .lines()
                .find(|line| line.trim_start().starts_with(name));
            row.unwrap()
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(
            row("1 "),
            "1 3 44 44..44..44 16 26 2.0 33 7.0 4.0 20: holds 10.0 20.0"
        );
        let missed = row("100 ");
        assert!(missed.contains("20: MISSED 99 in 2.5 s"), "{missed}");
        assert!(row("1000 ").starts_with("1000 0 (2 failed)"), "{table}");
        assert!(table.contains("Kubernetes v1.33.1."));
    }

    #[test]
    fn the_document_has_what_the_table_has() {
        let json: serde_json::Value =
            serde_json::from_str(&json("v1.33.1", &cells()).unwrap()).unwrap();
        assert_eq!(json["kubernetes"], "v1.33.1");
        let cells = &json["cells"];
        assert_eq!(cells[0]["lisp_ms"]["median"], 7.0);
        assert_eq!(cells[0]["holds"], true);
        assert_eq!(cells[1]["holds"], false);
        assert_eq!(cells[2]["holds"], serde_json::Value::Null);
        assert_eq!(cells[1]["added_services"], 99);
    }
}
