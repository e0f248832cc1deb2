//! A repetition of the floor: one process, which writes its own `frames.csv` and ends by itself.

use std::fs::File;
use std::io::BufReader;
use std::time::Duration;

use anyhow::Context as _;
use testbed::Cluster;
use testbed::cgroup::{self, Limits, Part, Tree};
use timeline::frames_csv::FrameReader;
use timeline::{Point, UnixMicros};

use super::commands;
use super::place::{GRACE, HostPlace, READY, resources};
use super::repetition::{Repetition, Stopped};

pub(super) async fn run(repetition: &mut Repetition<'_>) -> Result<(), Stopped> {
    let scenario = repetition.scenario;
    let program = &repetition.context.programs.renderer;
    repetition
        .context
        .progress
        .step(&format!("the codec alone for {}", scenario.duration));
    let args = commands::floor(scenario, &repetition.folder);
    // The codec is measured by itself: on this host, whatever the scenario's fabric is.
    let host = HostPlace::new(repetition.testbed().clone());
    let mut spec = repetition.spec("floor", program, args);
    // Where its scenarios are limited it has what cluster A has, in which their encoder and decoder are.
    let guard = repetition.context.means.lab();
    let limits = guard.filter(|_| scenario.limits);
    let tree = limits.map(|of| Tree::create(&cgroup::name(of.guard), Some(Limits::PAPER)));
    if let Some(tree) = &tree {
        spec.group = Some(tree.group(Part::Cluster(Cluster::A), "floor"));
        repetition.meta.resources = Some(resources(tree));
    }
    let mut floor = host.start(spec)?;
    repetition.started(&floor)?;
    let limit = READY + scenario.warmup.0 + scenario.duration.0 + GRACE;
    let ended = repetition
        .until(tokio::time::timeout(limit, floor.exited()), &[])
        .await;
    let exit = match &ended {
        Ok(Ok(exit)) => exit.clone(),
        // Interrupted or too slow: what it wrote so far stands.
        Ok(Err(_)) | Err(_) => repetition.terminate(&mut floor).await,
    };
    repetition.ended(&floor, &exit);
    find_measured_time(repetition)?;
    ended?.map_err(|_| Stopped::Failed(late(limit, &floor.log_tail())))?;
    if !exit.is_success() {
        let log = floor.log().display().to_string();
        return Err(Stopped::Failed(anyhow::anyhow!(
            "xr-renderer --floor ended ({exit}); the end of its log, {log}:\n{}",
            floor.log_tail()
        )));
    }
    Ok(())
}

fn late(limit: Duration, tail: &str) -> anyhow::Error {
    anyhow::anyhow!(
        "xr-renderer --floor had not ended after {} s; the end of its log:\n{tail}",
        limit.as_secs_f64()
    )
}

/// Finds the measured time in the rows that the process wrote: it begins a warm-up after the first frame.
fn find_measured_time(repetition: &mut Repetition<'_>) -> anyhow::Result<()> {
    let path = repetition.folder.frames_csv();
    let Ok(file) = File::open(&path) else {
        return Ok(());
    };
    let rows = FrameReader::new(BufReader::new(file))
        .with_context(|| format!("cannot read {}", path.display()))?;
    let first = rows
        .map_while(Result::ok)
        .filter_map(|row| Some((row.at(Point::Generated)?, row.at(Point::Decoded)?)))
        .min();
    if let Some((generated, decoded)) = first {
        repetition.meta.first_frame_us = Some(decoded);
        let warmup = u64::try_from(repetition.scenario.warmup.0.as_micros()).unwrap_or(u64::MAX);
        repetition.measure_from(UnixMicros(generated.0.saturating_add(warmup)));
    }
    Ok(())
}
