//! What a reader must know before trusting a comparison.

use std::collections::BTreeMap;

use serde_json::Value;

use super::comparison::Change;
use super::provenance::{machine_settings, versions};
use crate::summary::{LoadedResult, differences};
use result::{Pipeline, RepetitionMeta, RunState, unlike};
use stats::{Estimate, pairs};

pub(super) fn notes(a: &LoadedResult, b: &LoadedResult, scenarios: &[Change]) -> Vec<String> {
    let mut notes = Vec::new();
    let (of_a, of_b) = (&a.info.machine, &b.info.machine);
    let alike = (&of_a.cpu, of_a.cores, &of_a.kernel) == (&of_b.cpu, of_b.cores, &of_b.kernel);
    if !alike {
        notes.push("the two were measured on different machines or kernels".into());
    }
    notes.extend(settings(&a.info.scenario, &b.info.scenario));
    notes.extend(builds(&a.info.digests, &b.info.digests));
    notes.extend(versions(&a.info, &b.info));
    notes.extend(machine_settings(&a.info, &b.info));
    for floor in a
        .scenarios
        .iter()
        .filter(|one| one.info.pipeline == Pipeline::Floor)
    {
        let Some(other) = b.scenario(&floor.info.name) else {
            continue;
        };
        let (of_a, of_b) = (differences::figures(floor), differences::figures(other));
        let moved = Estimate::of_figure(&pairs(&of_a, &of_b), |one| Some(one.p50));
        if let Some(moved) = moved.filter(|moved| moved.is_distinguishable(0.0)) {
            notes.push(format!(
                "the codec alone ({}) moved by {:+.2} ms: the machine or the encoder is not what it was, and no verdict has that",
                floor.info.name,
                moved.difference / 1e3
            ));
        }
    }
    for (side, of) in [("A", a), ("B", b)] {
        notes.extend(of.older().map(|text| format!("{side}: {text}")));
        let said = match of.info.state {
            RunState::Finished => continue,
            RunState::Running => "was not finished",
            RunState::Failed => "failed",
            RunState::Interrupted => "was interrupted",
        };
        let why = of
            .info
            .error
            .as_deref()
            .map_or_else(String::new, |why| format!(" ({why})"));
        notes.push(format!(
            "{side} {said}{why}: what it planned and did not measure is missing here"
        ));
    }
    let names = scenarios.iter().map(|one| one.name.as_str());
    notes.extend(names.filter_map(|name| shown(name, a, b)));
    for one in scenarios {
        let (of_a, of_b) = (one.runs_a, one.runs_b);
        if of_a.whole != of_a.planned || of_b.whole != of_b.planned || of_a.planned != of_b.planned
        {
            notes.push(format!(
                "{}: {} of {} repetitions of A and {} of {} of B were completed with frames; its times are of the {} that both \
                 have",
                one.name, of_a.whole, of_a.planned, of_b.whole, of_b.planned, one.pairs
            ));
        }
    }
    notes
}

/// The rounds of a scenario that do not show the same pictures in both: what pictures cost is in its change, as far as the floor of
/// each round does not have it.
fn shown(name: &str, a: &LoadedResult, b: &LoadedResult) -> Option<String> {
    let (from, to) = (a.scenario(name)?, b.scenario(name)?);
    let pairs = from.runs.iter().filter_map(|one| {
        let other = to
            .runs
            .iter()
            .find(|other| other.meta.run == one.meta.run)?;
        Some((&one.meta, &other.meta))
    });
    let differ: Vec<_> = pairs.filter(|(a, b)| a.content != b.content).collect();
    let (a, b) = differ.first()?;
    let pictures = |meta: &RepetitionMeta| meta.content.map(|content| content.pictures);
    let what = if pictures(a) == pictures(b) {
        "another stretch of the film: take the seed of A"
    } else {
        "another film, or none: take the source of A"
    };
    let rounds: Vec<_> = differ.iter().map(|(a, _)| a.run.to_string()).collect();
    Some(format!(
        "{name}: its rounds {} do not show the same in both, but {what}; what pictures cost is in the change",
        rounds.join(", ")
    ))
}

/// Keys of one scenario that a note names.
const NAMED: usize = 6;

/// What the scenarios of the same name were asked to do otherwise, scenario by scenario.
pub(crate) fn settings(a: &Value, b: &Value) -> Vec<String> {
    let scenarios = |of: &Value| -> Vec<Value> {
        let list = of.get("scenario").and_then(Value::as_array);
        list.cloned().unwrap_or_default()
    };
    let of_b = scenarios(b);
    let both = scenarios(a).into_iter().filter_map(|one| {
        let name = one.get("name")?.as_str()?.to_owned();
        let other = of_b
            .iter()
            .find(|other| other.get("name") == one.get("name"))?;
        let unlike = unlike(&one, other);
        let said: Vec<_> = unlike
            .iter()
            .take(NAMED)
            .map(|at| format!("{} {} and {}", at.path, at.one, at.two))
            .collect();
        let more = match unlike.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        (!said.is_empty()).then(|| format!("{name}: not set alike: {}{more}", said.join(", ")))
    });
    both.collect()
}

/// Which programs and films of the two differ, or that none do; nothing where one of the two kept no digests.
pub(crate) fn builds(a: &BTreeMap<String, String>, b: &BTreeMap<String, String>) -> Option<String> {
    let both = a
        .iter()
        .filter_map(|(name, of_a)| Some((name, of_a, b.get(name)?)));
    let both: Vec<_> = both.collect();
    let differ = both.iter().filter(|(_, of_a, of_b)| of_a != of_b);
    let differ: Vec<_> = differ
        .map(|(name, of_a, of_b)| format!("{name} (SHA-256 {of_a:.12} and {of_b:.12})"))
        .collect();
    match (both.is_empty(), differ.is_empty()) {
        (true, _) => None,
        (false, true) => Some("the same programs and films, by their digests, in both".to_owned()),
        (false, false) => Some(format!("not the same in both: {}", differ.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_that_differ_are_named() {
        let of = |preset: &str, runs: u32| json!({"scenario": [{"name": "s1", "runs": runs, "renderer": {"preset": preset}}]});
        assert_eq!(settings(&of("medium", 2), &of("medium", 2)), [""; 0]);
        let said = settings(&of("medium", 2), &of("fast", 3));
        assert_eq!(
            said,
            ["s1: not set alike: renderer.preset \"medium\" and \"fast\", runs 2 and 3"]
        );
    }

    #[test]
    fn builds_that_differ_are_named() {
        let of = |client: &str| {
            let both = [("xr-client", client), ("film.mp4", "cc")];
            BTreeMap::from(both.map(|(name, digest)| (name.to_owned(), digest.to_owned())))
        };
        let said = builds(&of("aa"), &of("bb")).expect("they differ");
        assert_eq!(said, "not the same in both: xr-client (SHA-256 aa and bb)");
        let same = builds(&of("aa"), &of("aa")).expect("known");
        assert!(same.starts_with("the same"), "{same}");
        assert_eq!(builds(&of("aa"), &BTreeMap::new()), None);
    }
}
