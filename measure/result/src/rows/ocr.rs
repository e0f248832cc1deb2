//! A row of `ocr.csv`.

use serde::{Deserialize, Serialize};

/// What Tesseract read from an image: a line of `ocr.csv`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OcrRow {
    /// The file of the image, without its folder.
    pub file: String,
    /// The number of the image in its file, from 0.
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
    /// The latency: consumption minus generation time, in microseconds.
    pub latency_us: Option<u64>,
    /// The status: whether the row is a sample.
    pub status: RowStatus,
    /// The reason why the row is no sample; empty for a sample.
    pub why: String,
    /// Whether the blocks, and what the client drew, say the same.
    pub blocks: Agreement,
}

impl OcrRow {
    /// Generation and latency in microseconds, where both lines were read and are believed.
    pub fn reading(&self) -> Option<(u64, u64)> {
        let times = self.generated_us.zip(self.latency_us);
        times.filter(|_| self.status == RowStatus::Read)
    }
}

/// Whether an image counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RowStatus {
    /// Both lines were read and are believed.
    Read,
    /// A line could not be read, or was not believed.
    #[default]
    Unread,
}

/// Whether two readings of one frame are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Agreement {
    /// Both readings agree.
    Yes,
    /// The readings differ: one of the instruments is wrong.
    No,
    /// There is only one reading.
    #[default]
    Na,
}

/// What came of the reading, in images; an image holds both lines of one shown frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// Images given to Tesseract.
    pub frames: u64,
    /// Images of which a line could not be read or was not believed.
    pub unread: u64,
    /// Images for which the blocks were read as well.
    pub compared: u64,
    /// Images for which digits and blocks say different things. Any is one too many.
    pub disagree: u64,
}

impl Audit {
    /// The count over `rows`.
    pub fn of(rows: &[OcrRow]) -> Self {
        let count =
            |which: fn(&OcrRow) -> bool| rows.iter().filter(|row| which(row)).count() as u64;
        Self {
            frames: rows.len() as u64,
            unread: count(|row| row.status == RowStatus::Unread),
            compared: count(|row| row.blocks != Agreement::Na),
            disagree: count(|row| row.blocks == Agreement::No),
        }
    }
}
