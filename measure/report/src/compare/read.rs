//! A result that can be compared, or why it cannot.

use std::path::Path;

use super::bad_input::BadInput;
use crate::summary::{self, LoadedResult};
use result::{RUN_VERSION, RunFolder, RunState};

/// Reads a result; of an unfinished one what there is, where `partial` asks for it.
pub(crate) fn read(path: &Path, partial: bool) -> anyhow::Result<LoadedResult> {
    let no_result = |why: String| BadInput::NoResult {
        path: path.to_owned(),
        why,
    };
    if !path.is_dir() {
        return Err(BadInput::NoFolder {
            path: path.to_owned(),
        }
        .into());
    }
    let folder = RunFolder::new(path);
    // The version first: a file of another version need not be readable in any other respect.
    let text = std::fs::read(folder.run_json())
        .map_err(|error| no_result(format!("run.json: {error}")))?;
    let version = serde_json::from_slice::<serde_json::Value>(&text)
        .ok()
        .and_then(|value| value.get("schema_version")?.as_u64())
        .ok_or_else(|| no_result("run.json says no schema_version".into()))?;
    if version != u64::from(RUN_VERSION) {
        return Err(BadInput::Schema {
            path: path.to_owned(),
            version,
        }
        .into());
    }
    let loaded = summary::load(&folder).map_err(|error| no_result(format!("{error:#}")))?;
    let state = match loaded.info.state {
        RunState::Running => Some("it goes on, or its process died"),
        RunState::Interrupted => Some("it was interrupted"),
        RunState::Finished | RunState::Failed => None,
    };
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
