//! A result that can be compared, or why it cannot.

use std::path::Path;

use super::bad_input::BadInput;
use crate::summary::{self, LoadedResult};
use result::{RunFolder, RunState, is_read};

/// Finds a result that this program can read.
pub(crate) fn open(path: &Path) -> anyhow::Result<RunFolder> {
    if !path.is_dir() {
        return Err(BadInput::NoFolder {
            path: path.to_owned(),
        }
        .into());
    }
    let folder = RunFolder::new(path);
    // The version first: a file of another version need not be readable in any other respect.
    let text = std::fs::read(folder.run_json())
        .map_err(|error| no_result(path, format!("run.json: {error}")))?;
    let version = serde_json::from_slice::<serde_json::Value>(&text)
        .ok()
        .and_then(|value| value.get("schema_version")?.as_u64())
        .ok_or_else(|| no_result(path, "run.json says no schema_version".into()))?;
    if !is_read(version) {
        return Err(BadInput::Schema {
            path: path.to_owned(),
            version,
        }
        .into());
    }
    Ok(folder)
}

fn no_result(path: &Path, why: String) -> BadInput {
    BadInput::NoResult {
        path: path.to_owned(),
        why,
    }
}

/// Why a run in this state has not measured all that it will; none of one that ended by itself.
pub(crate) const fn unfinished(state: RunState) -> Option<&'static str> {
    match state {
        RunState::Running => Some("it goes on, or its process died"),
        RunState::Interrupted => Some("it was interrupted"),
        RunState::Finished | RunState::Failed => None,
    }
}

/// Reads a result; of an unfinished one what there is, where `partial` asks for it.
pub(crate) fn read(path: &Path, partial: bool) -> anyhow::Result<LoadedResult> {
    let folder = open(path)?;
    let loaded = summary::load(&folder).map_err(|error| no_result(path, format!("{error:#}")))?;
    let state = unfinished(loaded.info.state);
    if let Some(state) = state.filter(|_| !partial) {
        return Err(BadInput::Unfinished {
            path: path.to_owned(),
            state,
        }
        .into());
    }
    for one in &loaded.scenarios {
        if let Some(why) = one.damage() {
            return Err(BadInput::Damaged {
                path: path.to_owned(),
                why: format!("{}: {why}", one.info.name),
            }
            .into());
        }
    }
    Ok(loaded)
}
