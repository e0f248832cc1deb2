//! A repetition of the reference: ffmpeg renders, our streamer is between, ffmpeg plays and writes strips. Nothing of it
//! knows that it is measured; latency is read from the strips after the run.

use std::fs;
use std::path::Path;
use std::time::Duration;

use service::clock;
use settings::{FrameRate, Role, Span};
use tokio::time::Instant;

use super::commands;
use super::http;
use super::pipeline::Pipeline;
use super::repetition::{Repetition, Stopped, no_first_frame};
use crate::reference::{SUSTAINED_PACE, pace};

/// How often a file or the streamer is looked at while something is awaited.
const LOOK: Duration = Duration::from_millis(100);

/// How long the streamer may take to answer.
const ANSWER: Duration = Duration::from_secs(1);

pub(super) async fn run(repetition: &mut Repetition<'_>) -> Result<(), Stopped> {
    let mut pipeline = Pipeline::up(repetition).await?;
    let result = measure(repetition, &mut pipeline).await;
    // The player ends first: it writes its last strips.
    pipeline.end_programs(repetition).await;
    pipeline.down(repetition).await;
    judge_pace(repetition);
    result
}

async fn measure(repetition: &mut Repetition<'_>, pipeline: &mut Pipeline) -> Result<(), Stopped> {
    let (scenario, shown) = (repetition.scenario, repetition.context.progress);
    let patience = scenario.first_frame.0;
    shown.step("starting");
    let addresses = pipeline.start_server(repetition, None).await?;
    let (folder, transport) = (&repetition.folder, pipeline.transport);
    let (render, play) = commands::reference(scenario, &addresses, transport, folder)?;

    start(repetition, pipeline, Role::Renderer, &render).await?;
    let deadline = Instant::now() + patience;
    let feeds = pipeline.feeds()?;
    let live = tokio::time::timeout_at(deadline, feed_is_live(&feeds));
    let running = pipeline.running();
    if repetition.until(live, &running).await?.is_err() {
        return Err(Stopped::Failed(no_first_frame(patience, &running)));
    }

    start(repetition, pipeline, Role::Client, &play).await?;
    let running = pipeline.running();
    let strips = commands::strips_file(&repetition.folder);
    let first = tokio::time::timeout(patience, file_has_content(&strips));
    if repetition.until(first, &running).await?.is_err() {
        return Err(Stopped::Failed(no_first_frame(patience, &running)));
    }
    repetition.meta.first_frame_us = Some(clock::now());
    shown.step("warming up");
    repetition.pass(scenario.warmup.0, &running).await?;
    repetition.measure_from(clock::now());
    shown.step(&format!("measuring for {}", scenario.duration));
    repetition.pass(scenario.duration.0, &running).await?;
    // What was generated at the last moment is still on its way.
    let tail = tail(scenario.pipeline, scenario.fps);
    repetition.pass(tail, &running).await
}

/// How long ffmpeg may hold the last pictures. Through defaults it holds some 53 of them, most in x264's look-ahead, which is two
/// seconds at 25 pictures a second and five at 10.
fn tail(pipeline: result::Pipeline, fps: FrameRate) -> Duration {
    let (pictures, least) = if pipeline == result::Pipeline::Reference {
        (80.0, Duration::from_secs(3))
    } else {
        (10.0, Duration::from_millis(500))
    };
    Duration::from_secs_f64(pictures / fps.as_f64()).max(least)
}

async fn start(
    repetition: &mut Repetition<'_>,
    pipeline: &mut Pipeline,
    role: Role,
    command: &[String],
) -> Result<(), Stopped> {
    let mut words = command.iter().cloned();
    let program = words.next().unwrap_or_default();
    let spec = repetition.spec(role.as_str(), Path::new(&program), words.collect());
    pipeline.start(repetition, role, spec).await.map(drop)
}

/// Waits until the streamer has a feed: a player that asks earlier is told that there is none, and gives up.
async fn feed_is_live(feeds: &str) {
    let http = http::client();
    loop {
        if let Ok(answer) = http.get(feeds).timeout(ANSWER).send().await
            && let Ok(text) = answer.text().await
            && text.contains("\"live\"")
        {
            return;
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn file_has_content(path: &Path) {
    while fs::metadata(path).map_or(0, |file| file.len()) == 0 {
        tokio::time::sleep(LOOK).await;
    }
}

/// Marks the repetition if ffmpeg could not keep its own pace: then its figures are of a queue, not of a pipeline.
fn judge_pace(repetition: &mut Repetition<'_>) {
    let mut why = Vec::new();
    for (role, path) in ["renderer", "player"]
        .into_iter()
        .zip(commands::progress_files(&repetition.folder))
    {
        let progress = fs::read_to_string(&path).unwrap_or_default();
        match pace(&progress) {
            Some(pace) if pace < SUSTAINED_PACE => {
                why.push(format!("the {role}'s pace was {pace:.3} of real time"));
            }
            // A player's pace follows from its source; a renderer of more than a moment must have said something.
            None if role == "renderer" && repetition.scenario.duration >= Span::seconds(5) => {
                why.push("the renderer said nothing of its pace".to_owned());
            }
            _ => {}
        }
    }
    repetition.meta.overloaded = !why.is_empty();
    repetition.meta.overloaded_why = (!why.is_empty()).then(|| why.join("; "));
}

#[cfg(test)]
mod tests {
    use result::Pipeline;

    use super::*;

    #[test]
    fn a_slow_rate_is_given_the_time_that_its_look_ahead_takes() {
        let of = |pipeline, fps: &str| tail(pipeline, fps.parse().expect("a rate")).as_secs_f64();
        for (fps, p50_s) in [("10", 5.3), ("15", 3.6), ("25", 2.2), ("60", 1.0)] {
            assert!(
                of(Pipeline::Reference, fps) > p50_s,
                "{fps} pictures a second"
            );
            assert!(of(Pipeline::ReferenceTuned, fps) >= 0.5);
        }
    }
}
