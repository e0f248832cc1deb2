//! A repetition of the reference: ffmpeg renders, our streamer is between, ffmpeg plays and writes strips. Nothing of it
//! knows that it is measured; latency is read from the strips after the run.

use std::fs;
use std::path::Path;
use std::time::Duration;

use service::clock;
use testbed::Process;
use tokio::time::Instant;

use super::commands::{self, Binds, Places};
use super::repetition::{GRACE, READY, Repetition, Stopped, address, no_first_frame};
use crate::reference::{SUSTAINED_PACE, pace};
use crate::scenario::Span;
use result::Pipeline;

/// How often a file or the streamer is looked at while something is awaited.
const LOOK: Duration = Duration::from_millis(100);

pub(super) async fn run(repetition: &mut Repetition<'_>) -> Result<(), Stopped> {
    let mut processes = Vec::new();
    let result = measure(repetition, &mut processes).await;
    // The player first: it writes its last strips.
    for process in processes.iter().rev() {
        let exit = process.terminate(GRACE).await;
        repetition.ended(process, exit);
    }
    judge_pace(repetition);
    result
}

async fn measure(
    repetition: &mut Repetition<'_>,
    processes: &mut Vec<Process>,
) -> Result<(), Stopped> {
    let scenario = repetition.scenario;
    repetition.bench.show.step("starting");
    let spec = repetition
        .spec("streamer", &repetition.bench.programs.streamer)
        .args(commands::streamer(scenario, &Binds::default()));
    processes.push(repetition.start(spec)?);
    let said = repetition
        .until(processes[0].ready(READY), &[])
        .await?
        .map_err(anyhow::Error::from)?;
    let places = Places {
        http: address(&said, "http", "streamer")?,
        rtsp: address(&said, "rtsp", "streamer")?,
        collector: String::new(),
    };
    let (render, play) = commands::reference(scenario, &places, &repetition.folder)?;

    processes.push(repetition.start(spec_of(repetition, "renderer", &render))?);
    let deadline = Instant::now() + scenario.first_frame.0;
    let alive = [&processes[0], &processes[1]];
    let live = repetition
        .until(
            tokio::time::timeout_at(deadline, feed_is_live(&places)),
            &alive,
        )
        .await?;
    if live.is_err() {
        return Err(Stopped::Failed(no_first_frame(
            scenario.first_frame.0,
            &alive,
        )));
    }

    processes.push(repetition.start(spec_of(repetition, "client", &play))?);
    repetition.meta.client_started_us = Some(processes[2].started_at());
    let alive: Vec<&Process> = processes.iter().collect();
    let strips = commands::strips_file(&repetition.folder);
    let first = tokio::time::timeout(scenario.first_frame.0, file_has_content(&strips));
    if repetition.until(first, &alive).await?.is_err() {
        return Err(Stopped::Failed(no_first_frame(
            scenario.first_frame.0,
            &alive,
        )));
    }
    repetition.meta.first_frame_us = Some(clock::now());
    repetition.bench.show.step("warming up");
    repetition.pass(scenario.warmup.0, &alive).await?;
    repetition.measure_from(clock::now());
    repetition
        .bench
        .show
        .step(&format!("measuring for {}", scenario.duration));
    repetition.pass(scenario.duration.0, &alive).await?;
    // What was generated at the last moment is still on its way: through defaults, some two seconds.
    let tail = if scenario.pipeline == Pipeline::Reference {
        3_000
    } else {
        500
    };
    repetition.pass(Duration::from_millis(tail), &alive).await
}

fn spec_of(repetition: &Repetition<'_>, role: &str, command: &[String]) -> testbed::Spec {
    let mut words = command.iter().cloned();
    let program = words.next().unwrap_or_default();
    repetition.spec(role, Path::new(&program)).args(words)
}

/// Waits until the streamer has a feed: a player that asks earlier is told that there is none, and gives up.
async fn feed_is_live(places: &Places) {
    let http = reqwest::Client::new();
    loop {
        if let Ok(answer) = http.get(places.feeds()).send().await
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
