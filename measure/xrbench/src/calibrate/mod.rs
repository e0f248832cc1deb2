//! `xrbench calibrate`: known delays are put into the path, and must come back as those delays.
//!
//! Delays are injected from the streamer to the client, captured at both ends of the WAN ([`wire`]), and compared with the
//! latency that the instrument reports ([`fit`]). The renderer is beside the streamer: its feed's acknowledgements would
//! cross the WAN too, and what a delay does to a TCP sender is the pipeline's, not the instrument's. What is left is the
//! instrument's own error. An error that all delays share would pass for the pipeline's share, so known waits are put between the two clock
//! readings of each frame as well, at either end, and must be found (`hold`). What is found is kept for this machine ([`result::kept`]), and every later report of this machine prints it.

pub mod cli;
pub mod fit;
mod hold;
pub mod wire;

use std::collections::BTreeMap;

use anyhow::Context as _;

use fit::Point;
use hold::Held;
use report::summary;
use result::{Calibration, Machine, RunFolder, RunInfo, write_json};

/// The points of a lab at which a delay is captured: where it goes in, and where it comes out.
pub const CAPTURED: [&str; 2] = ["wan-b", "wan-a"];

/// Fits what a run of delays measured, and writes it into its folder. A run of which a repetition is missing fits no line:
/// what the missing delay would have shown is not known.
pub fn conclude(folder: &RunFolder) -> anyhow::Result<(Calibration, Machine)> {
    all_complete(folder)?;
    let info = folder.info()?;
    let loaded = summary::load(folder)?;
    let (mut points, mut held) = (Vec::new(), Vec::new());
    let mut backend = String::new();
    for (meta, repetition) in folder.repetitions()? {
        let (Some(from), Some(to), true) =
            (meta.measured_from_us, meta.measured_to_us, meta.complete)
        else {
            continue;
        };
        let named = info.scenarios.iter().find(|one| one.name == meta.scenario);
        let Some((set_us, hold_us)) = named.and_then(|one| Some((one.delay_us?, &one.hold_us)))
        else {
            continue;
        };
        let [sent, arrived] = CAPTURED.map(|point| repetition.pcap(point));
        let way = wire::one_way(&sent, &arrived, from.0, to.0)?;
        let latency = loaded
            .scenarios
            .iter()
            .flat_map(|scenario| &scenario.runs)
            .find(|run| run.meta.scenario == meta.scenario && run.meta.run == meta.run)
            .and_then(|run| run.measured.figures())
            .with_context(|| format!("{} repetition {} has no sample", meta.scenario, meta.run))?;
        let point = Point {
            set_us: set_us as f64,
            wire_us: way.figures.p50 as f64,
            latency_us: latency.p50 as f64,
        };
        match hold_us.iter().next() {
            None => points.push(point),
            Some((&role, &us)) => held.push(Held {
                role,
                hold_us: us.into(),
                point,
            }),
        }
        if let Some(wan) = meta.wan {
            backend = wan.backend.to_string();
        }
    }
    let fit = fit::fit(&points)
        .with_context(|| format!("{} repetitions are too few for a line", points.len()))?;
    let calibration = Calibration {
        at_us: info.started_us,
        wan_backend: backend,
        folder: folder.root().display().to_string(),
        programs: programs(&info),
        holds: hold::found(&points, &held),
        fit,
    };
    write_json(&folder.root().join("calibration.json"), &calibration)?;
    Ok((calibration, info.machine))
}

/// The digests of the programs, without those of films: programs have a version too.
fn programs(info: &RunInfo) -> BTreeMap<String, String> {
    let digests = info.digests.iter();
    let of = digests.filter(|(name, _)| info.versions.contains_key(*name));
    of.map(|(name, digest)| (name.clone(), digest.clone()))
        .collect()
}

/// Fails where a planned repetition was not completed.
fn all_complete(folder: &RunFolder) -> anyhow::Result<()> {
    let planned: u32 = folder.info()?.scenarios.iter().map(|one| one.runs).sum();
    let found = folder.repetitions()?;
    let complete = found.iter().filter(|(meta, _)| meta.complete).count();
    anyhow::ensure!(
        planned as usize == complete,
        "{complete} of {planned} repetitions in {} were completed, and a calibration needs all of them: run it again",
        folder.root().display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use result::{RUN_VERSION, RepetitionMeta, ScenarioInfo};

    #[test]
    fn a_calibration_is_of_programs_and_of_no_film() {
        let both = ["xr-client", "/films/bunny.mp4"].map(|name| (name.to_owned(), "aa".to_owned()));
        let info = RunInfo {
            digests: both.into(),
            versions: [("xr-client".to_owned(), "0.1.0".to_owned())].into(),
            ..RunInfo::default()
        };
        let of = programs(&info);
        assert_eq!(of.keys().collect::<Vec<_>>(), ["xr-client"]);
    }

    #[test]
    fn a_part_of_a_calibration_is_none() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let folder = RunFolder::new(dir.path());
        let info = RunInfo {
            schema_version: RUN_VERSION,
            scenarios: vec![ScenarioInfo {
                name: "delay-0us".into(),
                runs: 2,
                ..ScenarioInfo::default()
            }],
            ..RunInfo::default()
        };
        write_json(&folder.run_json(), &info).expect("run.json");
        for run in 1..=2 {
            let error = all_complete(&folder).expect_err("a repetition is missing");
            let text = error.to_string();
            assert!(
                text.starts_with(&format!("{} of 2 ", run - 1)) && text.contains("needs all"),
                "{text}"
            );
            let at = folder.repetition("delay-0us", run);
            at.create().expect("folders");
            let meta = RepetitionMeta {
                scenario: "delay-0us".into(),
                run,
                complete: true,
                ..RepetitionMeta::default()
            };
            write_json(&at.meta_json(), &meta).expect("meta.json");
        }
        all_complete(&folder).expect("both are there");
        assert!(!folder.root().join("calibration.json").exists());
    }
}
