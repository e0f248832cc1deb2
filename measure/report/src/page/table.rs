//! A table as the templates print it.

use serde::Serialize;

use crate::text::ms;
use result::Pipeline;

/// A table, as texts.
#[derive(Debug, Serialize)]
pub(super) struct Table {
    /// Above the rows' names.
    first: &'static str,
    heads: Vec<&'static str>,
    rows: Vec<Row>,
    /// Columns of words: they are wide, and read from the left.
    words: Vec<usize>,
}

/// A row.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    name: String,
    kind: &'static str,
    cells: Vec<String>,
}

impl Table {
    /// Without rows.
    pub(super) fn new(first: &'static str, heads: &[&'static str]) -> Self {
        Self {
            first,
            heads: heads.to_vec(),
            rows: Vec::new(),
            words: Vec::new(),
        }
    }

    /// With these columns as words.
    pub(super) fn words(mut self, words: &[usize]) -> Self {
        self.words = words.to_vec();
        self
    }

    /// Adds a row of a `kind` (a class of the style sheet); cells that are missing are empty.
    pub(super) fn push(&mut self, name: String, kind: &'static str, mut cells: Vec<String>) {
        cells.resize(self.heads.len(), String::new());
        self.rows.push(Row { name, kind, cells });
    }

    /// The cells of the row of that name.
    #[cfg(test)]
    pub(super) fn row(&self, name: &str) -> Option<&[String]> {
        let row = self.rows.iter().find(|row| row.name == name)?;
        Some(&row.cells)
    }

    /// Without the columns in which no row has anything.
    pub(super) fn without_empty(mut self) -> Self {
        for column in (0..self.heads.len()).rev() {
            if self.rows.iter().all(|row| row.cells[column].is_empty()) {
                self.heads.remove(column);
                for row in &mut self.rows {
                    row.cells.remove(column);
                }
                self.words.retain(|words| *words != column);
                for words in self.words.iter_mut().filter(|words| **words > column) {
                    *words -= 1;
                }
            }
        }
        self
    }
}

/// The kind of the rows of such a pipeline.
pub(super) const fn class(pipeline: Pipeline) -> &'static str {
    match pipeline {
        Pipeline::Ours => "ours",
        Pipeline::Floor => "floor",
        Pipeline::Reference | Pipeline::ReferenceTuned => "reference",
    }
}

/// Microseconds as milliseconds; nothing where unknown.
pub(super) fn known(us: Option<u64>) -> String {
    us.map_or_else(String::new, |us| ms(us as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_columns_are_left_out() {
        let mut table = Table::new("name", &["a", "b", "c"]).words(&[2]);
        table.push("x".into(), "ours", vec!["1".into()]);
        table.push(
            "y".into(),
            "ours",
            vec![String::new(), String::new(), "3".into()],
        );
        let table = table.without_empty();
        assert_eq!(table.heads, ["a", "c"]);
        assert_eq!(table.words, [1]);
        assert_eq!(table.row("y"), Some(&[String::new(), "3".into()][..]));
    }
}
