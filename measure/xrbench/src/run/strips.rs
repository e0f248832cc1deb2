//! Reads the strips of every repetition, when all streaming is over.

use std::fs;

use anyhow::Context as _;

use super::progress::Progress;
use ocr::{Options, read_repetition};
use result::{RepetitionFolder, RunFolder};

/// Reads the strips of every repetition; the errors of single ones come back as texts, after all have been tried.
pub(super) fn read_all(folder: &RunFolder, progress: &Progress) -> anyhow::Result<Vec<String>> {
    let options = Options::here()?;
    let mut failures = Vec::new();
    for (meta, repetition) in folder.repetitions()? {
        if !has_strips(&repetition) {
            continue;
        }
        progress.begin(format!("{} repetition {}", meta.scenario, meta.run));
        progress.step("reading its strips");
        let read = read_repetition(&repetition, &options, |images| {
            progress.live(&format!("reading its strips: {images}"));
        });
        match read.context("cannot read the strips") {
            Ok(audit) => {
                if audit.disagree > 0 {
                    failures.push(format!(
                        "{} repetition {}: digits and blocks disagree on {} frames; see its ocr.csv",
                        meta.scenario, meta.run, audit.disagree
                    ));
                }
            }
            Err(error) => failures.push(format!(
                "{} repetition {}: {error:#}",
                meta.scenario, meta.run
            )),
        }
    }
    progress.begin(String::new());
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
