//! `frames.csv`: a line for every picture shown and every frame lost, with the time at which it passed each point.
//!
//! An empty cell is an unknown. A crash may cut the last line off: the reader leaves it out and says so. Flushing is the
//! caller's, and so is the buffer below the writer.

use std::fmt::Write as _;
use std::io::{self, BufRead, Read as _, Write};

use crate::{
    ClientName, FrameNumber, FrameReport, Point, Reading, RtpTimestamp, Stage, UnixMicros,
};

/// The columns, in the order in which they are written. A reader finds them by name and ignores others.
pub const COLUMNS: [&str; 13] = [
    "frame",
    "rtp_timestamp",
    "generated_us",
    "encoded_us",
    "ingested_us",
    "relayed_us",
    "received_us",
    "decoded_us",
    "shown_us",
    "outcome",
    "phase",
    "disturbed",
    "client",
];

/// The place in [`COLUMNS`] of the one column that a file may lack: those of one client had none.
const CLIENT: usize = 12;

/// No line of such a file is longer: twelve numbers of at most 20 digits and a name, with room for columns of others.
const MAX_LINE_BYTES: u64 = 4_096;

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Shown, and its stamp was read: a sample.
    Shown,
    /// Shown, but its stamp could not be read: never a sample.
    Unread,
    /// Shown, but packets of it never came: a torn picture, never a sample.
    Damaged,
    /// A picture of a frame that had been shown before.
    Duplicate,
    /// Generated, but no picture of it was reported.
    Lost,
}

impl Outcome {
    const ALL: [Self; 5] = [
        Self::Shown,
        Self::Unread,
        Self::Damaged,
        Self::Duplicate,
        Self::Lost,
    ];

    /// The word in the file, and the label of metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Shown => "shown",
            Self::Unread => "unread",
            Self::Damaged => "damaged",
            Self::Duplicate => "duplicate",
            Self::Lost => "lost",
        }
    }
}

/// When in its run a frame was consumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Before measuring began: in no figure.
    Warmup,
    /// The frame was generated in the measured time.
    Measured,
}

impl Phase {
    const ALL: [Self; 2] = [Self::Warmup, Self::Measured];

    /// The word in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Warmup => "warmup",
            Self::Measured => "measured",
        }
    }
}

/// One line of `frames.csv`: a frame at one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameRow {
    /// The number on the stamp; unknown for what was unread or lost.
    pub frame: Option<FrameNumber>,
    /// The key of the frame.
    pub rtp_timestamp: RtpTimestamp,
    /// When it passed each point, in the order of [`Point::ALL`].
    pub points: [Option<UnixMicros>; 6],
    /// When the picture was handed to the sink.
    pub shown: Option<UnixMicros>,
    /// What became of it.
    pub outcome: Outcome,
    /// Filled in by who knows when measuring began.
    pub phase: Option<Phase>,
    /// Whether the machine was disturbed in that second; filled in by who watches it.
    pub disturbed: Option<bool>,
    /// The client that showed it; none for a lost frame, and in what a client or a floor wrote by itself.
    pub client: Option<ClientName>,
}

impl FrameRow {
    /// A row of which nothing but the key and the outcome is known.
    pub const fn new(rtp_timestamp: RtpTimestamp, outcome: Outcome) -> Self {
        Self {
            frame: None,
            rtp_timestamp,
            points: [None; 6],
            shown: None,
            outcome,
            phase: None,
            disturbed: None,
            client: None,
        }
    }

    /// What the client alone knows.
    pub fn from_report(report: &FrameReport) -> Self {
        let mut row = Self::new(report.rtp_timestamp, Outcome::Unread);
        match report.reading {
            Reading::Read { frame, generated } => {
                row.frame = Some(frame);
                row.outcome = Outcome::Shown;
                row.set(Point::Generated, generated);
            }
            Reading::Unread => {}
            Reading::Damaged => row.outcome = Outcome::Damaged,
        }
        row.points[Point::Received as usize] = report.received;
        row.set(Point::Decoded, report.decoded);
        row.shown = Some(report.shown);
        row
    }

    /// When the frame passed `point`.
    pub const fn at(&self, point: Point) -> Option<UnixMicros> {
        self.points[point as usize]
    }

    /// Notes that the frame passed `point` at `at`.
    pub const fn set(&mut self, point: Point, at: UnixMicros) {
        self.points[point as usize] = Some(at);
    }

    /// Decoded minus generated, in microseconds, for a row that is a sample. Negative only where clocks disagree.
    pub fn latency_us(&self) -> Option<i64> {
        if self.outcome != Outcome::Shown {
            return None;
        }
        Some(
            self.at(Point::Decoded)?
                .micros_since(self.at(Point::Generated)?),
        )
    }

    /// How long `stage` took, in microseconds, where both of its ends are known.
    pub fn stage_us(&self, stage: Stage) -> Option<i64> {
        let (from, to) = stage.ends();
        Some(self.at(to)?.micros_since(self.at(from)?))
    }

    /// Whether every point is known, so that the stages sum to the latency.
    pub fn has_every_point(&self) -> bool {
        self.points.iter().all(Option::is_some)
    }
}

/// Writes rows, each with a single call of the writer below.
#[derive(Debug)]
pub struct FrameWriter<W> {
    to: W,
    line: String,
}

impl<W: Write> FrameWriter<W> {
    /// Begins a file: writes its header.
    pub fn begin(mut to: W) -> io::Result<Self> {
        to.write_all((COLUMNS.join(",") + "\n").as_bytes())?;
        Ok(Self::append(to))
    }

    /// Goes on with a file that has its header and ends with a whole line.
    pub const fn append(to: W) -> Self {
        Self {
            to,
            line: String::new(),
        }
    }

    /// Writes one row as a line.
    pub fn write(&mut self, row: &FrameRow) -> io::Result<()> {
        self.line.clear();
        let times = row
            .points
            .iter()
            .copied()
            .chain([row.shown])
            .map(|at| at.map(|at| at.0));
        push(&mut self.line, row.frame);
        push(&mut self.line, Some(row.rtp_timestamp));
        for time in times {
            push(&mut self.line, time);
        }
        push(&mut self.line, Some(row.outcome.as_str()));
        push(&mut self.line, row.phase.map(Phase::as_str));
        push(&mut self.line, row.disturbed);
        push(&mut self.line, row.client.as_ref());
        self.line.pop();
        self.line.push('\n');
        self.to.write_all(self.line.as_bytes())
    }

    /// Hands on what the writer below holds back.
    pub fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }

    /// The writer that the lines went to.
    pub fn into_inner(self) -> W {
        self.to
    }
}

fn push(line: &mut String, cell: Option<impl std::fmt::Display>) {
    if let Some(cell) = cell {
        write!(line, "{cell}").expect("a String takes all that is written");
    }
    line.push(',');
}

/// The reason why a file could not be read on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The reader below failed.
    #[error("cannot read line {line}")]
    Io {
        /// The number of the line, from 1.
        line: u64,
        /// What the reader said.
        source: io::Error,
    },
    /// The header lacks a column.
    #[error("the header has no column {column:?}: this is no frames.csv, or another program's")]
    Column {
        /// The name of the column.
        column: &'static str,
    },
    /// A line is too long to be one.
    #[error("line {line} is longer than {MAX_LINE_BYTES} bytes")]
    TooLong {
        /// The number of the line, from 1.
        line: u64,
    },
    /// A cell does not hold what its column says.
    #[error("line {line}, column {column:?}: {value:?} is not a value of it")]
    Cell {
        /// The number of the line, from 1.
        line: u64,
        /// The name of the column.
        column: &'static str,
        /// The cell, cut to 40 characters.
        value: String,
    },
}

/// Reads rows, one at a time. After an error it goes on with the next line, except when the reader below failed.
#[derive(Debug)]
pub struct FrameReader<R> {
    from: R,
    /// Where each of [`COLUMNS`] stands; none for a column that the file lacks.
    places: [Option<usize>; 13],
    buffer: Vec<u8>,
    line: u64,
    ended: bool,
    cut_off: bool,
}

impl<R: BufRead> FrameReader<R> {
    /// Reads the header line. A file that is empty, or was cut off within its header, has no rows.
    pub fn new(from: R) -> Result<Self, ReadError> {
        let mut reader = Self {
            from,
            places: [None; 13],
            buffer: Vec::new(),
            line: 0,
            ended: false,
            cut_off: false,
        };
        if reader.next_line()? {
            let header = String::from_utf8_lossy(&reader.buffer);
            let names: Vec<_> = header.split(',').collect();
            for (index, column) in COLUMNS.into_iter().enumerate() {
                let place = names.iter().position(|name| *name == column);
                if place.is_none() && index != CLIENT {
                    return Err(ReadError::Column { column });
                }
                reader.places[index] = place;
            }
        }
        Ok(reader)
    }

    /// Whether the file ended in the middle of a line, which was left out. Known once the rows are read.
    pub const fn was_cut_off(&self) -> bool {
        self.cut_off
    }

    /// Fills the buffer with the next whole line, without its end.
    fn next_line(&mut self) -> Result<bool, ReadError> {
        if self.ended {
            return Ok(false);
        }
        self.line += 1;
        let line = self.line;
        self.buffer.clear();
        let mut limited = (&mut self.from).take(MAX_LINE_BYTES);
        let read = limited.read_until(b'\n', &mut self.buffer).and_then(|_| {
            if self.buffer.len() as u64 == MAX_LINE_BYTES && !self.buffer.ends_with(b"\n") {
                return skip_line(&mut self.from).map(|()| true);
            }
            Ok(false)
        });
        match read {
            Err(source) => {
                self.ended = true;
                return Err(ReadError::Io { line, source });
            }
            Ok(true) => return Err(ReadError::TooLong { line }),
            Ok(false) => {}
        }
        if self.buffer.pop_if(|last| *last == b'\n').is_none() {
            self.ended = true;
            self.cut_off = !self.buffer.is_empty();
            return Ok(false);
        }
        self.buffer.pop_if(|last| *last == b'\r');
        Ok(true)
    }

    fn row(&self) -> Result<FrameRow, ReadError> {
        let text = String::from_utf8_lossy(&self.buffer);
        let cells: Vec<_> = text.split(',').collect();
        let cell = |column: usize| {
            let place = self.places[column];
            place
                .and_then(|place| cells.get(place).copied())
                .unwrap_or("")
        };
        let wrong = |column: usize| ReadError::Cell {
            line: self.line,
            column: COLUMNS[column],
            value: cell(column).chars().take(40).collect(),
        };
        let number = |column: usize| match cell(column) {
            "" => Ok(None),
            digits => digits.parse::<u64>().map(Some).map_err(|_| wrong(column)),
        };
        let small = |column: usize| {
            number(column)?
                .map(|value| u32::try_from(value).map_err(|_| wrong(column)))
                .transpose()
        };
        let outcome = Outcome::ALL
            .into_iter()
            .find(|outcome| outcome.as_str() == cell(9));
        let key = small(1)?.ok_or_else(|| wrong(1))?;
        let mut row = FrameRow::new(RtpTimestamp(key), outcome.ok_or_else(|| wrong(9))?);
        row.frame = small(0)?.map(FrameNumber);
        for (column, point) in (2..).zip(&mut row.points) {
            *point = number(column)?.map(UnixMicros);
        }
        row.shown = number(8)?.map(UnixMicros);
        row.phase = match cell(10) {
            "" => None,
            word => Some(
                Phase::ALL
                    .into_iter()
                    .find(|phase| phase.as_str() == word)
                    .ok_or_else(|| wrong(10))?,
            ),
        };
        row.disturbed = match cell(11) {
            "" => None,
            word => Some(word.parse().map_err(|_| wrong(11))?),
        };
        row.client = match cell(CLIENT) {
            "" => None,
            name => Some(ClientName::new(name).map_err(|_| wrong(CLIENT))?),
        };
        Ok(row)
    }
}

impl<R: BufRead> Iterator for FrameReader<R> {
    type Item = Result<FrameRow, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.next_line() {
            Ok(true) => Some(self.row()),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

/// Reads up to and with the next line end, keeping nothing.
fn skip_line(from: &mut impl BufRead) -> io::Result<()> {
    loop {
        let chunk = from.fill_buf()?;
        if chunk.is_empty() {
            return Ok(());
        }
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let used = end.map_or(chunk.len(), |end| end + 1);
        from.consume(used);
        if end.is_some() {
            return Ok(());
        }
    }
}

#[cfg(test)]
#[path = "frames_csv_tests.rs"]
mod tests;
