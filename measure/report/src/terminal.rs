//! What a summary shows, on a terminal.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, presets};

use crate::{
    summary::Summary,
    text::BLANK,
    view::{Cell, Kind, Row, Table, View},
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
    let tables = [
        &view.stages,
        &view.frames,
        &view.seen,
        &view.resources,
        &view.nodes,
    ];
    for of in tables {
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

/// The room for a sentence that is broken into lines.
const PROSE: usize = 30;

/// A table with its caption, without what is left to pages; nothing without rows. Columns that do not fit stand in tables of
/// their own below, with the rows' names again.
pub(crate) fn table(of: &Table, width: Option<u16>) -> String {
    let rows: Vec<_> = of.rows.iter().filter(|row| !row.detail).collect();
    if rows.is_empty() {
        return String::new();
    }
    let width = width.or_else(|| comfy_table::Table::new().width());
    let mut text = format!("{}\n{}\n", of.caption, folded(of.about, width));
    for columns in groups(of, &rows, width.map_or(usize::MAX, usize::from)) {
        text += &format!("{}\n", part(of, &rows, &columns, width));
    }
    let left = of.rows.len() - rows.len();
    if left > 0 {
        text += &format!("{left} more are in report.html and summary.json\n");
    }
    text + "\n"
}

/// The columns beside the rows' names, by place, as many at a time as `width` has room for.
fn groups(of: &Table, rows: &[&Row], width: usize) -> Vec<Vec<usize>> {
    let longest = |texts: &mut dyn Iterator<Item = String>| {
        let lines = texts.filter_map(|text| text.lines().map(|line| line.chars().count()).max());
        // With a border and a space on each side.
        lines.max().unwrap_or(0) + 3
    };
    let titles = rows.iter().map(|row| row.title());
    let names = 1 + longest(&mut titles.chain([of.columns[0].head()]));
    let mut groups = vec![Vec::new()];
    let mut taken = names;
    for (place, column) in of.columns.iter().enumerate().skip(1) {
        if column.detail {
            continue;
        }
        let cells = rows.iter().map(|row| cell(row, place));
        let mut room = longest(&mut cells.chain([column.head()]));
        if column.kind == Kind::Prose {
            room = room.min(PROSE);
        }
        if taken + room > width && taken > names {
            groups.push(Vec::new());
            taken = names;
        }
        taken += room;
        groups.last_mut().expect("begun with one").push(place);
    }
    groups
}

/// The rows' names and some columns.
fn part(of: &Table, rows: &[&Row], columns: &[usize], width: Option<u16>) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    let heads = columns.iter().map(|place| of.columns[*place].head());
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(std::iter::once(of.columns[0].head()).chain(heads));
    if let Some(width) = width {
        table.set_width(width);
    }
    for row in rows {
        let cells = columns.iter().map(|place| cell(row, *place));
        table.add_row(std::iter::once(row.title()).chain(cells));
    }
    for (place, column) in columns.iter().zip(table.column_iter_mut().skip(1)) {
        if of.columns[*place].kind == Kind::Number {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    // A name in pieces cannot be searched for.
    if let Some(names) = table.column_mut(0) {
        names.set_constraint(ColumnConstraint::ContentWidth);
    }
    table
}

/// The text of a row's cell in the column of that place.
fn cell(row: &Row, place: usize) -> String {
    match &row.cells[place - 1] {
        None => BLANK.into(),
        Some(Cell::Text(text)) => text.clone(),
        Some(Cell::Bar(bar)) => {
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
