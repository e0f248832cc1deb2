//! From what was loaded to what is said.

use std::collections::BTreeMap;

use serde_json::Value;
use timeline::Stage;

use super::{
    ClockFigures, Comparison, DisplayFigures, FloorSummary, FloorUs, FrameCounts, Freezes,
    FromTickUs, Goodput, LatencyUs, Note, NoteKind, OcrCounts, Paper, Points, Resources, Runs,
    SUMMARY_VERSION, ScenarioSummary, StageUs, Summary, UncertaintyUs, Undisturbed, differences,
    display::disturbed_seconds,
    fault,
    latency::pictures,
    load::{LoadedResult, LoadedScenario},
    network,
    resources::{host_note, resources, unlike_floor},
    warnings,
};
use result::{Calibration, Pipeline, RunInfo};
use stats::{Counts, Exact, MAX_FLOOR_GAP_US, Measured, Sample, Stages, quantile};

/// Sums up what was loaded.
pub fn build(loaded: &LoadedResult) -> Summary {
    let seed = loaded.info.seed;
    let calibration = loaded.info.calibration.as_ref();
    let clock_uncertainty_us = clock_uncertainty_us(loaded);
    let merged: Vec<(&LoadedScenario, Measured)> = loaded
        .scenarios
        .iter()
        .map(|scenario| (scenario, scenario.merged()))
        .collect();
    let floors: Vec<_> = merged
        .iter()
        .filter(|(scenario, _)| scenario.info.pipeline == Pipeline::Floor)
        .collect();
    let floor = |name: &str| floors.iter().find(|(one, _)| one.info.name == name);
    let scenarios: Vec<_> = merged
        .iter()
        .filter(|(one, _)| one.info.pipeline != Pipeline::Floor)
        .map(|(one, measured)| {
            let floor = one.info.floor.as_deref().and_then(floor);
            let floor_of = floor.map(|(floor, of)| (*floor, of));
            let waits = waits_for_time(&loaded.info, &one.info.name);
            let mut summary = scenario(one, measured, floor_of, waits, calibration, seed);
            let cores = loaded.info.machine.cores;
            let mut metas = one
                .runs
                .iter()
                .filter_map(|run| run.meta.resources.as_ref());
            let (resources, notes) = resources(&measured.usage, metas.next_back(), cores);
            summary.resources = resources;
            summary.notes.extend(notes);
            let of_host = host_note(&summary.resources, &loaded.info.states);
            summary.notes.extend(of_host);
            if let Some((floor, _)) = floor {
                let mut metas = floor.runs.iter().map(|run| run.meta.resources.as_ref());
                let limits = &summary.resources.limits;
                let note = unlike_floor(limits, metas.next_back().flatten());
                summary.notes.extend(note);
            }
            summary
        })
        .collect();
    Summary {
        schema_version: SUMMARY_VERSION,
        name: loaded.info.name.clone(),
        state: loaded.info.state,
        presentation: loaded.info.presentation,
        started_us: loaded.info.started_us,
        ended_us: loaded.info.ended_us,
        machine: loaded.info.machine.clone(),
        calibration: calibration.map(|one| super::Instrument::of(one, &loaded.info.digests)),
        versions: loaded.info.versions.clone(),
        comparisons: comparisons(&scenarios),
        clock_uncertainty_us,
        differences: differences::of(loaded, clock_uncertainty_us),
        scenarios,
        floors: floors
            .into_iter()
            .map(|(one, measured)| floor_alone(one, measured, calibration, seed))
            .collect(),
        paper: Paper::figures(),
    }
}

/// By how much the clocks that generation and consumption are read from may disagree, in microseconds: the worst of all
/// repetitions.
fn clock_uncertainty_us(loaded: &LoadedResult) -> u64 {
    let runs = loaded.scenarios.iter().flat_map(|one| &one.runs);
    let worst = runs.map(|run| run.meta.clock_uncertainty_us).max();
    worst.unwrap_or(0)
}

/// Whether the client of a scenario waits for each frame's time before it shows it: that wait is in the stage `decode`, and no work of
/// the codec's.
fn waits_for_time(info: &RunInfo, name: &str) -> bool {
    let scenarios = info.scenario.get("scenario").and_then(Value::as_array);
    let mut named = scenarios.into_iter().flatten();
    let found = named.find(|one| one.get("name").is_some_and(|of| of == name));
    let sync = found.and_then(|one| one.get("client")?.get("sync"));
    sync.and_then(Value::as_bool) == Some(true)
}

fn scenario(
    one: &LoadedScenario,
    measured: &Measured,
    floor: Option<(&LoadedScenario, &Measured)>,
    waits: bool,
    calibration: Option<&Calibration>,
    seed: u64,
) -> ScenarioSummary {
    let meta = one
        .runs
        .first()
        .map(|run| run.meta.clone())
        .unwrap_or_default();
    let ours = !one.info.pipeline.is_reference();
    let pictures = pictures(one, measured);
    let metas: Vec<_> = one.runs.iter().map(|run| &run.meta).collect();
    let clocks = ClockFigures::of(&metas, measured.negative);
    let latency_us = LatencyUs::of(&samples(one), pictures, seed);
    // A calibration is of our stamps.
    let calibration = calibration.filter(|_| ours);
    let overloaded = one.runs.iter().any(|run| run.meta.overloaded);
    let ocr = one
        .runs
        .iter()
        .fold(OcrCounts::default(), |sum, run| OcrCounts {
            frames: sum.frames + run.ocr.frames,
            unread: sum.unread + run.ocr.unread,
            compared: sum.compared + run.ocr.compared,
            disagree: sum.disagree + run.ocr.disagree,
        });
    let mut summary = ScenarioSummary {
        name: one.info.name.clone(),
        pipeline: one.info.pipeline,
        paper: one.info.paper,
        width: meta.width,
        height: meta.height,
        fps: meta.fps,
        bitrate_bps: meta.bitrate_bps,
        transport: meta.transport,
        server: meta.server,
        fabric: network::fabric(one),
        wan: network::wan(one),
        runs: runs(one),
        measured_s: measured.all.seconds,
        frames: measured.all.frames.into(),
        pictures: numbered(measured),
        clients: clients(measured),
        latency_us,
        uncertainty_us: latency_us.map(|of| UncertaintyUs::of(&of, &metas, clocks, calibration)),
        from_tick_us: FromTickUs::of(one, measured, pictures),
        undisturbed: measured.undisturbed.as_ref().map(|quiet| {
            let of_runs: Vec<Vec<Sample>> = samples(one)
                .into_iter()
                .map(|of_run| {
                    let quiet = of_run.iter().filter(|sample| !sample.disturbed);
                    quiet.copied().collect()
                })
                .collect();
            let of_runs: Vec<&[Sample]> = of_runs.iter().map(Vec::as_slice).collect();
            Undisturbed {
                seconds: quiet.seconds,
                frames: quiet.frames.into(),
                latency_us: LatencyUs::of(&of_runs, pictures, seed),
            }
        }),
        floor_us: floor.and_then(|(floor, measured)| FloorUs::beside(one, floor, measured)),
        stages_us: ours.then(|| stages(&measured.stages)),
        carried_us: measured.stages.carried().map(StageUs::from),
        codec_share: measured.stages.codec_share().filter(|_| !waits),
        points: ours.then(|| points(measured)),
        ocr,
        first_frame_us: first_frame(one),
        freezes: Freezes::of(one),
        display: DisplayFigures::of(measured),
        goodput: Goodput::of(one, measured),
        disturbed_seconds: disturbed_seconds(one),
        faults: fault::of(one),
        clocks,
        overloaded,
        resources: Resources::default(),
        notes: one.notes(),
    };
    summary.notes.extend(warnings::of(&summary, &one.runs));
    summary.notes.extend(fault::notes(&summary.faults));
    if waits && ours {
        let text = "the client waits for each frame's time (client.sync), and that wait is in the stage decode: no share of the \
                    codec is given";
        summary.notes.push(Note::new(NoteKind::Trace, text));
    }
    if measured.came > 0 {
        summary.notes.push(Note::new(
            NoteKind::Behind,
            format!(
                "{} frames came whole to {} client and were not shown: it was behind the stream, or waited for a key frame",
                measured.came,
                if measured.clients.len() > 1 { "a" } else { "the" }
            ),
        ));
    }
    summary
}

fn floor_alone(
    one: &LoadedScenario,
    measured: &Measured,
    calibration: Option<&Calibration>,
    seed: u64,
) -> FloorSummary {
    let codec_gap_us = measured.codec_gap_us();
    let mut notes = one.notes();
    notes.extend(warnings::missing(runs(one)));
    if codec_gap_us.is_some_and(|gap| gap > MAX_FLOOR_GAP_US) {
        notes.push(Note::new(
            NoteKind::Floor,
            "its p50 is more than 1 ms away from the sum of its own encode and decode",
        ));
    }
    let metas: Vec<_> = one.runs.iter().map(|run| &run.meta).collect();
    let clocks = ClockFigures::of(&metas, measured.negative);
    let latency_us = LatencyUs::of(&samples(one), pictures(one, measured), seed);
    let uncertainty_us = latency_us.map(|of| UncertaintyUs::of(&of, &metas, clocks, calibration));
    notes.extend(uncertainty_us.iter().filter_map(UncertaintyUs::note));
    FloorSummary {
        name: one.info.name.clone(),
        runs: runs(one),
        frames: measured.all.frames.into(),
        pictures: numbered(measured),
        latency_us,
        uncertainty_us,
        // What lies between the two has no length: the floor has one point for the end of one and the start of the other.
        stages_us: stages(&measured.stages)
            .into_iter()
            .filter(|(name, _)| {
                Stage::ALL
                    .iter()
                    .any(|stage| stage.is_codec() && stage.as_str() == name)
            })
            .collect(),
        codec_gap_us,
        notes,
    }
}

/// Distinct pictures, where frames are numbered.
fn numbered(measured: &Measured) -> Option<u64> {
    let count = measured.pictures.len() as u64;
    (count > 0).then_some(count)
}

fn runs(one: &LoadedScenario) -> Runs {
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Runs {
        planned: one.info.runs,
        begun: count(one.runs.len()),
        completed: count(one.runs.iter().filter(|run| run.meta.complete).count()),
        whole: count(one.runs.iter().filter(|run| run.is_whole()).count()),
    }
}

/// The frames of each client, where there are several.
fn clients(measured: &Measured) -> BTreeMap<String, FrameCounts> {
    let clients = measured.clients.iter();
    clients
        .filter(|_| measured.clients.len() > 1)
        .map(|(client, frames)| (client.clone(), (*frames).into()))
        .collect()
}

/// The samples of each repetition that measured.
fn samples(one: &LoadedScenario) -> Vec<&[Sample]> {
    one.runs
        .iter()
        .filter(|run| run.window.is_some())
        .map(|run| run.measured.samples.as_slice())
        .collect()
}

fn stages(stages: &Stages) -> BTreeMap<String, StageUs> {
    Stage::ALL
        .into_iter()
        .filter_map(|stage| {
            let figures = stages.figures(stage)?;
            Some((stage.as_str().to_owned(), figures.into()))
        })
        .collect()
}

fn points(measured: &Measured) -> Points {
    let (complete, samples) = (measured.stages.complete(), measured.samples.len());
    Points {
        complete,
        complete_share: complete as f64 / samples.max(1) as f64,
        out_of_order: measured.stages.out_of_order,
    }
}

fn first_frame(one: &LoadedScenario) -> Option<u64> {
    let mut times: Vec<u64> = one
        .runs
        .iter()
        .filter_map(|run| {
            let started = run.meta.client_started_us?;
            u64::try_from(run.meta.first_frame_us?.micros_since(started)).ok()
        })
        .collect();
    times.sort_unstable();
    quantile(&times, 500)
}

/// Every scenario of ours with every reference of the same size and rate.
fn comparisons(scenarios: &[ScenarioSummary]) -> Vec<Comparison> {
    let mut found = Vec::new();
    for ours in scenarios
        .iter()
        .filter(|one| one.pipeline == Pipeline::Ours)
    {
        for reference in scenarios.iter().filter(|one| one.pipeline.is_reference()) {
            let alike = ours.width == reference.width
                && ours.height == reference.height
                && (ours.fps - reference.fps).abs() < 1e-6;
            if let (true, Some(of_ours), Some(of_reference)) =
                (alike, &ours.latency_us, &reference.latency_us)
                && of_ours.figures.p50 > 0
            {
                found.push(Comparison {
                    ours: ours.name.clone(),
                    reference: reference.name.clone(),
                    p50_ratio: of_reference.figures.p50 as f64 / of_ours.figures.p50 as f64,
                    sustained: !reference.overloaded,
                });
            }
        }
    }
    found
}

impl From<Exact> for StageUs {
    fn from(figures: Exact) -> Self {
        Self {
            count: figures.count,
            p50: figures.p50,
            p90: figures.p90,
            p99: figures.p99,
            mean: figures.mean,
        }
    }
}

impl From<Counts> for FrameCounts {
    fn from(counts: Counts) -> Self {
        Self {
            scheduled: counts.scheduled,
            generated: counts.generated,
            shown: counts.shown,
            lost: counts.lost,
            unreported: counts.unreported,
            unread: counts.unread,
            damaged: counts.damaged,
            duplicate: counts.duplicate,
        }
    }
}
