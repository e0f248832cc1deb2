//! `index.csv`: what the client knew of each image.

use std::{collections::HashMap, path::Path};

use serde::Deserialize;

use result::rows;

/// One line of `index.csv`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct IndexRow {
    file: String,
    image: u64,
    /// The key of the frame.
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
    let rows = rows::read::<IndexRow>(path)?.map_or_else(Vec::new, |found| found.rows);
    let of = |row: IndexRow| ((row.file.clone(), row.image), row);
    Ok(rows.into_iter().map(of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

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
