//! What services record of frames: the client's `frames.csv`, and traces kept before a ring overwrites them.

use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use timeline::frames_csv::{FrameReader, FrameRow};
use timeline::{Point, RtpTimestamp, UnixMicros};
use tokio::task::JoinHandle;

use crate::Ops;

/// How often a trace is read: a ring holds many times what passes meanwhile.
const READ_EVERY: Duration = Duration::from_millis(100);

/// Every whole row of a `frames.csv`.
///
/// # Panics
/// If the file cannot be read, or has a wrong row.
pub fn rows(path: &Path) -> Vec<FrameRow> {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let reader = FrameReader::new(BufReader::new(file))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    reader
        .map(|row| row.unwrap_or_else(|error| panic!("{}: {error}", path.display())))
        .collect()
}

/// When each frame passed each point.
pub type Crossings = HashMap<(RtpTimestamp, Point), UnixMicros>;

/// Keeps a service's trace while it runs.
#[derive(Debug)]
pub struct Journal {
    ops: Ops,
    kept: Arc<Mutex<(u64, Crossings)>>,
    reading: JoinHandle<()>,
}

impl Journal {
    /// Begins with what the ring holds now.
    pub fn of(ops: Ops) -> Self {
        let kept = Arc::<Mutex<(u64, Crossings)>>::default();
        let (theirs, of) = (Arc::clone(&kept), ops.clone());
        let reading = tokio::spawn(async move {
            loop {
                read(&of, &theirs).await;
                tokio::time::sleep(READ_EVERY).await;
            }
        });
        Self { ops, kept, reading }
    }

    /// Reads what is left and gives back everything.
    pub async fn finish(self) -> Crossings {
        self.reading.abort();
        read(&self.ops, &self.kept).await;
        std::mem::take(&mut self.kept.lock().1)
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

/// Reads up to the end of the trace. The cursor moves only with the crossings, so that an abort between loses nothing.
async fn read(ops: &Ops, kept: &Mutex<(u64, Crossings)>) {
    loop {
        let after = kept.lock().0;
        let Some(page) = ops.trace(after).await else {
            return;
        };
        let mut kept = kept.lock();
        assert_eq!(
            page.overwritten, 0,
            "the ring is shorter than a moment's frames"
        );
        kept.0 = page.next;
        kept.1.extend(
            page.crossings
                .iter()
                .map(|crossing| ((crossing.rtp_timestamp, crossing.point), crossing.at)),
        );
        if page.crossings.is_empty() {
            return;
        }
    }
}
