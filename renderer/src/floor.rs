//! The floor: the same source, stamps, encoder and decoder in one pipeline of this process. What remains is what the
//! codec alone costs, and nothing that is called latency can lie below it.
//!
//! ```text
//! picture -> stamp -> encoder -> (encoded, received) -> decoder -> (decoded) -> read the stamp -> row
//! ```

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use gstreamer as gst;
use gstreamer::prelude::*;
use media::decode::{self, Picture};
use media::generate::Stamps;
use media::producer::Producer;
use parking_lot::Mutex;
use service::ops::Ops;
use service::trace::TraceRing;
use service::{Shutdown, clock, ready};
use timeline::frames_csv::{FrameRow, FrameWriter, Outcome};
use timeline::{FrameNumber, Point, RtpTimestamp, UnixMicros};

use crate::cli::Args;
use crate::frames;
use crate::metrics::{Metrics, Telemetry};

/// Rows that may wait for the disk: half a minute at 60 frames a second.
const ROWS: usize = 2048;
/// A crash loses at most this much.
const FLUSH: Duration = Duration::from_millis(500);
/// Frames that may be in the decoder.
const IN_DECODER: usize = 64;

/// Runs the floor and writes a row for each decoded frame to `path`.
pub async fn run(
    args: Args,
    path: PathBuf,
    ops: Ops,
    metrics: Metrics,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let trace = ops.trace.clone().unwrap_or_else(|| TraceRing::new(1));
    let readiness = ops.ready.clone();
    let server = ops.bind(frames::ops_address(&args), &shutdown).await?;
    let (rows, waiting) = sync_channel(ROWS);
    let to =
        File::create(&path).with_context(|| format!("cannot write --floor {}", path.display()))?;
    let writer = std::thread::Builder::new()
        .name("xr-rows".to_owned())
        .spawn(move || write(to, &waiting))?;

    let Some(source) = frames::open(&args, &shutdown).await? else {
        server.stop().await;
        return Ok(());
    };
    let unread = source.unread();
    let (telemetry, ended) = Telemetry::new(metrics.clone(), trace.clone());
    let stamps = Stamps::new();
    let entered = Entered::default();
    let reader = Reader {
        entered: entered.clone(),
        metrics: metrics.clone(),
        trace,
        rows,
        overflowed: false,
    };
    let config = decode::Config {
        threads: args.decoder_threads,
        thread_type: args.decoder_thread_type,
        ..decode::Config::new(clock::now)
    };
    let decoder = decode::from_access_units(config, reader)?;
    let entrance = decoder
        .static_pad("sink")
        .context("the decoder has no input")?;
    note_entering(&entrance, entered, stamps.clone());
    let producer = Producer::start(
        &args.encoder(),
        source,
        stamps,
        clock::now,
        &[decoder.upcast()],
        Arc::new(telemetry),
    )?;
    readiness.set_ready();
    ready::announce(
        "xr-renderer",
        &[
            ("ops", server.local_addr().to_string()),
            ("floor", path.display().to_string()),
        ],
    );

    let watched = (&metrics, &unread);
    let ended_well = frames::produce(producer, ended, args.duration, watched, &shutdown).await;
    // The producer is gone, and with it the last sender: the writer ends after what waits.
    let written = tokio::task::spawn_blocking(move || writer.join()).await?;
    let rows = match written {
        Ok(rows) => rows.with_context(|| format!("cannot write --floor {}", path.display()))?,
        Err(_) => anyhow::bail!("the writer of {} failed", path.display()),
    };
    ended_well?;
    anyhow::ensure!(
        rows > 0,
        "no frame came out of the decoder: there is no floor to report"
    );
    tracing::info!(rows, file = %path.display(), "floor written");
    server.stop().await;
    Ok(())
}

/// When each frame entered the decoder, by its presentation time there.
#[derive(Clone, Debug, Default)]
struct Entered(Arc<Mutex<VecDeque<(gst::ClockTime, Entry)>>>);

#[derive(Clone, Copy, Debug)]
struct Entry {
    rtp_timestamp: RtpTimestamp,
    at: UnixMicros,
}

impl Entered {
    fn note(&self, pts: gst::ClockTime, entry: Entry) {
        let mut entries = self.0.lock();
        if entries.len() == IN_DECODER {
            entries.pop_front();
        }
        entries.push_back((pts, entry));
    }

    fn find(&self, pts: gst::ClockTime) -> Option<Entry> {
        let entries = self.0.lock();
        entries
            .iter()
            .rev()
            .find(|(of, _)| *of == pts)
            .map(|(_, entry)| *entry)
    }
}

/// Reads the clock when the encoder delivers a frame, which is when the decoder gets it: there is nothing between.
fn note_entering(pad: &gst::Pad, entered: Entered, stamps: Stamps) {
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, probe| {
        let at = clock::now();
        let Some(gst::PadProbeData::Buffer(buffer)) = &probe.data else {
            return gst::PadProbeReturn::Ok;
        };
        // The encoder may shift presentation times, and says by how much in its segment.
        let segment = pad.sticky_event::<gst::event::Segment>(0);
        let running_time = segment.as_ref().and_then(|event| {
            let segment = event.segment().downcast_ref::<gst::ClockTime>()?;
            segment.to_running_time(buffer.pts()?)
        });
        let stamp = running_time.and_then(|time| stamps.find(time));
        if let (Some(pts), Some(stamp)) = (buffer.pts(), stamp) {
            let rtp_timestamp = RtpTimestamp::from_generated(UnixMicros(stamp.time_us));
            entered.note(pts, Entry { rtp_timestamp, at });
        }
        gst::PadProbeReturn::Ok
    });
}

/// Turns decoded pictures into rows.
struct Reader {
    entered: Entered,
    metrics: Metrics,
    trace: TraceRing,
    rows: SyncSender<FrameRow>,
    overflowed: bool,
}

impl decode::Observer for Reader {
    fn picture(&mut self, picture: &Picture<'_>) {
        let Some(entry) = picture.pts.and_then(|pts| self.entered.find(pts)) else {
            tracing::warn!("a picture left the decoder that did not enter it");
            return;
        };
        let mut row = FrameRow::new(entry.rtp_timestamp, Outcome::Unread);
        if let Some(Ok(stamp)) = picture.luma().map(|luma| stamp::read_blocks(&luma)) {
            row.frame = Some(FrameNumber(stamp.frame));
            row.outcome = Outcome::Shown;
            let generated = UnixMicros(stamp.time_us);
            row.set(Point::Generated, generated);
            self.metrics.encoded(generated, entry.at);
        }
        row.set(Point::Encoded, entry.at);
        row.set(Point::Received, entry.at);
        row.set(Point::Decoded, picture.decoded);
        row.shown = Some(clock::now());
        self.trace
            .push(entry.rtp_timestamp, Point::Encoded, entry.at);
        self.trace
            .push(entry.rtp_timestamp, Point::Decoded, picture.decoded);
        self.metrics.count(crate::metrics::Outcome::Sent, 1);
        if self.rows.try_send(row).is_err() && !std::mem::replace(&mut self.overflowed, true) {
            tracing::error!("the disk is too slow or full: rows of the floor are lost");
        }
    }
}

/// Writes rows until the last sender is gone; gives their number.
fn write(to: File, rows: &Receiver<FrameRow>) -> std::io::Result<u64> {
    let mut writer = FrameWriter::begin(BufWriter::new(to))?;
    let (mut written, mut flushed) = (0, Instant::now());
    loop {
        match rows.recv_timeout(FLUSH) {
            Ok(row) => {
                writer.write(&row)?;
                written += 1;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if flushed.elapsed() >= FLUSH {
            writer.flush()?;
            flushed = Instant::now();
        }
    }
    writer.into_inner().flush()?;
    Ok(written)
}
