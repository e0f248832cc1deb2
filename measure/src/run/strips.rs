//! Reads the strips of every repetition, when all streaming is over.

use std::fs;
use std::time::Duration;

use anyhow::Context as _;

use super::dry::strips_of;
use super::show::Show;
use crate::ocr::{Options, read_repetition};
use crate::scenario::File;
use result::{RepetitionFolder, RunFolder};

/// Images, each of two lines, that one core reads in a second, measured; for the expected time only.
const IMAGES_PER_CORE_SECOND: f64 = 30.0;

/// How long reading the strips of a run probably takes.
pub(super) fn expected(file: &File) -> Duration {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let images: f64 = file
        .scenario
        .iter()
        .map(|scenario| strips_of(scenario) * f64::from(scenario.runs))
        .sum();
    Duration::from_secs_f64(images / (IMAGES_PER_CORE_SECOND * cores as f64))
}

/// Reads them; the errors of single repetitions come back as texts, after all have been tried.
pub(super) fn read_all(folder: &RunFolder, show: &Show) -> anyhow::Result<Vec<String>> {
    let options = Options::here()?;
    let mut failures = Vec::new();
    for (meta, repetition) in folder.repetitions()? {
        if !has_strips(&repetition) {
            continue;
        }
        show.begin(format!("{} run {}", meta.scenario, meta.run));
        show.step("reading its strips");
        let read = read_repetition(&repetition, &options, |images| {
            show.live(&format!("reading its strips: {images}"));
        });
        match read.context("cannot read the strips") {
            Ok(audit) => {
                if audit.disagree > 0 {
                    failures.push(format!(
                        "{} run {}: digits and blocks disagree on {} frames; see its ocr.csv",
                        meta.scenario, meta.run, audit.disagree
                    ));
                }
            }
            Err(error) => failures.push(format!("{} run {}: {error:#}", meta.scenario, meta.run)),
        }
    }
    show.begin(String::new());
    Ok(failures)
}

fn has_strips(repetition: &RepetitionFolder) -> bool {
    let Ok(mut files) = fs::read_dir(repetition.strips()) else {
        return false;
    };
    files.any(|file| {
        file.is_ok_and(|file| {
            file.path()
                .extension()
                .is_some_and(|extension| extension == "pgm")
        })
    })
}
