//! `--resume`: a run that was stopped goes on where it was, in the same folder and the same order.

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use service::ConfigError;

use super::provenance::{self, Here};
use result::{PlannedRepetition, RUN_VERSION, RunFolder, RunInfo, RunState, settle, unlike};

/// What stands of an earlier run.
#[derive(Debug)]
pub(super) struct Earlier {
    pub info: RunInfo,
    pub complete: Vec<PlannedRepetition>,
}

/// Reads what stands in `folder`, and checks that it is of the same scenario file: figures of two different files in one
/// result would be compared as if they were one. `wanted` is the file as it was understood now.
/// `here` is what would go on.
pub(super) fn earlier(
    folder: &RunFolder,
    wanted: &serde_json::Value,
    here: Here<'_>,
) -> anyhow::Result<Earlier> {
    let wrong = |why: String, remedy: &str| {
        ConfigError::new(
            "--out (XR_OUT) with --resume",
            folder.root().display().to_string(),
            why,
            remedy,
        )
    };
    let info = folder.info()?;
    if info.schema_version != RUN_VERSION {
        let why = format!(
            "it was begun by an xrbench that writes version {} of its files, and this one writes {RUN_VERSION}",
            info.schema_version
        );
        return Err(wrong(
            why,
            "Go on with the xrbench that began it, or measure into another folder.",
        )
        .into());
    }
    if info.scenario != *wanted {
        let what = unlike(&info.scenario, wanted).into_iter().next();
        let what = what.map_or_else(String::new, |at| {
            format!("{} was {} and is {}", at.path, at.one, at.two)
        });
        let why = format!("it was made from another scenario file: {what}");
        return Err(wrong(
            why,
            "Give the same file and the same --set and --only, or another folder.",
        )
        .into());
    }
    if let Some(what) = provenance::unlike(&info, here) {
        let why = format!("it was begun by other programs, with another film or elsewhere: {what}");
        return Err(wrong(
            why,
            "Go on with the same programs on the same machine, or measure into another folder; `xrbench compare` shows two.",
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use std::collections::BTreeMap;

    use super::*;
    use result::{Machine, MachineState, RepetitionMeta, write_json};

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
            schema_version: RUN_VERSION,
            ..RunInfo::default()
        };
        write_json(&folder.run_json(), &info).expect("written");
        (dir, folder)
    }

    fn resumed(folder: &RunFolder, seed: u64) -> anyhow::Result<Earlier> {
        let file = json!({"seed": seed, "scenario": [{"name": "s"}]});
        on(folder, &file, &Machine::default())
    }

    fn on(
        folder: &RunFolder,
        file: &serde_json::Value,
        machine: &Machine,
    ) -> anyhow::Result<Earlier> {
        let (nothing, state) = (BTreeMap::new(), MachineState::default());
        let here = Here {
            digests: &nothing,
            versions: &nothing,
            machine,
            state: &state,
        };
        earlier(folder, file, here)
    }

    #[test]
    fn another_machine_is_refused() {
        let (_dir, folder) = stopped(&[]);
        let machine = Machine {
            host: "another".into(),
            ..Machine::default()
        };
        let file = json!({"seed": 1, "scenario": [{"name": "s"}]});
        let error = on(&folder, &file, &machine).expect_err("another");
        assert!(error.to_string().contains("its host was"), "{error}");
    }

    #[test]
    fn what_is_complete_is_kept_and_the_rest_is_set_aside() {
        let (_dir, folder) = stopped(&[true, false]);
        let earlier = resumed(&folder, 1).expect("resumable");
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
    fn a_result_of_another_version_is_shown_and_not_gone_on_with() {
        let (_dir, folder) = stopped(&[]);
        let mut info = folder.info().expect("run.json");
        info.schema_version = RUN_VERSION - 1;
        write_json(&folder.run_json(), &info).expect("written");
        let error = resumed(&folder, 1).expect_err("another version");
        assert!(error.to_string().contains("writes version 1"), "{error}");
    }

    #[test]
    fn another_file_is_refused_with_what_differs() {
        let (_dir, folder) = stopped(&[]);
        let error = resumed(&folder, 2).expect_err("another file");
        assert!(
            error.to_string().contains("file: seed was 1 and is 2"),
            "{error}"
        );
    }
}
