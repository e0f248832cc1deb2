//! Whether a result is whole: a table of half of its frames must not pass for one of all.

use std::path::Path;

use timeline::frames_csv::{Phase, ReadError};

use super::wanted::Wanted;
use crate::compare::{BadInput, unfinished};
use crate::summary;
use result::{FrameRows, RepetitionFolder, RepetitionMeta, RunFolder, RunInfo};

/// Refuses a result that was not finished, and one of which files or frames are gone.
pub(super) fn check(
    path: &Path,
    folder: &RunFolder,
    info: &RunInfo,
    wanted: &Wanted,
) -> anyhow::Result<()> {
    let path = path.to_owned();
    if let Some(state) = unfinished(info.state) {
        return Err(BadInput::Unfinished { path, state }.into());
    }
    let damaged = |why: String| {
        let why = format!("{why} (--partial takes what there is)");
        BadInput::Damaged { path, why }
    };
    let lost = folder.lost(info);
    let lost = lost
        .iter()
        .find(|path| is_wanted(path, folder, info, wanted));
    if let Some(meta) = lost {
        let meta = meta.strip_prefix(folder.root()).unwrap_or(meta);
        let why = format!(
            "there is no {}, and the repetition had begun",
            meta.display()
        );
        return Err(damaged(why).into());
    }
    for (meta, repetition) in folder.repetitions()? {
        if !wanted.has(meta.pipeline) || meta.measured_from_us.is_none() {
            continue;
        }
        if let Some(why) = lacking(&meta, &repetition)? {
            let why = format!("{}, run {}: {why}", meta.scenario, meta.run);
            return Err(damaged(why).into());
        }
    }
    Ok(())
}

/// Whether a lost file is of a scenario whose frames are wanted.
fn is_wanted(path: &Path, folder: &RunFolder, info: &RunInfo, wanted: &Wanted) -> bool {
    let of = |name: &str| path.starts_with(folder.root().join(name));
    let of = info.scenarios.iter().find(|one| of(&one.name));
    of.is_none_or(|one| wanted.has(one.pipeline))
}

/// What the frames of a repetition lack; none where all are there.
fn lacking(meta: &RepetitionMeta, folder: &RepetitionFolder) -> anyhow::Result<Option<String>> {
    if meta.pipeline.is_reference() {
        return Ok(None);
    }
    if !folder.frames_csv().exists() {
        return Ok(Some("there is no frames.csv".into()));
    }
    let (mut samples, mut wrong) = (0_u64, None);
    for row in FrameRows::open(folder)? {
        match row {
            Ok(row) => {
                let measured = row.phase == Some(Phase::Measured);
                samples += u64::from(measured && row.latency_us().is_some());
            }
            Err(error @ ReadError::Io { .. }) => return Err(error.into()),
            Err(error) => wrong = wrong.or(Some(error)),
        }
    }
    let logged = summary::logged(folder);
    Ok(match wrong {
        Some(error) => Some(format!("frames.csv: {error}")),
        None if samples < logged => Some(format!(
            "frames.csv has {samples} of the {logged} measured frames that latency.hlog counts: it was cut off after the run"
        )),
        None => None,
    })
}
