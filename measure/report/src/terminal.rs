//! What a summary shows, on a terminal.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, presets};

use crate::{
    summary::Summary,
    text::BLANK,
    view::{Cell, Column, Kind, Table, View},
};
use result::RunState;

/// The characters of a bar that fills its column.
const BAR: f64 = 40.0;

/// All tables; `width` in columns, or the terminal's.
pub fn render(summary: &Summary, width: Option<u16>) -> String {
    let view = View::of(summary);
    let machine = &summary.machine;
    let state = match summary.state {
        RunState::Finished => "",
        RunState::Running => " (not finished)",
        RunState::Failed => " (failed: a part of the figures is missing)",
        RunState::Interrupted => " (interrupted)",
    };
    let mut text = format!(
        "{}{state} on {} cores, {}, {}\n\n",
        summary.name, machine.cores, machine.cpu, machine.kernel
    );
    list(&mut text, "! ", &view.findings);
    text += &table(&view.latency, width);
    list(&mut text, "", &view.comparisons);
    // The steps of a ladder are compared in its own table.
    text += &table(view.ladder.as_ref().unwrap_or(&view.differences), width);
    for of in [&view.stages, &view.frames, &view.seen, &view.resources] {
        text += &table(of, width);
    }
    // Writing to a String cannot fail.
    let _ = writeln!(text, "instrument: {}", view.instrument);
    if !view.notes.is_empty() {
        text += "\nNotes\n";
    }
    for note in &view.notes {
        let _ = writeln!(text, "  {}: {}", note.names, note.text);
    }
    text
}

/// Sentences in lines of their own, and an empty line where there are any.
fn list(text: &mut String, before: &str, sentences: &[String]) {
    for sentence in sentences {
        *text += &format!("{before}{sentence}\n");
    }
    if !sentences.is_empty() {
        text.push('\n');
    }
}

/// A table with its caption, without what is left to pages; nothing without rows.
pub(crate) fn table(of: &Table, width: Option<u16>) -> String {
    let rows: Vec<_> = of.rows.iter().filter(|row| !row.detail).collect();
    if rows.is_empty() {
        return String::new();
    }
    let shown = |column: &Column| !column.detail;
    let mut table = comfy_table::Table::new();
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(of.columns.iter().filter(|one| shown(one)).map(Column::head));
    if let Some(width) = width {
        table.set_width(width);
    }
    for row in &rows {
        let cells = of.columns[1..].iter().zip(&row.cells);
        let cells = cells
            .filter(|(column, _)| shown(column))
            .map(|(_, cell)| cell.as_ref().map_or_else(|| BLANK.into(), self::cell));
        table.add_row(std::iter::once(row.title()).chain(cells));
    }
    let columns = of.columns.iter().filter(|one| shown(one));
    for (column, laid_out) in columns.zip(table.column_iter_mut()) {
        laid_out.set_cell_alignment(match column.kind {
            Kind::Number => CellAlignment::Right,
            Kind::Word | Kind::Prose | Kind::Bar => CellAlignment::Left,
        });
    }
    // A name in pieces cannot be searched for.
    if let Some(names) = table.column_mut(0) {
        names.set_constraint(ColumnConstraint::ContentWidth);
    }
    let left = match of.rows.len() - rows.len() {
        0 => String::new(),
        left => format!("{left} more are in report.html and summary.json\n"),
    };
    format!(
        "{}\n{}\n{table}\n{left}\n",
        of.caption,
        folded(of.about, width)
    )
}

/// Sentences in lines of `width`.
fn folded(text: &str, width: Option<u16>) -> String {
    let mut lines = comfy_table::Table::new();
    lines
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .add_row([text]);
    if let Some(width) = width {
        lines.set_width(width);
    }
    if let Some(column) = lines.column_mut(0) {
        column.set_padding((0, 0));
    }
    lines.trim_fmt()
}

fn cell(of: &Cell) -> String {
    match of {
        Cell::Text(text) => text.clone(),
        Cell::Bar(bar) => {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a share of a short bar"
            )]
            let length = ((bar.to - bar.from) / 100.0 * BAR).round() as usize;
            "█".repeat(length.max(1))
        }
    }
}
