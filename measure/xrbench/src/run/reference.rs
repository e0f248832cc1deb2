//! A repetition of the reference: ffmpeg renders, our streamer is between, ffmpeg plays and writes strips. Nothing of it
//! knows that it is measured; latency is read from the strips after the run. Where both are pods, a program of ours beside each tells
//! the clock of its node, and what ffmpeg writes is brought here.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde::Deserialize;
use service::clock;
use settings::{FrameRate, Role, Span};
use tokio::time::Instant;

use super::commands::{self, ReferenceFiles};
use super::pipeline::Pipeline;
use super::repetition::{Repetition, Stopped, no_first_frame};
use super::reports::Reports;
use crate::reference::{SUSTAINED_PACE, pace};
use collect::core::ClocksKnown;
use result::{ClockMeta, ClockSource, RepetitionFolder};

/// How often a file or the streamer is looked at while something is awaited.
const LOOK: Duration = Duration::from_millis(100);

pub(super) async fn run(repetition: &mut Repetition<'_>) -> Result<(), Stopped> {
    let mut pipeline = Pipeline::up(repetition).await?;
    let clocks = if pipeline.place.shares_our_clock() {
        None
    } else {
        Some(Reports::start(repetition, &pipeline.place).await?)
    };
    let result = measure(repetition, &mut pipeline, clocks.as_ref()).await;
    // What was measured until then is kept, whatever has stopped it.
    let brought = bring_all(repetition, &pipeline).await;
    // The player ends first: it writes its last strips.
    pipeline.end_programs(repetition).await;
    let clocks = match clocks {
        Some(clocks) => {
            let clocks = clocks.finish().await;
            forget_frames(&repetition.folder);
            Some(clocks)
        }
        None => None,
    };
    pipeline.down(repetition).await;
    judge_pace(repetition);
    result?;
    brought?;
    if let Some(clocks) = clocks {
        let (_, clocks) = clocks.map_err(Stopped::Fatal)?;
        record(repetition, clocks)?;
    }
    Ok(())
}

/// Removes the file of frames: the collector beside a reference hears clocks, and no frame, so that it has a header and no row.
fn forget_frames(folder: &RepetitionFolder) {
    if let Err(error) = fs::remove_file(folder.frames_csv())
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(
            "{} stays without a row: {error}",
            folder.frames_csv().display()
        );
    }
}

/// Takes what is known of the nodes' clocks: a latency is wrong by what either is, and by what both have drifted since.
///
/// # Errors
/// A clock has not answered: then nobody knows how late a picture was.
fn record(repetition: &mut Repetition<'_>, clocks: ClocksKnown) -> anyhow::Result<()> {
    let scenario = repetition.scenario;
    let long = scenario.warmup.0 + scenario.duration.0;
    let mut uncertainty_us = 0;
    for role in [Role::Renderer, Role::Client] {
        let clock = clocks.sources.get(role.as_str());
        let clock = clock.filter(|clock| clock.source != ClockSource::Unknown);
        let clock = clock.with_context(|| {
            format!(
                "the clock of the {role}'s node has not answered: its latencies would be those of two clocks. Does the container \
                 `clock` run in its pod, and may the collector reach its port ops?"
            )
        })?;
        uncertainty_us += wrong_us(clock, long);
    }
    repetition.meta.clock_uncertainty_us = uncertainty_us;
    repetition.meta.clocks = clocks.sources;
    Ok(())
}

/// How wrong a clock may be that was put right by one offset for all of this time, microseconds.
fn wrong_us(clock: &ClockMeta, long: Duration) -> u64 {
    let drifted = u128::from(clock.drift_ppb.unsigned_abs()) * long.as_micros() / 1_000_000_000;
    let drifted = u64::try_from(drifted).unwrap_or(u64::MAX);
    clock.uncertainty_us.unwrap_or(0).saturating_add(drifted)
}

async fn measure(
    repetition: &mut Repetition<'_>,
    pipeline: &mut Pipeline,
    clocks: Option<&Reports>,
) -> Result<(), Stopped> {
    let (scenario, shown) = (repetition.scenario, repetition.context.progress);
    let patience = scenario.first_frame.0;
    shown.step("starting");
    let addresses = pipeline.start_server(repetition, None).await?;
    let files = pipeline.place.reference_files(&repetition.folder);
    let (render, play) = commands::reference(scenario, &addresses, pipeline.transport, &files)?;

    start(repetition, pipeline, Role::Renderer, &render).await?;
    let deadline = Instant::now() + patience;
    let live = tokio::time::timeout_at(deadline, feed_can_be_viewed(pipeline));
    let running = pipeline.running();
    if repetition.until(live, &running).await?.is_err() {
        return Err(Stopped::Failed(no_first_frame(patience, &running)));
    }

    start(repetition, pipeline, Role::Client, &play).await?;
    let running = pipeline.running();
    let strips = ReferenceFiles::of(&repetition.folder).strips;
    let first = tokio::time::timeout(patience, file_has_content(pipeline, &strips));
    if repetition.until(first, &running).await?.is_err() {
        return Err(Stopped::Failed(no_first_frame(patience, &running)));
    }
    repetition.meta.first_frame_us = Some(clock::now());
    shown.step("warming up");
    repetition.pass(scenario.warmup.0, &running).await?;
    if let Some(clocks) = clocks {
        repetition.told_in_clock(clocks.offset_us());
    }
    repetition.measure_from(repetition.now());
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

/// Waits until the streamer serves a feed: a player that asks earlier is told that there is none, and gives up.
async fn feed_can_be_viewed(pipeline: &Pipeline) {
    loop {
        if let Ok(Some(text)) = pipeline.feeds().await
            && has_viewable_feed(&text)
        {
            return;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// A feed of the streamer's list, as far as it is asked for.
#[derive(Deserialize)]
struct ListedFeed {
    state: String,
    viewable: bool,
}

/// Whether a feed of the streamer's list sends frames, and viewers find it.
fn has_viewable_feed(list: &str) -> bool {
    serde_json::from_str::<Vec<ListedFeed>>(list).is_ok_and(|feeds| {
        feeds
            .iter()
            .any(|feed| feed.state == "live" && feed.viewable)
    })
}

/// Waits until the player has written to this file.
async fn file_has_content(pipeline: &Pipeline, path: &Path) {
    while fs::metadata(path).map_or(0, |file| file.len()) == 0 {
        tokio::time::sleep(LOOK).await;
        // What cannot be brought now is asked for again.
        let _ = pipeline.bring(Role::Client, path).await;
    }
}

/// Brings what ffmpeg has written by now, where that is not here.
async fn bring_all(repetition: &Repetition<'_>, pipeline: &Pipeline) -> anyhow::Result<()> {
    let files = ReferenceFiles::of(&repetition.folder);
    let mut all = Ok(());
    for (role, file) in [
        (Role::Renderer, &files.rendered),
        (Role::Client, &files.played),
        (Role::Client, &files.strips),
    ] {
        if let Err(error) = pipeline.bring(role, file).await {
            let why = format!("{}: {error:#}", file.display());
            tracing::warn!("not brought: {why}");
            repetition.events.now("not brought", role.as_str(), &why);
            // The others may well be there.
            all = all.and(Err(error));
        }
    }
    all
}

/// Marks the repetition if ffmpeg could not keep its own pace: then its figures are of a queue, not of a pipeline.
fn judge_pace(repetition: &mut Repetition<'_>) {
    let mut why = Vec::new();
    let files = ReferenceFiles::of(&repetition.folder);
    for (role, path) in [("renderer", files.rendered), ("player", files.played)] {
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

    #[test]
    fn a_feed_can_be_viewed_by_what_is_said_of_it_and_not_by_its_name() {
        assert!(has_viewable_feed(
            r#"[{"name":"a","state":"gone","viewable":true},{"name":"b","state":"live","viewable":true}]"#
        ));
        for list in [
            r#"[{"name":"live","state":"stalled","viewable":true}]"#,
            r#"[{"name":"a","state":"live","viewable":false}]"#,
            "[]",
            "\"live\"",
        ] {
            assert!(!has_viewable_feed(list), "{list}");
        }
    }

    /// A collector that heard of no frame leaves no file of frames, whether or not it has begun one.
    #[test]
    fn a_reference_has_no_file_of_frames() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let folder = RepetitionFolder::new(dir.path());
        fs::write(folder.frames_csv(), "frame,rtp_timestamp\n").expect("written");
        forget_frames(&folder);
        assert!(!folder.frames_csv().exists());
        forget_frames(&folder);
    }

    #[test]
    fn one_offset_for_a_minute_is_wrong_by_the_drift_too() {
        let clock = ClockMeta {
            source: ClockSource::Asked,
            offset_us: 7_000,
            drift_ppb: -20_000,
            uncertainty_us: Some(150),
        };
        assert_eq!(wrong_us(&clock, Duration::from_mins(1)), 150 + 1_200);
        assert_eq!(wrong_us(&ClockMeta::SHARED, Duration::from_mins(1)), 0);
    }
}
