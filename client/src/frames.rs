//! The frames file: a row for every picture, written by a thread of its own every half second. A row counts as written
//! when the file has it; what a full disk does not take is kept for a while, and written when there is room again.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use prometheus_client::metrics::counter::Counter;
use timeline::frames_csv::{COLUMNS, FrameRow, FrameWriter};

use crate::metrics::Fates;
use crate::resume;

/// Rows that may wait for the disk: two minutes at 60 frames a second.
const QUEUE: usize = 8_192;

/// The longest time that a written row stays in the process.
const FLUSH: Duration = Duration::from_millis(500);

/// Bytes that may wait for a disk that is full: half a minute at 60 frames a second.
const PENDING_BYTES: usize = 256 << 10;

/// The streaming thread's end of the queue.
#[derive(Clone, Debug)]
pub struct Rows {
    queue: SyncSender<FrameRow>,
    fates: Fates,
}

impl Rows {
    /// Queues a row, or counts it as dropped; never waits.
    pub fn push(&self, row: FrameRow) {
        if self.queue.try_send(row).is_err() {
            self.fates.dropped.inc();
        }
    }
}

/// The thread that writes the frames file.
#[derive(Debug)]
pub struct Writer(JoinHandle<()>);

impl Writer {
    /// Makes the file, or goes on with the one that an earlier process left.
    pub fn start(path: &Path, fates: Fates) -> anyhow::Result<(Self, Rows)> {
        let file = begin(path, fates.kept.clone())
            .with_context(|| format!("cannot write {} of --frames", path.display()))?;
        let (queue, rows) = mpsc::sync_channel(QUEUE);
        let (of_thread, path) = (fates.clone(), path.to_owned());
        let thread = std::thread::Builder::new()
            .name("frames".to_owned())
            .spawn(move || run(file, &rows, &of_thread, &path))
            .context("cannot start the frames thread")?;
        Ok((Self(thread), Rows { queue, fates }))
    }

    /// Waits until everything queued is in the file. Every [`Rows`] must be gone.
    pub fn finish(self) {
        // A panic of the thread has been printed already.
        let _ = self.0.join();
    }
}

fn begin(path: &Path, kept: Counter) -> io::Result<FrameWriter<Pending<File>>> {
    let (mut file, goes_on) = resume::open(path, &COLUMNS.join(","))?;
    if goes_on {
        // After a crash that is what is wanted; by hand it mixes two runs, whose frames have the same numbers.
        tracing::warn!(
            file = %path.display(),
            "the frames file is of an earlier run, and this one's rows follow after it; name another file for --frames to keep them apart"
        );
    } else {
        FrameWriter::begin(&mut file)?.flush()?;
    }
    Ok(FrameWriter::append(Pending::new(file, kept)))
}

/// What waits for the disk, in whole rows but for the first, of which the file may have a part.
#[derive(Debug)]
struct Pending<W> {
    to: W,
    bytes: Vec<u8>,
    /// Counts a row when the writer below has taken its last byte.
    kept: Counter,
}

impl<W: Write> Pending<W> {
    const fn new(to: W, kept: Counter) -> Self {
        Self {
            to,
            bytes: Vec::new(),
            kept,
        }
    }

    fn rows(bytes: &[u8]) -> u64 {
        bytes.split(|byte| *byte == b'\n').count().saturating_sub(1) as u64
    }
}

impl<W: Write> Write for Pending<W> {
    /// Takes a row whole, or refuses it where too much waits already.
    fn write(&mut self, row: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + row.len() > PENDING_BYTES {
            self.flush()?;
        }
        self.bytes.extend_from_slice(row);
        Ok(row.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut taken = 0;
        let result = loop {
            if taken == self.bytes.len() {
                break self.to.flush();
            }
            match self.to.write(&self.bytes[taken..]) {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => taken += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        self.kept.inc_by(Self::rows(&self.bytes[..taken]));
        self.bytes.drain(..taken);
        result
    }
}

fn run<W: Write>(
    mut file: FrameWriter<Pending<W>>,
    rows: &Receiver<FrameRow>,
    fates: &Fates,
    path: &Path,
) {
    let mut flush_at = Instant::now() + FLUSH;
    let mut complained = false;
    let mut check = |result: io::Result<()>| {
        let failed = result.err();
        if let Some(error) = &failed
            && !complained
        {
            tracing::error!(
                %error, file = %path.display(),
                "the frames file cannot be written; rows that do not fit are dropped and counted: free the disk, or \
                 choose another file for --frames"
            );
        }
        complained = failed.is_some();
        failed.is_none()
    };
    loop {
        match rows.recv_timeout(flush_at.saturating_duration_since(Instant::now())) {
            Ok(row) => {
                if !check(file.write(&row)) {
                    fates.dropped.inc();
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if Instant::now() >= flush_at {
            check(file.flush());
            flush_at = Instant::now() + FLUSH;
        }
    }
    check(file.flush());
    fates
        .dropped
        .inc_by(Pending::<W>::rows(&file.into_inner().bytes));
}

#[cfg(test)]
mod tests {
    use timeline::RtpTimestamp;
    use timeline::frames_csv::Outcome;

    use super::*;

    #[test]
    fn everything_queued_is_in_the_file_at_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("frames.csv");
        let fates = Fates::default();
        let (writer, rows) = Writer::start(&path, fates.clone()).unwrap();
        for key in 0..500 {
            rows.push(FrameRow::new(RtpTimestamp(key), Outcome::Unread));
        }
        drop(rows);
        writer.finish();
        assert_eq!((fates.kept.get(), fates.dropped.get()), (500, 0));
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 501);
    }

    #[test]
    fn a_file_that_cannot_be_begun_is_named() {
        let full = Path::new("/dev/full");
        let error = Writer::start(full, Fates::default()).unwrap_err();
        assert!(format!("{error:#}").contains("/dev/full"), "{error:#}");
    }

    /// Takes so many bytes and no more, until there is room again.
    struct Disk {
        taken: Vec<u8>,
        room: usize,
    }

    impl Write for &mut Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(self.room);
            if count == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.room -= count;
            self.taken.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_row_counts_when_the_disk_has_it() {
        let mut disk = Disk {
            taken: Vec::new(),
            room: 10,
        };
        let kept = Counter::default();
        let mut pending = Pending::new(&mut disk, kept.clone());
        for row in [b"one\n", b"two\n", b"six\n"] {
            pending.write_all(row).unwrap();
        }
        assert_eq!(kept.get(), 0, "nothing has been tried");
        assert!(pending.flush().is_err());
        assert_eq!(kept.get(), 2);
        pending.to.room = 100;
        pending.flush().unwrap();
        assert_eq!(kept.get(), 3);
        assert_eq!(disk.taken, b"one\ntwo\nsix\n");

        disk.room = 0;
        let mut pending = Pending::new(&mut disk, kept);
        let row = [b'x'; 1 << 10];
        let refused = (0..=PENDING_BYTES / row.len()).find(|_| pending.write(&row).is_err());
        assert_eq!(
            refused,
            Some(PENDING_BYTES / row.len()),
            "what waits is bounded"
        );
    }
}
