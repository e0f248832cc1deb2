//! `--resume`: a run that was stopped goes on where it was, in the same folder and the same order.

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use service::ConfigError;

use result::{PlannedRepetition, RunFolder, RunInfo, RunState, settle};

/// What stands of an earlier run.
#[derive(Debug)]
pub(super) struct Earlier {
    pub info: RunInfo,
    pub complete: Vec<PlannedRepetition>,
}

/// Reads what stands in `folder`, and checks that it is of the same scenario file: figures of two different files in one
/// result would be compared as if they were one. `wanted` is the file as it was understood now.
pub(super) fn earlier(folder: &RunFolder, wanted: &serde_json::Value) -> anyhow::Result<Earlier> {
    let wrong = |why: String, remedy: &str| {
        ConfigError::new(
            "--out (XR_OUT) with --resume",
            folder.root().display().to_string(),
            why,
            remedy,
        )
    };
    let info = folder.info()?;
    if info.scenario != *wanted {
        let what = difference(&info.scenario, wanted, "the file").unwrap_or_default();
        let why = format!("it was made from another scenario file: {what}");
        return Err(wrong(
            why,
            "Give the same file and the same --set and --only, or another folder.",
        )
        .into());
    }
    if info.state == RunState::Finished {
        let why = "everything that was planned has been measured".to_owned();
        return Err(wrong(
            why,
            "`xrbench report DIR` shows it; give another folder to measure again.",
        )
        .into());
    }
    let mut complete = Vec::new();
    for slot in &info.order {
        let repetition = folder.repetition(&slot.scenario, slot.run);
        if repetition.meta_json().exists() && repetition.meta()?.complete {
            complete.push(slot.clone());
        }
    }
    Ok(Earlier { info, complete })
}

/// Puts what an unfinished repetition wrote beside it, so that the new one begins with an empty folder and nothing is lost.
pub(super) fn set_aside(folder: &RunFolder, slot: &PlannedRepetition) -> anyhow::Result<()> {
    let repetition = folder.repetition(&slot.scenario, slot.run);
    let old = repetition.root();
    if !old.exists() {
        return Ok(());
    }
    // One that was killed left the rows that waited.
    settle(&repetition)?;
    let aside = (1..u32::MAX)
        .map(|n| PathBuf::from(format!("{}-stopped-{n}", old.display())))
        .find(|path| !path.exists())
        .context("no free name")?;
    fs::rename(old, &aside)
        .with_context(|| format!("cannot rename {} to {}", old.display(), aside.display()))
}

/// The first key in which two JSON values differ, with both values.
fn difference(one: &serde_json::Value, two: &serde_json::Value, path: &str) -> Option<String> {
    use serde_json::Value;
    match (one, two) {
        (Value::Object(a), Value::Object(b)) => {
            let mut keys = a.keys().chain(b.keys());
            keys.find_map(|key| {
                let (a, b) = (a.get(key), b.get(key));
                let null = Value::Null;
                difference(
                    a.unwrap_or(&null),
                    b.unwrap_or(&null),
                    &format!("{path}.{key}"),
                )
            })
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => a
            .iter()
            .zip(b)
            .enumerate()
            .find_map(|(at, (a, b))| difference(a, b, &format!("{path}[{at}]"))),
        _ if one == two => None,
        _ => Some(format!("{path} was {one} and is {two}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use result::{RepetitionMeta, write_json};

    fn stopped(complete: &[bool]) -> (tempfile::TempDir, RunFolder) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let folder = RunFolder::new(dir.path());
        let order: Vec<PlannedRepetition> = (1..=3)
            .map(|run| PlannedRepetition {
                scenario: "s".into(),
                run,
            })
            .collect();
        for (slot, complete) in order.iter().zip(complete) {
            let at = folder.repetition("s", slot.run);
            at.create().expect("made");
            let meta = RepetitionMeta {
                complete: *complete,
                ..RepetitionMeta::default()
            };
            write_json(&at.meta_json(), &meta).expect("written");
        }
        let info = RunInfo {
            order,
            scenario: json!({"seed": 1, "scenario": [{"name": "s"}]}),
            state: RunState::Interrupted,
            ..RunInfo::default()
        };
        write_json(&folder.run_json(), &info).expect("written");
        (dir, folder)
    }

    #[test]
    fn what_is_complete_is_kept_and_the_rest_is_set_aside() {
        let (_dir, folder) = stopped(&[true, false]);
        let earlier =
            earlier(&folder, &json!({"seed": 1, "scenario": [{"name": "s"}]})).expect("resumable");
        assert_eq!(
            earlier.complete,
            [PlannedRepetition {
                scenario: "s".into(),
                run: 1
            }]
        );
        for n in 1..=2 {
            let slot = PlannedRepetition {
                scenario: "s".into(),
                run: 2,
            };
            set_aside(&folder, &slot).expect("renamed");
            assert!(
                folder
                    .root()
                    .join(format!("s/run-2-stopped-{n}/meta.json"))
                    .exists()
            );
            let again = folder.repetition("s", 2);
            assert!(!again.root().exists());
            again.create().expect("made");
            write_json(&again.meta_json(), &RepetitionMeta::default()).expect("written");
        }
    }

    #[test]
    fn another_file_is_refused_with_what_differs() {
        let (_dir, folder) = stopped(&[]);
        let error = earlier(&folder, &json!({"seed": 2, "scenario": [{"name": "s"}]}))
            .expect_err("another file");
        assert!(
            error.to_string().contains("the file.seed was 1 and is 2"),
            "{error}"
        );
    }
}
