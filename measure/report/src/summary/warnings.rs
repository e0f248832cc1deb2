//! What a scenario's figures themselves give reason to say.

use std::collections::BTreeSet;

use super::{
    Note, NoteKind, Runs, ScenarioSummary, UncertaintyUs, clocks, display::seconds,
    latency::MIN_P99_PICTURES, load::LoadedRepetition, network,
};
use result::ClockSource;
use stats::MAX_FLOOR_GAP_US;

/// What the figures themselves give reason to say.
pub(super) fn of(summary: &ScenarioSummary, runs: &[LoadedRepetition]) -> Vec<Note> {
    let mut notes: Vec<Note> = missing(summary.runs).into_iter().collect();
    notes.extend(
        summary
            .fabric
            .iter()
            .flat_map(network::too_big)
            .map(|text| Note::new(NoteKind::PacketSize, text)),
    );
    if let Some(why) = runs.iter().find_map(|run| run.meta.transport_why.as_ref()) {
        notes.push(Note::new(NoteKind::Transport, why.as_str()));
    }
    if summary.ocr.disagree > 0 {
        notes.push(Note::new(
            NoteKind::Ocr,
            format!(
                "digits and blocks disagree on {} frames: one of the instruments is wrong",
                summary.ocr.disagree
            ),
        ));
    }
    if summary.clients.len() > 1 {
        let text = format!(
            "{} clients: frames are counted once for each of them",
            summary.clients.len()
        );
        notes.push(Note::new(NoteKind::Clients, text));
    }
    notes.extend(of_clocks(summary, runs));
    if summary.ocr.frames == 0 {
        notes.push(Note::new(
            NoteKind::Ocr,
            "no strip was read: nothing audits the blocks",
        ));
    }
    if let Some(server) = &summary.server {
        let carried = summary.carried_us.map_or_else(
            || "is unknown".to_owned(),
            |of| {
                let (p50, p99) = (of.p50 as f64 / 1e3, of.p99 as f64 / 1e3);
                format!("is one stage, {p50:.1} ms at p50 and {p99:.1} ms at p99")
            },
        );
        notes.push(Note::new(NoteKind::Server, format!(
            "another server is in xr-streamer's place and keeps no trace: what lies between encoded and received {carried} \
             (`{server}`)"
        )));
    } else if let Some(points) = &summary.points
        && summary.frames.shown > 0
        && points.complete_share < 0.999
    {
        notes.push(Note::new(
            NoteKind::Trace,
            format!(
                "{:.2} % of the shown frames have every point; the stages are of those",
                points.complete_share * 100.0
            ),
        ));
    }
    notes.extend(of_frames(summary));
    if let Some(gap) = summary.floor_us.as_ref().and_then(|floor| floor.codec_gap)
        && gap > MAX_FLOOR_GAP_US
    {
        notes.push(Note::new(NoteKind::Floor, format!(
            "the floor's p50 is {gap} us away from the sum of its own encode and decode: do not compare with it"
        )));
    }
    let watched = runs.iter().any(|run| run.disturbances.is_some());
    if let Some(quiet) = summary.undisturbed.as_ref().filter(|_| watched) {
        let disturbed = summary.measured_s - quiet.seconds;
        if disturbed > 0.0 {
            notes.push(Note::new(
                NoteKind::Disturbed,
                format!(
                    "the machine was disturbed in {} of {} measured seconds",
                    seconds(disturbed),
                    seconds(summary.measured_s)
                ),
            ));
        }
    }
    notes
}

/// What the clocks, and all that makes a latency unsure, give reason to say.
fn of_clocks(summary: &ScenarioSummary, runs: &[LoadedRepetition]) -> Vec<Note> {
    let mut notes = Vec::new();
    let unknown: BTreeSet<&str> = runs
        .iter()
        .flat_map(|run| &run.meta.clocks)
        .filter(|(_, clock)| clock.source == ClockSource::Unknown)
        .map(|(source, _)| source.as_str())
        .collect();
    if !unknown.is_empty() {
        let unknown: Vec<_> = unknown.into_iter().take(8).collect();
        let text = format!(
            "nobody asked the clock of {}: latencies are right only if it is the collector's own",
            unknown.join(", ")
        );
        notes.push(Note::new(NoteKind::Clock, text));
    }
    notes.extend(clocks::notes(
        summary.clocks,
        summary.latency_us.map_or(0, |of| of.figures.min),
        summary.points.map_or(0, |points| points.out_of_order),
    ));
    notes.extend(
        summary
            .uncertainty_us
            .iter()
            .filter_map(UncertaintyUs::note),
    );
    notes
}

/// What the frames themselves give reason to say.
fn of_frames(summary: &ScenarioSummary) -> Vec<Note> {
    let mut notes = Vec::new();
    if summary.frames.damaged > 0 {
        notes.push(Note::new(
            NoteKind::Buffers,
            format!(
                "packets of {} shown pictures never came: they are torn, and count as lost. The network dropped them, or a full \
                 receive buffer did: `xrbench doctor` says whether the system allows too small ones",
                summary.frames.damaged
            ),
        ));
    }
    if let Some(latency) = &summary.latency_us
        && latency.figures.p99.is_none()
        && summary.frames.shown >= MIN_P99_PICTURES
    {
        let pictures = summary.pictures.map_or_else(
            || format!("of a film of fewer than {MIN_P99_PICTURES} pictures"),
            |pictures| format!("{pictures} distinct pictures"),
        );
        notes.push(Note::new(
            NoteKind::Content,
            format!(
                "{} frames are {pictures}, too few for a p99: take a longer film, longer repetitions or more of them",
                summary.frames.shown
            ),
        ));
    }
    notes
}

/// Repetitions that are in no percentile: a figure over the others must not pass for one over all.
pub(super) fn missing(of: Runs) -> Option<Note> {
    let Runs { planned, whole, .. } = of;
    (whole < planned).then(|| {
        Note::new(
            NoteKind::Incomplete,
            format!(
                "{whole} of {planned} planned repetitions were completed with frames; what the others would have shown is in \
                 no percentile, interval or difference"
            ),
        )
    })
}
