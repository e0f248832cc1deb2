//! A repetition of our own pipeline: collector, streamer, renderer, client; measure; and the same backwards.

use std::net::SocketAddr;
use std::time::Duration;

use prometheus_client::registry::Registry;
use service::clock;
use testbed::Process;
use timeline::UnixMicros;
use timeline::join::Limits;

use super::commands::{self, Places};
use super::repetition::{READY, Repetition, Stopped, address, no_first_frame};
use crate::collect::core::Progress;
use crate::collect::scrape::{Scraper, Target};
use crate::collect::{Collector, Start};

/// How long the last measured frames may take to be shown: longer than any player's default buffer.
const TAIL: Duration = Duration::from_secs(8);

pub(super) async fn run(repetition: &mut Repetition<'_>) -> Result<(), Stopped> {
    let events = repetition.events.clone();
    let start = Start {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        origin: "the run's own collector".to_owned(),
        frames: repetition.folder.frames_csv(),
        log: repetition.folder.latency_hlog(),
        limits: Limits::default(),
        measure_all: false,
        on_event: Box::new(move |what, whom, detail| events.now(what, whom, detail)),
    };
    // Nobody scrapes a run; `xrbench collect` serves the same metrics.
    let collector = Collector::start(start, &mut Registry::default())?;
    let mut pipeline = Pipeline::default();
    let result = measure(repetition, &collector, &mut pipeline).await;
    pipeline.end(repetition).await;
    let finished = collector.finish().await;
    result?;
    let counts = finished.map_err(Stopped::Fatal)?;
    repetition
        .events
        .now("joined", "xrbench", &format!("{counts:?}"));
    Ok(())
}

/// What runs, as far as it has been started.
#[derive(Default)]
struct Pipeline {
    streamer: Option<Process>,
    renderer: Option<Process>,
    client: Option<Process>,
    scrapers: Vec<Scraper>,
}

async fn measure(
    repetition: &mut Repetition<'_>,
    collector: &Collector,
    pipeline: &mut Pipeline,
) -> Result<(), Stopped> {
    let scenario = repetition.scenario;
    let programs = repetition.bench.programs;
    repetition.bench.show.step("starting");

    let streamer = repetition.start(
        repetition
            .spec("streamer", &programs.streamer)
            .args(commands::streamer(scenario)),
    )?;
    let streamer = pipeline.streamer.insert(streamer);
    let said = repetition
        .until(streamer.ready(READY), &[])
        .await?
        .map_err(anyhow::Error::from)?;
    let places = Places {
        http: address(&said, "http", "streamer")?,
        rtsp: address(&said, "rtsp", "streamer")?,
        collector: collector.address().to_string(),
    };
    pipeline
        .scrapers
        .push(collector.scrape(target("streamer", address(&said, "ops", "streamer")?))?);

    let args = commands::renderer(scenario, &places);
    let renderer = repetition.start(repetition.spec("renderer", &programs.renderer).args(args))?;
    let renderer = pipeline.renderer.insert(renderer);
    let said = repetition
        .until(renderer.ready(READY), &[streamer])
        .await?
        .map_err(anyhow::Error::from)?;
    pipeline
        .scrapers
        .push(collector.scrape(target("renderer", address(&said, "ops", "renderer")?))?);

    let args = commands::client(scenario, &places, &repetition.folder);
    let client = repetition.start(repetition.spec("client", &programs.client).args(args))?;
    let client = pipeline.client.insert(client);
    repetition.meta.client_started_us = Some(client.started_at());
    let processes = [&*streamer, &*renderer, &*client];

    let mut progress = collector.progress();
    let patience = scenario.first_frame.0;
    let first = progress.wait_for(|progress| progress.first_shown.is_some());
    let first = repetition
        .until(tokio::time::timeout(patience, first), &processes)
        .await?;
    let Ok(Ok(first)) = first.map(|first| first.map(|progress| *progress)) else {
        return Err(Stopped::Failed(no_first_frame(patience, &processes)));
    };
    repetition.meta.first_frame_us = first.first_shown;
    repetition.bench.show.step("warming up");
    guarded(repetition, collector, &processes, scenario.warmup.0).await?;

    let to = repetition.measure_from(clock::now());
    if let Some(from) = repetition.meta.measured_from_us {
        collector.measure_from(from);
    }
    repetition
        .bench
        .show
        .step(&format!("measuring for {}", scenario.duration));
    watched(repetition, collector, &processes, to).await?;

    // What was generated at the last moment is still on its way.
    let passed = progress.wait_for(|progress| progress.generated.is_some_and(|at| at >= to));
    let _ = repetition
        .until(tokio::time::timeout(TAIL, passed), &processes)
        .await?;
    Ok(())
}

fn target(name: &str, ops: String) -> Target {
    // One host has one clock: there is nothing to ask.
    Target {
        name: name.to_owned(),
        ops,
        ask_clock: false,
    }
}

/// Lets time pass, unless the collector cannot write any more.
async fn guarded(
    repetition: &Repetition<'_>,
    collector: &Collector,
    processes: &[&Process],
    time: Duration,
) -> Result<(), Stopped> {
    let mut failure = collector.failure();
    let failed = async {
        // The sender is in the collector, which outlives this.
        failure
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|failure| failure.clone())
    };
    tokio::select! {
        passed = repetition.pass(time, processes) => passed,
        Some(failure) = failed => Err(Stopped::Fatal(anyhow::Error::msg(failure))),
    }
}

/// Lets the measured time pass, second by second, and shows what is being measured.
async fn watched(
    repetition: &Repetition<'_>,
    collector: &Collector,
    processes: &[&Process],
    to: UnixMicros,
) -> Result<(), Stopped> {
    let progress = collector.progress();
    let mut before: Progress = *progress.borrow();
    loop {
        let left = Duration::from_micros(u64::try_from(to.micros_since(clock::now())).unwrap_or(0));
        if left.is_zero() {
            return Ok(());
        }
        guarded(
            repetition,
            collector,
            processes,
            left.min(Duration::from_secs(1)),
        )
        .await?;
        let now = *progress.borrow();
        let samples = now.samples.saturating_sub(before.samples).max(1);
        let mean_ms =
            now.latency_sum_us.saturating_sub(before.latency_sum_us) as f64 / samples as f64 / 1e3;
        let shown = now.shown.saturating_sub(before.shown);
        repetition.bench.show.live(&format!(
            "{:.0} s left, {shown} frames/s, mean {mean_ms:.1} ms",
            left.as_secs_f64()
        ));
        before = now;
    }
}

impl Pipeline {
    /// The client first, so that it reports all that it has; then what the services saw; then the services.
    async fn end(self, repetition: &mut Repetition<'_>) {
        if let Some(client) = &self.client {
            repetition.terminate(client).await;
        }
        for scraper in self.scrapers {
            if let Err(error) = scraper.catch_up().await {
                repetition
                    .events
                    .now("trace lost", "xrbench", &format!("{error:#}"));
            }
            repetition.meta.trace_overwritten += scraper.overwritten().await;
            scraper.stop().await;
        }
        for process in [&self.renderer, &self.streamer].into_iter().flatten() {
            repetition.terminate(process).await;
        }
    }
}
