//! How to repeat a run: its commands as a shell takes them, its seed, its order.

use anyhow::Context as _;
use serde::Serialize;

use crate::summary::LoadedResult;

/// The commands, the seed and the scenario of a run.
#[derive(Debug, Serialize)]
pub(super) struct Repeat {
    command: String,
    seed: u64,
    order: Vec<String>,
    commands: Vec<(String, Vec<String>)>,
    scenario: String,
    scenario_file: String,
}

/// How to repeat the run, from what `run.json` says.
pub(super) fn repeat(loaded: &LoadedResult) -> anyhow::Result<Repeat> {
    let info = &loaded.info;
    Ok(Repeat {
        command: shell(&info.command)?,
        seed: info.seed,
        order: info
            .order
            .iter()
            .map(|slot| format!("{} run {}", slot.scenario, slot.run))
            .collect(),
        commands: commands(loaded)?,
        scenario: serde_json::to_string_pretty(&info.scenario)?,
        scenario_file: info.scenario_file.clone(),
    })
}

/// The command lines of each scenario's first repetition.
fn commands(loaded: &LoadedResult) -> anyhow::Result<Vec<(String, Vec<String>)>> {
    let begun = loaded.scenarios.iter();
    begun
        .filter_map(|one| Some((one.info.name.clone(), one.runs.first()?)))
        .map(|(name, run)| {
            let processes = run.meta.processes.iter();
            let lines: anyhow::Result<_> =
                processes.map(|process| shell(&process.command)).collect();
            Ok((name, lines?))
        })
        .collect()
}

/// A command line that a shell splits into the same words.
fn shell(command: &[String]) -> anyhow::Result<String> {
    shlex::try_join(command.iter().map(String::as_str))
        .with_context(|| format!("{command:?} of the result is no command line"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::{load, tests::result as made_up};
    use result::write_json;

    #[test]
    fn a_command_can_be_pasted_into_a_shell() {
        let words = [
            "xrbench",
            "run",
            "my scenarios/it's.toml",
            "--set",
            "source=a|b",
        ];
        let words = words.map(ToOwned::to_owned).to_vec();
        let dir = tempfile::tempdir().expect("a temporary folder");
        let folder = made_up(dir.path());
        let mut info = folder.info().expect("run.json");
        info.command.clone_from(&words);
        write_json(&folder.run_json(), &info).expect("written");
        let said = repeat(&load(&folder).expect("a result")).expect("a command line");
        assert_eq!(shlex::split(&said.command), Some(words));
    }
}
