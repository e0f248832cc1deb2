//! What a frame crosses on its way, what served it, and what the machine lacked.

use serde::Serialize;

use super::table::{Table, class};
use crate::summary::{Loaded, LoadedScenario, NoteKind, ScenarioSummary, Summary};
use result::{FabricMeta, OverlayBackend, TunnelBackend, WanBackend, WanMeta};

/// The first repetition's word is the scenario's: all of them are set up alike.
fn fabric(scenario: &LoadedScenario) -> Option<&FabricMeta> {
    scenario
        .runs
        .iter()
        .find_map(|run| run.meta.fabric.as_ref())
}

fn wans(scenario: &LoadedScenario) -> impl Iterator<Item = &WanMeta> {
    scenario.runs.iter().filter_map(|run| run.meta.wan.as_ref())
}

/// What connects the clusters.
#[derive(Debug, Serialize)]
pub(super) struct Paths {
    fabrics: Table,
    wans: Table,
}

/// The tables of paths; none where processes ran on the host.
pub(super) fn paths(loaded: &Loaded) -> Option<Paths> {
    let heads = ["fabric", "served by", "service", "MTU", "RTP over"];
    let mut fabrics = Table::new("scenario", &heads).words(&[1]);
    let heads = ["crossings", "WAN", "which does", "served by", "late, µs"];
    let mut of_wans = Table::new("scenario", &heads).words(&[2]);
    let mut any = false;
    for scenario in &loaded.scenarios {
        let (Some(fabric), Some(run)) = (fabric(scenario), scenario.runs.first()) else {
            continue;
        };
        any = true;
        let kind = class(scenario.info.pipeline);
        let name = || scenario.info.name.clone();
        let cells = vec![
            fabric.name.clone(),
            fabric.backend.clone(),
            fabric.service.clone(),
            fabric.mtu.to_string(),
            run.meta.transport.clone(),
        ];
        fabrics.push(name(), kind, cells);
        let mut cells = vec![fabric.wan_crossings.to_string()];
        match wans(scenario).next() {
            None => cells.push("none".into()),
            Some(wan) => cells.extend([
                wan.preset.clone(),
                wan.description.clone(),
                wan.backend.to_string(),
                late(scenario),
            ]),
        }
        of_wans.push(name(), kind, cells);
    }
    any.then(|| Paths {
        fabrics: fabrics.without_empty(),
        wans: of_wans.without_empty(),
    })
}

/// The worst repetition's lateness of the userspace link, in microseconds: p50 / p99.
fn late(scenario: &LoadedScenario) -> String {
    let worst = |of: fn(&WanMeta) -> Option<u64>| wans(scenario).filter_map(of).max();
    match (worst(|wan| wan.late_p50_us), worst(|wan| wan.late_p99_us)) {
        (Some(p50), Some(p99)) => format!("{p50} / {p99}"),
        _ => String::new(),
    }
}

/// How often a frame crosses the WAN, in a sentence for each number of times.
pub(super) fn crossings(loaded: &Loaded) -> Vec<String> {
    let mut found: Vec<(u32, Vec<&str>)> = Vec::new();
    for scenario in &loaded.scenarios {
        let Some(fabric) = fabric(scenario) else {
            continue;
        };
        let name = scenario.info.name.as_str();
        match found
            .iter_mut()
            .find(|(times, _)| *times == fabric.wan_crossings)
        {
            Some((_, names)) => names.push(name),
            None => found.push((fabric.wan_crossings, vec![name])),
        }
    }
    found
        .into_iter()
        .map(|(times, names)| {
            let said = match times {
                0 => "no frame leaves the cluster",
                1 => "each frame crosses the WAN once, so its one-way delay is in each latency once",
                2 => {
                    "each frame crosses the WAN twice, from the renderer in cluster A to the streamer in B and back to the \
                     client in A, so the delays of both directions are in each latency"
                }
                _ => return format!("{}: each frame crosses the WAN {times} times", names.join(", ")),
            };
            format!("{}: {said}", names.join(", "))
        })
        .collect()
}

/// What the machine did not have, or did not have enough of.
pub(super) fn lacked(summary: &Summary, loaded: &Loaded) -> Vec<String> {
    let mut said = Vec::new();
    let names = |with: &dyn Fn(&LoadedScenario) -> bool| -> String {
        let names: Vec<&str> = loaded
            .scenarios
            .iter()
            .filter(|scenario| with(scenario))
            .map(|scenario| scenario.info.name.as_str())
            .collect();
        names.join(", ")
    };
    let tunnel = |scenario: &LoadedScenario| fabric(scenario).and_then(|one| one.tunnel);
    let overlay = |scenario: &LoadedScenario| fabric(scenario).and_then(|one| one.overlay);
    let stand_ins = [
        (
            names(&|one| tunnel(one) == Some(TunnelBackend::WireguardGo)),
            "the kernel has no WireGuard; wireguard-go carried the tunnel in user space, which costs processor time and \
             adds latency that a kernel’s would not",
        ),
        (
            names(&|one| overlay(one) == Some(OverlayBackend::VxlanForGeneve)),
            "the overlay within a cluster is VXLAN with the port and the 50 bytes of the Geneve that it stands for",
        ),
        (
            names(&|one| wans(one).any(|wan| wan.backend == WanBackend::Userspace)),
            "the kernel has no netem; a link of xrbench’s own delayed the packets in user space (how late it handed \
             them on stands in the table of paths)",
        ),
    ];
    for (of, sentence) in stand_ins {
        if !of.is_empty() {
            said.push(format!("{of}: {sentence}"));
        }
    }
    for one in &summary.scenarios {
        if one.overloaded {
            said.push(format!(
                "{}: overloaded: the machine could not keep the pace of this pipeline",
                one.name
            ));
        }
    }
    let disturbed: f64 = summary
        .scenarios
        .iter()
        .filter_map(|one| one.disturbed_seconds)
        .sum();
    let measured: f64 = summary.scenarios.iter().map(|one| one.measured_s).sum();
    if disturbed > 0.0 {
        said.push(format!(
            "quiet: in {disturbed:.0} of {measured:.0} measured seconds the machine was disturbed by something else"
        ));
    }
    let all = |of: &dyn Fn(&ScenarioSummary) -> Option<String>| -> Vec<String> {
        let mut all: Vec<String> = summary.scenarios.iter().filter_map(of).collect();
        all.sort_unstable();
        all.dedup();
        all
    };
    said.extend(all(&|one| one.resources.oversubscribed_why.clone()));
    let mut missing: Vec<String> = loaded
        .scenarios
        .iter()
        .flat_map(|scenario| &scenario.runs)
        .filter_map(|run| run.meta.resources.as_ref())
        .flat_map(|resources| resources.missing.clone())
        .collect();
    missing.sort_unstable();
    missing.dedup();
    said.extend(
        missing
            .into_iter()
            .map(|one| format!("control groups: {one}")),
    );
    said
}

/// A note and the scenarios that it is of.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Note {
    names: String,
    text: String,
}

/// Every scenario's notes, each once: what is true of all is said of all.
pub(super) fn notes(summary: &Summary) -> Vec<Note> {
    let scenarios = summary.scenarios.iter().map(|one| (&one.name, &one.notes));
    let floors = summary.floors.iter().map(|one| (&one.name, &one.notes));
    // These stand under what the machine lacked.
    let lacked = [NoteKind::Oversubscribed, NoteKind::ControlGroups];
    let all = scenarios
        .chain(floors)
        .flat_map(|(name, notes)| notes.iter().map(move |note| (name, note)))
        .filter(|(_, note)| !lacked.contains(&note.kind))
        .map(|(name, note)| (name, &note.text));
    let mut found: Vec<(&String, Vec<&str>)> = Vec::new();
    for (name, note) in all {
        match found.iter_mut().find(|(text, _)| *text == note) {
            Some((_, names)) => names.push(name),
            None => found.push((note, vec![name])),
        }
    }
    let count = summary.scenarios.len() + summary.floors.len();
    found
        .into_iter()
        .map(|(text, names)| Note {
            names: if names.len() == count && count > 1 {
                "all".into()
            } else {
                names.join(", ")
            },
            text: text.clone(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::Note;

    #[test]
    fn a_note_of_all_is_said_once() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let folder = crate::summary::tests::result(dir.path());
        let loaded = crate::summary::load(&folder).expect("a result");
        let mut summary = crate::summary::build(&loaded);
        summary.floors.clear();
        for (number, one) in summary.scenarios.iter_mut().enumerate() {
            one.notes = ["same".into(), format!("own {number}")]
                .map(|text| Note::new(NoteKind::Server, text))
                .into();
        }
        let notes = notes(&summary);
        assert_eq!(notes[0].names, "all");
        assert_eq!(notes.len(), 1 + summary.scenarios.len(), "{notes:?}");
        assert!(paths(&loaded).is_none(), "on the host there are no paths");
        assert!(crossings(&loaded).is_empty());
        assert!(
            lacked(&summary, &loaded)[0].contains("in 2 of 20 measured"),
            "disturbed seconds"
        );
    }

    #[test]
    fn stand_ins_are_known_by_kind_and_not_by_their_text() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let folder = crate::summary::tests::result(dir.path());
        let mut loaded = crate::summary::load(&folder).expect("a result");
        let summary = crate::summary::build(&loaded);
        let nothing = lacked(&summary, &loaded);
        let mut said_of = |text: &str, overlay| {
            let meta = &mut loaded.scenarios[0].runs[0].meta;
            meta.fabric = Some(FabricMeta {
                backend: text.into(),
                tunnel: Some(TunnelBackend::WireguardGo),
                overlay: Some(overlay),
                ..FabricMeta::default()
            });
            meta.wan = Some(WanMeta {
                backend: WanBackend::Userspace,
                ..WanMeta::default()
            });
            let mut said = lacked(&summary, &loaded);
            said.retain(|one| !nothing.contains(one));
            said
        };
        let said = said_of("any text", OverlayBackend::VxlanForGeneve);
        assert_eq!(said.len(), 3, "{said:?}");
        for (one, word) in said.iter().zip(["wireguard-go", "VXLAN", "netem"]) {
            assert!(one.contains(word), "{one}");
        }
        assert_eq!(
            said_of("wireguard-go and vxlan", OverlayBackend::VxlanForGeneve),
            said
        );
        // Liqo v0.10 has VXLAN itself: nothing stands in for anything.
        assert_eq!(
            said_of("wireguard-go; VXLAN; WAN userspace", OverlayBackend::Vxlan).len(),
            2
        );
    }
}
