//! The strip files and their index, written by a thread of their own.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender, TrySendError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use stamp::{STRIP_HEIGHT, STRIP_WIDTH};
use timeline::{Reading, RtpTimestamp, UnixMicros};

use crate::metrics::Fates;
use crate::resume;

/// The first line of the index.
const HEADER: &str = "file,image,sequence,rtp_timestamp,frame,generated_us,decoded_us,reading";

/// Images in one file: some 45 MB.
const IMAGES_A_FILE: u32 = 1_000;

/// Strips that may wait for the disk: two seconds at 60 frames a second, some 6 MB.
const QUEUE: usize = 128;

/// The longest time that a written strip stays in the process.
const FLUSH: Duration = Duration::from_millis(500);

/// The strip of one picture.
#[derive(Debug)]
pub struct Strip {
    /// The generation line above the consumption line: grey, `STRIP_WIDTH` x 2 `STRIP_HEIGHT`.
    pub pixels: Vec<u8>,
    /// The report's sequence number.
    pub sequence: u64,
    /// The picture's RTP timestamp.
    pub rtp_timestamp: RtpTimestamp,
    /// What the blocks said.
    pub reading: Reading,
    /// What was drawn as consumption time.
    pub decoded: UnixMicros,
}

/// The streaming thread's end of the queue.
#[derive(Clone, Debug)]
pub struct Keeper {
    queue: SyncSender<Strip>,
    fates: Fates,
}

impl Keeper {
    /// Queues a strip, or counts it as dropped; never waits.
    pub fn keep(&self, strip: Strip) {
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            self.queue.try_send(strip)
        {
            self.fates.dropped.inc();
        }
    }
}

/// The thread that writes strips.
#[derive(Debug)]
pub struct Writer {
    thread: JoinHandle<()>,
}

impl Writer {
    /// Begins a directory, or goes on with one that an earlier process of this client left.
    pub fn start(directory: &Path, fates: Fates) -> anyhow::Result<(Self, Keeper)> {
        std::fs::create_dir_all(directory).with_context(|| {
            format!(
                "cannot make the directory {} of --strips",
                directory.display()
            )
        })?;
        let files = Files::begin(directory).with_context(|| {
            format!(
                "cannot begin index.csv in {} of --strips",
                directory.display()
            )
        })?;
        let (queue, strips) = mpsc::sync_channel(QUEUE);
        let of_thread = fates.clone();
        let thread = std::thread::Builder::new()
            .name("strips".to_owned())
            .spawn(move || run(files, &strips, &of_thread))
            .context("cannot start the strips thread")?;
        Ok((Self { thread }, Keeper { queue, fates }))
    }

    /// Waits until everything queued is on the disk. Every [`Keeper`] must be gone.
    pub fn finish(self) {
        // A panic of the thread has been printed already.
        let _ = self.thread.join();
    }
}

fn run(mut files: Files, strips: &mpsc::Receiver<Strip>, fates: &Fates) {
    let mut flush_at = Instant::now() + FLUSH;
    // Strips that are written and not known to be on the disk.
    let mut buffered = 0;
    let mut complained = false;
    let mut check = |result: io::Result<()>, directory: &Path| {
        let failed = result.err();
        if let Some(error) = &failed
            && !complained
        {
            tracing::error!(%error, directory = %directory.display(), "strips cannot be written; they are dropped and counted");
        }
        complained = failed.is_some();
        failed.is_none()
    };
    loop {
        match strips.recv_timeout(flush_at.saturating_duration_since(Instant::now())) {
            Ok(strip) => {
                let written = files.write(&strip);
                if check(written, &files.directory) {
                    buffered += 1;
                } else {
                    fates.dropped.inc();
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if Instant::now() >= flush_at {
            let flushed = files.flush();
            if check(flushed, &files.directory) {
                fates.kept.inc_by(std::mem::take(&mut buffered));
            }
            flush_at = Instant::now() + FLUSH;
        }
    }
    let flushed = files.flush();
    let fate = if check(flushed, &files.directory) {
        &fates.kept
    } else {
        &fates.dropped
    };
    fate.inc_by(buffered);
}

struct Files {
    directory: PathBuf,
    index: BufWriter<File>,
    images: Option<BufWriter<File>>,
    /// The number of the next file.
    next_file: u32,
    /// Images in the present file.
    image: u32,
}

impl Files {
    fn begin(directory: &Path) -> io::Result<Self> {
        let (index, goes_on) = resume::open(&directory.join("index.csv"), HEADER)?;
        let mut index = BufWriter::new(index);
        if !goes_on {
            writeln!(index, "{HEADER}")?;
            index.flush()?;
        }
        // Images that an earlier process left stay as they are, also the half one that it may have been killed in.
        let mut next_file = 0;
        while directory.join(name(next_file)).exists() {
            next_file += 1;
        }
        Ok(Self {
            directory: directory.to_owned(),
            index,
            images: None,
            next_file,
            image: 0,
        })
    }

    fn write(&mut self, strip: &Strip) -> io::Result<()> {
        if self.image == IMAGES_A_FILE {
            self.flush()?;
            self.images = None;
        }
        let images = match &mut self.images {
            Some(images) => images,
            none => {
                let path = self.directory.join(name(self.next_file));
                let images = none.insert(BufWriter::with_capacity(64 * 1024, File::create(path)?));
                self.next_file += 1;
                self.image = 0;
                images
            }
        };
        let written = write!(images, "P5\n{STRIP_WIDTH} {}\n255\n", 2 * STRIP_HEIGHT)
            .and_then(|()| images.write_all(&strip.pixels));
        if written.is_err() {
            // Half an image may stand there now; what follows goes into another file, and the index skips it.
            self.images = None;
            return written;
        }
        let file = name(self.next_file - 1);
        let (image, sequence, rtp, decoded) = (
            self.image,
            strip.sequence,
            strip.rtp_timestamp,
            strip.decoded,
        );
        self.image += 1;
        match strip.reading {
            Reading::Read { frame, generated } => {
                writeln!(
                    self.index,
                    "{file},{image},{sequence},{rtp},{frame},{generated},{decoded},read"
                )
            }
            Reading::Unread | Reading::Damaged => writeln!(
                self.index,
                "{file},{image},{sequence},{rtp},,,{decoded},unread"
            ),
        }
    }

    /// Images first: the index never names one that is not there.
    fn flush(&mut self) -> io::Result<()> {
        if let Some(images) = &mut self.images {
            images.flush()?;
        }
        self.index.flush()
    }
}

fn name(file: u32) -> String {
    format!("strips-{file:05}.pgm")
}

#[cfg(test)]
mod tests {
    use timeline::FrameNumber;

    use super::*;

    fn strip(sequence: u64) -> Strip {
        let grey = u8::try_from(sequence % 251).unwrap();
        Strip {
            pixels: vec![grey; STRIP_WIDTH * STRIP_HEIGHT * 2],
            sequence,
            rtp_timestamp: RtpTimestamp(9),
            reading: if sequence.is_multiple_of(5) {
                Reading::Unread
            } else {
                Reading::Read {
                    frame: FrameNumber(7),
                    generated: UnixMicros(100),
                }
            },
            decoded: UnixMicros(200),
        }
    }

    #[test]
    fn files_hold_a_thousand_images_and_the_index_names_each() {
        let directory = tempfile::tempdir().unwrap();
        let mut files = Files::begin(directory.path()).unwrap();
        for sequence in 0..1_003 {
            files.write(&strip(sequence)).unwrap();
        }
        files.flush().unwrap();
        let image = format!("P5\n{STRIP_WIDTH} {}\n255\n", STRIP_HEIGHT * 2).len()
            + STRIP_WIDTH * STRIP_HEIGHT * 2;
        let size = |name: &str| {
            std::fs::metadata(directory.path().join(name))
                .unwrap()
                .len()
        };
        assert_eq!(size("strips-00000.pgm"), image as u64 * 1_000);
        assert_eq!(size("strips-00001.pgm"), image as u64 * 3);
        let index = std::fs::read_to_string(directory.path().join("index.csv")).unwrap();
        let rows: Vec<_> = index.lines().collect();
        assert_eq!(rows.len(), 1_004);
        assert_eq!(rows[1], "strips-00000.pgm,0,0,9,,,200,unread");
        assert_eq!(rows[1_001], "strips-00001.pgm,0,1000,9,,,200,unread");
        assert_eq!(rows[1_002], "strips-00001.pgm,1,1001,9,7,100,200,read");
    }

    #[test]
    fn everything_queued_is_on_the_disk_at_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let fates = Fates::default();
        let (writer, keeper) = Writer::start(directory.path(), fates.clone()).unwrap();
        for sequence in 0..100 {
            keeper.keep(strip(sequence));
        }
        drop(keeper);
        writer.finish();
        assert_eq!(fates.kept.get(), 100);
        let index = std::fs::read_to_string(directory.path().join("index.csv")).unwrap();
        assert_eq!(index.lines().count(), 101);
    }

    #[test]
    fn a_restarted_client_goes_on_in_files_of_its_own() {
        let directory = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            let (writer, keeper) = Writer::start(directory.path(), Fates::default()).unwrap();
            keeper.keep(strip(1));
            drop(keeper);
            writer.finish();
        }
        let index = std::fs::read_to_string(directory.path().join("index.csv")).unwrap();
        let rows: Vec<_> = index.lines().skip(1).collect();
        assert_eq!(rows[0], "strips-00000.pgm,0,1,9,7,100,200,read");
        assert_eq!(rows[1], "strips-00001.pgm,0,1,9,7,100,200,read");
        assert_eq!(rows.len(), 2);
    }
}
