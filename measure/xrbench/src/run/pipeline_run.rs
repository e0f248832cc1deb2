//! A repetition of our own pipeline: place, collector, streamer, renderer, client; measure; and the same backwards.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use result::rows::EventRow;
use settings::Role;
use timeline::UnixMicros;
use tokio::sync::watch;

use super::commands;
use super::faults;
use super::pipeline::Pipeline;
use super::repetition::{Repetition, Stopped, no_first_frame};
use super::reports::Reports;
use collect::core::Progress;

/// How long nothing may be shown of what was generated last: longer than any player's default buffer.
const SILENCE: Duration = Duration::from_secs(8);

/// How long the last measured frames may take in all: no latency is longer.
const LONGEST: Duration = Duration::from_mins(1);

pub(super) async fn run(repetition: &mut Repetition<'_>) -> Result<(), Stopped> {
    let mut pipeline = Pipeline::up(repetition).await?;
    let result = collected(repetition, &mut pipeline).await;
    if let Ok((reports, Err(_))) = &result {
        repetition.cut_short(reports.progress().borrow().generated);
    }
    pipeline.count_behind(repetition).await;
    pipeline.ask_source(repetition).await;
    pipeline.end_programs(repetition).await;
    // Before the place goes: a collector that is a pod goes with it.
    let finished = match result {
        Ok((reports, result)) => Ok((reports.finish().await, result)),
        Err(stopped) => Err(stopped),
    };
    pipeline.down(repetition).await;
    let (finished, result) = finished?;
    result?;
    let (told, clocks) = finished.map_err(Stopped::Fatal)?;
    repetition.meta.clocks = clocks.sources;
    repetition.meta.clock_uncertainty_us = clocks.uncertainty_us;
    repetition.events.now("joined", "xrbench", &told);
    Ok(())
}

/// Measures with a collector beside it, which is finished when everything that reports to it has ended.
async fn collected(
    repetition: &mut Repetition<'_>,
    pipeline: &mut Pipeline,
) -> Result<(Reports, Result<(), Stopped>), Stopped> {
    let reports = Reports::start(repetition, &pipeline.place).await?;
    let result = measure(repetition, &reports, pipeline).await;
    Ok((reports, result))
}

async fn measure(
    repetition: &mut Repetition<'_>,
    reports: &Reports,
    pipeline: &mut Pipeline,
) -> Result<(), Stopped> {
    let (scenario, shown) = (repetition.scenario, repetition.context.progress);
    shown.step("starting");
    start(repetition, reports, pipeline).await?;

    let mut progress = reports.progress();
    let patience = scenario.first_frame.0;
    let first = progress.wait_for(|progress| progress.first_shown.is_some());
    let running = pipeline.running();
    let first = repetition
        .until(tokio::time::timeout(patience, first), &running)
        .await?;
    let Ok(Ok(first)) = first.map(|first| first.map(|progress| progress.first_shown)) else {
        return Err(Stopped::Failed(no_first_frame(patience, &running)));
    };
    repetition.meta.first_frame_us = first;
    pipeline.check_clocks(repetition, "at the start").await;
    let running = pipeline.running();
    shown.step("warming up");
    repetition.pass(scenario.warmup.0, &running).await?;

    pipeline.count_behind_from_here().await;
    repetition.told_in_clock(reports.offset_us());
    let to = repetition.measure_from(repetition.now());
    if let Some(from) = repetition.meta.measured_from_us {
        reports.measure_from(from);
    }
    let before = reports.progress().borrow().unreported.clone();
    shown.step(&format!("measuring for {}", scenario.duration));
    watched(repetition, reports, pipeline, to).await?;

    // What was generated at the last moment is still on its way.
    let last = last_shown(progress, to, SILENCE, LONGEST);
    let last = repetition.until(last, &pipeline.running()).await?;
    if let Err(waited) = last {
        let detail = format!(
            "after {:.0} s frames of the measured time had not been shown: they count as lost",
            waited.as_secs_f64()
        );
        repetition.events.now(EventRow::GAVE_UP, "xrbench", &detail);
    }
    let unreported = reports.progress().borrow().unreported.clone();
    let measured = unreported.into_iter().map(|(client, of)| {
        let before = before.get(&client).copied().unwrap_or_default();
        (client, of.since(before))
    });
    repetition.meta.set_unreported(measured);
    Ok(())
}

/// Waits until a frame is shown that was generated at or after `to`, however slow the way is: as long as frames go on being
/// shown, a moment of `silence` aside, and no longer than `longest`.
///
/// # Errors
/// How long it waited in vain.
async fn last_shown(
    mut progress: watch::Receiver<Progress>,
    to: UnixMicros,
    silence: Duration,
    longest: Duration,
) -> Result<(), Duration> {
    let begun = tokio::time::Instant::now();
    loop {
        let left = longest.saturating_sub(begun.elapsed());
        let before = progress.borrow_and_update().shown;
        let goes_on =
            progress.wait_for(|now| now.generated.is_some_and(|at| at >= to) || now.shown > before);
        match tokio::time::timeout(silence.min(left), goes_on).await {
            Ok(Ok(now)) if now.generated.is_some_and(|at| at >= to) => return Ok(()),
            Ok(Ok(_)) => {}
            // Nothing comes any more, or the collector has ended.
            Ok(Err(_)) | Err(_) => return Err(begun.elapsed()),
        }
    }
}

/// Starts the streamer, then who feeds it, then who plays.
async fn start(
    repetition: &mut Repetition<'_>,
    reports: &Reports,
    pipeline: &mut Pipeline,
) -> Result<(), Stopped> {
    let (scenario, programs) = (repetition.scenario, repetition.context.programs);
    let addresses = pipeline.start_server(repetition, reports.here()).await?;

    let role = Role::Renderer;
    let args = commands::renderer(scenario, &addresses, &pipeline.listen);
    let spec = repetition.spec(role.as_str(), &programs.renderer, args);
    pipeline.start(repetition, role, spec).await?;
    pipeline.ready(repetition, reports.here(), role).await?;

    let role = Role::Client;
    let (listen, folder) = (&pipeline.listen, &repetition.folder);
    let args = commands::client(scenario, &addresses, listen, pipeline.transport, folder);
    let mut spec = repetition.spec(role.as_str(), &programs.client, args);
    // Nobody else reports into this run; a client that is killed comes back with it.
    spec.env
        .push(("XR_TOKEN".to_owned(), repetition.token.expose().to_owned()));
    pipeline.start(repetition, role, spec).await.map(drop)
}

/// Lets the measured time pass, second by second, shows what is being measured, and does what is to be done on purpose.
async fn watched(
    repetition: &mut Repetition<'_>,
    reports: &Reports,
    pipeline: &mut Pipeline,
    to: UnixMicros,
) -> Result<(), Stopped> {
    let begun = Instant::now();
    let mut actions = VecDeque::from(faults::actions(&repetition.scenario.fault));
    let progress = reports.progress();
    let mut before: Progress = progress.borrow().clone();
    let mut told = begun;
    loop {
        let left =
            Duration::from_micros(u64::try_from(to.micros_since(repetition.now())).unwrap_or(0));
        if left.is_zero() {
            return Ok(());
        }
        let due = actions
            .front()
            .map_or(Duration::MAX, |(at, _)| at.saturating_sub(begun.elapsed()));
        let slice = left.min(Duration::from_secs(1)).min(due);
        repetition.pass(slice, &pipeline.running()).await?;
        while let Some((_, action)) = actions.pop_front_if(|(at, _)| *at <= begun.elapsed()) {
            pipeline.act(repetition, action).await?;
        }
        if told.elapsed() < Duration::from_millis(900) {
            continue;
        }
        told = Instant::now();
        let now = progress.borrow().clone();
        let samples = now.samples.saturating_sub(before.samples).max(1);
        let mean_ms =
            now.latency_sum_us.saturating_sub(before.latency_sum_us) as f64 / samples as f64 / 1e3;
        let shown = now.shown.saturating_sub(before.shown);
        repetition.context.progress.live(&format!(
            "{:.0} s left, {shown} frames/s, mean {mean_ms:.1} ms",
            left.as_secs_f64()
        ));
        before = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TO: UnixMicros = UnixMicros(1_000_000);

    fn shown(shown: u64, generated: u64) -> Progress {
        Progress {
            shown,
            generated: Some(UnixMicros(generated)),
            ..Progress::default()
        }
    }

    /// Ten seconds of latency: frames go on being shown, each ten seconds after its generation.
    #[tokio::test(start_paused = true)]
    async fn slow_frames_are_waited_for_and_what_has_stopped_is_not() {
        let (silence, longest) = (Duration::from_secs(8), Duration::from_mins(1));
        let (tell, told) = watch::channel(shown(0, 0));
        let slow = tokio::spawn(async move {
            for second in 1..=20 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                tell.send_replace(shown(second, second * 100_000));
            }
            tell
        });
        assert_eq!(last_shown(told, TO, silence, longest).await, Ok(()));
        let tell = slow.await.expect("no panic");

        tell.send_replace(shown(20, 900_000));
        let about = |waited: Result<(), Duration>, expected: Duration| {
            let waited = waited.expect_err("in vain");
            assert!(
                waited >= expected && waited < expected + Duration::from_millis(50),
                "{waited:?}"
            );
        };
        // Nothing is shown any more.
        about(
            last_shown(tell.subscribe(), TO, silence, longest).await,
            silence,
        );

        let told = tell.subscribe();
        let never = tokio::spawn(async move {
            for second in 21..200 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                tell.send_replace(shown(second, 900_000));
            }
        });
        // No latency is longer.
        about(last_shown(told, TO, silence, longest).await, longest);
        never.abort();
    }
}
