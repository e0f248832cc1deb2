//! The course of one repetition, by the pipeline that it measures.

use super::plan::Subject;
use super::repetition::{Repetition, RunContext, Stopped};
use super::{floor, pipeline_run, reference};
use result::{Pipeline, RepetitionFolder};

/// Runs one repetition to its end, and returns how many samples it yielded.
pub(super) async fn run(
    context: &RunContext<'_>,
    subject: Subject<'_>,
    name: &str,
    number: u32,
    floor: Option<String>,
    folder: RepetitionFolder,
) -> Result<u64, Stopped> {
    let mut repetition = Repetition::begin(context, subject, name, number, floor, folder)?;
    let result = match repetition.meta.pipeline {
        Pipeline::Ours => pipeline_run::run(&mut repetition).await,
        Pipeline::Reference | Pipeline::ReferenceTuned => reference::run(&mut repetition).await,
        Pipeline::Floor => floor::run(&mut repetition).await,
    };
    repetition.end(result)
}
