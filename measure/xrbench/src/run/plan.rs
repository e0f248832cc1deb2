//! Which repetition follows which: pure, drawn from the file's seed.
//!
//! Round follows round, and each has every scenario and every floor once, in an order that is drawn anew: a machine that gets
//! slower does so for all of them, and what is compared was measured minutes apart. Repetition k of anything is of round k.

use std::time::Duration;

use crate::scenario::{File, Scenario};
use result::{Pipeline, PlannedRepetition, ScenarioInfo};
use settings::{ClientSettings, RendererSettings};

/// Images, each of two lines, that one core reads in a second, measured; for the expected time only.
const IMAGES_PER_CORE_SECOND: f64 = 30.0;

/// What a floor runs: as the scenario that it was asked for by, but the codec alone.
#[derive(Clone, Debug, PartialEq)]
pub struct FloorRun {
    /// `floor-1280x720-60`, and `-2` and so on for others of the same size and rate.
    pub name: String,
    /// The scenario whose source, size, rate and settings it has, with its own number and length of repetitions.
    pub like: Scenario,
}

/// What will be run, in which order.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub floors: Vec<FloorRun>,
    /// For each scenario of the file, the name of its floor.
    pub floor_of: Vec<Option<String>>,
    pub order: Vec<PlannedRepetition>,
}

/// The subject of a repetition: the pipeline of a scenario, or the codec alone.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    Pipeline(&'a Scenario),
    /// The codec alone.
    Floor(&'a FloorRun),
}

impl Plan {
    /// Plans the repetitions of a scenario file.
    pub fn new(file: &File) -> Self {
        let (floors, floor_of) = floors(&file.scenario);
        let mut random = fastrand::Rng::with_seed(file.seed);
        let members: Vec<(&str, u32)> = floors
            .iter()
            .map(|floor| (floor.name.as_str(), floor.like.runs))
            .chain(
                file.scenario
                    .iter()
                    .map(|one| (one.name.as_str(), one.runs)),
            )
            .collect();
        Self {
            order: rounds(&members, &mut random),
            floors,
            floor_of,
        }
    }

    /// What is in the folder: every floor before the first scenario that is compared with it.
    pub fn scenarios(&self, file: &File) -> Vec<ScenarioInfo> {
        let mut infos: Vec<ScenarioInfo> = Vec::new();
        for (scenario, floor) in file.scenario.iter().zip(&self.floor_of) {
            let named = self
                .floors
                .iter()
                .find(|run| Some(&run.name) == floor.as_ref());
            if let Some(run) = named
                && !infos.iter().any(|info| info.name == run.name)
            {
                let (name, runs) = (run.name.clone(), run.like.runs);
                infos.push(ScenarioInfo {
                    name,
                    pipeline: Pipeline::Floor,
                    runs,
                    ..ScenarioInfo::default()
                });
            }
            infos.push(ScenarioInfo {
                name: scenario.name.clone(),
                pipeline: scenario.pipeline,
                floor: floor.clone(),
                runs: scenario.runs,
                paper: scenario.paper,
                delay_us: scenario.delay_us(),
                hold_us: scenario.hold_us(),
            });
        }
        infos
    }

    /// How long the whole run probably takes.
    pub fn expected(&self, file: &File, with_ocr: bool) -> Duration {
        let of = |slot| self.subject(file, slot).expected() + file.rest.0;
        let streaming: Duration = self.order.iter().map(of).sum();
        let then = if with_ocr {
            reading(file)
        } else {
            Duration::ZERO
        };
        streaming + then
    }

    /// The subject of a repetition in the order.
    ///
    /// # Panics
    /// When `slot` is not from this plan, or `file` not the one that it was made from.
    pub fn subject<'a>(&'a self, file: &'a File, slot: &PlannedRepetition) -> Subject<'a> {
        let floor = self
            .floors
            .iter()
            .find(|floor| floor.name == slot.scenario)
            .map(Subject::Floor);
        let pipeline = || {
            file.scenario
                .iter()
                .find(|scenario| scenario.name == slot.scenario)
                .map(Subject::Pipeline)
        };
        floor
            .or_else(pipeline)
            .expect("the order holds only what the plan was made from")
    }
}

impl<'a> Subject<'a> {
    /// The same with the settings of one round.
    pub fn showing<'b>(&self, own: &'b FloorRun) -> Subject<'b> {
        match self {
            Self::Pipeline(_) => Subject::Pipeline(&own.like),
            Self::Floor(_) => Subject::Floor(own),
        }
    }

    /// The settings: those of the scenario, or of the one that a floor is like.
    pub const fn settings(&self) -> &'a Scenario {
        match self {
            Self::Pipeline(scenario) => scenario,
            Self::Floor(floor) => &floor.like,
        }
    }

    /// How long one repetition probably takes.
    pub fn expected(&self) -> Duration {
        let scenario = self.settings();
        // Measured: to the first frame, and from the end of measuring to the last file.
        let around_ms = match self {
            Self::Floor(_) => 700,
            Self::Pipeline(scenario) => match scenario.pipeline {
                Pipeline::Reference => 9_000,
                Pipeline::ReferenceTuned => 4_000,
                Pipeline::Ours | Pipeline::Floor => 1_500 + u64::from(scenario.client.latency_ms),
            },
        };
        scenario.warmup.0 + scenario.duration.0 + Duration::from_millis(around_ms)
    }
}

/// How long reading the strips of a run probably takes.
pub fn reading(file: &File) -> Duration {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let images: f64 = file
        .scenario
        .iter()
        .map(|scenario| strips_of(scenario) * f64::from(scenario.runs))
        .sum();
    Duration::from_secs_f64(images / (IMAGES_PER_CORE_SECOND * cores as f64))
}

/// How many strips a repetition leaves to read.
fn strips_of(scenario: &Scenario) -> f64 {
    let frames = scenario.frames();
    match scenario.pipeline {
        Pipeline::Reference | Pipeline::ReferenceTuned => frames,
        Pipeline::Ours => frames.min(f64::from(scenario.ocr.max_frames)),
        Pipeline::Floor => 0.0,
    }
}

/// Two scenarios share a floor where the codec does the same work in both.
fn same_codec(one: &Scenario, other: &Scenario) -> bool {
    let encoder = |of: &RendererSettings| (of.encoder, of.preset, of.tune, of.gop, of.threads);
    let decoder = |of: &ClientSettings| (of.decoder_threads, of.decoder_thread_type);
    (one.size, one.fps, &one.source, one.limits) == (other.size, other.fps, &other.source, other.limits)
        // The reference has an encoder of its own: it is compared with what ours could do at that size.
        && (one.pipeline.is_reference()
            || other.pipeline.is_reference()
            || (one.bitrate, encoder(&one.renderer), decoder(&one.client))
                == (other.bitrate, encoder(&other.renderer), decoder(&other.client)))
}

fn floors(scenarios: &[Scenario]) -> (Vec<FloorRun>, Vec<Option<String>>) {
    let mut floors: Vec<FloorRun> = Vec::new();
    // Ours first, so that a floor has our settings where both need it.
    let mut in_turn: Vec<usize> = (0..scenarios.len()).collect();
    in_turn.sort_by_key(|&index| scenarios[index].pipeline.is_reference());
    let mut floor_of = vec![None; scenarios.len()];
    for index in in_turn {
        let scenario = &scenarios[index];
        let Some(asked) = scenario.floor else {
            continue;
        };
        let (runs, duration) = (
            asked.runs.unwrap_or(scenario.runs),
            asked.duration.unwrap_or(scenario.duration),
        );
        if runs == 0 {
            continue;
        }
        let at = floors
            .iter()
            .position(|floor| same_codec(&floor.like, scenario))
            .unwrap_or_else(|| {
                let fps = scenario.fps.to_string().replace('/', "_");
                let base = format!("floor-{}-{fps}", scenario.size);
                let taken = floors
                    .iter()
                    .filter(|floor| floor.name.starts_with(&base))
                    .count();
                let name = if taken == 0 {
                    base
                } else {
                    format!("{base}-{}", taken + 1)
                };
                let like = Scenario {
                    runs: 0,
                    duration,
                    ..scenario.clone()
                };
                floors.push(FloorRun { name, like });
                floors.len() - 1
            });
        let like = &mut floors[at].like;
        like.runs = like.runs.max(runs);
        like.duration = like.duration.max(duration);
        floor_of[index] = Some(floors[at].name.clone());
    }
    (floors, floor_of)
}

/// Round by round, each member once a round while it has repetitions left, in an order that is drawn anew for each.
fn rounds(members: &[(&str, u32)], random: &mut fastrand::Rng) -> Vec<PlannedRepetition> {
    let most = members.iter().map(|(_, runs)| *runs).max().unwrap_or(0);
    let mut slots = Vec::new();
    for run in 1..=most {
        let mut round: Vec<&(&str, u32)> =
            members.iter().filter(|(_, runs)| run <= *runs).collect();
        random.shuffle(&mut round);
        slots.extend(round.iter().map(|(scenario, _)| PlannedRepetition {
            scenario: (*scenario).to_owned(),
            run,
        }));
    }
    slots
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
