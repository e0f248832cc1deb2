//! The collector's result, streamed out of its pod while it grows: what it has written is in the repetition's folder a moment
//! later. A connection that breaks is opened again, and goes on at the byte where it was.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Cursor, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use cluster::{Cluster, Fault, Forward};
use collect::Live;
use collect::core::{ClocksKnown, Progress};
use result::{RepetitionFolder, RepetitionMeta, RunInfo, Unreported, cannot_write};
use service::clock;
use timeline::clock_exchange::{Exchange, ServerTimes};
use timeline::clock_filter::{ClockFilter, Known};
use timeline::frames_csv::{FrameReader, FrameRow, Outcome};
use timeline::{ClientName, Point, UnixMicros};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::limits::COLLECTOR;
use crate::run::events::Events;

/// The collector's ops port, as `k8s/base` has it.
const OPS_PORT: u16 = 9095;

/// How often the result is asked for.
const EVERY: Duration = Duration::from_millis(500);

/// Exchanges with the collector's clock that tell its offset.
const WINDOW: usize = 32;

/// How long the collector's pod may take to be available again after it was gone.
const BACK: Duration = Duration::from_secs(20);

/// How long the last rows may take to come once every program has ended.
const LAST: Duration = Duration::from_mins(1);

/// Without a new row for so long, what still waits in the collector are frames that nobody will show.
const QUIET: Duration = Duration::from_secs(5);

/// The collector's result on its way here.
#[derive(Debug)]
pub(in crate::run) struct Follower {
    progress: watch::Receiver<Progress>,
    failure: watch::Receiver<Option<String>>,
    offset_us: Arc<AtomicI64>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<anyhow::Result<ClocksKnown>>,
}

impl Follower {
    /// Begins to stream into the folder of a repetition.
    pub(super) fn start(
        cluster: Cluster,
        namespace: &str,
        folder: &RepetitionFolder,
        events: Events,
        live: Arc<Live>,
    ) -> anyhow::Result<Self> {
        let (tell, progress) = watch::channel(Progress::default());
        let (fail, failure) = watch::channel(None);
        let (stop, stopped) = oneshot::channel();
        let offset_us = Arc::<AtomicI64>::default();
        let following = Following {
            cluster,
            namespace: namespace.to_owned(),
            forward: None,
            sources: Vec::new(),
            rows: Rows::create(folder.frames_csv())?,
            known: Progress::default(),
            tell,
            events,
            live,
            offset_us: Arc::clone(&offset_us),
            clock: ClockFilter::new(WINDOW),
            was_reached: true,
        };
        let task = tokio::spawn(async move {
            let result = following.run(stopped).await;
            if let Err(error) = &result {
                fail.send_replace(Some(format!("{error:#}")));
            }
            result
        });
        Ok(Self {
            progress,
            failure,
            offset_us,
            stop: Some(stop),
            task,
        })
    }

    /// What has been shown so far, as far as it is known here.
    pub(in crate::run) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }

    /// The reason why nothing can be written here any more.
    pub(in crate::run) fn failure(&self) -> watch::Receiver<Option<String>> {
        self.failure.clone()
    }

    /// The collector's clock, in which every time of a frame is told, minus this machine's.
    pub(in crate::run) fn offset_us(&self) -> i64 {
        self.offset_us.load(Ordering::Relaxed)
    }

    /// Waits for the last rows of programs that have ended, and returns what is known of the clocks.
    pub(in crate::run) async fn finish(mut self) -> anyhow::Result<ClocksKnown> {
        if let Some(stop) = self.stop.take() {
            // It may have ended by itself, because it could not write.
            let _ = stop.send(());
        }
        self.task
            .await
            .context("following the collector panicked")?
    }
}

/// A file of the collector that grows, and how much of it is here.
#[derive(Debug)]
struct Source {
    pod: String,
    run: u32,
    bytes: u64,
    meta: Option<RepetitionMeta>,
}

struct Following {
    cluster: Cluster,
    namespace: String,
    forward: Option<Forward>,
    /// A start of the collector each: one that was killed began anew, in the same pod or in another.
    sources: Vec<Source>,
    rows: Rows,
    known: Progress,
    tell: watch::Sender<Progress>,
    events: Events,
    live: Arc<Live>,
    offset_us: Arc<AtomicI64>,
    /// The least uncertainty that an exchange of times had.
    clock: ClockFilter,
    was_reached: bool,
}

impl Following {
    async fn run(mut self, mut stopped: oneshot::Receiver<()>) -> anyhow::Result<ClocksKnown> {
        let mut looks = tokio::time::interval(EVERY);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = &mut stopped => break,
                _ = looks.tick() => {}
            }
            self.look().await?;
        }
        let deadline = Instant::now() + LAST;
        let (mut rows, mut last_new) = (self.rows.count, Instant::now());
        loop {
            let reached = self.look().await?;
            if self.rows.count > rows {
                (rows, last_new) = (self.rows.count, Instant::now());
            }
            let all_written = reached && self.waiting().await == Some(0);
            let quiet = last_new.elapsed() > QUIET;
            if reached && (all_written || quiet) && self.clocks_are_known() {
                break;
            }
            if Instant::now() > deadline {
                let told = "the last rows may be missing";
                self.events.now("collector not reached", "xrbench", told);
                break;
            }
            looks.tick().await;
        }
        Ok(self.clocks())
    }

    /// Takes what is new; whether the collector was reached. An error is of this machine's disk.
    async fn look(&mut self) -> anyhow::Result<bool> {
        match self.take_all().await {
            Ok(new) => {
                if !self.was_reached {
                    self.events.now("collector reached again", "xrbench", "");
                }
                self.was_reached = true;
                for bytes in new {
                    for row in self.rows.take(&bytes)? {
                        note(&mut self.known, &row);
                        self.live.row(&row);
                    }
                }
                self.known.unreported = self.unreported();
                self.tell.send_replace(self.known.clone());
                Ok(true)
            }
            Err(fault) => {
                if self.was_reached {
                    let told = fault.to_string();
                    self.events.now("collector not reached", "xrbench", &told);
                }
                self.was_reached = false;
                self.forward = None;
                Ok(false)
            }
        }
    }

    /// What is new in each file.
    async fn take_all(&mut self) -> Result<Vec<Vec<u8>>, Fault> {
        let mut forward = match self.forward.take() {
            Some(forward) => forward,
            None => self.open().await?,
        };
        self.ask_clock(&mut forward).await;
        let info: Option<RunInfo> = json(&mut forward, "/result/run.json").await?;
        let runs = info
            .and_then(|info| info.scenarios.first().map(|one| one.runs))
            .unwrap_or(0);
        let pod = forward.pod().to_owned();
        for run in 1..=runs {
            if !self
                .sources
                .iter()
                .any(|one| one.pod == pod && one.run == run)
            {
                let told = format!("pod {pod}, start {run}");
                self.events.now("collecting", COLLECTOR, &told);
                self.sources.push(Source {
                    pod: pod.clone(),
                    run,
                    bytes: 0,
                    meta: None,
                });
            }
        }
        let mut new = Vec::new();
        for source in self.sources.iter_mut().filter(|one| one.pod == pod) {
            let folder = format!("/result/collected/run-{}", source.run);
            loop {
                let part = forward
                    .get(&format!("{folder}/frames.csv"), source.bytes)
                    .await?;
                if part.bytes.is_empty() {
                    break;
                }
                source.bytes += part.bytes.len() as u64;
                new.push(part.bytes.to_vec());
            }
            if let Some(meta) = json(&mut forward, &format!("{folder}/meta.json")).await? {
                source.meta = Some(meta);
            }
        }
        self.forward = Some(forward);
        Ok(new)
    }

    /// Finds the collector's pod, which may be another one by now.
    async fn open(&self) -> Result<Forward, Fault> {
        let pods = self
            .cluster
            .available(&self.namespace, COLLECTOR, BACK)
            .await?;
        let name = pods
            .first()
            .and_then(|pod| pod["metadata"]["name"].as_str());
        let name = name.unwrap_or_default();
        Ok(Forward::new(&self.cluster, &self.namespace, name, OPS_PORT))
    }

    /// Asks the collector's clock.
    async fn ask_clock(&mut self, forward: &mut Forward) {
        let sent = clock::now();
        let Ok(Some(server)) = json::<ServerTimes>(forward, "/clock").await else {
            return;
        };
        let exchange = Exchange {
            sent,
            server,
            answered: clock::now(),
        };
        let Some(estimate) = exchange.estimate() else {
            return;
        };
        // A step of it is the collector's to tell, which hears its services' clocks step against it.
        let _ = self.clock.push(exchange.answered, estimate);
        if let Some(known) = self.clock.known(exchange.answered).map(Known::or_none) {
            let offset = known.correction.offset_us;
            self.offset_us.store(offset, Ordering::Relaxed);
        }
    }

    /// How many frames wait in the collector; nothing where it does not say.
    async fn waiting(&mut self) -> Option<u64> {
        let page = self.forward.as_mut()?.get("/metrics", 0).await.ok()?;
        let text = String::from_utf8_lossy(&page.bytes);
        let mut lines = text.lines();
        lines.find_map(|line| {
            let value = line.strip_prefix("xr_collector_waiting_frames ")?;
            value.trim().parse().ok()
        })
    }

    fn clocks_are_known(&self) -> bool {
        let mut metas = self.sources.iter().filter_map(|one| one.meta.as_ref());
        self.known.shown == 0 || metas.any(|meta| !meta.clocks.is_empty())
    }

    /// What clients could not report to any start of the collector.
    fn unreported(&self) -> BTreeMap<ClientName, Unreported> {
        let mut clients = BTreeMap::<_, Unreported>::new();
        let metas = self.sources.iter().filter_map(|one| one.meta.as_ref());
        for (name, of) in metas.flat_map(|meta| &meta.clients_unreported) {
            if let Ok(name) = ClientName::new(name) {
                clients.entry(name).or_default().add(*of);
            }
        }
        clients
    }

    fn clocks(&self) -> ClocksKnown {
        let mut known = ClocksKnown::default();
        for meta in self.sources.iter().filter_map(|one| one.meta.as_ref()) {
            known.sources.extend(meta.clocks.clone());
            known.uncertainty_us = known.uncertainty_us.max(meta.clock_uncertainty_us);
        }
        known
    }
}

/// A file of JSON; nothing where there is none, or it is only half there.
async fn json<T: serde::de::DeserializeOwned>(
    forward: &mut Forward,
    path: &str,
) -> Result<Option<T>, Fault> {
    let part = forward.get(path, 0).await?;
    Ok(serde_json::from_slice(&part.bytes).ok())
}

fn note(known: &mut Progress, row: &FrameRow) {
    if row.outcome != Outcome::Shown {
        known.unread += u64::from(row.outcome == Outcome::Unread);
        return;
    }
    known.shown += 1;
    let decoded = row.at(Point::Decoded);
    known.first_shown = earliest(known.first_shown, decoded);
    known.first_generated = earliest(known.first_generated, row.at(Point::Generated));
    known.generated = known.generated.max(row.at(Point::Generated));
    if let Some(latency_us) = row.latency_us().and_then(|us| u64::try_from(us).ok()) {
        known.latency_sum_us = known.latency_sum_us.saturating_add(latency_us);
        known.samples += 1;
    }
}

fn earliest(one: Option<UnixMicros>, other: Option<UnixMicros>) -> Option<UnixMicros> {
    [one, other].into_iter().flatten().min()
}

/// The rows of every start of the collector in one file, with one header.
#[derive(Debug)]
struct Rows {
    file: File,
    path: PathBuf,
    header: Option<Vec<u8>>,
    /// The beginning of a line whose end has not come.
    part: Vec<u8>,
    count: u64,
}

impl Rows {
    fn create(path: PathBuf) -> anyhow::Result<Self> {
        let file = File::create(&path).with_context(|| cannot_write(&path))?;
        Ok(Self {
            file,
            path,
            header: None,
            part: Vec::new(),
            count: 0,
        })
    }

    /// Writes the whole lines of what came, and reads them.
    fn take(&mut self, bytes: &[u8]) -> anyhow::Result<Vec<FrameRow>> {
        self.part.extend_from_slice(bytes);
        let Some(end) = self.part.iter().rposition(|byte| *byte == b'\n') else {
            return Ok(Vec::new());
        };
        let rest = self.part.split_off(end + 1);
        let whole = std::mem::replace(&mut self.part, rest);
        let mut fresh = Vec::new();
        for line in whole.split_inclusive(|byte| *byte == b'\n') {
            match &self.header {
                None => {
                    self.header = Some(line.to_vec());
                    self.write(line)?;
                }
                // Another start of the collector.
                Some(header) if header == line => {}
                Some(_) => fresh.extend_from_slice(line),
            }
        }
        self.write(&fresh)?;
        let mut text = self.header.clone().unwrap_or_default();
        text.extend_from_slice(&fresh);
        let reader = FrameReader::new(Cursor::new(text));
        let rows: Vec<FrameRow> = reader
            .and_then(Iterator::collect)
            .context("what the collector sends is no frames.csv of this version")?;
        self.count += rows.len() as u64;
        Ok(rows)
    }

    fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.file
            .write_all(bytes)
            .with_context(|| cannot_write(&self.path))
    }
}

#[cfg(test)]
mod tests {
    use timeline::RtpTimestamp;
    use timeline::frames_csv::FrameWriter;

    use super::*;

    fn frames(numbers: std::ops::Range<u32>) -> Vec<u8> {
        let mut writer = FrameWriter::begin(Vec::new()).expect("a header");
        for number in numbers {
            let mut row = FrameRow::new(RtpTimestamp(number), Outcome::Shown);
            row.set(Point::Generated, UnixMicros(1_000_000 + u64::from(number)));
            row.set(Point::Decoded, UnixMicros(1_050_000 + u64::from(number)));
            writer.write(&row).expect("a row");
        }
        writer.into_inner()
    }

    /// However the bytes are cut, and however often the collector began anew, each row is there once, under one header.
    #[test]
    fn rows_are_whole_however_they_come() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("frames.csv");
        for cut in [1, 7, 64, 10_000] {
            let mut rows = Rows::create(path.clone()).expect("a file");
            let mut known = Progress::default();
            for source in [frames(0..5), frames(5..9)] {
                for part in source.chunks(cut) {
                    for row in rows.take(part).expect("rows") {
                        note(&mut known, &row);
                    }
                }
            }
            assert_eq!((known.shown, known.samples, rows.count), (9, 9, 9));
            assert_eq!(known.first_shown, Some(UnixMicros(1_050_000)));
            assert_eq!(known.generated, Some(UnixMicros(1_000_008)));
            let text = std::fs::read(&path).expect("written");
            assert_eq!(text, frames(0..9), "cut at {cut}");
        }
    }

    #[test]
    fn what_is_no_frames_csv_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut rows = Rows::create(folder.path().join("frames.csv")).expect("a file");
        let error = rows.take(b"hello\nworld\n").expect_err("no header");
        assert!(format!("{error:#}").contains("no frames.csv"), "{error:#}");
    }
}
