//! `xrbench frames DIR...`: every frame of every scenario and repetition as one table, for statistics programs.
//!
//! The table is tidy: a row is a frame at a client, a column has one meaning and one unit, and a cell without a value is empty.
//! `docs/frames.md` has every column. What is measured, disturbed, a latency or a stage is said by the functions that the summary uses.
//! Rows are written as they are read; the pictures of one repetition of a reference are all that is held.

mod check;
pub mod cli;
mod read;
mod row;
mod wanted;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use anyhow::Context as _;

use crate::compare::{self, BadInput};
use check::check;
use result::rows;
pub use row::TidyRow;
pub use wanted::Wanted;

/// What was exported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Rows that were written.
    pub rows: u64,
    /// What a reader must know of what was left out.
    pub remarks: Vec<String>,
}

/// Writes the frames of the results in `dirs` to `to`, after all of them were looked through.
///
/// # Errors
/// [`BadInput`] of a result that is none, is damaged or was not finished, before anything is written.
pub fn export(dirs: &[PathBuf], wanted: &Wanted, to: impl Write) -> anyhow::Result<Exported> {
    let (mut opened, mut known) = (Vec::new(), Vec::new());
    let mut exported = Exported::default();
    for dir in dirs {
        let folder = compare::open(dir)?;
        let place = dir.canonicalize()?;
        if known.contains(&place) {
            return Err(BadInput::Twice { path: dir.clone() }.into());
        }
        known.push(place);
        let info = folder.info()?;
        if !wanted.partial {
            check(dir, &folder, &info, wanted)?;
        }
        let result = dir.display().to_string();
        let older = folder.older(&info)?;
        let older = older.map(|text| format!("{result}: {text}"));
        exported.remarks.extend(older);
        opened.push((result, folder));
    }
    let mut table = csv::WriterBuilder::new()
        .has_headers(false)
        .buffer_capacity(1 << 16)
        .from_writer(to);
    table
        .write_record(rows::columns::<TidyRow<'_>>())
        .map_err(below)?;
    let mut left_out = BTreeMap::<_, u64>::new();
    for (result, folder) in &opened {
        for (meta, repetition) in folder.repetitions()? {
            if !wanted.has(meta.pipeline) {
                continue;
            }
            let named = || format!("cannot export {}", repetition.root().display());
            let mut take = |row: &TidyRow<'_>| -> anyhow::Result<()> {
                exported.rows += 1;
                table.serialize(row).map_err(below)
            };
            let remarks =
                read::repetition(result, &meta, &repetition, &mut take).with_context(named)?;
            for (remark, count) in remarks {
                let place = repetition.root().display().to_string();
                *left_out.entry((place, remark)).or_default() += count;
            }
        }
    }
    table.flush()?;
    let told = left_out.into_iter();
    let told = told.map(|((place, remark), count)| format!("{place}: {}", remark.text(count)));
    exported.remarks.extend(told);
    Ok(exported)
}

/// What failed below the table, by itself: its kind tells a closed pipe.
fn below(error: csv::Error) -> anyhow::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error.into(),
        other => anyhow::anyhow!("cannot put a row into CSV: {other:?}"),
    }
}

#[cfg(test)]
mod tests;
