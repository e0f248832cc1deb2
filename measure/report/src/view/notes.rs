//! What a reader must know beside the figures, in sentences without a full stop.

use serde::Serialize;

use crate::summary::{NoteKind, ScenarioSummary, Summary, seconds};
use result::{FabricMeta, OverlayBackend, TunnelBackend, WanBackend};

/// A note with the scenarios that it is of.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Note {
    pub names: String,
    pub text: String,
    /// Whether the note says what the machine lacked: a page has a list of that.
    pub lacked: bool,
}

/// Every scenario's notes, each once: what is true of all is said of all.
pub(super) fn notes(summary: &Summary) -> Vec<Note> {
    let scenarios = summary.scenarios.iter().map(|one| (&one.name, &one.notes));
    let floors = summary.floors.iter().map(|one| (&one.name, &one.notes));
    let count = summary.scenarios.len() + summary.floors.len();
    let mut found = Vec::new();
    for (name, notes) in scenarios.chain(floors) {
        for note in notes {
            group(&mut found, note, name);
        }
    }
    found
        .into_iter()
        .map(|(note, names)| Note {
            names: if names.len() == count && count > 1 {
                "all".into()
            } else {
                names.join(", ")
            },
            text: note.text.clone(),
            lacked: matches!(
                note.kind,
                NoteKind::Oversubscribed | NoteKind::ControlGroups | NoteKind::Behind
            ),
        })
        .collect()
}

/// Puts a name to those of the same key.
fn group<'a, K: PartialEq>(groups: &mut Vec<(K, Vec<&'a str>)>, key: K, name: &'a str) {
    match groups.iter_mut().find(|(other, _)| *other == key) {
        Some((_, names)) => names.push(name),
        None => groups.push((key, vec![name])),
    }
}

/// How often a frame crosses the WAN, in a sentence for each number of times.
pub(super) fn crossings(summary: &Summary) -> Vec<String> {
    let mut found = Vec::new();
    for one in &summary.scenarios {
        if let Some(fabric) = &one.fabric {
            group(&mut found, fabric.wan_crossings, &one.name);
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
pub(super) fn lacked(summary: &Summary) -> Vec<String> {
    let of = |sentence: &str, with: &dyn Fn(&ScenarioSummary) -> bool| {
        let scenarios = summary.scenarios.iter().filter(|one| with(one));
        let names: Vec<_> = scenarios.map(|one| one.name.as_str()).collect();
        (!names.is_empty()).then(|| format!("{}: {sentence}", names.join(", ")))
    };
    let fabric = |one: &ScenarioSummary, with: fn(&FabricMeta) -> bool| {
        one.fabric.as_ref().is_some_and(with)
    };
    let stand_ins = [
        of(
            "the kernel has no WireGuard; wireguard-go carried the tunnel in user space, which costs processor time and adds \
             latency that a kernel’s would not",
            &|one| fabric(one, |of| of.tunnel == Some(TunnelBackend::WireguardGo)),
        ),
        of(
            "the overlay within a cluster is VXLAN with the port and the 50 bytes of the Geneve that it stands for",
            &|one| fabric(one, |of| of.overlay == Some(OverlayBackend::VxlanForGeneve)),
        ),
        of(
            "the kernel has no netem; a link of xrbench’s own delayed the packets in user space (how late it handed them on \
             stands in the table of paths)",
            &|one| {
                let wan = one.wan.as_ref();
                wan.is_some_and(|wan| wan.backend == WanBackend::Userspace)
            },
        ),
        of(
            "overloaded: the machine could not keep the pace of this pipeline",
            &|one| one.overloaded,
        ),
    ];
    let mut said: Vec<_> = stand_ins.into_iter().flatten().collect();
    let scenarios = summary.scenarios.iter();
    let disturbed: f64 = scenarios.filter_map(|one| one.disturbed_seconds).sum();
    if disturbed > 0.0 {
        let measured: f64 = summary.scenarios.iter().map(|one| one.measured_s).sum();
        said.push(format!(
            "quiet: in {} of {} measured seconds the machine was disturbed by something else",
            seconds(disturbed),
            seconds(measured)
        ));
    }
    let notes = notes(summary).into_iter();
    said.extend(notes.filter(|note| note.lacked).map(|note| note.text));
    said
}

/// How far ffmpeg's latency lies above ours.
pub(super) fn comparisons(summary: &Summary) -> Vec<String> {
    let of = |one: &crate::summary::Comparison| {
        let sure = if one.sustained {
            ""
        } else {
            "; ffmpeg was overloaded, so this says little"
        };
        format!(
            "{}: its p50 is {:.1} times that of {}{sure}",
            one.reference, one.p50_ratio, one.ours
        )
    };
    summary.comparisons.iter().map(of).collect()
}
