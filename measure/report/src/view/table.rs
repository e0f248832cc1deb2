//! A table as data: its columns, and what stands in its rows. Whoever shows a table only lays it out, so that the terminal and
//! the pages say the same.

use serde::Serialize;

use crate::summary::{FloorSummary, PaperScenario, ScenarioSummary};
use result::Pipeline;

/// A table without a layout.
#[derive(Debug, Serialize)]
pub(crate) struct Table {
    /// The table's name, for screen readers too.
    pub caption: String,
    /// The columns' meaning, in sentences.
    pub about: &'static str,
    /// The first column has the rows' names.
    pub columns: Vec<Column>,
    pub rows: Vec<Row>,
}

/// A column, whose kind decides how its cells are aligned and broken.
#[derive(Debug, Serialize)]
pub(crate) struct Column {
    pub title: String,
    /// The unit, where it is not that of the caption.
    pub unit: Option<&'static str>,
    pub kind: Kind,
    /// Shown on pages only: a terminal has no room for it.
    pub detail: bool,
}

/// What the cells of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// A figure: aligned on the right.
    Number,
    /// A name: in one piece.
    Word,
    /// A sentence, which may be broken.
    Prose,
    /// A drawing of a figure that stands beside it as a number.
    Bar,
}

/// A row; a cell without a value is none.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    /// Unique in the table. A narrow place may break it where it has a line break.
    pub name: String,
    pub class: Class,
    pub mark: Option<Mark>,
    /// Shown on pages only.
    pub detail: bool,
    pub cells: Vec<Option<Cell>>,
}

/// What a row is of; the style sheet knows these words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Class {
    Ours,
    Reference,
    Floor,
    Paper,
    Same,
    Better,
    Regression,
    Incomparable,
}

/// A warning beside a row's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, strum::Display)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub(crate) enum Mark {
    /// The machine was too slow for the scenario: its figures are of the machine.
    Overloaded,
}

/// What stands in a cell.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Cell {
    Text(String),
    Bar(Bar),
}

/// A bar within its column, in percent of the column's width.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Bar {
    pub from: f64,
    pub to: f64,
    /// A mark on the bar.
    pub at: Option<f64>,
    /// A line for every row to be compared with.
    pub zero: Option<f64>,
}

impl Column {
    fn new(title: &str, kind: Kind) -> Self {
        Self {
            title: title.into(),
            unit: None,
            kind,
            detail: false,
        }
    }

    /// The title with its unit, as the head of the column shows it.
    pub(crate) fn head(&self) -> String {
        self.unit.map_or_else(
            || self.title.clone(),
            |unit| format!("{}, {unit}", self.title),
        )
    }
}

impl Row {
    /// A row without cells.
    pub(crate) fn new(name: impl Into<String>, class: Class) -> Self {
        Self {
            name: name.into(),
            class,
            mark: None,
            detail: false,
            cells: Vec::new(),
        }
    }

    /// The name with its mark.
    pub(crate) fn title(&self) -> String {
        match self.mark {
            None => self.name.clone(),
            Some(mark) => format!("{} ({mark})", self.name),
        }
    }
}

impl From<&ScenarioSummary> for Row {
    fn from(one: &ScenarioSummary) -> Self {
        Self {
            mark: one.overloaded.then_some(Mark::Overloaded),
            ..Self::new(&one.name, one.pipeline.into())
        }
    }
}

impl From<&FloorSummary> for Row {
    fn from(one: &FloorSummary) -> Self {
        Self::new(&one.name, Class::Floor)
    }
}

impl From<&PaperScenario> for Row {
    fn from(one: &PaperScenario) -> Self {
        Self::new(format!("paper {}", one.name), Class::Paper)
    }
}

impl From<Pipeline> for Class {
    fn from(pipeline: Pipeline) -> Self {
        match pipeline {
            Pipeline::Ours => Self::Ours,
            Pipeline::Floor => Self::Floor,
            Pipeline::Reference | Pipeline::ReferenceTuned => Self::Reference,
        }
    }
}

/// A table in the making: what each row is of, and the columns so far.
pub(crate) struct Builder<T> {
    table: Table,
    of: Vec<T>,
}

impl Table {
    /// A table with the rows' names alone, each row with what its cells are made of.
    pub(crate) fn of<T>(
        caption: &str,
        about: &'static str,
        names: &str,
        rows: impl IntoIterator<Item = (Row, T)>,
    ) -> Builder<T> {
        let (rows, of) = rows.into_iter().unzip();
        Builder {
            table: Self {
                caption: caption.into(),
                about,
                columns: vec![Column::new(names, Kind::Word)],
                rows,
            },
            of,
        }
    }
}

impl<T> Builder<T> {
    fn column(mut self, title: &str, kind: Kind, cell: impl Fn(&T) -> Option<Cell>) -> Self {
        self.table.columns.push(Column::new(title, kind));
        for (row, of) in self.table.rows.iter_mut().zip(&self.of) {
            row.cells.push(cell(of));
        }
        self
    }

    /// Adds a column of figures.
    pub(crate) fn number(self, title: &str, cell: impl Fn(&T) -> Option<String>) -> Self {
        self.column(title, Kind::Number, |of| cell(of).map(Cell::Text))
    }

    /// Adds a column of names.
    pub(crate) fn word(self, title: &str, cell: impl Fn(&T) -> Option<String>) -> Self {
        self.column(title, Kind::Word, |of| cell(of).map(Cell::Text))
    }

    /// Adds a column of sentences.
    pub(crate) fn prose(self, title: &str, cell: impl Fn(&T) -> Option<String>) -> Self {
        self.column(title, Kind::Prose, |of| cell(of).map(Cell::Text))
    }

    /// Adds a column of bars.
    pub(crate) fn bar(self, title: &str, cell: impl Fn(&T) -> Option<Bar>) -> Self {
        self.column(title, Kind::Bar, |of| cell(of).map(Cell::Bar))
    }

    /// Gives the last column a unit of its own.
    pub(crate) fn unit(mut self, unit: &'static str) -> Self {
        self.last().unit = Some(unit);
        self
    }

    /// Leaves the last column to pages.
    pub(crate) fn detail(mut self) -> Self {
        self.last().detail = true;
        self
    }

    fn last(&mut self) -> &mut Column {
        let last = self.table.columns.last_mut();
        last.expect("the rows' names are a column")
    }

    /// The table, without the columns in which no row has a value; without rows where no column has.
    pub(crate) fn build(self) -> Table {
        let mut table = self.table;
        for place in (0..table.columns.len() - 1).rev() {
            if table.rows.iter().all(|row| row.cells[place].is_none()) {
                table.columns.remove(place + 1);
                for row in &mut table.rows {
                    row.cells.remove(place);
                }
            }
        }
        if table.columns.len() == 1 {
            table.rows.clear();
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_without_a_value_are_left_out() {
        let rows = ["1", "2"].map(|name| (Row::new(name, Class::Ours), name));
        let table = Table::of("numbers", "", "name", rows)
            .number("none", |_| None)
            .detail()
            .number("one", |name| (*name == "1").then(|| "x".into()))
            .unit("ms")
            .build();
        let heads: Vec<_> = table.columns.iter().map(Column::head).collect();
        assert_eq!(heads, ["name", "one, ms"]);
        assert_eq!(table.rows[0].cells, [Some(Cell::Text("x".into()))]);
        assert_eq!(table.rows[1].cells, [None]);
        assert!(!table.columns[1].detail);
        let rows = [(Row::new("1", Class::Ours), ())];
        let table = Table::of("nothing", "", "name", rows).number("none", |()| None);
        assert!(table.build().rows.is_empty());
    }
}
