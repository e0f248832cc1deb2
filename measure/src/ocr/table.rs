//! `ocr.csv`, what was read from each image, and `index.csv`, what the client knew of it.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufReader, ErrorKind},
    path::Path,
};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::result::write_atomic;

/// One line of `ocr.csv`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The file of the image, without its folder.
    pub file: String,
    /// Which image of the file, from 0.
    pub image: u64,
    /// The frame's key, where the client wrote it down.
    pub rtp_timestamp: Option<u32>,
    /// The generation line as it was read.
    pub generation_text: String,
    /// The consumption line as it was read.
    pub consumption_text: String,
    /// The frame number; ffmpeg's clock has none.
    pub frame: Option<u32>,
    /// Generation, microseconds since the Unix epoch.
    pub generated_us: Option<u64>,
    /// Consumption, microseconds since the Unix epoch.
    pub consumed_us: Option<u64>,
    /// Their difference in microseconds.
    pub latency_us: Option<u64>,
    /// Whether it counts.
    pub status: RowStatus,
    /// Why it does not.
    pub why: String,
    /// Whether the blocks, and what the client drew, say the same.
    pub blocks: Agreement,
}

/// Whether an image counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RowStatus {
    /// Both lines were read and are believed.
    Read,
    /// Not.
    #[default]
    Unread,
}

/// Whether two readings of one frame are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Agreement {
    /// They are.
    Yes,
    /// They are not: one of the instruments is wrong.
    No,
    /// There are no two readings.
    #[default]
    Na,
}

/// One line of `index.csv`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct IndexRow {
    file: String,
    image: u64,
    /// The frame's key.
    pub rtp_timestamp: Option<u32>,
    /// What the blocks said; nothing when they were unread.
    pub frame: Option<u32>,
    /// What the blocks said, microseconds since the Unix epoch.
    pub generated_us: Option<u64>,
    /// What was drawn as consumption, microseconds since the Unix epoch.
    pub decoded_us: Option<u64>,
}

impl IndexRow {
    /// What the blocks of a picture say, where nothing else is known of it.
    pub(super) fn from_blocks(read: stamp::Stamp) -> Self {
        Self {
            file: String::new(),
            image: 0,
            rtp_timestamp: None,
            frame: Some(read.frame),
            generated_us: Some(read.time_us),
            decoded_us: None,
        }
    }
}

/// `index.csv` by file and image.
pub type Index = HashMap<(String, u64), IndexRow>;

/// Reads `index.csv`; ffmpeg writes none, and then nothing is known.
pub fn read_index(path: &Path) -> anyhow::Result<Index> {
    let file = match File::open(path) {
        Err(missing) if missing.kind() == ErrorKind::NotFound => return Ok(Index::new()),
        file => file.with_context(|| format!("cannot open {}", path.display()))?,
    };
    let mut index = Index::new();
    // A line that a crash cut off is no row.
    for row in csv::Reader::from_reader(BufReader::new(file))
        .deserialize::<IndexRow>()
        .filter_map(Result::ok)
    {
        index.insert((row.file.clone(), row.image), row);
    }
    Ok(index)
}

/// Replaces `ocr.csv` whole.
pub fn write(path: &Path, rows: &[Row]) -> anyhow::Result<()> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row).context("cannot put a row into CSV")?;
    }
    let text = writer.into_inner().context("cannot put a row into CSV")?;
    write_atomic(path, &text)
}

/// Reads `ocr.csv`; none was written where no strips were kept.
pub fn read(path: &Path) -> anyhow::Result<Vec<Row>> {
    let file = match File::open(path) {
        Err(missing) if missing.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        file => file.with_context(|| format!("cannot open {}", path.display()))?,
    };
    csv::Reader::from_reader(BufReader::new(file))
        .deserialize()
        .collect::<Result<_, _>>()
        .with_context(|| format!("{} is not what `xrbench ocr` writes", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("ocr.csv");
        let rows = [
            Row {
                file: "strips-00000.pgm".into(),
                image: 3,
                rtp_timestamp: Some(7),
                generation_text: "1".into(),
                frame: Some(1),
                latency_us: Some(8_000),
                status: RowStatus::Read,
                blocks: Agreement::Yes,
                ..Row::default()
            },
            Row {
                why: "two, readings".into(),
                ..Row::default()
            },
        ];
        write(&path, &rows).expect("written");
        assert_eq!(read(&path).expect("read"), rows);
        assert!(read(&dir.path().join("none")).expect("none").is_empty());
    }

    #[test]
    fn an_index_that_was_cut_off_keeps_its_whole_lines() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("index.csv");
        let text = "file,image,sequence,rtp_timestamp,frame,generated_us,decoded_us,reading\n\
                    a.pgm,0,0,9,4,100,200,read\na.pgm,1,1,10,,,300,unread\na.pgm,2,2,1";
        std::fs::write(&path, text).expect("written");
        let index = read_index(&path).expect("read");
        assert_eq!(index.len(), 2);
        assert_eq!(index[&("a.pgm".into(), 0)].frame, Some(4));
        assert_eq!(index[&("a.pgm".into(), 1)].generated_us, None);
    }
}
