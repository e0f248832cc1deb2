//! The rows of a result's CSV files: one struct a file, for its writer and its readers.
//!
//! The columns are the fields of the struct, found by name, others are ignored. A line that does not hold what its columns
//! say is an error with file and line. A crash may cut off the last line: the reader leaves it out and says so.

mod events;
mod host;
mod ocr;
mod resources;

use std::fs::File;
use std::io::{self, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use csv::{ErrorKind, StringRecord};
use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};

use super::folder::{cannot_write, write_atomic};

pub use events::EventRow;
pub use host::HostRow;
pub use ocr::{Agreement, Audit, OcrRow, RowStatus};
pub use resources::ResourceRow;

/// What was read from a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows<T> {
    /// The whole rows, in the order of the file.
    pub rows: Vec<T>,
    /// Whether the file ends in the middle of a line, which was left out.
    pub cut_off: bool,
}

/// Reads a file of rows; none where there is no such file.
pub fn read<T: DeserializeOwned>(path: &Path) -> anyhow::Result<Option<Rows<T>>> {
    let text = match std::fs::read(path) {
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text.with_context(|| format!("cannot read {}", path.display()))?,
    };
    parse(&text)
        .map(Some)
        .with_context(|| format!("{} is not what this version writes", path.display()))
}

/// The rows of a file's content.
///
/// # Errors
/// Names the line that is no row, counted from 1.
pub fn parse<T: DeserializeOwned>(text: &[u8]) -> anyhow::Result<Rows<T>> {
    let cut_off = !text.is_empty() && !text.ends_with(b"\n");
    let mut reader = csv::Reader::from_reader(text);
    let headers = reader.headers()?.clone();
    let mut records: Vec<_> = reader.into_records().collect();
    if cut_off {
        records.pop();
    }
    let mut rows = Vec::with_capacity(records.len());
    for record in records {
        let record = record?;
        let row = record.deserialize(Some(&headers));
        rows.push(row.map_err(|error| named(&error, &record, &headers))?);
    }
    Ok(Rows { rows, cut_off })
}

/// The line and the cell that are no row's.
fn named(error: &csv::Error, record: &StringRecord, headers: &StringRecord) -> anyhow::Error {
    let line = record.position().map_or(0, csv::Position::line);
    let ErrorKind::Deserialize { err, .. } = error.kind() else {
        return anyhow!("line {line}: {error}");
    };
    let cell = err.field().and_then(|field| {
        let field = usize::try_from(field).ok()?;
        Some((headers.get(field)?, record.get(field)?))
    });
    match cell {
        Some((column, value)) => {
            let value: String = value.chars().take(40).collect();
            anyhow!("line {line}, column {column:?}: {value:?} is not a value of it")
        }
        None => anyhow!("line {line}: {}", err.kind()),
    }
}

/// Writes rows as they come, each handed to the system by [`Writer::flush`].
#[derive(Debug)]
pub struct Writer<T> {
    to: csv::Writer<File>,
    path: PathBuf,
    of: PhantomData<fn(T)>,
}

impl<T: Serialize + Default> Writer<T> {
    /// Creates the file with its header.
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        let file = File::create(path).with_context(|| cannot_write(path))?;
        let mut writer = Self {
            to: without_header(file),
            path: path.to_owned(),
            of: PhantomData,
        };
        writer
            .to
            .write_record(columns::<T>())
            .with_context(|| cannot_write(path))?;
        writer.flush()?;
        Ok(writer)
    }

    /// Writes one row as a line.
    pub fn write(&mut self, row: &T) -> anyhow::Result<()> {
        self.to
            .serialize(row)
            .with_context(|| cannot_write(&self.path))
    }

    /// Hands everything to the system.
    pub fn flush(&mut self) -> anyhow::Result<()> {
        self.to.flush().with_context(|| cannot_write(&self.path))
    }
}

/// Replaces a file of rows whole.
pub fn write<T: Serialize + Default>(path: &Path, rows: &[T]) -> anyhow::Result<()> {
    let mut to = without_header(Vec::new());
    to.write_record(columns::<T>())?;
    for row in rows {
        to.serialize(row).context("cannot put a row into CSV")?;
    }
    let text = to.into_inner().context("cannot put a row into CSV")?;
    write_atomic(path, &text)
}

/// The columns of a row, in the order in which they are written.
///
/// # Panics
/// Where a row is no struct of plain fields.
pub fn columns<T: Serialize + Default>() -> Vec<String> {
    let mut header = csv::Writer::from_writer(Vec::new());
    header
        .serialize(T::default())
        .expect("a row is a struct of plain fields");
    let text = header.into_inner().expect("memory takes all");
    let mut reader = csv::Reader::from_reader(&text[..]);
    let names = reader.headers().expect("it was written a moment ago");
    names.iter().map(ToOwned::to_owned).collect()
}

fn without_header<W: Write>(to: W) -> csv::Writer<W> {
    csv::WriterBuilder::new().has_headers(false).from_writer(to)
}

/// Percentages and loads have two digits after the point: beyond that they are noise.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands over a reference"
)]
fn hundredths<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&format!("{value:.2}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_comes_back_and_the_header_is_there_before_it() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("events.csv");
        let mut writer = Writer::<EventRow>::create(&path).expect("created");
        let empty = read::<EventRow>(&path).expect("a header").expect("there");
        assert_eq!((empty.rows.len(), empty.cut_off), (0, false));
        let row = EventRow {
            time_us: timeline::UnixMicros(5),
            event: "exited".into(),
            who: "client".into(),
            detail: "exit 1, \"why\"\nnext line".into(),
        };
        writer
            .write(&row)
            .and_then(|()| writer.flush())
            .expect("written");
        let found = read(&path).expect("rows").expect("there");
        assert_eq!((found.rows, found.cut_off), (vec![row], false));
        assert_eq!(
            read::<EventRow>(&dir.path().join("none")).expect("none"),
            None
        );
    }

    #[test]
    fn a_cut_loses_the_cut_line_only() {
        let whole = "time_us,event,who,detail\n5,started,client,\n6,ready,client,\"a\nb\"\n";
        let header = whole.find('\n').expect("a header");
        for end in header + 1..whole.len() {
            let rows = parse::<EventRow>(&whole.as_bytes()[..end]);
            let rows = rows.unwrap_or_else(|error| panic!("cut at {end}: {error}"));
            assert!(rows.rows.len() <= 2, "cut at {end}");
            if !rows.rows.is_empty() {
                assert_eq!(rows.rows[0].event, "started", "cut at {end}");
            }
        }
        assert!(parse::<EventRow>(b"").expect("nothing").rows.is_empty());
    }

    #[test]
    fn a_line_that_is_no_row_is_named() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("host.csv");
        for (text, parts) in [
            (
                "from_us,to_us,disturbed\n1,2,true\n3,x,false\n5,6,true\n",
                ["line 3", "column \"to_us\": \"x\""],
            ),
            (
                "from_us,disturbed\n1,true\n",
                ["line 2", "missing field `to_us`"],
            ),
            (
                "from_us,to_us,disturbed\n1,2\n3,4,true\n",
                ["line: 2", "2 fields"],
            ),
        ] {
            std::fs::write(&path, text).expect("written");
            let error = read::<HostRow>(&path).expect_err(text);
            let told = format!("{error:#}");
            assert!(told.contains("host.csv"), "{told}");
            for part in parts {
                assert!(told.contains(part), "{told} lacks {part}");
            }
        }
    }

    #[test]
    fn docs_name_every_column_of_resources_csv_in_its_order() {
        let docs = include_str!("../../../../docs/resources.md");
        let table = docs
            .split_once("| column | meaning |")
            .expect("the table of resources.csv")
            .1;
        let named: Vec<&str> = table
            .lines()
            .skip(2)
            .map_while(|line| line.strip_prefix("| ")?.split_once(" |"))
            .flat_map(|(names, _)| names.split_whitespace())
            .map(|name| name.trim_matches('`'))
            .collect();
        assert_eq!(named, columns::<ResourceRow>());
    }
}
