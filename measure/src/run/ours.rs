//! A repetition of our own pipeline: ground, collector, streamer, renderer, client; measure; and the same backwards.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use prometheus_client::registry::Registry;
use service::clock;
use testbed::Process;
use timeline::UnixMicros;
use timeline::join::Limits;

use super::faults::{self, Action};
use super::ground::Ground;
use super::pipeline::Pipeline;
use super::repetition::{Repetition, Stopped, no_first_frame};
use crate::collect::core::Progress;
use crate::collect::{Collector, Start};

/// How long the last measured frames may take to be shown: longer than any player's default buffer.
const TAIL: Duration = Duration::from_secs(8);

pub(super) async fn run(repetition: &mut Repetition<'_>) -> Result<(), Stopped> {
    let mut ground = Ground::make(repetition).await?;
    let result = in_place(repetition, &mut ground).await;
    ground.end(repetition).await;
    result
}

async fn in_place(repetition: &mut Repetition<'_>, ground: &mut Ground) -> Result<(), Stopped> {
    let events = repetition.events.clone();
    let start = Start {
        listen: ground.collector(),
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
    let result = measure(repetition, &collector, ground, &mut pipeline).await;
    pipeline.end(repetition).await;
    let finished = collector.finish().await;
    result?;
    let counts = finished.map_err(Stopped::Fatal)?;
    repetition
        .events
        .now("joined", "xrbench", &format!("{counts:?}"));
    Ok(())
}

async fn measure(
    repetition: &mut Repetition<'_>,
    collector: &Collector,
    ground: &mut Ground,
    pipeline: &mut Pipeline,
) -> Result<(), Stopped> {
    let scenario = repetition.scenario;
    repetition.bench.show.step("starting");
    pipeline.start(repetition, collector, ground).await?;

    let mut progress = collector.progress();
    let patience = scenario.first_frame.0;
    let first = progress.wait_for(|progress| progress.first_shown.is_some());
    let processes = pipeline.processes();
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
    watched(repetition, collector, ground, pipeline, to).await?;

    // What was generated at the last moment is still on its way.
    let passed = progress.wait_for(|progress| progress.generated.is_some_and(|at| at >= to));
    let _ = repetition
        .until(tokio::time::timeout(TAIL, passed), &pipeline.processes())
        .await?;
    Ok(())
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

/// Lets the measured time pass, second by second, shows what is being measured, and does what is to be done on purpose.
async fn watched(
    repetition: &mut Repetition<'_>,
    collector: &Collector,
    ground: &mut Ground,
    pipeline: &mut Pipeline,
    to: UnixMicros,
) -> Result<(), Stopped> {
    let begun = Instant::now();
    let mut actions = VecDeque::from(faults::actions(&repetition.scenario.fault));
    let progress = collector.progress();
    let mut before: Progress = *progress.borrow();
    let mut told = begun;
    loop {
        let left = Duration::from_micros(u64::try_from(to.micros_since(clock::now())).unwrap_or(0));
        if left.is_zero() {
            return Ok(());
        }
        let due = actions
            .front()
            .map_or(Duration::MAX, |(at, _)| at.saturating_sub(begun.elapsed()));
        let slice = left.min(Duration::from_secs(1)).min(due);
        guarded(repetition, collector, &pipeline.processes(), slice).await?;
        while actions
            .front()
            .is_some_and(|(at, _)| *at <= begun.elapsed())
        {
            if let Some((_, action)) = actions.pop_front() {
                act(repetition, ground, pipeline, action).await?;
            }
        }
        if told.elapsed() < Duration::from_millis(900) {
            continue;
        }
        told = Instant::now();
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

async fn act(
    repetition: &mut Repetition<'_>,
    ground: &mut Ground,
    pipeline: &mut Pipeline,
    action: Action,
) -> Result<(), Stopped> {
    match action {
        Action::OutageBegins => {
            repetition.events.now("outage begins", "wan", "on purpose");
            ground.outage(true).await?;
        }
        Action::OutageEnds => {
            ground.outage(false).await?;
            repetition.events.now("outage ends", "wan", "on purpose");
        }
        Action::Kill(who) => {
            repetition.events.now("kill", &who, "on purpose");
            if who.starts_with("gateway-") {
                ground.kill_gateway(&who, &repetition.events).await?;
            } else {
                pipeline.kill(repetition, &who).await?;
            }
        }
    }
    Ok(())
}
