//! `--dry-run`: the plan, with every command line and the time that it would take.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use testbed::local::capabilities::Capabilities;

use super::commands::{self, Binds, Places, Programs};
use super::lab_plan::{self, Ability, Planned};
use super::plan::{Job, Plan};
use super::strips;
use crate::scenario::File;
use result::{Pipeline, RepetitionFolder, RunFolder};

/// The command lines of one job: role and words.
pub(super) fn command_lines(
    job: Job<'_>,
    programs: &Programs,
    folder: &RepetitionFolder,
) -> anyhow::Result<Vec<(&'static str, Vec<String>)>> {
    let places = Places::unknown();
    let scenario = job.settings();
    let with = |program: &Path, args: Vec<String>| {
        let mut line = vec![program.display().to_string()];
        line.extend(args);
        line
    };
    if let Job::Floor(_) = job {
        return Ok(vec![(
            "floor",
            with(&programs.renderer, commands::floor(scenario, folder)),
        )]);
    }
    // A lab's addresses are the same whatever the machine has: nothing need be tried. Where it cannot be planned, its run says why.
    let wan_link = super::programs::own()?;
    let planned = scenario
        .fabric
        .is_lab()
        .then(|| {
            lab_plan::plan(
                scenario,
                &Ability::of(&Capabilities::default(), &wan_link, 0),
                0,
            )
        })
        .transpose()?;
    let binds = planned.as_ref().map(Planned::binds).unwrap_or_default();
    let collector = places.collector.clone();
    let places = planned
        .as_ref()
        .map_or(places, |planned| planned.places(collector));
    let transport = planned
        .as_ref()
        .map_or(scenario.transport, |planned| planned.transport);
    let listens = if scenario.server.is_some() && planned.is_none() {
        // Its ports are drawn for it, because it does not say which it has.
        Binds {
            http: places.http.clone(),
            rtsp: places.rtsp.clone(),
            ..binds.clone()
        }
    } else {
        binds.clone()
    };
    let streamer = ("streamer", commands::between(scenario, programs, &listens));
    if scenario.pipeline.is_reference() {
        let (render, play) = commands::reference(scenario, &places, folder)?;
        return Ok(vec![streamer, ("renderer", render), ("client", play)]);
    }
    let renderer = (
        "renderer",
        with(
            &programs.renderer,
            commands::renderer(scenario, &places, &binds),
        ),
    );
    let client = (
        "client",
        with(
            &programs.client,
            commands::client(scenario, &places, &binds, transport, folder),
        ),
    );
    Ok(vec![streamer, renderer, client])
}

/// How long the whole run would take.
pub(super) fn expected(file: &File, plan: &Plan, with_ocr: bool) -> Duration {
    let streaming: Duration = plan
        .order
        .iter()
        .map(|slot| plan.job(file, slot).expected() + file.rest.0)
        .sum();
    streaming
        + if with_ocr {
            strips::expected(file)
        } else {
            Duration::ZERO
        }
}

/// The plan for people.
pub(super) fn text(
    file: &File,
    plan: &Plan,
    programs: &Programs,
    out: &RunFolder,
    with_ocr: bool,
) -> anyhow::Result<String> {
    let total = expected(file, plan, with_ocr).as_secs();
    let mut text = format!(
        "{}: {} repetitions, about {} min {:02} s in all, into {}\n\nin this order (seed {}):\n",
        file.name,
        plan.order.len(),
        total / 60,
        total % 60,
        out.root().display(),
        file.seed
    );
    for (number, slot) in plan.order.iter().enumerate() {
        let seconds = plan.job(file, slot).expected().as_secs_f64();
        writeln!(
            text,
            "{:>4}. {} run {} (about {seconds:.0} s)",
            number + 1,
            slot.scenario,
            slot.run
        )?;
    }
    for info in plan.scenarios(file) {
        let slot = result::Slot {
            scenario: info.name.clone(),
            run: 1,
        };
        let job = plan.job(file, &slot);
        let settings = job.settings();
        let compared = info
            .floor
            .map_or_else(String::new, |floor| format!(", compared with {floor}"));
        writeln!(
            text,
            "\n{}: {}, {} runs of {} after {} of warm-up{compared}",
            info.name, info.pipeline, info.runs, settings.duration, settings.warmup
        )?;
        for (role, line) in command_lines(job, programs, &out.repetition(&info.name, 1))? {
            writeln!(text, "  {role}: {}", commands::shell(&line))?;
        }
    }
    if with_ocr {
        writeln!(
            text,
            "\nthen: the strips are read, about {} s",
            strips::expected(file).as_secs()
        )?;
    }
    Ok(text)
}

/// The plan for programs.
pub(super) fn json(
    file: &File,
    plan: &Plan,
    programs: &Programs,
    out: &RunFolder,
    with_ocr: bool,
) -> anyhow::Result<serde_json::Value> {
    let mut scenarios = Vec::new();
    for info in plan.scenarios(file) {
        let slot = result::Slot {
            scenario: info.name.clone(),
            run: 1,
        };
        let lines = command_lines(
            plan.job(file, &slot),
            programs,
            &out.repetition(&info.name, 1),
        )?;
        let processes: Vec<_> = lines
            .iter()
            .map(|(role, line)| json!({"role": role, "command": line}))
            .collect();
        scenarios.push(json!({
            "name": info.name,
            "pipeline": info.pipeline,
            "floor": info.floor,
            "runs": info.runs,
            "processes": processes,
        }));
    }
    Ok(json!({
        "name": file.name,
        "seed": file.seed,
        "out": out.root(),
        "expected_seconds": expected(file, plan, with_ocr).as_secs_f64(),
        "order": plan.order,
        "scenarios": scenarios,
    }))
}

/// How many strips a repetition of a pipeline leaves to read.
pub(super) fn strips_of(scenario: &crate::scenario::Scenario) -> f64 {
    let seconds = scenario.warmup.as_secs_f64() + scenario.duration.as_secs_f64();
    let frames = seconds * f64::from(scenario.fps);
    match scenario.pipeline {
        Pipeline::Reference | Pipeline::ReferenceTuned => frames,
        Pipeline::Ours => frames.min(f64::from(scenario.ocr.max_frames)),
        Pipeline::Floor => 0.0,
    }
}
