//! `--dry-run`: the plan, with every command line and the time that it would take.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::json;

use testbed::local::capabilities::Capabilities;

use super::addresses::{Addresses, IdentityFiles};
use super::commands::{self, Programs, ReferenceFiles};
use super::content::Contents;
use super::place::lab_plan::LabCapabilities;
use super::place::{Means, PlacePlan};
use super::plan::{Plan, Subject, reading};
use crate::scenario::File;
use result::{RepetitionFolder, RunFolder};

/// The command lines of a repetition, by role.
pub(super) fn command_lines(
    subject: Subject<'_>,
    programs: &Programs,
    folder: &RepetitionFolder,
) -> anyhow::Result<Vec<(&'static str, Vec<String>)>> {
    let scenario = subject.settings();
    let with = |program: &Path, args: Vec<String>| {
        let mut line = vec![program.display().to_string()];
        line.extend(args);
        line
    };
    if let Subject::Floor(_) = subject {
        return Ok(vec![(
            "floor",
            with(&programs.renderer, commands::floor(scenario, folder)),
        )]);
    }
    // A lab's addresses are the same whatever the machine has: nothing need be tried. Where it cannot be planned, its run says why.
    let own = super::programs::own()?;
    let capabilities = LabCapabilities::of(&Capabilities::default(), &own, &own, 0);
    let means = Means::Here(Some(Box::new(capabilities)));
    let place = PlacePlan::new(scenario, &means, 0)?;
    let unknown = Addresses::unknown();
    let known = place.known_addresses(&unknown.collector);
    // Another server's ports are drawn for it, because it does not announce them.
    let draws = scenario.server.is_some() && known.is_none();
    let addresses = known.unwrap_or(unknown);
    let mut listen = place.listen(true)?;
    if draws {
        listen.http.clone_from(&addresses.http);
        listen.rtsp.clone_from(&addresses.rtsp);
    }
    let transport = place.transport(scenario.transport);
    let over_quic = transport.is_quic() || scenario.feed.is_quic();
    listen.identity = over_quic.then(IdentityFiles::unknown);
    let streamer = ("streamer", commands::between(scenario, programs, &listen));
    if scenario.pipeline.is_reference() {
        let files = ReferenceFiles::of(folder);
        let (render, play) = commands::reference(scenario, &addresses, transport, &files)?;
        return Ok(vec![streamer, ("renderer", render), ("client", play)]);
    }
    let renderer = (
        "renderer",
        with(
            &programs.renderer,
            commands::renderer(scenario, &addresses, &listen),
        ),
    );
    let client = (
        "client",
        with(
            &programs.client,
            commands::client(scenario, &addresses, &listen, transport, folder),
        ),
    );
    Ok(vec![streamer, renderer, client])
}

/// The plan for people.
pub(super) fn text(
    file: &File,
    plan: &Plan,
    programs: &Programs,
    out: &RunFolder,
    with_ocr: bool,
) -> anyhow::Result<String> {
    let contents = Contents::of_file(file)?;
    let total = plan.expected(file, with_ocr).as_secs();
    let mut text = format!(
        "{}: {} repetitions, about {} min {:02} s in all, into {}\n\nin this order (seed {}):\n",
        file.name,
        plan.order.len(),
        total / 60,
        total % 60,
        out.root().display(),
        file.seed
    );
    for (number, slot) in plan.order.iter().enumerate() {
        let seconds = plan.subject(file, slot).expected().as_secs_f64();
        writeln!(
            text,
            "{:>4}. {} repetition {} (about {seconds:.0} s)",
            number + 1,
            slot.scenario,
            slot.run
        )?;
    }
    for info in plan.scenarios(file) {
        let slot = result::PlannedRepetition {
            scenario: info.name.clone(),
            run: 1,
        };
        let planned = plan.subject(file, &slot);
        let own = contents.round(planned.settings(), &slot);
        let subject = planned.showing(&own);
        let settings = subject.settings();
        let compared = info
            .floor
            .map_or_else(String::new, |floor| format!(", compared with {floor}"));
        writeln!(
            text,
            "\n{}: {}, {} x {} after {} of warm-up{compared}",
            info.name, info.pipeline, info.runs, settings.duration, settings.warmup
        )?;
        for (role, line) in command_lines(subject, programs, &out.repetition(&info.name, 1))? {
            writeln!(text, "  {role}: {}", commands::shell(&line))?;
        }
    }
    if with_ocr {
        writeln!(
            text,
            "\nthen: the strips are read, about {} s",
            reading(file).as_secs()
        )?;
    }
    Ok(text)
}

/// The plan for programs.
pub(super) fn json(
    file: &File,
    plan: &Plan,
    programs: &Programs,
    out: &RunFolder,
    with_ocr: bool,
) -> anyhow::Result<serde_json::Value> {
    let contents = Contents::of_file(file)?;
    let mut scenarios = Vec::new();
    for info in plan.scenarios(file) {
        let slot = result::PlannedRepetition {
            scenario: info.name.clone(),
            run: 1,
        };
        let planned = plan.subject(file, &slot);
        let own = contents.round(planned.settings(), &slot);
        let folder = out.repetition(&info.name, 1);
        let lines = command_lines(planned.showing(&own), programs, &folder)?;
        let processes: Vec<_> = lines
            .iter()
            .map(|(role, line)| json!({"role": role, "command": line}))
            .collect();
        scenarios.push(json!({
            "name": info.name,
            "pipeline": info.pipeline,
            "floor": info.floor,
            "runs": info.runs,
            "processes": processes,
        }));
    }
    Ok(json!({
        "name": file.name,
        "seed": file.seed,
        "out": out.root(),
        "expected_seconds": plan.expected(file, with_ocr).as_secs_f64(),
        "order": plan.order,
        "scenarios": scenarios,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Overrides, load};

    /// The plan of each shipped scenario file: its time without OCR, its order and every command line.
    #[test]
    fn plans_of_the_shipped_scenarios() {
        let programs = Programs {
            renderer: "xr-renderer".into(),
            streamer: "xr-streamer".into(),
            client: "xr-client".into(),
        };
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios");
        for entry in std::fs::read_dir(shipped).expect("the scenarios") {
            let path = entry.expect("an entry").path();
            if path.extension().is_none_or(|extension| extension != "toml") {
                continue;
            }
            let name = path.file_stem().expect("a name").to_string_lossy();
            let file = load(&path, &Overrides::default()).expect("understood");
            let out = RunFolder::new(format!("results/{name}"));
            let plan = text(&file, &Plan::new(&file), &programs, &out, false).expect("a plan");
            insta::assert_snapshot!(&*name, plan);
        }
    }
}
