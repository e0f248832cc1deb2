//! The rows of a repetition: those of `frames.csv`, and those that still waited for points of their way in `frames-open.csv`
//! when whoever collected them was killed.
//!
//! A row is written to `frames.csv` before the other file is replaced by one without it, so a kill leaves it in one of them
//! or in both, never in none. A row that is in both counts once: that of `frames.csv`, which knows more.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use anyhow::Context as _;
use timeline::frames_csv::{FrameReader, FrameRow, FrameWriter, Outcome, ReadError};
use timeline::{ClientName, Point, RtpTimestamp, UnixMicros};

use super::folder::{RepetitionFolder, cannot_write};

/// No line of `frames.csv` is longer.
const LONGEST_LINE_BYTES: u64 = 4_096;

/// Whose row of which frame.
type Key = (Option<ClientName>, RtpTimestamp);

/// Every row of a repetition, each once, those that waited last.
#[derive(Debug)]
pub struct FrameRows {
    frames: FrameReader<BufReader<File>>,
    waiting: Waiting,
    /// What is left of them once the file is read.
    rest: Option<std::vec::IntoIter<FrameRow>>,
}

/// The rows that waited, less those that are in the file too.
#[derive(Debug, Default)]
struct Waiting {
    rows: Vec<FrameRow>,
    /// The row of each key, by its place.
    places: HashMap<Key, usize>,
    /// Frames of which a row waits.
    keys: HashSet<RtpTimestamp>,
    known: HashSet<usize>,
    /// Frames of which the file has a picture.
    shown: HashSet<RtpTimestamp>,
    /// The latest generation time of a picture.
    newest: Option<UnixMicros>,
}

impl FrameRows {
    /// Opens the rows of a repetition.
    pub fn open(folder: &RepetitionFolder) -> anyhow::Result<Self> {
        let path = folder.frames_csv();
        let name = || format!("cannot read {}", path.display());
        let file = File::open(&path).with_context(name)?;
        let frames =
            FrameReader::new(BufReader::with_capacity(1 << 16, file)).with_context(name)?;
        Ok(Self {
            frames,
            waiting: Waiting::read(&folder.frames_open_csv())?,
            rest: None,
        })
    }
}

impl Iterator for FrameRows {
    type Item = Result<FrameRow, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_none() {
            let next = self.frames.next();
            if let Some(Ok(row)) = &next {
                self.waiting.is_written(row);
            }
            if next.is_some() {
                return next;
            }
            self.rest = Some(std::mem::take(&mut self.waiting).rest());
        }
        self.rest.as_mut()?.next().map(Ok)
    }
}

impl Waiting {
    /// A file that is not there has no rows. Each is written whole, so a line that is none is somebody else's.
    fn read(path: &Path) -> anyhow::Result<Self> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        };
        let mut waiting = Self::default();
        let reader = FrameReader::new(BufReader::new(file))
            .with_context(|| format!("cannot read {}", path.display()))?;
        for row in reader {
            let row = row.with_context(|| format!("cannot read {}", path.display()))?;
            waiting.keys.insert(row.rtp_timestamp);
            waiting.note(&row);
            let key = (row.client.clone(), row.rtp_timestamp);
            waiting.places.insert(key, waiting.rows.len());
            waiting.rows.push(row);
        }
        Ok(waiting)
    }

    fn note(&mut self, row: &FrameRow) {
        if row.outcome != Outcome::Lost {
            self.newest = self.newest.max(row.at(Point::Generated));
        }
    }

    fn is_written(&mut self, row: &FrameRow) {
        self.note(row);
        // A second picture of a frame is written at once, while the first may wait.
        if row.outcome == Outcome::Duplicate || !self.keys.contains(&row.rtp_timestamp) {
            return;
        }
        if row.outcome != Outcome::Lost {
            self.shown.insert(row.rtp_timestamp);
        }
        let key = (row.client.clone(), row.rtp_timestamp);
        self.known.extend(self.places.get(&key));
    }

    fn rest(self) -> std::vec::IntoIter<FrameRow> {
        let Self {
            rows,
            known,
            shown,
            newest,
            ..
        } = self;
        let rest = rows.into_iter().enumerate().filter(|(place, row)| {
            let lost = row.outcome == Outcome::Lost;
            // A frame that nobody had reported yet was on its way, unless a later one had come already.
            let on_its_way =
                lost && (shown.contains(&row.rtp_timestamp) || row.at(Point::Generated) > newest);
            !known.contains(place) && !on_its_way
        });
        rest.map(|(_, row)| row).collect::<Vec<_>>().into_iter()
    }
}

/// Puts the rows that waited when a repetition's writer was killed into its `frames.csv`, and removes the other file.
pub fn settle(folder: &RepetitionFolder) -> anyhow::Result<()> {
    let open = folder.frames_open_csv();
    if !open.exists() {
        return Ok(());
    }
    let path = folder.frames_csv();
    let (mut rows, mut waiting) = (FrameRows::open(folder)?, Vec::new());
    while let Some(row) = rows.next() {
        if let Err(error @ ReadError::Io { .. }) = row {
            return Err(error).with_context(|| format!("cannot read {}", path.display()));
        }
        // What is no row of the file is left as it is, and said by whoever reads the result.
        if rows.rest.is_some() {
            waiting.extend(row.ok());
        }
    }
    let append = || -> io::Result<()> {
        let mut to = FrameWriter::append(BufWriter::new(whole_lines(&path)?));
        for row in &waiting {
            to.write(row)?;
        }
        to.flush()
    };
    append().with_context(|| cannot_write(&path))?;
    fs::remove_file(&open).with_context(|| format!("cannot remove {}", open.display()))
}

/// Opens a file of lines behind the last whole one: a kill may have cut its last line off.
fn whole_lines(path: &Path) -> io::Result<File> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let length = file.metadata()?.len();
    let from = length.saturating_sub(LONGEST_LINE_BYTES);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let whole = tail.iter().rposition(|byte| *byte == b'\n');
    let end = whole.map_or(from, |end| from + end as u64 + 1);
    file.set_len(end)?;
    file.seek(SeekFrom::Start(end))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_763_000_000_000_000;

    fn row(n: u32, outcome: Outcome, client: &str) -> FrameRow {
        let mut row = FrameRow::new(RtpTimestamp(n), outcome);
        row.set(Point::Generated, UnixMicros(START + u64::from(n) * 1_000));
        row.client = ClientName::new(client).ok();
        row
    }

    fn put(path: &Path, rows: &[FrameRow]) {
        let mut file = FrameWriter::begin(File::create(path).expect("made")).expect("a header");
        for row in rows {
            file.write(row).expect("written");
        }
    }

    /// What a repetition holds, with a half line at the end of its `frames.csv`.
    fn killed(written: &[FrameRow], waiting: &[FrameRow]) -> (tempfile::TempDir, RepetitionFolder) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let folder = RepetitionFolder::new(dir.path());
        put(&folder.frames_csv(), written);
        put(&folder.frames_open_csv(), waiting);
        let mut text = fs::read_to_string(folder.frames_csv()).expect("there");
        text.push_str("7,21,17630");
        fs::write(folder.frames_csv(), text).expect("written");
        (dir, folder)
    }

    fn read(folder: &RepetitionFolder) -> Vec<(u32, Outcome, Option<ClientName>)> {
        let rows = FrameRows::open(folder).expect("there");
        rows.map(|row| row.expect("a row"))
            .map(|row| (row.rtp_timestamp.0, row.outcome, row.client))
            .collect()
    }

    #[test]
    fn a_row_counts_once_for_each_client_wherever_a_kill_left_it() {
        use Outcome::{Duplicate, Lost, Shown, Unread};
        let written = [
            row(1, Shown, "a"),
            row(1, Shown, "b"),
            // A second picture, of which the first one waits.
            row(2, Duplicate, "a"),
            row(3, Unread, "a"),
            row(4, Lost, ""),
            row(5, Shown, "b"),
        ];
        let waiting = [
            row(1, Shown, "b"),
            row(2, Shown, "a"),
            row(3, Unread, "a"),
            row(4, Lost, ""),
            row(5, Shown, "a"),
            // Nobody had reported these: one was lost, one was on its way, one has been reported since.
            row(6, Lost, ""),
            row(9, Lost, ""),
            row(5, Lost, ""),
            row(8, Shown, "a"),
        ];
        let (_dir, folder) = killed(&written, &waiting);
        let mut expected: Vec<_> = written
            .iter()
            .chain([&waiting[1], &waiting[4], &waiting[5], &waiting[8]])
            .map(|row| (row.rtp_timestamp.0, row.outcome, row.client.clone()))
            .collect();
        assert_eq!(read(&folder), expected);

        settle(&folder).expect("settled");
        assert!(!folder.frames_open_csv().exists());
        assert_eq!(read(&folder), expected);
        settle(&folder).expect("nothing waits");
        let text = fs::read_to_string(folder.frames_csv()).expect("there");
        assert_eq!(text.lines().count(), expected.len() + 1, "{text}");

        // Killed between the two steps of settling, it settles once more.
        put(&folder.frames_open_csv(), &waiting);
        settle(&folder).expect("settled");
        expected.sort_by_key(|(key, ..)| *key);
        let mut again = read(&folder);
        again.sort_by_key(|(key, ..)| *key);
        assert_eq!(again, expected);
    }

    #[test]
    fn a_repetition_that_ended_has_one_file() {
        let (_dir, folder) = killed(&[row(1, Outcome::Shown, "a")], &[]);
        fs::remove_file(folder.frames_open_csv()).expect("removed");
        assert_eq!(read(&folder).len(), 1);
        settle(&folder).expect("nothing to do");
    }
}
